//! Many different values, many groups.

use crate::query::{Answer, House, Query};
use crate::{Event, naive};
use tiderace_operators::prelude::*;
use super::days::{DAY, Day, of_a_day};

/// Bids, bidders and auctions of each channel and day, in all and by price.
pub struct Q16;

impl Query for Q16 {
    type Row = Day<u32>;

    const NAME: &'static str = "q16";
    const ABOUT: &'static str = "Bids, bidders and auctions of each channel and day, in all and by price.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, Day<u32>> {
        let days = house.bids().key_by(|bid| bid.channel).window(Tumbling::every(DAY));
        Answer::Rows(days.aggregate("days", of_a_day()).map(Day::of))
    }

    fn naive(events: &[Event]) -> Vec<Day<u32>> {
        naive::q16(events)
    }
}
