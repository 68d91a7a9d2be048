//! Finding out how the values of a type are encoded, for the people who want to look at shared state. The type's own
//! `Deserialize` is run on values made up here, and every question that it asks is written down. That happens once per
//! list or map and process; what cannot be found out is shown as bytes, and nothing else depends on it.

use std::any::type_name;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use brigade_protocol::shared::shape::{Shape, TypeNote};
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};

mod parts;

use parts::{Parts, Variant};

/// So many runs find every variant of the enums that people write.
const RUNS: u32 = 64;
/// From so many parts on, or so deep within each other, options and sequences are taken to be empty: types may contain
/// themselves.
const PARTS: u32 = 300;
const DEPTH: u32 = 12;
/// So deep within each other, nothing more is looked at.
const BOTTOM: u32 = 32;

/// Name and shape of a type.
pub(super) fn note<T: DeserializeOwned>() -> TypeNote {
    let mut found = Found::default();
    let mut shape = Shape::Opaque;
    for _ in 0..RUNS {
        found.parts = 0;
        let run = || T::deserialize(Trace { slot: &mut shape, found: &mut found, depth: 0 }).is_ok();
        // A type may insist on values that ours are not. What was written down until then still holds.
        let _ = catch_unwind(AssertUnwindSafe(run));
        if found.enums.is_empty() {
            break;
        }
    }
    let enums = found.enums.into_iter().map(|seen| seen.variants).collect();
    TypeNote { name: type_name::<T>().to_owned(), shape, enums }
}

#[derive(Default)]
struct Found {
    enums: Vec<Seen>,
    /// Parts of the value in this run.
    parts: u32,
}

struct Seen {
    /// The list of names, by its place: two enums may have the same name.
    names: &'static [&'static str],
    variants: Vec<(String, Shape)>,
    /// Each visit looks at the next variant.
    visits: usize,
}

impl Found {
    fn number(&mut self, names: &'static [&'static str]) -> usize {
        self.enums.iter().position(|seen| std::ptr::eq(seen.names, names)).unwrap_or_else(|| {
            let variants = names.iter().map(|name| ((*name).to_owned(), Shape::Opaque)).collect();
            self.enums.push(Seen { names, variants, visits: 0 });
            self.enums.len() - 1
        })
    }
}

/// The type insists on another value, or asks for something that our encoding does not have.
#[derive(Debug)]
struct Stuck;

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shape of this type cannot be found out")
    }
}

impl std::error::Error for Stuck {}

impl Error for Stuck {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Stands for one value: gives it, and writes its shape down.
struct Trace<'a> {
    slot: &'a mut Shape,
    found: &'a mut Found,
    /// In how many others it is.
    depth: u32,
}

impl Trace<'_> {
    fn has_room(&self) -> bool {
        self.found.parts < PARTS && self.depth < DEPTH
    }
}

macro_rules! plain {
    ($($ask:ident $shape:ident $visit:ident $value:expr;)*) => {
        $(fn $ask<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stuck> {
            *self.slot = Shape::$shape;
            visitor.$visit($value)
        })*
    };
}

