//! The event time of a row, read from a field.

use serde::Deserialize;
use tiderace_operators::time::EventTime;

use super::{Row, Value};
use crate::source::NoTime;

/// The unit of an event time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Seconds since 1970, with or without a fraction.
    S,
    /// Milliseconds since 1970.
    #[default]
    Ms,
    /// Microseconds since 1970.
    Us,
    /// Nanoseconds since 1970.
    Ns,
    /// Text such as `2026-01-31T12:00:00.5Z`.
    Rfc3339,
}

/// Where the event time of a row is.
#[derive(Clone, Debug)]
pub struct TimeField {
    slot: usize,
    name: String,
    unit: Unit,
}

/// Beyond this no float names a single instant any more, so it is no time.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl TimeField {
    /// The field in this slot, with its name for messages.
    pub fn new(slot: usize, name: impl Into<String>, unit: Unit) -> Self {
        TimeField { slot, name: name.into(), unit }
    }

    /// The event time of a row.
    ///
    /// Whole numbers count in the unit. Seconds may have a fraction, which is rounded to the
    /// microsecond; other units may be written as floats without one. Text counts only for
    /// `rfc3339`. What is finer than a microsecond is rounded down.
    #[inline]
    pub fn read(&self, row: &Row) -> Result<EventTime, NoTime> {
        match (self.unit, row.get(self.slot)) {
            (_, Value::Null) => Err(NoTime {
                class: "missing-time",
                message: format!("the record has no `{}`", self.name),
            }),
            (Unit::Rfc3339, Value::Text(text)) => self.civil(text),
            (Unit::Rfc3339, other) => Err(self.bad(other, "text such as 2026-01-31T12:00:00Z")),
            (_, value @ Value::Int(number)) => self.whole(*number, value),
            (Unit::S, value @ Value::Float(seconds)) => {
                let micros = (seconds * 1e6).round();
                // Both bounds are floats, and everything between them fits into 64 bits.
                if micros.abs() < 9.2e18 {
                    Ok(EventTime::from_micros(micros as i64))
                } else {
                    Err(self.bad(value, "an instant within 290,000 years"))
                }
            }
            (_, value @ Value::Float(number)) => {
                if number.fract() == 0.0 && number.abs() < EXACT {
                    self.whole(*number as i64, value)
                } else {
                    Err(self.bad(value, "a whole number"))
                }
            }
            (_, other) => Err(self.bad(other, "a number")),
        }
    }

    fn whole(&self, number: i64, value: &Value) -> Result<EventTime, NoTime> {
        let micros = match self.unit {
            Unit::S => number.checked_mul(1_000_000),
            Unit::Ms => number.checked_mul(1_000),
            Unit::Ns => Some(number.div_euclid(1_000)),
            Unit::Us | Unit::Rfc3339 => Some(number),
        };
        // The two ends of the range have meanings of their own.
        match micros {
            Some(micros) if micros != i64::MIN && micros != i64::MAX => {
                Ok(EventTime::from_micros(micros))
            }
            _ => Err(self.bad(value, "an instant within 290,000 years")),
        }
    }

    fn civil(&self, text: &str) -> Result<EventTime, NoTime> {
        match chrono::DateTime::parse_from_rfc3339(text) {
            Ok(time) => Ok(EventTime::from_micros(time.timestamp_micros())),
            Err(error) => {
                let shown: String = text.chars().take(40).collect();
                let name = &self.name;
                let message = format!("`{name}`: `{shown}` is no RFC 3339 time: {error}");
                Err(NoTime { class: "bad-time", message })
            }
        }
    }

    #[cold]
    fn bad(&self, found: &Value, wanted: &str) -> NoTime {
        let name = &self.name;
        let shown: String = found.to_string().chars().take(40).collect();
        let message = format!("`{name}`: expected {wanted}, found {}: {shown}", found.kind());
        NoTime { class: "bad-time", message }
    }
}

