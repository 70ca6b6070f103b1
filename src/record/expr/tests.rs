//! Tables of expressions and what they are worth.

use super::*;
use crate::record::{Row, Schema, Value};

fn eval(text: &str) -> Result<Value, String> {
    let schema = Schema::new(["n", "x", "s", "b", "nothing"]);
    let row = Row::new([
        Value::Int(7),
        Value::Float(2.5),
        Value::from("grün"),
        Value::Bool(true),
        Value::Null,
    ]);
    let ast = parse(text).map_err(|m| m.message)?;
    let expr = compile(&ast, &schema);
    // A filter takes shorter ways; they must lead to the same place.
    match (expr.holds(&row), expr.eval(&row).map(Value::from)) {
        (Ok(held), Ok(value @ (Value::Bool(_) | Value::Null))) => {
            assert_eq!(held, value == Value::Bool(true), "{text}");
        }
        (held, value) => assert!(held.is_err(), "{text}: {held:?} {value:?}"),
    }
    expr.eval(&row).map(Value::from).map_err(|f| f.0)
}

#[test]
fn values() {
    let (t, f, null) = (Value::Bool(true), Value::Bool(false), Value::Null);
    for (text, expected) in [
        ("1 + 2 * 3", Value::Int(7)),
        ("(1 + 2) * 3", Value::Int(9)),
        ("10 - 2 - 3", Value::Int(5)),
        ("-n + 1", Value::Int(-6)),
        ("7 / 2", Value::Int(3)),
        ("-7 % 4", Value::Int(-3)),
        ("n + x", Value::Float(9.5)),
        ("n == 7.0", t.clone()),
        ("9007199254740993 > 9007199254740992.0", t.clone()),
        ("x > -60.0 && x < 60.0", t.clone()),
        ("1 < 2 == true", t.clone()),
        ("!b || n > 3", t.clone()),
        ("s in ['rot', 'grün']", t.clone()),
        ("n in [1, 2]", f.clone()),
        ("'a' + \"b\"", Value::from("ab")),
        ("size(s)", Value::Int(4)),
        ("s.startsWith('gr') && s.endsWith('n') && s.contains('ü')", t.clone()),
        ("contains(s, 'rot')", f.clone()),
        ("b ? 1 : 2", Value::Int(1)),
        ("nothing ? 1 : 2", Value::Int(2)),
        ("int('12') + int(2.9)", Value::Int(14)),
        ("double(n) / 2", Value::Float(3.5)),
        ("string(n) + '!'", Value::from("7!")),
        ("has(n)", t.clone()),
        ("has(nothing)", f.clone()),
        ("has(unknown)", f.clone()),
        ("nothing == null", t.clone()),
        ("nothing == 1", f.clone()),
        ("nothing != 1", t.clone()),
        ("nothing in [null]", t.clone()),
        ("nothing + 1", null.clone()),
        ("nothing < 1", null.clone()),
        ("!nothing", null.clone()),
        ("size(nothing)", null.clone()),
        ("s.contains(nothing)", null.clone()),
        ("nothing && false", f.clone()),
        ("nothing && true", null.clone()),
        ("true || nothing", t.clone()),
        ("nothing || true", t.clone()),
        ("nothing || false", null.clone()),
        ("false && 1 / 0 == 1", f.clone()),
        ("1e3", Value::Float(1000.0)),
        (r"'it\'s\n'", Value::from("it's\n")),
    ] {
        assert_eq!(eval(text), Ok(expected), "{text}");
    }
}

#[test]
fn failures_are_values_too() {
    for (text, expected) in [
        ("9223372036854775807 + n", "64 bits"),
        ("n * 9223372036854775807", "64 bits"),
        ("n / 0", "division by zero"),
        ("n % 0", "division by zero"),
        ("(-9223372036854775807 - 1) / -1", "64 bits"),
        ("-(-9223372036854775807 - 1)", "64 bits"),
        ("s + 1", "does not take text and an integer"),
        ("s < 1", "does not take"),
        ("s && b", "takes a boolean"),
        ("int(1e30)", "64 bits"),
        ("int(s)", "not an integer"),
        ("size(n)", "does not take an integer"),
    ] {
        let failure = eval(text).unwrap_err();
        assert!(failure.contains(expected), "{text}: {failure}");
    }
}

#[test]
fn mistakes_have_places() {
    let deep = "(".repeat(100) + "1" + &")".repeat(100);
    let nots = "!".repeat(900) + "b";
    let long = "1".to_owned() + &"+1".repeat(500);
    for (text, word, expected) in [
        ("a +", "+", "ends too early"),
        ("a = 1", "=", "`==`"),
        ("(a", "a", "`)`"),
        ("a b", "b", "operator"),
        ("'a", "'a", "closing quote"),
        ("a.b > 1", "b", "nested fields"),
        ("99999999999999999999", "99999999999999999999", "too large"),
        ("a # b", "#", "means nothing"),
        ("a && && b", "&&", "a value was expected"),
        ("x in 5", "5", "`[`"),
        ("", "", "empty"),
        (deep.as_str(), "(", "deep"),
        (nots.as_str(), "!", "deep"),
        (long.as_str(), "1", "more than 1000 words"),
    ] {
        let mistake = parse(text).unwrap_err();
        assert_eq!(&text[mistake.at..mistake.at + mistake.len], word, "{text}");
        assert!(mistake.message.contains(expected), "{text}: {}", mistake.message);
    }
}

#[test]
fn certain_types_are_checked_before_any_row() {
    for (text, expected) in [
        ("x > 'a' + 1", "`+` takes text"),
        ("!1", "`!` takes a boolean"),
        ("sizze(s)", "no function `sizze`"),
        ("size(1)", "`size` takes text"),
        ("size(s, s)", "takes 1 argument, found 2"),
        ("1 < 'a'", "compares a number with text"),
        ("n in [1] && 5", "takes a boolean"),
    ] {
        let mut mistakes = Vec::new();
        parse(text).unwrap().check(&mut mistakes);
        assert_eq!(mistakes.len(), 1, "{text}: {mistakes:?}");
        assert!(mistakes[0].message.contains(expected), "{text}: {}", mistakes[0].message);
    }
}

#[test]
fn aggregates() {
    assert!(matches!(aggregate("count()"), Ok((AggregateKind::Count, None))));
    assert!(matches!(aggregate("mean(celsius)"), Ok((AggregateKind::Mean, Some(_)))));
    assert_eq!(aggregate("men(celsius)").unwrap_err().word.as_deref(), Some("men"));
    for bad in ["count(x)", "sum()", "sum(a, b)", "sum(a + 1)", "celsius", "1"] {
        assert!(aggregate(bad).is_err(), "{bad}");
    }
}
