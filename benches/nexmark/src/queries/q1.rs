//! Prices in another currency: a map.

use crate::query::{Answer, House, Query};
use crate::{Event, naive, Bid};

/// Bids with their price in euros.
pub struct Q1;

impl Query for Q1 {
    type Row = Bid;

    const NAME: &'static str = "q1";
    const ABOUT: &'static str = "Bids with their price in euros.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, Bid> {
        Answer::Rows(house.bids().map(|bid| Bid { price: bid.price * 908 / 1_000, ..bid }))
    }

    fn naive(events: &[Event]) -> Vec<Bid> {
        naive::q1(events)
    }
}
