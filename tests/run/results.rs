//! What comes out: the same rows whatever the number of workers, and every other row counted.

use crate::command::Folder;

/// Readings of three files, a few seconds out of order, some late, with what is expected of them.
fn readings(folder: &Folder) {
    for file in 0..3_i64 {
        let mut text = String::new();
        for n in 0..2_000_i64 {
            // Up to 1.9 s behind; every hundredth is a minute behind, which is too late.
            let wobble = (n * 7_919 + file * 13) % 1_900;
            let behind = if n > 600 && n % 100 == 0 { 60_000 } else { wobble };
            let at = 1_000_000 + n * 100 - behind;
            let celsius = ((n * 31 + file * 7) % 400) as f64 / 10.0 - 10.0;
            let sensor = (n + file) % 7;
            text += &format!("{{\"at\":{at},\"sensor\":\"s{sensor}\",\"celsius\":{celsius}}}\n");
        }
        folder.write(&format!("in{file}.jsonl"), &text);
    }
}

const WINDOWS: &str = "
name: windows
sources:
  readings:
    file: { path: [in0.jsonl, in1.jsonl, in2.jsonl, empty.jsonl] }
    time: { field: at, behind: 2s }
steps:
  warm:
    from: readings
    keep: celsius > -5.0
  per_ten:
    from: warm
    key: sensor
    window: { tumbling: 10s }
    aggregate: { n: count(), sum: sum(celsius), mean: mean(celsius), low: min(celsius), high: max(celsius) }
sinks:
  results: { from: per_ten, file: { path: out.jsonl } }
  late: { from: per_ten.late, file: { path: late.jsonl } }
";

#[test]
fn windows_are_the_same_on_any_number_of_workers() {
    let folder = Folder::with(WINDOWS);
    readings(&folder);
    folder.write("empty.jsonl", "");
    let mut first: Option<(Vec<String>, Vec<String>)> = None;
    for args in
        [&["-w", "1"][..], &["-w", "2"], &["-w", "5"], &["-n", "2", "-w", "1"], &["-w", "8"]]
    {
        folder.clear("out");
        folder.clear("late");
        let ended = folder.run(args);
        ended.expect(0, &["windows: the input has ended", "open windows are lost"]);
        assert!(!ended.talk.contains("at-least-once"), "{}", ended.talk);
        let (out, late) = (folder.lines("out"), folder.lines("late"));
        assert_eq!(ended.ledger("read"), 6_000, "{args:?}");
        assert_eq!(ended.ledger("late"), late.len() as u64, "{args:?}");
        assert_eq!(ended.ledger("results"), (out.len() + late.len()) as u64, "{args:?}");
        let counted: u64 = out.iter().map(|line| field(line, "n").as_u64().unwrap()).sum();
        assert_eq!(counted + late.len() as u64 + ended.ledger("filtered"), 6_000, "{args:?}");
        match &first {
            None => {
                assert!(!late.is_empty() && out.len() > 100, "{} late", late.len());
                first = Some((out, late));
            }
            Some(first) => assert!(*first == (out, late), "{args:?}"),
        }
    }
}

fn field(line: &str, name: &str) -> serde_json::Value {
    serde_json::from_str::<serde_json::Value>(line).unwrap()[name].clone()
}

#[test]
fn a_straggler_inside_the_delay_counts_and_one_behind_it_is_late() {
    let folder = Folder::with(
        "
sources:
  readings: { file: { path: in.jsonl }, time: { field: at, behind: 5s } }
steps:
  per_minute:
    from: readings
    key: sensor
    window: { tumbling: 1m }
    aggregate: { n: count(), mean: mean(celsius) }
sinks:
  out: { from: per_minute, stdout: {} }
  late: { from: per_minute.late, file: { path: late.jsonl } }
",
    );
    let rows = [(10_000, 20.0), (64_000, 30.0), (59_500, 22.0), (66_000, 31.0), (50_000, 99.0)];
    let line = |(at, c)| format!("{{\"sensor\":\"a\",\"at\":{at},\"celsius\":{c},\"more\":[1]}}\n");
    folder.write("in.jsonl", &rows.map(line).concat());
    let ended = folder.run(&[]);
    ended.expect(0, &[]);
    assert_eq!(
        ended.out,
        "{\"sensor\":\"a\",\"window_start\":0,\"window_end\":60000,\"n\":2,\"mean\":21.0}\n\
         {\"sensor\":\"a\",\"window_start\":60000,\"window_end\":120000,\"n\":2,\"mean\":30.5}\n"
    );
    // Late rows come out whole, with the fields nobody asked for.
    assert_eq!(folder.lines("late"), [line((50_000, 99.0)).trim_end()]);
}

