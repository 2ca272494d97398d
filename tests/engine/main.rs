//! What runs when, and only then: with the shipped pipelines, over a short simulated market and a small archive.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod archive;
mod backfill;
mod branches;
mod changes;
mod checks;
mod common;
mod contracts;
mod damage;
mod days;
mod declarations;
mod documents;
mod failures;
mod kill;
mod mending;
mod overrides;
mod partitions;
mod runs;
mod same;
mod selection;
mod versions;
mod walks;
