//! A YAML document as a tree of nodes that know their place in the text.
//!
//! Types are given in a second pass over this tree, because a typed parser stops at its first
//! error and a person wants to see all of them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::report::{Mistake, floor_boundary};

/// The largest pipeline file that is read.
pub const MAX_BYTES: usize = 1 << 20;

/// A stretch of the file's text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Where it starts.
    pub start: usize,
    /// How long it is.
    pub len: usize,
}

impl Place {
    /// The part of this place that starts `at` bytes in and is `len` long.
    pub fn part(self, at: usize, len: usize) -> Place {
        let at = at.min(self.len);
        Place { start: self.start + at, len: len.min(self.len - at) }
    }

    /// Whether the other place lies inside this one.
    pub fn holds(self, other: Place) -> bool {
        self.start <= other.start && other.start + other.len <= self.start + self.len
    }
}

/// Nowhere in the file: the place of what stands in for a missing setting. No mistake about it is
/// shown, as that it is missing has been said.
pub const NOWHERE: Place = Place { start: usize::MAX, len: 0 };

/// A value of the document.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it is written.
    pub place: Place,
    /// What it is.
    pub value: Content,
}

/// A key of the document and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key as text.
    pub key: String,
    /// Where the key is written.
    pub key_place: Place,
    /// The value.
    pub node: Node,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nothing was written.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(String),
    /// What an environment variable gave: text that may stand for any scalar.
    Given(String),
    /// A list.
    List(Vec<Node>),
    /// Keys with values, in the order they are written.
    Map(Vec<Entry>),
}

impl Content {
    /// What a person would call it.
    pub fn kind(&self) -> &'static str {
        match self {
            Content::Null => "nothing",
            Content::Bool(_) => "a yes or no",
            Content::Int(_) => "a whole number",
            Content::Float(_) => "a number",
            Content::Text(_) | Content::Given(_) => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a block of settings",
        }
    }
}

impl Node {
    /// Whether it is a block without this key.
    pub(super) fn lacks(&self, key: &str) -> bool {
        matches!(&self.value, Content::Map(entries) if entries.iter().all(|e| e.key != key))
    }

    /// The value under a key, if this node has such a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Content::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.node),
            _ => None,
        }
    }
}

/// Parses a document. A document that is no YAML gives one mistake; a key written twice gives a
/// mistake and the document without the earlier one.
pub fn parse(text: &str, mistakes: &mut Vec<Mistake>) -> Option<Node> {
    if text.len() > MAX_BYTES {
        mistakes.push(Mistake::new(
            Place::default(),
            format!("the file is larger than {MAX_BYTES} bytes; that is no pipeline"),
        ));
        return None;
    }
    use serde_saphyr::options::DuplicateKeyPolicy;
    let read = |duplicate_keys| {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_events: 100_000,
                max_aliases: 1_000,
                max_anchors: 1_000,
                max_depth: 64,
            },
            duplicate_keys: duplicate_keys,
            strict_booleans: true,
            reject_unsupported_tags: true,
        };
        serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options)
    };
    let (parsed, duplicate) = match read(DuplicateKeyPolicy::Error) {
        Err(error) if is_duplicate(&error) => (read(DuplicateKeyPolicy::LastWins), Some(error)),
        other => (other, None),
    };
    match parsed {
        Ok(root) => {
            let mut root = root_node(root);
            let before = mistakes.len();
            drop_duplicates(&mut root, mistakes);
            // Of keys that look like numbers the parser itself has dropped the earlier one.
            if let (Some(error), true) = (duplicate, mistakes.len() == before) {
                mistakes.push(syntax_mistake(text, &error));
            }
            Some(root)
        }
        Err(error) => {
            mistakes.push(syntax_mistake(text, &error));
            None
        }
    }
}

/// Keeps the last of several entries with one key, and tells about the others.
fn drop_duplicates(node: &mut Node, mistakes: &mut Vec<Mistake>) {
    match &mut node.value {
        Content::Map(entries) => {
            let mut at = 0;
            while at < entries.len() {
                let Entry { key, key_place, .. } = &entries[at];
                match entries[at + 1..].iter().find(|later| later.key == *key) {
                    Some(later) => {
                        let mistake = Mistake::new(*key_place, format!("`{key}` is set twice"));
                        let mistake = mistake.label("here").also(later.key_place, "and here");
                        mistakes.push(mistake.help("keep one of the two"));
                        entries.remove(at);
                    }
                    None => at += 1,
                }
            }
            entries.iter_mut().for_each(|entry| drop_duplicates(&mut entry.node, mistakes));
        }
        Content::List(items) => items.iter_mut().for_each(|item| drop_duplicates(item, mistakes)),
        _ => {}
    }
}

fn is_duplicate(error: &serde_saphyr::Error) -> bool {
    matches!(error.without_snippet(), serde_saphyr::Error::DuplicateMappingKey { .. })
}

