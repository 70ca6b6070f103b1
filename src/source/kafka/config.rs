//! What a Kafka source is told: brokers, topics, where to start.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use tiderace_operators::time::EventTime;

use crate::error::{Error, Kind, Result};
use crate::kafka::config::{Role, Settings, accepted, client};
use crate::source::Partition;

/// Where a source starts to read a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record there is.
    Earliest,
    /// Behind the newest record, as of the start of the source.
    Latest,
    /// Where the group has committed; at the oldest record where it has not.
    Committed,
    /// At the first record with this message timestamp or a later one; at the end if there is none.
    Timestamp(EventTime),
    /// At these positions; a partition that is not named starts at the oldest record.
    Offsets(Vec<(String, i32, u64)>),
}

/// What to do when the position to read from is not in the log, because retention has removed it or
/// the topic was made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMissing {
    /// Stop with an error that names the partition and what there is.
    #[default]
    Fail,
    /// Go on at the oldest record; what is skipped is counted and warned about.
    Earliest,
    /// Go on behind the newest record; what is skipped is counted and warned about.
    Latest,
}

/// The settings of a Kafka source.
#[derive(Clone, Debug)]
pub struct KafkaSourceConfig {
    /// The name of the source, for errors, counters and logs.
    pub name: String,
    /// The brokers to start from: `host:port`, several separated by commas.
    pub brokers: String,
    /// The topics to read; their order is part of the partition numbers.
    pub topics: Vec<String>,
    /// The group that offsets are committed to. Nobody joins it, it is only a name for positions;
    /// give every job its own.
    pub group: String,
    /// Where to start.
    pub start: Start,
    /// Whether to end at the end of each partition as of the start.
    pub bounded: bool,
    /// Whether positions are committed to the group.
    pub commit: bool,
    /// What to do when a position is not in the log.
    pub on_missing: OnMissing,
    /// How long the brokers may take to answer at the start.
    pub start_timeout: Duration,
    /// How often to look for new partitions.
    pub discovery: Duration,
    /// Properties of librdkafka.
    pub settings: Settings,
}

/// How many partitions one topic may have: the numbers below this are its own.
const PER_TOPIC: u32 = 1 << 20;

impl KafkaSourceConfig {
    /// Reads one topic from its oldest record on, without an end, and commits to the group
    /// `tiderace-NAME`.
    pub fn new(
        name: impl Into<String>,
        brokers: impl Into<String>,
        topic: impl Into<String>,
    ) -> Self {
        let name = name.into();
        KafkaSourceConfig {
            group: format!("tiderace-{name}"),
            name,
            brokers: brokers.into(),
            topics: vec![topic.into()],
            start: Start::Earliest,
            bounded: false,
            commit: true,
            on_missing: OnMissing::Fail,
            start_timeout: Duration::from_secs(30),
            discovery: Duration::from_secs(30),
            settings: Settings::new(),
        }
    }

    /// "source `orders`", for messages.
    pub(crate) fn what(&self) -> String {
        format!("source `{}`", self.name)
    }

    /// Says what is wrong with the settings, without asking a broker.
    pub fn check(&self) -> Result<()> {
        let wrong = |text: &str| Err(Error::new(Kind::Config, format!("{}: {text}", self.what())));
        if self.topics.is_empty() {
            return wrong("no topic is given");
        }
        if self.topics.len() >= (u32::MAX / PER_TOPIC) as usize {
            return wrong("more than 4094 topics");
        }
        for (index, topic) in self.topics.iter().enumerate() {
            let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if topic.is_empty() || topic.len() > 249 || !topic.chars().all(legal) {
                return wrong(&format!("`{topic}` cannot be the name of a topic"));
            }
            if self.topics[..index].contains(topic) {
                return wrong(&format!("the topic `{topic}` is given twice"));
            }
        }
        if self.group.is_empty() || self.group.contains('\0') {
            return wrong("`group` is empty");
        }
        if let Start::Offsets(offsets) = &self.start
            && let Some((topic, ..)) = offsets.iter().find(|(t, ..)| !self.topics.contains(t))
        {
            return wrong(&format!(
                "an offset is given for `{topic}`, which is not among its topics"
            ));
        }
        accepted(&self.what(), &self.client()?)
    }

