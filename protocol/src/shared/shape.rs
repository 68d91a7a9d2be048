//! What values look like, told once per container. The encoding of values is compact and says nothing about itself;
//! without the shape beside it `brigade shared` could show people nothing but bytes.

use serde::{Deserialize, Serialize};

/// A type, as far as people need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeNote {
    /// Its name in Rust, for people only: two programs may call the same type differently.
    pub name: String,
    /// How its values are encoded.
    pub shape: Shape,
    /// The enums that occur in it, each as its variants: a name, and what the variant carries (`Unit` if nothing).
    pub enums: Vec<Vec<(String, Shape)>>,
}

/// How the values of a type are encoded: serde's data model, as [`codec`](crate::codec) writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// Not known: shown as bytes.
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
}
