//! SQL over the lake: what a query reads, stage queries, ad-hoc queries, and the domain's mathematics as functions.
//!
//! - [`analyse`] and [`bind`] work on the syntax tree: tables, functions, parameters, canonical text, literals.
//! - [`SqlEngine`] runs the query of a stage over granted tables, on one thread, within a fixed budget; [`conform`]
//!   and [`sort_unique`] bring the result to its contract and its primary key.
//! - [`LakeSession`] opens one version of a lake for people: their statements with parameters, rows as they come, what there
//!   is to ask. [`Script`] takes several statements apart, [`locate`] finds in a text what an error speaks of.
//! - [`functions`] are registered in both.
//!
//! Rules: no clock and no random number in a stage; equal inputs give equal bits; a missing number is null, never NaN.
//! What SQL leaves open stays open: rows that are equal under a window's `ORDER BY` come in any order, so order by
//! the whole key.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ask;
mod catalog;
mod columns;
mod conform;
mod describe;
mod engine;
mod error;
pub mod functions;
mod granted;
mod lineage;
mod param;
mod plans;
mod prune;
mod query;
mod scan;
mod script;
mod session;
mod system;
mod validate;
mod yielding;

pub use ask::{locate, placeholders};
pub use conform::{conform, sort_unique};
pub use describe::{ColumnInfo, FunctionLine, TableInfo, TableKind};
pub use engine::{ENGINE_VERSION, STAGE_MEMORY_BYTES, SqlEngine, StageTable};
pub use error::SqlError;
pub use lineage::{ColumnRef, Influence, OutputColumn};
pub use param::parse_param;
pub use query::{Literal, Query, analyse, bind};
pub use script::{Script, ScriptStatement};
pub use session::{LakeSession, Rows, SessionOptions};
pub use system::SystemTable;

#[cfg(test)]
mod tests;
