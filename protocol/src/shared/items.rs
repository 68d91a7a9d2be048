//! Many encoded values in one piece of memory, so that a thousand of them cost one allocation and one copy on their
//! way, not a thousand.

use serde::{Deserialize, Serialize};

use crate::codec::{self, EncodeError};

/// Bytes of the length before each value.
const PREFIX: usize = 4;

/// A sequence of encoded values: each one behind its length (4 bytes, little endian).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Items {
    count: u64,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
}

impl Items {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// None, with room for this many bytes of values and their lengths.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { count: 0, bytes: Vec::with_capacity(bytes) }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all values, with their lengths.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a value that is encoded already. Its length is below 4 GiB, as [`codec`] ensures.
    pub fn push(&mut self, item: &[u8]) {
        let length = u32::try_from(item.len()).expect("an encoded value is below the codec's limit of 1 GiB");
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(item);
        self.count += 1;
    }

    /// Adds these values behind the others.
    pub fn append(&mut self, more: &Self) {
        self.bytes.extend_from_slice(&more.bytes);
        self.count += more.count;
    }

    /// Encodes a value and adds it. After an error nothing has changed.
    pub fn push_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; PREFIX]);
        if let Err(error) = codec::encode(value, &mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        let length = (self.bytes.len() - start - PREFIX) as u32;
        self.bytes[start..start + PREFIX].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
        Ok(())
    }

    /// The values, each in its encoding. Ends early if the lengths do not add up; see [`is_sound`](Self::is_sound).
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.bytes }
    }

    /// Whether the lengths add up. To be asked of what came from another process before it is used.
    pub fn is_sound(&self) -> bool {
        let mut items = self.iter();
        let seen = items.by_ref().count() as u64;
        seen == self.count && items.rest.is_empty()
    }
}

/// Goes through [`Items`].
#[derive(Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, behind) = self.rest.split_first_chunk::<PREFIX>()?;
        let (item, rest) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.rest = rest;
        Some(item)
    }
}

impl<'a> IntoIterator for &'a Items {
    type Item = &'a [u8];
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_in_their_order() {
        let mut items = Items::new();
        items.push(b"a");
        items.push(b"");
        items.push_value(&7u8).expect("a number has an encoding");
        assert_eq!(items.iter().collect::<Vec<_>>(), [b"a" as &[u8], b"", &[codec::FORMAT, 7]]);
        assert_eq!(items.len(), 3);
        assert!(items.is_sound());
    }

    #[test]
    fn lengths_that_do_not_add_up_are_noticed_and_read_nothing_outside() {
        let good = {
            let mut items = Items::new();
            items.push(b"abc");
            items
        };
        let wrong_count = Items { count: 2, ..good.clone() };
        let cut = Items { count: 1, bytes: good.bytes[..good.bytes.len() - 1].to_vec() };
        let hostile = Items { count: 1, bytes: vec![255, 255, 255, 255, 1] };
        for items in [wrong_count, cut, hostile] {
            assert!(!items.is_sound(), "{items:?}");
            assert!(items.iter().all(|item| item == b"abc"));
        }
    }
}
