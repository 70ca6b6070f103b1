//! The answers of all queries, computed from all events at once.
//!
//! Loops, maps and sorting, as plain as can be: no operator, no window, no aggregate of the library
//! has a part in them. What the dataflows give is compared with this.

mod days;
mod joins;
mod rows;
mod windows;

pub use days::*;
pub use joins::*;
pub use rows::*;
pub use windows::*;

use super::{Auction, Bid, Event, Person};

fn bids(events: &[Event]) -> impl Iterator<Item = Bid> {
    events.iter().filter_map(|event| if let Event::Bid(bid) = event { Some(*bid) } else { None })
}

fn auctions(events: &[Event]) -> impl Iterator<Item = Auction> {
    events.iter().filter_map(|event| match event {
        Event::Auction(auction) => Some(*auction),
        _ => None,
    })
}

fn persons(events: &[Event]) -> impl Iterator<Item = Person> {
    events.iter().filter_map(|event| match event {
        Event::Person(person) => Some(*person),
        _ => None,
    })
}

/// The start of the stretch of time, so many seconds long, that an instant is in.
fn floor(micros: i64, secs: i64) -> i64 {
    micros - micros.rem_euclid(secs * 1_000_000)
}
