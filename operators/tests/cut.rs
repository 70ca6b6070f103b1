//! Cut anywhere while later rows have already arrived, go on with other workers: the result is that
//! of the run that was never cut, and a cut writes what was touched.

use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{Feed, Out, Row, Workers, cuts, feeds, run, run_cut, sorted};

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn windows_go_on(feed in feeds(), cuts in cuts(), last in 1usize..6, size in 1i64..60, lateness in 0i64..40) {
        let (size, lateness) = (Duration::from_micros(size as u64), Duration::from_micros(lateness as u64));
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
            let windows = inputs[0].key_by(|row| row.key).window(Tumbling::every(size));
            let sums = windows.allow_late(lateness).aggregate("sums", Sum::of(|row: &Row| row.value));
            out.gather(&sums, |row| (0, row.data.key, row.data.window.start, row.data.value));
            out.gather(&sums.late(), |row| (1, row.data.key, row.time, i128::from(row.data.value)));
        };
        let whole = run(&feed, Workers::threads(1), program);
        let cut = run_cut(&feed, &cuts, Workers::threads(last), program);
        prop_assert_eq!(sorted(cut.rows), sorted(whole.rows));
        prop_assert_eq!(cut.cuts.len(), cuts.len());
    }
}

#[test]
fn a_cut_writes_what_was_touched() {
    let mut feed = Feed::new(Duration::ZERO);
    let row = |time, key| Row { source: 0, partition: 0, time, key, value: 1 };
    for key in 0..200u8 {
        feed.row(0, 0, EventTime::from_micros(10), row(10, key));
    }
    for key in 0..3u8 {
        feed.row(0, 0, EventTime::from_micros(20), row(20, key));
    }
    let program = |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
        let windows = inputs[0].key_by(|row| row.key).window(Tumbling::every(secs(1)));
        out.gather(&windows.aggregate("counts", Count), |row| row.data.value);
    };
    let one = Workers::threads(1);
    let ran = run_cut(&feed, &[(200, one), (200, one), (203, one)], one, program);
    assert_eq!(ran.rows.iter().sum::<u64>(), 203);
    let bytes: Vec<_> = ran.cuts.iter().map(|cut| cut.frames.1).collect();
    assert!(bytes[0] > 200 * 10 && bytes[1] < 30 && bytes[2] < 3 * 30 + 30, "{bytes:?}");
}
