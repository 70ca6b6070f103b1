//! Reads nodes as serde wants them.

use std::cell::RefCell;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::fault::Fault;
use super::types::{MANY, SPANNED};
use crate::config::report::Mistake;
use crate::config::tree::{Content, Entry, Node, Place};

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) node: &'a Node,
    pub(super) text: &'a str,
    pub(super) found: &'a RefCell<Vec<Mistake>>,
}

impl<'a> Reader<'a> {
    fn of(self, node: &'a Node) -> Self {
        Reader { node, ..self }
    }

    fn wrong(self, expected: &str) -> Fault {
        let got = match &self.node.value {
            Content::Text(text) => format!("`{text}`"),
            Content::Given(_) => "something else in the environment variable".into(),
            Content::Null | Content::List(_) | Content::Map(_) => self.node.value.kind().into(),
            _ => format!("`{}`", self.source()),
        };
        Fault::custom(format!("expected {expected}, found {got}"))
            .label(format!("this must be {expected}"))
            .at(self.node.place)
    }

    /// The fault at this node's place, without a value nobody wrote into the file.
    fn placed(self, fault: Fault) -> Fault {
        let fault = fault.at(self.node.place);
        if matches!(self.node.value, Content::Given(_)) { fault.hide() } else { fault }
    }

    /// The words of the file this node was read from.
    fn source(self) -> &'a str {
        let Place { start, len } = self.node.place;
        self.text.get(start..start + len).unwrap_or_default()
    }

    fn integer(self) -> Result<i128, Fault> {
        match &self.node.value {
            Content::Int(value) => Ok(*value),
            Content::Given(text) => text.trim().parse().map_err(|_| self.wrong("a whole number")),
            _ => Err(self.wrong("a whole number")),
        }
    }

    fn in_range<T: TryFrom<i128>>(self) -> Result<T, Fault> {
        let value = self.integer()?;
        T::try_from(value)
            .map_err(|_| Fault::custom(format!("{value} is out of range here")).at(self.node.place))
    }

    fn block(self, fields: Option<&'static [&'static str]>) -> Result<Block<'a>, Fault> {
        let entries = match &self.node.value {
            Content::Map(entries) => entries.as_slice(),
            Content::Null => &[],
            _ => return Err(self.wrong("a block of settings")),
        };
        let mut known = Vec::new();
        for entry in entries {
            match fields {
                Some(fields) if !fields.contains(&entry.key.as_str()) => {
                    let message = format!("unknown setting `{}`", entry.key);
                    let mistake = Mistake::new(entry.key_place, message)
                        .suggest(&entry.key, fields.iter().copied());
                    self.found.borrow_mut().push(mistake);
                }
                _ => known.push(entry),
            }
        }
        Ok(Block { reader: self, entries: known.into_iter(), value: None })
    }
}

struct Block<'a> {
    reader: Reader<'a>,
    entries: std::vec::IntoIter<&'a Entry>,
    value: Option<&'a Entry>,
}

impl<'de> MapAccess<'de> for Block<'de> {
    type Error = Fault;
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.value = self.entries.next();
        match self.value {
            Some(entry) => seed.deserialize(Key(&entry.key, entry.key_place)).map(Some),
            None => Ok(None),
        }
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let entry = self.value.take().expect("a value is asked for after its key");
        let result = seed.deserialize(self.reader.of(&entry.node));
        result.map_err(|fault| fault.at(entry.node.place))
    }
}

/// A key, with or without its place.
struct Key<'a>(&'a str, Place);

impl<'de> de::Deserializer<'de> for Key<'de> {
    type Error = Fault;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.0)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == SPANNED {
            let place = self.1;
            let inner = StrDeserializer::<Fault>::new(self.0);
            return visitor.visit_seq(WithPlace { inner: Some(inner), place, step: 0 });
        }
        visitor.visit_newtype_struct(self)
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct WithPlace<D> {
    inner: Option<D>,
    place: Place,
    step: u8,
}

impl<'de, D: de::Deserializer<'de, Error = Fault>> SeqAccess<'de> for WithPlace<D> {
    type Error = Fault;
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        self.step += 1;
        match (self.step, self.inner.take()) {
            (1, Some(inner)) => seed.deserialize(inner).map(Some),
            (2, _) => seed.deserialize(self.place.start.into_deserializer()).map(Some),
            (3, _) => seed.deserialize(self.place.len.into_deserializer()).map(Some),
            _ => Ok(None),
        }
    }
}

struct Items<'a> {
    reader: Reader<'a>,
    items: std::slice::Iter<'a, Node>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.items.next() else { return Ok(None) };
        seed.deserialize(self.reader.of(item)).map(Some).map_err(|fault| fault.at(item.place))
    }
}

