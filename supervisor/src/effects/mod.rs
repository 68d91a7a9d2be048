//! What is done to the world: processes started, signalled and told; dead letters put aside. Nothing here decides, and
//! nothing here waits.

mod child;
mod confine;
pub mod dead;
pub mod group;
pub mod hand_over;
pub mod keeper;
pub mod orphans;
pub mod parent;
pub mod share;
pub mod signal;
pub mod spawn;
