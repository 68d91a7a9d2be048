//! Where a handler's results go. What it sends belongs to the item in hand, so that both can be committed together;
//! a plain [`Sender`](crate::Sender) knows of no item.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;

use crate::context::Context;
use crate::error::{OpenError, Refusal, SendError};
use crate::sender::{RawSender, encode_into};

/// Takes a handler's results to the stage's outputs.
///
/// All that a handler sends is in the queues before its item is acknowledged. If its process dies in between, the item
/// is handled again, and what it had sent until then may come twice.
///
/// ```no_run
/// use brigade_worker::{Exit, Output, run};
///
/// fn split(line: String, out: &mut Output<String>) -> brigade_worker::Result {
///     for word in line.split_whitespace() {
///         out.send(word.to_lowercase())?;
///     }
///     if line.is_empty() {
///         out.to("oddities").send("an empty line")?;
///     }
///     Ok(())
/// }
///
/// fn main() -> Exit {
///     run(split)
/// }
/// ```
pub struct Output<T> {
    ctx: Context,
    ports: Vec<RawSender>,
    buffer: Vec<u8>,
    items: PhantomData<fn(T)>,
}

impl<T> Output<T> {
    pub(crate) fn new(ctx: &Context) -> Result<Self, OpenError> {
        let ports = ctx.station().outputs.iter().map(|line| RawSender::new(ctx, line)).collect::<Result<_, _>>()?;
        Ok(Self { ctx: ctx.clone(), ports, buffer: Vec::new(), items: PhantomData })
    }

    /// Sends to the stage's output; to the first in the pipeline file, if it has several. Waits while the queue is
    /// full.
    ///
    /// # Errors
    /// [`Refusal::Stopped`] if the worker is told to stop while it waits: return, and the item in hand goes back
    /// without the delivery being counted. `Closed`, `TooLarge`, `Encode`, `NoSpace`; `NoQueue` if the stage has no
    /// outputs, which ends the worker when the handler returns it.
    pub fn send(&mut self, item: T) -> Result<(), SendError<T>>
    where
        T: Serialize,
    {
        send(self.ports.first(), &mut self.buffer, item, || OpenError::NoOutputs { stage: self.ctx.stage().to_owned() })
    }

    /// The output of this name, for a stage that has several. What is sent there may be of any type.
    pub fn to<'a>(&'a mut self, queue: &'a str) -> Port<'a> {
        let port = self.ports.iter().find(|port| port.queue() == queue);
        Port { port, queue, buffer: &mut self.buffer, ctx: &self.ctx }
    }

    /// Where the worker is, and its stop flag.
    pub fn ctx(&self) -> &Context {
        &self.ctx
    }
}

impl<T> fmt::Debug for Output<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("ports", &self.ports).finish_non_exhaustive()
    }
}

/// One of several outputs, chosen by name: [`Output::to`].
pub struct Port<'a> {
    port: Option<&'a RawSender>,
    queue: &'a str,
    buffer: &'a mut Vec<u8>,
    ctx: &'a Context,
}

impl Port<'_> {
    /// Sends to this output. Waits while the queue is full.
    ///
    /// # Errors
    /// As [`Output::send`]; `NoQueue` if the stage has no output of this name.
    pub fn send<U: Serialize>(self, item: U) -> Result<(), SendError<U>> {
        send(self.port, self.buffer, item, || self.ctx.not_an_output(self.queue))
    }
}

impl fmt::Debug for Port<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("queue", &self.queue).finish_non_exhaustive()
    }
}

fn send<U: Serialize>(
    port: Option<&RawSender>,
    buffer: &mut Vec<u8>,
    item: U,
    no_queue: impl FnOnce() -> OpenError,
) -> Result<(), SendError<U>> {
    let sent = match port {
        Some(port) => encode_into(&item, buffer).and_then(|()| port.send(buffer)),
        None => Err(Refusal::NoQueue(no_queue())),
    };
    sent.map(drop).map_err(|reason| SendError { item, reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::is_permanent;
    use crate::sandbox::sandbox;

    #[test]
    fn items_go_to_the_first_output_and_by_name_to_the_others() {
        let sandbox = sandbox(&["numbers"], &["twice", "odd"]);
        let mut out = Output::<u64>::new(&sandbox.ctx).expect("outputs");
        out.send(14).expect("there is room");
        out.to("odd").send("seven").expect("there is room");
        assert_eq!(sandbox.take::<u64>("twice"), [(1, 14)]);
        assert_eq!(sandbox.take::<String>("odd"), [(1, "seven".to_owned())]);
    }

    #[test]
    fn an_output_that_the_pipeline_file_lacks_fails_for_good() {
        let sandbox = sandbox(&["numbers"], &[]);
        let mut out = Output::<u64>::new(&sandbox.ctx).expect("outputs");
        let error = out.send(7).expect_err("there is no output");
        assert!(is_permanent(&error) && error.item == 7, "{error}");
        let error = out.to("odd").send(7).expect_err("there is no output");
        assert!(error.to_string().contains("does not send to queue \"odd\": it has none"), "{error}");
    }
}
