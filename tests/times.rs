//! How sources tell event time, through the drivers: policies for records without a time or from the
//! future, records that announce the frontier, and what the rejects keep.

use tiderace::observe::{ProcessStatus, Status};
use tiderace::prelude::*;
use tiderace::runtime::Outcome;
use tiderace::sink::memory::Collected;
use tiderace::source::iter::IterSource;
use tiderace::source::{OnFuture, OnMissing, Rejected, Times};

/// A record: its time in seconds, if it has one, and whether it announces the frontier.
type Record = (Option<i64>, bool);

fn at(time: i64) -> Record {
    (Some(time), false)
}

fn time(record: &Record) -> Option<EventTime> {
    record.0.map(EventTime::from_secs)
}

/// Reads the records in order, windows them by ten seconds, and tells for every record that went
/// through its time in seconds, for every window its start and count, the rejects, and the status.
fn run<F>(
    records: &[Record],
    shape: impl Fn(Times<Record, fn(&Record) -> Option<EventTime>>) -> Times<Record, F>
    + Send
    + Sync
    + 'static,
) -> (Vec<i64>, Vec<(i64, u64)>, Vec<Rejected>, Status)
where
    F: Fn(&Record) -> Option<EventTime> + 'static,
{
    let (times, windows, rejects) = (Collected::new(), Collected::new(), Collected::new());
    let into = (times.clone(), windows.clone(), rejects.clone());
    let records = records.to_vec();
    let outcome = tiderace::execute(["test", "-qq", "--tick", "1ms"], move |worker| {
        let (into, records) = (into.clone(), records.clone());
        worker.dataflow(|flow| {
            let source = IterSource::new("records", move |_, _| records.clone().into_iter());
            let told = shape(event_time(time as fn(&Record) -> Option<EventTime>));
            let stream = flow.source("records", |context| source.build(context), told);
            let windows = stream.events.key_by(|_| 0u32).window(Tumbling::every(secs(10)));
            let windows = windows.aggregate("windows", Count);
            let seconds = stream.events.rows(|rows| {
                use timely::dataflow::operators::vec::Map;
                rows.map(|row| row.map(|_| row.time.millis() / 1000))
            });
            let counted = windows.map(|row| (row.window.start.millis() / 1000, row.value));
            flow.sink("times", &seconds, |_| Ok(into.0.sink("times")));
            flow.sink("counts", &counted, |_| Ok(into.1.sink("counts")));
            flow.sink("rejects", &stream.rejects, |_| Ok(into.2.sink("rejects")));
        });
        Ok(())
    })
    .expect("it runs");
    let Outcome::Finished { process, .. } = outcome else { panic!("one process works itself") };
    let status = Status::merge([ProcessStatus::take(process.observer(), process.board())]);
    assert!(status.unbalanced().is_empty());
    (times.take(), windows.sorted(), rejects.take(), status)
}

#[test]
fn a_record_without_a_time_is_rejected_or_gets_one() {
    let records = [(None, false), at(5), (None, false), at(12)];
    let (times, _, rejects, status) =
        run(&records, |times| times.rejected_as(|record| format!("{record:?}").into_bytes()));
    assert_eq!(times, [5, 12]);
    assert_eq!(rejects.len(), 2);
    assert_eq!(rejects[0].reject.class, "missing-time");
    assert_eq!(rejects[1].reject.payload, b"(None, false)");
    assert_eq!((rejects[0].partition, rejects[0].next, rejects[1].next), (0, 1, 3));
    assert_eq!(status.counts("records").rejected, 2);
    assert_eq!(status.sources[0].failed["missing-time"], 2);

    let (times, _, rejects, _) = run(&records, |times| times.on_missing(OnMissing::Previous));
    assert_eq!((times, rejects.len()), (vec![5, 5, 12], 1), "the first has none before it");

    let (times, _, rejects, _) = run(&records, |times| times.on_missing(OnMissing::Ingestion));
    assert!(rejects.is_empty());
    assert!(times[0] > 1_700_000_000 && times[2] >= times[0], "the wall clock: {times:?}");
    assert_eq!((times[1], times[3]), (5, 12));
}

#[test]
fn a_record_from_the_future_makes_nothing_late() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = now.as_secs() as i64 / 10 * 10;
    let day = 86_400;
    let records = [at(now), at(now + day), at(now + 1), at(now + 2)];
    let (times, windows, _, status) = run(&records, |times| times);
    assert_eq!(times.len(), 4, "it flows");
    assert_eq!(windows, [(now, 3), (now + day, 1)]);
    assert_eq!((status.ledger.late, status.counts("records").implausible), (0, 1));

    let (times, windows, rejects, _) = run(&records, |times| times.on_future(OnFuture::Reject));
    assert_eq!((times.len(), windows), (3, vec![(now, 3)]));
    assert_eq!(rejects[0].reject.class, "future-time");

    let (_, windows, _, status) = run(&records, Times::trust_future);
    assert_eq!(status.ledger.late, 2, "believed, it makes the others late");
    assert_eq!(windows, [(now, 1), (now + day, 1)]);
}

#[test]
fn a_jump_is_judged_by_the_records_alone() {
    let records = [at(0), at(1), at(100_000), at(2), at(61), at(3)];
    let (_, windows, _, status) = run(&records, |times| times.max_jump(mins(1)));
    assert_eq!(status.counts("records").implausible, 1);
    assert_eq!(windows, [(0, 3), (60, 1), (100_000, 1)], "2 is on time, 3 is not");
    assert_eq!(status.ledger.late, 1);
}

#[test]
fn only_announced_times_move_the_frontier_of_a_punctuated_source() {
    let mark = |time| (Some(time), true);
    let records = [at(50), at(1), mark(20), at(3), at(30), at(25)];
    let (_, windows, _, status) = run(&records, |times| times.punctuated(|record| record.1));
    assert_eq!(status.ledger.late, 1, "3 came after 20 was announced");
    assert_eq!(windows, [(0, 1), (20, 2), (30, 1), (50, 1)]);
}
