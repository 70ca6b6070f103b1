//! Windows on corrected results: what is withdrawn is taken out again, so that the last word is that
//! of a batch over everything that was accepted.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{Feed, Out, Row, Workers, cases, feeds, judged, run, run_cut};

const SMALL: i64 = 20;
const LARGE: i64 = 60;

/// How many rows of each key are in each large window, and the most of them in a small one: from the
/// rows that the small windows accept.
fn model(feed: &Feed<Row>, lateness: i64) -> Vec<(i64, u64, u64)> {
    let mut small: BTreeMap<(i64, u8), u64> = BTreeMap::new();
    for (row, frontier) in judged(feed) {
        let start = row.time.div_euclid(SMALL) * SMALL;
        if frontier < start + SMALL + lateness {
            *small.entry((start, row.key)).or_default() += 1;
        }
    }
    let mut large: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    for ((start, _), count) in small {
        let (rows, most) = large.entry(start.div_euclid(LARGE) * LARGE).or_default();
        *rows += count;
        *most = (*most).max(count);
    }
    large.into_iter().map(|(start, (rows, most))| (start, rows, most)).collect()
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn the_last_word_is_that_of_a_batch(
        feed in feeds(),
        lateness in 0i64..60,
        workers in prop::sample::select(vec![1usize, 2, 5]),
        cut in 0usize..120,
    ) {
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
            let every = |micros: i64| Tumbling::every(Duration::from_micros(micros as u64));
            let small = inputs[0].key_by(|row| row.key).window(every(SMALL));
            let small = small.allow_late(Duration::from_micros(lateness as u64));
            let small = small.retracting("small", Count).map(|row| (row.window, row.key, row.value));
            // The window of a result is where its last instant is.
            let large = small.key_by(|_| 0u8).window(every(LARGE));
            let counts = (
                Sum::of(|row: &(Window, u8, u64)| row.2),
                Max::of(|row: &(Window, u8, u64)| row.2).retractable(),
            );
            let large = large.aggregate("large", Signed::of(counts));
            out.gather(&large, |row| {
                let (rows, most) = row.data.value.expect("a small window has rows");
                (row.data.window.start.micros(), rows as u64, most.unwrap_or(0))
            });
            out.gather(&large.late(), |_| panic!("a result of an operator is never refused"));
        };
        let sorted = tiderace_operators::testing::sorted::<(i64, u64, u64)>;
        let wanted = model(&feed, lateness);
        prop_assert_eq!(&sorted(run(&feed, Workers::threads(workers), program).rows), &wanted);
        let other = Workers::threads(workers % 5 + 1);
        prop_assert_eq!(&sorted(run_cut(&feed, &[(cut, other)], Workers::threads(workers), program).rows), &wanted);
    }
}
