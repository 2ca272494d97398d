//! SQL over the lake: what a query reads, stage queries, ad-hoc queries, and the domain's mathematics as functions.
//!
//! - [`analyse`] and [`bind`] work on the syntax tree: tables, functions, parameters, canonical text, literals.
//! - [`SqlEngine`] runs the query of a stage over granted tables, on one thread, within a fixed budget; [`conform`]
//!   and [`sort_unique`] bring the result to its contract and its primary key.
//! - [`LakeSession`] opens one version of a lake for people.
//! - [`functions`] are registered in both.
//!
//! Rules: no clock and no random number in a stage; equal inputs give equal bits; a missing number is null, never NaN.
//! What SQL leaves open stays open: rows that are equal under a window's `ORDER BY` come in any order, so order by
//! the whole key.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod catalog;
mod conform;
mod engine;
mod error;
mod files;
pub mod functions;
mod lineage;
mod prune;
mod query;
mod system;

pub use catalog::LakeSession;
pub use conform::{conform, sort_unique};
pub use engine::{ENGINE_VERSION, STAGE_MEMORY_BYTES, SqlEngine, StageTable};
pub use error::SqlError;
pub use lineage::{ColumnRef, Influence, OutputColumn};
pub use query::{Literal, Query, analyse, bind};
pub use system::SystemTable;

#[cfg(test)]
mod tests;
