//! Lakes where disks, networks and processes fail: in a bucket of an S3 server that misbehaves, and under many writers.
//!
//! `LAKE_TEST_FULL=1` makes the tests longer; `cargo xtask faults` runs the full counts.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod common;
mod faults;
mod pipeline;
mod refusals;
mod writers;
