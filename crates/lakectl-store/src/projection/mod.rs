//! The lake for other engines: the same files, described in their own words.
//!
//! ```text
//! data/<schema>/<table>/_delta_log/<version>.json   Delta: one version for each commit that touched the table
//! _projections/delta.json                           how far the lake's log has been projected
//! ```
//!
//! Nothing here is part of the lake: it is made from the log after a commit, can be thrown away, and comes out the
//! same byte for byte when it is made again. So writers may overlap, and a crash between any two writes heals with the
//! next projection. DuckDB's views are text and made when somebody asks for them.

mod action;
mod change;
mod checkpoint;
mod delta;
mod duckdb;

pub use delta::{DeltaTable, DeltaVersion, Projected};
pub use duckdb::duckdb_views;

#[cfg(test)]
pub(crate) use checkpoint::checkpoint_of;
#[cfg(test)]
pub(crate) use delta::{BYTES_PER_FILE, COMMITS_MIN, FILES_PER_COMMIT};

use lakectl_core::TableId;

/// The folder of a table's files, below the lake's root.
fn data_folder(table: &TableId) -> String {
    format!("data/{}/{}", table.schema(), table.name())
}
