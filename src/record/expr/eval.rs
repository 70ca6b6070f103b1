//! What an expression is worth for a row.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::compile::{Expr, Function};
use super::parse::Op;
use crate::record::value::{compare_floats, compare_int_float};
use crate::record::{Row, Value};

/// Why an expression has no value for a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

/// A value on the way, borrowed from the row where it can be.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Json(&'a str),
}

impl<'a> From<&'a Value> for Val<'a> {
    #[inline]
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Val::Null,
            Value::Bool(value) => Val::Bool(*value),
            Value::Int(value) => Val::Int(*value),
            Value::Float(value) => Val::Float(*value),
            Value::Text(text) => Val::Text(Cow::Borrowed(text)),
            Value::Json(text) => Val::Json(text),
        }
    }
}

impl From<Val<'_>> for Value {
    fn from(value: Val<'_>) -> Self {
        match value {
            Val::Null => Value::Null,
            Val::Bool(value) => Value::Bool(value),
            Val::Int(value) => Value::Int(value),
            Val::Float(value) => Value::Float(value),
            Val::Text(text) => Value::Text(text.into()),
            Val::Json(text) => Value::Json(text.into()),
        }
    }
}

impl Val<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Val::Null => "null",
            Val::Bool(_) => "a boolean",
            Val::Int(_) => "an integer",
            Val::Float(_) => "a number",
            Val::Text(_) => "text",
            Val::Json(_) => "nested JSON",
        }
    }
}

impl Expr {
    /// What the expression is worth for a row.
    pub fn eval<'a>(&'a self, row: &'a Row) -> Result<Val<'a>, Failure> {
        Ok(match self {
            Expr::Constant(value) => value.into(),
            Expr::Slot(slot) => row.get(*slot).into(),
            Expr::Not(_) | Expr::Binary(Op::And | Op::Or, ..) => match self.truth(row, "")? {
                Some(value) => Val::Bool(value),
                None => Val::Null,
            },
            Expr::Negative(a) => match a.eval(row)? {
                Val::Null => Val::Null,
                Val::Int(value) => Val::Int(value.checked_neg().ok_or_else(overflow)?),
                Val::Float(value) => Val::Float(-value),
                other => return Err(Failure(format!("`-` takes a number, not {}", other.kind()))),
            },
            Expr::Binary(op, a, b) => binary(*op, a.eval(row)?, b.eval(row)?)?,
            Expr::In(a, items) => {
                let wanted = a.eval(row)?;
                for item in items {
                    if equal(&wanted, &item.eval(row)?) {
                        return Ok(Val::Bool(true));
                    }
                }
                Val::Bool(false)
            }
            Expr::Choose(test, yes, no) => match test.truth(row, "?")? {
                Some(true) => yes.eval(row)?,
                _ => no.eval(row)?,
            },
            Expr::Call(function, arguments) => call(*function, arguments, row)?,
        })
    }

    /// Whether the expression is true for a row; null is not.
    #[inline]
    pub fn holds(&self, row: &Row) -> Result<bool, Failure> {
        Ok(self.truth(row, "keep")? == Some(true))
    }

    /// The expression as a condition; `by` asks for it. Comparisons of fields and constants, which
    /// most conditions are made of, are made in place.
    fn truth(&self, row: &Row, by: &str) -> Result<Option<bool>, Failure> {
        match self {
            Expr::Not(a) => Ok(a.truth(row, "!")?.map(|value| !value)),
            // `&&` is decided by false, `||` by true; what decides may stand on either side of a
            // null.
            Expr::Binary(op @ (Op::And | Op::Or), a, b) => {
                let decides = Some(*op == Op::Or);
                let left = a.truth(row, op.sign())?;
                if left == decides {
                    return Ok(decides);
                }
                let right = b.truth(row, op.sign())?;
                Ok(if right == decides || left.is_some() { right } else { None })
            }
            Expr::Binary(op, a, b) => {
                let order = match (a.leaf(row), b.leaf(row)) {
                    (Some(Value::Int(a)), Some(Value::Int(b))) => a.cmp(b),
                    (Some(Value::Float(a)), Some(Value::Float(b))) => compare_floats(*a, *b),
                    (Some(Value::Int(a)), Some(Value::Float(b))) => compare_int_float(*a, *b),
                    (Some(Value::Float(a)), Some(Value::Int(b))) => {
                        compare_int_float(*b, *a).reverse()
                    }
                    _ => return condition(self.eval(row)?, by),
                };
                match compared(*op, order) {
                    Some(value) => Ok(Some(value)),
                    None => condition(self.eval(row)?, by),
                }
            }
            _ => condition(self.eval(row)?, by),
        }
    }

