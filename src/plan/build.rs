//! Wires the parts: whose rows go where.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tiderace_operators::events::Events;

use super::{sinks, sources, steps};
use crate::config::plan::{Checked, Component, Door, Input};
use crate::error::{Error, Kind};
use crate::flow::Flow;
use crate::record::Row;

/// The rows of a pipeline between two components.
pub(super) type Rows<'scope> = Events<'scope, u64, Row>;

/// What is not in the file but decides how it runs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How long brokers may take to answer at the start.
    pub start_timeout: Duration,
    /// When the process began, to say how long the first row took.
    pub begun: Instant,
    /// Whether a worker of this process has read a row.
    pub first_row: Arc<AtomicBool>,
}

impl Setup {
    /// The usual patience; the process began now.
    pub fn new() -> Self {
        Setup {
            start_timeout: Duration::from_secs(30),
            begun: Instant::now(),
            first_row: Arc::default(),
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Setup::new()
    }
}

/// The streams that leave the components built so far.
#[derive(Default)]
pub(super) struct Streams<'scope> {
    by_door: HashMap<(Component, Door), Rows<'scope>>,
    /// The doors that somebody reads.
    wanted: HashSet<(Component, Door)>,
}

impl<'scope> Streams<'scope> {
    /// Whether anybody reads what leaves by this door.
    pub(super) fn wants(&self, from: Component, door: Door) -> bool {
        self.wanted.contains(&(from, door))
    }

    /// Takes note of what leaves by a door.
    pub(super) fn put(&mut self, from: Component, door: Door, rows: Rows<'scope>) {
        self.by_door.insert((from, door), rows);
    }

    /// The rows of all inputs, in the reader's slots.
    pub(super) fn united(&self, reader: &str, inputs: &[Input]) -> Result<Rows<'scope>, Error> {
        let mut united: Option<Rows<'scope>> = None;
        for input in inputs {
            let Some(rows) = self.by_door.get(&(input.from, input.door)) else {
                let what = format!("`{reader}` reads {:?} of {:?}", input.door, input.from);
                return Err(Error::new(Kind::Bug, format!("{what}, which is not in the plan")));
            };
            let rows = match &input.slots {
                None => rows.clone(),
                Some(slots) => {
                    let slots = slots.clone();
                    rows.map(move |row: Row| row.project(&slots))
                }
            };
            united = Some(match united {
                None => rows,
                Some(before) => before.union(&rows),
            });
        }
        united.ok_or_else(|| Error::new(Kind::Bug, format!("`{reader}` reads nothing")))
    }
}

/// Builds the dataflow of a plan. Every worker must build the same.
pub fn build(flow: &Flow<'_>, plan: &Checked, setup: &Setup) -> Result<(), Error> {
    let mut streams = Streams::default();
    let readers = plan.steps.iter().map(|step| &step.inputs);
    for input in readers.chain(plan.sinks.iter().map(|sink| &sink.inputs)).flatten() {
        streams.wanted.insert((input.from, input.door));
    }
    for (at, source) in plan.sources.iter().enumerate() {
        sources::build(flow, source, Component::Source(at), setup, &mut streams)?;
    }
    for (at, step) in plan.steps.iter().enumerate() {
        steps::build(flow, step, Component::Step(at), &mut streams)?;
    }
    // Operators are told apart by name, and a sink may be called like what it reads.
    let others = plan.sources.iter().map(|source| &source.name);
    let taken: HashSet<_> = others.chain(plan.steps.iter().map(|step| &step.name)).collect();
    for sink in &plan.sinks {
        let name = match taken.contains(&sink.name) {
            true => format!("sink {}", sink.name),
            false => sink.name.clone(),
        };
        sinks::build(flow, sink, &name, setup, &streams)?;
    }
    Ok(())
}
