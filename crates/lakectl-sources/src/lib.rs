//! Harvest and parsing: which documents a declared dataset has, and the pure step from their bytes to typed rows.
//!
//! A [`Dataset`] is declared in a profile's TOML: where its documents are, which [`Format`] they have, which [`Feed`]
//! they serve, how vendor columns and units map to ours, and when a row could have been known. [`archive`] lists
//! and fetches recorded files. [`parse`] turns one [`Document`] into a batch of rows and a batch of rejects; it is a pure
//! function of its arguments, never panics on input, and reports everything it leaves out.
//!
//! What happens to bad input:
//! * a document that is damaged, truncated, empty, misnamed or of another layout gives no row and one reject;
//! * a row with a price, volatility, time or contract that cannot be true is rejected;
//! * an auxiliary value (size, greek, index) that cannot be true is set to null, and a `warn` says so;
//! * an absent value (`""`, `.`, `null`) is null in a quote or bar and gives no row in a metric series.
//!
//! The crate knows neither the tables of the lake nor the engine that runs it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::print_stderr))]

pub mod archive;
mod availability;
mod columns;
mod compression;
mod dataset;
mod document;
mod draft;
mod error;
mod feed;
mod flaw;
mod format;
mod formats;
mod instrument;
mod number;
mod pattern;
mod reject;
mod rows;
mod sink;
mod terms;
mod time_text;
mod units;

#[cfg(test)]
mod tests;

pub use availability::Basis;
pub use columns::{ColumnSpec, ColumnUnit};
pub use compression::Compression;
pub use dataset::{Dataset, DocumentTime, datasets_from_toml};
pub use document::Document;
pub use error::SourceError;
pub use feed::{Feed, RowKind};
pub use format::{Format, Replacement, Settlement};
pub use formats::{PARSER_VERSION, Parsed, parse};
pub use pattern::TimePattern;
pub use reject::{Reason, Severity, rejects_contract, rejects_schema};
pub use rows::{row_contract, row_schema};
pub use units::{TimeUnit, Unit};
