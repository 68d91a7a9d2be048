//! A shape as bytes that are the same for the same type in every program, and their hash.
//!
//! The bytes are written and read by hand, part by part from the outside in: what is read comes from memory that other
//! processes write to, so its depth and all its counts are bounded.

use super::{Shape, TypeNote};

/// A shape that is read has at most so many parts within each other. The tracer makes none that is deeper.
const DEPTH: u32 = 128;

/// A shape as bytes, and their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    /// The shape without the type's name.
    pub bytes: Vec<u8>,
    /// Of the bytes; never 0.
    pub hash: u64,
}

/// The shapes without parts, each under its number.
const PLAIN: [Shape; 18] = [
    Shape::Opaque,
    Shape::Unit,
    Shape::Bool,
    Shape::I8,
    Shape::I16,
    Shape::I32,
    Shape::I64,
    Shape::I128,
    Shape::U8,
    Shape::U16,
    Shape::U32,
    Shape::U64,
    Shape::U128,
    Shape::F32,
    Shape::F64,
    Shape::Char,
    Shape::Text,
    Shape::Bytes,
];
const OPTION: u8 = 32;
const SEQ: u8 = 33;
const TUPLE: u8 = 34;
const MAP: u8 = 35;
const STRUCT: u8 = 36;
const ENUM: u8 = 37;
const AGAIN: u8 = 38;

impl TypeNote {
    /// The shape as bytes. `None` if nothing of it is known, for then there is nothing to compare.
    pub fn canonical(&self) -> Option<Canonical> {
        if self.shape == Shape::Opaque {
            return None;
        }
        let mut bytes = Vec::new();
        write(&self.shape, &mut bytes);
        number(self.enums.len(), &mut bytes);
        self.enums.iter().for_each(|variants| write_named(variants, &mut bytes));
        let hash = hash(&bytes);
        Some(Canonical { bytes, hash })
    }
}

/// Reads a shape that another process has written. `None` if the bytes are not those with that hash, or are no shape.
pub fn read(bytes: &[u8], expected: u64) -> Option<TypeNote> {
    if hash(bytes) != expected {
        return None;
    }
    let mut rest = bytes;
    let shape = read_shape(&mut rest, 0)?;
    let enums = several(&mut rest, |rest| read_named(rest, 0))?;
    rest.is_empty().then_some(TypeNote { name: String::new(), shape, enums })
}

fn write(shape: &Shape, out: &mut Vec<u8>) {
    match shape {
        Shape::Option(inner) => {
            out.push(OPTION);
            write(inner, out);
        }
        Shape::Seq(inner) => {
            out.push(SEQ);
            write(inner, out);
        }
        Shape::Map(key, value) => {
            out.push(MAP);
            write(key, out);
            write(value, out);
        }
        Shape::Tuple(parts) => {
            out.push(TUPLE);
            number(parts.len(), out);
            parts.iter().for_each(|part| write(part, out));
        }
        Shape::Struct(fields) => {
            out.push(STRUCT);
            write_named(fields, out);
        }
        Shape::Enum(index) => {
            out.push(ENUM);
            out.extend_from_slice(&index.to_le_bytes());
        }
        Shape::Again(levels) => {
            out.push(AGAIN);
            out.extend_from_slice(&levels.to_le_bytes());
        }
        plain => out.extend((0u8..).zip(&PLAIN).find(|(_, it)| *it == plain).map(|(tag, _)| tag)),
    }
}

fn write_named(parts: &[(String, Shape)], out: &mut Vec<u8>) {
    number(parts.len(), out);
    for (name, shape) in parts {
        number(name.len(), out);
        out.extend_from_slice(name.as_bytes());
        write(shape, out);
    }
}

fn number(value: usize, out: &mut Vec<u8>) {
    // No shape has 2^32 parts: each takes memory.
    out.extend_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
}

