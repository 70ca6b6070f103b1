//! In steady state no operator allocates per record: what is allocated is containers, by the
//! hundred rows.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tiderace_operators::prelude::*;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed to the system's allocator as it is.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static MEMORY: Counting = Counting;

/// A record: its number and a value.
type Row = (u64, f64);

const KEYS: u64 = 50;
const TICK: u64 = 2_000;
const TICKS: u64 = 60;

/// Allocations per record, once the first third of the ticks has warmed everything up. There is a
/// record every 10 us of event time, and windows of 50 ms, so that windows open and close throughout.
fn per_record(build: impl Fn(&Events<'_, u64, Row>) + Send + Sync + 'static) -> f64 {
    timely::execute_directly(move |worker| {
        let observer = Observer::default();
        let (mut input, done) = worker.dataflow::<u64, _, _>(|scope| {
            let policy = Policy::bounded(std::time::Duration::from_micros(500));
            let (input, events) = EventInput::<Row>::new(scope, 0, policy, &observer);
            build(&events);
            events.watch();
            let done = input.done().clone();
            (input, done)
        });
        let mut warm = 0;
        for tick in 0..TICKS {
            for n in tick * TICK..(tick + 1) * TICK {
                let time = EventTime::from_micros((n ^ 7) as i64 * 10);
                input.send(0, time, (n, (n % 100) as f64));
            }
            input.end_tick();
            while done.less_than(&input.tick()) {
                worker.step();
            }
            (0..4).for_each(|_| _ = worker.step());
            if tick == TICKS / 3 {
                warm = ALLOCATIONS.get();
            }
        }
        let counted = ALLOCATIONS.get() - warm;
        counted as f64 / (TICK * (TICKS - TICKS / 3 - 1)) as f64
    })
}

fn key(row: &Row) -> u64 {
    row.0 % KEYS
}

#[test]
fn nothing_is_allocated_per_record() {
    let size = std::time::Duration::from_millis(50);
    let value = |row: &Row| row.1;
    let mut all: Vec<(&str, f64)> = Vec::new();
    let mut program = |name, allocations| all.push((name, allocations));
    program("no operator", per_record(|_| ()));
    program(
        "tumbling",
        per_record(move |events| {
            let windows = events.key_by(key).window(Tumbling::every(size));
            windows.aggregate("windows", (Count, Sum::of(value), Mean::of(value), Max::of(value)));
        }),
    );
    program(
        "sessions",
        per_record(move |events| {
            events.key_by(key).session(Session::gap(size)).aggregate("sessions", Sum::of(value));
        }),
    );
    program(
        "dedup",
        per_record(move |events| {
            events.key_by(key).dedup("once", Horizon::within(size));
        }),
    );
    for (name, allocations) in &all {
        assert!(*allocations < 0.03, "{name} allocates {allocations:.3} times a record: {all:?}");
    }
}
