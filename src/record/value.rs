//! A value of a field.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};
use tiderace_operators::key::{Parts, StableHash};

/// A value of a field.
///
/// Equality, order and hash agree with each other and cover every value: numbers are ordered by
/// what they are worth, an `Int` before a `Float` of the same worth; all NaNs are one value after
/// all numbers; the two zeros of floats are one value. Between kinds: null, booleans, numbers,
/// text, nested JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub enum Value {
    /// No value: the field is missing, or `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// Text.
    Text(Box<str>),
    /// A list or object, kept as the JSON text it came as.
    Json(Box<str>),
}

impl Value {
    /// The bytes it takes beside itself.
    pub fn heap_size(&self) -> usize {
        match self {
            Value::Text(text) | Value::Json(text) => text.len(),
            _ => 0,
        }
    }

    /// What a person would call it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::Json(_) => "nested JSON",
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Int(_) | Value::Float(_) => 2,
            Value::Text(_) => 3,
            Value::Json(_) => 4,
        }
    }
}

/// A float whose bits are the same for equal values.
fn canonical(value: f64) -> f64 {
    if value.is_nan() {
        f64::NAN
    } else if value == 0.0 {
        0.0
    } else {
        value
    }
}

/// Orders an integer and a float by what they are worth, without rounding the integer.
pub fn compare_int_float(int: i64, float: f64) -> Ordering {
    if float.is_nan() {
        return Ordering::Less;
    }
    // 2^63 is exact as a float; every i64 is below it and at or above its negative.
    if float >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if float < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    let whole = float.trunc();
    int.cmp(&(whole as i64)).then_with(|| 0.0f64.total_cmp(&canonical(float - whole)))
}

/// Orders two floats by what they are worth, NaN last.
pub fn compare_floats(a: f64, b: f64) -> Ordering {
    canonical(a).total_cmp(&canonical(b))
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Float(a), Value::Float(b)) => compare_floats(*a, *b),
            (Value::Int(a), Value::Float(b)) => compare_int_float(*a, *b).then(Ordering::Less),
            (Value::Float(a), Value::Int(b)) => {
                compare_int_float(*b, *a).reverse().then(Ordering::Greater)
            }
            (Value::Text(a), Value::Text(b)) | (Value::Json(a), Value::Json(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Value::Null => state.write_u8(0),
            Value::Bool(value) => state.write_u8(1 + u8::from(*value)),
            Value::Int(value) => {
                state.write_u8(3);
                state.write_i64(*value);
            }
            Value::Float(value) => {
                state.write_u8(4);
                state.write_u64(canonical(*value).to_bits());
            }
            Value::Text(text) => {
                state.write_u8(5);
                text.hash(state);
            }
            Value::Json(text) => {
                state.write_u8(6);
                text.hash(state);
            }
        }
    }
}

/// A value hashes as the Rust type it stands for; null is a value of no parts.
impl StableHash for Value {
    fn stable_hash(&self) -> u64 {
        match self {
            Value::Null => Parts::of(0).hash(),
            Value::Bool(value) => value.stable_hash(),
            Value::Int(value) => value.stable_hash(),
            Value::Float(value) => canonical(*value).to_bits().stable_hash(),
            Value::Text(text) | Value::Json(text) => text.as_bytes().stable_hash(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl fmt::Display for Value {
    /// As JSON writes it, but text without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => value.fmt(f),
            Value::Int(value) => value.fmt(f),
            Value::Float(value) => value.fmt(f),
            Value::Text(text) | Value::Json(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::hash::BuildHasher;

    fn any_value() -> impl Strategy<Value = Value> {
        let edges = prop_oneof![
            Just(0.0f64),
            Just(-0.0),
            Just(f64::NAN),
            Just(-f64::NAN),
            Just(f64::INFINITY),
            Just(9_007_199_254_740_992.0),
            Just(9_223_372_036_854_775_808.0),
            Just(0.5),
            Just(-0.5),
        ];
        let ints = prop_oneof![
            Just(0i64),
            Just(1),
            Just(-1),
            Just(9_007_199_254_740_993),
            Just(i64::MAX),
            Just(i64::MIN),
        ];
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            prop_oneof![any::<i64>(), ints].prop_map(Value::Int),
            prop_oneof![any::<f64>(), edges].prop_map(Value::Float),
            "[a-c]{0,2}".prop_map(|s| Value::Text(s.into())),
            "[a-c]{0,2}".prop_map(|s| Value::Json(s.into())),
        ]
    }

    proptest! {
        #[test]
        fn order_equality_and_hash_agree(a in any_value(), b in any_value(), c in any_value()) {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c { prop_assert!(a <= c); }
            let hash = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
            if a == b {
                prop_assert_eq!(hash.hash_one(&a), hash.hash_one(&b));
                prop_assert_eq!(a.stable_hash(), b.stable_hash());
            }
            prop_assert_eq!(&a, &a);
        }
    }

    #[test]
    fn a_value_goes_where_its_rust_type_goes() {
        assert_eq!(Value::from("a").stable_hash(), "a".stable_hash());
        assert_eq!(Value::Int(-7).stable_hash(), (-7i64).stable_hash());
    }

    #[test]
    fn integers_are_not_rounded_beside_floats() {
        // 2^53 + 1 has no float of its own.
        let int = Value::Int(9_007_199_254_740_993);
        assert!(int > Value::Float(9_007_199_254_740_992.0));
        assert!(Value::Int(i64::MAX) < Value::Float(i64::MAX as f64));
        assert!(Value::Int(-1) < Value::Float(-0.5) && Value::Int(0) > Value::Float(-0.5));
        assert_eq!(Value::Float(0.0), Value::Float(-0.0));
        assert_eq!(Value::Float(f64::NAN), Value::Float(-f64::NAN));
    }
}
