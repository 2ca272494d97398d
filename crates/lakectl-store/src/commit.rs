//! One version as the log keeps it, and what it says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lakectl_core::{Cell, Fingerprint, PartitionKey, TableId, TaskKey, UtcTime};
use serde::{Deserialize, Serialize};

use crate::chunk::{self, ChunkRef, Chunks};
use crate::log::REPAIR;
use crate::object::{Door, FORMAT};
use crate::{CommitRequest, Origin, Snapshot, StoreError, TableMeta};

/// Cells that a commit holds itself; more are kept in chunks beside the log.
const INLINE_CELLS: usize = 64;

/// One version as it is kept. Its identity is the digest of these bytes: parent, run and content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Commit {
    format: u64,
    pub(crate) version: u64,
    pub(crate) parent: Option<Fingerprint>,
    run: String,
    #[serde(default)]
    who: String,
    pub(crate) time: UtcTime,
    reason: String,
    message: String,
    /// The version of another branch that this one begins with: what was in this log before does not count any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<Origin>,
    /// The version of another branch whose changes this commit brings in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) merged: Option<Origin>,
    /// The branch ends here, until a later version begins it anew.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) closes: bool,
    /// Partitions that changed, if they are few.
    cells: Vec<Cell>,
    /// Partitions that changed, if they are many.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    chunks: Chunks,
    /// Partitions that are no longer part of their table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) dropped: Vec<TaskKey>,
    /// Tables that are new or changed.
    pub(crate) tables: BTreeMap<TableId, TableMeta>,
    /// Notes that are new or changed; none where one was removed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) records: BTreeMap<String, Option<serde_json::Value>>,
    /// Data files that no version may refer to from now on: collection removes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) condemned: Vec<String>,
    /// Condemned names that may be used again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) forgiven: Vec<String>,
}

/// The reason of a commit that collection makes.
pub(crate) const COLLECTION: &str = "gc";

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

/// What the log says about one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// The branch in whose log it stands.
    pub branch: String,
    /// The version.
    pub version: u64,
    /// The digest of the commit.
    pub id: Fingerprint,
    /// The digest of the commit before it.
    pub parent: Option<Fingerprint>,
    /// The run that made it.
    pub run: String,
    /// Who ran it, as `user@host`; empty if that was not known.
    pub who: String,
    /// When it was made.
    pub time: UtcTime,
    /// What the run was for.
    pub reason: String,
    /// A person's words.
    pub message: String,
    /// The version that this branch begins with, if it begins here.
    pub origin: Option<Origin>,
    /// The version whose changes were merged here, if there is one.
    pub merged: Option<Origin>,
    /// Partitions that changed, per table.
    pub changed: BTreeMap<TableId, u64>,
    /// Rows of the partitions that changed.
    pub rows: u64,
    /// Partitions that were dropped.
    pub dropped: u64,
    /// Notes of the lake that were set, or removed where there is none.
    pub records: BTreeMap<String, Option<serde_json::Value>>,
}

impl Commit {
    /// Returns the commit that follows `head`, with these of the request's changes.
    pub(crate) fn following(head: &Snapshot, request: &CommitRequest<'_>) -> Self {
        // A clock may have been set back; the times of a log never go back with it.
        let earliest = match head.version {
            0 => UtcTime::from_micros(i64::MIN),
            _ => UtcTime::from_micros(head.time.micros().saturating_add(1)),
        };
        Self {
            format: FORMAT,
            version: head.version + 1,
            parent: head.id,
            run: request.run.clone(),
            who: request.who.clone(),
            time: request.time.max(earliest),
            reason: request.reason.clone(),
            message: request.message.clone(),
            origin: None,
            merged: request.merged.clone(),
            closes: false,
            cells: Vec::new(),
            chunks: Chunks::new(),
            dropped: Vec::new(),
            tables: BTreeMap::new(),
            records: BTreeMap::new(),
            condemned: Vec::new(),
            forgiven: Vec::new(),
        }
    }

    /// Tells whether collection made this version; its rows are those of the version before.
    pub(crate) fn is_collection(&self) -> bool {
        self.reason == COLLECTION
    }

    /// Returns the paths of the files that hold its cells, if they are many.
    pub(crate) fn chunk_paths(&self) -> impl Iterator<Item = String> {
        self.chunks.values().flatten().map(ChunkRef::path)
    }

    /// Returns the files that hold its cells, if they are many.
    pub(crate) fn chunks(&self) -> &Chunks {
        &self.chunks
    }

