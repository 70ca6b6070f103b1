//! What moves event time, step by step: two partitions, out of order, one of which falls silent.
//!
//! The frontier of a partition is its newest record less the bound. The frontier of the whole is
//! the least of the partitions that are active: a slow one holds it, a silent one does not, and one
//! that comes back is judged by where the whole has come.

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use tiderace::prelude::*;
use tiderace_operators::input::EventInput;
use tiderace_operators::observe::Observer;
use tiderace_operators::watermark::Policy;

/// What happens, one thing a tick.
enum Step {
    /// A record of a partition, at this second.
    Read(u32, i64),
    /// A partition has nothing to say and does not hold the others back.
    FallsSilent(u32),
}

use Step::{FallsSilent, Read};

const STEPS: [Step; 9] = [
    Read(0, 12),
    Read(1, 7),     // partition 1 is behind and holds the frontier
    Read(0, 31),    //
    Read(1, 16),    // now the first window is complete
    Read(0, 27),    // one second behind its partition's frontier: late, but its window is open
    Read(0, 8),     // its window is complete
    FallsSilent(1), // nobody holds partition 0 back any more
    Read(0, 33),
    Read(1, 22), // partition 1 is back, too late for its window
];

fn main() -> ExitCode {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let into = lines.clone();
    timely::execute_directly(move |worker| {
        let observer = Observer::default();
        let say = move |line: String| into.lock().expect("one thread").push(line);
        let (results, late) = (say.clone(), say.clone());
        let (mut input, done) = worker.dataflow::<u64, _, _>(|scope| {
            let policy = Policy::bounded(secs(3));
            let (input, events) = EventInput::<()>::new(scope, 0, policy, &observer);
            let counts = events.key_by(|()| 0u8).window(Tumbling::every(secs(10)));
            let counts = counts.aggregate("counts", Count);
            counts.inspect(move |row| {
                let start = row.data.window.start.millis() / 1_000;
                results(format!("  window from {start} s: {}", row.data.value));
            });
            counts.late().inspect(move |row| {
                let (at, behind) = (row.time.millis() / 1_000, row.behind.micros() / 1_000_000);
                late(format!("  late: the record of {at} s, {behind} s behind"));
            });
            let done = input.done().clone();
            (input, done)
        });
        let frontier = move || {
            let counts = observer.all().into_iter().find(|entry| &*entry.name == "counts");
            counts.expect("it was built").counters.frontier.get()
        };
        input.assign(0);
        input.assign(1);
        for step in STEPS {
            let what = match step {
                Read(partition, at) => {
                    input.send(partition, EventTime::from_secs(at), ());
                    format!("partition {partition} reads {at} s")
                }
                FallsSilent(partition) => {
                    input.idle(partition);
                    format!("partition {partition} is silent")
                }
            };
            input.end_tick();
            while done.less_than(&input.tick()) {
                worker.step();
            }
            let frontier = match frontier() {
                EventTime::MIN => "nothing is known".to_owned(),
                time => format!("the frontier is at {} s", time.millis() / 1_000),
            };
            say(format!("{what}: {frontier}"));
        }
        input.finish();
    });
    let lines = std::mem::take(&mut *lines.lock().expect("all threads have ended"));
    lines.iter().for_each(|line| println!("{line}"));
    let expected = [
        "partition 0 reads 12 s: nothing is known",
        "partition 1 reads 7 s: the frontier is at 4 s",
        "partition 0 reads 31 s: the frontier is at 4 s",
        "  window from 0 s: 1",
        "partition 1 reads 16 s: the frontier is at 13 s",
        "partition 0 reads 27 s: the frontier is at 13 s",
        "  late: the record of 8 s, 20 s behind",
        "partition 0 reads 8 s: the frontier is at 13 s",
        "  window from 10 s: 2",
        "partition 1 is silent: the frontier is at 28 s",
        "  window from 20 s: 1",
        "partition 0 reads 33 s: the frontier is at 30 s",
        "  late: the record of 22 s, 8 s behind",
        "partition 1 reads 22 s: the frontier is at 30 s",
        "  window from 30 s: 2",
    ];
    assert_eq!(lines, expected);
    ExitCode::SUCCESS
}
