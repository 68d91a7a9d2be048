//! From the user's file to the plan: [`raw`] is the file as typed, [`plan`] is what we believe, [`check`] is the way
//! between them, which shows every fault at once.

pub mod plan;
