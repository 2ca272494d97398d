//! The log: one file a version, each naming its parent by digest, so that the whole chain can be verified.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lakectl_core::{Cell, Fingerprint, PartitionKey, TableId, TaskKey, UtcTime};
use serde::{Deserialize, Serialize};

use crate::object::{Door, Entry, FORMAT, Put, seal, unseal};
use crate::{Snapshot, StoreError, TableMeta};

/// The log of the one branch there is; other branches will be folders beside it.
const FOLDER: &str = "_log/main";
const REPAIR: &str = "restore the file from a copy of the lake; without one, move it and all later versions out of the folder: the lake is then the version before it, and its data files are untouched";

/// One version as it is kept. Its identity is the digest of these bytes: parent, run and content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Commit {
    format: u64,
    pub(crate) version: u64,
    parent: Option<Fingerprint>,
    run: String,
    #[serde(default)]
    who: String,
    pub(crate) time: UtcTime,
    reason: String,
    message: String,
    /// Partitions that changed.
    pub(crate) cells: Vec<Cell>,
    /// Partitions that are no longer part of their table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dropped: Vec<TaskKey>,
    /// Tables that are new or changed.
    tables: BTreeMap<TableId, TableMeta>,
    /// Notes that are new or changed; none where one was removed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    records: BTreeMap<String, Option<serde_json::Value>>,
}

/// What the log says about one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
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
    /// Partitions that changed, per table.
    pub changed: BTreeMap<TableId, u64>,
    /// Rows of the partitions that changed.
    pub rows: u64,
    /// Partitions that were dropped.
    pub dropped: u64,
    /// Notes of the lake that were set, or removed where there is none.
    pub records: BTreeMap<String, Option<serde_json::Value>>,
}

/// A run's wish to publish.
#[derive(Clone, Debug)]
pub struct CommitRequest<'a> {
    /// The version that the run read.
    pub base: &'a Snapshot,
    /// The run.
    pub run: String,
    /// Who runs it, as `user@host`; may be empty.
    pub who: String,
    /// When the run commits, by the caller's clock.
    pub time: UtcTime,
    /// What the run was for.
    pub reason: String,
    /// A person's words; may be empty.
    pub message: String,
    /// Results to publish; those that are published already are passed over.
    pub cells: Vec<Cell>,
    /// Partitions to take out of their tables.
    pub dropped: BTreeSet<TaskKey>,
    /// The tables; those that did not change are passed over.
    pub tables: BTreeMap<TableId, TableMeta>,
    /// The tables whose rows the run read: if another run changed one of them since `base`, this run must plan again.
    pub reads: BTreeSet<TableId>,
    /// Notes of the lake to set, or to remove where there is none.
    pub records: BTreeMap<String, Option<serde_json::Value>>,
}

impl<'a> CommitRequest<'a> {
    /// Returns a request that publishes nothing yet.
    pub fn new(base: &'a Snapshot, run: &str, time: UtcTime, reason: &str) -> Self {
        Self {
            base,
            run: run.to_owned(),
            who: String::new(),
            time,
            reason: reason.to_owned(),
            message: String::new(),
            cells: Vec::new(),
            dropped: BTreeSet::new(),
            tables: BTreeMap::new(),
            reads: BTreeSet::new(),
            records: BTreeMap::new(),
        }
    }

