//! What a query of the benchmark is: a dataflow, and what it must come to.

use std::hash::Hash;

use serde::Serialize;
use serde::de::DeserializeOwned;
use timely::ExchangeData;

use crate::{Auction, Bid, Event, Person};
use tiderace_operators::prelude::*;

/// A row that a query gives.
pub trait Row:
    ExchangeData + Clone + Ord + Hash + std::fmt::Debug + Serialize + DeserializeOwned
{
}
impl<R: ExchangeData + Clone + Ord + Hash + std::fmt::Debug + Serialize + DeserializeOwned> Row
    for R
{
}

/// One of the queries.
pub trait Query: 'static {
    /// What it gives.
    type Row: Row;

    /// Its name: `q5`.
    const NAME: &'static str;
    /// What it finds out.
    const ABOUT: &'static str;

    /// The dataflow.
    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, Self::Row>;

    /// The same answer, computed from all events at once, by loops and maps.
    fn naive(events: &[Event]) -> Vec<Self::Row>;

    /// What is compared of a row, and how often it counts. Only queries over processing time, whose
    /// rows differ from run to run, compare less than the row.
    fn compared(row: &Self::Row) -> (Self::Row, i64) {
        (row.clone(), 1)
    }
}

/// What a query gives: rows that are final, or rows that are corrected.
pub enum Answer<'scope, R: Row> {
    /// Rows that stay.
    Rows(Events<'scope, u64, R>),
    /// Rows that come and go.
    Changes(Changes<'scope, u64, R>),
}

/// The auction house that queries are asked about.
pub struct House<'scope> {
    /// Everything that happens.
    pub events: Events<'scope, u64, Event>,
    /// Makes the stream of a table that does not change: numbers from 0 on, each with what a function
    /// says of it.
    pub table: Box<MakeTable<'scope>>,
    /// Writes bids to files by the minute of their event time.
    pub files: Box<WriteFiles<'scope>>,
}

/// See [`House::table`].
pub type MakeTable<'scope> =
    dyn Fn(u64, fn(u64) -> u64) -> Events<'scope, u64, (u64, Option<u64>)> + 'scope;
/// See [`House::files`].
pub type WriteFiles<'scope> = dyn Fn(&Events<'scope, u64, Bid>) + 'scope;

impl<'scope> House<'scope> {
    /// All bids.
    pub fn bids(&self) -> Events<'scope, u64, Bid> {
        self.events.flat_map("bids", |event| match event {
            Event::Bid(bid) => Some(bid),
            _ => None,
        })
    }

    /// All auctions.
    pub fn auctions(&self) -> Events<'scope, u64, Auction> {
        self.events.flat_map("auctions", |event| match event {
            Event::Auction(auction) => Some(auction),
            _ => None,
        })
    }

    /// All persons.
    pub fn persons(&self) -> Events<'scope, u64, Person> {
        self.events.flat_map("persons", |event| match event {
            Event::Person(person) => Some(person),
            _ => None,
        })
    }
}
