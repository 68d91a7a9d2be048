//! Turning encoded values into something that people and their programs can read. The manager itself knows nothing of
//! values; the shape that a client told beside a container is enough to read them.

use std::fmt;
use std::marker::PhantomData;

use brigade_protocol::codec;
use brigade_protocol::shape::{Shape, TypeNote};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde_json::{Value, json};

/// The value as JSON. What has no known shape, or is not of the shape it should have, comes as `{"hex": "…"}`.
/// Numbers that JSON cannot hold (past 64 bits, not finite) come as text, maps whose keys are not text as pairs.
pub fn value(bytes: &[u8], note: Option<&TypeNote>) -> Value {
    note.and_then(|note| codec::decode_with(Reader { shape: &note.shape, note, around: None, depth: 0 }, bytes).ok())
        .unwrap_or_else(|| hex(bytes))
}

/// A counter's number.
pub fn counter(bytes: &[u8]) -> Value {
    codec::decode::<i64>(bytes).map_or_else(|_| hex(bytes), Value::from)
}

/// A type's name without the modules it lives in.
pub fn short_name(name: &str) -> String {
    let mut short = String::new();
    for piece in name.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        short.push_str(piece.rsplit("::").next().unwrap_or(piece));
    }
    short
}

fn hex(bytes: &[u8]) -> Value {
    json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() })
}

/// Reads one value of a shape.
#[derive(Clone, Copy)]
struct Reader<'a> {
    shape: &'a Shape,
    note: &'a TypeNote,
    around: Option<&'a Around<'a>>,
    /// In how many structs it stands.
    depth: u32,
}

/// Structs within each other that are read at most: a struct may claim to contain itself without an end.
const DEPTH: u32 = 128;

/// A struct in which a value stands, and the one around that, from the last variant of an enum on.
struct Around<'a> {
    shape: &'a Shape,
    around: Option<&'a Around<'a>>,
}

impl<'a> Reader<'a> {
    fn of(self, shape: &'a Shape) -> Self {
        Self { shape, ..self }
    }

    /// The struct that stands so many further out.
    fn again<E: Error>(self, levels: u32) -> Result<Self, E> {
        let mut at = self.around;
        for _ in 1..levels {
            at = at.and_then(|at| at.around);
        }
        let at = at.filter(|_| levels > 0).ok_or_else(|| E::custom("a struct that is not there"))?;
        Ok(Self { shape: at.shape, around: at.around, ..self })
    }

    fn variants(self, number: u32) -> &'a [(String, Shape)] {
        self.note.enums.get(number as usize).map_or(&[], Vec::as_slice)
    }
}

fn plain<'de, D: Deserializer<'de>, T: Deserialize<'de> + Into<Value>>(from: D) -> Result<Value, D::Error> {
    T::deserialize(from).map(Into::into)
}

fn text<'de, D: Deserializer<'de>, T: Deserialize<'de> + fmt::Display>(from: D) -> Result<Value, D::Error> {
    T::deserialize(from).map(|value| Value::from(value.to_string()))
}

