//! Finding out how the values of a type are encoded. The type's own `Deserialize` is run on values made up here, and every
//! question that it asks is written down.
//!
//! The same type gives the same shape in every program: nothing depends on addresses, on time or on chance. What cannot
//! be found out, because the type refuses the values made up for it, stays unknown ([`Shape::Opaque`]).

use std::any::type_name;
use std::fmt;

use brigade_protocol::shape::{Shape, TypeNote};
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};

mod found;
mod parts;

use found::{Found, merge};
use parts::{Parts, Variant};

use crate::panics;

/// Runs at most: each looks at the next variant of every enum, and tries another text where one was refused.
const RUNS: u32 = 256;
/// From so many parts on, or so deep within each other, options and sequences are taken to be empty: types may contain
/// themselves.
const PARTS: u32 = 300;
const DEPTH: u32 = 12;
/// So deep within each other, nothing more is looked at.
const BOTTOM: u32 = 32;

/// What is known of a type.
pub(super) struct Traced {
    pub(super) note: TypeNote,
    /// No value of the type can be read: it asks what the encoding does not say.
    pub(super) is_unreadable: bool,
}

/// Traces a type.
pub(super) fn trace<T: DeserializeOwned>() -> Traced {
    let mut found = Found::default();
    let mut shape = Shape::Opaque;
    for _ in 0..RUNS {
        found.begin_run();
        let mut seen = Shape::Opaque;
        let run = || T::deserialize(Trace { slot: &mut seen, found: &mut found, depth: 0 }).is_ok();
        // What was written down until the type refused a value still holds.
        let is_whole = panics::caught(run).unwrap_or(false);
        merge(&mut shape, seen);
        if found.is_complete(is_whole) {
            break;
        }
    }
    let Found { enums, is_unreadable, .. } = found;
    let enums = enums.into_iter().map(|seen| seen.variants).collect();
    Traced { note: TypeNote { name: type_name::<T>().to_owned(), shape, enums }, is_unreadable }
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
        self.found.parts < PARTS && self.depth < DEPTH && !self.found.is_closing
    }

    fn unreadable<T>(self) -> Result<T, Stuck> {
        self.found.is_unreadable = true;
        Err(Stuck)
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
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stuck> {
        *self.slot = Shape::Text;
        let text = self.found.text(type_name::<V>());
        visitor.visit_borrowed_str(text).inspect_err(|_| self.found.refuse_text(type_name::<V>()))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stuck> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stuck> {
        *self.slot = Shape::Bytes;
        let bytes = self.found.bytes(type_name::<V>());
        visitor.visit_borrowed_bytes(bytes).inspect_err(|_| self.found.refuse_text(type_name::<V>()))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stuck> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stuck> {
        self.unreadable()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stuck> {
        self.unreadable()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stuck> {
        self.unreadable()
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
        let again = self.found.enter_struct(type_name::<V>(), names);
        let was_closing = self.found.is_closing;
        // It has a value only if the struct within it ends soon.
        self.found.is_closing |= again.is_some();
        let mut fields = vec![Shape::Opaque; names.len()];
        let slots = Parts { slots: fields.iter_mut(), found: self.found, depth: self.depth };
        let result = if self.depth > BOTTOM { Err(Stuck) } else { visitor.visit_seq(slots) };
        self.found.is_closing = was_closing;
        self.found.leave_struct();
        *self.slot = again.map_or_else(
            || Shape::Struct(names.iter().map(|name| (*name).to_owned()).zip(fields).collect()),
            Shape::Again,
        );
        result
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stuck> {
        let number = self.found.number(type_name::<V>(), names);
        *self.slot = Shape::Enum(number as u32);
        if self.depth > BOTTOM {
            return Err(Stuck);
        }
        let index = self.found.next_variant(number).ok_or(Stuck)?;
        let mut carried = Shape::Opaque;
        let around = self.found.enter_variant();
        let result = visitor.visit_enum(Variant {
            index: index as u32,
            slot: &mut carried,
            found: self.found,
            depth: self.depth + 1,
        });
        self.found.leave_variant(around);
        merge(&mut self.found.enums[number].variants[index].1, carried);
        result
    }

    // As in the encoding: types that look different to people are asked for as they are encoded.
    fn is_human_readable(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