#[test]
fn stateless_steps_and_dedup() {
    let folder = Folder::with(
        "
sources:
  in: { file: { path: in.jsonl }, time: { field: at, behind: 10s } }
steps:
  once: { from: in, dedup: { key: id, within: 1m } }
  with: { from: once, set: { double: n * 2, share: 100 / n } }
  few: { from: with, select: [id, double, share] }
  big: { from: few, keep: double > 2 }
sinks:
  out: { from: big, file: { path: out.jsonl } }
  copies: { from: once.duplicates, file: { path: copies.jsonl } }
  failed: { from: with.rejects, file: { path: failed.jsonl } }
",
    );
    let rows = [(1, 1, 5), (2, 2, 1), (1, 3, 5), (3, 4, 0), (4, 5, 10)];
    let line = |(id, at, n)| format!("{{\"id\":{id},\"at\":{},\"n\":{n}}}\n", at * 1_000);
    folder.write("in.jsonl", &rows.map(line).concat());
    for workers in ["1", "3"] {
        for file in ["out", "copies", "failed"] {
            folder.clear(file);
        }
        let ended = folder.run(&["-w", workers]);
        ended.expect(0, &[]);
        let expected = [r#"{"id":1,"double":10,"share":20}"#, r#"{"id":4,"double":20,"share":10}"#];
        assert_eq!(folder.lines("out"), expected);
        assert_eq!(folder.lines("copies"), [line((1, 3, 5)).trim_end()]);
        let failed = folder.lines("failed");
        assert_eq!(failed.len(), 1);
        assert_eq!(field(&failed[0], "class"), "expression");
        assert!(failed[0].contains("division by zero"), "{failed:?}");
        let counts = ["read", "filtered", "duplicate", "rejected"].map(|name| ended.ledger(name));
        assert_eq!(counts, [5, 1, 1, 1]);
    }
}

#[test]
fn what_cannot_be_used_is_counted_and_written() {
    let folder = Folder::with(
        "
sources:
  in: { file: { path: in.jsonl }, time: { field: at } }
steps:
  sums: { from: in, key: k, window: { tumbling: 1s }, aggregate: { s: sum(v) } }
sinks:
  out: { from: sums, stdout: {} }
  rejects: { from: [in.rejects, sums.rejects], file: { path: rejects.jsonl } }
",
    );
    folder.write(
        "in.jsonl",
        "{\"at\":1,\"k\":1,\"v\":2}\nnot json\n{\"k\":1,\"v\":2}\n{\"at\":\"noon\",\"v\":1}\n\
         {\"at\":2,\"k\":1,\"v\":\"two\"}\n{\"at\":3,\"k\":1,\"v\":null}\n{\"at\":4,\"k\":1.0,\"v\":1}\n",
    );
    let ended = folder.run(&[]);
    ended.expect(0, &[]);
    assert_eq!(ended.ledger("rejected"), 4);
    let mut classes: Vec<_> =
        folder.lines("rejects").iter().map(|line| field(line, "class")).collect();
    classes.sort_by_key(|class| class.to_string());
    assert_eq!(classes, ["bad-time", "json", "missing-time", "type"]);
    let mut out: Vec<_> = ended.out.lines().collect();
    out.sort_unstable();
    assert_eq!(out.len(), 2, "{out:?}");
    assert!(out[0].contains("\"k\":1,") && out[0].contains("\"s\":2"), "{out:?}");
    assert!(out[1].contains("\"k\":1.0,") && out[1].contains("\"s\":1"), "{out:?}");

    let strict = std::fs::read_to_string(folder.path("p.yaml")).unwrap();
    folder.write(
        "p.yaml",
        &strict.replace("time: { field: at }", "time: { field: at }, max_failures: 2"),
    );
    folder.run(&[]).expect(65, &["in"]);
}

#[test]
fn a_record_a_day_ahead_makes_nothing_else_late() {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    let line = |at: i64| format!("{{\"at\":{at},\"k\":\"a\"}}\n");
    let mut text = line(now - 50_000);
    text += &line(now + 86_400_000);
    text += &(0..100).map(|n| line(now - 49_000 + n * 10)).collect::<String>();
    let pipeline = |skew: &str| {
        format!(
            "
sources:
  in: {{ file: {{ path: in.jsonl }}, time: {{ field: at, behind: 1s, max_future_skew: {skew} }} }}
steps:
  counts: {{ from: in, key: k, window: {{ tumbling: 1s }}, aggregate: {{ n: count() }} }}
sinks:
  out: {{ from: counts, stdout: {{}} }}
"
        )
    };
    let guarded = Folder::with(&pipeline("1m"));
    guarded.write("in.jsonl", &text);
    let ended = guarded.run(&[]);
    ended.expect(0, &[]);
    assert_eq!((ended.ledger("read"), ended.ledger("late")), (102, 0));
    // Without the guard the same input is late, so the guard is what helped.
    let trusting = Folder::with(&pipeline("off"));
    trusting.write("in.jsonl", &text);
    assert_eq!(trusting.run(&[]).ledger("late"), 100);
}
