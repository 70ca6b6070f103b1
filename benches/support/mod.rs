//! What the benchmarks share: events, a source, clocks, and memory.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tiderace_operators::events::{Clock, SourceMarks};
use tiderace_operators::prelude::*;
use tiderace_operators::time::{Span, Timed};
use tiderace_operators::watermark::{Mark, SourceId, Standing};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe;
use timely::dataflow::operators::vec::Broadcast;

/// How far out of order events are, in microseconds.
pub const BOUND: i64 = 2_000_000;
/// Rows of one worker in one tick: what 20 ms bring at ten million a second.
const TICK_ROWS: u64 = 200_000;
/// Rows handed over in one activation.
const BATCH: u64 = 8_192;

/// A key and a value.
pub type Event = (u64, f64);

pub fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The event of this number: 100,000 of them a second of event time, each up to [`BOUND`] late.
#[inline]
pub fn event(i: u64, keys: u64) -> (i64, Event) {
    let r = mix(i);
    let behind = (mix(r) % BOUND as u64) as i64;
    let time = 1_700_000_000_000_000 + i as i64 * 10 + BOUND - behind;
    (time, (r % keys, (r >> 11) as f64 * (1000.0 / (1u64 << 53) as f64)))
}

/// A source that makes every `peers`-th event, with the marks of a bounded policy.
pub fn source<'scope>(
    scope: Scope<'scope, u64>,
    id: u64,
    events: u64,
    keys: u64,
    done: probe::Handle<u64>,
) -> Events<'scope, u64, Event> {
    let (index, peers) = (scope.index() as u64, scope.peers() as u64);
    let mut builder = OperatorBuilder::new("Events".to_owned(), scope);
    let info = builder.operator_info();
    let activator = scope.activator_for(info.address);
    let (rows, row_stream) = builder.new_output::<Vec<Timed<Event>>>();
    let (marks, mark_stream) = builder.new_output::<Vec<Mark>>();
    let mut rows = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(rows);
    let mut marks = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(marks);
    let id = SourceId(id);
    let probe = done.clone();
    builder.build(move |caps| {
        let mut caps = Some(caps);
        let (mut next, mut in_tick, mut newest) = (index, 0, i64::MIN);
        move |_| {
            let Some(held) = caps.as_mut() else { return };
            let tick = *held[0].time();
            if tick >= 2 && probe.less_than(&(tick - 1)) {
                activator.activate_after(Duration::from_micros(100));
                return;
            }
            {
                let mut output = rows.activate();
                let mut session = output.session(&held[0]);
                let until = events.min(next + BATCH * peers);
                while next < until {
                    let (time, data) = event(next, keys);
                    let frontier = newest.saturating_sub(BOUND);
                    newest = newest.max(time);
                    let time = EventTime::from_micros(time);
                    let behind = time.behind(EventTime::from_micros(frontier));
                    session.give(Timed { time, behind, data });
                    next += peers;
                    in_tick += 1;
                }
            }
            let ended = next >= events;
            if ended || in_tick >= TICK_ROWS {
                let (standing, frontier) = match ended {
                    true => (Standing::Finished, EventTime::MAX),
                    false => (Standing::Active, EventTime::from_micros(newest - BOUND)),
                };
                let (source, worker) = (id, index as u32);
                let (holder, excluded, cut, made_at) = (None, false, false, 0);
                let mark =
                    Mark { source, worker, standing, frontier, holder, excluded, cut, made_at };
                marks.activate().session(&held[1]).give(mark);
                held.iter_mut().for_each(|cap| cap.downgrade(&(tick + 1)));
                in_tick = 0;
                note_memory();
            }
            if ended { caps = None } else { activator.activate() }
        }
    });
    let source = SourceMarks { id, marks: mark_stream.broadcast(), delay: Span::ZERO, done };
    Events::from_parts(row_stream, Clock::of_source(source, Observer::default()))
}

/// Gathers two numbers of the results: how many there are, and how many events they speak of.
#[derive(Clone, Default)]
pub struct Tally(Arc<(AtomicU64, AtomicU64)>);

impl Tally {
    /// One more result, of so many events.
    #[inline]
    pub fn add(&self, events: u64) {
        self.0.0.fetch_add(1, Relaxed);
        self.0.1.fetch_add(events, Relaxed);
    }

    /// One more result, to be counted with its sign.
    #[inline]
    pub fn add_signed(&self, events: i64) {
        self.0.0.fetch_add(1, Relaxed);
        self.0.1.fetch_add(events as u64, Relaxed);
    }

    pub fn get(&self) -> (u64, u64) {
        (self.0.0.load(Relaxed), self.0.1.load(Relaxed))
    }
}

/// Runs a program over one source and returns the tally of its results.
pub fn program<B>(events: u64, keys: u64, workers: usize, build: B) -> (u64, u64)
where
    B: Fn(&Events<'_, u64, Event>, Tally) + Send + Sync + 'static,
{
    let config = match workers {
        1 => timely::Config::thread(),
        n => timely::Config::process(n),
    };
    let tally = Tally::default();
    let into = tally.clone();
    let guards = timely::execute(config, move |worker| {
        let into = into.clone();
        worker.dataflow::<u64, _, _>(|scope| {
            build(&source(scope, 0, events, keys, probe::Handle::new()), into);
        });
    })
    .expect("timely starts");
    guards.join().into_iter().for_each(|guard| guard.expect("a worker panicked"));
    tally.get()
}

/// User and system time of this process, in nanoseconds.
pub fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) * 1e7
}

/// One line of a table of measurements.
pub struct Row {
    pub name: String,
    run: Box<dyn Fn() -> (u64, u64)>,
    /// What the run must give: results, and the events they speak of.
    wanted: Option<(u64, u64)>,
    /// The best wall time of all runs, in seconds.
    pub wall: f64,
    /// The most memory that was held at the end of a tick, in bytes.
    pub memory: usize,
}

impl Row {
    pub fn new(name: &str, run: impl Fn() -> (u64, u64) + 'static) -> Self {
        let (wall, memory) = (f64::INFINITY, 0);
        Row { name: name.to_owned(), run: Box::new(run), wanted: None, wall, memory }
    }

    /// The run must give this.
    pub fn gives(mut self, wanted: (u64, u64)) -> Self {
        self.wanted = Some(wanted);
        self
    }

    fn measure(&mut self) {
        let before = LIVE.load(Relaxed);
        PEAK.store(before, Relaxed);
        let begun = Instant::now();
        let got = std::hint::black_box((self.run)());
        self.wall = self.wall.min(begun.elapsed().as_secs_f64());
        self.memory = PEAK.load(Relaxed).saturating_sub(before);
        let wanted = *self.wanted.get_or_insert(got);
        assert_eq!(got, wanted, "{}: results, and events in them", self.name);
    }
}

/// Runs all rows in turns, several times, so that a slow moment of the machine hits all of them.
pub fn measure(rows: &mut [Row], runs: usize) {
    for _ in 0..runs {
        rows.iter_mut().for_each(Row::measure);
    }
}

/// The load of the machine over the last minute.
pub fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// The system's allocator, with the bytes that are allocated counted.
pub struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Takes note of the memory that is held now.
pub fn note_memory() {
    PEAK.fetch_max(LIVE.load(Relaxed), Relaxed);
}

// SAFETY: everything is handed to the system's allocator as it is.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_add(size, Relaxed);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
