//! What runs when, and only then: with the shipped pipelines, over a short simulated market and a small archive.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod archive;
mod branches;
mod changes;
mod common;
mod damage;
mod days;
mod declarations;
mod documents;
mod failures;
mod kill;
mod mending;
mod runs;
mod same;
mod selection;
mod versions;
mod walks;
