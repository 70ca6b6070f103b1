//! What `run` says at the end: what became of everything that was read.

use crate::config::plan::Checked;
use crate::observe::Status;

/// The final ledger.
pub(super) fn text(plan: &Checked, status: &Status, stopped: bool) -> String {
    let ledger = status.ledger;
    let how = if stopped { "stopped as asked" } else { "the input has ended" };
    let mut text = format!("{}: {how}\n", plan.name);
    let mut line = |name: &str, count: u64, more: &str| {
        text += &format!("  {name:<12} {:>12}{more}\n", thousands(count));
    };
    line("read", ledger.read, "");
    for (name, count) in [
        ("filtered", ledger.filtered),
        ("late", ledger.late),
        ("duplicate", ledger.duplicate),
        ("rejected", ledger.rejected),
    ] {
        line(name, count, "");
    }
    let sum = |kind: &str, count: fn(&tiderace_operators::observe::Counts) -> u64| -> u64 {
        status.operators.iter().filter(|op| op.kind == kind).map(|op| count(&op.counts)).sum()
    };
    line("results", sum("sink", |counts| counts.output), "");
    for sink in status.operators.iter().filter(|op| op.kind == "sink") {
        let name = sink.name.strip_prefix("sink ").unwrap_or(&sink.name);
        line("", sink.counts.output, &format!("  rows to sink {name}"));
    }
    let (windows, keys) =
        (sum("window", |counts| counts.open), sum("window", |counts| counts.held));
    if windows > 0 {
        let more = format!("  results in {} open windows are lost", thousands(windows));
        line("held", keys, &more);
    }
    let remembered = sum("dedup", |counts| counts.held);
    if remembered > 0 {
        line("held", remembered, "  keys that dedup remembered are lost");
    }
    if let Some(lag) = status.lag {
        line("lag", lag, "  records not read");
    }
    text
}

/// What does not add up, if anything: nothing may be lost in silence.
pub(super) fn mistakes(status: &Status) -> Option<String> {
    let off = status.unbalanced();
    let names: Vec<_> = off.keys().map(|name| format!("`{name}`")).collect();
    for (name, counts) in &off {
        tracing::error!(operator = name, ?counts, "the books do not balance");
    }
    (!names.is_empty()).then(|| format!("the books of {} do not balance", names.join(", ")))
}

/// `1234567` as `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_in_threes() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
