//! Rows that are held for a span.

use super::*;

fn fields(row: &Row) -> Vec<i64> {
    vec![row.source.into(), row.partition.into(), row.time, row.key.into(), row.value.into()]
}

/// A view of a span beside windows with the same buckets and lateness: those fire in the tick in
/// which the view lets go, and refuse the same rows.
fn held(inputs: &[Events<'_, u64, Row>], out: &Gathered, span: u64, width: u64) {
    take_in(&inputs[0], out);
    let (span, width) = (Duration::from_micros(span), Duration::from_micros(width));
    let view = inputs[0].view("rows", Retain::for_span(span).in_buckets_of(width));
    take_out(0, &view.changelog("rows out"), out, fields);
    let late = |row: &Timed<(u64, Row)>| (row.data.0, fields(&row.data.1), row.behind.micros());
    take_out(1, &view.expired(), out, fields);
    out.gather(&with_ticks(&view.late()), move |row| {
        let (tick, row, behind) = late(row);
        (tick, Seen::Out(2, row, behind))
    });
    let counts = view.map(|row| (row.key, ())).count();
    take_out(3, &counts.changelog("counts"), out, |&(key, count)| vec![key.into(), count]);
    let windows = inputs[0].key_by(|_| ()).window(Tumbling::every(width)).allow_late(span);
    let windows = windows.aggregate("windows", Count);
    out.gather(&with_ticks(&windows), |row| {
        let (tick, result) = &row.data;
        (*tick, Seen::Out(4, vec![result.window.start.micros()], 0))
    });
    out.gather(&with_ticks(&windows.late()), move |row| {
        let (tick, row, behind) = late(row);
        (tick, Seen::Out(5, row, behind))
    });
}

/// Checks every tick, and returns the rows that were late.
fn let_go(mut seen: Vec<(u64, Seen)>, width: u64) -> Result<Contents, TestCaseError> {
    seen.sort();
    let (mut rows, mut all_late) = (Contents::new(), Contents::new());
    let (mut contents, mut counts) = (Contents::new(), Contents::new());
    for tick in seen.chunk_by(|a, b| a.0 == b.0) {
        let (mut fired, mut expired) = (BTreeSet::new(), Contents::new());
        let mut late = [Contents::new(), Contents::new()];
        for (_, seen) in tick {
            match seen {
                Seen::In(row) => add(&mut rows, fields(row), 1),
                Seen::Out(0, row, diff) => add(&mut contents, row.clone(), *diff),
                Seen::Out(1, row, diff) => add(&mut expired, row.clone(), -diff),
                Seen::Out(3, row, diff) => add(&mut counts, row.clone(), *diff),
                Seen::Out(4, start, _) => _ = fired.insert(start[0]),
                Seen::Out(n, row, behind) => {
                    let row = [&row[..], &[*behind]].concat();
                    add(&mut late[usize::from(*n == 5)], row, 1);
                }
            }
        }
        let [late, by_windows] = late;
        prop_assert_eq!(&late, &by_windows);
        for (mut row, count) in late {
            row.pop();
            add(&mut rows, row.clone(), -count);
            add(&mut all_late, row, count);
        }
        let start = |row: &[i64]| row[2].div_euclid(width as i64) * width as i64;
        let over = |row: &Vec<i64>| fired.contains(&start(row));
        let (gone, still): (Contents, Contents) = rows.into_iter().partition(|row| over(&row.0));
        rows = still;
        prop_assert_eq!(&contents, &rows, "as of tick {}", tick[0].0);
        prop_assert_eq!(&expired, &gone, "in tick {}", tick[0].0);
        let mut of_key: BTreeMap<i64, i64> = BTreeMap::new();
        rows.iter().for_each(|(row, count)| *of_key.entry(row[3]).or_default() += count);
        prop_assert_eq!(&counts, &counted(of_key.into_iter().map(|(k, n)| vec![k, n])));
    }
    prop_assert!(contents.is_empty(), "the input has ended");
    Ok(all_late)
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn rows_are_held_for_a_span(
        feed in feeds(), cuts in cuts(), last in 1usize..6,
        span in 0u64..80, width in 1u64..30,
    ) {
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Gathered| {
            held(inputs, out, span, width);
        };
        let mut late = None;
        for feed in variants(&feed) {
            let found = let_go(run(&feed, Workers::threads(last), program).rows, width)?;
            prop_assert_eq!(late.get_or_insert_with(|| found.clone()), &found);
        }
        let found = let_go(run_cut(&feed, &cuts, Workers::threads(last), program).rows, width)?;
        prop_assert_eq!(late, Some(found));
    }

    /// A view holds what it is made of for at least as long as that may be corrected.
    #[test]
    fn corrections_are_not_refused(feed in feeds(), last in 1usize..6, lateness in 0u64..80) {
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Gathered| {
            let micros = Duration::from_micros;
            let windows = inputs[0].key_by(|row| row.key).window(Tumbling::every(micros(20)));
            let counts = windows.allow_late(micros(lateness)).retracting("windows", Count);
            let counts = counts.map(|row| (row.key, row.value as i64));
            let retain = Retain::for_span(Duration::ZERO).in_buckets_of(micros(1));
            let view = counts.view("held", retain);
            take_out(0, &view.expired(), out, |&(key, count)| vec![key.into(), count]);
        };
        let ran = run(&feed, Workers::threads(last), program);
        let counts = ran.observer.counts("held");
        prop_assert_eq!((counts.late, counts.held), (0, 0));
    }
}
