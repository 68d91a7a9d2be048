//! End-to-end tests: real processes through the one binary `brigade`, a file per behaviour.

mod changed;
mod check;
mod checksum;
mod control;
mod dead;
mod death;
mod flow;
mod full_disk;
mod hostile;
mod limits;
mod logs;
mod pipelines;
mod poison;
mod restart;
mod security;
mod state;
mod stop;
mod terminal;
