//! The log: one file a version, each naming its parent by digest, so that the whole chain can be verified.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lakectl_core::{Cell, Fingerprint, PartitionKey, TableId, TaskKey, UtcTime};
use serde::{Deserialize, Serialize};

use crate::object::{Door, FORMAT, Put, seal};
use crate::{Lease, Snapshot, StoreError, TableMeta, versions};

/// The logs, a folder a branch.
pub(crate) const LOGS: &str = "_log";
/// The branch that every lake has.
pub(crate) const MAIN: &str = "main";
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
    /// Data files that no version may refer to from now on: collection removes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    condemned: Vec<String>,
    /// Condemned names that may be used again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    forgiven: Vec<String>,
}

/// The reason of a commit that collection makes.
const COLLECTION: &str = "gc";

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
    /// The run's sign of life, if it has one: a run that collection took for dead may not publish.
    pub lease: Option<&'a Lease>,
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
            lease: None,
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
            condemned: Vec::new(),
            forgiven: Vec::new(),
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
    /// Returns the commit that follows `head` and condemns files.
    pub(crate) fn collection(
        head: &Snapshot,
        run: &str,
        who: &str,
        time: UtcTime,
        condemned: Vec<String>,
        forgiven: Vec<String>,
    ) -> Self {
        let files = condemned.len();
        Self {
            format: FORMAT,
            version: head.version + 1,
            parent: head.id,
            run: run.to_owned(),
            who: who.to_owned(),
            time,
            reason: COLLECTION.to_owned(),
            message: format!("{files} files that nothing needs"),
            cells: Vec::new(),
            dropped: Vec::new(),
            tables: BTreeMap::new(),
            records: BTreeMap::new(),
            condemned,
            forgiven,
        }
    }

    /// Tells whether collection made this version; its rows are those of the version before.
    pub(crate) fn is_collection(&self) -> bool {
        self.reason == COLLECTION
    }

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
        if !self.condemned.is_empty() || !self.forgiven.is_empty() {
            let condemned = Arc::make_mut(&mut snapshot.condemned);
            condemned.retain(|name, _| !self.forgiven.contains(name));
            condemned.extend(self.condemned.into_iter().map(|name| (name, self.version)));
        }
        snapshot.version = self.version;
        snapshot.time = self.time;
        snapshot.id = Some(id);
    }

    /// Refuses a version that does not follow `parent`.
    pub(crate) fn check_parent(
        &self,
        door: &Door,
        branch: &str,
        parent: Option<Fingerprint>,
    ) -> Result<(), StoreError> {
        if self.parent == parent {
            return Ok(());
        }
        let path = versions::path(branch, self.version);
        Err(damaged(
            door,
            &path,
            "it does not follow the version before it",
        ))
    }

    /// Returns a result whose file is being removed.
    pub(crate) fn condemned_by(&self, head: &Snapshot) -> Option<&Cell> {
        self.cells.iter().find(|cell| {
            let file = cell.file.as_ref();
            file.is_some_and(|file| head.condemned.contains_key(&file.path))
        })
    }

    /// Returns the partitions whose former results this commit takes out of the version.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = TaskKey> {
        let set = self.cells.iter().map(Cell::task);
        set.chain(self.dropped.iter().cloned())
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

/// Returns the newest version; 0 if there is none.
pub(crate) fn newest(door: &Door) -> Result<u64, StoreError> {
    versions::newest(door, MAIN)
}

fn damaged(door: &Door, path: &str, problem: &str) -> StoreError {
    StoreError::Damaged {
        path: door.full(path),
        problem: problem.to_owned(),
        repair: REPAIR,
    }
}

/// Reads a version that must exist, because a later one does, and must follow `parent`.
pub(crate) fn read(
    door: &Door,
    version: u64,
    parent: Option<Fingerprint>,
) -> Result<(Commit, Fingerprint), StoreError> {
    let (commit, id) = read_alone(door, MAIN, version)?;
    commit.check_parent(door, MAIN, parent)?;
    Ok((commit, id))
}

/// Reads a version that must exist, whatever it follows.
pub(crate) fn read_alone(
    door: &Door,
    branch: &str,
    version: u64,
) -> Result<(Commit, Fingerprint), StoreError> {
    let path = versions::path(branch, version);
    let missing = "it is missing, but a later version was published";
    let (commit, id) = door
        .get_sealed::<Commit>(&path, REPAIR)?
        .ok_or_else(|| damaged(door, &path, missing))?;
    if commit.version != version {
        let problem = "it holds another version than its name says";
        return Err(damaged(door, &path, problem));
    }
    Ok((commit, id))
}

/// Tries to make `commit` the next version; `None` if somebody else's took its number.
pub(crate) fn put(
    door: &Door,
    branch: &str,
    commit: &Commit,
) -> Result<Option<Fingerprint>, StoreError> {
    let path = versions::path(branch, commit.version);
    let (bytes, id) = seal(commit).map_err(|e| StoreError::Damaged {
        path: door.full(&path),
        problem: format!("it cannot be written as JSON: {e}"),
        repair: REPAIR,
    })?;
    if door.put_new(&path, &bytes)? == Put::Created {
        return Ok(Some(id));
    }
    // An earlier attempt may have landed while its answer was lost.
    let there = read_alone(door, branch, commit.version);
    Ok(there.ok().filter(|(_, found)| *found == id).map(|_| id))
}
