//! Winning bids: a join in time, and the best of each key.

use crate::query::{Answer, House, Query};
use crate::{Event, naive};
use super::winning::{Winner, winning};

/// The winning bid of each auction that has closed.
pub struct Q9;

impl Query for Q9 {
    type Row = Winner;

    const NAME: &'static str = "q9";
    const ABOUT: &'static str = "The winning bid of each auction that has closed.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, Winner> {
        Answer::Rows(winning(house))
    }

    fn naive(events: &[Event]) -> Vec<Winner> {
        naive::q9(events)
    }
}
