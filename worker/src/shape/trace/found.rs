//! What the runs over one type have found so far.

use brigade_protocol::shape::Shape;

/// Texts that types insist on which are texts in the encoding: numbers, times, addresses.
const TEXTS: [&str; 9] = [
    "",
    "1",
    "a",
    "1970-01-01T00:00:00Z",
    "1970-01-01",
    "00:00:00",
    "127.0.0.1",
    "http://a/",
    "00000000-0000-0000-0000-000000000001",
];
/// The same for bytes, by their number.
const BYTES: [usize; 5] = [0, 16, 4, 8, 32];

#[derive(Default)]
pub(super) struct Found {
    pub(super) enums: Vec<Seen>,
    /// Parts of the value in this run.
    pub(super) parts: u32,
    /// Options and sequences are empty: what is around them has to end.
    pub(super) is_closing: bool,
    /// The type asks what the encoding does not say.
    pub(super) is_unreadable: bool,
    /// Structs around the part that is looked at, from the last variant of an enum on.
    around: Vec<(&'static str, &'static [&'static str])>,
    /// By type: how many of the texts it has refused.
    refused: Vec<(&'static str, usize)>,
    /// Another text is tried in the next run.
    has_next_text: bool,
}

pub(super) struct Seen {
    /// The type that asks, and its variants' names: an address would not do, as two lists of names may have the same one.
    visitor: &'static str,
    names: &'static [&'static str],
    pub(super) variants: Vec<(String, Shape)>,
    /// Each visit looks at the next variant.
    visits: usize,
}

impl Found {
    pub(super) fn begin_run(&mut self) {
        self.parts = 0;
        self.is_closing = false;
        self.has_next_text = false;
        self.around.clear();
    }

    /// Whether another run would find nothing more.
    pub(super) fn is_complete(&self, is_whole: bool) -> bool {
        let are_seen = self.enums.iter().all(|seen| seen.visits >= 2 * seen.names.len());
        are_seen && (is_whole || !self.has_next_text)
    }

    pub(super) fn number(&mut self, visitor: &'static str, names: &'static [&'static str]) -> usize {
        let known = self.enums.iter().position(|seen| seen.visitor == visitor && seen.names == names);
        known.unwrap_or_else(|| {
            let variants = names.iter().map(|name| ((*name).to_owned(), Shape::Opaque)).collect();
            self.enums.push(Seen { visitor, names, variants, visits: 0 });
            self.enums.len() - 1
        })
    }

    /// The variant to look at; `None` if the enum has none.
    pub(super) fn next_variant(&mut self, number: usize) -> Option<usize> {
        let seen = &mut self.enums[number];
        let index = seen.visits.checked_rem(seen.names.len())?;
        seen.visits += 1;
        Some(index)
    }

    /// Structs around a variant of an enum are no part of the enum's own shape.
    pub(super) fn enter_variant(&mut self) -> Vec<(&'static str, &'static [&'static str])> {
        std::mem::take(&mut self.around)
    }

    pub(super) fn leave_variant(&mut self, around: Vec<(&'static str, &'static [&'static str])>) {
        self.around = around;
    }

    /// How many structs further out the same one stands, if it is within itself.
    pub(super) fn enter_struct(&mut self, visitor: &'static str, names: &'static [&'static str]) -> Option<u32> {
        let again = self.around.iter().rev().position(|around| *around == (visitor, names));
        self.around.push((visitor, names));
        again.and_then(|further| u32::try_from(further + 1).ok())
    }

    pub(super) fn leave_struct(&mut self) {
        self.around.pop();
    }

    fn tries(&self, visitor: &str) -> usize {
        self.refused.iter().find(|(name, _)| *name == visitor).map_or(0, |(_, tries)| *tries)
    }

    pub(super) fn text(&self, visitor: &str) -> &'static str {
        TEXTS[self.tries(visitor) % TEXTS.len()]
    }

    pub(super) fn bytes(&self, visitor: &str) -> &'static [u8] {
        &[1; 32][..BYTES[self.tries(visitor) % BYTES.len()]]
    }

    /// That text, or those bytes, were refused.
    pub(super) fn refuse_text(&mut self, visitor: &'static str) {
        match self.refused.iter_mut().find(|(name, _)| *name == visitor) {
            Some((_, tries)) => *tries += 1,
            None => self.refused.push((visitor, 1)),
        }
        self.has_next_text |= self.tries(visitor) < TEXTS.len();
    }
}

/// Adds what was found in one run to what is known.
pub(super) fn merge(known: &mut Shape, seen: Shape) {
    match (known, seen) {
        (known @ Shape::Opaque, seen) => *known = seen,
        (Shape::Option(known), Shape::Option(seen)) | (Shape::Seq(known), Shape::Seq(seen)) => merge(known, *seen),
        (Shape::Map(key, value), Shape::Map(seen_key, seen_value)) => {
            merge(key, *seen_key);
            merge(value, *seen_value);
        }
        (Shape::Tuple(known), Shape::Tuple(seen)) if known.len() == seen.len() => {
            known.iter_mut().zip(seen).for_each(|(known, seen)| merge(known, seen));
        }
        (Shape::Struct(known), Shape::Struct(seen)) if known.len() == seen.len() => {
            known.iter_mut().zip(seen).for_each(|((_, known), (_, seen))| merge(known, seen));
        }
        // The same, or a type that decides by its values what it is: the first stays.
        _ => {}
    }
}
