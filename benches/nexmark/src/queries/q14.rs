//! Calculation: expressions, and a function of the user's.

use serde::{Deserialize, Serialize};

use crate::query::{Answer, House, Query};
use crate::{Event, naive, Bid};
use tiderace_operators::prelude::*;

/// Bids of middling price, with the time of day and a count of letters.
pub struct Q14;

/// A bid with what was computed about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Computed {
    /// For what.
    pub auction: u64,
    /// The person who bids.
    pub bidder: u64,
    /// In another currency.
    pub price: u64,
    /// Of what kind the hour was.
    pub hour: Hour,
    /// When.
    pub time: EventTime,
    /// How often the letter c is in the bid's remarks.
    pub letters: u32,
}

/// Kinds of hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Hour {
    /// From 8 to 18.
    Day,
    /// Up to 6, and from 20.
    Night,
    /// In between.
    Other,
}

impl Query for Q14 {
    type Row = Computed;

    const NAME: &'static str = "q14";
    const ABOUT: &'static str = "Bids of middling price, with the time of day and a count of letters.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, Computed> {
        let priced = house.bids().map(|bid| Bid { price: bid.price * 908 / 1_000, ..bid });
        let middling = priced.filter("middling", |bid| (1_000_001..50_000_000).contains(&bid.price));
        let mut remarks = String::new();
        Answer::Rows(middling.map(move |bid| {
            bid.remarks(&mut remarks);
            let hour = match bid.time.micros().rem_euclid(86_400_000_000) / 3_600_000_000 {
                8..=18 => Hour::Day,
                ..=6 | 20.. => Hour::Night,
                _ => Hour::Other,
            };
            let letters = remarks.bytes().filter(|&letter| letter == b'c').count() as u32;
            let Bid { auction, bidder, price, time, .. } = bid;
            Computed { auction, bidder, price, hour, time, letters }
        }))
    }

    fn naive(events: &[Event]) -> Vec<Computed> {
        naive::q14(events)
    }
}
