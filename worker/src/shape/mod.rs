//! The shapes of the types that queues, lists and maps carry: found out once per type and process, and compared with the
//! shape that a queue holds when a handle joins it.

use std::any::type_name;
use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use brigade_protocol::codec;
use brigade_protocol::queue::{Mismatch, Queue};
use brigade_protocol::shape::{Canonical, Shape, TypeNote};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{OpenError, Refusal};

mod trace;

/// A type, as this process knows it.
pub(crate) struct Known {
    pub(crate) note: TypeNote,
    /// `None`: nothing of its shape can be found out, and it is accepted everywhere.
    canonical: Option<Canonical>,
    /// No value of the type can be read.
    is_unreadable: bool,
}

impl Known {
    /// Whether no value of the type can be read.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }
}

/// Stands for a type, or two, without asking that they live for the whole program. Types whose shapes are found out by
/// different code have different keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Key(usize);

impl Key {
    fn of<T: DeserializeOwned>() -> Self {
        Self(known::<T> as fn() -> Arc<Known> as usize)
    }

    /// Of values of type `V` that are sent as items of type `T`.
    #[inline]
    fn of_sent<T: DeserializeOwned, V: Serialize + ?Sized>() -> Self {
        Self(first_send::<T, V> as fn(&str, &Queue, &V) -> Result<(), Refusal> as usize)
    }
}

/// Of which types a handle has sent something that can be read again, the last few of them.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    keys: [Cell<Key>; 4],
    /// Which of them is replaced next.
    next: Cell<usize>,
}

impl Sent {
    /// Looks, before the first item of a type, whether the queue takes the type and whether the item can be read again.
    #[inline]
    pub(crate) fn check<T: DeserializeOwned, V: Serialize + ?Sized>(
        &self,
        name: &str,
        queue: &Queue,
        item: &V,
    ) -> Result<(), Refusal> {
        let key = Key::of_sent::<T, V>();
        if !self.keys.iter().any(|sent| sent.get() == key) {
            first_send::<T, V>(name, queue, item)?;
            self.keys[self.next.get()].set(key);
            self.next.set((self.next.get() + 1) % self.keys.len());
        }
        Ok(())
    }
}

/// By type and its name.
type AllKnown = HashMap<(Key, &'static str), Arc<Known>>;

/// What is known of a type: found out at the first call of the process, and remembered.
pub(crate) fn known<T: DeserializeOwned>() -> Arc<Known> {
    static ALL: LazyLock<Mutex<AllKnown>> = LazyLock::new(Mutex::default);
    let key = (Key::of::<T>(), type_name::<T>());
    let all = || ALL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all().get(&key) {
        return Arc::clone(known);
    }
    let trace::Traced { note, is_unreadable } = trace::trace::<T>();
    let known = Arc::new(Known { canonical: note.canonical(), note, is_unreadable });
    all().insert(key, Arc::clone(&known));
    known
}

/// The hash of a type's shape; 0 if nothing of it is known.
pub(crate) fn hash<T: DeserializeOwned>() -> u64 {
    known::<T>().canonical.as_ref().map_or(0, |canonical| canonical.hash)
}

/// Whether a type is `()`: a worker with outputs of which it sends nothing to the first says so.
pub(crate) fn is_unit<T: DeserializeOwned>() -> bool {
    known::<T>().note.shape == Shape::Unit
}

/// How often, and how far apart, a shape is read again that another handle is writing.
const READ_AGAIN: u32 = 100;
const PAUSE: Duration = Duration::from_millis(1);

/// A handle of type `T` joins a queue to send.
pub(crate) fn join_to_send<T: DeserializeOwned>(name: &str, queue: &Queue) -> Result<(), OpenError> {
    let known = known::<T>();
    // What cannot be read is refused when it is sent: a program may have such a handle and never use it.
    if known.is_unreadable { Ok(()) } else { join(name, queue, &known) }
}

/// A handle of type `T` joins a queue to receive.
pub(crate) fn join_to_receive<T: DeserializeOwned>(name: &str, queue: &Queue) -> Result<(), OpenError> {
    let known = known::<T>();
    if known.is_unreadable {
        return Err(OpenError::Unreadable { queue: name.to_owned(), name: type_name::<T>() });
    }
    join(name, queue, &known)
}

fn join(name: &str, queue: &Queue, known: &Known) -> Result<(), OpenError> {
    let Some(canonical) = &known.canonical else { return Ok(()) };
    let mut tries = 0;
    let mismatch = loop {
        match queue.note_shape(&known.note, canonical) {
            Ok(()) => return Ok(()),
            Err(Mismatch::Unreadable) if tries < READ_AGAIN => std::thread::sleep(PAUSE),
            Err(mismatch) => break mismatch,
        }
        tries += 1;
    };
    let (name, wanted) = (name.to_owned(), known.note.to_string());
    Err(match mismatch {
        Mismatch::Other { held, difference } => {
            OpenError::OtherShape { queue: name, held: held.to_string(), wanted, difference: difference.to_string() }
        }
        Mismatch::OtherTooLarge => OpenError::OtherShape {
            queue: name,
            held: "a shape too large to be kept in the queue".to_owned(),
            wanted,
            difference: "it is another one".to_owned(),
        },
        Mismatch::Unreadable => OpenError::ShapeUnreadable { queue: name },
    })
}

/// Sees whether a value can be read again once it is sent: by its type, and by trying it with the value.
///
/// # Errors
/// It cannot, or it has no encoding.
fn try_out<T: DeserializeOwned>(item: &(impl Serialize + ?Sized)) -> Result<(), Refusal> {
    let name = type_name::<T>();
    if known::<T>().is_unreadable {
        return Err(Refusal::Unreadable { name, why: codec::UNREADABLE });
    }
    let mut begin = Begin { bytes: Vec::new(), is_cut: false };
    let encoded = codec::encode_to(item, &mut begin);
    if begin.is_cut {
        return Ok(());
    }
    encoded?;
    codec::decode::<T>(&begin.bytes).map(drop).map_err(|error| Refusal::NotReadBack { name, error })
}

/// Values of more bytes are not tried: it would cost memory as they take themselves.
const TRY_BYTES: usize = 1 << 20;

/// The begin of an encoded value.
struct Begin {
    bytes: Vec<u8>,
    /// It is longer than what is tried.
    is_cut: bool,
}

impl io::Write for Begin {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_cut |= self.bytes.len() + bytes.len() > TRY_BYTES;
        if self.is_cut {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The first send of type `T` by a handle: whether the queue takes the type, and whether the item can be read again.
///
/// # Errors
/// The queue holds items of another shape, or the item could never be read.
#[cold]
fn first_send<T: DeserializeOwned, V: Serialize + ?Sized>(name: &str, queue: &Queue, item: &V) -> Result<(), Refusal> {
    join_to_send::<T>(name, queue).map_err(|error| Refusal::NoQueue(error.into()))?;
    try_out::<T>(item)
}

#[cfg(test)]
mod tests;
