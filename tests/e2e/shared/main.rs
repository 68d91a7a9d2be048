//! Shared lists, maps and counters, from the worker's handles to the manager: in one process where that is enough, and
//! with the manager as a process of its own where it is to die.

mod deaths;
mod handles;
mod journal;
mod looks;
mod speed;
mod stage;
mod strangers;
