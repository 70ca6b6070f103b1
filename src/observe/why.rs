//! What holds event time back, in one sentence.
//!
//! The frontier is the least over all partitions that count. A partition that has not been heard of
//! holds it altogether; otherwise the one that is furthest behind does.

use chrono::{DateTime, SecondsFormat};

use super::board::{PartitionReport, SourceReport};

/// The sentence for these sources.
pub fn why(sources: &[SourceReport]) -> String {
    let all = || sources.iter().flat_map(|s| s.partitions.iter().map(move |p| (s, p)));
    if sources.is_empty() {
        return "No source has reported yet.".to_owned();
    }
    if let Some(waiting) = sources.iter().find(|source| source.waiting_for_sink) {
        let holder = holder(all()).map(|(_, _, sentence)| sentence).unwrap_or_default();
        return format!("Source `{}` waits for a sink to catch up. {holder}", waiting.source)
            .trim_end()
            .to_owned();
    }
    if let Some((source, partition)) = all().find(|(_, p)| p.state == "unknown") {
        return format!(
            "Event time has not begun: partition {} of `{}` has not been heard of.",
            partition.partition, source.source
        );
    }
    match holder(all()) {
        Some((_, _, sentence)) => sentence,
        None if all().any(|(_, p)| p.state == "idle") => {
            "Event time stands: every partition is idle. The next record moves it.".to_owned()
        }
        None if all().next().is_none() => "No partition is being read.".to_owned(),
        None => "Nothing holds event time: the input has ended.".to_owned(),
    }
}

/// The active partition that is furthest behind, and a sentence about it.
fn holder<'a>(
    all: impl Iterator<Item = (&'a SourceReport, &'a PartitionReport)>,
) -> Option<(&'a SourceReport, &'a PartitionReport, String)> {
    let active = all.filter(|(_, p)| p.state == "active" && p.frontier.is_some());
    let (source, p) = active.min_by_key(|(_, p)| p.frontier)?;
    let at = instant(p.frontier?);
    let name = format!("partition {} of `{}`", p.partition, source.source);
    let sentence = if p.caught_up && p.silent_ms > 0 {
        let silent =
            humantime::format_duration(std::time::Duration::from_millis(p.silent_ms / 100 * 100));
        let remedy = match source.idle_after_ms {
            None => "idle_after is off; set `idle_after: 30s` to go on without it".to_owned(),
            Some(ms) => format!(
                "it stops counting after {}",
                humantime::format_duration(std::time::Duration::from_millis(ms))
            ),
        };
        format!("Event time stands at {at} because {name} has been silent for {silent} ({remedy}).")
    } else {
        let lag = p.lag.filter(|lag| *lag > 0);
        let lag = lag.map(|lag| format!(", with {lag} records to read")).unwrap_or_default();
        format!("Event time is at {at}: {name} is the furthest behind{lag}.")
    };
    Some((source, p, sentence))
}

/// An instant for people; beyond the calendar, its microseconds.
pub fn instant(micros: i64) -> String {
    if micros == i64::MAX {
        return "end of input".to_owned();
    }
    match DateTime::from_timestamp_micros(micros) {
        Some(at) => at.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => format!("{micros} us"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: u32, state: &str, frontier: i64) -> PartitionReport {
        PartitionReport {
            partition: number,
            position: 0,
            committed: None,
            state: state.to_owned(),
            frontier: Some(frontier),
            lag: None,
            silent_ms: 0,
            caught_up: false,
        }
    }

    fn source(partitions: Vec<PartitionReport>) -> Vec<SourceReport> {
        vec![SourceReport { source: "readings".into(), partitions, ..SourceReport::default() }]
    }

    #[test]
    fn names_the_partition_that_is_furthest_behind() {
        let mut sources =
            source(vec![partition(0, "active", 9_000_000), partition(7, "active", 4_000_000)]);
        let sentence = why(&sources);
        assert!(sentence.contains("1970-01-01T00:00:04.000Z"), "{sentence}");
        assert!(sentence.contains("partition 7 of `readings`"), "{sentence}");
        sources[0].partitions[1].caught_up = true;
        sources[0].partitions[1].silent_ms = 41_000;
        let sentence = why(&sources);
        assert!(sentence.contains("silent for 41s (idle_after is off; set"), "{sentence}");
        sources[0].partitions[1].state = "idle".into();
        assert!(why(&sources).contains("partition 0"), "an idle one does not hold");
    }

    #[test]
    fn names_what_has_not_begun_and_what_has_ended() {
        assert!(why(&source(vec![partition(3, "unknown", 0)])).contains("partition 3"));
        assert!(why(&source(vec![partition(3, "idle", 0)])).contains("every partition is idle"));
        assert!(why(&source(vec![partition(3, "finished", 0)])).contains("has ended"));
    }
}
