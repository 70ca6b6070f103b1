//! The settings of a Kafka client: our defaults, the user's own properties, and the few that the
//! engine must own.
//!
//! Any property of librdkafka may be set; the user's value wins over a default. Properties on which
//! the promises of the engine rest are refused by name. Values of secret properties are shown to
//! nobody: neither in `Debug`, nor in a log line, nor in an error.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use crate::error::{Error, Kind, Result};

/// Properties of librdkafka, passed through as they are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// No settings of the user.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one property.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(key, value);
        self
    }

    /// Sets one property.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    /// The value of one property, if the user set it.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The properties with their values, secrets masked: what may be shown.
    pub fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), if is_secret(k) { MASK } else { v.as_str() }))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Settings {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Settings(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

const MASK: &str = "***";

/// Whether the value of a property must not be shown.
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let word = ["password", "secret", "passphrase", "private"].iter().any(|w| key.contains(w));
    let oauth = key.starts_with("sasl.oauthbearer.") && !key.ends_with(".url");
    word || oauth || key == "ssl.key.pem" || key == "sasl.jaas.config"
}

/// Which kind of client the settings are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Source,
    Sink,
}

/// The defaults of a source. The low back-off matters: with librdkafka's own second of it, every
/// full queue has all partitions sleep for a second.
const SOURCE: &[(&str, &str)] = &[
    ("fetch.queue.backoff.ms", "5"),
    ("queued.min.messages", "20000"),
    ("queued.max.messages.kbytes", "16384"),
    ("fetch.wait.max.ms", "100"),
    ("fetch.min.bytes", "1"),
    ("topic.metadata.refresh.interval.ms", "30000"),
    ("isolation.level", "read_committed"),
    ("statistics.interval.ms", "5000"),
];

/// What a source must own, and why.
const SOURCE_OWNED: &[(&str, &str, &str)] = &[
    ("enable.auto.commit", "false", "offsets are committed after delivery, by the engine"),
    ("enable.auto.offset.store", "false", "offsets are kept by the engine"),
    ("enable.partition.eof", "true", "idleness and bounded reads need the end of a partition"),
    ("auto.offset.reset", "error", "use `start` and `on_missing` of the source instead"),
    ("group.id", "", "use `group` of the source instead"),
    ("group.instance.id", "", "partitions are assigned by the engine, not by a group"),
    ("group.protocol", "", "partitions are assigned by the engine, not by a group"),
    ("group.remote.assignor", "", "partitions are assigned by the engine, not by a group"),
    ("partition.assignment.strategy", "", "partitions are assigned by the engine, not by a group"),
    ("auto.commit.interval.ms", "", "offsets are committed after delivery, by the engine"),
];

/// The defaults of a sink.
const SINK: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("compression.type", "lz4"),
    ("linger.ms", "5"),
    ("batch.size", "1000000"),
    ("queue.buffering.max.messages", "500000"),
    ("queue.buffering.max.kbytes", "262144"),
    ("partitioner", "murmur2_random"),
];

/// What a sink must own, and why.
const SINK_OWNED: &[(&str, &str, &str)] = &[
    ("acks", "all", "a record counts as delivered when all in-sync replicas have it"),
    ("request.required.acks", "", "a record counts as delivered when all in-sync replicas have it"),
    ("transactional.id", "", "this sink delivers at least once, without transactions"),
    ("delivery.report.only.error", "", "the sink counts every delivery report"),
    ("dr_cb", "", "the sink counts every delivery report"),
    ("dr_msg_cb", "", "the sink counts every delivery report"),
];

/// What both must own.
const OWNED: &[(&str, &str, &str)] = &[
    ("bootstrap.servers", "", "use `brokers` instead"),
    ("metadata.broker.list", "", "use `brokers` instead"),
    ("log.queue", "", "log lines go to the engine's log"),
];

/// The defaults of both.
const DEFAULTS: &[(&str, &str)] =
    &[("socket.keepalive.enable", "true"), ("ssl.ca.location", "probe"), ("client.id", "tiderace")];

