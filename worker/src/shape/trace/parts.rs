//! What a made-up value consists of: each part is traced into its own place in the shape of the whole.

use brigade_protocol::shape::Shape;
use serde::de::value::U32Deserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::{Found, Stuck, Trace};

/// Parts that follow one another: of a sequence, a tuple, a struct, or key and value of a map.
pub(super) struct Parts<'a> {
    pub(super) slots: std::slice::IterMut<'a, Shape>,
    pub(super) found: &'a mut Found,
    /// Of the whole that they are parts of.
    pub(super) depth: u32,
}

impl Parts<'_> {
    fn next<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Stuck> {
        self.found.parts += 1;
        self.slots
            .next()
            .map(|slot| seed.deserialize(Trace { slot, found: self.found, depth: self.depth + 1 }))
            .transpose()
    }
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = Stuck;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Stuck> {
        self.next(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.slots.len())
    }
}

impl<'de> MapAccess<'de> for Parts<'_> {
    type Error = Stuck;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Stuck> {
        self.next(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Stuck> {
        self.next(seed)?.ok_or(Stuck)
    }
}

/// One variant of an enum, and what it carries.
pub(super) struct Variant<'a> {
    pub(super) index: u32,
    pub(super) slot: &'a mut Shape,
    pub(super) found: &'a mut Found,
    pub(super) depth: u32,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a> {
    type Error = Stuck;
    type Variant = Trace<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Trace<'a>), Stuck> {
        let index: U32Deserializer<Stuck> = self.index.into_deserializer();
        Ok((seed.deserialize(index)?, Trace { slot: self.slot, found: self.found, depth: self.depth }))
    }
}

impl<'de> VariantAccess<'de> for Trace<'_> {
    type Error = Stuck;

    fn unit_variant(self) -> Result<(), Stuck> {
        *self.slot = Shape::Unit;
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Stuck> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Stuck> {
        self.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, names: &'static [&'static str], visitor: V) -> Result<V::Value, Stuck> {
        self.deserialize_struct("", names, visitor)
    }
}
