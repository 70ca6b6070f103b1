//! The best ten of each key, corrected all the time.

use crate::query::{Answer, House, Query};
use crate::{Event, naive, Bid};
use tiderace_operators::prelude::*;

/// The ten highest bids for each auction.
pub struct Q19;

impl Query for Q19 {
    type Row = (u64, Vec<(u64, u64)>);

    const NAME: &'static str = "q19";
    const ABOUT: &'static str = "The ten highest bids for each auction.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, (u64, Vec<(u64, u64)>)> {
        let best = TopK::of(10, |bid: &Bid| bid.price, |bid: &Bid| bid.bidder);
        let by_auction = house.bids().key_by(|bid| bid.auction).window(Global);
        let tops = by_auction.trigger(Trigger::each_change()).retracting("best", best);
        Answer::Changes(tops.map(|row| (row.key, row.value)))
    }

    fn naive(events: &[Event]) -> Vec<(u64, Vec<(u64, u64)>)> {
        naive::q19(events)
    }
}
