//! Environment variables in scalar values: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`.
//!
//! They are put in after parsing, so that what a variable holds can never become a key, a list or
//! a second line of the file. `$$` stands for one dollar sign.

use super::report::Mistake;
use super::tree::{Content, Node};

/// Looks a variable up.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Puts variables into every scalar of the tree; keys are left alone. A setting whose variable is
/// missing is taken out, and its path is added to `damaged`. False if the node itself is to go.
pub fn interpolate(
    node: &mut Node,
    lookup: Lookup<'_>,
    mistakes: &mut Vec<Mistake>,
    path: &mut Vec<String>,
    damaged: &mut Vec<Vec<String>>,
) -> bool {
    match &mut node.value {
        Content::Text(text) if text.contains('$') => match substitute(text, lookup) {
            Ok(Some(given)) => node.value = Content::Given(given),
            Ok(None) => *text = text.replace("$$", "$"),
            Err(Missing { name, message }) => {
                let mut mistake = Mistake::new(node.place, message);
                if !name.is_empty() {
                    mistake = mistake
                        .label(format!("`{name}` is not set"))
                        .help(format!("set it, or give a default: `${{{name}:-…}}`"));
                }
                mistakes.push(mistake);
                damaged.push(path.clone());
                return false;
            }
        },
        Content::List(items) => {
            items.retain_mut(|item| interpolate(item, lookup, mistakes, path, damaged));
        }
        Content::Map(entries) => entries.retain_mut(|entry| {
            path.push(entry.key.clone());
            let keep = interpolate(&mut entry.node, lookup, mistakes, path, damaged);
            path.pop();
            keep
        }),
        _ => {}
    }
    true
}

struct Missing {
    name: String,
    message: String,
}

/// The text with its variables; `None` if it has none.
fn substitute(text: &str, lookup: Lookup<'_>) -> Result<Option<String>, Missing> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut any = false;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let Some(inner) = rest.strip_prefix('{') else {
            out.push('$');
            continue;
        };
        let Some(end) = inner.find('}') else {
            let message = "`${` has no closing `}`".to_owned();
            return Err(Missing { name: String::new(), message });
        };
        let (inside, after) = (&inner[..end], &inner[end + 1..]);
        let name_len =
            inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inside.len());
        let (name, tail) = inside.split_at(name_len);
        if name.is_empty() {
            let message = format!("`${{{inside}}}` names no variable");
            return Err(Missing { name: String::new(), message });
        }
        // As in a shell, an empty variable counts as missing where there is a `:`.
        let value = lookup(name);
        let filled = value.clone().filter(|value| !value.is_empty());
        let value = if tail.is_empty() {
            value.ok_or_else(|| Missing {
                name: name.into(),
                message: format!("the environment variable `{name}` is not set"),
            })?
        } else if let Some(default) = tail.strip_prefix(":-") {
            filled.unwrap_or_else(|| default.to_owned())
        } else if let Some(message) = tail.strip_prefix(":?") {
            filled.ok_or_else(|| Missing { name: name.into(), message: message.to_owned() })?
        } else {
            let message = format!("`${{{inside}}}` is not understood; write `${{{name}}}`");
            return Err(Missing { name: String::new(), message });
        };
        out.push_str(&value);
        any = true;
        rest = after;
    }
    out.push_str(rest);
    Ok(any.then_some(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub(text: &str) -> Result<Option<String>, String> {
        let lookup = |name: &str| match name {
            "A" => Some("one: [two]\nthree: 4".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        substitute(text, &lookup).map_err(|missing| missing.message)
    }

    #[test]
    fn shell_forms() {
        assert_eq!(sub("x").unwrap(), None);
        assert_eq!(sub("<${A}>").unwrap().unwrap(), "<one: [two]\nthree: 4>");
        assert_eq!(sub("${B:-localhost:9092}").unwrap().unwrap(), "localhost:9092");
        assert_eq!(sub("${EMPTY:-x}${EMPTY}").unwrap().unwrap(), "x");
        assert_eq!(sub("$${B} $5 ${A:-}").unwrap().unwrap(), "${B} $5 one: [two]\nthree: 4");
        assert_eq!(sub("${B:?say where the broker is}").unwrap_err(), "say where the broker is");
        assert!(sub("${B}").unwrap_err().contains("`B` is not set"));
        for bad in ["${", "${}", "${A+x}", "${-}"] {
            assert!(sub(bad).is_err(), "{bad}");
        }
    }
}
