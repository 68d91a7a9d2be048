//! The supervisor behind the binary `brigade`, as a library.

#[cfg(not(target_os = "linux"))]
compile_error!("Brigade runs on Linux only: it is built on futexes, process groups and parent-death signals.");

pub mod aside;
pub mod cli;
pub mod config;
pub mod control;
pub mod core;
pub mod door;
pub mod earlier;
pub mod effects;
pub mod figures;
pub mod keeper;
pub mod kin;
pub mod launch;
pub mod logs;
pub mod manager;
mod missing;
pub mod orders;
mod porters;
pub mod random;
pub mod reactor;
pub mod report;
pub mod resume;
pub mod roster;
pub mod shared;
pub mod sources;
pub mod state;
pub mod status;
pub mod table;
pub mod trust;
pub mod verdict;
pub mod view;
pub mod who;
