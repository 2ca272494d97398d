//! Bringing the changes of one branch into another, and going back to an earlier version.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use lakectl_core::{Cell, PartitionKey, TableId, TaskKey, UtcTime};
use serde_json::Value;

use crate::branch::Stretch;
use crate::request::same;
use crate::{Lake, Origin, Signed, Snapshot, StoreError, TableMeta, VersionRef};

/// What a merge would do: a value that can be looked at, settled further and carried out.
#[derive(Clone, Debug)]
pub struct Merge {
    /// The version that the changes go into.
    pub into: Snapshot,
    /// The version that the changes come from.
    pub from: Origin,
    /// The newest version that both have in common.
    pub base: Origin,
    /// Partitions to set.
    pub cells: Vec<Arc<Cell>>,
    /// Partitions to drop.
    pub dropped: BTreeSet<TaskKey>,
    /// Tables to declare.
    pub tables: BTreeMap<TableId, TableMeta>,
    /// Notes of the lake to set or to remove.
    pub records: BTreeMap<String, Option<Value>>,
    /// What both sides have changed to different results. A merge with any is refused.
    pub conflicts: Vec<MergeConflict>,
}

/// Something that both sides of a merge have changed to different results.
#[derive(Clone, Debug)]
pub enum MergeConflict {
    /// A partition; `None` where a side does not have it.
    Partition {
        /// The partition.
        task: TaskKey,
        /// What both began with.
        base: Option<Arc<Cell>>,
        /// What the branch has that the changes go into.
        into: Option<Arc<Cell>>,
        /// What the branch has that the changes come from.
        from: Option<Arc<Cell>>,
    },
    /// The declaration of a table.
    Table(TableId),
    /// A note of the lake.
    Record(String),
}

impl fmt::Display for MergeConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition { task, .. } => task.fmt(f),
            Self::Table(table) => write!(f, "the columns or keys of {table}"),
            Self::Record(record) => write!(f, "`{record}`"),
        }
    }
}

impl Lake {
    /// Says what merging a branch into this one would do.
    ///
    /// # Errors
    /// [`StoreError::NoBranch`]; [`StoreError::Damaged`] if a log cannot be read.
    pub fn plan_merge(&self, branch: &str) -> Result<Merge, StoreError> {
        let other = self.on_branch(branch)?;
        let (into, from) = (self.head()?, other.head()?);
        let base = self.common(&into, &other, &from)?;
        let common = self.version_of(&base.branch, base.version)?;
        let from_origin = Origin {
            branch: branch.to_owned(),
            version: from.version,
            id: from.id,
        };
        Ok(three_way(&common, base, into, &from, from_origin))
    }

    /// Carries a merge out, as one commit.
    ///
    /// # Errors
    /// [`StoreError::MergeConflicts`] naming them; [`StoreError::HeadMoved`] if the branch has moved since the merge
    /// was planned.
    pub fn merge(&self, merge: &Merge, signed: &Signed) -> Result<Snapshot, StoreError> {
        if !merge.conflicts.is_empty() {
            let conflicts = merge.conflicts.iter().map(ToString::to_string).collect();
            return Err(StoreError::MergeConflicts {
                from: merge.from.branch.clone(),
                into: self.branch.clone(),
                conflicts,
            });
        }
        let mut request = signed.request(&merge.into, "merge");
        request.cells = merge.cells.iter().map(|cell| cell.lean()).collect();
        request.dropped = merge.dropped.clone();
        request.tables = merge.tables.clone();
        request.records = merge.records.clone();
        request.exact = true;
        // The common version is all that the other branch has: there is nothing that a later merge could build on.
        let news = merge.base.branch != merge.from.branch || merge.base.id != merge.from.id;
        request.merged = Some(merge.from.clone()).filter(|_| news);
        self.commit(request)
    }

    /// Returns the newest version that the pasts of two branches have in common, merges included.
    fn common(&self, head: &Snapshot, other: &Self, from: &Snapshot) -> Result<Origin, StoreError> {
        let ours = self.lineage(head.version)?;
        let theirs = other.lineage(from.version)?;
        let forked = ours.iter().find_map(|our| {
            let their = theirs.iter().find(|their| their.branch == our.branch)?;
            let version = our.last.min(their.last);
            (our.holds(&our.branch, version) && their.holds(&our.branch, version))
                .then(|| (our.branch.clone(), version))
        });
        let (branch, version) = forked.unwrap_or_else(|| (crate::MAIN.to_owned(), 0));
        let mut best = self.point(&branch, version)?;
        for (past, target) in [(&ours, &theirs), (&theirs, &ours)] {
            for merged in self.merges(past, &branch, version)? {
                if target
                    .iter()
                    .any(|s| s.holds(&merged.branch, merged.version))
                {
                    best = best.max(self.point(&merged.branch, merged.version)?);
                }
            }
        }
        let (_, _, origin) = best;
        Ok(origin)
    }

    /// Returns a version with its time; later ones compare greater.
    fn point(&self, branch: &str, version: u64) -> Result<Point, StoreError> {
        let at = match version {
            0 => None,
            _ => Some(self.beside(branch).commit_at(version)?),
        };
        let time = at.as_ref().map_or(Snapshot::empty().time, |info| info.time);
        let origin = Origin {
            branch: branch.to_owned(),
            version,
            id: at.map(|info| info.id),
        };
        Ok((time, version, origin))
    }