    /// The value of a field or constant, without anything being computed.
    #[inline]
    fn leaf<'a>(&'a self, row: &'a Row) -> Option<&'a Value> {
        match self {
            Expr::Constant(value) => Some(value),
            Expr::Slot(slot) => Some(row.get(*slot)),
            _ => None,
        }
    }
}

/// What a comparison says about an order; `None` for an operator that is no comparison.
#[inline]
fn compared(op: Op, order: Ordering) -> Option<bool> {
    Some(match op {
        Op::Equal => order.is_eq(),
        Op::Differs => order.is_ne(),
        Op::Less => order.is_lt(),
        Op::AtMost => order.is_le(),
        Op::Greater => order.is_gt(),
        Op::AtLeast => order.is_ge(),
        _ => return None,
    })
}

fn overflow() -> Failure {
    Failure("the result does not fit into 64 bits".into())
}

fn condition(value: Val<'_>, by: &str) -> Result<Option<bool>, Failure> {
    match value {
        Val::Bool(value) => Ok(Some(value)),
        Val::Null => Ok(None),
        other => Err(Failure(format!("`{by}` takes a boolean, not {}", other.kind()))),
    }
}

fn equal(a: &Val<'_>, b: &Val<'_>) -> bool {
    match (a, b) {
        (Val::Null, Val::Null) => true,
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Text(a), Val::Text(b)) => a == b,
        (Val::Json(a), Val::Json(b)) => a == b,
        _ => numbers(a, b) == Some(Ordering::Equal),
    }
}

fn numbers(a: &Val<'_>, b: &Val<'_>) -> Option<Ordering> {
    match (a, b) {
        (Val::Int(a), Val::Int(b)) => Some(a.cmp(b)),
        (Val::Float(a), Val::Float(b)) => Some(compare_floats(*a, *b)),
        (Val::Int(a), Val::Float(b)) => Some(compare_int_float(*a, *b)),
        (Val::Float(a), Val::Int(b)) => Some(compare_int_float(*b, *a).reverse()),
        _ => None,
    }
}

