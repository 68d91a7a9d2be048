//! The ways to write a worker: as a function, or as a type with state. Everything else that a worker needs happens
//! around them.

use serde::{Serialize, de::DeserializeOwned};

use brigade_protocol::control::Report;

use crate::boot::boot;
use crate::context::Context;
use crate::copies::end_if_copy;
use crate::error::{Error, OpenError, Result};
use crate::exit::Exit;
use crate::failure::{for_no_item, in_words, is_outage, is_permanent, is_stop};
use crate::handlers::Calls;
use crate::output::Output;
use crate::panics;

/// A worker as a function: it is called with every item and sends its results to `out`.
///
/// An `Ok` acknowledges the item. An error or a panic is that item's failure: it is logged, and the item is delivered
/// again, `max_deliveries` times at most: at once, after the queue's `retry_delay`, or when a
/// [`RetryAfter`](crate::RetryAfter) says. So is a result that has no encoding, when the error of its send is returned. With
/// `threads` in the pipeline file the function runs on several threads.
///
/// ```no_run
#[doc = include_str!("../examples/measure.rs")]
/// ```
pub fn run<I, O, E, F>(handle: F) -> Exit
where
    I: DeserializeOwned,
    O: Serialize + DeserializeOwned,
    E: Into<Error>,
    F: Fn(I, &mut Output<O>) -> Result<(), E> + Sync,
{
    at_work(|ctx| {
        let calls = Calls {
            build: |_: &Context| Ok(()),
            handle: |(): &mut (), item: I, out: &mut Output<O>| handle(item, out).map_err(Into::into),
            finish: |(): &mut (), _: &mut Output<O>| Ok(()),
        };
        calls.serve(ctx)
    })
}

/// The last worker of a line, as a function: it takes items and sends nothing. Otherwise as [`run`].
///
/// ```no_run
/// fn main() -> brigade_worker::Exit {
///     brigade_worker::sink(|(path, bytes): (String, u64)| -> brigade_worker::Result {
///         println!("{bytes:>12} {path}");
///         Ok(())
///     })
/// }
/// ```
pub fn sink<I, E, F>(handle: F) -> Exit
where
    I: DeserializeOwned,
    E: Into<Error>,
    F: Fn(I) -> Result<(), E> + Sync,
{
    run(|item: I, _: &mut Output<()>| handle(item))
}

/// The first worker of a line, as a function: it makes items. It is called once, and the stage is complete when it
/// returns `Ok`; an error restarts it.
///
/// A stop is asked for by [`Context::stop_requested`]; look at it between two items. A source that is started again, after a
/// kill or an error, begins from its beginning and sends the same items again, unless it keeps
/// [checkpoints](Output::checkpoint).
///
/// An item that has no encoding ([`Refusal::Encode`](crate::Refusal::Encode)) is not sent. By `?` its error ends the source; a
/// source that has others to send logs it and continues.
///
/// ```no_run
/// use std::io::BufRead;
/// use brigade_worker::{Exit, Output, source};
///
/// fn main() -> Exit {
///     source(|out: &mut Output<String>| -> brigade_worker::Result {
///         for line in std::io::stdin().lock().lines() {
///             out.send(line?)?;
///             if out.ctx().stop_requested() {
///                 break;
///             }
///         }
///         Ok(())
///     })
/// }
/// ```
pub fn source<O, E, F>(run: F) -> Exit
where
    O: Serialize + DeserializeOwned,
    E: Into<Error>,
    F: FnOnce(&mut Output<O>) -> Result<(), E>,
{
    at_work(|ctx| {
        let mut out = source_output(ctx)?;
        ctx.station().report(Report::Ready);
        run(&mut out).map_err(|error| for_no_item(error.into()))
    })
}

/// A worker that does all by itself: it asks the [`Context`] for senders and receivers, and is done when it returns.
/// Also for stages without queues.
///
/// ```no_run
/// use brigade_worker::{Exit, work};
///
/// /// Joins two streams, item by item.
/// fn main() -> Exit {
///     work(|ctx| -> brigade_worker::Result {
///         let (names, ages) = (ctx.receiver::<String>("names")?, ctx.receiver::<u8>("ages")?);
///         let mut tx = ctx.transaction()?;
///         for name in names.iter() {
///             let person = (tx.ack(name), tx.ack(ages.recv()?));
///             tx.to("people").send(person)?;
///             tx.commit()?; // the person is sent, and both items are done, together
///         }
///         Ok(())
///     })
/// }
/// ```
pub fn work<E, F>(run: F) -> Exit
where
    E: Into<Error>,
    F: FnOnce(&Context) -> Result<(), E>,
{
    at_work(|ctx| {
        ctx.station().report(Report::Ready);
        run(ctx).map_err(Into::into)
    })
}

