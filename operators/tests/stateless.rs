//! Mapping, filtering, flat-mapping and union against the same on a plain vector, and the frontier
//! of a union against the lesser of its inputs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{Out, Workers, feeds, judged, run, sorted};

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn rows_are_what_a_plain_loop_makes_of_them(
        feed in feeds(),
        workers in prop::sample::select(vec![1usize, 2, 5]),
    ) {
        type Got = (i64, i64, i32);
        let ran = run(&feed, Workers::threads(workers), |inputs, out: &Out<Got>| {
            let events = &inputs[0];
            let kept = events.filter("positive", |row| row.value > 0).rebalance();
            let doubled = kept.map(|row| row.value * 2);
            let copies = events.flat_map("copies", |row| (0..row.value.rem_euclid(3)).map(move |n| {
                -(row.value.abs() * 10 + n)
            }));
            let both = doubled.union(&copies);
            out.gather(&both, |row| (row.time.micros(), row.behind.micros(), row.data));
        });
        let mut wanted: Vec<Got> = Vec::new();
        let (mut filtered, mut empty) = (0, 0);
        for (row, frontier) in judged(&feed) {
            let behind = frontier.saturating_sub(row.time).max(0);
            let behind = if frontier == i64::MIN { 0 } else { behind };
            if row.value > 0 {
                wanted.push((row.time, behind, row.value * 2));
            } else {
                filtered += 1;
            }
            let copies = row.value.rem_euclid(3);
            empty += u64::from(copies == 0);
            wanted.extend((0..copies).map(|n| (row.time, behind, -(row.value.abs() * 10 + n))));
        }
        prop_assert_eq!(sorted(ran.rows), sorted(wanted));
        let (positive, copies) = (ran.observer.counts("positive"), ran.observer.counts("copies"));
        prop_assert!(positive.balanced() && copies.balanced());
        prop_assert_eq!(positive.filtered, filtered);
        prop_assert_eq!(copies.filtered, empty);
    }
}

/// A window on a union fires when the slower input has passed its end, and a finished input does not
/// hold the other one up.
#[test]
fn a_union_is_as_far_as_the_slower_of_its_inputs() {
    let fired = Arc::new(Mutex::new(Vec::new()));
    let into = fired.clone();
    timely::execute_directly(move |worker| {
        let observer = Observer::default();
        let policy = Policy::ascending();
        let (mut fast, mut slow) = worker.dataflow::<u64, _, _>(|scope| {
            let (fast, quick) = EventInput::<u32>::new(scope, 0, policy, &observer);
            let (slow, sluggish) = EventInput::<u32>::new(scope, 1, policy, &observer);
            let windows = quick.union(&sluggish).key_by(|_| 0u32);
            let windows = windows.window(Tumbling::every(Duration::from_micros(10)));
            windows.aggregate("windows", Count).inspect(move |row| {
                into.lock().unwrap().push((row.data.window.start.micros(), row.data.value));
            });
            (fast, slow)
        });
        let at = EventTime::from_micros;
        let mut tick = 0;
        let mut settle = |fast: &mut EventInput<u32>, slow: Option<&mut EventInput<u32>>| {
            tick += 1;
            fast.advance_to(tick);
            if let Some(slow) = slow {
                slow.advance_to(tick);
            }
            for _ in 0..20 {
                worker.step();
            }
            fired.lock().unwrap().clone()
        };
        fast.send(0, at(3), 1);
        fast.send(0, at(55), 1);
        assert_eq!(settle(&mut fast, Some(&mut slow)), [], "nothing is known of the slow one");
        slow.send(0, at(4), 1);
        assert_eq!(settle(&mut fast, Some(&mut slow)), [], "the slow one is at 4");
        slow.send(0, at(10), 1);
        assert_eq!(settle(&mut fast, Some(&mut slow)), [(0, 2)], "both have passed 10");
        slow.finish();
        assert_eq!(settle(&mut fast, None), [(0, 2), (10, 1)], "the fast one is at 55 and alone");
        fast.finish();
        while worker.step() {}
        assert_eq!(*fired.lock().unwrap(), [(0, 2), (10, 1), (50, 1)]);
    });
}
