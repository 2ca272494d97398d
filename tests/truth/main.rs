//! The numbers: against the truth of the simulated market, and against recorded markets.
//!
//! Tests on recorded data look for it in `$LAKE_TEST_DATA`, else beside the project, and say aloud when there is none.
//! `LAKE_TEST_FULL=1` switches on the long forms.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests report what they measured"
)]

mod archive;
mod columns;
mod own_data;
mod skill;

/// Whether the long forms are wanted.
fn full() -> bool {
    std::env::var_os("LAKE_TEST_FULL").is_some_and(|value| value == "1")
}