    /// Refuses a request that contradicts itself.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        crate::cell::check_run(&self.run)?;
        crate::cell::check_numbers(&self.cells)?;
        let mut seen = self.dropped.clone();
        for cell in &self.cells {
            if !seen.insert(cell.task()) {
                return Err(StoreError::Twice {
                    table: cell.table.clone(),
                    partition: cell.partition.clone(),
                });
            }
        }
        Ok(())
    }

    /// Returns what somebody changed between the base and `head` that this run depends on.
    pub(crate) fn conflict(&self, head: &Snapshot) -> Option<TaskKey> {
        if head.version == self.base.version {
            return None;
        }
        // Raw tables will merge here instead, by the union of their documents.
        for cell in &self.cells {
            let (before, now) = self.both(head, &cell.table, &cell.partition);
            if !same(before, now) && !now.is_some_and(|now| equal(now, cell)) {
                return Some(cell.task());
            }
        }
        for task in &self.dropped {
            let (before, now) = self.both(head, &task.table, &task.partition);
            if now.is_some() && !same(before, now) {
                return Some(task.clone());
            }
        }
        for (table, meta) in &self.tables {
            let now = head.tables.get(table);
            if now != self.base.tables.get(table) && now != Some(meta) {
                return Some(TaskKey {
                    table: table.clone(),
                    partition: PartitionKey::default(),
                });
            }
        }
        self.reads
            .iter()
            .find_map(|table| changed_rows(table, self.base, head))
    }

    /// Returns a note that somebody set otherwise between the base and `head`.
    pub(crate) fn record_conflict(&self, head: &Snapshot) -> Option<String> {
        let fought = |(name, wanted): &(&String, &Option<serde_json::Value>)| {
            let (before, now) = (self.base.records.get(*name), head.records.get(*name));
            now != before && now != wanted.as_ref()
        };
        self.records
            .iter()
            .find(fought)
            .map(|(name, _)| name.clone())
    }

    fn both<'s>(
        &'s self,
        head: &'s Snapshot,
        table: &TableId,
        partition: &PartitionKey,
    ) -> (Option<&'s Arc<Cell>>, Option<&'s Arc<Cell>>) {
        (
            self.base.cell(table, partition),
            head.cell(table, partition),
        )
    }

    /// Returns the commit that follows `head`, or `None` if all of it is published already.
    pub(crate) fn after(&self, head: &Snapshot) -> Option<Commit> {
        let mut cells: Vec<Cell> = self
            .cells
            .iter()
            .filter(|cell| {
                let now = head.cell(&cell.table, &cell.partition);
                !now.is_some_and(|now| equal(now, cell))
            })
            .cloned()
            .collect();
        cells.sort_by(|a, b| (&a.table, &a.partition).cmp(&(&b.table, &b.partition)));
        let dropped = self.dropped.iter();
        let dropped: Vec<TaskKey> = dropped
            .filter(|task| head.cell(&task.table, &task.partition).is_some())
            .cloned()
            .collect();
        let tables = self.tables.iter();
        let tables: BTreeMap<TableId, TableMeta> = tables
            .filter(|(table, meta)| head.tables.get(table) != Some(meta))
            .map(|(table, meta)| (table.clone(), meta.clone()))
            .collect();
        let records = self.records.iter();
        let records: BTreeMap<String, Option<serde_json::Value>> = records
            .filter(|(name, wanted)| head.records.get(*name) != wanted.as_ref())
            .map(|(name, wanted)| (name.clone(), wanted.clone()))
            .collect();
        if cells.is_empty() && dropped.is_empty() && tables.is_empty() && records.is_empty() {
            return None;
        }
        Some(Commit {
            format: FORMAT,
            version: head.version + 1,
            parent: head.id,
            run: self.run.clone(),
            who: self.who.clone(),
            time: self.time,
            reason: self.reason.clone(),
            message: self.message.clone(),
            cells,
            dropped,
            tables,
            records,
        })
    }
}

/// The same result: nothing to publish, nothing to quarrel about.
fn equal(a: &Cell, b: &Cell) -> bool {
    a.fingerprint == b.fingerprint && a.rows_hash == b.rows_hash
}

