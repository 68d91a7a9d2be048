//! The supervisor behind the binary `brigade`, as a library.

#[cfg(not(target_os = "linux"))]
compile_error!("Brigade runs on Linux only: it is built on futexes, process groups and parent-death signals.");

pub mod cli;
pub mod config;
pub mod core;
pub mod manager;
