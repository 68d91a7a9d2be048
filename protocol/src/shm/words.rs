//! A run of 64-bit words that several processes change, and that is only ever touched as atomics.
#![expect(unsafe_code, reason = "turns a place in a mapping into atomics")]

use std::fmt;
use std::sync::Arc;

use super::Region;
use crate::sync::AtomicU64;

/// Words in a mapping, or (in models and unit tests) on the heap.
#[derive(Clone)]
pub struct Words {
    first: *const AtomicU64,
    count: usize,
    _keep: Keep,
}

#[derive(Clone)]
enum Keep {
    Mapped(#[expect(dead_code, reason = "keeps the mapping alive")] Arc<Region>),
    Heap(#[expect(dead_code, reason = "keeps the words alive")] Arc<[AtomicU64]>),
}

// SAFETY: the words are atomics, and `keep` keeps them alive wherever the handle goes.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Words {
    /// Words at an address within `region`.
    ///
    /// # Safety
    /// `first` is aligned to 8 and `count` words from it lie within `region`.
    ///
    /// # Panics
    /// If it is none.
    pub(super) unsafe fn at_address(first: *const AtomicU64, count: usize, region: Arc<Region>) -> Self {
        assert!(count > 0, "a run of words has at least one");
        Self { first, count, _keep: Keep::Mapped(region) }
    }

    /// Zeroed words of this process alone: for models and unit tests.
    ///
    /// # Panics
    /// If it is none.
    pub fn on_heap(count: usize) -> Self {
        assert!(count > 0, "a run of words has at least one");
        let words: Arc<[AtomicU64]> = (0..count).map(|_| AtomicU64::new(0)).collect();
        Self { first: words.as_ptr(), count, _keep: Keep::Heap(words) }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none: never.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first word. Costs no check: there is always one.
    #[inline]
    pub fn first(&self) -> &AtomicU64 {
        // SAFETY: the constructors refuse an empty run; aligned and alive by their contract.
        unsafe { &*self.first }
    }

    /// The word at `index`.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub fn at(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.count, "word {index} of {}", self.count);
        // SAFETY: in bounds (checked above); aligned and alive by the contract of the constructors.
        unsafe { &*self.first.add(index) }
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Words({})", self.count)
    }
}