fn same(a: Option<&Arc<Cell>>, b: Option<&Arc<Cell>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => equal(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// Returns a partition of `table` whose rows differ between two versions.
fn changed_rows(table: &TableId, base: &Snapshot, head: &Snapshot) -> Option<TaskKey> {
    let rows = |snapshot: &Snapshot, partition: &PartitionKey| {
        snapshot.cell(table, partition).map(|cell| cell.rows_hash)
    };
    let all = base.partitions(table).chain(head.partitions(table));
    all.map(|(partition, _)| partition)
        .find(|partition| rows(base, partition) != rows(head, partition))
        .map(|partition| TaskKey {
            table: table.clone(),
            partition: partition.clone(),
        })
}

impl Commit {
    /// Changes the parent's snapshot into the one after this commit.
    pub(crate) fn apply(self, id: Fingerprint, snapshot: &mut Snapshot) {
        for task in &self.dropped {
            let cells = snapshot.cells.entry(task.table.clone()).or_default();
            cells.remove(&task.partition);
            if cells.is_empty() {
                snapshot.cells.remove(&task.table);
                snapshot.tables.remove(&task.table);
            }
        }
        for cell in self.cells {
            let cells = snapshot.cells.entry(cell.table.clone()).or_default();
            cells.insert(cell.partition.clone(), Arc::new(cell));
        }
        snapshot.tables.extend(self.tables);
        for (name, record) in self.records {
            match record {
                Some(record) => snapshot.records.insert(name, record),
                None => snapshot.records.remove(&name),
            };
        }
        snapshot.version = self.version;
        snapshot.time = self.time;
        snapshot.id = Some(id);
    }

    /// Tells whether the commit set, dropped or declared this.
    pub(crate) fn touches(&self, task: &TaskKey) -> bool {
        self.cells.iter().any(|cell| cell.task() == *task)
            || self.dropped.contains(task)
            || (task.partition.is_all() && self.tables.contains_key(&task.table))
    }

    pub(crate) fn info(&self, id: Fingerprint) -> CommitInfo {
        let mut changed = BTreeMap::new();
        for cell in &self.cells {
            *changed.entry(cell.table.clone()).or_insert(0) += 1;
        }
        CommitInfo {
            version: self.version,
            id,
            parent: self.parent,
            run: self.run.clone(),
            who: self.who.clone(),
            time: self.time,
            reason: self.reason.clone(),
            message: self.message.clone(),
            changed,
            rows: self.cells.iter().map(|cell| cell.rows).sum(),
            dropped: self.dropped.len() as u64,
            records: self.records.clone(),
        }
    }

    /// Tells whether the commit set or removed this note.
    pub(crate) fn notes(&self, record: &str) -> bool {
        self.records.contains_key(record)
    }

    pub(crate) fn run(&self) -> &str {
        &self.run
    }
}

fn path_of(version: u64) -> String {
    format!("{FOLDER}/{version:020}.json")
}

/// Returns the newest version; 0 if there is none.
pub(crate) fn newest(door: &Door) -> Result<u64, StoreError> {
    let names = door.list(FOLDER, Entry::File)?;
    let versions = names.iter().filter_map(|name| {
        let digits = name.strip_suffix(".json")?;
        (digits.len() == 20).then(|| digits.parse::<u64>().ok())?
    });
    Ok(versions.max().unwrap_or(0))
}

/// Reads a version that must exist, because a later one does, and must follow `parent`.
pub(crate) fn read(
    door: &Door,
    version: u64,
    parent: Option<Fingerprint>,
) -> Result<(Commit, Fingerprint), StoreError> {
    let path = path_of(version);
    let full = door.full(&path);
    let damaged = |problem: &str| StoreError::Damaged {
        path: full.clone(),
        problem: problem.to_owned(),
        repair: REPAIR,
    };
    let bytes = door
        .get(&path)?
        .ok_or_else(|| damaged("it is missing, but a later version was published"))?;
    let (commit, id) = unseal::<Commit>(&full, &bytes, REPAIR)?;
    if commit.version != version {
        return Err(damaged("it holds another version than its name says"));
    }
    if commit.parent != parent {
        return Err(damaged("it does not follow the version before it"));
    }
    Ok((commit, id))
}

/// Tries to make `commit` the next version; `None` if somebody else's took its number.
pub(crate) fn put(door: &Door, commit: &Commit) -> Result<Option<Fingerprint>, StoreError> {
    let path = path_of(commit.version);
    let (bytes, id) = seal(commit).map_err(|e| StoreError::Damaged {
        path: door.full(&path),
        problem: format!("it cannot be written as JSON: {e}"),
        repair: REPAIR,
    })?;
    if door.put_new(&path, &bytes)? == Put::Created {
        return Ok(Some(id));
    }
    // An earlier attempt may have landed while its answer was lost.
    let there = read(door, commit.version, commit.parent);
    Ok(there.ok().filter(|(_, found)| *found == id).map(|_| id))
}
