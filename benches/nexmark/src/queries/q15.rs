//! Many different values, few groups.

use crate::query::{Answer, House, Query};
use crate::{Event, naive};
use tiderace_operators::prelude::*;
use super::days::{DAY, Day, of_a_day};

/// Bids, bidders and auctions of each day, in all and by price.
pub struct Q15;

impl Query for Q15 {
    type Row = Day<()>;

    const NAME: &'static str = "q15";
    const ABOUT: &'static str = "Bids, bidders and auctions of each day, in all and by price.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, Day<()>> {
        let days = house.bids().key_by(|_| ()).window(Tumbling::every(DAY));
        Answer::Rows(days.aggregate("days", of_a_day()).map(Day::of))
    }

    fn naive(events: &[Event]) -> Vec<Day<()>> {
        naive::q15(events)
    }
}