/// Writes an event time in a unit, as `window_start` and `window_end` are: the reverse of
/// [`TimeField::read`]. Seconds with a fraction become a float.
pub fn in_unit(time: EventTime, unit: Unit) -> Value {
    let micros = time.micros();
    match unit {
        Unit::S if micros.rem_euclid(1_000_000) == 0 => Value::Int(micros / 1_000_000),
        Unit::S => Value::Float(micros as f64 / 1e6),
        Unit::Ms => Value::Int(time.millis()),
        Unit::Us => Value::Int(micros),
        Unit::Ns => Value::Int(micros.saturating_mul(1_000)),
        Unit::Rfc3339 => match chrono::DateTime::from_timestamp_micros(micros) {
            Some(time) => {
                Value::Text(time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true).into())
            }
            // Beyond the calendar's range the microseconds still name the instant.
            None => Value::Int(micros),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(unit: Unit, value: Value) -> Result<i64, &'static str> {
        let field = TimeField::new(0, "at", unit);
        field.read(&Row::new([value])).map(EventTime::micros).map_err(|no| {
            assert!(no.message.contains("`at`"), "{}", no.message);
            no.class
        })
    }

    #[test]
    fn units() {
        for (unit, value, micros) in [
            (Unit::S, Value::Int(2), 2_000_000),
            (Unit::S, Value::Float(1.5), 1_500_000),
            (Unit::S, Value::Float(-0.000_001), -1),
            (Unit::Ms, Value::Int(-1), -1_000),
            (Unit::Ms, Value::Float(1.7e12), 1_700_000_000_000_000),
            (Unit::Us, Value::Int(7), 7),
            (Unit::Ns, Value::Int(1_999), 1),
            (Unit::Ns, Value::Int(-1), -1),
            (Unit::Rfc3339, Value::from("1970-01-01T01:00:00.5+01:00"), 500_000),
            (Unit::Rfc3339, Value::from("1969-12-31T23:59:59.9999999Z"), -1),
        ] {
            assert_eq!(read(unit, value.clone()), Ok(micros), "{unit:?} {value}");
        }
    }

    #[test]
    fn what_is_no_time() {
        assert_eq!(read(Unit::Ms, Value::Null), Err("missing-time"));
        assert_eq!(
            TimeField::new(3, "at", Unit::Ms).read(&Row::new([])).unwrap_err().class,
            "missing-time"
        );
        for (unit, value) in [
            (Unit::S, Value::Int(i64::MAX)),
            (Unit::Ms, Value::Int(i64::MAX / 2)),
            (Unit::Us, Value::Int(i64::MAX)),
            (Unit::Us, Value::Int(i64::MIN)),
            (Unit::S, Value::Float(f64::NAN)),
            (Unit::S, Value::Float(1e300)),
            (Unit::Ms, Value::Float(1.5)),
            (Unit::Ms, Value::Float(1e300)),
            (Unit::Ms, Value::from("1700000000000")),
            (Unit::Rfc3339, Value::Int(5)),
            (Unit::Rfc3339, Value::from("yesterday")),
            (Unit::Rfc3339, Value::from("2026-01-31 12:00:00")),
            (Unit::Ms, Value::Bool(true)),
            (Unit::Ms, Value::Json("[]".into())),
        ] {
            assert_eq!(read(unit, value.clone()), Err("bad-time"), "{unit:?} {value}");
        }
    }

    #[test]
    fn writing_reverses_reading() {
        for unit in [Unit::S, Unit::Ms, Unit::Us, Unit::Ns, Unit::Rfc3339] {
            for micros in [0, 60_000_000, -60_000_000, 1_700_000_000_000_000] {
                let value = in_unit(EventTime::from_micros(micros), unit);
                assert_eq!(read(unit, value), Ok(micros), "{unit:?}");
            }
        }
        assert_eq!(
            in_unit(EventTime::from_micros(0), Unit::Rfc3339),
            Value::from("1970-01-01T00:00:00Z")
        );
    }
}
