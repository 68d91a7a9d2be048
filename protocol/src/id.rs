//! Who is who. Without these newtypes a post, an incarnation and a pid would all be integers, and mixing
//! them up is the classic way to signal or sweep the wrong process.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A post: one numbered place in a stage, filled by one process at a time. It survives restarts.
///
/// Posts are numbered from 1 through the whole pipeline; 0 means nobody. The supervisor hands them out,
/// and the shared memory of queues and pages knows workers by this number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Post(pub u16);

impl fmt::Display for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "post {}", self.0)
    }
}

/// One run of a post, counted from 1. News about an earlier incarnation is stale and is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u32);

impl Incarnation {
    /// The run before the first one: the post has never been filled.
    pub const NONE: Self = Self(0);

    /// The run after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The identity of an item within one life of its queue. A redelivered item keeps it; another queue, and another run, has
/// items of the same id. See [`ItemKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemId(pub u64);

/// The identity of an item among all items of all queues and runs: the random number of the queue's life in which the item
/// was first sent, and its id there. It stays the same over redelivery, retry as a dead letter, and the next run that
/// continues with the queue; no other item has it. It is the key by which effects outside the pipeline can be made
/// idempotent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemKey {
    /// The life of the queue: a random number that is never 0.
    pub life: u64,
    /// The item's [`ItemId`] in that life.
    pub id: u64,
}

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.life, self.id)
    }
}

impl std::str::FromStr for ItemKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (life, id) = text.split_at_checked(16).filter(|_| digits).ok_or(NotAKey)?;
        let word = |half| u64::from_str_radix(half, 16).map_err(|_| NotAKey);
        Ok(Self { life: word(life)?, id: word(id)? })
    }
}

/// A text is not the key of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of an item has 32 hexadecimal digits")]
pub struct NotAKey;

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_shown() {
        let key = ItemKey { life: 0xfedc_ba98_7654_3210, id: 7 };
        assert_eq!(key.to_string(), "fedcba98765432100000000000000007");
        assert_eq!(key.to_string().parse(), Ok(key));
        for text in [
            "",
            "7",
            "fedcba9876543210000000000000000",
            "fedcba9876543210000000000000000g",
            "+edcba98765432100000000000000007",
        ] {
            assert_eq!(text.parse::<ItemKey>(), Err(NotAKey), "{text}");
        }
    }
}
