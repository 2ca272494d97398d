//! No row depends on what was known after it.
//!
//! Every audit makes two lakes of the same documents, one of which ends at an instant, and compares what both say of the
//! time before. Planted mistakes show that the comparison would notice.
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
mod twin;
mod vintages;
