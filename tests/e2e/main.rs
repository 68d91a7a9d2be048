//! End-to-end tests: real processes through the one binary `brigade`, a file per behaviour.

mod check;
mod checksum;
mod death;
mod flow;
mod pipelines;
mod poison;
mod restart;
mod stop;
