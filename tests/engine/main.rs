//! What runs when, and only then: with the shipped pipelines, over a short simulated market and a small archive.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod changes;
mod common;
mod days;
mod kill;
mod runs;
mod same;
