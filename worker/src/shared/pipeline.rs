//! Adding to a list without waiting for an answer to each item.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use brigade_protocol::shared::items::Items;
use brigade_protocol::shared::op::{ListOp, Op, Outcome};
use serde::Serialize;

use super::SharedError;
use super::connection::Connection;
use super::handle::Handle;

/// A message goes out when this many bytes of items are together.
const MESSAGE: usize = 32 << 10;

/// Adds items to a [`SharedList`](super::SharedList), in order, many per message and several messages under way.
///
/// An item is surely in the list after [`flush`](Self::flush) has returned `Ok`; until then others may or may not see
/// it. Items of others may come between. After an error nobody can tell which of the items since the last flush are in
/// the list; those that had not been sent are dropped. Dropping the pipeline flushes it, and logs an error if that fails.
pub struct Pipeline<T: Serialize> {
    handle: Handle,
    connection: Option<Connection>,
    waiting: Items,
    items: PhantomData<fn(T)>,
}

impl<T: Serialize> fmt::Debug for Pipeline<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("into", &self.handle).field("waiting", &self.waiting.len()).finish()
    }
}

impl<T: Serialize> Pipeline<T> {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, connection: None, waiting: Items::new(), items: PhantomData }
    }

    /// Adds an item. An error may be about an earlier item.
    pub fn push<Q: Serialize + ?Sized>(&mut self, item: &Q) -> Result<(), SharedError>
    where
        T: Borrow<Q>,
    {
        self.waiting.push_value(item)?;
        if self.waiting.bytes() < MESSAGE {
            return Ok(());
        }
        let sent = self.send();
        self.settled(sent)
    }

    /// Sends what waits, and waits until everything is in the list.
    pub fn flush(&mut self) -> Result<(), SharedError> {
        let flushed = self.send().and_then(|()| self.drain(0));
        self.settled(flushed)
    }

    fn send(&mut self) -> Result<(), SharedError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        if self.connection.is_none() {
            self.connection = Some(self.handle.client().connect()?);
        }
        self.drain(brigade_protocol::shared::WINDOW - 1)?;
        let op = Op::List {
            name: self.handle.name().to_owned(),
            op: ListOp::Extend(std::mem::replace(&mut self.waiting, Items::with_capacity(MESSAGE + MESSAGE / 8))),
        };
        let op = self.handle.encoded(&op)?;
        let connection = self.connection.as_mut().expect("it was just made");
        if connection.open() == 0 {
            self.handle.tell(connection)?;
        }
        connection.send(op)
    }

    /// Reads outcomes until no more than this many are open.
    fn drain(&mut self, open: usize) -> Result<(), SharedError> {
        while let Some(connection) = self.connection.as_mut().filter(|connection| connection.open() > open) {
            let outcome = self.handle.accepted(connection.receive()?)?;
            let Outcome::Length(_) = outcome else { return Err(SharedError::unexpected(&outcome)) };
        }
        Ok(())
    }

    /// After an error begins anew: the answers that are still to come belong to nobody.
    fn settled(&mut self, result: Result<(), SharedError>) -> Result<(), SharedError> {
        if result.is_err() {
            self.waiting = Items::new();
            if let (Some(connection), Err(SharedError::ManagerGone)) = (self.connection.take(), &result) {
                self.handle.client().forget(connection.generation);
            }
        }
        result
    }
}

impl<T: Serialize> Drop for Pipeline<T> {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::error!("items for {:?} may be lost: {error}", self.handle);
        }
    }
}
