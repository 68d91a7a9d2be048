//! Crash tests: a process dies, really and by SIGKILL, at every named point of the queue (only in builds with debug
//! assertions: others have no such points), and anywhere at all in a storm; the ledger balances all the same.

#[cfg(debug_assertions)]
mod batch;
#[cfg(debug_assertions)]
mod changes;
#[cfg(debug_assertions)]
mod dead;
#[cfg(debug_assertions)]
mod exact;
#[cfg(debug_assertions)]
mod join;
mod kin;
#[cfg(debug_assertions)]
mod lookout;
#[cfg(debug_assertions)]
mod loops;
#[cfg(debug_assertions)]
mod missing;
mod moving;
#[cfg(debug_assertions)]
mod pairs;
mod redelivery;
#[cfg(debug_assertions)]
mod retry;
#[cfg(debug_assertions)]
mod runs;
#[cfg(debug_assertions)]
mod stage;
mod storm;
#[cfg(debug_assertions)]
mod supervisor;
#[cfg(debug_assertions)]
mod windows;
