//! What more workers bring.

use super::Report;
use crate::bench::machine;

/// A table of events a second by query and number of workers, with the speed-up over the first and
/// the share of it that each worker brings.
pub fn scaling(reports: &[Report]) -> String {
    let Some(first) = reports.first() else { return String::new() };
    let mut text = format!("{:<6}", "query");
    for report in reports {
        text.push_str(&format!("{:>24}", format!("{} workers", report.workers)));
    }
    text.push('\n');
    for (at, line) in first.queries.iter().enumerate() {
        text.push_str(&format!("{:<6}", line.query));
        for report in reports {
            let speed = report.queries[at].per_second;
            let (more, share) = gain(line.per_second, first.workers, speed, report.workers);
            let cell = format!("{:.2} M/s {more:.2}x {:.0} %", speed / 1e6, share * 100.0);
            text.push_str(&format!("{cell:>24}"));
        }
        text.push('\n');
    }
    // Those after the first find a machine that was busy with the ones before.
    if !machine::is_quiet(first.load) {
        text.push_str("speed-up not measured: the machine was busy before the start\n");
    }
    text
}

/// How much faster, and which share of that each worker brings.
fn gain(one: f64, workers: usize, other: f64, more_workers: usize) -> (f64, f64) {
    let faster = other / one;
    (faster, faster * workers as f64 / more_workers as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains() {
        assert_eq!(gain(2.0, 1, 6.0, 4), (3.0, 0.75));
        assert_eq!(gain(2.0, 2, 2.0, 2), (1.0, 1.0));
        assert_eq!(scaling(&[]), "");
    }
}
