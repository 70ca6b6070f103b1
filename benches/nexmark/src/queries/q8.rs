//! New users: a join of windows.

use crate::query::{Answer, House, Query};
use crate::{Event, naive, Person};
use tiderace_operators::prelude::*;

/// Persons who registered and opened an auction within the same 10 s.
pub struct Q8;

impl Query for Q8 {
    type Row = (EventTime, u64, (u32, u32));

    const NAME: &'static str = "q8";
    const ABOUT: &'static str = "Persons who registered and opened an auction within the same 10 s.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, (EventTime, u64, (u32, u32))> {
        let persons = house.persons().key_by(|person| person.id).window(Tumbling::every(secs(10)));
        let auctions = house.auctions().key_by(|auction| auction.seller);
        let names = First::of(|person: &Person| person.name_numbers());
        let both = persons.cogroup("new", auctions, names, Count);
        Answer::Rows(both.flat_map("sellers", |row| match row.value {
            (Some(name), 1..) => Some((row.window.start, row.key, name)),
            _ => None,
        }))
    }

    fn naive(events: &[Event]) -> Vec<(EventTime, u64, (u32, u32))> {
        naive::q8(events)
    }
}