    /// Gives the commit its cells, in the order of their tables and partitions: inside, or as chunks if they are many.
    pub(crate) fn hold(&mut self, door: &Door, cells: &[Cell]) -> Result<(), StoreError> {
        if cells.len() <= INLINE_CELLS {
            self.cells = cells.iter().map(Cell::lean).collect();
            return Ok(());
        }
        for cells in cells.chunk_by(|a, b| a.table == b.table) {
            if let Some(first) = cells.first() {
                let chunks = chunk::write(door, cells)?;
                self.chunks.insert(first.table.clone(), chunks);
            }
        }
        Ok(())
    }

    /// Returns the partitions that changed.
    pub(crate) fn cells(&self, door: &Door) -> Result<Vec<Arc<Cell>>, StoreError> {
        if !self.chunks.is_empty() {
            return chunk::read(door, &self.chunks, REPAIR);
        }
        Ok(self.cells.iter().cloned().map(Arc::new).collect())
    }

    /// Changes the parent's snapshot into the one after this commit, whose cells are these.
    pub(crate) fn apply(&self, id: Fingerprint, cells: Vec<Arc<Cell>>, snapshot: &mut Snapshot) {
        // A table whose last partitions make way for others goes on as it was.
        let mut going_on: BTreeSet<&TableId> = self.dropped.iter().map(|t| &t.table).collect();
        if !going_on.is_empty() {
            let filled: BTreeSet<&TableId> = cells.iter().map(|cell| &cell.table).collect();
            going_on.retain(|table| filled.contains(table));
        }
        let metas = going_on.into_iter();
        let metas = metas.filter_map(|t| Some((t.clone(), snapshot.tables.get(t)?.clone())));
        let metas: Vec<(TableId, TableMeta)> = metas.collect();
        for task in &self.dropped {
            snapshot.drop_cell(task);
        }
        snapshot.tables.extend(metas);
        if snapshot.cells.is_empty() {
            snapshot.fill(cells);
        } else {
            cells.into_iter().for_each(|cell| snapshot.set_cell(cell));
        }
        snapshot.tables.extend(self.tables.clone());
        for (name, record) in &self.records {
            match record {
                Some(record) => snapshot.records.insert(name.clone(), record.clone()),
                None => snapshot.records.remove(name),
            };
        }
        if !self.condemned.is_empty() || !self.forgiven.is_empty() {
            let condemned = Arc::make_mut(&mut snapshot.condemned);
            for name in &self.forgiven {
                condemned.remove(name);
            }
            condemned.extend(
                self.condemned
                    .iter()
                    .map(|name| (name.clone(), self.version)),
            );
        }
        snapshot.version = self.version;
        snapshot.time = self.time;
        snapshot.id = Some(id);
    }

    /// Tells whether the commit set, dropped or declared this.
    pub(crate) fn touches(&self, door: &Door, task: &TaskKey) -> Result<bool, StoreError> {
        let table = (task.partition.is_all() && self.tables.contains_key(&task.table))
            || self.dropped.contains(task);
        if table || self.origin.is_some() {
            return Ok(true);
        }
        Ok(self.cells(door)?.iter().any(|cell| cell.is_of(task)))
    }

    /// Returns the tables and partitions that the commit set, dropped or declared; `cells` are those that it set.
    pub(crate) fn touched(&self, cells: &[Arc<Cell>]) -> BTreeMap<TableId, BTreeSet<PartitionKey>> {
        let mut touched: BTreeMap<TableId, BTreeSet<PartitionKey>> = BTreeMap::new();
        for table in self.tables.keys() {
            touched.entry(table.clone()).or_default();
        }
        let cells = cells.iter().map(|c| (&c.table, &c.partition));
        for (table, key) in cells.chain(self.dropped.iter().map(|t| (&t.table, &t.partition))) {
            touched
                .entry(table.clone())
                .or_default()
                .insert(key.clone());
        }
        touched
    }

    pub(crate) fn info(&self, branch: &str, id: Fingerprint) -> CommitInfo {
        let mut changed = BTreeMap::new();
        let mut rows = 0;
        for cell in &self.cells {
            *changed.entry(cell.table.clone()).or_insert(0) += 1;
            rows += cell.rows;
        }
        for (table, chunks) in &self.chunks {
            let cells: u64 = chunks.iter().map(|chunk| chunk.cells).sum();
            *changed.entry(table.clone()).or_insert(0) += cells;
            rows += chunks.iter().map(|chunk| chunk.rows).sum::<u64>();
        }
        CommitInfo {
            branch: branch.to_owned(),
            version: self.version,
            id,
            parent: self.parent,
            run: self.run.clone(),
            who: self.who.clone(),
            time: self.time,
            reason: self.reason.clone(),
            message: self.message.clone(),
            origin: self.origin.clone(),
            merged: self.merged.clone(),
            changed,
            rows,
            dropped: self.dropped.len() as u64,
            records: self.records.clone(),
        }
    }

    pub(crate) fn run(&self) -> &str {
        &self.run
    }
}
