//! Highest bid: one result for all keys.

use crate::query::{Answer, House, Query};
use crate::{Event, naive, Bid};
use tiderace_operators::prelude::*;
use super::all_max::AllMax;

/// The bids with the highest price in each 10 s.
pub struct Q7;

impl Query for Q7 {
    type Row = Bid;

    const NAME: &'static str = "q7";
    const ABOUT: &'static str = "The bids with the highest price in each 10 s.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, Bid> {
        let all = house.bids().key_by(|_| ()).window(Tumbling::every(secs(10)));
        let highest = all.aggregate("highest", AllMax::of(|bid: &Bid| bid.price));
        Answer::Rows(highest.flat_map("bids.highest", |row| row.value))
    }

    fn naive(events: &[Event]) -> Vec<Bid> {
        naive::q7(events)
    }
}
