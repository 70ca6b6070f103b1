//! From librdkafka's errors to ours, without a secret in them.

use rdkafka::error::KafkaError;

use super::config::is_secret;
use crate::error::{Error, Kind};

/// An error at the creation of a client: nearly always a wrong setting.
pub(crate) fn creation(what: &str, error: KafkaError) -> Error {
    let text = match &error {
        KafkaError::ClientConfig(_, description, key, value) => {
            let description = if is_secret(key) {
                description.replace(value.as_str(), "***")
            } else {
                description.clone()
            };
            format!("{what}: the Kafka property `{key}` is not accepted: {description}")
        }
        other => format!("{what}: the Kafka client cannot be made: {other}"),
    };
    let hint = match text.contains("GSSAPI") {
        true => "set `sasl.mechanism` to PLAIN or SCRAM, or build with the feature `kerberos`",
        false => "the properties are those of librdkafka 2.12",
    };
    Error::new(Kind::Config, text).hint(hint)
}

/// Nothing answered in time.
pub(crate) fn unreachable(
    what: &str,
    brokers: &str,
    waited: std::time::Duration,
    last: Option<String>,
) -> Error {
    let waited = waited.as_secs_f64();
    let mut text =
        format!("{what}: no Kafka broker could be reached at {brokers} within {waited:.0} s");
    if let Some(last) = last {
        text.push_str(": ");
        text.push_str(&last);
    }
    Error::new(Kind::Unreachable, text)
        .hint("check the address, and that the broker runs and accepts connections")
}

/// Names near a mistyped one, best first, for a hint.
pub(crate) fn similar<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<_> = names
        .map(|name| (strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(score, _)| *score > 0.75)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_INVALID;

    #[test]
    fn a_refused_secret_is_not_repeated() {
        let refused = |key: &str| {
            KafkaError::ClientConfig(
                RD_KAFKA_CONF_INVALID,
                format!("Invalid value \"hunter2\" for `{key}`"),
                key.into(),
                "hunter2".into(),
            )
        };
        assert!(!creation("source `a`", refused("sasl.password")).to_string().contains("hunter2"));
        let plain = creation("source `a`", refused("linger.ms")).to_string();
        assert!(plain.contains("hunter2") && plain.contains("linger.ms"), "{plain}");
    }

    #[test]
    fn similar_names_come_best_first() {
        let names = ["payments", "order", "orders-v2", "clicks"];
        assert_eq!(similar("ordres", names.into_iter())[0], "order");
        assert!(similar("zzz", names.into_iter()).is_empty());
    }
}
