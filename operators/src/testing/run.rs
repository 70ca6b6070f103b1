//! Runs a program on scripted input.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use timely::WorkerConfig;
use timely::communication::Hooks;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::dataflow::operators::{Inspect, Probe};
use timely::worker::Worker;

use super::{Feed, Out, Step};
use crate::events::{Data, Events};
use crate::input::EventInput;
use crate::observe::Observer;
use crate::state::{Frame, Keeper, Snapshot};
use crate::watermark::{PartitionClock, Policy};

/// How a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    processes: usize,
    threads: usize,
}

impl Workers {
    /// So many workers in one process.
    pub fn threads(threads: usize) -> Self {
        Workers { processes: 1, threads }
    }

    /// So many workers in each of several processes: what goes between them is encoded and sent
    /// through sockets.
    pub fn processes(processes: usize, threads: usize) -> Self {
        Workers { processes, threads }
    }

    /// How many there are in all.
    pub fn count(&self) -> usize {
        self.processes * self.threads
    }
}

/// What a run has given.
#[derive(Debug)]
pub struct Ran<R> {
    /// All that the program handed out, in no order.
    pub rows: Vec<R>,
    /// The counters of all operators, of every dataflow that was built.
    pub observer: Observer,
    /// The cuts that were taken.
    pub cuts: Vec<Cut>,
}

/// A cut that was taken.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The state as of the cut.
    pub snapshot: Arc<Snapshot>,
    /// How many frames were written, and their bytes.
    pub frames: (usize, usize),
}

/// The clocks of the partitions as of a cut, and whether one of them was ever left out.
type Positions = BTreeMap<(u32, u32), (PartitionClock, bool)>;

/// One dataflow, from one cut to the next.
struct Phase<D, R> {
    feed: Arc<Feed<D>>,
    /// The first step that is not part of the cut before.
    from: usize,
    /// The first step that is not part of the cut at the end, if there is one.
    cut: Option<usize>,
    restored: Option<(u64, Arc<Snapshot>)>,
    positions: Positions,
    out: Out<R>,
    observer: Observer,
    left: Mutex<Left>,
}

/// What the workers of a phase leave behind.
#[derive(Default)]
struct Left {
    frames: Vec<(u64, Frame)>,
    positions: Positions,
}

