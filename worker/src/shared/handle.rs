//! What lists, maps and counters have in common: a name, the way to the manager, and the word about their types that
//! goes ahead of the first operation.

use std::fmt;
use std::sync::Arc;

use brigade_protocol::codec;
use brigade_protocol::shared::op::{Kind, Op, Outcome};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::SharedError;
use super::client::Client;
use super::connection::{Connection, Encoded};
use crate::shape::Known;

/// Shared by all clones of a list, map or counter.
#[derive(Clone)]
pub(crate) struct Handle {
    inner: Arc<Inner>,
}

struct Inner {
    client: Arc<Client>,
    name: String,
    kind: Kind,
    types: Types,
}

/// What is known of the types of its items, or of its keys and values.
pub(super) type Types = fn() -> Vec<Arc<Known>>;

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the shared {} `{}`", self.inner.kind, self.inner.name)
    }
}

impl Handle {
    pub(super) fn new(client: &Arc<Client>, name: &str, kind: Kind, types: Types) -> Self {
        let (client, name) = (Arc::clone(client), name.to_owned());
        Self { inner: Arc::new(Inner { client, name, kind, types }) }
    }

    /// Whether it is the handle of this container.
    pub(crate) fn is(&self, kind: Kind, name: &str) -> bool {
        self.inner.kind == kind && self.inner.name == name
    }

    pub(crate) fn name(&self) -> &str {
        &self.inner.name
    }

    pub(super) fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Encodes an operation on what is called by this name.
    pub(super) fn encoded(&self, op: &Op) -> Result<Encoded, SharedError> {
        Encoded::new(self.name(), op)
    }

    /// Does one operation and waits for its outcome. A refusal is an error.
    pub(crate) fn call(&self, op: &Op) -> Result<Outcome, SharedError> {
        let op = self.encoded(op)?;
        self.client().with(|connection| {
            self.tell(connection)?;
            self.accepted(connection.call(op)?)
        })
    }

    /// Sees that this manager knows what our values are, and agrees. Costs something only with a manager that is new to us.
    pub(super) fn tell(&self, connection: &mut Connection) -> Result<(), SharedError> {
        let inner = &*self.inner;
        if inner.client.has_told(&inner.name, inner.types, connection.generation) {
            return Ok(());
        }
        let known = (inner.types)();
        if let Some(known) = known.iter().find(|known| known.is_unreadable()) {
            let (name, type_name) = (inner.name.clone(), known.note.name.clone());
            return Err(SharedError::Unreadable { name, type_name, why: codec::UNREADABLE });
        }
        let types = known.iter().map(|known| known.note.clone()).collect();
        let create = Op::Create { name: inner.name.clone(), kind: inner.kind, types };
        let create = self.encoded(&create)?;
        self.accepted(connection.call(create)?)?;
        inner.client.told(&inner.name, inner.types, connection.generation);
        Ok(())
    }

    /// The outcome, unless the manager refused.
    pub(super) fn accepted(&self, outcome: Outcome) -> Result<Outcome, SharedError> {
        match outcome {
            Outcome::Refused(refusal) => Err(SharedError::refused(self.name(), refusal)),
            Outcome::Done
            | Outcome::Length(_)
            | Outcome::Value(_)
            | Outcome::Items(_)
            | Outcome::Number(_)
            | Outcome::Numbers(_)
            | Outcome::Exchanged(_)
            | Outcome::Containers(_)
            | Outcome::Dump(_)
            | Outcome::Added { .. } => Ok(outcome),
        }
    }

    pub(super) fn done(&self, op: &Op) -> Result<(), SharedError> {
        let outcome = self.call(op)?;
        if outcome == Outcome::Done { Ok(()) } else { Err(SharedError::unexpected(&outcome)) }
    }

    pub(super) fn length(&self, op: &Op) -> Result<usize, SharedError> {
        let outcome = self.call(op)?;
        let Outcome::Length(length) = outcome else { return Err(SharedError::unexpected(&outcome)) };
        Ok(length as usize)
    }

    pub(super) fn number(&self, op: &Op) -> Result<i64, SharedError> {
        let outcome = self.call(op)?;
        let Outcome::Number(number) = outcome else { return Err(SharedError::unexpected(&outcome)) };
        Ok(number)
    }

    pub(super) fn value<T: DeserializeOwned>(&self, op: &Op) -> Result<Option<T>, SharedError> {
        let outcome = self.call(op)?;
        let Outcome::Value(value) = outcome else { return Err(SharedError::unexpected(&outcome)) };
        value.map(|bytes| self.decoded(&bytes)).transpose()
    }

    /// Values, which `each` takes two by two or one by one from the iterator it is given.
    pub(super) fn items<T: DeserializeOwned>(&self, op: &Op) -> Result<Vec<T>, SharedError> {
        let outcome = self.call(op)?;
        let Outcome::Items(items) = &outcome else { return Err(SharedError::unexpected(&outcome)) };
        items.iter().map(|bytes| self.decoded(bytes)).collect()
    }

    pub(super) fn decoded<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, SharedError> {
        codec::decode(bytes).map_err(|error| SharedError::Decode { name: self.name().to_owned(), error })
    }
}

/// A value in its encoding.
pub(crate) fn encoded<T: Serialize + ?Sized>(value: &T) -> Result<brigade_protocol::shared::op::Bytes, SharedError> {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes)?;
    Ok(bytes.into())
}
