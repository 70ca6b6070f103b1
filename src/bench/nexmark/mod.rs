//! NEXMark: all queries, measured and verified.
//!
//! The processes of the job run the queries one after the other, each as a dataflow of its own that
//! makes its events and reads them to the end. What a query costs is the processor time of all
//! processes over the number of events; beside it stand the cost without the making of the events,
//! which is measured in the same run, and the cost beyond `q0`, which only passes bids through. Events
//! can also come as JSON through a file or through Kafka; the making is then their reading back.

mod by_minute;
mod files;
mod report;
mod run;
mod scaling;
mod via;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use files::{Format, Written, write_events};
pub use report::{Line, Report};
pub use scaling::scaling;
use via::Through;
pub use via::Via;

pub use super::stage::Measured;
use super::stage::{self, Stage};
use super::{Sum, machine};
use crate::error::{Error, Kind};
use crate::runtime::{LaunchArgs, Outcome, Process, execute_with};
#[cfg(feature = "kafka")]
use tiderace_nexmark::Text;
use tiderace_nexmark::{Event, Generator, NAMES, Query, Visit, visit};

/// What is run.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The names of the queries, in order.
    pub queries: Vec<String>,
    /// How many events each of them reads.
    pub events: u64,
    /// How often each is measured; the median counts.
    pub runs: usize,
    /// What the events are made from.
    pub generator: Generator,
    /// How many events a second are read, whatever becomes of them; as many as possible if there is no
    /// number.
    pub rate: Option<f64>,
    /// Whether the results are compared with a computation of all events at once.
    pub verify: bool,
    /// Where the results are written, a file a query.
    pub output: Option<PathBuf>,
    /// Where `q10` writes its files while it runs, and where those are that events come through.
    pub directory: PathBuf,
    /// What the events come through.
    pub via: Via,
    /// The brokers that they come through, if they do; embedded ones if there is no address.
    pub brokers: Option<String>,
}

/// The names that a list of queries stands for: `q5,q7`, or `all`.
pub fn queries(list: &str) -> Result<Vec<String>, Error> {
    if list == "all" {
        return Ok(NAMES.iter().map(|&name| name.to_owned()).collect());
    }
    list.split(',')
        .map(|name| match NAMES.contains(&name.trim()) {
            true => Ok(name.trim().to_owned()),
            false => {
                let known = format!("there are {}, and all", NAMES.join(", "));
                Err(Error::new(Kind::Usage, format!("there is no query `{name}`")).hint(known))
            }
        })
        .collect()
}

/// What one process has to say at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Told {
    /// The making of the events alone, by run.
    making: Vec<Measured>,
    /// By query and run.
    queries: Vec<Vec<Measured>>,
    /// By query, if the results are verified.
    sums: Vec<Sum>,
}

impl Suite {
    /// Runs everything. The report is there on process 0 of the job only.
    pub fn run(self, args: LaunchArgs) -> Result<Option<Report>, Error> {
        if self.rate.is_some() && self.via != Via::Memory {
            let message = "events come at a rate only from memory";
            return Err(Error::new(Kind::Usage, message).hint("leave out --rate, or --via"));
        }
        let load = machine::load();
        match self.via {
            Via::Memory => self.through(args, Through::Memory, load),
            Via::File => {
                let directory = self.directory.join("events");
                self.through(args, Through::Files(directory), load)
            }
            Via::Kafka => self.through_kafka(args, load),
        }
    }

    #[cfg(feature = "kafka")]
    fn through_kafka(self, args: LaunchArgs, load: Option<f64>) -> Result<Option<Report>, Error> {
        use super::kafka::{Brokers, fill, one_process};

        one_process(&args)?;
        let brokers = Brokers::at(self.brokers.clone())?;
        let topic = brokers.topic("nexmark", args.workers)?;
        fill(&topic, self.events, |number, into| {
            let event = self.generator.event(number);
            serde_json::to_writer(into, &Text(&event)).expect("an event is written to memory");
        })?;
        let config = Box::new(topic.source("nexmark"));
        self.through(args, Through::Topic(config), load)
    }

    #[cfg(not(feature = "kafka"))]
    fn through_kafka(self, _: LaunchArgs, _: Option<f64>) -> Result<Option<Report>, Error> {
        let message = "this build has no Kafka: --via kafka needs the feature `kafka`";
        Err(Error::new(Kind::Usage, message))
    }

    fn through(
        self,
        mut args: LaunchArgs,
        through: Through,
        load: Option<f64>,
    ) -> Result<Option<Report>, Error> {
        args.job = "tiderace-nexmark".to_owned();
        // Results that are wrong are wrong the second time, too.
        args.max_restarts = 0;
        let (workers, processes) = (args.workers, args.processes.unwrap_or(1));
        let suite = Arc::new(self);
        let stage = Arc::new(Stage::new(workers));
        let on_workers = suite.clone();
        let outcome = execute_with(args, move |worker| {
            let told = run::all(worker, &on_workers, &through, &stage)?;
            if let Some(told) = told {
                stage::tell(worker, &told)?;
            }
            Ok(())
        })?;
        let Outcome::Finished { process, .. } = outcome else { return Ok(None) };
        if process.index() != 0 {
            return Ok(None);
        }
        let told = gather(&process)?;
        let wrong = if suite.verify { suite.wrong(&told.sums) } else { Vec::new() };
        Ok(Some(Report::new(&suite, &told, &wrong, (workers, processes), load)))
    }

    /// The queries whose results are not what all events at once come to.
    fn wrong(&self, sums: &[Sum]) -> Vec<String> {
        let events: Vec<Event> = (0..self.events).map(|n| self.generator.event(n)).collect();
        let names = self.queries.iter().zip(sums);
        let wrong = names.filter(|(name, sum)| visit(name, Naive(&events)) != Some(**sum));
        wrong.map(|(name, _)| name.clone()).collect()
    }
}

/// Sums up what all processes said.
fn gather(process: &Process) -> Result<Told, Error> {
    let mut all = Told::default();
    for told in stage::told::<Told>(process)? {
        if all.making.is_empty() {
            all = told;
            continue;
        }
        let join = |all: &mut Vec<Measured>, more: Vec<Measured>| {
            all.iter_mut().zip(more).for_each(|(one, other)| *one = one.and(other));
        };
        join(&mut all.making, told.making);
        all.queries.iter_mut().zip(told.queries).for_each(|(one, other)| join(one, other));
        all.sums.iter_mut().zip(told.sums).for_each(|(one, other)| one.merge(&other));
    }
    Ok(all)
}

/// Sums up the answer of a query, computed from all events at once.
struct Naive<'a>(&'a [Event]);

impl Visit for Naive<'_> {
    type Out = Sum;

    fn visit<Q: Query>(self) -> Sum {
        let (mut sum, mut buffer) = (Sum::default(), Vec::new());
        for row in Q::naive(self.0) {
            let (row, times) = Q::compared(&row);
            sum.add(&row, times, &mut buffer);
        }
        sum
    }
}
