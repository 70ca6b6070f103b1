//! The rows as bars.

use super::Report;
use crate::bench::plot::{Bar, Bars, Group};

/// Events in a second of processor time, by number of keys and of workers.
pub fn chart(reports: &[Report]) -> String {
    let group = |report: &Report, of: &super::OfKeys| {
        let workers = match reports.len() {
            1 => String::new(),
            _ => format!(", {} workers", report.workers),
        };
        let bar = |line: &super::Line| {
            let value = if line.nanos > 0.0 { 1e9 / line.nanos } else { f64::NAN };
            Bar { name: line.row.clone(), value, floor: line.floor.is_none() }
        };
        let name = format!("{} keys{workers}", of.keys);
        Group { name, bars: of.rows.iter().map(bar).collect() }
    };
    let groups = reports.iter().flat_map(|report| report.keys.iter().map(move |of| (report, of)));
    let groups = groups.map(|(report, of)| group(report, of)).collect();
    let title = match reports {
        [one] => format!("{}, {} × {} workers", one.work, one.processes, one.workers),
        _ => reports.first().map_or(String::new(), |first| first.work.clone()),
    };
    let title = title + ": bare loops, and the operators beside them";
    Bars { title, unit: "events in a second of processor time".to_owned(), groups }.svg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::work::{Line, OfKeys};

    #[test]
    fn every_row_is_there() {
        let line = |row: &str, nanos| Line { row: row.to_owned(), nanos, ..Line::default() };
        let rows = vec![line("bare loop", 10.0), line("tumbling", 20.0), line("none", 0.0)];
        let keys = vec![OfKeys { keys: 1_000, making: 0.0, rows }];
        let report = Report { work: "window".to_owned(), workers: 2, keys, ..Report::default() };
        let svg = chart(&[report]);
        for text in ["bare loop", "tumbling", ">100M<", ">50M<", "1000 keys", "window"] {
            assert!(svg.contains(text), "{text} in {svg}");
        }
        assert!(!svg.contains("inf") && !svg.contains("NaN"));
    }
}
