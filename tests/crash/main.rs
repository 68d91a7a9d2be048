//! Crash tests: a process dies, really and by SIGKILL, at every named point of the queue, and the ledger balances all
//! the same. Only in builds with debug assertions: others have no such points.
#![cfg(debug_assertions)]

mod batch;
mod moving;
mod stage;
mod supervisor;
