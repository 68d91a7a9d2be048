//! End-to-end tests: real processes through the one binary `brigade`, a file per behaviour.

mod all_at_once;
mod changed;
mod check;
mod checksum;
mod control;
mod dead;
mod death;
mod flips;
mod flow;
mod full_disk;
mod hostile;
mod logs;
mod pipelines;
mod poison;
mod restart;
mod state;
mod stop;
mod terminal;