fn float<E>(number: f64) -> Result<Value, E> {
    Ok(if number.is_finite() { Value::from(number) } else { Value::from(number.to_string()) })
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        match self.shape {
            Shape::Opaque => Err(D::Error::custom("a value of unknown shape")),
            Shape::Unit => <()>::deserialize(from).map(|()| Value::Null),
            Shape::Bool => plain::<D, bool>(from),
            Shape::I8 => plain::<D, i8>(from),
            Shape::I16 => plain::<D, i16>(from),
            Shape::I32 => plain::<D, i32>(from),
            Shape::I64 => plain::<D, i64>(from),
            Shape::I128 => text::<D, i128>(from),
            Shape::U8 => plain::<D, u8>(from),
            Shape::U16 => plain::<D, u16>(from),
            Shape::U32 => plain::<D, u32>(from),
            Shape::U64 => plain::<D, u64>(from),
            Shape::U128 => text::<D, u128>(from),
            // By way of its shortest text: 0.1f32 is to be shown as 0.1.
            Shape::F32 => float(f32::deserialize(from)?.to_string().parse().unwrap_or(f64::NAN)),
            Shape::F64 => float(f64::deserialize(from)?),
            Shape::Char => text::<D, char>(from),
            Shape::Text => plain::<D, String>(from),
            Shape::Bytes => from.deserialize_byte_buf(self),
            Shape::Option(_) => from.deserialize_option(self),
            Shape::Seq(_) => from.deserialize_seq(self),
            Shape::Map(..) => from.deserialize_map(self),
            Shape::Tuple(parts) => from.deserialize_tuple(parts.len(), self),
            Shape::Struct(_) if self.depth >= DEPTH => Err(D::Error::custom("too many structs within each other")),
            Shape::Struct(fields) => {
                let around = Around { shape: self.shape, around: self.around };
                from.deserialize_tuple(fields.len(), Reader { around: Some(&around), depth: self.depth + 1, ..self })
            }
            Shape::Again(levels) => self.again(*levels)?.deserialize(from),
            Shape::Enum(_) => from.deserialize_enum("", &[], self),
        }
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shape)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(hex(bytes))
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        match self.shape {
            Shape::Option(inner) => self.of(inner).deserialize(from),
            other => Err(D::Error::custom(format!("{other:?} is no option"))),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut part = |shape| from.next_element_seed(self.of(shape))?.ok_or_else(|| A::Error::custom("too short"));
        match self.shape {
            Shape::Tuple(parts) => parts.iter().map(part).collect::<Result<Vec<_>, _>>().map(Value::from),
            Shape::Struct(fields) => fields
                .iter()
                .map(|(name, shape)| Ok((name.clone(), part(shape)?)))
                .collect::<Result<serde_json::Map<_, _>, _>>()
                .map(Value::from),
            Shape::Seq(inner) => {
                let mut values = Vec::new();
                while let Some(value) = from.next_element_seed(self.of(inner))? {
                    values.push(value);
                }
                Ok(Value::from(values))
            }
            other => Err(A::Error::custom(format!("{other:?} is no sequence"))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let Shape::Map(key, value) = self.shape else {
            return Err(A::Error::custom(format!("{:?} is no map", self.shape)));
        };
        let mut pairs = Vec::new();
        while let Some(pair) = from.next_entry_seed(self.of(key), self.of(value))? {
            pairs.push(pair);
        }
        let by_text = pairs.iter().map(|(key, value)| Some((key.as_str()?.to_owned(), value.clone())));
        Ok(match by_text.collect::<Option<serde_json::Map<_, _>>>() {
            Some(object) => Value::from(object),
            None => pairs.into_iter().map(|(key, value)| json!([key, value])).collect(),
        })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, from: A) -> Result<Value, A::Error> {
        let Shape::Enum(number) = self.shape else {
            return Err(A::Error::custom(format!("{:?} is no enum", self.shape)));
        };
        let (index, carried) = from.variant_seed(PhantomData::<u32>)?;
        match self.variants(*number).get(index as usize) {
            Some((name, Shape::Unit)) => carried.unit_variant().map(|()| Value::from(name.as_str())),
            // What a variant carries is encoded alike, whether it has fields, parts or one value.
            Some((name, shape)) => carried
                .newtype_variant_seed(Reader { around: None, ..self.of(shape) })
                .map(|value| json!({ name.as_str(): value })),
            None => Err(A::Error::custom("a variant that nobody told of")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    enum Colour {
        Red,
        Grey(u8),
        Mixed { r: u8, g: f32 },
    }

    fn shown<T: Serialize>(value: &T, shape: Shape) -> Value {
        let carried = Shape::Struct(vec![("r".into(), Shape::U8), ("g".into(), Shape::F32)]);
        let colour = vec![("Red".into(), Shape::Unit), ("Grey".into(), Shape::U8), ("Mixed".into(), carried)];
        let mut bytes = Vec::new();
        codec::encode(value, &mut bytes).expect("it has an encoding");
        super::value(&bytes, Some(&TypeNote { name: String::new(), shape, enums: vec![colour] }))
    }

    fn boxed(shape: Shape) -> Box<Shape> {
        Box::new(shape)
    }

    #[test]
    fn values_are_shown_by_their_shape() {
        let pairs = BTreeMap::from([(1u8, true)]);
        let named = BTreeMap::from([("a", Some(-1i64)), ("b", None)]);
        let optional = Shape::Option(boxed(Shape::I64));
        assert_eq!(shown(&("the", 5u64), Shape::Tuple(vec![Shape::Text, Shape::U64])), json!(["the", 5]));
        assert_eq!(shown(&vec![1u16, 500], Shape::Seq(boxed(Shape::U16))), json!([1, 500]));
        assert_eq!(shown(&pairs, Shape::Map(boxed(Shape::U8), boxed(Shape::Bool))), json!([[1, true]]));
        assert_eq!(shown(&named, Shape::Map(boxed(Shape::Text), boxed(optional))), json!({"a": -1, "b": null}));
        assert_eq!(shown(&(0.1f32, f64::NAN), Shape::Tuple(vec![Shape::F32, Shape::F64])), json!([0.1, "NaN"]));
        assert_eq!(shown(&u128::MAX, Shape::U128), json!("340282366920938463463374607431768211455"));
        assert_eq!(shown(&'x', Shape::Char), json!("x"));
        assert_eq!(shown(&[Colour::Red], Shape::Tuple(vec![Shape::Enum(0)])), json!(["Red"]));
        assert_eq!(shown(&Colour::Grey(7), Shape::Enum(0)), json!({"Grey": 7}));
        assert_eq!(shown(&Colour::Mixed { r: 1, g: 0.5 }, Shape::Enum(0)), json!({"Mixed": {"r": 1, "g": 0.5}}));
    }

    #[test]
    fn a_struct_within_itself_is_shown() {
        #[derive(Serialize)]
        struct Chain {
            n: u8,
            next: Option<Box<Chain>>,
        }
        let next = Shape::Option(boxed(Shape::Again(1)));
        let shape = Shape::Struct(vec![("n".into(), Shape::U8), ("next".into(), next)]);
        let chain = |n, next: Option<Chain>| Chain { n, next: next.map(Box::new) };
        let value = chain(1, Some(chain(2, Some(chain(3, None)))));
        let expected = json!({"n": 1, "next": {"n": 2, "next": {"n": 3, "next": null}}});
        assert_eq!(shown(&value, shape), expected);
        assert_eq!(shown(&7u8, Shape::Again(1)), json!({"hex": "0107"}), "it stands in no struct");
        let endless = Shape::Struct(vec![("it".into(), Shape::Again(1))]);
        assert_eq!(shown(&7u8, endless), json!({"hex": "0107"}), "it never ends");
    }

    #[test]
    fn what_does_not_fit_its_shape_is_shown_as_bytes() {
        let bytes = json!({"hex": "0107"});
        assert_eq!(shown(&7u8, Shape::Opaque), bytes);
        assert_eq!(shown(&7u8, Shape::Text), bytes);
        assert_eq!(shown(&7u8, Shape::Enum(9)), bytes);
        assert_eq!(shown(&7u8, Shape::Tuple(vec![Shape::U8, Shape::U8])), bytes);
        assert_eq!(value(&[1, 7], None), bytes);
    }

    #[test]
    fn names_of_types_are_shown_without_their_modules() {
        assert_eq!(short_name("alloc::vec::Vec<(alloc::string::String, u64)>"), "Vec<(String, u64)>");
        assert_eq!(short_name("std::collections::hash::map::HashMap<a_b::C, [u8; 4]>"), "HashMap<C, [u8; 4]>");
    }
}