impl<'de> Deserializer<'de> for Trace<'_> {
    type Error = Stuck;

    // 1, because there are types without a 0.
    plain! {
        deserialize_bool Bool visit_bool true;
        deserialize_i8 I8 visit_i8 1;
        deserialize_i16 I16 visit_i16 1;
        deserialize_i32 I32 visit_i32 1;
        deserialize_i64 I64 visit_i64 1;
        deserialize_i128 I128 visit_i128 1;
        deserialize_u8 U8 visit_u8 1;
        deserialize_u16 U16 visit_u16 1;
        deserialize_u32 U32 visit_u32 1;
        deserialize_u64 U64 visit_u64 1;
        deserialize_u128 U128 visit_u128 1;
        deserialize_f32 F32 visit_f32 1.0;
        deserialize_f64 F64 visit_f64 1.0;
        deserialize_char Char visit_char 'a';
        deserialize_str Text visit_borrowed_str "";
        deserialize_string Text visit_borrowed_str "";
        deserialize_bytes Bytes visit_borrowed_bytes &[];
        deserialize_byte_buf Bytes visit_borrowed_bytes &[];
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stuck> {
        Err(Stuck)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stuck> {
        Err(Stuck)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stuck> {
        Err(Stuck)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stuck> {
        *self.slot = Shape::Unit;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stuck> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stuck> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stuck> {
        let mut inner = Shape::Opaque;
        let result = if self.has_room() {
            self.found.parts += 1;
            visitor.visit_some(Trace { slot: &mut inner, found: self.found, depth: self.depth + 1 })
        } else {
            visitor.visit_none()
        };
        *self.slot = Shape::Option(Box::new(inner));
        result
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stuck> {
        let mut inner = vec![Shape::Opaque];
        let length = usize::from(self.has_room());
        let result =
            visitor.visit_seq(Parts { slots: inner[..length].iter_mut(), found: self.found, depth: self.depth });
        *self.slot = Shape::Seq(Box::new(inner.remove(0)));
        result
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stuck> {
        let mut inner = [Shape::Opaque, Shape::Opaque];
        let length = if self.has_room() { 2 } else { 0 };
        let result =
            visitor.visit_map(Parts { slots: inner[..length].iter_mut(), found: self.found, depth: self.depth });
        let [key, value] = inner;
        *self.slot = Shape::Map(Box::new(key), Box::new(value));
        result
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Stuck> {
        let mut parts = vec![Shape::Opaque; length];
        let result = visitor.visit_seq(Parts { slots: parts.iter_mut(), found: self.found, depth: self.depth });
        *self.slot = Shape::Tuple(parts);
        result
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Stuck> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stuck> {
        let mut fields = vec![Shape::Opaque; names.len()];
        let result = visitor.visit_seq(Parts { slots: fields.iter_mut(), found: self.found, depth: self.depth });
        *self.slot = Shape::Struct(names.iter().map(|name| (*name).to_owned()).zip(fields).collect());
        result
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stuck> {
        let number = self.found.number(names);
        *self.slot = Shape::Enum(number as u32);
        let seen = &mut self.found.enums[number];
        if self.depth > BOTTOM {
            return Err(Stuck);
        }
        let index = seen.visits.checked_rem(names.len()).ok_or(Stuck)?;
        seen.visits += 1;
        let mut carried = Shape::Opaque;
        let result = visitor.visit_enum(Variant {
            index: index as u32,
            slot: &mut carried,
            found: self.found,
            depth: self.depth + 1,
        });
        self.found.enums[number].variants[index].1 = carried;
        result
    }

    // As in the encoding: types that look different to people are asked for as they are encoded.
    fn is_human_readable(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    struct Page {
        path: PathBuf,
        sizes: Vec<(u8, f64)>,
        seen: Option<BTreeMap<String, bool>>,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    enum Tree {
        Leaf,
        Named(String),
        Both(Box<Tree>, Box<Tree>),
        Coloured { colour: Colour },
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    enum Twins {
        Both(Box<Twins>, Box<Twins>),
        Leaf,
    }

    #[derive(Deserialize)]
    enum Colour {
        Red,
        Green,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    struct Chain {
        next: Option<Box<Chain>>,
        others: Vec<Chain>,
    }

    fn shape<T: DeserializeOwned>() -> Shape {
        note::<T>().shape
    }

    fn boxed(shape: Shape) -> Box<Shape> {
        Box::new(shape)
    }

    #[test]
    fn structs_are_known_with_their_fields() {
        let sizes = Shape::Seq(boxed(Shape::Tuple(vec![Shape::U8, Shape::F64])));
        let seen = Shape::Option(boxed(Shape::Map(boxed(Shape::Text), boxed(Shape::Bool))));
        let fields = vec![("path".into(), Shape::Text), ("sizes".into(), sizes), ("seen".into(), seen)];
        assert_eq!(shape::<Page>(), Shape::Struct(fields));
        assert!(note::<Page>().name.ends_with("::Page"));
    }

    #[test]
    fn enums_are_known_with_all_their_variants_though_they_contain_themselves() {
        let tree = note::<Tree>();
        assert_eq!(tree.shape, Shape::Enum(0));
        let coloured = Shape::Struct(vec![("colour".into(), Shape::Enum(1))]);
        let expected = vec![
            vec![
                ("Leaf".into(), Shape::Unit),
                ("Named".into(), Shape::Text),
                ("Both".into(), Shape::Tuple(vec![Shape::Enum(0), Shape::Enum(0)])),
                ("Coloured".into(), coloured),
            ],
            vec![("Red".into(), Shape::Unit), ("Green".into(), Shape::Unit)],
        ];
        assert_eq!(tree.enums, expected);
        let _ = [Colour::Red, Colour::Green];
    }

    #[test]
    fn types_that_have_no_end_or_refuse_made_up_values_do_no_harm() {
        assert!(matches!(shape::<Chain>(), Shape::Struct(_)));
        let both = ("Both".into(), Shape::Tuple(vec![Shape::Enum(0), Shape::Enum(0)]));
        assert_eq!(note::<Twins>().enums, [vec![both, ("Leaf".into(), Shape::Unit)]]);
        assert_eq!(shape::<std::net::Ipv4Addr>(), Shape::Tuple(vec![Shape::U8; 4]));
        assert_eq!(shape::<std::num::NonZeroU16>(), Shape::U16);
        assert_eq!(shape::<char>(), Shape::Char);
        struct Strict;
        impl<'de> Deserialize<'de> for Strict {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                assert_eq!(String::deserialize(from)?, "strict");
                Ok(Self)
            }
        }
        assert_eq!(shape::<Strict>(), Shape::Text);
    }
}
