//! The SDK for Brigade's workers: programs that take items from queues, hand results on, and leave the rest to the
//! supervisor that started them.
//!
//! A complete worker:
//!
//! ```no_run
//! use brigade_worker::{Exit, Output, run};
//!
//! fn double(n: u64, out: &mut Output<u64>) -> brigade_worker::Result {
//!     let twice = n.checked_mul(2).ok_or("too large to double")?;
//!     out.send(twice)?;
//!     Ok(())
//! }
//!
//! fn main() -> Exit {
//!     run(double)
//! }
//! ```
//!
//! The pipeline file says where its items come from and where they go, and how many processes and threads of it there
//! are. Around the function the SDK says hello to the supervisor, takes items, acknowledges them when `Ok` comes back,
//! logs errors and panics and lets the item be delivered again, counts progress, obeys stops and signals, and ends the
//! program when the stream ends.
//!
//! | to write | as a function | as a type with state |
//! |---|---|---|
//! | a stage that takes and sends | [`run`] | [`Worker`] |
//! | the first stage, which makes items | [`source`] | [`Source`] |
//! | the last stage, which only takes | [`sink`] | [`Worker`] with `Output = ()` |
//! | something of its own | [`work`], with [`Sender`], [`Receiver`] and [`Transaction`] | |
//!
//! A handler's `batch` in the pipeline file, and by hand [`Sender::send_many`] and [`Receiver::recv_many`], make small items
//! two to three times as fast.
//!
//! All workers of a pipeline also see the same [lists, maps and counters](shared), by name: [`Context::list`],
//! [`Context::map`], [`Context::counter`]; and change them exactly once per item: [`Output::list`], [`Output::map`],
//! [`Output::counter`].
//!
//! Items are [serde](https://serde.rs) types that can be written and read: `Serialize + DeserializeOwned`. Values that borrow
//! are sent with [`Sender::send_as`] and [`Output::send_as`]. A queue, list or map holds the shape of what it carries: field
//! and variant names, their order, and what they hold; the types' own names do not count. A handle of another shape is
//! refused when it joins ([`OpenError::OtherShape`]), before it reads or writes, and the items stay. What cannot be determined,
//! and what is sent or taken as bytes, is not checked. Do not use serde's `flatten`, `skip…`, `tag` and `untagged` in items:
//! the encoding does not say what comes next, and such a type is refused by its first send. Byte strings are much faster as `serde_bytes::ByteBuf` than as `Vec<u8>`; and strings
//! need not be copied at all where a [`RawDelivery`] is [decoded](decode) in place.
//!
//! A worker may fork only to execute another program ([`Command`](std::process::Command) does). A forked copy of it that runs on
//! as a copy must not use its handles: each refuses there ([`Refusal::ForkedCopy`], [`RecvError::ForkedCopy`],
//! [`SharedError::ForkedCopy`]), what the copy acknowledges or drops stays the worker's, and a copy that returns from a handler,
//! a source or [`work`] is ended with exit code 1. To use several processes, give the stage `replicas`.
//!
//! Logs go through [`tracing`](https://docs.rs/tracing) (`BRIGADE_LOG=debug` shows more), or are simply printed.

mod boot;
mod change;
mod context;
mod copies;
mod deliveries;
mod delivery;
mod error;
mod exact_file;
mod exit;
mod failed_item;
mod failure;
mod handlers;
mod logs;
mod outbox;
mod output;
mod panics;
mod raw_receiver;
mod raw_sender;
mod receiver;
#[cfg(test)]
mod sandbox;
mod sender;
mod shape;
pub mod shared;
mod signals;
mod station;
mod stop;
mod transaction;
mod worker;

pub use brigade_protocol::codec::{DecodeError, EncodeError, decode};
pub use brigade_protocol::id::{ItemId, ItemKey};

pub use change::{CounterChange, ListChange, MapChange};
pub use context::Context;
pub use deliveries::{Deliveries, RawDeliveries};
pub use delivery::{Delivery, RawDelivery};
pub use error::{CheckpointError, Error, OpenError, RecvError, Refusal, Result, SendError, SendManyError};
pub use exact_file::ExactFile;
pub use exit::Exit;
pub use failure::{Misconfigured, Outage, RetryAfter};
pub use output::{Output, Port};
pub use raw_receiver::RawReceiver;
pub use raw_sender::RawSender;
pub use receiver::Receiver;
pub use sender::Sender;
pub use shared::{SharedCounter, SharedError, SharedList, SharedMap};
pub use transaction::{Transaction, TransactionPort};
pub use worker::{Source, Worker, run, sink, source, work};
