//! What a run wants to publish, and what stands against it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lakectl_core::{Cell, PartitionKey, TableId, TaskKey, UtcTime};

use crate::commit::Commit;
use crate::object::Door;
use crate::{Lease, Origin, Snapshot, StoreError, TableMeta};

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
    /// The tables whose rows the run read, those of partitions that were not there yet included: if another run changed
    /// one of them since `base`, or a note of the lake, this run must plan again.
    pub reads: BTreeSet<TableId>,
    /// Whether any other commit since `base` stands against this one.
    pub exact: bool,
    /// Notes of the lake to set, or to remove where there is none.
    pub records: BTreeMap<String, Option<serde_json::Value>>,
    /// The version of another branch whose changes these are.
    pub merged: Option<Origin>,
    /// The run's sign of life, if it has one: a run that collection took for dead may not publish.
    pub lease: Option<&'a Lease>,
}

/// What somebody changed since the base and this run depends on.
pub(crate) enum Moved {
    Task(TaskKey),
    Record(String),
    Version,
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
            exact: false,
            records: BTreeMap::new(),
            merged: None,
            lease: None,
        }
    }

    /// Returns a result that is to be published and whose file is being removed.
    pub(crate) fn condemned<'c>(&self, head: &Snapshot, cells: &'c [Cell]) -> Option<&'c Cell> {
        cells.iter().find(|cell| {
            let file = cell.file.as_ref();
            file.is_some_and(|file| head.condemned.contains_key(&file.path))
        })
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
    pub(crate) fn conflict(&self, head: &Snapshot) -> Option<Moved> {
        if head.id == self.base.id {
            return None;
        }
        let written = self.fought_over(head).map(Moved::Task);
        written
            .or_else(|| self.record_fought_over(head).map(Moved::Record))
            .or_else(|| self.read_before(head))
    }

    /// Returns a partition or table that this run and another have made different.
    fn fought_over(&self, head: &Snapshot) -> Option<TaskKey> {
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
        let changed = |(table, meta): &(&TableId, &TableMeta)| {
            let now = head.tables.get(*table);
            now != self.base.tables.get(*table) && now != Some(meta)
        };
        self.tables.iter().find(changed).map(|(table, _)| TaskKey {
            table: table.clone(),
            partition: PartitionKey::default(),
        })
    }

    /// Returns a note that this run and another have set otherwise.
    fn record_fought_over(&self, head: &Snapshot) -> Option<String> {
        let fought = |(name, wanted): &(&String, &Option<serde_json::Value>)| {
            let (before, now) = (self.base.records.get(*name), head.records.get(*name));
            now != before && now != wanted.as_ref()
        };
        let found = self.records.iter().find(fought);
        found.map(|(name, _)| name.clone())
    }

    /// Returns what the run read and another has changed since.
    fn read_before(&self, head: &Snapshot) -> Option<Moved> {
        if self.exact {
            return Some(Moved::Version);
        }
        if self.reads.is_empty() {
            return None;
        }
        if let Some(name) = changed_record(self.base, head) {
            return Some(Moved::Record(name));
        }
        self.reads
            .iter()
            .find_map(|table| changed_rows(table, self.base, head))
            .map(Moved::Task)
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

    /// Returns the commit that follows `head` with its cells, or `None` if all of it is published already.
    pub(crate) fn after(
        &self,
        head: &Snapshot,
        door: &Door,
    ) -> Result<Option<(Commit, Vec<Cell>)>, StoreError> {
        let news = |cell: &&Cell| {
            let now = head.cell(&cell.table, &cell.partition);
            !now.is_some_and(|now| equal(now, cell))
        };
        let mut cells: Vec<Cell> = self.cells.iter().filter(news).map(Cell::lean).collect();
        cells.sort_by(|a, b| (&a.table, &a.partition).cmp(&(&b.table, &b.partition)));
        let mut commit = Commit::following(head, self);
        let there = |task: &&TaskKey| head.cell(&task.table, &task.partition).is_some();
        commit.dropped = self.dropped.iter().filter(there).cloned().collect();
        let tables = self.tables.iter();
        commit.tables = tables
            .filter(|(table, meta)| head.tables.get(table) != Some(meta))
            .map(|(table, meta)| (table.clone(), meta.clone()))
            .collect();
        let records = self.records.iter();
        commit.records = records
            .filter(|(name, wanted)| head.records.get(*name) != wanted.as_ref())
            .map(|(name, wanted)| (name.clone(), wanted.clone()))
            .collect();
        let nothing = cells.is_empty()
            && commit.dropped.is_empty()
            && commit.tables.is_empty()
            && commit.records.is_empty()
            // That a branch was merged is worth knowing even if nothing was left to bring in.
            && commit.merged.is_none();
        if nothing {
            return Ok(None);
        }
        commit.hold(door, &cells)?;
        Ok(Some((commit, cells)))
    }
}

/// The same result: nothing to publish, nothing to quarrel about.
pub(crate) fn equal(a: &Cell, b: &Cell) -> bool {
    a.fingerprint == b.fingerprint && a.rows_hash == b.rows_hash
}

pub(crate) fn same(a: Option<&Arc<Cell>>, b: Option<&Arc<Cell>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || equal(a, b),
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

/// Returns the name of a note that differs between two versions.
fn changed_record(base: &Snapshot, head: &Snapshot) -> Option<String> {
    let all = base.records.keys().chain(head.records.keys());
    all.into_iter()
        .find(|name| base.records.get(*name) != head.records.get(*name))
        .cloned()
}
