//! What values look like: serde's data model, as [`codec`](crate::codec) writes it.
//!
//! The encoding of values says nothing about itself, so the bytes of one type can often be read as another. Queues, lists and
//! maps therefore hold the shape of what they carry, and a handle of another shape is refused when it joins.
//!
//! - `canonical`: a shape as bytes, and their hash; equal types of two programs have equal bytes;
//! - `compare`: whether two shapes are the same, and where they first differ;
//! - `words`: a shape as people read it.

mod canonical;
mod compare;
mod words;

pub use canonical::{Canonical, read};
pub use compare::{Difference, compare};

use serde::{Deserialize, Serialize};

/// The shape of a type, with the type's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeNote {
    /// Its name in Rust, for people only: two programs may call the same type differently, and it counts for nothing.
    pub name: String,
    /// How its values are encoded.
    pub shape: Shape,
    /// The enums that occur in it, each as its variants: a name, and what the variant carries (`Unit` if nothing).
    pub enums: Vec<Vec<(String, Shape)>>,
}

/// How the values of a type are encoded: serde's data model, as [`codec`](crate::codec) writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// Not known: shown as bytes, and compared with nothing.
    Opaque,
    /// Nothing.
    Unit,
    /// `bool`
    Bool,
    /// `i8`
    I8,
    /// `i16`
    I16,
    /// `i32`
    I32,
    /// `i64`
    I64,
    /// `i128`
    I128,
    /// `u8`
    U8,
    /// `u16`
    U16,
    /// `u32`
    U32,
    /// `u64`
    U64,
    /// `u128`
    U128,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `char`
    Char,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// A value or none.
    Option(Box<Shape>),
    /// Any number of values of one shape.
    Seq(Box<Shape>),
    /// A fixed number of values.
    Tuple(Vec<Shape>),
    /// Keys and values.
    Map(Box<Shape>, Box<Shape>),
    /// Named fields.
    Struct(Vec<(String, Shape)>),
    /// One of several: number of the enum in [`TypeNote::enums`]. By number, because an enum may contain itself.
    Enum(u32),
    /// The struct itself in which this stands, so many structs further out: 1 is the next one. A variant of an enum begins
    /// to count again.
    Again(u32),
}
