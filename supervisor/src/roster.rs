//! The roster: which process fills which post now, and how to reach it. The core knows posts and incarnations; pids,
//! doors and channels are known here alone.

use std::collections::HashMap;
use std::time::Instant;

use brigade_protocol::control::Order;
use brigade_protocol::id::{Incarnation, Post};
use ipc_channel::ipc::IpcSender;

use crate::core::event::Exit;
use crate::door::Watched;

/// One run of a post, from spawn to the end of its process group.
#[derive(Debug)]
pub struct Present {
    /// The post of the worker.
    pub post: Post,
    /// The run of the worker.
    pub incarnation: Incarnation,
    /// Its process and group.
    pub pid: i32,
    /// Its door, until it has knocked.
    pub door: Option<Watched>,
    /// How to give it orders, once it has knocked.
    pub orders: Option<IpcSender<Order>>,
    /// How its leader ended, if it did; some of its group may still be there.
    pub ended: Option<Exit>,
    /// Everything that it had to say has been heard: its door is closed.
    pub heard: bool,
    /// It said that its work is done, or that it fails or leaves: its exit is expected.
    pub announced: bool,
    /// What it wrote to stderr at last, once its leader has ended and that is known.
    pub last_words: Option<Vec<String>>,
    /// Since when nobody of its group is there any more.
    pub gone: Option<Instant>,
}

/// Everyone present.
#[derive(Debug, Default)]
pub struct Roster {
    present: HashMap<Post, Present>,
    by_pid: HashMap<i32, Post>,
}

impl Roster {
    /// A process was started.
    pub fn enter(&mut self, present: Present) {
        self.by_pid.insert(present.pid, present.post);
        self.present.insert(present.post, present);
    }

    /// Who fills the post, if it is this incarnation.
    pub fn get(&mut self, post: Post, incarnation: Incarnation) -> Option<&mut Present> {
        self.present.get_mut(&post).filter(|present| present.incarnation == incarnation)
    }

    /// Who fills the post.
    pub fn at(&self, post: Post) -> Option<&Present> {
        self.present.get(&post)
    }

    /// Whose process this is: the leader of a group that has not been reaped.
    pub fn leader(&mut self, pid: i32) -> Option<&mut Present> {
        self.present.get_mut(self.by_pid.get(&pid)?)
    }

    /// Whether this process leads a group, and has not been reaped.
    pub fn is_leader(&self, pid: i32) -> bool {
        self.by_pid.contains_key(&pid)
    }

    /// The groups whose leaders have not been reaped.
    pub fn groups(&self) -> impl Iterator<Item = i32> {
        self.by_pid.keys().copied()
    }

    /// The leader was reaped: its pid may mean somebody else from now on.
    pub fn forget_pid(&mut self, pid: i32) {
        self.by_pid.remove(&pid);
    }

    /// Its group is gone.
    pub fn leave(&mut self, post: Post) -> Option<Present> {
        self.present.remove(&post)
    }

    /// Those whose leader has ended.
    pub fn ended(&self) -> Vec<Post> {
        self.present.values().filter(|present| present.ended.is_some()).map(|present| present.post).collect()
    }

    /// Who fills the post, to be changed.
    pub fn at_mut(&mut self, post: Post) -> Option<&mut Present> {
        self.present.get_mut(&post)
    }

    /// Whether nobody is present.
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// Everyone.
    pub fn iter(&self) -> impl Iterator<Item = &Present> {
        self.present.values()
    }
}
