//! The record of one task's result. The trace of the engine and the catalogue of the lake are this same row.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Day, Fingerprint, PartitionKey, TableId, TaskKey, UtcTime};

/// The named parts a fingerprint was made of, so that a plan can name the one that changed.
///
/// Keys are `sql`, `contract`, `version`, `param.z_window`, `token`, ... and `input <table>` for the digest of a window.
pub type Parts = BTreeMap<String, String>;

/// Where a cell's rows are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellFile {
    /// Path below the lake's root.
    pub path: String,
    /// Digest of the file's bytes: it names the file and verifies it.
    pub hash: Fingerprint,
    /// Size of the file.
    pub bytes: u64,
}

/// One (table, partition) result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The table.
    pub table: TableId,
    /// The partition.
    pub partition: PartitionKey,
    /// What was computed: definition, parameters and granted inputs.
    pub fingerprint: Fingerprint,
    /// The parts of `fingerprint`, while the cell is new. The lake keeps them beside its log and its records of results,
    /// where they are looked up when somebody asks why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: Parts,
    /// Digest of the logical rows, independent of the file format.
    pub rows_hash: Fingerprint,
    /// Digest of each day's rows by the table's time column; kept for tables coarser than a day.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub days: BTreeMap<Day, Fingerprint>,
    /// Number of rows.
    pub rows: u64,
    /// The file; `None` for an empty partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<CellFile>,
    /// Smallest and largest value of the time column, for pruning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<(UtcTime, UtcTime)>,
    /// The run that computed the rows.
    pub run: String,
    /// Seconds that the computation took.
    pub seconds: f64,
}

impl Cell {
    /// Returns the task that makes this cell.
    pub fn task(&self) -> TaskKey {
        TaskKey {
            table: self.table.clone(),
            partition: self.partition.clone(),
        }
    }

    /// Tells whether this is the cell of a table's partition.
    pub fn is_of(&self, task: &TaskKey) -> bool {
        self.partition == task.partition && self.table == task.table
    }

    /// Returns the cell without the parts of its fingerprint.
    #[must_use]
    pub fn lean(&self) -> Self {
        Self {
            table: self.table.clone(),
            partition: self.partition.clone(),
            fingerprint: self.fingerprint,
            parts: Parts::new(),
            rows_hash: self.rows_hash,
            days: self.days.clone(),
            rows: self.rows,
            file: self.file.clone(),
            times: self.times,
            run: self.run.clone(),
            seconds: self.seconds,
        }
    }
}
