//! Steps of a plan, each with its side outputs.

use tiderace_operators::dedup::Horizon;
use tiderace_operators::window::{Tumbling, WindowResult};

use super::aggregate::Aggregates;
use super::build::{Rows, Streams};
use super::check;
use super::key::{RowKey, key_of};
use super::stateless::{judge, keep, select, set};
use crate::config::plan::{Component, Door, Operator, Step, Window};
use crate::error::{Error, Kind};
use crate::flow::Flow;
use crate::record::time::in_unit;
use crate::record::{Row, Value};

/// Builds a step.
pub(super) fn build<'scope>(
    _: &Flow<'scope>,
    step: &Step,
    at: Component,
    streams: &mut Streams<'scope>,
) -> Result<(), Error> {
    let rows = streams.united(&step.name, &step.inputs)?;
    let (name, input) = (step.name.as_str(), &step.input);
    let judged = match &step.operator {
        Operator::Union => {
            streams.put(at, Door::Rows, rows);
            return Ok(());
        }
        Operator::Keep(expr) => judge(&rows, name, "keep", input, keep(expr.clone())),
        Operator::Set(fields) => {
            judge(&rows, name, "set", input, set(fields.clone(), step.output.len()))
        }
        Operator::Select(slots) => judge(&rows, name, "select", input, select(slots.clone())),
        Operator::Dedup { key, within, lateness } => {
            let horizon = Horizon::within(*within).late_by(*lateness);
            let once = rows.key_by(key_of(key)).dedup(name, horizon);
            streams.put(at, Door::Rows, once.passed());
            if streams.wants(at, Door::Late) {
                streams.put(at, Door::Late, once.late());
            }
            if streams.wants(at, Door::Duplicates) {
                streams.put(at, Door::Duplicates, once.duplicates());
            }
            return Ok(());
        }
        Operator::Window(window) => return windows(rows, step, window, at, streams),
    };
    streams.put(at, Door::Rows, judged.rows);
    streams.put(at, Door::Rejects, judged.rejects);
    Ok(())
}

/// Windows by key, after a check that the aggregates can take the rows.
fn windows<'scope>(
    rows: Rows<'scope>,
    step: &Step,
    window: &Window,
    at: Component,
    streams: &mut Streams<'scope>,
) -> Result<(), Error> {
    let name = step.name.as_str();
    let micros = window.every.as_micros();
    if micros == 0 || i64::try_from(micros).is_err() {
        let text = format!("step `{name}`: a window of {:?} is none", window.every);
        return Err(Error::new(Kind::Config, text));
    }
    // An operator of its own, so that the window's numbers stay those of the window.
    let check = check::values(&window.aggregates, &step.input);
    let checked = judge(&rows, &format!("{name}.check"), "check", &step.input, check);
    streams.put(at, Door::Rejects, checked.rejects);
    let rows = checked.rows;
    let by = Tumbling::every(window.every).offset_by(window.offset);
    let results = rows
        .key_by(key_of(&window.key))
        .window(by)
        .allow_late(window.lateness)
        .aggregate(name, Aggregates::new(&window.aggregates));
    let unit = window.unit;
    let row = move |result: WindowResult<RowKey, Box<[Value]>>| {
        let WindowResult { key, window, value, .. } = result;
        let mut values = key.values();
        values.reserve_exact(2 + value.len());
        values.push(in_unit(window.start, unit));
        values.push(in_unit(window.end, unit));
        values.extend(value);
        Row::new(values)
    };
    streams.put(at, Door::Rows, results.map(row));
    if streams.wants(at, Door::Late) {
        streams.put(at, Door::Late, results.late());
    }
    Ok(())
}
