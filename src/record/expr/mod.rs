//! Expressions over the fields of a row, in the syntax of CEL: `celsius > -60.0 && has(sensor)`.
//!
//! Literals: `1`, `1.5`, `'text'`, `"text"`, `true`, `false`, `null`. Operators, weakest first:
//! `c ? a : b`; `||`; `&&`; `== != < <= > >= in`; `+ -`; `* / %`; `! -`. Functions:
//! `has(field)`, `size(text)`, `int(x)`, `double(x)`, `string(x)`, and on text `.contains(t)`,
//! `.startsWith(t)`, `.endsWith(t)`.
//!
//! **Null.** A field that a record does not have is null. `==`, `!=` and `in` treat null as a value
//! equal only to itself. Arithmetic, order and functions give null when an operand is null. `&&`
//! and `||` give null unless the other side decides; `!null` is null; a condition that is null
//! counts as false. A filter keeps a row only if its expression is true.
//!
//! **Numbers.** Integers have 64 bits, and an operation that does not fit fails instead of
//! wrapping. An integer beside a float is compared by what it is worth, and becomes a float in
//! arithmetic. Integer division cuts towards zero; division of integers by zero fails.
//!
//! A failure (overflow, division by zero, a type an operator does not take) rejects the row.

mod compile;
mod eval;
mod lex;
mod parse;

pub use compile::{Expr, Function, Type, compile};
pub use eval::{Failure, Val};
pub use parse::{Ast, Op, Shape, parse};

/// What is wrong with an expression, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it starts, in bytes.
    pub at: usize,
    /// How many bytes it covers.
    pub len: usize,
    /// What is wrong.
    pub message: String,
    /// A word nobody knows, to find a similar one for.
    pub word: Option<String>,
    /// The words that could have been meant.
    pub names: Vec<String>,
}

impl Mistake {
    fn new(at: usize, len: usize, message: impl Into<String>) -> Self {
        Mistake { at, len, message: message.into(), word: None, names: Vec::new() }
    }
}

/// What a call in the `aggregate` block asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateKind {
    /// How many rows.
    Count,
    /// The sum of a field.
    Sum,
    /// The mean of a field.
    Mean,
    /// The smallest value of a field.
    Min,
    /// The largest value of a field.
    Max,
}

/// The names aggregates are called by.
pub const AGGREGATES: [(&str, AggregateKind); 5] = [
    ("count", AggregateKind::Count),
    ("sum", AggregateKind::Sum),
    ("mean", AggregateKind::Mean),
    ("min", AggregateKind::Min),
    ("max", AggregateKind::Max),
];

/// Reads `count()` or `sum(field)`; the argument comes with its place.
pub fn aggregate(text: &str) -> Result<(AggregateKind, Option<Ast>), Mistake> {
    let ast = parse(text)?;
    let whole = |message: String| Mistake::new(ast.at, ast.len, message);
    let Shape::Call(name, name_at, arguments) = &ast.shape else {
        return Err(whole("an aggregate is a call such as `count()` or `mean(celsius)`".into()));
    };
    let Some((_, kind)) = AGGREGATES.iter().find(|(known, _)| known == name) else {
        let mut mistake = Mistake::new(*name_at, name.len(), format!("no aggregate `{name}`"));
        mistake.word = Some(name.clone());
        mistake.names = AGGREGATES.iter().map(|(name, _)| (*name).into()).collect();
        return Err(mistake);
    };
    match (kind, arguments.as_slice()) {
        (AggregateKind::Count, []) => Ok((*kind, None)),
        (AggregateKind::Count, _) => Err(whole("`count()` takes no argument".into())),
        (_, [argument]) if matches!(argument.shape, Shape::Field(_)) => {
            Ok((*kind, Some(argument.clone())))
        }
        (_, [argument]) => Err(Mistake::new(
            argument.at,
            argument.len,
            format!("`{name}` takes a field; compute it with `set` in a step before"),
        )),
        _ => Err(whole(format!("`{name}` takes one field, as in `{name}(celsius)`"))),
    }
}

#[cfg(test)]
mod tests;
