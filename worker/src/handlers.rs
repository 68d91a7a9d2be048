//! The loop around a handler: take an item, call, and settle it by what came of the call. `threads` of them run side
//! by side, each with its own state, and end together.

mod quota;

use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

use brigade_protocol::codec;
use brigade_protocol::control::Report;
use brigade_protocol::page::{Lane, WaitsFor};
use brigade_protocol::queue::{Lease, Member, Nothing, Take, Wait, recv_any, try_recv_any};
use serde::de::DeserializeOwned;
use signal_hook::low_level;

use self::quota::Quota;
use crate::context::Context;
use crate::copies::end_if_copy;
use crate::error::{Error, OpenError, RecvError, Result};
use crate::failed_item::nack;
use crate::failure::{for_no_item, in_words, is_outage, is_permanent, is_stop, retry_time};
use crate::outbox::{InHand, Outbox};
use crate::output::Output;
use crate::panics::{self, Panic};
use crate::shape;
use crate::shared::show_waits_in;

/// Exit code of Rust programs that end by a panic.
const PANICKED: i32 = 101;

/// What an author has given us to call. All of it runs on the thread that built the state.
pub(crate) struct Calls<Build, Handle, Finish> {
    pub(crate) build: Build,
    pub(crate) handle: Handle,
    pub(crate) finish: Finish,
}

impl<Build, Handle, Finish> Calls<Build, Handle, Finish> {
    /// Runs all handler threads to the end of the inputs, or until the worker is told to stop.
    pub(crate) fn serve<S, I, O>(&self, ctx: &Context) -> Result
    where
        I: DeserializeOwned,
        O: DeserializeOwned,
        Build: Fn(&Context) -> Result<S> + Sync,
        Handle: Fn(&mut S, I, &mut Output<O>) -> Result + Sync,
        Finish: Fn(&mut S, &mut Output<O>) -> Result + Sync,
    {
        if !ctx.station().takes_items() {
            return Err(OpenError::NoInputs { stage: ctx.stage().to_owned() }.into());
        }
        let unready = AtomicU16::new(ctx.threads());
        if ctx.threads() == 1 {
            return self.one_thread(ctx, &unready);
        }
        std::thread::scope(|scope| {
            let spawn = |lane| {
                let (ctx, unready) = (ctx.on_lane(lane), &unready);
                let thread = std::thread::Builder::new().name(format!("handler-{lane}"));
                thread.spawn_scoped(scope, move || {
                    // However this thread fails, the others are not to go on without it.
                    let alarm = Alarm(&ctx);
                    let result = self.one_thread(&ctx, unready);
                    if result.is_ok() {
                        std::mem::forget(alarm);
                    }
                    result
                })
            };
            let threads: Vec<_> = (0..ctx.threads()).map(spawn).collect();
            let mut result = Ok(());
            for thread in threads {
                let ended = match thread {
                    Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                    Err(error) => {
                        ctx.station().stop.give_up();
                        Err(format!("cannot start a handler thread: {error}").into())
                    }
                };
                result = worse(result, ended);
            }
            result
        })
    }

    fn one_thread<S, I, O>(&self, ctx: &Context, unready: &AtomicU16) -> Result
    where
        I: DeserializeOwned,
        O: DeserializeOwned,
        Build: Fn(&Context) -> Result<S>,
        Handle: Fn(&mut S, I, &mut Output<O>) -> Result,
        Finish: Fn(&mut S, &mut Output<O>) -> Result,
    {
        show_waits_in(ctx.station().stop.page().lane(ctx.thread()));
        let state = (self.build)(ctx);
        end_if_copy();
        let mut state = state?;
        let mut out = Output::new(ctx)?;
        let mut inputs = Inputs::join::<I>(ctx)?;
        // Relaxed: only the count matters; the report goes through a socket.
        if unready.fetch_sub(1, Ordering::Relaxed) == 1 {
            ctx.station().report(Report::Ready);
        }
        let result = self.until_the_end(ctx, &mut state, &mut inputs, &mut out);
        // Whatever is not committed now goes back; it was not the items' fault.
        inputs.give_back_taken();
        result
    }

