//! Scripted cases: hot keys, the end of time, and what was saved of another join.

use std::collections::BTreeSet;

use super::{Parameters, Row, logic};
use crate::join::kind::{Anti, Final, FullOuter, Inner, Kind, LeftOuter, Mode, Revised, Semi};
use crate::state::{Entry, Saver, Snapshot, State};
use crate::tick::{Emit, Fuel, Now, Side, Sides, TickLogic};
use crate::time::{EventTime, Timed};

/// A key with more partners than a turn may look at: the rest follows when the tick is complete.
#[test]
fn a_hot_key_is_joined_in_turns() {
    let by = Parameters { bounds: (0, 0), late: (0, 0) };
    let mut logic = logic::<Inner, Final>(by);
    let nothing = Sides { left: EventTime::MIN, right: EventTime::MIN };
    let (n, mut out) = (400, Emit::default());
    for side in [true, false] {
        let row = |number| {
            let row = (side, 0, 0, number);
            Timed::on_time(
                EventTime::default(),
                if side { Side::Left(row) } else { Side::Right(row) },
            )
        };
        logic.apply(nothing, &mut (0..n).map(row).collect(), &mut out);
    }
    assert_eq!(out.rows.len(), 1 << 16, "what is sent at once is bounded");
    let frontier = Sides { left: EventTime::MAX, right: EventTime::MAX };
    let now = Now { before: nothing, frontier, wall: EventTime::MIN };
    let mut turns = 0;
    loop {
        let sent = out.rows.len();
        let done = logic.close(now, &mut Fuel::new(1_000), &mut out);
        assert!(out.rows.len() - sent <= 1_000);
        turns += 1;
        if done {
            break;
        }
    }
    assert!(turns >= 90);
    let mut pairs: Vec<_> = out.rows.iter().map(|row| (row.data.0.3, row.data.1.3)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    assert_eq!((pairs.len(), out.rows.len()), ((n * n) as usize, (n * n) as usize));
}

/// Rows of a hot key that come in turns of both sides: a search that is left to a later turn finds
/// rows that came after it in the stretches of time that it has not been through, and makes each pair
/// once all the same.
#[test]
fn searches_that_wait_see_only_what_came_before() {
    let by = Parameters { bounds: (-10_000, 10_000), late: (0, 0) };
    let mut logic = logic::<Inner, Final>(by);
    let nothing = Sides { left: EventTime::MIN, right: EventTime::MIN };
    let (n, mut out) = (400, Emit::default());
    let rows = (0..n).flat_map(|number| {
        let time = i64::from(number % 4) * 2_500;
        [Side::Left((true, time, 0, number)), Side::Right((false, time, 0, number))]
            .map(|row| Timed::on_time(EventTime::from_micros(time), row))
    });
    logic.apply(nothing, &mut rows.collect(), &mut out);
    let sent = out.rows.len();
    let frontier = Sides { left: EventTime::MAX, right: EventTime::MAX };
    let now = Now { before: nothing, frontier, wall: EventTime::MIN };
    while !logic.close(now, &mut Fuel::new(1_000), &mut out) {}
    assert!(sent < out.rows.len(), "some of the searches had to wait");
    let mut pairs: Vec<_> = out.rows.iter().map(|row| (row.data.0.3, row.data.1.3)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    assert_eq!((pairs.len(), out.rows.len()), ((n * n) as usize, (n * n) as usize));
}

/// A pair with a late row from before a cut says how far it is behind.
#[test]
fn what_was_late_before_a_cut_is_late_after_it() {
    let by = Parameters { bounds: (-20, 20), late: (50, 50) };
    let at = EventTime::from_micros;
    let mut first = logic::<Inner, Final>(by);
    let before = Sides { left: at(130), right: at(90) };
    let row = Timed::on_time(at(100), Side::Left((true, 100, 0, 1)));
    let mut out = Emit::default();
    first.apply(before, &mut vec![row], &mut out);
    let mut saver = Saver::new("join", first.shape(), 0, 1);
    while !first.save(&mut Fuel::new(1), &mut saver) {}
    let mut snapshot = Snapshot::default();
    snapshot.apply(&saver.take(true)).unwrap();
    let mut second = logic::<Inner, Final>(by);
    snapshot.operator("join").unwrap().each(|entry| second.load(entry)).unwrap();
    for logic in [&mut first, &mut second] {
        let row = Timed::on_time(at(105), Side::Right((false, 105, 0, 2)));
        logic.apply(before, &mut vec![row], &mut out);
        let pair = out.rows.pop().expect("the rows make a pair");
        assert_eq!((pair.time.micros(), pair.behind.micros()), (105, 25));
    }
}

/// Rows at the end of time are results when both inputs have ended, and then nothing is kept.
#[test]
fn rows_at_the_end_of_time() {
    let by = Parameters { bounds: (0, 0), late: (0, 0) };
    let at = EventTime::from_micros;
    let mut logic = logic::<FullOuter, Final>(by);
    let mut saver = Saver::new("join", logic.shape(), 0, 1);
    let mut snapshot = Snapshot::default();
    let sides = |time| Sides { left: at(time), right: at(time) };
    let rows = [(true, 0, 1), (false, 0, 2), (true, 1, 3), (false, 2, 4)].map(|(side, key, n)| {
        let row = (side, i64::MAX, key, n);
        Timed::on_time(EventTime::MAX, if side { Side::Left(row) } else { Side::Right(row) })
    });
    let mut out = Emit::default();
    let mut before = sides(i64::MIN);
    logic.apply(before, &mut rows.to_vec(), &mut out);
    for (time, left) in [(5, 4), (i64::MAX - 1, 4), (i64::MAX, 0)] {
        let now = Now { before, frontier: sides(time), wall: EventTime::MIN };
        while !logic.close(now, &mut Fuel::new(1), &mut out) {}
        while !logic.save(&mut Fuel::new(1), &mut saver) {}
        snapshot.apply(&saver.take(true)).unwrap();
        let mut entries = 0;
        if let Some(state) = snapshot.operator("join") {
            let count = |_: &Entry<'_>| {
                entries += 1;
                Ok(())
            };
            state.each(count).unwrap();
        }
        assert_eq!(entries, left, "as of {time}");
        before = sides(time);
    }
    let mut sent: Vec<_> =
        out.rows.iter().map(|row| (row.data.0.map(|l| l.3), row.data.1.map(|r| r.3))).collect();
    sent.sort_unstable();
    assert_eq!(sent, [(None, Some(4)), (Some(1), Some(2)), (Some(3), None)]);
}

/// What one join has saved is not taken for the state of a join that is another one.
#[test]
fn what_was_saved_says_of_which_join_it_is() {
    fn shape<J: Kind<Row, Row>, M: Mode<J::Out>>(bounds: (i64, i64), late: (i64, i64)) -> u64 {
        logic::<J, M>(Parameters { bounds, late }).shape().value()
    }
    let (bounds, late) = ((-1, 2), (3, 4));
    let shapes = [
        shape::<Inner, Final>(bounds, late),
        shape::<LeftOuter, Final>(bounds, late),
        shape::<FullOuter, Final>(bounds, late),
        shape::<Semi, Final>(bounds, late),
        shape::<Anti, Final>(bounds, late),
        shape::<Anti, Revised>(bounds, late),
        shape::<Inner, Final>((0, 2), late),
        shape::<Inner, Final>((-1, 1), late),
        shape::<Inner, Final>(bounds, (0, 4)),
        shape::<Inner, Final>(bounds, (3, 0)),
    ];
    assert_eq!(shapes.into_iter().collect::<BTreeSet<_>>().len(), shapes.len());
}
