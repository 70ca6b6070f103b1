//! What happens in the auction house.

use serde::{Deserialize, Serialize};
use tiderace_operators::time::EventTime;

/// Somebody registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Person {
    /// Counted up from 1,000.
    pub id: u64,
    /// When.
    pub time: EventTime,
    /// Chooses name, address and card.
    pub(super) draw: u64,
}

/// Something is put up for sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Auction {
    /// Counted up from 1,000.
    pub id: u64,
    /// The person who sells it.
    pub seller: u64,
    /// One of 10 to 14.
    pub category: u32,
    /// In cents.
    pub initial_bid: u64,
    /// In cents: no less is accepted.
    pub reserve: u64,
    /// When.
    pub time: EventTime,
    /// Until when bids count.
    pub expires: EventTime,
    /// Chooses item and description.
    pub(super) draw: u64,
}

/// Somebody bids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bid {
    /// For what.
    pub auction: u64,
    /// The person who bids.
    pub bidder: u64,
    /// In cents.
    pub price: u64,
    /// When.
    pub time: EventTime,
    /// Where the bid was made: 0 to 3 are the four that most come from, the others are many.
    pub channel: u32,
    /// Chooses the address of the page.
    pub(super) draw: u32,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Event {
    /// Somebody registers.
    Person(Person),
    /// Something is put up for sale.
    Auction(Auction),
    /// Somebody bids.
    Bid(Bid),
}

impl Event {
    /// When it happens.
    pub fn time(&self) -> EventTime {
        match self {
            Event::Person(person) => person.time,
            Event::Auction(auction) => auction.time,
            Event::Bid(bid) => bid.time,
        }
    }
}
