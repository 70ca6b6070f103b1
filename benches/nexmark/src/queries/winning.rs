//! The winning bid of each auction, once the auction has closed.

use serde::{Deserialize, Serialize};

use crate::query::House;
use crate::{Auction, Bid, Event};
use tiderace_operators::prelude::*;
use tiderace_operators::time::Span;

/// An auction that has closed, and its best bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Winner {
    pub auction: Auction,
    pub bid: Bid,
}

/// The auctions that have closed with a bid, each at the first instant at which none counts any more.
pub fn winning<'scope>(house: &House<'scope>) -> Events<'scope, u64, Winner> {
    let trade = house.events.filter("trade", |event| !matches!(event, Event::Person(_)));
    let by_auction = trade.key_by(|event| match event {
        Event::Auction(auction) => auction.id,
        Event::Bid(bid) => bid.auction,
        Event::Person(_) => unreachable!("persons are filtered out"),
    });
    by_auction.process("winning", Winning).results()
}

struct Winning;

/// An auction that is going on, or bids for one that has not been heard of.
#[derive(Default, Serialize, Deserialize)]
struct Going {
    auction: Option<Auction>,
    best: Option<Bid>,
    early: Vec<Bid>,
}

impl Going {
    /// Takes a bid if it counts. The first of equal ones wins.
    fn bid(&mut self, bid: Bid) {
        let Some(auction) = &self.auction else { return };
        if bid.time < auction.time || bid.time > auction.expires {
            return;
        }
        let wins =
            |best: Bid| (bid.price, best.time, best.bidder) > (best.price, bid.time, bid.bidder);
        if self.best.is_none_or(wins) {
            self.best = Some(bid);
        }
    }
}

/// The instant after which nothing can happen any more at the one given.
fn after(time: EventTime) -> Timer {
    Timer::Event(time.plus(Span::from_micros(1)))
}

impl Process<u64, Event> for Winning {
    type State = Going;
    type Out = Winner;

    fn row(
        &mut self,
        _: &u64,
        going: &mut Going,
        row: &Timed<Event>,
        context: &mut Context<'_, Winner>,
    ) {
        match row.data {
            Event::Auction(auction) if going.auction.is_none() => {
                going.auction = Some(auction);
                std::mem::take(&mut going.early).into_iter().for_each(|bid| going.bid(bid));
                context.set_timer(after(auction.expires));
            }
            Event::Bid(bid) if going.auction.is_some() => going.bid(bid),
            Event::Bid(bid) => {
                going.early.push(bid);
                context.set_timer(after(bid.time));
            }
            Event::Auction(_) | Event::Person(_) => {}
        }
    }

    fn timer(&mut self, _: &u64, going: &mut Going, _: Timer, context: &mut Context<'_, Winner>) {
        let now = context.time();
        match going.auction {
            Some(auction) if auction.expires < now => {
                if let Some(bid) = going.best {
                    context.emit(Winner { auction, bid });
                }
                context.clear_state();
            }
            // A timer of a bid that came before its auction did.
            Some(_) => {}
            None => {
                // No auction was open then.
                going.early.retain(|bid| bid.time >= now);
                if going.early.is_empty() {
                    context.clear_state();
                }
            }
        }
    }
}
