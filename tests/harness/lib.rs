//! The harness of the black-box tests: a place for one pipeline, a handle on its run, and patience. Without it every
//! test would start, await, search and clean up processes in a way of its own, and some would leave them behind.

mod binaries;
mod dice;
mod item;
mod ledger;
mod proc;
mod reboot;
mod run;
mod sandbox;
mod tree;
mod until;

pub use binaries::{binary, folder, workspace};
pub use dice::{Dice, LOOP_ROOM, goes_round_in_storm, hops_in_storm, monotonic_ns, size_in_storm};
pub use item::Item;
pub use ledger::{Entry, Ledger, crash_only_in_the_first_run, note};
pub use proc::{Process, is_alive, keeper_of, processes_of};
pub use reboot::{reboot, reboot_page, reboot_queue};
pub use run::{Ended, QueueNumbers, Report, Run, StageNumbers};
pub use sandbox::{Said, Sandbox};
pub use tree::nasty_tree;
pub use until::{PATIENCE, holds_for_a_while, until, until_some};
