//! What is counted of a day's bids.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Bid;
use tiderace_operators::prelude::*;

/// A day.
pub const DAY: Duration = hours(24);

/// In which of three bands a price in cents is: below 10,000, below 1,000,000, the others.
pub fn band(price: u64) -> usize {
    match price {
        ..10_000 => 0,
        10_000..1_000_000 => 1,
        _ => 2,
    }
}

/// What was bid in a day, in all and by band of price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day<K> {
    /// Of whom.
    pub key: K,
    /// The start of the day.
    pub day: EventTime,
    /// How many bids.
    pub bids: [u64; 4],
    /// How many bidders.
    pub bidders: [u64; 4],
    /// For how many auctions.
    pub auctions: [u64; 4],
}

type Four = (u64, u64, u64, u64);

impl<K> Day<K> {
    /// From the results of [`of_a_day`].
    pub fn of(row: WindowResult<K, (Four, Four, Four)>) -> Self {
        let four = |(all, low, middle, high): Four| [all, low, middle, high];
        let (bids, bidders, auctions) = row.value;
        Day {
            key: row.key,
            day: row.window.start,
            bids: four(bids),
            bidders: four(bidders),
            auctions: four(auctions),
        }
    }
}

/// Bids, bidders and auctions: all, and those of each band.
pub fn of_a_day() -> impl Aggregate<Bid, Output = (Four, Four, Four)> {
    let of = Of::<Bid>::rows();
    let is = |number: usize| move |bid: &Bid| band(bid.price) == number;
    let bids = (of.count(), of.count_if(is(0)), of.count_if(is(1)), of.count_if(is(2)));
    let bidders = of.distinct(|bid| bid.bidder);
    let auctions = of.distinct(|bid| bid.auction);
    (
        bids,
        (bidders, of.when(is(0), bidders), of.when(is(1), bidders), of.when(is(2), bidders)),
        (auctions, of.when(is(0), auctions), of.when(is(1), auctions), of.when(is(2), auctions)),
    )
}
