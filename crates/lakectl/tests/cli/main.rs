//! The program as people and schedulers use it: its words, its exit codes, its files.
//!
//! `LAKE_TEST_FULL=1` makes the tests of faults longer.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests say what they skip"
)]

mod bad_files;
mod chains;
mod common;
mod contract;
mod disk;
mod environment;
mod interrupts;
mod keeping;
mod project;
mod queries;
mod refusals;
mod texts;