/// Puts defaults, the user's settings and what the engine owns together. `name` is the source or
/// sink the client is for.
pub(crate) fn client(
    role: Role,
    name: &str,
    brokers: &str,
    user: &Settings,
    own: &[(&str, &str)],
) -> Result<ClientConfig> {
    let what = match role {
        Role::Source => "source",
        Role::Sink => "sink",
    };
    check_addresses(brokers).map_err(|why| {
        Error::new(Kind::Config, format!("{what} `{name}`: `brokers`: {why}"))
            .hint("give host:port, or several separated by commas")
    })?;
    let (defaults, owned) = match role {
        Role::Source => (SOURCE, SOURCE_OWNED),
        Role::Sink => (SINK, SINK_OWNED),
    };
    for (key, value) in &user.0 {
        let refused = owned.iter().chain(OWNED).find(|(k, _, _)| k == key);
        if let Some((_, needed, why)) = refused
            && (needed.is_empty() || value != needed)
        {
            let message = format!("{what} `{name}`: the Kafka property `{key}` cannot be set");
            return Err(Error::new(Kind::Config, message).hint((*why).to_string()));
        }
        if [key, value].iter().any(|s| s.contains('\0')) {
            let message = format!("{what} `{name}`: the Kafka property `{key}` holds a zero byte");
            return Err(Error::new(Kind::Config, message));
        }
    }
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Info);
    for (key, value) in DEFAULTS.iter().chain(defaults) {
        // librdkafka takes either spelling of these two; the user's one must win.
        let alias = match *key {
            "compression.type" => "compression.codec",
            "linger.ms" => "queue.buffering.max.ms",
            other => other,
        };
        // A certificate given as text takes the place of one given as a file.
        let other_ca = *key == "ssl.ca.location" && user.get("ssl.ca.pem").is_some();
        if user.get(alias).is_none() && !other_ca {
            config.set(*key, *value);
        }
    }
    config.set("bootstrap.servers", brokers.trim());
    for (key, value) in &user.0 {
        config.set(key, value);
    }
    for (key, value, _) in owned.iter().filter(|(_, value, _)| !value.is_empty()) {
        config.set(*key, *value);
    }
    for (key, value) in own {
        config.set(*key, *value);
    }
    Ok(config)
}

/// Refuses what librdkafka would take for another address, and then not reach.
fn check_addresses(brokers: &str) -> Result<(), String> {
    for broker in brokers.split(',').map(str::trim) {
        let address = broker.split_once("://").map_or(broker, |(_, address)| address);
        // The colons in brackets belong to the address of IPv6.
        let after_brackets = address.rsplit_once(']').map_or(address, |(_, rest)| rest);
        let port = after_brackets.rsplit_once(':').map(|(_, port)| port);
        let right = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|p| p > 0));
        if address.is_empty() || address.starts_with(':') || !right {
            return Err(format!("`{broker}` is not an address"));
        }
    }
    Ok(())
}

/// Has librdkafka look at the settings, without making a client.
pub(crate) fn accepted(what: &str, config: &ClientConfig) -> Result<()> {
    config.create_native_config().map(drop).map_err(|e| super::error::creation(what, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(user: &Settings) -> Result<ClientConfig> {
        client(Role::Source, "orders", "127.0.0.1:1", user, &[("group.id", "g")])
    }

    #[test]
    fn the_user_wins_over_a_default_but_not_over_what_the_engine_owns() {
        let user = Settings::new().with("fetch.wait.max.ms", "10").with("client.rack", "b");
        let config = source(&user).unwrap();
        assert_eq!(config.get("fetch.wait.max.ms"), Some("10"));
        assert_eq!(config.get("client.rack"), Some("b"));
        assert_eq!(config.get("fetch.queue.backoff.ms"), Some("5"));
        assert_eq!(config.get("auto.offset.reset"), Some("error"));
        for (key, _, _) in SOURCE_OWNED.iter().chain(OWNED) {
            let error = source(&Settings::new().with(*key, "latest")).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.to_string().contains(key), "{error} names {key}");
            assert!(error.to_string().contains("orders"), "{error}");
        }
        for (key, _, _) in SINK_OWNED.iter().chain(OWNED) {
            let user = Settings::new().with(*key, "1");
            let error = client(Role::Sink, "out", "h:1", &user, &[]).unwrap_err();
            assert!(error.to_string().contains(key), "{error} names {key}");
        }
        assert!(
            client(Role::Sink, "out", "h:1", &Settings::new().with("acks", "all"), &[]).is_ok()
        );
    }

    #[test]
    fn an_alias_of_the_user_replaces_the_default() {
        let user = Settings::new().with("compression.codec", "zstd").with("ssl.ca.pem", "x");
        let config = client(Role::Sink, "out", "h:1", &user, &[]).unwrap();
        assert_eq!(config.get("compression.type"), None);
        assert_eq!(config.get("ssl.ca.location"), None);
    }

    #[test]
    fn secrets_are_masked() {
        let keys = [
            "sasl.password",
            "ssl.key.password",
            "ssl.keystore.password",
            "ssl.key.pem",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.config",
        ];
        let user: Settings = keys.iter().map(|k| (*k, "hunter2")).collect();
        let shown = format!("{:?}", user.with("sasl.username", "ann"));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("ann") && shown.contains("sasl.password"), "{shown}");
        assert!(!is_secret("sasl.oauthbearer.token.endpoint.url"));
        assert!(!is_secret("ssl.key.location") && !is_secret("sasl.mechanism"));
    }

    #[test]
    fn addresses_are_checked() {
        for right in ["h:1", "h", "a:1, b:2", "[::1]:9092", "PLAINTEXT://h:1", "10.0.0.1:65535"] {
            assert_eq!(check_addresses(right), Ok(()), "{right}");
        }
        for wrong in ["", "  ", "h:port", "h:0", "h:65536", ":9092", "a:1,,b:2", "[::1]:x", "h:"] {
            let error = client(Role::Sink, "out", wrong, &Settings::new(), &[]).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.to_string().contains("brokers"), "{error}");
        }
    }
}