/// A worker as a type with state: a connection, a model, a file.
///
/// It is built once per handler thread (once per process, as long as the pipeline file asks for no more `threads`),
/// used by that thread only, and need not be `Send`. A panic in `handle` leaves it in use; where that is unsafe, say
/// `on_panic = "exit"` in the pipeline file. It dies with its process: what is to outlive that is kept in a
/// [checkpoint](Output::checkpoint), as here, or in a shared [map](Output::map).
///
/// ```no_run
#[doc = include_str!("../examples/mean.rs")]
/// ```
pub trait Worker: Sized {
    /// What it takes.
    type Item: DeserializeOwned;
    /// What it sends; `()` if nothing.
    type Output: Serialize + DeserializeOwned;

    /// Makes one, on the thread that will use it. The worker is ready when all are built.
    ///
    /// # Errors
    /// Any error ends the process and is reported; it is started again, unless the error is
    /// [`Misconfigured`](crate::Misconfigured).
    fn build(ctx: &Context) -> Result<Self>;

    /// Does the work for one item. `Ok` acknowledges it.
    ///
    /// # Errors
    /// Any error is that item's failure: it is logged and the item is delivered again, `max_deliveries` times at most, at
    /// once, after the queue's `retry_delay`, or when a [`RetryAfter`](crate::RetryAfter) says.
    fn handle(&mut self, item: Self::Item, out: &mut Output<Self::Output>) -> Result;

    /// Called once when the inputs are at their end, and not when the worker is stopped before. What it sends goes out by one
    /// commit, and must fit into the output's `capacity`.
    ///
    /// # Errors
    /// Any error fails the process; [`Refusal::MoreThanCapacity`](crate::Refusal::MoreThanCapacity) for good.
    fn finish(&mut self, out: &mut Output<Self::Output>) -> Result {
        let _ = out;
        Ok(())
    }

    /// The program's `main`.
    fn main() -> Exit {
        at_work(|ctx| Calls { build: Self::build, handle: Self::handle, finish: Self::finish }.serve(ctx))
    }
}

/// A source as a type with state. It is built once per process.
///
/// ```no_run
/// use std::time::Duration;
/// use brigade_worker::{Context, Exit, Output, Result, Source};
///
/// struct Ticks { every: Duration }
///
/// impl Source for Ticks {
///     type Output = u64;
///     fn build(_ctx: &Context) -> Result<Self> {
///         Ok(Self { every: Duration::from_secs(1) })
///     }
///     fn run(&mut self, out: &mut Output<u64>) -> Result {
///         let mut tick: u64 = out.restore()?.unwrap_or(0); // Behind the last one that was committed.
///         while out.ctx().sleep(self.every) {
///             tick += 1;
///             out.send(tick)?;
///             out.checkpoint(&tick)?;
///         }
///         Ok(())
///     }
/// }
///
/// fn main() -> Exit {
///     Ticks::main()
/// }
/// ```
pub trait Source: Sized {
    /// What it makes.
    type Output: Serialize + DeserializeOwned;

    /// Makes one. The worker is ready after that.
    ///
    /// # Errors
    /// Any error ends the process and is reported; it is started again, unless the error is
    /// [`Misconfigured`](crate::Misconfigured).
    fn build(ctx: &Context) -> Result<Self>;

    /// Makes items until there are no more, or until [`Context::stop_requested`]. The stage is complete when it
    /// returns `Ok`.
    ///
    /// # Errors
    /// Any error ends the process and is reported; it is started again.
    fn run(&mut self, out: &mut Output<Self::Output>) -> Result;

    /// The program's `main`.
    fn main() -> Exit {
        at_work(|ctx| {
            let mut this = Self::build(ctx)?;
            let mut out = source_output(ctx)?;
            ctx.station().report(Report::Ready);
            this.run(&mut out).map_err(for_no_item)
        })
    }
}

fn source_output<O: DeserializeOwned>(ctx: &Context) -> Result<Output<O>> {
    if ctx.station().takes_items() {
        return Err(OpenError::UnusedInputs { stage: ctx.stage().to_owned() }.into());
    }
    Ok(Output::new(ctx)?)
}

/// Becomes a worker, does the work, and ends so that the supervisor sees the truth.
fn at_work(body: impl FnOnce(&Context) -> Result) -> Exit {
    match boot() {
        Ok(ctx) => {
            let station = ctx.station();
            let result = panics::passed_on(
                || body(&ctx),
                |words| {
                    let fault = station.take_fault().map(|fault| Err(fault.into()));
                    if fault.is_none() {
                        station.report(Report::Failed { words, permanent: false, outage: false });
                    }
                    fault
                },
            );
            end_if_copy();
            ended(&ctx, result)
        }
        Err(exit) => exit,
    }
}

