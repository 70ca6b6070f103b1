//! Bids for some auctions: a filter.

use crate::query::{Answer, House, Query};
use crate::{Event, naive};

/// Auction and price of bids for one auction in 123.
pub struct Q2;

impl Query for Q2 {
    type Row = (u64, u64);

    const NAME: &'static str = "q2";
    const ABOUT: &'static str = "Auction and price of bids for one auction in 123.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, (u64, u64)> {
        let some = house.bids().filter("some", |bid| bid.auction % 123 == 0);
        Answer::Rows(some.map(|bid| (bid.auction, bid.price)))
    }

    fn naive(events: &[Event]) -> Vec<(u64, u64)> {
        naive::q2(events)
    }
}
