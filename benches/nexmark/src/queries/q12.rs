//! Processing time: what the wall clock cuts.

use crate::query::{Answer, House, Query};
use crate::{Event, naive, Bid};
use tiderace_operators::prelude::*;

/// How many bids a bidder made in 10 s of processing time.
pub struct Q12;

impl Query for Q12 {
    type Row = (u64, EventTime, u64);

    const NAME: &'static str = "q12";
    const ABOUT: &'static str = "How many bids a bidder made in 10 s of processing time.";

    fn build<'scope>(house: &House<'scope>) -> Answer<'scope, (u64, EventTime, u64)> {
        let counts = house.bids().key_by(|bid| bid.bidder).process("counts", PerWall);
        Answer::Rows(counts.results())
    }

    fn naive(events: &[Event]) -> Vec<(u64, EventTime, u64)> {
        naive::q12(events)
    }

    /// Which bids share a window differs from run to run; how many there are does not.
    fn compared(row: &(u64, EventTime, u64)) -> ((u64, EventTime, u64), i64) {
        ((row.0, EventTime::MIN, 1), row.2 as i64)
    }
}

/// The size of the windows, in microseconds.
const SIZE: i64 = 10_000_000;

/// Counts the rows of a key until the wall clock has passed the end of the window.
struct PerWall;

impl Process<u64, Bid> for PerWall {
    type State = u64;
    type Out = (u64, EventTime, u64);

    fn row(
        &mut self,
        _: &u64,
        count: &mut u64,
        _: &Timed<Bid>,
        context: &mut Context<'_, Self::Out>,
    ) {
        *count += 1;
        if *count == 1 {
            let end = (context.wall().micros() / SIZE + 1) * SIZE;
            context.set_timer(Timer::Wall(EventTime::from_micros(end)));
        }
    }

    fn timer(
        &mut self,
        bidder: &u64,
        count: &mut u64,
        timer: Timer,
        context: &mut Context<'_, Self::Out>,
    ) {
        let (Timer::Wall(end) | Timer::Event(end)) = timer;
        context.emit((*bidder, EventTime::from_micros(end.micros() - SIZE), *count));
        context.clear_state();
    }
}
