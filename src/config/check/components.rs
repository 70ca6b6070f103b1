//! The rules of sources and sinks.

use super::Checker;
use crate::config::pipeline::{
    EventTimes, Generate, KafkaSource, Policy, Sink, Source, Spanned, Start,
};
use crate::config::quantity::OrOff;
use crate::config::report::Mistake;

impl Checker<'_> {
    /// Complains unless exactly one of the connectors is there.
    fn one_connector(&mut self, kind: &str, name: &Spanned<String>, set: &[(&'static str, bool)]) {
        let there: Vec<_> = set.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
        let all: Vec<_> = set.iter().map(|(name, _)| format!("`{name}`")).collect();
        let damaged = self.damaged(&format!("{kind}s"), &name.value);
        let message = match there.as_slice() {
            [] if damaged => return,
            [] => format!("{kind} `{}` has no connector", name.value),
            [_] => return,
            _ => format!("{kind} `{}` has several connectors: {}", name.value, there.join(", ")),
        };
        let mistake = Mistake::new(name.place, message);
        self.wrong(mistake.help(format!("give it exactly one of {}", all.join(", "))));
    }

    pub(super) fn source(&mut self, name: &Spanned<String>, source: &Source) {
        self.one_connector(
            "source",
            name,
            &[
                ("kafka", source.kafka.is_some()),
                ("file", source.file.is_some()),
                ("generate", source.generate.is_some()),
            ],
        );
        self.at_least_one(source.max_failures.as_ref().map(|n| (n.value, n.place)), "max_failures");
        let poll = source.max_poll_records.as_ref().map(|n| (n.value, n.place));
        self.at_least_one(poll, "max_poll_records");
        if let Some(kafka) = &source.kafka {
            self.kafka_source(kafka);
        }
        if let Some(file) = &source.file
            && file.path.0.is_empty()
        {
            let message = format!("source `{}` reads no file", name.value);
            self.wrong(Mistake::new(name.place, message).help("give `path` at least one path"));
        }
        if let Some(generate) = &source.generate {
            self.generate(generate);
        }
        if let Some(time) = &source.time {
            self.times(source, time);
        }
    }

    fn kafka_source(&mut self, kafka: &KafkaSource) {
        self.not_empty(&kafka.brokers, "brokers");
        self.not_empty(&kafka.topic, "topic");
        if let Some(Spanned { value: Start::Timestamp(at), .. }) = &kafka.start
            && chrono::DateTime::parse_from_rfc3339(&at.value).is_err()
        {
            let message = format!("`{}` is not an instant", at.value);
            let help = "write it like `2026-01-31T12:00:00Z`";
            self.wrong(Mistake::new(at.place, message).help(help));
        }
        for (key, _) in &kafka.settings.0 {
            let instead = match key.value.as_str() {
                "bootstrap.servers" | "metadata.broker.list" => "brokers",
                "group.id" => "group",
                "enable.auto.commit" => "commit",
                "auto.offset.reset" => "start",
                _ => continue,
            };
            let message = format!("`{}` is set by the source itself", key.value);
            self.wrong(Mistake::new(key.place, message).label(format!("use `{instead}`")));
        }
    }

    fn not_empty(&mut self, value: &Spanned<String>, name: &str) {
        if value.value.trim().is_empty() {
            self.wrong(Mistake::new(value.place, format!("`{name}` is empty")));
        }
    }

    fn generate(&mut self, generate: &Generate) {
        for (share, name) in
            [(&generate.late_share, "late_share"), (&generate.duplicate_share, "duplicate_share")]
        {
            if let Some(share) = share.as_ref().filter(|s| !(0.0..=1.0).contains(&s.value)) {
                let message = format!("`{name}` is a share between 0 and 1");
                self.wrong(Mistake::new(share.place, message));
            }
        }
        if let Some(rate) =
            generate.rate.as_ref().filter(|r| !(r.value > 0.0 && r.value.is_finite()))
        {
            self.wrong(Mistake::new(rate.place, "`rate` must be more than zero"));
        }
        self.at_least_one(generate.keys.as_ref().map(|n| (u64::from(n.value), n.place)), "keys");
        let partitions = generate.partitions.as_ref().map(|n| (u64::from(n.value), n.place));
        self.at_least_one(partitions, "partitions");
    }

    fn times(&mut self, source: &Source, time: &EventTimes) {
        self.not_empty(&time.field, "field");
        if let (Some(policy), Some(behind)) = (&time.policy, &time.behind)
            && policy.value == Policy::Ascending
            && !behind.value.0.is_zero()
        {
            self.wrong(
                Mistake::new(behind.place, "`behind` has no meaning for ascending records")
                    .label("leave it out")
                    .also(policy.place, "ascending means that nothing is waited for"),
            );
        }
        for (value, name) in
            [(&time.idle_after, "idle_after"), (&time.max_future_skew, "max_future_skew")]
        {
            if let Some(Spanned { value: OrOff::Set(value), place }) = *value {
                self.above_zero(Some(&Spanned { value, place }), name);
            }
        }
        if let (Some(idle), Some(_)) = (&time.idle_after, &source.file) {
            let message = "`idle_after` has no effect on files: they end, and are finished then";
            self.wrong(Mistake::warning(idle.place, message));
        }
    }

    /// Two sinks on one file would write into each other's lines.
    pub(super) fn shared_files(&mut self) {
        let pipeline = self.pipeline;
        let files = pipeline.sinks.0.iter().filter_map(|(_, sink)| Some(&sink.file.as_ref()?.path));
        let files: Vec<_> = files.collect();
        for (at, path) in files.iter().enumerate() {
            if let Some(other) = files[..at].iter().find(|other| other.value == path.value) {
                let mistake = Mistake::new(path.place, "two sinks write to the same file");
                self.wrong(
                    mistake
                        .also(other.place, "the other one")
                        .help("give each its own, or let one sink read both"),
                );
            }
        }
    }

    pub(super) fn sink(&mut self, name: &Spanned<String>, sink: &Sink) {
        self.one_connector(
            "sink",
            name,
            &[
                ("kafka", sink.kafka.is_some()),
                ("file", sink.file.is_some()),
                ("stdout", sink.stdout.is_some()),
                ("log", sink.log.is_some()),
            ],
        );
        if let Some(kafka) = &sink.kafka {
            self.not_empty(&kafka.brokers, "brokers");
            self.not_empty(&kafka.topic, "topic");
        }
        if let Some(file) = &sink.file {
            self.not_empty(&file.path, "path");
        }
    }
}
