//! The rows of a work on the workers of a process.

use std::sync::Arc;

use super::{Plan, Run, Told};
use crate::bench::progress::Progress;
use crate::bench::stage::{Stage, finish, leads, measure, together};
use crate::error::Error;
use crate::runtime::Worker;
use tiderace_work::{Load, Row, Shared};

/// Runs everything on this worker. One worker of each process has something to tell.
pub fn all(
    worker: &mut Worker<'_>,
    plan: &Plan,
    stage: &Stage<Shared>,
) -> Result<Option<Told>, Error> {
    let rows = (plan.work.rows)();
    let mut told = vec![vec![Vec::new(); rows.len()]; plan.keys.len()];
    let steps = plan.keys.len() * plan.runs * rows.len();
    let mut progress = Progress::new(plan.progress && worker.index() == 0, steps);
    for (&keys, of_keys) in plan.keys.iter().zip(&mut told) {
        // Run by run, so that a slow moment of the machine does not hit one row alone.
        for _ in 0..plan.runs {
            for (row, of_row) in rows.iter().zip(of_keys.iter_mut()) {
                progress.step(&format!("{}, {keys} keys", row.name));
                of_row.push(once(worker, row, plan.load(keys), stage)?);
            }
        }
    }
    Ok(leads(worker).then_some(told))
}

/// Runs a row to its end. All processes begin together.
fn once(
    worker: &mut Worker<'_>,
    row: &Row,
    load: Load,
    stage: &Stage<Shared>,
) -> Result<Run, Error> {
    stage.reset(worker, Shared::default());
    together(worker)?;
    let into: Arc<Shared> = stage.tally();
    let results = |shared: &Shared| shared.totals().results;
    let measured = measure(worker, stage, results, |worker| {
        let tick = worker.process().tick();
        worker.timely().dataflow(|scope| row.start(scope, load, tick, &into));
        finish(worker, row.name)
    })?;
    Ok(Run { measured, totals: into.totals() })
}
