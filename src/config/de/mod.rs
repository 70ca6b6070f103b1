//! From nodes to typed values with serde, without stopping at the first mistake.
//!
//! Unknown keys are reported and skipped. Any other mistake ends one pass; then the setting it is
//! in is taken out of the tree and the next pass looks at the rest. What was taken out is
//! remembered, so that nobody complains that it is missing.

mod fault;
mod reader;
mod types;

use std::cell::RefCell;

use serde::de::Deserialize;

pub use types::{Many, Named, Spanned};

use super::report::Mistake;
use super::tree::{Content, Entry, NOWHERE, Node, Place};
use reader::Reader;

/// More mistakes than this are not looked for.
const MOST_MISTAKES: usize = 100;

/// Gives the tree a type; mistakes are added to the list, and the places of settings that had to
/// be left out are added to `damaged`.
pub fn typed<T: Default + for<'de> Deserialize<'de>>(
    text: &str,
    mut root: Node,
    mistakes: &mut Vec<Mistake>,
    damaged: &mut Vec<Vec<String>>,
) -> T {
    let found = RefCell::new(Vec::new());
    loop {
        let reader = Reader { node: &root, text, found: &found };
        let error = match T::deserialize(reader) {
            Ok(value) => {
                mistakes.append(&mut found.borrow_mut());
                return value;
            }
            Err(error) => error,
        };
        let place = error.place.unwrap_or(root.place);
        let mut path = Vec::new();
        if let Some(field) = error.missing
            && let Some(block) = find(&mut root, place, field, &mut path)
            && place != NOWHERE
        {
            path.push(field.to_owned());
            // What was taken out because it was wrong is not missing.
            if !damaged.contains(&path) {
                mistakes.push(error.into_mistake(place));
                damaged.push(path);
            }
            // Text that also is a duration stands in for it, so that the rest can be read.
            let node = Node { place: NOWHERE, value: Content::Given("1s".into()) };
            block.push(Entry { key: field.to_owned(), key_place: NOWHERE, node });
            continue;
        }
        if place != NOWHERE {
            mistakes.push(error.into_mistake(place));
        }
        path.clear();
        let removed = remove(&mut root, place, &mut path);
        damaged.push(path);
        if !removed || mistakes.len() > MOST_MISTAKES {
            mistakes.append(&mut found.borrow_mut());
            return T::default();
        }
    }
}

/// The entries of the block at this place that lacks a field. By aliases several blocks can have
/// one place.
fn find<'a>(
    node: &'a mut Node,
    place: Place,
    field: &str,
    path: &mut Vec<String>,
) -> Option<&'a mut Vec<Entry>> {
    if node.place == place && matches!(node.value, Content::Null) {
        node.value = Content::Map(Vec::new());
    }
    if node.place == place && node.lacks(field) {
        let Content::Map(entries) = &mut node.value else { return None };
        return Some(entries);
    }
    match &mut node.value {
        Content::Map(entries) => entries.iter_mut().find_map(|entry| {
            path.push(entry.key.clone());
            let found = find(&mut entry.node, place, field, path);
            if found.is_none() {
                path.pop();
            }
            found
        }),
        Content::List(items) => items.iter_mut().find_map(|item| find(item, place, field, path)),
        _ => None,
    }
}

/// Takes the innermost setting whose value is at this place out of the tree.
fn remove(node: &mut Node, place: Place, path: &mut Vec<String>) -> bool {
    match &mut node.value {
        Content::Map(entries) => {
            for at in 0..entries.len() {
                let depth = path.len();
                path.push(entries[at].key.clone());
                if remove(&mut entries[at].node, place, path) {
                    return true;
                }
                if entries[at].node.place == place {
                    entries.remove(at);
                    return true;
                }
                path.truncate(depth);
            }
            false
        }
        Content::List(items) => {
            for at in 0..items.len() {
                if remove(&mut items[at], place, path) {
                    return true;
                }
                if items[at].place == place {
                    items.remove(at);
                    return true;
                }
            }
            false
        }
        _ => false,
    }
}
