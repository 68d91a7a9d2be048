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
//! Items are [serde](https://serde.rs) types. Do not use serde's `flatten`, `skip…`, `tag` and `untagged` in them: the
//! compact encoding would lose data. Byte strings are much faster as `serde_bytes::ByteBuf` than as `Vec<u8>`; and strings
//! need not be copied at all where a [`RawDelivery`] is [decoded](decode) in place.
//!
//! Logs go through [`tracing`](https://docs.rs/tracing) (`BRIGADE_LOG=debug` shows more), or are simply printed.

mod boot;
mod change;
mod context;
mod deliveries;
mod delivery;
mod error;
mod exact_file;
mod exit;
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
