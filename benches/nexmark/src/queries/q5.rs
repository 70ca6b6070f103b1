//! Hot items: sliding counts, and the greatest of each window.

use serde::{Deserialize, Serialize};

use crate::query::{Answer, House, Query};
use crate::{Event, naive};
use tiderace_operators::prelude::*;
use super::all_max::AllMax;

/// The auctions with most bids in 10 s, every 2 s.
pub struct Q5;

/// An auction that nobody bid more often for in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hot {
    /// The start of the window.
    pub from: EventTime,
    /// The auction.
    pub auction: u64,
    /// How many bids there were for it.
    pub bids: u64,
}

impl Query for Q5 {
    type Row = Hot;

    const NAME: &'static str = "q5";
    const ABOUT: &'static str = "The auctions with most bids in 10 s, every 2 s.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, Hot> {
        let windows = Sliding::of(secs(10), secs(2));
        let counts = house.bids().key_by(|bid| bid.auction).window(windows).aggregate("counts", Count);
        let counts = counts.map(|row| Hot { from: row.window.start, auction: row.key, bids: row.value });
        // The results of a window are at its last instant: those of one window share two seconds.
        let all = counts.key_by(|_| ()).window(Tumbling::every(secs(2)));
        let hot = all.aggregate("hot", AllMax::of(|hot: &Hot| hot.bids));
        Answer::Rows(hot.flat_map("items", |row| row.value))
    }

    fn naive(events: &[Event]) -> Vec<Hot> {
        naive::q5(events)
    }
}