fn read_shape(rest: &mut &[u8], depth: u32) -> Option<Shape> {
    if depth > DEPTH {
        return None;
    }
    let (tag, behind) = rest.split_first()?;
    *rest = behind;
    let inner = |rest: &mut &[u8]| read_shape(rest, depth + 1).map(Box::new);
    Some(match *tag {
        OPTION => Shape::Option(inner(rest)?),
        SEQ => Shape::Seq(inner(rest)?),
        MAP => Shape::Map(inner(rest)?, inner(rest)?),
        TUPLE => Shape::Tuple(several(rest, |rest| read_shape(rest, depth + 1))?),
        STRUCT => Shape::Struct(read_named(rest, depth + 1)?),
        ENUM => Shape::Enum(read_number(rest)?),
        AGAIN => Shape::Again(read_number(rest)?),
        plain => PLAIN.get(usize::from(plain))?.clone(),
    })
}

fn read_named(rest: &mut &[u8], depth: u32) -> Option<Vec<(String, Shape)>> {
    several(rest, |rest| {
        let length = usize::try_from(read_number(rest)?).ok()?;
        let (name, behind) = rest.split_at_checked(length)?;
        *rest = behind;
        Some((std::str::from_utf8(name).ok()?.to_owned(), read_shape(rest, depth)?))
    })
}

/// As many as the number in front says. Each takes a byte at least, so that a wrong number ends with the bytes.
fn several<T>(rest: &mut &[u8], one: impl Fn(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = read_number(rest)?;
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(one(rest)?);
    }
    Some(all)
}

fn read_number(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u32::from_le_bytes(*bytes))
}

/// FNV-1a, 64 bits wide, and never 0. It tells shapes apart, and protects against nothing else.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> TypeNote {
        let boxed = |shape| Box::new(shape);
        let fields = vec![
            ("id".to_owned(), Shape::U64),
            ("tags".to_owned(), Shape::Seq(boxed(Shape::Option(boxed(Shape::Text))))),
            ("sizes".to_owned(), Shape::Map(boxed(Shape::Text), boxed(Shape::Tuple(vec![Shape::U8, Shape::F64])))),
            ("kind".to_owned(), Shape::Enum(0)),
            ("next".to_owned(), Shape::Option(boxed(Shape::Again(1)))),
        ];
        let kind = vec![("Debit".to_owned(), Shape::U64), ("Blob".to_owned(), Shape::Bytes)];
        TypeNote { name: String::new(), shape: Shape::Struct(fields), enums: vec![kind] }
    }

    #[test]
    fn a_shape_is_read_as_it_was_written_and_its_bytes_never_change() {
        let Canonical { bytes, hash } = sample().canonical().expect("something is known");
        assert_eq!(read(&bytes, hash), Some(sample()));
        assert_eq!(hash, 0xb0a0_c98e_f01c_b79a, "another hash: queues of another build are not understood");
        let renamed = TypeNote { name: "Other".into(), ..sample() }.canonical();
        assert_eq!(renamed, sample().canonical(), "the name of the type counts for nothing");
    }

    #[test]
    fn every_plain_shape_has_a_number() {
        for shape in &PLAIN[1..] {
            let note = TypeNote { name: String::new(), shape: shape.clone(), enums: Vec::new() };
            let Canonical { bytes, hash } = note.canonical().expect("it is known");
            assert_eq!(read(&bytes, hash), Some(note));
        }
        let unknown = TypeNote { name: String::new(), shape: Shape::Opaque, enums: Vec::new() };
        assert_eq!(unknown.canonical(), None);
    }

    #[test]
    fn what_is_damaged_hostile_or_too_deep_is_no_shape() {
        let Canonical { bytes, hash: right } = sample().canonical().expect("something is known");
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end], hash(&bytes[..end])), None, "cut at {end}");
        }
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0xff;
            assert_eq!(read(&other, right), None, "the hash does not fit");
            let _ = read(&other, hash(&other)); // Whatever it is, it ends.
        }
        let deep = vec![OPTION; 1 << 20];
        assert_eq!(read(&deep, hash(&deep)), None);
        let many = [&[TUPLE][..], &[0xff; 4], &[0; 64]].concat();
        assert_eq!(read(&many, hash(&many)), None);
    }
}