/// Runs a program over a whole feed.
pub fn run<D, R, B>(feed: &Feed<D>, workers: Workers, build: B) -> Ran<R>
where
    D: Data + Send + Sync,
    R: Send + 'static,
    B: Fn(&[Events<'_, u64, D>], &Out<R>) + Send + Sync + 'static,
{
    run_cut(feed, &[], workers, build)
}

/// Runs a program over a feed and cuts it on the way: after the given numbers of steps, each with
/// the workers that run up to there. The last ones run to the end.
pub fn run_cut<D, R, B>(
    feed: &Feed<D>,
    cuts: &[(usize, Workers)],
    last: Workers,
    build: B,
) -> Ran<R>
where
    D: Data + Send + Sync,
    R: Send + 'static,
    B: Fn(&[Events<'_, u64, D>], &Out<R>) + Send + Sync + 'static,
{
    let (feed, build) = (Arc::new(feed.clone()), Arc::new(build));
    let observer = Observer::default();
    let mut ran = Ran { rows: Vec::new(), observer: observer.clone(), cuts: Vec::new() };
    let (mut from, mut restored, mut positions) = (0, None, Positions::new());
    let ends = cuts.iter().map(|&(at, workers)| (Some(at.min(feed.steps.len())), workers));
    for (cut, workers) in ends.chain([(None, last)]) {
        let phase = Arc::new(Phase {
            feed: feed.clone(),
            from,
            cut: cut.map(|cut: usize| cut.max(from)),
            restored: restored.clone(),
            positions: std::mem::take(&mut positions),
            out: Out::default(),
            observer: observer.clone(),
            left: Mutex::default(),
        });
        let peers = workers.processes * workers.threads;
        let tick = phase.cut.map_or(u64::MAX, |cut| phase.tick_of_cut(cut, peers));
        execute(workers, &phase, &build);
        ran.rows.extend(phase.out.until(tick));
        if let Some(cut) = phase.cut {
            let left = std::mem::take(&mut *phase.left.lock().expect("no worker panicked"));
            let frames: Vec<_> = left
                .frames
                .into_iter()
                .map(|(at, frame)| {
                    assert_eq!(at, tick, "state is saved at cuts");
                    frame
                })
                .collect();
            let mut snapshot = restored
                .as_ref()
                .map(|(_, snapshot): &(u64, Arc<Snapshot>)| (**snapshot).clone())
                .unwrap_or_default();
            snapshot.apply(&frames).expect("frames are as they were written");
            let snapshot = Arc::new(snapshot);
            let bytes = frames.iter().map(|frame| frame.bytes().len()).sum();
            ran.cuts.push(Cut { snapshot: snapshot.clone(), frames: (frames.len(), bytes) });
            (from, restored, positions) = (cut, Some((tick, snapshot)), left.positions);
        }
    }
    ran
}

fn execute<D, R, B>(workers: Workers, phase: &Arc<Phase<D, R>>, build: &Arc<B>)
where
    D: Data + Send + Sync,
    R: Send + 'static,
    B: Fn(&[Events<'_, u64, D>], &Out<R>) + Send + Sync + 'static,
{
    let Workers { processes, threads } = workers;
    let mut guards = Vec::new();
    for (index, sockets) in sockets(processes).into_iter().enumerate() {
        let hooks = Hooks::default();
        let locals =
            ProcessBuilder::new_typed_vector(threads, hooks.refill.clone(), hooks.spill.clone());
        let (builders, others): (Vec<_>, Box<dyn std::any::Any + Send>) = if processes == 1 {
            (locals.into_iter().map(AllocatorBuilder::Process).collect(), Box::new(()))
        } else {
            let network =
                initialize_networking_from_sockets(locals, sockets, index, threads, hooks);
            let (builders, guard) = network.expect("threads start");
            (builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(guard))
        };
        let (phase, build) = (phase.clone(), build.clone());
        let work = move |worker: &mut Worker| phase.work(worker, &*build);
        let started =
            timely::execute::execute_from(builders, others, WorkerConfig::default(), work);
        guards.push(started.expect("threads start"));
    }
    let results: Vec<_> = guards.into_iter().flat_map(|guards| guards.join()).collect();
    for result in results {
        if let Err(panic) = result {
            panic!("a worker panicked: {panic}");
        }
    }
}

/// Every process's sockets to the others.
#[allow(clippy::needless_range_loop, reason = "a pair has two places in the table")]
fn sockets(processes: usize) -> Vec<Vec<Option<UnixStream>>> {
    let mut all: Vec<Vec<Option<UnixStream>>> =
        (0..processes).map(|_| (0..processes).map(|_| None).collect()).collect();
    for a in 0..processes {
        for b in 0..a {
            let (left, right) = UnixStream::pair().expect("sockets can be made");
            (all[a][b], all[b][a]) = (Some(left), Some(right));
        }
    }
    all
}

impl<D: Data + Send + Sync, R: Send + 'static> Phase<D, R> {
    fn start(&self) -> u64 {
        self.restored.as_ref().map_or(0, |(tick, _)| tick + 1)
    }

    fn reader(source: u32, partition: u32, peers: usize) -> usize {
        (source + partition) as usize % peers
    }

    /// The least tick that no source has ended when it comes to the cut.
    fn tick_of_cut(&self, cut: usize, peers: usize) -> u64 {
        let mut ended: BTreeMap<(u32, usize), u64> = BTreeMap::new();
        for step in &self.feed.steps[self.from..cut] {
            if let &Step::EndTick { source, partition } = step {
                *ended.entry((source, Self::reader(source, partition, peers))).or_default() += 1;
            }
        }
        self.start() + ended.values().copied().max().unwrap_or(0)
    }

    /// What one worker does.
    fn work<B>(self: &Arc<Self>, worker: &mut Worker, build: &B)
    where
        B: Fn(&[Events<'_, u64, D>], &Out<R>),
    {
        let (index, peers) = (worker.index(), worker.peers());
        let policy = Policy::Bounded(self.feed.bound);
        let (mut inputs, saved) = worker.dataflow::<u64, _, _>(|scope| {
            let keeper = match &self.restored {
                Some((tick, snapshot)) => Keeper::restored(*tick, snapshot.clone()),
                None => Keeper::fresh(),
            };
            let (mut inputs, mut streams) = (Vec::new(), Vec::new());
            for source in 0..self.feed.sources() {
                let (input, events) =
                    EventInput::<D>::new(scope, u64::from(source), policy, &self.observer);
                inputs.push(input);
                streams.push(events.kept_by(&keeper));
            }
            build(&streams, &self.out.clone());
            let frames = keeper.frames(scope).inspect_batch({
                let phase = self.clone();
                move |tick, frames| {
                    let mut left = phase.left.lock().expect("no worker panicked");
                    left.frames.extend(frames.iter().map(|frame| (*tick, frame.clone())));
                }
            });
            let (saved, _) = frames.probe();
            (inputs, saved)
        });
        let mine = |source, partition| Self::reader(source, partition, peers) == index;
        for (source, input) in (0..).zip(&mut inputs) {
            input.start_at(self.start());
            let partitions = self.feed.partitions(source);
            for partition in (0..partitions).filter(|&partition| mine(source, partition)) {
                match self.positions.get(&(source, partition)) {
                    Some(&(clock, excluded)) => input.restore(partition, clock, excluded),
                    None => input.assign(partition),
                }
            }
            if !(0..partitions).any(|partition| mine(source, partition)) {
                input.reads_nothing();
            }
        }
        let play = |inputs: &mut Vec<EventInput<D>>, worker: &mut Worker, steps: &[Step<D>]| {
            for step in steps {
                match step {
                    Step::Row { source, partition, time, data } if mine(*source, *partition) => {
                        inputs[*source as usize].send(*partition, *time, data.clone());
                    }
                    Step::EndTick { source, partition } if mine(*source, *partition) => {
                        inputs[*source as usize].end_tick();
                        worker.step();
                    }
                    Step::Idle { source, partition } if mine(*source, *partition) => {
                        inputs[*source as usize].idle(*partition);
                    }
                    Step::Wall(wall) => inputs.iter_mut().for_each(|input| input.set_wall(*wall)),
                    _ => {}
                }
            }
        };
        let steps = &self.feed.steps[self.from..];
        let Some(cut) = self.cut else {
            play(&mut inputs, worker, steps);
            inputs.into_iter().for_each(EventInput::finish);
            return;
        };
        let (before, after) = steps.split_at(cut - self.from);
        play(&mut inputs, worker, before);
        let tick = self.tick_of_cut(cut, peers);
        for (source, input) in (0..).zip(&mut inputs) {
            let (clocks, excluded) = input.clock().saved();
            let clocks = clocks.into_iter().map(|(id, clock)| ((source, id), (clock, excluded)));
            self.left.lock().expect("no worker panicked").positions.extend(clocks);
            input.advance_to(tick);
            // What comes after the cut arrives before the cut is known.
            input.hold_marks();
            if index == 0 { input.cut() } else { input.end_tick() }
        }
        play(&mut inputs, worker, &after[..after.len().min(24)]);
        inputs.iter_mut().for_each(EventInput::end_tick);
        (0..8).for_each(|_| _ = worker.step());
        inputs.iter_mut().for_each(EventInput::release_marks);
        while saved.less_equal(&tick) {
            worker.step_or_park(None);
        }
        // The dataflow stops here: what it still sends is of later ticks, and thrown away.
    }
}
