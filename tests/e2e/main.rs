//! End-to-end tests: real processes through the one binary `brigade`, a file per behaviour.

mod all_at_once;
mod changed;
mod check;
mod checksum;
mod control;
mod dead;
mod death;
mod flips;
mod flood;
mod flow;
mod full_disk;
mod hostile;
mod limits;
mod log_files;
mod logs;
mod pipelines;
mod poison;
mod policies;
mod restart;
mod retry;
mod security;
mod state;
mod stop;
mod supervised;
mod survivors;
mod terminal;
