//! No row depends on what was known after it.
//!
//! Every audit computes what a lake says of the time before an instant a second time, from less, and compares. Planted
//! mistakes show that the comparison would notice.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests say what they expect by failing"
)]

mod full;
mod late;
mod order;
mod plants;
mod restated;
mod short;
mod starts;
mod twin;
mod vintages;
