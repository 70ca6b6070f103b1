//! The outline of a type, as its deserialization shows it.
//!
//! A type says by its `Deserialize` what it is made of. The outline is taken by answering every
//! question with the simplest value and writing down the questions. Enums are gone through variant
//! by variant, in as many passes as the longest of them has variants. A type that refuses the
//! simplest values (a number that must not be zero, text that must parse) ends its pass there: what
//! it asked for up to that point is its outline.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, Visitor};

/// Deeper than this a type is taken for recursive, and its optional parts for absent.
const DEPTH: usize = 24;
/// More passes than this are not made, whatever enums there are.
const PASSES: usize = 256;

/// What a type is made of, in words.
pub fn outline<V: DeserializeOwned>() -> String {
    let mut pen = Pen::default();
    for _ in 0..PASSES {
        pen.more = false;
        pen.text.push('/');
        if V::deserialize(&mut pen).is_err() {
            pen.text.push('!');
        }
        pen.depth = 0;
        if !pen.more {
            break;
        }
    }
    pen.text
}

#[derive(Default)]
struct Pen {
    text: String,
    depth: usize,
    /// The variants of each enum that have been gone through.
    seen: BTreeMap<&'static str, usize>,
    /// An enum has variants that have not.
    more: bool,
}

#[derive(Debug)]
struct Refused;

impl Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the outline ends here")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: Display>(_: T) -> Self {
        Refused
    }
}

impl Pen {
    fn write(&mut self, what: impl Display) {
        write!(self.text, "{what} ").expect("text can be written to memory");
    }

    fn within<R>(&mut self, f: impl FnOnce(&mut Self) -> Result<R, Refused>) -> Result<R, Refused> {
        if self.depth == 4 * DEPTH {
            return Err(Refused);
        }
        self.depth += 1;
        self.text.push('(');
        let result = f(self);
        self.text.push(')');
        self.depth -= 1;
        result
    }
}

macro_rules! plain {
    ($($method:ident $visit:ident $value:expr;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            self.write(&stringify!($method)["deserialize_".len()..]);
            visitor.$visit($value)
        }
    )+};
}

impl<'de> Deserializer<'de> for &mut Pen {
    type Error = Refused;

    plain! {
        deserialize_bool visit_bool false;
        deserialize_i8 visit_i8 0;
        deserialize_i16 visit_i16 0;
        deserialize_i32 visit_i32 0;
        deserialize_i64 visit_i64 0;
        deserialize_i128 visit_i128 0;
        deserialize_u8 visit_u8 0;
        deserialize_u16 visit_u16 0;
        deserialize_u32 visit_u32 0;
        deserialize_u64 visit_u64 0;
        deserialize_u128 visit_u128 0;
        deserialize_f32 visit_f32 0.0;
        deserialize_f64 visit_f64 0.0;
        deserialize_char visit_char 'a';
        deserialize_str visit_borrowed_str "";
        deserialize_string visit_borrowed_str "";
        deserialize_bytes visit_borrowed_bytes b"";
        deserialize_byte_buf visit_borrowed_bytes b"";
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.write("unit");
        visitor.visit_unit()
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        self.write("any");
        Err(Refused)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        self.write("identifier");
        Err(Refused)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.write("ignored");
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.write("option");
        if self.depth >= DEPTH {
            return visitor.visit_none();
        }
        self.within(|pen| visitor.visit_some(pen))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.write(name);
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.write(name);
        self.within(|pen| visitor.visit_newtype_struct(pen))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.write("sequence");
        let left = usize::from(self.depth < DEPTH);
        self.within(|pen| visitor.visit_seq(Parts { pen, left, names: &[] }))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.write(format_args!("tuple {len}"));
        self.within(|pen| visitor.visit_seq(Parts { pen, left: len, names: &[] }))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.write(name);
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.write("map");
        let left = usize::from(self.depth < DEPTH);
        self.within(|pen| visitor.visit_map(Parts { pen, left, names: &[] }))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.write(name);
        self.within(|pen| visitor.visit_seq(Parts { pen, left: fields.len(), names: fields }))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let seen = self.seen.entry(name).or_default();
        let at = *seen % variants.len().max(1);
        *seen += 1;
        self.more |= *seen < variants.len();
        self.write(format_args!("{name} {}", variants.join("|")));
        self.within(|pen| visitor.visit_enum(Variant { pen, at: at as u32 }))
    }
}

