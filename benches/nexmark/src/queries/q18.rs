//! The last of its kind: deduplication that takes back.

use crate::query::{Answer, House, Query};
use crate::{Event, naive, Bid};
use tiderace_operators::prelude::*;

/// The last bid of each bidder for each auction.
pub struct Q18;

impl Query for Q18 {
    type Row = Bid;

    const NAME: &'static str = "q18";
    const ABOUT: &'static str = "The last bid of each bidder for each auction.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, Bid> {
        let by_both = house.bids().key_by(|bid| (bid.bidder, bid.auction));
        Answer::Changes(by_both.dedup_last("last", Horizon::within(hours(24))).clone())
    }

    fn naive(events: &[Event]) -> Vec<Bid> {
        naive::q18(events)
    }
}
