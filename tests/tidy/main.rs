//! Tidy tests: they read the source text, so that a wall of the house cannot fall unnoticed.

mod files;
mod source;
mod walls;
