//! What a pass over the tree stopped at.

use std::fmt;

use serde::de::{self, Error as _};

use crate::config::report::Mistake;
use crate::config::tree::Place;

/// What a pass stopped at.
#[derive(Debug)]
pub(super) struct Fault {
    message: Box<str>,
    pub(super) place: Option<Place>,
    label: Option<Box<str>>,
    help: Option<Box<str>>,
    names: &'static [&'static str],
    word: Box<str>,
    pub(super) missing: Option<&'static str>,
}

impl Fault {
    pub(super) fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }

    pub(super) fn label(self, label: String) -> Self {
        Fault { label: Some(label.into()), ..self }
    }

    /// What a variable holds may be a secret: it is not shown.
    pub(super) fn hide(self) -> Self {
        let message = "what the environment variable holds does not fit here";
        Fault { place: self.place, label: self.label, ..Fault::custom(message) }
    }

    pub(super) fn into_mistake(self, place: Place) -> Mistake {
        let mut mistake = Mistake::new(place, self.message);
        mistake.help = self.help.map(String::from);
        if let Some(label) = self.label {
            mistake.label = label.into();
        }
        if self.names.is_empty() {
            mistake
        } else {
            mistake.suggest(&self.word, self.names.iter().copied())
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    /// A message may carry the way out after a line break.
    fn custom<M: fmt::Display>(message: M) -> Self {
        let message = message.to_string();
        let (message, help) = match message.split_once('\n') {
            Some((message, help)) => (message.to_owned(), Some(help.into())),
            None => (message, None),
        };
        Fault {
            message: message.into(),
            place: None,
            label: None,
            help,
            names: &[],
            word: "".into(),
            missing: None,
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Fault {
            label: Some(format!("add `{field}`").into()),
            missing: Some(field),
            ..Fault::custom(format!("`{field}` is missing"))
        }
    }

    fn unknown_variant(word: &str, names: &'static [&'static str]) -> Self {
        Fault {
            names,
            word: word.into(),
            ..Fault::custom(format!("`{word}` is not a choice here"))
        }
    }
}
