//! A bounded side input: a table on every worker.

use crate::query::{Answer, House, Query};
use crate::{Event, naive, Bid};

/// Bids with what a table of 10,000 rows says of their auction.
pub struct Q13;

impl Query for Q13 {
    type Row = (Bid, u64);

    const NAME: &'static str = "q13";
    const ABOUT: &'static str = "Bids with what a table of 10,000 rows says of their auction.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, (Bid, u64)> {
        let table = (house.table)(SIZE, value);
        let known = house.bids().lookup("known", &table, |bid| bid.auction % SIZE);
        Answer::Rows(known.inner().results())
    }

    fn naive(events: &[Event]) -> Vec<(Bid, u64)> {
        naive::q13(events)
    }
}

/// How many rows the table has.
pub const SIZE: u64 = 10_000;

/// What the table says of a key.
pub fn value(key: u64) -> u64 {
    key * 7 % 101
}
