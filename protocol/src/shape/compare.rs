//! Whether values of one shape are values of another, and in words where the two first differ.

use std::fmt;

use super::words::Short;
use super::{Shape, TypeNote};

/// Parts within each other that are compared at most. Both sides end: what is deeper is taken for the same.
const DEPTH: usize = 256;

/// Where two shapes first differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where in the value, from the outside in; empty for the value itself.
    path: Vec<Step>,
    /// What is different there.
    what: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Part(usize),
    Item,
    Key,
    Value,
    Variant(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.path {
            match step {
                Step::Field(name) => write!(f, "field `{name}`: "),
                Step::Part(index) => write!(f, "part {}: ", index + 1),
                Step::Item => write!(f, "each element: "),
                Step::Key => write!(f, "each key: "),
                Step::Value => write!(f, "each value: "),
                Step::Variant(name) => write!(f, "variant `{name}`: "),
            }?;
        }
        f.write_str(&self.what)
    }
}

/// Compares the shape that stands somewhere with the one that somebody brings. Parts that are unknown on either side are
/// taken for the same, and so are a sequence of `u8` and a byte string, which are encoded alike.
///
/// # Errors
/// The first difference.
pub fn compare(stands: &TypeNote, comes: &TypeNote) -> Result<(), Difference> {
    let mut walk =
        Walk { notes: [stands, comes], structs: [Vec::new(), Vec::new()], seen: Vec::new(), path: Vec::new() };
    walk.compare(&stands.shape, &comes.shape).map_err(|what| Difference { path: walk.path, what })
}

