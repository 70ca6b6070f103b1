//! Everything into files, by minute.

use crate::query::{Answer, House, Query};
use crate::{Event, naive, Bid};

/// All bids, written to files by the minute of their event time.
pub struct Q10;

impl Query for Q10 {
    type Row = Bid;

    const NAME: &'static str = "q10";
    const ABOUT: &'static str = "All bids, written to files by the minute of their event time.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, Bid> {
        let bids = house.bids();
        (house.files)(&bids);
        Answer::Rows(bids)
    }

    fn naive(events: &[Event]) -> Vec<Bid> {
        naive::q10(events)
    }
}
