//! What more workers bring.

use super::Report;
use crate::bench::machine;

/// A table of events a second by row and number of workers, with the speed-up over the first and the
/// share of it that each worker brings. Floors are left out: they are loops on one thread.
pub fn scaling(reports: &[Report]) -> String {
    let Some(first) = reports.first() else { return String::new() };
    let mut text = String::new();
    for (at_keys, of_keys) in first.keys.iter().enumerate() {
        text.push_str(&format!("{:<30}", format!("{} keys", of_keys.keys)));
        for report in reports {
            text.push_str(&format!("{:>26}", format!("{} workers", report.workers)));
        }
        text.push('\n');
        let rows = of_keys.rows.iter().enumerate();
        for (at, line) in rows.filter(|(_, line)| line.floor.is_some()) {
            text.push_str(&format!("{:<30}", line.row));
            for report in reports {
                let speed = report.keys[at_keys].rows[at].per_second;
                let more = speed / line.per_second;
                let share = more * first.workers as f64 / report.workers as f64;
                let cell = format!("{:.2} M/s {more:.2}x {:.0} %", speed / 1e6, share * 100.0);
                text.push_str(&format!("{cell:>26}"));
            }
            text.push('\n');
        }
    }
    // Those after the first find a machine that was busy with the ones before.
    if !machine::is_quiet(first.load) {
        text.push_str("speed-up not measured: the machine was busy before the start\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::work::{Beside, Line, OfKeys};

    fn report(workers: usize, per_second: f64, load: f64) -> Report {
        let (row, times) = ("bare loop".to_owned(), 1.0);
        let floor = Beside { row, times, without_making: times };
        let (row, floor) = ("tumbling".to_owned(), Some(floor));
        let line = Line { row, per_second, floor, ..Line::default() };
        let loops = Line { row: "bare loop".to_owned(), floor: None, ..line.clone() };
        let keys = vec![OfKeys { keys: 10, making: 0.0, rows: vec![loops, line] }];
        Report { workers, load: Some(load), keys, ..Report::default() }
    }

    #[test]
    fn speed_up_and_the_share_of_each_worker() {
        let text = scaling(&[report(1, 2e6, 0.1), report(4, 6e6, 1.0)]);
        assert!(text.contains("6.00 M/s 3.00x 75 %"), "{text}");
        assert!(!text.contains("not measured") && !text.contains("bare loop"), "{text}");
        assert_eq!(scaling(&[]), "");
    }

    #[test]
    fn a_busy_machine_measures_no_speed_up() {
        let text = scaling(&[report(1, 2e6, 0.6), report(2, 2e6, 0.1)]);
        assert!(text.contains("speed-up not measured"), "{text}");
    }
}
