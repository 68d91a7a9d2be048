//! The end of deliveries: an item is acknowledged, has failed, or goes back.

use std::cell::RefMut;
use std::time::Duration;

use brigade_protocol::queue::{Lease, Member};

use super::RawReceiver;
use crate::copies::{ignored, is_copy};
use crate::failed_item::{fail_with_others, nack};

impl RawReceiver {
    #[inline]
    pub(crate) fn ack(&self, lease: Lease) {
        self.forget_told();
        if !self.member.borrow_mut().ack(lease) {
            return ignored();
        }
        self.let_go(1);
        self.ctx.station().dealt_with_one();
    }

    #[inline]
    pub(crate) fn ack_many(&self, leases: &mut Vec<Lease>) {
        if is_copy() {
            leases.clear();
            return ignored();
        }
        self.forget_told();
        let items = leases.len();
        self.member.borrow_mut().ack_many(leases);
        self.let_go(items);
        self.ctx.station().dealt_with(items as u64);
    }

    /// The receiver's member at the queue, for the commit of a transaction.
    pub(crate) fn member(&self) -> RefMut<'_, Member> {
        self.forget_told();
        self.member.borrow_mut()
    }

    /// Items of this receiver were committed with a transaction.
    pub(crate) fn committed(&self, items: usize) {
        self.let_go(items);
        self.ctx.station().dealt_with(items as u64);
    }

    /// The leases are done with; their memory is used again.
    pub(crate) fn keep_room(&self, leases: Vec<Lease>) {
        self.room.replace(leases);
    }

    /// `after`: when it is to come again; `None`: as the queue's policy says.
    pub(crate) fn nack(&self, lease: Lease, after: Option<Duration>, why: &str) {
        if is_copy() {
            return ignored();
        }
        nack(self.ctx.station(), &mut self.member.borrow_mut(), lease, &self.line, after, why);
        self.let_go(1);
        self.ctx.station().dealt_with_one();
    }

    /// A run failed as a whole. `after`: as for [`RawReceiver::nack`].
    pub(crate) fn nack_run(&self, leases: &mut Vec<Lease>, after: Option<Duration>, why: &str) {
        if is_copy() {
            leases.clear();
            return ignored();
        }
        let items = leases.len();
        for lease in leases.drain(..) {
            fail_with_others(self.ctx.station(), &mut self.member.borrow_mut(), lease, &self.line, after, why);
        }
        self.let_go(items);
        self.ctx.station().dealt_with(items as u64);
    }

    /// A delivery was dropped without a word. One of a run: the run has failed.
    pub(crate) fn dropped(&self, lease: Lease) {
        if is_copy() {
            return; // It is still in the worker's hands.
        }
        let station = self.ctx.station();
        if station.holds_too_much() || station.stop.now() && !std::thread::panicking() {
            // It was to be stopped, or cannot continue: that is not the item's fault.
            self.member.borrow_mut().give_back(lease);
        } else {
            let why = "the delivery was dropped without an ack";
            fail_with_others(station, &mut self.member.borrow_mut(), lease, &self.line, None, why);
        }
        self.let_go(1);
    }

    #[inline]
    fn let_go(&self, items: usize) {
        self.held.set(self.held.get() - items);
        if self.held.get() == 0 {
            self.lane.release_of(self.index);
        }
    }

    /// The worker is told that it holds too much: as long as it does nothing about it, what it drops has not failed.
    pub(super) fn set_told(&self, told: bool) {
        self.was_told.set(told);
        self.ctx.station().set_holds_too_much(told);
    }

    #[inline]
    pub(super) fn forget_told(&self) {
        if self.was_told.get() {
            self.set_told(false);
        }
    }
}