/// The parts of a sequence, tuple, struct or map.
struct Parts<'a> {
    pen: &'a mut Pen,
    left: usize,
    /// The names of fields, where they have any.
    names: &'static [&'static str],
}

impl Parts<'_> {
    fn next(&mut self) -> Option<&mut Pen> {
        self.left = self.left.checked_sub(1)?;
        if let Some(name) = self.names.get(self.names.len().wrapping_sub(self.left + 1)) {
            self.pen.write(format_args!("{name}:"));
        }
        Some(self.pen)
    }
}

impl<'de> de::SeqAccess<'de> for Parts<'_> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refused> {
        self.next().map(|pen| seed.deserialize(pen)).transpose()
    }
}

impl<'de> de::MapAccess<'de> for Parts<'_> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refused> {
        self.next().map(|pen| seed.deserialize(pen)).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        seed.deserialize(&mut *self.pen)
    }
}

/// One variant of an enum.
struct Variant<'a> {
    pen: &'a mut Pen,
    at: u32,
}

impl<'a, 'de> de::EnumAccess<'de> for Variant<'a> {
    type Error = Refused;
    type Variant = &'a mut Pen;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), Refused> {
        let index = de::value::U32Deserializer::<Refused>::new(self.at);
        Ok((seed.deserialize(index)?, self.pen))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Pen {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        self.write("unit");
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refused> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_struct("", fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    macro_rules! named {
        ($module:ident { $($body:tt)* }) => {
            mod $module {
                use serde::{Deserialize, Serialize};
                #[derive(Serialize, Deserialize)]
                pub struct Order { $($body)* }
            }
        };
    }

    named!(first { pub id: u64, pub total: f64 });
    named!(same { pub id: u64, pub total: f64 });
    named!(wider { pub id: u64, pub total: f64, pub note: Option<String> });
    named!(renamed { pub id: u64, pub sum: f64 });
    named!(retyped { pub id: u32, pub total: f64 });
    named!(swapped { pub total: f64, pub id: u64 });

    #[test]
    fn structs_are_told_apart_by_their_fields() {
        let first = outline::<first::Order>();
        assert_eq!(first, outline::<same::Order>());
        for other in [
            outline::<wider::Order>(),
            outline::<renamed::Order>(),
            outline::<retyped::Order>(),
            outline::<swapped::Order>(),
            outline::<Vec<first::Order>>(),
            outline::<(u64, f64)>(),
        ] {
            assert_ne!(first, other);
        }
    }

    #[derive(Serialize, Deserialize)]
    #[allow(dead_code)]
    enum Event<V> {
        Opened,
        Moved { to: V, by: u8 },
        Closed(V, u16),
    }

    #[derive(Serialize, Deserialize)]
    #[allow(dead_code)]
    enum Tree {
        Leaf(u8),
        Node(Box<Tree>, Box<Tree>),
        Many(Vec<Tree>),
    }

    #[test]
    fn every_variant_counts() {
        assert_ne!(outline::<Event<u8>>(), outline::<Event<u16>>());
        let text = outline::<Event<Option<i128>>>();
        assert!(text.contains("Opened|Moved|Closed") && text.contains("i128"), "{text}");
        assert!(text.contains("to:") && text.contains("u16"), "{text}");
    }

    #[test]
    fn types_without_end_have_an_outline() {
        assert!(outline::<Tree>().len() < 1 << 20);
        assert_eq!(outline::<Tree>(), outline::<Tree>());
        assert_ne!(outline::<Tree>(), outline::<Option<Tree>>());
    }

    #[test]
    fn types_that_refuse_simple_values_have_the_outline_up_to_there() {
        use std::num::NonZeroU32;
        assert_ne!(outline::<(u8, NonZeroU32)>(), outline::<(u16, NonZeroU32)>());
        assert_ne!(outline::<NonZeroU32>(), outline::<u32>());
    }
}
