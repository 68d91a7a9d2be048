//! Every decision of the supervisor, as a function of events and time: no clock, no I/O, nothing that can fail.

pub mod action;
pub mod event;