fn syntax_mistake(text: &str, error: &serde_saphyr::Error) -> Mistake {
    let mut place = error.location().map_or(Place::default(), |at| place_of(&at));
    place.start = floor_boundary(text, place.start);
    place.len = place.len.min(text.len() - place.start);
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error.without_snippet() {
        let key = key.as_deref().unwrap_or("this key");
        return Mistake::new(place, format!("`{key}` is set twice"))
            .label("the second one")
            .help("keep one of the two");
    }
    let message = error.without_snippet().to_string();
    // The location is shown by the underline; the parser's own words for it would repeat it.
    let message = message.split(" at line ").next().unwrap_or_default();
    let message = message.rsplit("error: ").next().unwrap_or(message);
    let message = message.lines().next().unwrap_or_default();
    let mistake = Mistake::new(place, format!("not valid YAML: {message}"));
    // The braces of an unquoted variable end the block in braces it stands in.
    let line = text[..place.start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line..].lines().next().unwrap_or_default();
    match line.find("${") {
        Some(at) if line[..at].contains('{') => {
            mistake.help("inside of `{ }` a variable needs quotes: `\"${NAME}\"`")
        }
        _ if message.contains("flow ") => {
            mistake.help("inside of `{ }` and `[ ]`, text with a bracket or comma needs quotes")
        }
        _ => mistake,
    }
}

/// The raw tree as serde-saphyr hands it over.
enum Raw {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn place_of(location: &Location) -> Place {
    let span = location.span();
    let start = span.byte_offset().unwrap_or_else(|| span.offset());
    let len = span.byte_len().unwrap_or_else(|| span.len());
    Place { start: start as usize, len: len as usize }
}

fn root_node(raw: Spanned<Raw>) -> Node {
    let mut place = place_of(&raw.defined);
    let value = match raw.value {
        Raw::Null => Content::Null,
        Raw::Bool(value) => Content::Bool(value),
        Raw::Int(value) => Content::Int(value),
        Raw::Float(value) => Content::Float(value),
        Raw::Text(value) => Content::Text(value),
        Raw::List(items) => {
            let items: Vec<_> = items.into_iter().map(root_node).collect();
            Content::List(items)
        }
        Raw::Map(entries) => {
            let entries: Vec<_> = entries
                .into_iter()
                .map(|(key, value)| {
                    let key_place = place_of(&key.defined);
                    let mut node = root_node(value);
                    // A block, or nothing at all, has no words of its own: its key stands for it.
                    if node.place.len == 0 || matches!(node.value, Content::Map(_)) {
                        node.place = key_place;
                    }
                    Entry { key: key.value, key_place, node }
                })
                .collect();
            // Without a key above it, the first key inside stands for a block.
            if let Some(first) = entries.first() {
                place = first.key_place;
            }
            Content::Map(entries)
        }
    };
    Node { place, value }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawVisitor;
        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a YAML value")
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_none<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Raw, D::Error> {
                Raw::deserialize(d)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw::Int(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Int(value.into()))
            }
            fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
                Ok(Raw::Int(value))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
                Ok(Raw::Float(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
                Ok(Raw::Text(value.to_owned()))
            }
            fn visit_string<E>(self, value: String) -> Result<Raw, E> {
                Ok(Raw::Text(value))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Raw::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Raw::Map(entries))
            }
        }
        deserializer.deserialize_any(RawVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_places() {
        let text = "name: x\nsteps:\n  a: { from: readings, n: 5 } # é\n  é: [1, two]\n";
        let mut mistakes = Vec::new();
        let root = parse(text, &mut mistakes).unwrap();
        assert!(mistakes.is_empty());
        let from = root.get("steps").unwrap().get("a").unwrap().get("from").unwrap();
        assert_eq!(&text[from.place.start..from.place.start + from.place.len], "readings");
        let Content::List(items) = &root.get("steps").unwrap().get("é").unwrap().value else {
            panic!("a list");
        };
        assert_eq!(&text[items[1].place.start..][..items[1].place.len], "two");
    }

    #[test]
    fn a_key_set_twice_is_told_and_the_rest_is_read() {
        let mut mistakes = Vec::new();
        let root = parse("name: x\nname: y\nworkers: 3\n", &mut mistakes).unwrap();
        assert_eq!(mistakes.len(), 1);
        assert_eq!(mistakes[0].message, "`name` is set twice");
        assert!(root.get("workers").is_some());
    }

    #[test]
    fn bombs_and_nonsense_are_refused() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
        for (n, m) in "bcdefghi".chars().zip("abcdefgh".chars()) {
            let refs = vec![format!("*{m}"); 10].join(",");
            bomb.push_str(&format!("{n}: &{n} [{refs}]\n"));
        }
        for text in [deep.as_str(), bomb.as_str(), "a: [1", "a: b: c", "\u{0}", "- x: *nope"] {
            let mut mistakes = Vec::new();
            assert!(parse(text, &mut mistakes).is_none(), "{text}");
            assert_eq!(mistakes.len(), 1);
        }
    }
}
