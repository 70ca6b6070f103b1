//! The whole contents of a view, at intervals of event time.

use super::*;

/// A row of a snapshot, with the instant it was taken at and the frontier before its tick.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    In(Row),
    /// The frontier as of the tick before.
    Before(i64),
    Row {
        at: i64,
        data: (u8, i32),
        count: i64,
    },
}

fn snapshots(inputs: &[Events<'_, u64, Row>], out: &Out<(u64, Told)>, every: u64) {
    out.gather(&with_ticks(&inputs[0]), |row| (row.data.0, Told::In(row.data.1)));
    let view = Changes::from_events(inputs[0].map(change)).view("rows", Retain::forever());
    // Rows that say of nearly every tick what the frontier was before it.
    let changes = view.changelog("rows out").events();
    out.gather(&with_ticks(&changes), |row| (row.data.0, Told::Before(row.time.micros())));
    let snapshots = view.snapshots("snapshots", Duration::from_micros(every));
    out.gather(&with_ticks(&snapshots), |row| {
        let (tick, Snapshot { at, data, count }) = row.data;
        (tick, Told::Row { at: at.micros(), data, count })
    });
    out.gather(&with_ticks(&snapshots), |row| (row.data.0, Told::Before(row.time.micros())));
}

/// Checks every snapshot against the rows that went in up to its tick, and that there is one whenever
/// a multiple of the period was passed. Returns the last.
fn check(
    mut told: Vec<(u64, Told)>,
    every: u64,
) -> Result<BTreeMap<(u8, i32), i64>, TestCaseError> {
    let every = every as i64;
    told.sort();
    let (mut held, mut last) = (BTreeMap::new(), BTreeMap::new());
    // The frontier that was heard of last, and the instant of the last snapshot since.
    let (mut known, mut latest) = (i64::MIN, i64::MIN);
    for tick in told.chunk_by(|a, b| a.0 == b.0) {
        let mut snapshot = BTreeMap::new();
        let mut instant = None;
        let mut empty = held.is_empty();
        for (_, told) in tick {
            match told {
                Told::In(row) => {
                    let Change { data, diff } = change(*row);
                    let count = held.entry(data).or_insert(0);
                    *count += diff;
                    if *count == 0 {
                        held.remove(&data);
                    }
                }
                Told::Before(before) => {
                    // An empty view has nothing to send.
                    let due = if *before == i64::MIN {
                        *before
                    } else {
                        before.div_euclid(every) * every
                    };
                    prop_assert!(*before >= known, "frontiers do not fall");
                    prop_assert!(empty || due <= known.max(latest), "no snapshot of {}", due);
                    known = *before;
                    empty = true;
                }
                Told::Row { at, data, count } => {
                    prop_assert!(snapshot.insert(*data, *count).is_none(), "sent twice");
                    prop_assert_eq!(*instant.get_or_insert(*at), *at, "two snapshots in a tick");
                }
            }
        }
        if let Some(at) = instant {
            prop_assert!(at > known && at > latest, "{} has been passed before", at);
            prop_assert!(at == i64::MAX || at % every == 0);
            prop_assert_eq!(&snapshot, &held, "the snapshot of {}", at);
            latest = at;
            last = snapshot;
        }
    }
    prop_assert!(last.is_empty() || latest == i64::MAX, "there is one when the input has ended");
    prop_assert_eq!(&last, &held);
    Ok(last)
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn snapshots_are_the_contents(
        feed in feeds(), cuts in cuts(), last in 1usize..6, every in 1u64..120,
    ) {
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<(u64, Told)>| {
            snapshots(inputs, out, every);
        };
        let mut end = None;
        for feed in variants(&feed) {
            let contents = check(run(&feed, Workers::threads(last), program).rows, every)?;
            prop_assert_eq!(end.get_or_insert_with(|| contents.clone()), &contents);
        }
        let cut = check(run_cut(&feed, &cuts, Workers::threads(last), program).rows, every)?;
        prop_assert_eq!(end, Some(cut));
    }
}

#[test]
#[should_panic(expected = "snapshots `all`: the period must be at least 1 us, and is 0ns")]
fn a_period_of_nothing_is_refused() {
    timely::execute_directly(|worker| {
        worker.dataflow::<u64, _, _>(|scope| {
            let observer = Observer::default();
            let (_, rows) = EventInput::<Row>::new(scope, 0, Policy::ascending(), &observer);
            rows.view("rows", Retain::forever()).snapshots("all", Duration::ZERO);
        });
    });
}
