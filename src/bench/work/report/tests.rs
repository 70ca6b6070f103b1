use super::*;
use crate::bench::Measured;
use crate::bench::work::Suite;
use tiderace_work::Totals;

fn plan() -> Plan {
    let (events, keys) = (Some(1_000), vec![10]);
    let suite =
        Suite { work: "window".to_owned(), events, keys, skew: 0, runs: 2, progress: false };
    suite.plan().unwrap()
}

/// Two runs of every row, all of which give the same and take 100 ns an event, the making 20.
fn told(plan: &Plan) -> Told {
    let of_row = |row: &Row| {
        let nanos = if row.floor.is_none() && row.name.contains("making") { 20 } else { 100 };
        let cpu = nanos * row.load(plan.load(10)).events;
        let measured = Measured { wall: 2 * cpu, cpu, memory: 3 << 20, sent: 7 };
        let slower = Measured { wall: 3 * cpu, cpu: 2 * cpu, ..measured };
        let totals = Totals { results: 7, sum: 1 };
        vec![Run { measured: slower, totals }, Run { measured, totals }]
    };
    vec![(plan.work.rows)().iter().map(of_row).collect()]
}

#[test]
fn the_best_run_counts() {
    let plan = plan();
    let report = Report::new(&plan, &told(&plan));
    let of_keys = &report.keys[0];
    assert_eq!((of_keys.keys, of_keys.making), (10, 20.0));
    let line = of_keys.rows.iter().find(|line| line.row == "tumbling").unwrap();
    assert_eq!((line.nanos, line.without_making, line.per_second), (100.0, 80.0, 5e6));
    let floor = line.floor.as_ref().unwrap();
    assert_eq!((floor.row.as_str(), floor.times, floor.without_making), ("bare loop", 1.0, 1.0));
    assert_eq!((line.results, line.memory, line.right), (7, 3.0, Some(true)));
    assert!(report.is_right());
    let table = report.table();
    assert!(table.contains("best of 2") && !table.contains("WRONG"), "{table}");
    assert!(table.contains("sliding count 60:1 takes 1.00 times tumbling"), "{table}");
}

#[test]
fn a_wrong_result_of_any_run_is_told() {
    let plan = plan();
    let at = (plan.work.rows)().iter().position(|row| row.name == "tumbling").unwrap();
    for run in 0..2 {
        let mut told = told(&plan);
        told[0][at][run].totals.sum += 1;
        let report = Report::new(&plan, &told);
        assert!(!report.is_right());
        let wrong = |line: &&Line| line.right == Some(false);
        let wrong: Vec<&str> =
            report.keys[0].rows.iter().filter(wrong).map(|line| line.row.as_str()).collect();
        assert_eq!(wrong, ["tumbling"]);
        assert_eq!(report.table().matches("WRONG").count(), 1);
    }
}

#[test]
fn a_floor_that_is_not_always_the_same_makes_its_rows_wrong() {
    let plan = plan();
    let at = (plan.work.rows)().iter().position(|row| row.name == "bare loop").unwrap();
    let mut told = told(&plan);
    told[0][at][1].totals.results += 1;
    assert!(!Report::new(&plan, &told).is_right());
}
