//! A transaction: what one commit of one thread covers. Results that it sends to queues, items that it has dealt with, a
//! checkpoint, and changes of shared state become true together, by one store in the worker's page.
//!
//! ```text
//! begin → prepare shared changes → stage results → settle items → checkpoint → note counts → commit → roll forward
//! ```
//!
//! Until the commit nothing of it is seen by anybody else, and an error takes all of it back. A process that dies before the
//! commit has done nothing of the transaction: the sweep frees staged results and gives settled items back. A process that
//! dies after it has done all of it: the sweep rolls forward, and the manager of shared state makes the prepared changes.
//!
//! The order is kept here and nowhere else. The algorithm is a redo log of one word: the number of the transaction stands
//! beside each slot *before* the slot's word changes, so that a slot can always be told from one of another transaction.

#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod tests;

use std::borrow::{BorrowMut, Cow};
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::crash_point;
use crate::page::Lane;
use crate::queue::{Lease, Member, Refused, Room, Wait};
use crate::shm::is_forked_copy;

/// How long a transaction that has claimed room waits for more. Then it gives back what it has, and takes its turn at the
/// queue: two workers that each hold half of a queue's room and wait for the other half would wait indefinitely.
pub const HOLD: Duration = Duration::from_millis(20);

/// What a transaction of one thread covers.
#[derive(Debug)]
pub struct Transaction<'a, I> {
    /// The thread's part of the page. No other thread commits by it meanwhile.
    pub lane: &'a Lane,
    /// The queues that items were taken from.
    pub inputs: &'a mut [I],
    /// The items that were dealt with: number of the input, and the lease. Empty after a commit. After an error, those that
    /// are still the caller's.
    pub taken: &'a mut Vec<(usize, Lease)>,
    /// The queues that results go to.
    pub outputs: &'a mut [Member],
    /// The results, in the order of sending: number of the output, and where the encoded result stands in `bytes`.
    pub results: &'a [(usize, Range<usize>)],
    /// The encoded results.
    pub bytes: &'a [u8],
    /// The encoded checkpoint, if one is to be written.
    pub checkpoint: Option<&'a [u8]>,
    /// Whether it changes shared state: [`Transaction::commit`] prepares that.
    pub changes_shared: bool,
    /// Whether other threads of the process wait for the lane: then it waits for room no longer than [`HOLD`], so that one of
    /// them may make the room for which it waits.
    pub shares_lane: bool,
    /// Whether it is the last one of its thread, which has come to the end of its inputs.
    pub is_last: bool,
}

/// Why a transaction was not committed. Nothing of it has happened.
#[derive(Debug, PartialEq, Eq)]
pub enum NotCommitted<E> {
    /// The changes of shared state could not be prepared.
    NotPrepared(E),
    /// A result was refused. [`Refused::Timeout`]: there was no room for all of them within [`HOLD`]; to be tried again.
    Refused(Refused),
    /// An item is not the caller's any more: another receiver has it, or did it. Number of the input.
    LeaseGone(usize),
    /// The checkpoint is larger than a page has room for.
    CheckpointTooLarge,
}