    /// Returns what was merged into a past after it left the common one.
    fn merges(
        &self,
        past: &[Stretch],
        branch: &str,
        version: u64,
    ) -> Result<Vec<Origin>, StoreError> {
        let mut merged = Vec::new();
        for stretch in past {
            let end = stretch.branch == branch;
            let first = if end { version + 1 } else { stretch.first };
            if first <= stretch.last {
                let lake = self.beside(&stretch.branch);
                let infos = lake.infos(first.max(1), stretch.last)?;
                merged.extend(infos.into_iter().filter_map(|info| info.merged));
            }
            if end {
                break;
            }
        }
        Ok(merged)
    }

    /// Goes back to an earlier version by a new commit. Tables that `stays` picks keep what they have now, and so do the
    /// notes of the lake.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`]; [`StoreError::HeadMoved`] if another run committed meanwhile.
    pub fn rollback(
        &self,
        to: VersionRef,
        stays: &dyn Fn(&TableId) -> bool,
        signed: &Signed,
    ) -> Result<Snapshot, StoreError> {
        let (head, target) = (self.head()?, self.at(to)?);
        let mut request = signed.request(&head, "rollback");
        request.exact = true;
        let tables: BTreeSet<&TableId> = head.cells.keys().chain(target.cells.keys()).collect();
        for table in tables.into_iter().filter(|table| !stays(table)) {
            for (_, cell) in target.partitions(table) {
                if !same(head.cell(table, &cell.partition), Some(cell)) {
                    request.cells.push(cell.lean());
                }
            }
            let gone = head
                .partitions(table)
                .filter(|(key, _)| target.cell(table, key).is_none());
            request
                .dropped
                .extend(gone.map(|(key, _)| task(table, key)));
            if let Some(meta) = target.tables.get(table) {
                request.tables.insert(table.clone(), meta.clone());
            }
        }
        self.commit(request)
    }
}

type Point = (UtcTime, u64, Origin);

fn task(table: &TableId, partition: &PartitionKey) -> TaskKey {
    TaskKey {
        table: table.clone(),
        partition: partition.clone(),
    }
}

/// What a side's difference means for the other.
enum Side {
    Keep,
    Take,
    Fight,
}

/// Decides from what is equal: both sides, the far side and the base, the near side and the base.
fn side(agreed: bool, far_kept: bool, near_kept: bool) -> Side {
    match (agreed || far_kept, near_kept) {
        (true, _) => Side::Keep,
        (false, true) => Side::Take,
        (false, false) => Side::Fight,
    }
}

fn three_way(
    common: &Snapshot,
    base: Origin,
    into: Snapshot,
    far: &Snapshot,
    from: Origin,
) -> Merge {
    let mut merge = Merge {
        into: Snapshot::empty(),
        from,
        base,
        cells: Vec::new(),
        dropped: BTreeSet::new(),
        tables: BTreeMap::new(),
        records: BTreeMap::new(),
        conflicts: Vec::new(),
    };
    let tables: BTreeSet<&TableId> = into.cells.keys().chain(far.cells.keys()).collect();
    for table in tables {
        merge_partitions(&mut merge, table, common, &into, far);
    }
    for (table, meta) in &far.tables {
        let (before, near) = (common.tables.get(table), into.tables.get(table));
        match side(near == Some(meta), before == Some(meta), before == near) {
            Side::Keep => {}
            Side::Take => drop(merge.tables.insert(table.clone(), meta.clone())),
            Side::Fight => merge.conflicts.push(MergeConflict::Table(table.clone())),
        }
    }
    let names: BTreeSet<&String> = into.records.keys().chain(far.records.keys()).collect();
    for name in names {
        let [before, near, far] = [common, &into, far].map(|version| version.records.get(name));
        match side(near == far, before == far, before == near) {
            Side::Keep => {}
            Side::Take => drop(merge.records.insert(name.clone(), far.cloned())),
            Side::Fight => merge.conflicts.push(MergeConflict::Record(name.clone())),
        }
    }
    merge.into = into;
    merge
}

fn merge_partitions(
    merge: &mut Merge,
    table: &TableId,
    common: &Snapshot,
    into: &Snapshot,
    far: &Snapshot,
) {
    let keys = into.partitions(table).chain(far.partitions(table));
    let keys: BTreeSet<&PartitionKey> = keys.map(|(key, _)| key).collect();
    for key in keys {
        let [before, near, far] = [common, into, far].map(|version| version.cell(table, key));
        // Equal rows are no quarrel, however they were come by.
        let agreed = same(near, far)
            || near
                .zip(far)
                .is_some_and(|(a, b)| a.rows_hash == b.rows_hash);
        match (side(agreed, same(before, far), same(before, near)), far) {
            (Side::Keep, _) => {}
            (Side::Take, Some(cell)) => merge.cells.push(Arc::clone(cell)),
            (Side::Take, None) => drop(merge.dropped.insert(task(table, key))),
            (Side::Fight, _) => merge.conflicts.push(MergeConflict::Partition {
                task: task(table, key),
                base: before.cloned(),
                into: near.cloned(),
                from: far.cloned(),
            }),
        }
    }
}
