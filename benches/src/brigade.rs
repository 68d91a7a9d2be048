//! Brigade itself: pipelines of this same program, and its queue alone.

pub mod pipeline;
pub mod rest;
pub mod threads;
pub mod worker;
