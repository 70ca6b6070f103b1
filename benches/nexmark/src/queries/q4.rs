//! Average price by category: a join in time, a maximum, and an average that changes.

use crate::query::{Answer, House, Query};
use crate::{Event, naive};
use tiderace_operators::prelude::*;
use super::winning::{Winner, winning};

/// The average price of the auctions that have closed, by category.
pub struct Q4;

impl Query for Q4 {
    type Row = (u32, u64);

    const NAME: &'static str = "q4";
    const ABOUT: &'static str = "The average price of the auctions that have closed, by category.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, (u32, u64)> {
        let winners = winning(house);
        let of = Of::<Winner>::rows();
        let average = of.mapped((of.sum(|won| won.bid.price), Count), |(sum, count)| sum as u64 / count);
        let by_category = winners.key_by(|won| won.auction.category).window(Global);
        let averages = by_category.trigger(Trigger::each_change()).retracting("averages", average);
        Answer::Changes(averages.map(|row| (row.key, row.value)))
    }

    fn naive(events: &[Event]) -> Vec<(u32, u64)> {
        naive::q4(events)
    }
}