    fn until_the_end<S, I, O>(&self, ctx: &Context, state: &mut S, inputs: &mut Inputs, out: &mut Output<O>) -> Result
    where
        I: DeserializeOwned,
        Handle: Fn(&mut S, I, &mut Output<O>) -> Result,
        Finish: Fn(&mut S, &mut Output<O>) -> Result,
    {
        loop {
            match inputs.next(ctx, out.outbox()) {
                Ok((queue, lease)) => {
                    inputs.settle(ctx, queue, lease, out, |item, out| (self.handle)(state, item, out))?
                }
                Err(RecvError::Ended) => {
                    inputs.commit(out.outbox())?;
                    if out.outbox().has_finished() {
                        return Ok(()); // An earlier run of this post did, and died before it could exit.
                    }
                    let finished = (self.finish)(state, out);
                    end_if_copy();
                    finished.map_err(for_no_item)?;
                    return Ok(out.outbox().finish()?);
                }
                Err(RecvError::Stopped) => return inputs.commit(out.outbox()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Of how two threads ended: the error that is none but the answer to a stop tells less, as the stop may be due to the
/// other one's error.
fn worse(first: Result, second: Result) -> Result {
    match (first, second) {
        (Err(stop), Err(error)) if is_stop(&*stop) => Err(error),
        (first, second) => first.and(second),
    }
}

/// Rings when it is dropped.
struct Alarm<'a>(&'a Context);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.station().stop.give_up();
    }
}

/// All queues that one handler thread takes from.
struct Inputs {
    members: Vec<Member>,
    /// Whose turn it is, for fairness between the queues.
    turn: usize,
    /// Where this thread shows what it holds and how far it is.
    lane: Lane,
    /// Items that are dealt with and not committed yet.
    taken: Vec<(usize, Lease)>,
    /// When the first of them was.
    since: Instant,
    /// How many items one commit covers.
    quota: Quota,
}

impl Inputs {
    fn join<I: DeserializeOwned>(ctx: &Context) -> Result<Self> {
        let join = |line: &crate::station::Line| {
            shape::join_to_receive::<I>(&line.name, &line.queue)?;
            let member = line.queue.join(ctx.station().welcome.post, ctx.thread());
            member.map_err(|error| OpenError::Queue { queue: line.name.clone(), error })
        };
        let members = ctx.station().inputs.iter().map(join).collect::<Result<Vec<_>, _>>()?;
        let batch = usize::try_from(ctx.station().welcome.batch)?;
        let capacity = members.iter().map(|member| member.queue().capacity()).min().unwrap_or(0);
        Ok(Self {
            members,
            turn: 0,
            lane: ctx.station().stop.page().lane(ctx.thread()),
            taken: Vec::new(),
            since: Instant::now(),
            quota: Quota::new(batch, ctx.station().welcome.batch_time, capacity),
        })
    }

    /// Commits what is dealt with.
    fn commit(&mut self, outbox: &mut Outbox) -> Result {
        Ok(outbox.commit(&mut self.members, &mut self.taken)?)
    }

    fn give_back_taken(&mut self) {
        for (queue, lease) in std::mem::take(&mut self.taken) {
            self.members[queue].give_back(lease);
        }
    }

    fn next(&mut self, ctx: &Context, outbox: &mut Outbox) -> Result<(usize, Lease), RecvError> {
        let stop = &ctx.station().stop;
        loop {
            if stop.now() {
                return Err(RecvError::Stopped);
            }
            // Nothing that is dealt with waits while there is nothing else to do.
            if stop.is_held() {
                self.commit_before_waiting(outbox)?;
                stop.while_held(None);
                continue;
            }
            if !self.taken.is_empty() {
                match try_recv_any(&mut self.members, &mut self.turn, Take::More) {
                    Err(Nothing::Empty | Nothing::Ended) => self.commit_before_waiting(outbox)?,
                    answer => return answer.map_err(RecvError::from),
                }
            }
            let waiting = self.lane.waiting();
            let interrupted = || stop.halts_or_waits(&waiting, WaitsFor::AnyItem);
            let wait = Wait { deadline: None, interrupted: &interrupted };
            let take = if self.quota.is_one() { Take::Single } else { Take::First };
            match recv_any(&mut self.members, &wait, &mut self.turn, take) {
                Err(Nothing::Interrupted) if !stop.now() => {} // Only paused.
                answer => return answer.map_err(RecvError::from),
            }
        }
    }

    fn commit_before_waiting(&mut self, outbox: &mut Outbox) -> Result<(), RecvError> {
        if self.taken.is_empty() {
            return Ok(());
        }
        self.commit(outbox).map_err(|error| {
            if is_stop(&*error) {
                return RecvError::Stopped;
            }
            tracing::error!("cannot commit: {}", in_words(&*error));
            RecvError::Spoilt
        })
    }

    /// Calls the handler and settles the item. An error is one that no other item would escape.
    fn settle<I: DeserializeOwned, O>(
        &mut self,
        ctx: &Context,
        queue: usize,
        lease: Lease,
        out: &mut Output<O>,
        handle: impl FnOnce(I, &mut Output<O>) -> Result,
    ) -> Result {
        let station = ctx.station();
        // An item that came back may be one that kills: it gets a commit of its own, and takes no others along.
        let alone = lease.is_alone();
        let member = &mut self.members[queue];
        self.lane.hold(u16::try_from(queue).expect("a stage has fewer than 65,536 inputs"), lease.id());
        let key = member.queue().key(&lease);
        out.outbox().begin(InHand { id: lease.id(), key, deliveries: lease.deliveries() });
        let mark = out.outbox().mark();
        let outcome = match codec::decode(member.bytes(&lease)) {
            Err(error) => Outcome::Undecodable(error),
            Ok(item) => match called(|| handle(item, out)) {
                Ok(Ok(())) => Outcome::Done,
                Ok(Err(error)) if is_permanent(&*error) || is_outage(&*error) => Outcome::Hopeless(error),
                Ok(Err(_)) if station.stop.now() => Outcome::Stopped,
                Ok(Err(error)) => Outcome::Failed(error),
                Err(panic) => Outcome::Panicked(panic),
            },
        };
        out.outbox().end();
        match outcome {
            Outcome::Done => {
                if out.outbox().is_overladen()
                    && !self.taken.is_empty()
                    && let Err(error) = out.outbox().commit_before(&mark, &mut self.members, &mut self.taken)
                {
                    self.members[queue].give_back(lease);
                    return Err(error.into());
                }
                if self.taken.is_empty() && !self.quota.is_one() {
                    self.since = Instant::now();
                }
                self.taken.push((queue, lease));
                if alone || self.is_full(out.outbox()) {
                    self.commit(out.outbox())?;
                }
                self.lane.release();
                station.dealt_with_one();
                Ok(())
            }
            failure => {
                out.outbox().back_to(mark);
                self.failed(ctx, queue, lease, failure)
            }
        }
    }

    /// Whether it is time to commit what is dealt with.
    fn is_full(&self, outbox: &Outbox) -> bool {
        outbox.is_laden() || self.quota.is_reached(self.taken.len(), outbox.changes_shared(), || self.since.elapsed())
    }

    fn failed(&mut self, ctx: &Context, queue: usize, lease: Lease, outcome: Outcome) -> Result {
        let station = ctx.station();
        let (member, lane) = (&mut self.members[queue], &self.lane);
        let line = &station.inputs[queue];
        let name = line.name.as_str();
        let (item, deliveries) = (lease.id(), lease.deliveries());
        let mut end = Ok(());
        match outcome {
            Outcome::Done => {}
            Outcome::Failed(error) => {
                tracing::error!(%item, queue = name, deliveries, "the handler failed: {}", in_words(&*error));
                nack(station, member, lease, line, retry_time(&*error), &in_words(&*error));
            }
            Outcome::Undecodable(error) => {
                tracing::error!(%item, queue = name, deliveries, "the item cannot be decoded: {error}");
                nack(station, member, lease, line, None, &format!("the item cannot be decoded: {error}"));
            }
            Outcome::Panicked(panic) => {
                let (location, backtrace) = (panic.location.as_str(), panic.backtrace.as_deref());
                let message = &panic.message;
                tracing::error!(
                    %item, queue = name, deliveries, location, backtrace, "the handler panicked: {message}"
                );
                if station.welcome.exit_on_panic {
                    station.report(Report::Failed { words: panic.to_string(), permanent: false, outage: false });
                    // The item is still ours in the queue: the sweep gives it back and counts the delivery.
                    low_level::exit(PANICKED);
                }
                nack(station, member, lease, line, None, &panic.to_string());
            }
            Outcome::Stopped => {
                tracing::info!(%item, queue = name, "told to stop: the item in hand goes back");
                member.give_back(lease);
            }
            Outcome::Hopeless(error) => {
                member.give_back(lease);
                end = Err(error);
            }
        }
        lane.release();
        station.dealt_with_one();
        end
    }
}

/// Calls a handler. A forked copy of the worker that returns from it ends here: what comes next is the worker's to do.
fn called<R>(handle: impl FnOnce() -> R) -> Result<R, Panic> {
    let result = panics::caught(handle);
    end_if_copy();
    result
}

/// What came of one call.
enum Outcome {
    Done,
    /// The handler said so.
    Failed(Error),
    /// The handler was never called.
    Undecodable(codec::DecodeError),
    Panicked(Panic),
    /// It failed after the worker was told to stop: most likely because of that.
    Stopped,
    /// It says that the worker is misconfigured, or lacks something: that is no fault of the item's.
    Hopeless(Error),
}

#[cfg(test)]
mod tests;