struct Walk<'a> {
    notes: [&'a TypeNote; 2],
    /// On either side, the structs in which the parts stand.
    structs: [Vec<&'a Shape>; 2],
    /// Pairs of enums that are compared already, and pairs of structs under way.
    seen: Vec<(*const Shape, *const Shape)>,
    /// Left as it is at the first difference.
    path: Vec<Step>,
}

impl<'a> Walk<'a> {
    fn compare(&mut self, stands: &'a Shape, comes: &'a Shape) -> Result<(), String> {
        if self.path.len() > DEPTH {
            return Ok(());
        }
        let (Some(stands), Some(comes)) = (self.resolved(0, stands), self.resolved(1, comes)) else { return Ok(()) };
        match (stands, comes) {
            (Shape::Opaque, _) | (_, Shape::Opaque) => Ok(()),
            (Shape::Bytes, Shape::Seq(inner)) | (Shape::Seq(inner), Shape::Bytes)
                if matches!(**inner, Shape::U8 | Shape::Opaque) =>
            {
                Ok(())
            }
            (Shape::Option(stands), Shape::Option(comes)) => self.compare(stands, comes),
            (Shape::Seq(stands), Shape::Seq(comes)) => self.step(Step::Item, stands, comes),
            (Shape::Map(key, value), Shape::Map(other_key, other_value)) => {
                self.step(Step::Key, key, other_key)?;
                self.step(Step::Value, value, other_value)
            }
            (Shape::Tuple(parts), Shape::Tuple(others)) => {
                if parts.len() != others.len() {
                    return Err(format!("{} parts instead of {}", others.len(), parts.len()));
                }
                let mut pairs = parts.iter().zip(others).enumerate();
                pairs.try_for_each(|(index, (part, other))| self.step(Step::Part(index), part, other))
            }
            (Shape::Struct(fields), Shape::Struct(others)) => {
                let pair = (std::ptr::from_ref(stands), std::ptr::from_ref(comes));
                if self.seen.contains(&pair) {
                    return Ok(());
                }
                self.seen.push(pair);
                self.structs[0].push(stands);
                self.structs[1].push(comes);
                let same = self.named("field", fields, others, Step::Field);
                self.structs[0].pop();
                self.structs[1].pop();
                same
            }
            (Shape::Enum(number), Shape::Enum(other)) => self.enums(*number, *other),
            (stands, comes) if stands == comes => Ok(()),
            (stands, comes) => {
                let short = |side: usize, shape: &Shape| Short::part(self.notes[side], shape).to_string();
                Err(format!("{} instead of {}", short(1, comes), short(0, stands)))
            }
        }
    }

    /// What stands for itself, or the struct that it stands for; `None` if it stands for none.
    fn resolved(&self, side: usize, shape: &'a Shape) -> Option<&'a Shape> {
        let Shape::Again(levels) = shape else { return Some(shape) };
        let structs = &self.structs[side];
        structs.len().checked_sub(*levels as usize).and_then(|index| structs.get(index)).copied()
    }

    fn step(&mut self, step: Step, stands: &'a Shape, comes: &'a Shape) -> Result<(), String> {
        self.path.push(step);
        self.compare(stands, comes)?;
        self.path.pop();
        Ok(())
    }

    fn enums(&mut self, number: u32, other: u32) -> Result<(), String> {
        let variants = |side: usize, number: u32| -> Option<&'a [(String, Shape)]> {
            self.notes[side].enums.get(number as usize).map(Vec::as_slice)
        };
        let (Some(variants), Some(others)) = (variants(0, number), variants(1, other)) else { return Ok(()) };
        let first =
            |variants: &[(String, Shape)]| variants.first().map_or(std::ptr::null(), |(_, shape)| shape as *const _);
        let pair = (first(variants), first(others));
        if self.seen.contains(&pair) {
            return Ok(());
        }
        self.seen.push(pair);
        let structs = std::mem::take(&mut self.structs);
        let same = self.named("variant", variants, others, Step::Variant);
        self.structs = structs;
        same
    }

    fn named(
        &mut self,
        kind: &str,
        stands: &'a [(String, Shape)],
        comes: &'a [(String, Shape)],
        step: fn(String) -> Step,
    ) -> Result<(), String> {
        // All names first: a field that was put in front of others shifts all of them.
        for (index, pair) in stands.iter().zip(comes).enumerate() {
            let ((name, _), (other, _)) = pair;
            if name != other {
                return Err(format!("{kind} {} is `{other}` instead of `{name}`", index + 1));
            }
        }
        if let Some((name, _)) = comes.get(stands.len()) {
            return Err(format!("{kind} `{name}` is new"));
        }
        if let Some((name, _)) = stands.get(comes.len()) {
            return Err(format!("{kind} `{name}` is missing"));
        }
        for ((name, stands), (_, comes)) in stands.iter().zip(comes) {
            self.step(step(name.clone()), stands, comes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(shape: Shape, enums: &[&[(&str, Shape)]]) -> TypeNote {
        let owned = |variants: &&[(&str, Shape)]| named(variants);
        TypeNote { name: String::new(), shape, enums: enums.iter().map(owned).collect() }
    }

    fn named(parts: &[(&str, Shape)]) -> Vec<(String, Shape)> {
        parts.iter().map(|(name, shape)| ((*name).to_owned(), shape.clone())).collect()
    }

    fn fields(parts: &[(&str, Shape)]) -> Shape {
        Shape::Struct(named(parts))
    }

    fn words(stands: &TypeNote, comes: &TypeNote) -> String {
        compare(stands, comes).expect_err("they differ").to_string()
    }

    fn boxed(shape: Shape) -> Box<Shape> {
        Box::new(shape)
    }

    #[test]
    fn the_first_difference_is_named_with_its_place() {
        let plain = |shape| note(shape, &[]);
        assert_eq!(words(&plain(Shape::U64), &plain(Shape::I64)), "i64 instead of u64");
        let before = plain(fields(&[("path", Shape::Text), ("sizes", Shape::Seq(boxed(Shape::U8)))]));
        let other = |parts: &[(&str, Shape)]| words(&before, &plain(fields(parts)));
        let sizes = Shape::Seq(boxed(Shape::U16));
        assert_eq!(other(&[("path", Shape::Text), ("sizes", sizes)]), "field `sizes`: each element: u16 instead of u8");
        assert_eq!(other(&[("name", Shape::Text)]), "field 1 is `name` instead of `path`");
        assert_eq!(other(&[("path", Shape::Text)]), "field `sizes` is missing");
        let pair = |second| plain(Shape::Tuple(vec![Shape::Bool, second]));
        assert_eq!(words(&pair(Shape::Text), &pair(Shape::Char)), "part 2: char instead of text");
        assert_eq!(words(&plain(Shape::Tuple(vec![Shape::U8])), &pair(Shape::U8)), "2 parts instead of 1");
        let map = |value| plain(Shape::Map(boxed(Shape::Text), boxed(value)));
        assert_eq!(words(&map(Shape::I64), &map(Shape::F64)), "each value: f64 instead of i64");
        assert_eq!(words(&map(Shape::I64), &before), "{ path: text, sizes: [u8] } instead of { text = i64, … }");
    }

    #[test]
    fn names_and_order_of_variants_count() {
        let before = note(Shape::Enum(0), &[&[("Credit", Shape::U64), ("Debit", Shape::U64)]]);
        let after = |variants: &[(&str, Shape)]| note(Shape::Enum(0), &[variants]);
        let inserted = after(&[("Credit", Shape::U64), ("Refund", Shape::U64), ("Debit", Shape::U64)]);
        assert_eq!(words(&before, &inserted), "variant 2 is `Refund` instead of `Debit`");
        let appended = after(&[("Credit", Shape::U64), ("Debit", Shape::U64), ("Refund", Shape::U64)]);
        assert_eq!(words(&before, &appended), "variant `Refund` is new");
        let carries = after(&[("Credit", Shape::U64), ("Debit", Shape::Text)]);
        assert_eq!(words(&before, &carries), "variant `Debit`: text instead of u64");
    }

    #[test]
    fn what_is_unknown_is_taken_for_the_same() {
        let plain = |shape| note(shape, &[]);
        let known = plain(fields(&[("at", Shape::Text), ("n", Shape::U8)]));
        let partly = plain(fields(&[("at", Shape::Text), ("n", Shape::Opaque)]));
        assert_eq!(compare(&known, &partly), Ok(()));
        assert_eq!(compare(&partly, &known), Ok(()));
        assert_eq!(compare(&known, &plain(Shape::Opaque)), Ok(()));
        assert_eq!(compare(&plain(Shape::Bytes), &plain(Shape::Seq(boxed(Shape::U8)))), Ok(()));
    }

    #[test]
    fn shapes_that_contain_themselves_end_and_their_numbers_do_not_count() {
        let tree = |leaf: Shape| [("Leaf", leaf), ("Both", Shape::Tuple(vec![Shape::Enum(0), Shape::Enum(0)]))];
        let one = note(Shape::Enum(0), &[&tree(Shape::U8)]);
        assert_eq!(compare(&one, &one.clone()), Ok(()));
        assert_eq!(words(&one, &note(Shape::Enum(0), &[&tree(Shape::U16)])), "variant `Leaf`: u16 instead of u8");
        let moved = Shape::Tuple(vec![Shape::Enum(1), Shape::Enum(1)]);
        let moved = note(Shape::Enum(1), &[&[], &[("Leaf", Shape::U8), ("Both", moved)]]);
        assert_eq!(compare(&one, &moved), Ok(()));

        let chain = |n: Shape, next: Shape| fields(&[("n", n), ("next", Shape::Option(boxed(next)))]);
        let short = note(chain(Shape::U8, Shape::Again(1)), &[]);
        let long = note(chain(Shape::U8, chain(Shape::U8, Shape::Again(1))), &[]);
        assert_eq!(compare(&short, &long), Ok(()), "the same values, told differently");
        let other = note(chain(Shape::U8, chain(Shape::U16, Shape::Again(1))), &[]);
        assert_eq!(words(&short, &other), "field `next`: field `n`: u16 instead of u8");
        assert_eq!(compare(&short, &note(Shape::Again(7), &[])), Ok(()), "nonsense is unknown");
    }
}
