//! Many numbers of one group, in one pass.

use serde::{Deserialize, Serialize};

use crate::query::{Answer, House, Query};
use crate::{Event, naive, Bid};
use tiderace_operators::prelude::*;
use super::days::{DAY, band};

/// Bids and prices of each auction and day.
pub struct Q17;

/// What was bid for an auction in a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Prices {
    /// The auction.
    pub auction: u64,
    /// The start of the day.
    pub day: EventTime,
    /// How many bids: in all, and by price.
    pub bids: [u64; 4],
    /// The least price.
    pub min: u64,
    /// The greatest price.
    pub max: u64,
    /// The average price.
    pub mean: u64,
    /// All prices together.
    pub sum: u64,
}

impl Query for Q17 {
    type Row = Prices;

    const NAME: &'static str = "q17";
    const ABOUT: &'static str = "Bids and prices of each auction and day.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, Prices> {
        let of = Of::<Bid>::rows();
        let band = |number: usize| of.count_if(move |bid| band(bid.price) == number);
        let price = |bid: &Bid| bid.price;
        let numbers = (of.count(), (band(0), band(1), band(2)), of.min(price), of.max(price), of.sum(price));
        let days = house.bids().key_by(|bid| bid.auction).window(Tumbling::every(DAY));
        Answer::Rows(days.aggregate("days", numbers).map(|row| {
            let (all, (low, middle, high), min, max, sum) = row.value;
            let (min, max, sum) = (min.unwrap_or(0), max.unwrap_or(0), sum as u64);
            let (auction, day) = (row.key, row.window.start);
            Prices { auction, day, bids: [all, low, middle, high], min, max, mean: sum / all, sum }
        }))
    }

    fn naive(events: &[Event]) -> Vec<Prices> {
        naive::q17(events)
    }
}
