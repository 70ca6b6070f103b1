//! Cuts an expression into tokens.

use super::Mistake;

/// A token and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
    pub(super) len: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Int(i64),
    Float(f64),
    Text(String),
    Name(String),
    Sign(&'static str),
    End,
}

/// Longer signs first, so that `<=` is not read as `<`.
const SIGNS: [&str; 23] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]",
    ",", ".", "?", ":", "=",
];

/// All the tokens of a text, with an end token.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Mistake> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let rest = &text[at..];
        let (kind, len) = if first.is_ascii_digit() {
            number(rest, at)?
        } else if first == '\'' || first == '"' {
            string(rest, at, first)?
        } else if first.is_alphabetic() || first == '_' {
            let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            (Kind::Name(rest[..len].into()), len)
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            (Kind::Sign(sign), sign.len())
        } else {
            let message = format!("`{first}` means nothing here");
            return Err(Mistake::new(at, first.len_utf8(), message));
        };
        out.push(Token { kind, at, len });
        at += len;
    }
    out.push(Token { kind: Kind::End, at: text.len(), len: 0 });
    Ok(out)
}

fn number(rest: &str, at: usize) -> Result<(Kind, usize), Mistake> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| {
        bytes[from..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| from + n)
    };
    let mut len = digits(0);
    let mut float = false;
    if bytes.get(len) == Some(&b'.') && bytes.get(len + 1).is_some_and(u8::is_ascii_digit) {
        len = digits(len + 1);
        float = true;
    }
    if matches!(bytes.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        if bytes.get(len + 1 + sign).is_some_and(u8::is_ascii_digit) {
            len = digits(len + 1 + sign);
            float = true;
        }
    }
    let word = &rest[..len];
    let too_large = || Mistake::new(at, len, format!("`{word}` is too large a number"));
    if float {
        let value: f64 = word.parse().map_err(|_| too_large())?;
        return if value.is_finite() { Ok((Kind::Float(value), len)) } else { Err(too_large()) };
    }
    Ok((Kind::Int(word.parse().map_err(|_| too_large())?), len))
}

fn string(rest: &str, at: usize, quote: char) -> Result<(Kind, usize), Mistake> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((here, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((Kind::Text(out), here + 1)),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, 't')) => out.push('\t'),
                Some((_, c @ ('\\' | '\'' | '"'))) => out.push(c),
                _ => {
                    let message = "after a backslash comes one of n t \\ ' \"";
                    return Err(Mistake::new(at + here, 1, message));
                }
            },
            c => out.push(c),
        }
    }
    Err(Mistake::new(at, rest.len(), "this text has no closing quote"))
}
