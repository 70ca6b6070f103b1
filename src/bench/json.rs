//! JSON in memory into windows: beside the parser alone.

use std::sync::Arc;

use serde::Serialize;

use super::cost::COLUMNS;
use super::feed::Feed;
use super::lines::Lines;
use super::reading::{Full, Reading, Readings};
use super::windowed::{finished, times, windowed};
use super::{Cost, Tally, machine};
use crate::decode::json::Json;
use crate::decode::{Decode, NoHeaders, Raw};
use crate::error::{Error, Kind, Result};
use crate::runtime::{LaunchArgs, execute_with};

/// What is run.
#[derive(Clone, Debug)]
pub struct Parsing {
    /// How many events there are.
    pub events: u64,
    /// How many keys.
    pub keys: u64,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many events there were.
    pub events: u64,
    /// Bytes in an event, on average.
    pub bytes: f64,
    /// Keys.
    pub keys: u64,
    /// Worker threads, and threads that parse.
    pub workers: usize,
    /// The load of the machine before the start.
    pub load: Option<f64>,
    /// Results of windows.
    pub results: u64,
    /// Whether they are what a loop over the events gives.
    pub right: bool,
    /// The parser alone, for all seven fields, borrowed.
    pub all_fields: Cost,
    /// The decoder of the engine alone, for the three fields that are used: the least.
    pub parser: Cost,
    /// The engine.
    pub engine: Cost,
    /// How much of the engine's processor time is the parser's.
    pub share: f64,
    /// The engine's rate as a share of the parser's.
    pub share_of_rate: f64,
}

impl Parsing {
    /// Makes the events, parses them, has the engine do it, and compares its results with a loop's.
    pub fn run(&self, args: &LaunchArgs) -> Result<Report> {
        if args.processes.is_some() {
            let message = "this is measured in one process: the events are in its memory";
            return Err(Error::new(Kind::Usage, message).hint("-w N gives it more workers"));
        }
        let (load, readings) = (machine::load(), Readings { keys: self.keys });
        let lines = Lines::new(self.events, args.workers, |n, into| readings.json(n, into));
        let all_fields = each(&lines, "serde_json, all fields borrowed", self.events, |line| {
            let full: Result<Full<'_>, _> = serde_json::from_slice(line);
            full.map_err(|error| bad(&error.to_string()))
        })?;
        let parser = parser(&lines, self.events)?;
        let tally = Arc::new(Tally::default());
        let (engine, ()) = Cost::of("JSON, windows", self.events, || {
            engine(args, lines.clone(), readings, &tally)
        })?;
        Ok(Report {
            events: self.events,
            bytes: lines.mean(),
            keys: self.keys,
            workers: args.workers,
            load,
            results: tally.sent(),
            right: tally.sum() == readings.by_a_loop(self.events),
            share: engine.share_of(&parser),
            share_of_rate: engine.per_second / parser.per_second,
            all_fields,
            parser,
            engine,
        })
    }
}

/// Runs the pipeline on lines in memory.
fn engine(args: &LaunchArgs, lines: Lines, readings: Readings, tally: &Arc<Tally>) -> Result<()> {
    let tally = tally.clone();
    let outcome = execute_with(args.clone(), move |worker| {
        worker.dataflow(|flow| {
            let make = |context: crate::source::SourceContext| {
                let (lines, mut json, end) = (lines.clone(), Json::<Reading>::new(), lines.count());
                let make = move |number| decode(&mut json, lines.get(number)).expect("it was ours");
                Ok(Feed::new(make, end, None, &context))
            };
            let source = flow.source("readings", make, times(readings));
            windowed(flow, &source.events, tally.clone());
        });
        Ok(())
    })?;
    finished(outcome)
}

/// The engine's decoder alone on so many events: the lines, again from the first if they are fewer.
pub fn parser(lines: &Lines, events: u64) -> Result<Cost> {
    each(lines, "decoder alone", events, |line| decode(&mut Json::<Reading>::new(), line))
}

/// Decodes a line as a source does.
#[inline]
fn decode<D: Decode>(decoder: &mut D, line: &[u8]) -> Result<D::Record> {
    let (payload, headers) = (Some(line), &NoHeaders);
    let raw: Raw<'_> =
        Raw { payload, key: None, headers, timestamp: None, partition: 0, offset: 0 };
    decoder.decode(raw).map_err(|reject| bad(&reject.message))
}

fn bad(why: &str) -> Error {
    Error::new(Kind::Bug, format!("an event of the benchmark is no JSON: {why}"))
}

/// Does something to each line, on a thread for each reader.
fn each<'a, T: 'a>(
    lines: &'a Lines,
    name: &str,
    events: u64,
    parse: impl Fn(&'a [u8]) -> Result<T> + Sync,
) -> Result<Cost> {
    let share = |reader: usize| {
        let readers = lines.readers() as u64;
        let mine = (events + readers - 1 - reader as u64) / readers;
        let mine = lines.of(reader).cycle().take(mine as usize);
        mine.map(&parse)
            .try_for_each(|parsed| parsed.map(|parsed| drop(std::hint::black_box(parsed))))
    };
    let (cost, ()) = Cost::of(name, events, || {
        std::thread::scope(|scope| {
            let share = &share;
            let readers = 0..lines.readers();
            let threads: Vec<_> =
                readers.map(|reader| scope.spawn(move || share(reader))).collect();
            let panicked = |_| Err(Error::new(Kind::Bug, "a thread that parsed panicked"));
            threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(panicked))
        })
    })?;
    Ok(cost)
}

impl Report {
    /// The results as a table.
    pub fn table(&self) -> String {
        let Report { events, bytes, keys, workers, results, .. } = self;
        let load = machine::load_text(self.load);
        let mut text = format!(
            "JSON in memory: {events} events of {bytes:.0} bytes, {keys} keys, {workers} workers, \
             load {load} before the start\n\n{COLUMNS}"
        );
        for cost in [&self.all_fields, &self.parser, &self.engine] {
            text.push_str(&cost.line());
        }
        let right = if self.right { "right" } else { "WRONG" };
        text.push_str(&format!(
            "\nthe decoder is {:.2} of the engine's processor time; {:.2} of its rate\n\
             {results} results, {right}\n",
            self.share, self.share_of_rate
        ));
        text
    }
}
