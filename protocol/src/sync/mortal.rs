//! Atomics for the models: a model checker's, in whose threads one can die between any two steps.
//!
//! A death is an unwinding that starts in front of an atomic operation and ends in [`dies_after`]: what the thread has
//! done until then stands, and it does nothing more, as if it had been killed there. (The ring owns nothing whose drop
//! would be an act.)

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

#[cfg(model_loom)]
use loom::{sync::atomic as checked, thread_local};
#[cfg(model_shuttle)]
use shuttle::{sync::atomic as checked, thread_local};

pub use checked::{Ordering, fence};

thread_local! {
    static LEFT: Cell<Option<u32>> = Cell::new(None);
}

struct Died;

/// Acts, and dies in front of the atomic operation number `steps` (from 0). `None` if it died, what `act` gave if it came
/// to its end before.
pub fn dies_after<T>(steps: u32, act: impl FnOnce() -> T) -> Option<T> {
    LEFT.with(|left| left.set(Some(steps)));
    let end = catch_unwind(AssertUnwindSafe(act));
    LEFT.with(|left| left.set(None));
    match end {
        Ok(value) => Some(value),
        Err(cause) if cause.is::<Died>() => None,
        Err(cause) => resume_unwind(cause),
    }
}

/// Nobody dies in the middle of what the kernel does for it.
pub fn in_the_kernel<T>(act: impl FnOnce() -> T) -> T {
    let left = LEFT.with(Cell::take);
    let done = act();
    LEFT.with(|cell| cell.set(left));
    done
}

fn step() {
    let dies = LEFT.with(|left| match left.get() {
        None => false,
        Some(0) => true,
        Some(more) => {
            left.set(Some(more - 1));
            false
        }
    });
    if dies {
        resume_unwind(Box::new(Died));
    }
}

macro_rules! atomic {
    ($name:ident, $number:ty) => {
        /// As the standard library's.
        #[derive(Debug)]
        pub struct $name(checked::$name);

        impl $name {
            /// With a first value.
            pub fn new(value: $number) -> Self {
                Self(checked::$name::new(value))
            }

            /// As the standard library's.
            pub fn load(&self, order: Ordering) -> $number {
                step();
                // loom takes a SeqCst load for an acquiring one; only its fences are ordered among each other.
                #[cfg(model_loom)]
                if order == Ordering::SeqCst {
                    fence(Ordering::SeqCst);
                }
                self.0.load(order)
            }

            /// As the standard library's.
            pub fn store(&self, value: $number, order: Ordering) {
                step();
                self.0.store(value, order);
            }

            /// As the standard library's.
            pub fn compare_exchange(
                &self,
                from: $number,
                to: $number,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$number, $number> {
                step();
                self.0.compare_exchange(from, to, success, failure)
            }

            /// As the standard library's.
            pub fn fetch_add(&self, more: $number, order: Ordering) -> $number {
                step();
                self.0.fetch_add(more, order)
            }

            /// As the standard library's.
            pub fn fetch_sub(&self, less: $number, order: Ordering) -> $number {
                step();
                self.0.fetch_sub(less, order)
            }

            /// As the standard library's.
            pub fn fetch_max(&self, other: $number, order: Ordering) -> $number {
                step();
                self.0.fetch_max(other, order)
            }

            /// As the standard library's.
            pub fn fetch_or(&self, bits: $number, order: Ordering) -> $number {
                step();
                self.0.fetch_or(bits, order)
            }

            /// As the standard library's.
            pub fn fetch_and(&self, bits: $number, order: Ordering) -> $number {
                step();
                self.0.fetch_and(bits, order)
            }
        }
    };
}

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