#[inline]
fn binary<'a>(op: Op, a: Val<'a>, b: Val<'a>) -> Result<Val<'a>, Failure> {
    match op {
        Op::Equal => return Ok(Val::Bool(equal(&a, &b))),
        Op::Differs => return Ok(Val::Bool(!equal(&a, &b))),
        _ => {}
    }
    if matches!(a, Val::Null) || matches!(b, Val::Null) {
        return Ok(Val::Null);
    }
    let order = match (&a, &b) {
        (Val::Text(a), Val::Text(b)) => Some(a.cmp(b)),
        (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
        _ => numbers(&a, &b),
    };
    match op {
        Op::Less | Op::AtMost | Op::Greater | Op::AtLeast => {}
        _ => return arithmetic(op, a, b),
    }
    let value = order.and_then(|order| compared(op, order));
    value.map(Val::Bool).ok_or_else(|| mismatch(op, &a, &b))
}

fn mismatch(op: Op, a: &Val<'_>, b: &Val<'_>) -> Failure {
    Failure(format!("`{}` does not take {} and {}", op.sign(), a.kind(), b.kind()))
}

fn arithmetic<'a>(op: Op, a: Val<'a>, b: Val<'a>) -> Result<Val<'a>, Failure> {
    let (left, right) = match (&a, &b) {
        (Val::Int(a), Val::Int(b)) => return integers(op, *a, *b).map(Val::Int),
        (Val::Float(a), Val::Float(b)) => (*a, *b),
        (Val::Int(a), Val::Float(b)) => (*a as f64, *b),
        (Val::Float(a), Val::Int(b)) => (*a, *b as f64),
        (Val::Text(left), Val::Text(right)) if op == Op::Add => {
            return Ok(Val::Text(format!("{left}{right}").into()));
        }
        _ => return Err(mismatch(op, &a, &b)),
    };
    Ok(Val::Float(match op {
        Op::Add => left + right,
        Op::Subtract => left - right,
        Op::Multiply => left * right,
        Op::Divide => left / right,
        Op::Remainder => left % right,
        _ => return Err(mismatch(op, &a, &b)),
    }))
}

fn integers(op: Op, a: i64, b: i64) -> Result<i64, Failure> {
    if b == 0 && matches!(op, Op::Divide | Op::Remainder) {
        return Err(Failure("division by zero".into()));
    }
    match op {
        Op::Add => a.checked_add(b),
        Op::Subtract => a.checked_sub(b),
        Op::Multiply => a.checked_mul(b),
        Op::Divide => a.checked_div(b),
        Op::Remainder => a.checked_rem(b),
        _ => None,
    }
    .ok_or_else(overflow)
}

fn call<'a>(function: Function, arguments: &'a [Expr], row: &'a Row) -> Result<Val<'a>, Failure> {
    let first = match arguments.first() {
        Some(first) => first.eval(row)?,
        None => Val::Null,
    };
    if function == Function::Has {
        return Ok(Val::Bool(!matches!(first, Val::Null)));
    }
    if matches!(first, Val::Null) {
        return Ok(Val::Null);
    }
    let wrong = |name: &str, value: &Val<'_>| {
        Err(Failure(format!("`{name}` does not take {}", value.kind())))
    };
    Ok(match (function, first) {
        (Function::Size, Val::Text(text)) => Val::Int(text.chars().count() as i64),
        (Function::Size, other) => return wrong("size", &other),
        (Function::Int, Val::Int(value)) => Val::Int(value),
        (Function::Int, Val::Float(value)) => {
            // The bounds are exact: -2^63 is a float, and so is 2^63, the first that is too large.
            let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
            if !fits {
                return Err(overflow());
            }
            Val::Int(value as i64)
        }
        (Function::Int, Val::Text(text)) => match text.trim().parse() {
            Ok(value) => Val::Int(value),
            Err(_) => return Err(Failure("this text is not an integer".into())),
        },
        (Function::Int, other) => return wrong("int", &other),
        (Function::Double, Val::Int(value)) => Val::Float(value as f64),
        (Function::Double, Val::Float(value)) => Val::Float(value),
        (Function::Double, Val::Text(text)) => match text.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => Val::Float(value),
            _ => return Err(Failure("this text is not a number".into())),
        },
        (Function::Double, other) => return wrong("double", &other),
        (Function::String, Val::Text(text)) => Val::Text(text),
        (Function::String, other) => Val::Text(Value::from(other).to_string().into()),
        (_, Val::Text(text)) => match arguments.get(1).map(|a| a.eval(row)).transpose()? {
            Some(Val::Text(part)) => Val::Bool(match function {
                Function::StartsWith => text.starts_with(&*part),
                Function::EndsWith => text.ends_with(&*part),
                _ => text.contains(&*part),
            }),
            Some(Val::Null) | None => Val::Null,
            Some(other) => return wrong("a search in text", &other),
        },
        (_, other) => return wrong("a search in text", &other),
    })
}
