//! One version of the whole lake.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use lakectl_core::{
    Cell, Contract, CoreError, Fingerprint, Grain, PartitionKey, TableId, TaskKey, UtcTime,
};
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

/// The published results of one table, by partition.
pub type Partitions = BTreeMap<PartitionKey, Arc<Cell>>;

/// The lake after one commit. A clone shares what did not change since.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The version; 0 is the empty lake before the first commit.
    pub version: u64,
    /// When the commit was made; 1970 for version 0.
    pub time: UtcTime,
    /// The digest of the commit; `None` for version 0.
    pub id: Option<Fingerprint>,
    /// The published result of every partition, by table.
    pub cells: BTreeMap<TableId, Arc<Partitions>>,
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
        self.cells
            .get(table)
            .into_iter()
            .flat_map(|cells| cells.iter())
    }

    /// Returns the number of rows of a table; 0 if there is no such table.
    pub fn rows(&self, table: &TableId) -> u64 {
        self.partitions(table).map(|(_, cell)| cell.rows).sum()
    }

    /// Returns this version with other results for some partitions.
    #[must_use]
    pub fn with(&self, cells: &[Arc<Cell>]) -> Self {
        let mut changed = self.clone();
        for cell in cells {
            changed.set_cell(Arc::clone(cell));
        }
        changed
    }

    /// Replaces or adds one partition.
    pub(crate) fn set_cell(&mut self, cell: Arc<Cell>) {
        let key = cell.partition.clone();
        if let Some(cells) = self.cells.get_mut(&cell.table) {
            Arc::make_mut(cells).insert(key, cell);
            return;
        }
        let table = cell.table.clone();
        let cells = Partitions::from([(key, cell)]);
        self.cells.insert(table, Arc::new(cells));
    }

    /// Takes one partition out; a table without any is gone.
    pub(crate) fn drop_cell(&mut self, task: &TaskKey) {
        let Some(cells) = self.cells.get_mut(&task.table) else {
            return;
        };
        let cells = Arc::make_mut(cells);
        cells.remove(&task.partition);
        if cells.is_empty() {
            self.cells.remove(&task.table);
            self.tables.remove(&task.table);
        }
    }

    /// Adds the tables of a version that has none, given in the order of tables and partitions.
    pub(crate) fn fill(&mut self, cells: Vec<Arc<Cell>>) {
        for cells in cells.chunk_by(|a, b| a.table == b.table) {
            let pairs = cells
                .iter()
                .map(|cell| (cell.partition.clone(), Arc::clone(cell)));
            let partitions: Partitions = pairs.collect();
            self.cells
                .insert(cells[0].table.clone(), Arc::new(partitions));
        }
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

/// A version of a branch, as people write it: `12`, a time, `dev`, `dev@3`, `dev@2026-01-05`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The branch; none for the one at hand.
    pub branch: Option<String>,
    /// The version; none for the newest.
    pub version: Option<VersionRef>,
}

impl FromStr for Place {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        if let Some((branch, version)) = text.split_once('@') {
            return Ok(Self {
                branch: Some(branch.to_owned()),
                version: Some(version.parse()?),
            });
        }
        // No branch has a name that begins with a digit.
        match text.starts_with(|c: char| c.is_ascii_digit()) {
            true => Ok(Self {
                branch: None,
                version: Some(text.parse()?),
            }),
            false => Ok(Self {
                branch: Some(text.to_owned()),
                version: None,
            }),
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