impl<I: BorrowMut<Member>> Transaction<'_, I> {
    /// Commits. `prepare` is called with the transaction's number if it changes shared state; it may be called again with
    /// the same number, by another try. `interrupted` is asked, with the number of the output, while the transaction waits
    /// for room there.
    ///
    /// # Errors
    /// Nothing has happened then. If the process dies in here, either all has happened or nothing.
    pub fn commit<E>(
        &mut self,
        prepare: impl FnOnce(u64) -> Result<(), E>,
        interrupted: &dyn Fn(usize) -> bool,
    ) -> Result<(), NotCommitted<E>> {
        if is_forked_copy() {
            return Err(NotCommitted::Refused(Refused::Copy));
        }
        let number = self.lane.committed() + 1;
        self.lane.begin_batch();
        if self.changes_shared {
            prepare(number).map_err(NotCommitted::NotPrepared)?;
            crash_point!("batch_prepared");
        }
        if let Err(refused) = self.stage(number, interrupted) {
            self.unstage();
            return Err(NotCommitted::Refused(refused));
        }
        crash_point!("batch_staged");
        if let Err(input) = self.settle(number) {
            self.unsettle();
            self.unstage();
            return Err(NotCommitted::LeaseGone(input));
        }
        crash_point!("batch_settled");
        if let Some(checkpoint) = self.checkpoint
            && !self.lane.write_checkpoint(number, checkpoint)
        {
            self.unsettle();
            self.unstage();
            return Err(NotCommitted::CheckpointTooLarge);
        }
        if self.changes_shared {
            self.lane.mark_shared(number);
        }
        if self.is_last {
            self.lane.mark_finish(number);
        }
        self.each_member(|member| member.note_batch(number));
        crash_point!("batch_noted");
        self.lane.commit(number);
        crash_point!("batch_committed");
        // Results first: an item that has made room may be what lets another worker end the stream.
        self.each_member(Member::roll_forward);
        self.outputs.iter_mut().for_each(Member::end_turn);
        crash_point!("batch_rolled_forward");
        Ok(())
    }

    fn each_member(&mut self, mut act: impl FnMut(&mut Member)) {
        self.outputs.iter_mut().for_each(&mut act);
        self.inputs.iter_mut().for_each(|input| act(input.borrow_mut()));
    }

    /// Writes all results into their queues, where no receiver sees them before the commit.
    ///
    /// Every transaction claims room in the same order of queues. So of two transactions that send to the same two queues, none
    /// holds room in the one while it waits for room that the other one holds.
    fn stage(&mut self, number: u64, interrupted: &dyn Fn(usize) -> bool) -> Result<(), Refused> {
        // A member that has the turn renews it in time.
        let is_short = self.shares_lane || self.outputs.iter().any(Member::has_turn);
        let mut deadline = is_short.then(|| Instant::now() + HOLD);
        let is_loop = self.outputs.iter().any(|output| self.inputs.iter().any(|input| is_same(output, input.borrow())));
        let results = in_claiming_order(self.results, self.outputs);
        for (nth, (port, range)) in results.iter().enumerate() {
            let wait = Wait { deadline, interrupted: &|| interrupted(*port) };
            let output = &mut self.outputs[*port];
            let room = is_loop.then(|| given_up_for(output, self.inputs, self.taken)).flatten();
            if let Err(refused) = output.stage(&self.bytes[range.clone()], number, room, &wait) {
                if refused == Refused::Timeout {
                    take_turns(&results[..=nth], results.len(), self.outputs);
                }
                return Err(refused);
            }
            if deadline.is_none() && results.len() > 1 {
                deadline = Some(Instant::now() + HOLD);
            }
        }
        Ok(())
    }

    fn unstage(&mut self) {
        self.outputs.iter_mut().for_each(Member::roll_back);
    }

    /// Marks all items as dealt with. An error is the number of an input whose item is gone.
    fn settle(&mut self, number: u64) -> Result<(), usize> {
        let mut gone = None;
        for (input, lease) in self.taken.drain(..) {
            if !self.inputs[input].borrow_mut().settle(lease, number) {
                gone.get_or_insert(input);
            }
        }
        gone.map_or(Ok(()), Err)
    }

    /// The items are in the caller's hands again.
    fn unsettle(&mut self) {
        for (number, input) in self.inputs.iter_mut().enumerate() {
            input.borrow_mut().unsettle(|lease| self.taken.push((number, lease)));
        }
    }
}

/// A result: number of the output, and where it stands.
type Sent = (usize, Range<usize>);

/// The results in the order of their queues, which is the same in every process; to one queue, in the order of sending.
fn in_claiming_order<'r>(results: &'r [Sent], outputs: &[Member]) -> Cow<'r, [Sent]> {
    let queue = |(port, _): &Sent| outputs[*port].queue().life();
    if results.is_sorted_by_key(queue) {
        return Cow::Borrowed(results);
    }
    let mut ordered = results.to_vec();
    ordered.sort_by_key(queue);
    Cow::Owned(ordered)
}

/// Takes the turn at each queue of these results, up to the one that had too little room, in the order of claiming. A
/// transaction that cannot have the first turn takes no later one: its owner could not use that, and others would wait for it.
/// A transaction of one result needs no turn, as it holds no room while it waits.
fn take_turns(results: &[Sent], all: usize, outputs: &mut [Member]) {
    if all < 2 {
        return;
    }
    let mut last = None;
    for (port, _) in results {
        if last.replace(*port) == Some(*port) {
            continue;
        }
        outputs[*port].take_turn();
        if !outputs[*port].has_turn() {
            return;
        }
    }
}

/// Whether both are members of the same queue.
fn is_same(one: &Member, other: &Member) -> bool {
    one.queue().life() == other.queue().life()
}

/// The room of the next item from the output's own queue that no result has taken yet.
fn given_up_for<I: BorrowMut<Member>>(output: &Member, inputs: &[I], taken: &[(usize, Lease)]) -> Option<Room> {
    let mut own = taken.iter().filter(|(input, _)| is_same(output, inputs[*input].borrow()));
    own.nth(output.exchanges()).map(|(input, lease)| inputs[*input].borrow().room_of(lease))
}