    /// The settings of the client.
    pub(crate) fn client(&self) -> Result<ClientConfig> {
        let own = [("group.id", self.group.as_str())];
        client(Role::Source, &self.name, &self.brokers, &self.settings, &own)
    }

    /// The number by which the engine knows a partition of one of the topics.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<Partition> {
        let index = self.topics.iter().position(|t| t == topic)?;
        number(index, partition)
    }

    /// The topic and the partition behind a number, as `topic/partition`.
    pub fn partition_label(&self, partition: Partition) -> String {
        let (index, within) = split(partition);
        match self.topics.get(index) {
            Some(topic) => format!("{topic}/{within}"),
            None => format!("?/{within}"),
        }
    }
}

/// The number of a partition within the source: the topic's index in the upper twelve bits.
pub(crate) fn number(topic: usize, partition: i32) -> Option<Partition> {
    let within = u32::try_from(partition).ok().filter(|p| *p < PER_TOPIC)?;
    u32::try_from(topic).ok()?.checked_mul(PER_TOPIC)?.checked_add(within)
}

/// The topic's index and the partition within the topic.
pub(crate) fn split(partition: Partition) -> (usize, i32) {
    ((partition / PER_TOPIC) as usize, (partition % PER_TOPIC).cast_signed())
}

/// Which worker reads a partition. Every worker comes to the same answer without asking anybody.
pub fn owner(topic: &str, partition: i32, peers: usize) -> usize {
    // FNV-1a: the same on every machine and in every version.
    let hash = topic.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let peers = peers.max(1) as u64;
    ((hash % peers + u64::from(partition.unsigned_abs())) % peers) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_one_owner_and_the_owners_are_even() {
        for peers in [1, 2, 5, 8] {
            let mut counts = vec![0; peers];
            for partition in 0..40 {
                counts[owner("orders", partition, peers)] += 1;
            }
            assert!(counts.iter().all(|c| *c == 40 / peers), "{counts:?}");
        }
        assert_eq!(owner("orders", 0, 5), owner("orders", 5, 5));
        assert_eq!((owner("", 3, 7), owner("orders", 0, 1)), (owner("", 10, 7), 0));
    }

    #[test]
    fn numbers_are_unique_and_go_back_to_their_labels() {
        let mut config = KafkaSourceConfig::new("s", "h:1", "a");
        config.topics.push("b".into());
        assert_eq!(config.partition("a", 3), Some(3));
        assert_eq!(config.partition("b", 3), Some((1 << 20) + 3));
        assert_eq!(config.partition_label((1 << 20) + 3), "b/3");
        assert_eq!(config.partition("c", 0), None);
        assert_eq!(number(0, -1), None);
        assert_eq!(number(5000, 0), None);
        assert_eq!(split(number(4094, (1 << 20) - 1).unwrap()), (4094, (1 << 20) - 1));
    }

    #[test]
    fn wrong_settings_are_named() {
        let ok = KafkaSourceConfig::new("s", "h:1", "a");
        assert!(ok.check().is_ok());
        let wrong = |change: fn(&mut KafkaSourceConfig)| {
            let mut config = KafkaSourceConfig::new("s", "h:1", "a");
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(wrong(|c| c.topics.clear()).contains("no topic"));
        assert!(wrong(|c| c.topics.push("a".into())).contains("twice"));
        assert!(wrong(|c| c.topics.push("a b".into())).contains("a b"));
        assert!(wrong(|c| c.group.clear()).contains("group"));
        assert!(wrong(|c| c.start = Start::Offsets(vec![("x".into(), 0, 1)])).contains("`x`"));
    }
}
