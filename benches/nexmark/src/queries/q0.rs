//! Bids pass through: what source and sink cost.

use crate::query::{Answer, House, Query};
use crate::{Event, naive, Bid};

/// All bids, as they are.
pub struct Q0;

impl Query for Q0 {
    type Row = Bid;

    const NAME: &'static str = "q0";
    const ABOUT: &'static str = "All bids, as they are.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, Bid> {
        Answer::Rows(house.bids())
    }

    fn naive(events: &[Event]) -> Vec<Bid> {
        naive::q0(events)
    }
}
