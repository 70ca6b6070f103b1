//! The queries on the workers of a process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use timely::dataflow::operators::Inspect;

use super::by_minute::ByMinute;
use super::via::Through;
use super::{Suite, Told};
use crate::bench::stage::{Stage, leads, measure};
use crate::bench::{Sum, Tally};
use crate::error::{Error, Kind};
use crate::prelude::*;
use crate::runtime::Worker;
use crate::source::iter::IterSource;
use tiderace_nexmark::{Answer, Bid, House, Query, Row, Visit, visit};

/// How often a worker with nothing to do looks around.
const LOOK: Duration = Duration::from_millis(100);

/// Runs everything on this worker. One worker of each process has something to tell.
pub fn all(
    worker: &mut Worker<'_>,
    suite: &Suite,
    through: &Through,
    stage: &Stage,
) -> Result<Option<Told>, Error> {
    let mut told = Told::default();
    through.prepare(worker, suite)?;
    for _ in 0..suite.runs {
        told.making
            .push(measure(worker, stage, Tally::sent, |worker| through.drain(worker, suite))?);
    }
    told.queries.resize(suite.queries.len(), Vec::new());
    // Run by run, so that a slow moment of the machine does not hit one query alone.
    for _ in 0..suite.runs {
        for (query, measured) in suite.queries.iter().zip(&mut told.queries) {
            stage.reset(worker, Tally::default());
            measured.push(measure(worker, stage, Tally::sent, |worker| {
                run(worker, suite, through, stage, query, false)
            })?);
        }
    }
    if suite.verify || suite.output.is_some() {
        for query in &suite.queries {
            let kept = if suite.output.is_some() { Tally::keeping() } else { Tally::default() };
            stage.reset(worker, kept);
            run(worker, suite, through, stage, query, true)?;
            stage.meet();
            told.sums.push(stage.tally().sum());
            if leads(worker)
                && let Some(directory) = &suite.output
            {
                write(directory, query, worker, &stage.tally())?;
            }
        }
    }
    Ok(leads(worker).then_some(told))
}

/// Runs a query to its end.
fn run(
    worker: &mut Worker<'_>,
    suite: &Suite,
    through: &Through,
    stage: &Stage,
    query: &str,
    checked: bool,
) -> Result<(), Error> {
    let tally = stage.tally();
    visit(query, Build { worker, suite, through, tally, checked }).expect("the names were checked");
    while worker.timely().step_or_park(Some(LOOK)) {
        if worker.process().failed() {
            return Err(Error::new(Kind::Failed, format!("{query} has failed")));
        }
    }
    Ok(())
}

struct Build<'a, 'w> {
    worker: &'a mut Worker<'w>,
    suite: &'a Suite,
    through: &'a Through,
    tally: Arc<Tally>,
    checked: bool,
}

impl Visit for Build<'_, '_> {
    type Out = ();

    fn visit<Q: Query>(self) {
        let Build { worker, suite, through, tally, checked } = self;
        dataflow(worker, suite, through, &mut |flow, house| {
            let tally = tally.clone();
            match Q::build(house) {
                Answer::Rows(rows) => {
                    let rows = rows.parts().0.inspect_batch(move |_, rows| {
                        tally.count(rows.len());
                        if checked {
                            check::<Q>(&tally, rows.iter().map(|row| (&row.data, 1)));
                        }
                    });
                    flow.watch(rows);
                }
                Answer::Changes(changes) => {
                    let rows = changes.events().parts().0.inspect_batch(move |_, rows| {
                        tally.count(rows.len());
                        if checked {
                            let of = |change: &Change<Q::Row>| change.diff;
                            let rows = rows.iter().map(|row| (&row.data.data, of(&row.data)));
                            check::<Q>(&tally, rows);
                        }
                    });
                    flow.watch(rows);
                }
            }
        });
    }
}

/// Builds a dataflow. One for all queries, so that everything around them is compiled once.
fn dataflow(
    worker: &mut Worker<'_>,
    suite: &Suite,
    through: &Through,
    build: &mut dyn for<'scope> FnMut(&Flow<'scope>, &House<'scope>),
) {
    worker.dataflow(|flow| build(flow, &house(flow, suite, through)));
}

/// What a query may ask for.
fn house<'scope>(flow: &Flow<'scope>, suite: &Suite, through: &Through) -> House<'scope> {
    let (events, directory) = (through.source(flow, suite), suite.directory.clone());
    let (of_table, of_files) = (flow.clone(), flow.clone());
    let table = move |rows: u64, value: fn(u64) -> u64| {
        let rows = IterSource::new("table", move |worker, peers| {
            (worker as u64..rows).step_by(peers).map(move |key| (key, Some(value(key))))
        });
        let always = |_: &(u64, Option<u64>)| EventTime::from_micros(0);
        let times = event_time(always).never_idle();
        of_table.source("table", move |context| rows.build(context), times).events
    };
    let files = move |bids: &Events<'scope, u64, Bid>| {
        let directory = directory.clone();
        of_files.sink("files", bids, |context| ByMinute::new(directory, context.worker));
    };
    House { events, table: Box::new(table), files: Box::new(files) }
}

/// Sums up rows, and keeps them if they are kept.
fn check<'a, Q: Query>(tally: &Tally, rows: impl Iterator<Item = (&'a Q::Row, i64)> + Clone)
where
    Q::Row: Row + 'a,
{
    let (mut sum, mut buffer) = (Sum::default(), Vec::new());
    for (row, diff) in rows.clone() {
        let (row, times) = Q::compared(row);
        sum.add(&row, times * diff, &mut buffer);
    }
    tally.add(&sum);
    tally.keep(rows);
}

fn write(directory: &Path, query: &str, worker: &Worker<'_>, tally: &Tally) -> Result<(), Error> {
    let process = worker.process();
    let name = match process.processes() {
        1 => format!("{query}.ndjson"),
        _ => format!("{query}.{}.ndjson", process.index()),
    };
    let path = directory.join(name);
    let mut text = tally.rows().join("\n");
    text.push('\n');
    let written = std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&path, text));
    written.map_err(|error| {
        Error::new(Kind::Storage, format!("cannot write {}", path.display())).caused_by(error)
    })
}
