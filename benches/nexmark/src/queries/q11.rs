//! User sessions: windows that grow together.

use serde::{Deserialize, Serialize};

use crate::query::{Answer, House, Query};
use crate::{Event, naive};
use tiderace_operators::prelude::*;

/// How many bids a bidder made between pauses of 10 s.
pub struct Q11;

/// What somebody did without a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Active {
    /// Who.
    pub bidder: u64,
    /// From when.
    pub from: EventTime,
    /// How many bids they made.
    pub bids: u64,
}

impl Query for Q11 {
    type Row = Active;

    const NAME: &'static str = "q11";
    const ABOUT: &'static str = "How many bids a bidder made between pauses of 10 s.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, Active> {
        let sessions = house.bids().key_by(|bid| bid.bidder).session(Session::gap(secs(10)));
        let counts = sessions.aggregate("counts", Count);
        Answer::Rows(counts.map(|row| Active { bidder: row.key, from: row.start, bids: row.value }))
    }

    fn naive(events: &[Event]) -> Vec<Active> {
        naive::q11(events)
    }
}