/// What the process's exit says about how the work ended.
fn ended(ctx: &Context, result: Result) -> Exit {
    let station = ctx.station();
    let result = station.take_fault().map_or(result, |fault| Err(fault.into()));
    match result {
        Err(error) if !is_stop(&*error) => {
            let (words, permanent, outage) = (in_words(&*error), is_permanent(&*error), is_outage(&*error));
            tracing::error!(permanent, "the worker failed: {words}");
            station.report(Report::Failed { words, permanent, outage });
            if permanent { Exit::MISCONFIGURED } else { Exit::FAILED }
        }
        Ok(()) | Err(_) if station.stop.is_retired() => {
            station.report(Report::Leaving);
            Exit::DONE
        }
        Ok(()) | Err(_) => match station.stop.deadly_signal() {
            // Not done: the signal came from elsewhere. A `main` that loses this exit does not end in order.
            Some(signal) => Exit::of_signal(signal),
            None => {
                station.report(Report::Done);
                Exit::DONE
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{RecvError, Refusal};
    use crate::failure::{Misconfigured, Outage};
    use crate::sandbox::sandbox;

    #[test]
    fn the_exit_says_how_the_work_ended() {
        let sandbox = sandbox(&["numbers"], &[]);
        let ctx = &sandbox.ctx;
        assert_eq!(ended(ctx, Ok(())), Exit::DONE);
        assert_eq!(ended(ctx, Err(Refusal::Stopped.into())), Exit::DONE);
        assert_eq!(ended(ctx, Err("the disk is full".into())), Exit::FAILED);
        assert_eq!(ended(ctx, Err(Misconfigured::new("no folder").into())), Exit::MISCONFIGURED);
        assert_eq!(ended(ctx, Err(Outage::new("no database").into())), Exit::FAILED);
        let told = sandbox.reports().into_iter().filter_map(|report| match report {
            Report::Failed { words, permanent, outage } => Some((words, permanent, outage)),
            Report::Done => None,
            other => panic!("{other:?}"),
        });
        let expected = [("the disk is full", false, false), ("no folder", true, false), ("no database", false, true)];
        assert_eq!(
            told.collect::<Vec<_>>(),
            expected.map(|(words, for_good, outage)| (words.into(), for_good, outage))
        );
        assert_eq!(ended(ctx, Ok(())), Exit::DONE);
        assert!(matches!(sandbox.reports()[..], [Report::Done]), "the end of the work is told");
        ctx.station().stop.retire();
        assert_eq!(ended(ctx, Ok(())), Exit::DONE);
        assert!(matches!(sandbox.reports()[..], [Report::Leaving]));
        ctx.station().stop.on_signal(15);
        assert_eq!(ended(ctx, Ok(())), Exit::of_signal(15));
        assert!(sandbox.reports().is_empty(), "a signal from elsewhere is no end of the work");
    }

    #[test]
    fn a_fault_that_the_code_was_not_given_ends_the_worker_whatever_its_function_returns() {
        let sandbox = sandbox(&["numbers"], &[]);
        let fault = || RecvError::HoldsAll { queue: "numbers".into(), held: 4, capacity: 4 };
        assert!(panics::caught(|| -> () { sandbox.ctx.station().end_by(fault()) }).is_err());
        assert_eq!(ended(&sandbox.ctx, Ok(())), Exit::MISCONFIGURED);
        let reports = sandbox.reports();
        assert!(
            matches!(&reports[..], [Report::Failed { words, permanent: true, .. }] if *words == fault().to_string()),
            "{reports:?}"
        );
    }

    #[test]
    fn a_source_that_sends_more_between_two_checkpoints_than_the_output_can_hold_fails_for_good() {
        let sandbox = sandbox(&[], &["numbers"]);
        let mut out = source_output::<u64>(&sandbox.ctx).expect("an output");
        assert_eq!(out.restore::<u8>().expect("no other type"), None);
        (0..4).for_each(|n| out.send(n).expect("there is room for so many"));
        let error = for_no_item(out.send(4).expect_err("it would be sent again after a kill").into());
        assert!(is_permanent(&*error), "{error}");
        assert!(sandbox.queue("numbers").is_empty());
        out.checkpoint(&4u8).expect("committed");
        assert_eq!(sandbox.take::<u64>("numbers").len(), 4);
    }

    #[test]
    fn a_source_in_a_stage_with_inputs_is_refused() {
        let sandbox = sandbox(&["numbers"], &["sums"]);
        let error = source_output::<u64>(&sandbox.ctx).expect_err("nobody would take the inputs");
        assert!(is_permanent(&*error));
    }
}
