//! A shape as people read it: `{ path: text, sizes: [(u8, f64)] }`.

use std::fmt::{self, Write};

use super::{Shape, TypeNote};

/// Characters of a shape at most; what is longer ends with `…`.
const CHARS: usize = 240;
/// Parts within each other that are told at most.
const DEPTH: u32 = 6;

impl fmt::Display for TypeNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Short::part(self, &self.shape).fmt(f)
    }
}

/// A part of a type, in no more than 240 characters.
pub(super) struct Short<'a> {
    note: &'a TypeNote,
    shape: &'a Shape,
}

impl<'a> Short<'a> {
    pub(super) fn part(note: &'a TypeNote, shape: &'a Shape) -> Self {
        Self { note, shape }
    }
}

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Bounded { out: String::new(), left: CHARS };
        // An error is the bound: what is there until then is shown.
        let whole = tell(self.note, self.shape, &mut out, &mut Vec::new(), 0);
        f.write_str(&out.out)?;
        if whole.is_err() { f.write_str("…") } else { Ok(()) }
    }
}

struct Bounded {
    out: String,
    left: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            // Names of fields come from shared memory.
            if self.left == 0 {
                return Err(fmt::Error);
            }
            self.left -= 1;
            self.out.push(if char.is_control() { char::REPLACEMENT_CHARACTER } else { char });
        }
        Ok(())
    }
}

/// `enums`: those in which it stands.
fn tell(note: &TypeNote, shape: &Shape, out: &mut Bounded, enums: &mut Vec<u32>, depth: u32) -> fmt::Result {
    if depth > DEPTH {
        return out.write_str("…");
    }
    let mut inner = |shape: &Shape, out: &mut Bounded| tell(note, shape, out, enums, depth + 1);
    let plain = match shape {
        Shape::Opaque => "not checked",
        Shape::Unit => "()",
        Shape::Bool => "bool",
        Shape::I8 => "i8",
        Shape::I16 => "i16",
        Shape::I32 => "i32",
        Shape::I64 => "i64",
        Shape::I128 => "i128",
        Shape::U8 => "u8",
        Shape::U16 => "u16",
        Shape::U32 => "u32",
        Shape::U64 => "u64",
        Shape::U128 => "u128",
        Shape::F32 => "f32",
        Shape::F64 => "f64",
        Shape::Char => "char",
        Shape::Text => "text",
        Shape::Bytes => "bytes",
        Shape::Again(_) => "the same again",
        Shape::Option(shape) => {
            inner(shape, out)?;
            "?"
        }
        Shape::Seq(shape) => {
            out.write_char('[')?;
            inner(shape, out)?;
            "]"
        }
        Shape::Map(key, value) => {
            out.write_str("{ ")?;
            inner(key, out)?;
            out.write_str(" = ")?;
            inner(value, out)?;
            ", … }"
        }
        Shape::Tuple(parts) => {
            out.write_char('(')?;
            for (index, part) in parts.iter().enumerate() {
                out.write_str(if index == 0 { "" } else { ", " })?;
                inner(part, out)?;
            }
            ")"
        }
        Shape::Struct(fields) => {
            for (index, (name, part)) in fields.iter().enumerate() {
                write!(out, "{}{name}: ", if index == 0 { "{ " } else { ", " })?;
                inner(part, out)?;
            }
            if fields.is_empty() { "{}" } else { " }" }
        }
        Shape::Enum(number) if enums.contains(number) => "the same again",
        Shape::Enum(number) => {
            let Some(variants) = note.enums.get(*number as usize) else { return out.write_str("not checked") };
            enums.push(*number);
            for (index, (name, part)) in variants.iter().enumerate() {
                write!(out, "{}{name}", if index == 0 { "" } else { " | " })?;
                match part {
                    Shape::Unit => {}
                    Shape::Tuple(_) | Shape::Struct(_) => {
                        out.write_str(if matches!(part, Shape::Struct(_)) { " " } else { "" })?;
                        tell(note, part, out, enums, depth + 1)?;
                    }
                    part => {
                        out.write_char('(')?;
                        tell(note, part, out, enums, depth + 1)?;
                        out.write_char(')')?;
                    }
                }
            }
            enums.pop();
            ""
        }
    };
    out.write_str(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(shape: Shape, enums: Vec<Vec<(String, Shape)>>) -> String {
        TypeNote { name: "Secret".into(), shape, enums }.to_string()
    }

    #[test]
    fn shapes_are_told_shortly() {
        let boxed = |shape| Box::new(shape);
        let sizes = Shape::Seq(boxed(Shape::Tuple(vec![Shape::U8, Shape::F64])));
        let shape = Shape::Struct(vec![
            ("path".into(), Shape::Text),
            ("sizes".into(), sizes),
            ("owner".into(), Shape::Option(boxed(Shape::Text))),
            ("kind".into(), Shape::Enum(0)),
            ("rest".into(), Shape::Opaque),
        ]);
        let kind = vec![
            ("None".into(), Shape::Unit),
            ("Debit".into(), Shape::U64),
            ("Both".into(), Shape::Tuple(vec![Shape::Enum(0), Shape::Bool])),
            ("At".into(), Shape::Struct(vec![("x".into(), Shape::I8)])),
        ];
        let expected = "{ path: text, sizes: [(u8, f64)], owner: text?, kind: None | Debit(u64) | Both(the same again, bool) \
                        | At { x: i8 }, rest: not checked }";
        assert_eq!(words(shape, vec![kind]), expected);
    }

    #[test]
    fn what_is_long_deep_or_hostile_is_cut() {
        let wide = Shape::Struct((0..1000).map(|n| (format!("field_{n}"), Shape::U64)).collect());
        let words_of_wide = words(wide, vec![]);
        assert!(words_of_wide.ends_with('…') && words_of_wide.chars().count() == 241, "{words_of_wide}");
        let deep = (0..100).fold(Shape::U8, |inner, _| Shape::Seq(Box::new(inner)));
        assert_eq!(words(deep, vec![]), "[[[[[[[…]]]]]]]");
        assert_eq!(words(Shape::Struct(vec![("a\u{1b}[2J".into(), Shape::U8)]), vec![]), "{ a\u{fffd}[2J: u8 }");
        assert_eq!(words(Shape::Enum(9), vec![]), "not checked");
    }
}
