//! In steady state no operator allocates per record of fixed size: what is allocated is containers,
//! by the hundred rows, and what is said of the few that are listed with a limit of their own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use tiderace_operators::dedup::Bloom;
use tiderace_operators::prelude::*;
use tiderace_operators::process::ZScore;

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
            let policy = Policy::bounded(Duration::from_micros(500));
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

/// What containers come to: a few allocations for a hundred rows.
const CONTAINERS: f64 = 0.03;

const SIZE: Duration = Duration::from_millis(50);

fn key(row: &Row) -> u64 {
    row.0 % KEYS
}

/// A number that two rows share which follow one another.
fn pair(row: &Row) -> u64 {
    row.0 / 2
}

fn value(row: &Row) -> f64 {
    row.1
}

/// Rows with even numbers, and those with odd ones.
fn halves<'scope>(events: &Events<'scope, u64, Row>) -> [Events<'scope, u64, Row>; 2] {
    [0, 1].map(|rest| events.filter("half", move |row| row.0 % 2 == rest))
}

/// Programs, how often each allocates per record, and how often it may.
#[derive(Default)]
struct Measured(Vec<(&'static str, f64, f64)>);

impl Measured {
    /// Nothing but containers may be allocated.
    fn containers<B>(&mut self, name: &'static str, build: B)
    where
        B: Fn(&Events<'_, u64, Row>) + Send + Sync + 'static,
    {
        self.at_most(CONTAINERS, name, build);
    }

    fn at_most<B>(&mut self, most: f64, name: &'static str, build: B)
    where
        B: Fn(&Events<'_, u64, Row>) + Send + Sync + 'static,
    {
        self.0.push((name, per_record(build), most));
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let lines =
            self.0.iter().map(|(name, times, most)| format!("{name}: {times:.3} of {most}"));
        let all = lines.collect::<Vec<_>>().join("\n");
        let good = self.0.iter().all(|(_, times, most)| times < most);
        assert!(good || std::thread::panicking(), "allocations per record:\n{all}");
    }
}

/// The windows of [`SIZE`] and those of a tenth of it.
#[derive(Clone, Debug)]
struct Both;

impl Assigner for Both {
    fn assign(&self, time: EventTime, f: &mut impl FnMut(Window)) {
        for size in [5_000, 50_000] {
            let start = time.micros().div_euclid(size) * size;
            let [start, end] = [start, start + size].map(EventTime::from_micros);
            f(Window { start, end });
        }
    }
}

#[test]
fn windows() {
    let step = SIZE / 5;
    let mut measured = Measured::default();
    measured.containers("no operator", |_| ());
    measured.containers("tumbling", |events| {
        let windows = events.key_by(key).window(Tumbling::every(SIZE));
        windows.aggregate("windows", (Count, Sum::of(value), Mean::of(value), Max::of(value)));
    });
    measured.containers("sliding", move |events| {
        let windows = events.key_by(key).window(Sliding::of(SIZE, step));
        windows.aggregate("windows", (Count, Sum::of(value)));
    });
    measured.containers("cumulative", move |events| {
        let windows = events.key_by(key).window(Cumulative::of(SIZE, step));
        windows.aggregate("windows", (Count, Sum::of(value)));
    });
    #[cfg(feature = "calendar")]
    measured.containers("calendar", |events| {
        let windows = Calendar::days(tiderace_operators::window::Tz::Europe__Zurich);
        events.key_by(key).window(windows).aggregate("windows", (Count, Sum::of(value)));
    });
    measured.containers("global", |events| {
        let windows = events.key_by(key).window(Custom::by(Global));
        windows.aggregate("windows", (Count, Sum::of(value)));
    });
    measured.containers("custom", |events| {
        let windows = events.key_by(key).window(Custom::by(Both));
        windows.aggregate("windows", (Count, Sum::of(value)));
    });
    measured.containers("sessions", |events| {
        events.key_by(key).session(Session::gap(SIZE)).aggregate("sessions", Sum::of(value));
    });
    // Keys wait in lists for stretches of time that are short against the gap: each is allocated
    // anew, and grows to forty of them here.
    measured.at_most(0.1, "sessions that end", |events| {
        events.key_by(pair).session(Session::gap(SIZE)).aggregate("sessions", Sum::of(value));
    });
    measured.containers("sessions, retracting", |events| {
        events.key_by(key).session(Session::gap(SIZE)).retracting("sessions", Sum::of(value));
    });
}

#[test]
fn early_results() {
    let mut measured = Measured::default();
    measured.containers("on time", |events| {
        let windows = events.key_by(key).window(Tumbling::every(SIZE)).allow_late(SIZE);
        windows.retracting("windows", (Count, Sum::of(value)));
    });
    measured.containers("on each change, retracting", |events| {
        let windows = events.key_by(key).window(Tumbling::every(SIZE));
        windows.trigger(Trigger::each_change()).retracting("windows", (Count, Sum::of(value)));
    });
    measured.containers("by event time, retracting", |events| {
        let windows = events.key_by(key).window(Tumbling::every(SIZE));
        let early = windows.trigger(Trigger::every_event_time(SIZE / 5));
        early.retracting("windows", (Count, Sum::of(value)));
    });
    measured.containers("each ten rows, discarding", |events| {
        let windows = events.key_by(key).window(Tumbling::every(SIZE));
        windows.trigger(Trigger::count(10)).discarding("windows", (Count, Sum::of(value)));
    });
}

#[test]
fn rows_of_a_key() {
    let mut measured = Measured::default();
    for (name, by) in [
        ("count window", CountWindow::every(10)),
        ("count window, sliding", CountWindow::sliding(10, 5)),
        ("count window, last", CountWindow::last(10)),
    ] {
        measured.containers(name, move |events| {
            events.key_by(key).count_window(by).aggregate("windows", Sum::of(value));
        });
    }
    measured.containers("process", |events| _ = events.key_by(key).process("bursts", Bursts));
    measured.containers("z-score", |events| {
        _ = events.key_by(key).process("scored", ZScore::new(3.0, 10, value));
    });
    measured.containers("rate limit", |events| {
        _ = events.key_by(key).rate_limit("some", Rate::of(10, SIZE));
    });
    measured.containers("sample", |events| _ = events.sample("some", 0.5, 7));
    measured.containers("sample of keys", |events| _ = events.sample_keys("some", 0.5, key));
    // A list for each key and window, which grows to its ten rows and is copied when it is sent.
    measured.at_most(0.08, "reservoir", |events| {
        _ = events.key_by(key).window(Tumbling::every(SIZE)).reservoir("some", 10, 7);
    });
    measured.containers("split", |events| _ = events.split("ways", 4, |row| row.0 as usize % 4));
}

#[test]
fn copies() {
    let horizon = Horizon::within(SIZE);
    let mut measured = Measured::default();
    measured.containers("few keys", move |events| _ = events.key_by(key).dedup("once", horizon));
    measured.containers("once", move |events| _ = events.key_by(pair).dedup("once", horizon));
    measured.containers("refreshing", move |events| {
        _ = events.key_by(pair).dedup_refreshing("once", horizon);
    });
    measured.containers("first by time", move |events| {
        _ = events.key_by(pair).dedup_first_by_time("once", horizon);
    });
    measured.containers("last", move |events| _ = events.key_by(pair).dedup_last("once", horizon));
    measured.containers("counted", move |events| {
        _ = events.key_by(pair).dedup_counted("once", horizon);
    });
    // A filter for each of the 4,096 key groups and each quarter of the horizon: here they are made
    // for not even one row each, so that there are as many as rows that pass, with a list to be in.
    measured.at_most(1.2, "bloom", move |events| {
        let bloom = Bloom::may_lose(0.01).expecting(5_000);
        _ = events.key_by(pair).dedup_bloom("once", horizon, bloom);
    });
}

#[test]
fn order() {
    let mut measured = Measured::default();
    measured.containers("sort", |events| _ = events.sort("sorted", Sort::by_time()));
    measured.containers("sort, bounded", |events| {
        _ = events.key_by(key).sort("sorted", Sort::by_time().at_most(1_000));
    });
    // A list for each key and window, which grows to its ten rows and is copied when it is sent.
    measured.at_most(0.08, "top-N", |events| {
        _ = events.key_by(key).window(Tumbling::every(SIZE)).top_n("best", 10, value);
    });
}

#[test]
fn joins() {
    let mut measured = Measured::default();
    measured.containers("halves", |events| _ = halves(events));
    measured.containers("interval join", |events| {
        let [left, right] = halves(events);
        let within = Interval::within(SIZE);
        left.key_by(pair).join_interval("joined", right.key_by(pair), within).inner();
    });
    // Where the interval is shorter than a tick, more stretches of rows are let go in a tick than
    // are kept to be used again: their lists are allocated anew.
    measured.at_most(0.15, "interval join, full outer, of less than a tick", |events| {
        let [left, right] = halves(events);
        let within = Interval::within(Duration::from_millis(5));
        left.key_by(pair).join_interval("joined", right.key_by(pair), within).full();
    });
    measured.containers("window join", |events| {
        let [left, right] = halves(events);
        let windows = left.key_by(pair).window(Tumbling::every(SIZE));
        windows.join("joined", right.key_by(pair)).inner();
    });
    measured.containers("cogroup", |events| {
        let [left, right] = halves(events);
        let windows = left.key_by(key).window(Tumbling::every(SIZE));
        windows.cogroup("both", right.key_by(|row| key(row) / 2 * 2), Count, Sum::of(value));
    });
    measured.containers("as-of join", |events| {
        let [left, right] = halves(events);
        let right = right.key_by(|row| key(row) / 2 * 2);
        left.key_by(key).join_as_of("joined", right, AsOf::backward()).left();
    });
    // The table is sent to all workers, in containers of their own.
    measured.at_most(0.05, "lookup join", |events| {
        let [left, right] = halves(events);
        let table = right.map(|row| (key(&row) / 2 * 2, Some(row.1)));
        left.lookup("joined", &table, key).left();
    });
}

/// Says how many rows a key has had in a stretch of time from its first on.
struct Bursts;

impl Process<u64, Row> for Bursts {
    type State = u64;
    type Out = u64;

    fn row(&mut self, _: &u64, count: &mut u64, row: &Timed<Row>, context: &mut Context<'_, u64>) {
        if *count == 0 {
            let at = EventTime::from_micros(row.time.micros() + 1_000);
            context.set_timer(Timer::Event(at));
        }
        *count += 1;
    }

    fn timer(&mut self, _: &u64, count: &mut u64, _: Timer, context: &mut Context<'_, u64>) {
        context.emit(*count);
        context.clear_state();
    }
}
