//! What joins hold does not grow with what they have seen, whether cuts are kept or not: measured at
//! the allocator, over keys that come once and are never heard of again.

#![allow(unsafe_code, reason = "an allocator that counts has to be one")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use tiderace_operators::join::AsOf;
use tiderace_operators::prelude::*;

struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

fn note(bytes: isize) {
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

// SAFETY: everything is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-(layout.size() as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static MEMORY: Counting = Counting;

/// A key, and a number.
type Row = (u64, u64);
type Inputs<'a, 'scope> = [&'a Events<'scope, u64, Row>; 2];

/// Rows of each side; those of every eighth key have no partner.
const ROWS: u64 = 12_000;

/// By how many bytes the second half of the rows leaves more than the first one. Both sides are 10 ms
/// of event time further in each tick.
fn growth(build: impl Fn(Inputs<'_, '_>) + Send + Sync + 'static) -> isize {
    timely::execute_directly(move |worker| {
        let observer = Observer::default();
        let (mut left, mut right) = worker.dataflow::<u64, _, _>(|scope| {
            let policy = Policy::ascending();
            let (left, lefts) = EventInput::<Row>::new(scope, 0, policy, &observer);
            let (right, rights) = EventInput::<Row>::new(scope, 1, policy, &observer);
            build([&lefts, &rights]);
            (left, right)
        });
        let mut half = 0;
        for n in 0..ROWS {
            let time = EventTime::from_micros(n as i64 * 10_000);
            left.send(0, time, (n, n));
            right.send(0, time, (if n % 8 == 0 { n + ROWS } else { n }, n));
            left.end_tick();
            right.end_tick();
            (0..4).for_each(|_| _ = worker.step());
            if n == ROWS / 2 {
                half = HELD.get();
            }
        }
        let growth = HELD.get() - half;
        let joined = observer.counts("join");
        assert!(joined.kept > ROWS && joined.late == 0, "{joined:?}");
        left.finish();
        right.finish();
        growth
    })
}

fn key(row: &Row) -> u64 {
    row.0
}

#[test]
fn what_is_over_leaves_nothing() {
    let long = Duration::from_millis(100);
    let mut all: Vec<(&str, isize)> = Vec::new();
    let mut program = |name, growth| all.push((name, growth));
    program(
        "interval",
        growth(move |[left, right]| {
            let interval = tiderace_operators::join::Interval::within(Duration::from_micros(1));
            left.key_by(key).join_interval("join", right.key_by(key), interval).full();
        }),
    );
    program(
        "interval, revised",
        growth(move |[left, right]| {
            let interval = tiderace_operators::join::Interval::within(long);
            let join = left.key_by(key).join_interval("join", right.key_by(key), interval);
            join.allow_late(long).revised().full();
        }),
    );
    program(
        "window",
        growth(move |[left, right]| {
            let windows = left.key_by(key).window(Tumbling::every(long));
            windows.join("join", right.key_by(key)).full();
        }),
    );
    program(
        "cogroup",
        growth(move |[left, right]| {
            let windows = left.key_by(key).window(Tumbling::every(long));
            windows.cogroup("join", right.key_by(key), Count, Count);
        }),
    );
    program(
        "as of, backward",
        growth(move |[left, right]| {
            let as_of = AsOf::backward_within(long);
            left.key_by(key).join_as_of("join", right.key_by(key), as_of).left();
        }),
    );
    program(
        "as of, nearest",
        growth(move |[left, right]| {
            let as_of = AsOf::nearest(long);
            left.key_by(key).join_as_of("join", right.key_by(key), as_of).left();
        }),
    );
    program(
        "lookup",
        growth(move |[left, right]| {
            // Each key is there for the time of one tick.
            let table = right.flat_map("table", |(_, n)| [(n, Some(n)), (n.wrapping_sub(1), None)]);
            left.lookup("join", &table, key).left();
        }),
    );
    for (name, growth) in &all {
        assert!(*growth < 40_000, "{name} grows by {growth} bytes: {all:?}");
    }
}
