//! Processes: state per key, and timers.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use tiderace_operators::prelude::*;
use tiderace_operators::process::ZScore;

use crate::floor::ticks;
use crate::support::{Event, Load, Row, program};

/// How long after its first row a key is asked how many it has had, in microseconds.
const WAIT: i64 = 1_000_000;

/// Says how many rows a key has had in a second from its first on.
struct Bursts;

impl Process<u64, Event> for Bursts {
    type State = u64;
    type Out = u64;

    fn row(
        &mut self,
        _: &u64,
        count: &mut u64,
        row: &Timed<Event>,
        context: &mut Context<'_, u64>,
    ) {
        if *count == 0 {
            let at = EventTime::from_micros(row.time.micros() + WAIT);
            context.set_timer(Timer::Event(at));
        }
        *count += 1;
    }

    fn timer(&mut self, _: &u64, count: &mut u64, _: Timer, context: &mut Context<'_, u64>) {
        context.emit(*count);
        context.clear_state();
    }
}

/// The same with a hash map of counts, a sorted map of timers, and the rows of each tick in order.
fn bare(load: Load) -> (u64, u64) {
    #[derive(Default)]
    struct Bare {
        tick: Vec<(i64, u64)>,
        counts: HashMap<u64, u64>,
        timers: BTreeMap<(i64, u64), ()>,
        tally: (u64, u64),
    }
    impl Bare {
        fn fire(&mut self, until: i64) {
            while let Some(first) = self.timers.first_entry()
                && first.key().0 <= until
            {
                let ((_, key), ()) = first.remove_entry();
                let count = self.counts.remove(&key).expect("it has had a row");
                self.tally = (self.tally.0 + 1, self.tally.1 + count);
            }
        }
    }
    let mut state = Bare::default();
    ticks(
        load,
        &mut state,
        |state, _, time, (key, _)| state.tick.push((time, key)),
        |state, frontier| {
            let mut tick = std::mem::take(&mut state.tick);
            tick.sort_unstable();
            for (time, key) in tick.drain(..) {
                state.fire(time.min(frontier));
                let count = state.counts.entry(key).or_default();
                if *count == 0 {
                    state.timers.insert((time + WAIT, key), ());
                }
                *count += 1;
            }
            state.fire(frontier);
            state.tick = tick;
        },
    );
    state.tally
}

/// Welford's numbers in a hash map.
fn bare_moments(load: Load) -> (u64, u64) {
    let mut state = (HashMap::<u64, (f64, f64, f64)>::new(), 0);
    ticks(
        load,
        &mut state,
        |(moments, results), _, _, (key, x)| {
            let (count, mean, squares) = moments.entry(key).or_default();
            std::hint::black_box((x - *mean) / (*squares / *count).sqrt());
            *count += 1.0;
            let distance = x - *mean;
            *mean += distance / *count;
            *squares += distance * (x - *mean);
            *results += 1;
        },
        |_, _| (),
    );
    (state.1, state.1)
}

pub fn rows(load: Load) -> Vec<Row> {
    vec![
        Row::new("bare process", load, bare),
        Row::new("process", load, |load| {
            program(load, |input, tally| {
                let bursts = input.key_by(|event| event.0).process("bursts", Bursts);
                bursts.inspect(move |row| tally.add(row.data));
            })
        })
        .gives("bare process"),
        Row::new("bare z-score", load, bare_moments),
        Row::new("z-score", load, |load| {
            program(load, |input, tally| {
                let score = ZScore::new(3.0, 10, |event: &Event| event.1);
                let scored = input.key_by(|event| event.0).process("scored", score);
                scored.inspect(move |_| tally.add(1));
            })
        })
        .gives("bare z-score"),
    ]
}
