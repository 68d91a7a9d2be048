//! A number that all workers see.

use brigade_protocol::shared::op::{CounterOp, Op};

use super::SharedError;
use super::handle::Handle;

/// A whole number in the manager. Clones are the same number. It begins at 0.
#[derive(Clone, Debug)]
pub struct SharedCounter {
    handle: Handle,
}

impl SharedCounter {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle }
    }

    pub(crate) fn into_handle(self) -> Handle {
        self.handle
    }

    fn op(&self, op: CounterOp) -> Op {
        Op::Counter { name: self.handle.name().to_owned(), op }
    }

    /// Adds `number` (which may be negative) and gives the sum, which nobody else gets. A sum that does not fit:
    /// `Overflow`.
    pub fn add(&self, number: i64) -> Result<i64, SharedError> {
        self.handle.number(&self.op(CounterOp::Add(number)))
    }

    /// The number at this moment.
    pub fn get(&self) -> Result<i64, SharedError> {
        self.handle.number(&self.op(CounterOp::Get))
    }

    /// Puts `number` in its place and gives the one from before.
    pub fn swap(&self, number: i64) -> Result<i64, SharedError> {
        self.handle.number(&self.op(CounterOp::Swap(number)))
    }
}
