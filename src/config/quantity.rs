//! Durations and sizes with units: `5s`, `1m 30s`, `64MB`. A bare number is a mistake, because
//! nobody remembers whether it meant seconds or milliseconds.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A length of time with its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

/// A number of bytes with its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A value, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrOff<T> {
    /// Switched off.
    Off,
    /// Set.
    Set(T),
}

impl<T> OrOff<T> {
    /// The value, unless it is off.
    pub fn set(self) -> Option<T> {
        match self {
            OrOff::Off => None,
            OrOff::Set(value) => Some(value),
        }
    }
}

/// The longest duration a file may ask for: a thousand years, so that no sum overflows.
const LONGEST: Duration = Duration::from_secs(1_000 * 366 * 86_400);

/// Reads a duration such as `5s`, `250ms` or `1h 30m`. The error holds a way out after a line break.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.parse::<f64>().is_ok() {
        return Err(format!("a duration needs a unit\nwrite `{text}s` or `{text}ms`"));
    }
    if text.starts_with('-') {
        return Err("a duration cannot be negative".into());
    }
    let duration = humantime::parse_duration(text).map_err(|_| {
        format!("`{text}` is not a duration\nwrite it like `250ms`, `5s`, `1m 30s`, `2h` or `7d`")
    })?;
    if duration > LONGEST {
        return Err(format!("`{text}` is longer than a thousand years"));
    }
    Ok(duration)
}

/// Reads a size such as `64MB` or `1GiB`. The error holds a way out after a line break.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "" if digits > 0 => {
            return Err(format!("a size needs a unit\nwrite `{text}MB` or `{text}B`"));
        }
        _ => {
            return Err(format!("`{text}` is not a size\nwrite it like `500KB`, `64MB` or `1GiB`"));
        }
    };
    let number: u64 = number
        .parse()
        .map_err(|_| format!("`{text}` is not a size\nwrite it like `500KB`, `64MB` or `1GiB`"))?;
    number.checked_mul(factor).ok_or_else(|| format!("`{text}` is too large"))
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// Reads scalars with a function from text.
struct Scalar<T>(fn(&str) -> Result<T, String>, &'static str);

impl<T> Visitor<'_> for Scalar<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.1)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        self.visit_str(if value { "on" } else { "off" })
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar(|t| parse_time(t).map(Time), "a duration like `5s`"))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar(|t| parse_size(t).map(Size), "a size like `64MB`"))
    }
}

impl<'de> Deserialize<'de> for OrOff<Time> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |text: &str| match text {
            "off" => Ok(OrOff::Off),
            _ => parse_time(text).map(|t| OrOff::Set(Time(t))),
        };
        deserializer.deserialize_any(Scalar(read, "a duration like `30s`, or `off`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_units() {
        assert_eq!(parse_time("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_time("250ms"), Ok(Duration::from_millis(250)));
        assert!(parse_time("5").unwrap_err().contains("write `5s`"));
        assert!(parse_time("0").unwrap_err().contains("write `0s`"));
        assert!(parse_time("-5s").unwrap_err().contains("negative"));
        assert!(parse_time("soon").unwrap_err().contains("not a duration"));
        assert!(parse_time("99999y").unwrap_err().contains("thousand years"));
    }

    #[test]
    fn sizes_need_units() {
        assert_eq!(parse_size("64MB"), Ok(64_000_000));
        assert_eq!(parse_size("1 GiB"), Ok(1 << 30));
        assert!(parse_size("64").unwrap_err().contains("write `64MB`"));
        assert!(parse_size("99999999999999GB").unwrap_err().contains("too large"));
        assert!(parse_size("MB").is_err() && parse_size("").is_err() && parse_size("-1B").is_err());
    }
}