/// A choice: a word, or a word with a block or value under it.
struct Choice<'a> {
    reader: Reader<'a>,
    word: &'a str,
    value: Option<&'a Node>,
}

impl<'de> EnumAccess<'de> for Choice<'de> {
    type Error = Fault;
    type Variant = Self;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let value = seed.deserialize(StrDeserializer::<Fault>::new(self.word))?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'de> {
    type Error = Fault;
    fn unit_variant(self) -> Result<(), Fault> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(Fault::custom(format!("`{}` takes no value", self.word))),
        }
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        match self.value {
            Some(value) => {
                seed.deserialize(self.reader.of(value)).map_err(|fault| fault.at(value.place))
            }
            None => Err(Fault::custom(format!("`{}` needs a value: `{0}: …`", self.word))),
        }
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(Fault::custom("a list is not a choice here"))
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.value {
            Some(value) => visitor.visit_map(self.reader.of(value).block(Some(fields))?),
            None => Err(Fault::custom(format!("`{}` needs settings", self.word))),
        }
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.$visit(self.in_range()?).map_err(|fault: Fault| fault.at(self.node.place))
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match &self.node.value {
            Content::Null => visitor.visit_unit(),
            Content::Bool(value) => visitor.visit_bool(*value),
            Content::Int(value) => match i64::try_from(*value) {
                Ok(value) => visitor.visit_i64(value),
                Err(_) => visitor.visit_i128(*value),
            },
            Content::Float(value) => visitor.visit_f64(*value),
            Content::Text(text) | Content::Given(text) => visitor.visit_borrowed_str(text),
            Content::List(items) => visitor.visit_seq(Items { reader: self, items: items.iter() }),
            Content::Map(_) => visitor.visit_map(self.block(None)?),
        };
        result.map_err(|fault| self.placed(fault))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = match &self.node.value {
            Content::Bool(value) => *value,
            Content::Text(text) | Content::Given(text) => match text.as_str() {
                "true" | "yes" | "on" => true,
                "false" | "no" | "off" => false,
                _ => return Err(self.wrong("yes or no")),
            },
            _ => return Err(self.wrong("yes or no")),
        };
        visitor.visit_bool(value)
    }

    whole_numbers! {
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32
        deserialize_i64 visit_i64 deserialize_i128 visit_i128 deserialize_u8 visit_u8
        deserialize_u16 visit_u16 deserialize_u32 visit_u32 deserialize_u64 visit_u64
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = match &self.node.value {
            Content::Int(value) => *value as f64,
            Content::Float(value) => *value,
            Content::Given(text) => text.trim().parse().map_err(|_| self.wrong("a number"))?,
            _ => return Err(self.wrong("a number")),
        };
        visitor.visit_f64(value).map_err(|fault: Fault| fault.at(self.node.place))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match &self.node.value {
            Content::Text(text) | Content::Given(text) => visitor.visit_borrowed_str(text),
            // A number where text is meant (a topic named 7) counts as it is written.
            Content::Bool(_) | Content::Int(_) | Content::Float(_) => {
                visitor.visit_borrowed_str(self.source())
            }
            _ => return Err(self.wrong("text")),
        };
        result.map_err(|fault: Fault| self.placed(fault))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Content::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let place = self.node.place;
        match (name, &self.node.value) {
            (SPANNED, _) => visitor.visit_seq(WithPlace { inner: Some(self), place, step: 0 }),
            (MANY, Content::List(items)) => {
                visitor.visit_seq(Items { reader: self, items: items.iter() })
            }
            (MANY, _) => {
                let items = std::slice::from_ref(self.node).iter();
                visitor.visit_seq(Items { reader: self, items })
            }
            _ => visitor.visit_newtype_struct(self),
        }
        .map_err(|fault| fault.at(place))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Content::List(items) => visitor.visit_seq(Items { reader: self, items: items.iter() }),
            _ => Err(self.wrong("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(self.block(None)?).map_err(|fault| fault.at(self.node.place))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_map(self.block(Some(fields))?).map_err(|fault| fault.at(self.node.place))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let choice = match &self.node.value {
            Content::Text(word) | Content::Given(word) => {
                Choice { reader: self, word, value: None }
            }
            Content::Map(entries) if entries.len() == 1 => {
                Choice { reader: self, word: &entries[0].key, value: Some(&entries[0].node) }
            }
            _ => return Err(self.wrong("one choice")),
        };
        visitor.visit_enum(choice).map_err(|fault| self.placed(fault))
    }

    serde::forward_to_deserialize_any! {
        u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}
