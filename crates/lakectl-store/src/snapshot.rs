//! One version of the whole lake.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use lakectl_core::{Cell, Contract, CoreError, Fingerprint, Grain, PartitionKey, TableId, UtcTime};
use serde::{Deserialize, Serialize};

/// What a reader has to know about a table besides its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableMeta {
    /// The columns.
    pub contract: Contract,
    /// Partition columns besides time.
    pub keys: Vec<String>,
    /// The length of a partition.
    pub grain: Grain,
    /// The column that says when a row happened.
    pub time_column: Option<String>,
    /// The columns that tell rows apart; rows are sorted by them.
    pub primary_key: Vec<String>,
}

/// The lake after one commit.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The version; 0 is the empty lake before the first commit.
    pub version: u64,
    /// When the commit was made; 1970 for version 0.
    pub time: UtcTime,
    /// The digest of the commit; `None` for version 0.
    pub id: Option<Fingerprint>,
    /// The published result of every partition.
    pub cells: BTreeMap<TableId, BTreeMap<PartitionKey, Arc<Cell>>>,
    /// The tables.
    pub tables: BTreeMap<TableId, TableMeta>,
    /// Notes of the lake that are versioned with it, such as overrides. What they mean is the caller's matter.
    pub records: BTreeMap<String, serde_json::Value>,
    /// Names of files that are being removed, with the version that condemned them: no later version may refer to one.
    pub(crate) condemned: Arc<BTreeMap<String, u64>>,
}

impl Snapshot {
    /// Returns version 0.
    pub fn empty() -> Self {
        Self {
            version: 0,
            time: UtcTime::from_micros(0),
            id: None,
            cells: BTreeMap::new(),
            tables: BTreeMap::new(),
            records: BTreeMap::new(),
            condemned: Arc::default(),
        }
    }

    /// Returns the published result of one partition.
    pub fn cell(&self, table: &TableId, partition: &PartitionKey) -> Option<&Arc<Cell>> {
        self.cells.get(table)?.get(partition)
    }

    /// Returns the partitions of a table in order; none if there is no such table.
    pub fn partitions(&self, table: &TableId) -> impl Iterator<Item = (&PartitionKey, &Arc<Cell>)> {
        self.cells.get(table).into_iter().flatten()
    }

    /// Returns the number of rows of a table; 0 if there is no such table.
    pub fn rows(&self, table: &TableId) -> u64 {
        self.partitions(table).map(|(_, cell)| cell.rows).sum()
    }
}

/// Names a version of the lake. Written as a number, or as a time: then the newest version not after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionRef {
    /// A version number.
    Number(u64),
    /// The newest version whose commit was made at or before this time.
    Time(UtcTime),
}

impl FromStr for VersionRef {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        match text.parse() {
            Ok(number) => Ok(Self::Number(number)),
            Err(_) => text.parse().map(Self::Time),
        }
    }
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Time(time) => write!(f, "at {time}"),
        }
    }
}
