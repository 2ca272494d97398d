//! The program as people and schedulers use it: its words, its exit codes, its files.
//!
//! `LAKE_TEST_FULL=1` makes the tests of faults longer.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests say what they skip"
)]

mod asking;
mod audits;
mod bad_files;
mod branches;
mod buckets;
mod chains;
mod common;
mod contract;
mod decisions;
mod disk;
mod environment;
mod events;
mod interrupts;
mod keeping;
mod kills;
mod lineage;
mod pictures;
mod plans;
mod project;
mod projections;
mod queries;
mod refusals;
#[cfg(feature = "otel")]
mod spans;
mod texts;
