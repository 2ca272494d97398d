//! What uses what: every data file that a version or a recorded result refers to, and why it is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use lakectl_core::{Cell, CellFile, PartitionKey, TableId, TaskKey, UtcTime};
use serde::Serialize;

use crate::object::Door;
use crate::{Snapshot, StoreError, cell, commit, versions};

/// Why a file is there. Of several reasons the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The newest version of `main` holds it.
    Published,
    /// Only older versions of `main` hold it.
    Older,
    /// Only versions of other branches hold it.
    Branch,
    /// No version holds it; a later run may take it up again instead of computing it.
    Cache,
    /// Nothing refers to it.
    Garbage,
    /// An unfinished file of a writer that may have died.
    Temporary,
    /// Not rows: the log, the records of results, notes of runs.
    Records,
}

impl Cause {
    /// Every cause in order.
    pub const ALL: [Self; 7] = [
        Self::Published,
        Self::Older,
        Self::Branch,
        Self::Cache,
        Self::Garbage,
        Self::Temporary,
        Self::Records,
    ];

    /// Returns the words for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Published => "published now",
            Self::Older => "older versions",
            Self::Branch => "branches",
            Self::Cache => "build cache",
            Self::Garbage => "garbage",
            Self::Temporary => "temporary",
            Self::Records => "records",
        }
    }
}

/// The kept versions of one branch that hold a file, from the first to the last of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The branch.
    pub branch: String,
    /// The first version.
    pub first: u64,
    /// The last version.
    pub last: u64,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            branch,
            first,
            last,
        } = self;
        match first == last {
            true => write!(f, "version {first} of {branch}"),
            false => write!(f, "versions {first} to {last} of {branch}"),
        }
    }
}

/// One data file that something refers to.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) cause: Cause,
    pub(crate) file: CellFile,
    /// The results that are kept in it: more than one if other definitions gave the same rows.
    pub(crate) cells: Vec<Arc<Cell>>,
    pub(crate) spans: Vec<Span>,
    /// When its result was last recorded, by the store's clock.
    pub(crate) recorded: Option<UtcTime>,
}

/// A record that could not be read, with what is wrong.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// Path below the lake's root.
    pub(crate) path: String,
    pub(crate) error: StoreError,
}

/// Every data file that something refers to, by its path.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    pub(crate) files: BTreeMap<String, Use>,
    /// Records read.
    pub(crate) records: u64,
    /// Records that could not be read: what only they refer to is not in `files`.
    pub(crate) unreadable: Vec<Unreadable>,
}

impl Uses {
    /// Walks the kept versions of every branch and all recorded results.
    ///
    /// # Errors
    /// If a folder cannot be listed. Records that are damaged are in [`Uses::unreadable`].
    pub(crate) fn gather(door: &Door) -> Result<Self, StoreError> {
        let mut uses = Self::default();
        for branch in versions::branches(door)? {
            uses.walk(door, &branch)?;
        }
        let mut unreadable = Vec::new();
        let mut records = 0;
        cell::walk(door, |segment, cells| {
            records += 1;
            match cells {
                Ok(cells) => {
                    for cell in cells {
                        uses.cached(&Arc::new(cell), segment.modified);
                    }
                }
                Err(error) => unreadable.push(Unreadable {
                    path: segment.path.clone(),
                    error,
                }),
            }
            Ok(())
        })?;
        uses.records += records;
        uses.unreadable.extend(unreadable);
        Ok(uses)
    }

    /// Like [`Uses::gather`], where every record has to be right.
    pub(crate) fn strict(door: &Door) -> Result<Self, StoreError> {
        let uses = Self::gather(door)?;
        match uses.unreadable.into_iter().next() {
            Some(first) => Err(first.error),
            None => Ok(Self {
                unreadable: Vec::new(),
                ..uses
            }),
        }
    }

    /// Walks the log of a branch. A version that cannot be read is passed over: those after it still say what they hold.
    fn walk(&mut self, door: &Door, branch: &str) -> Result<(), StoreError> {
        let (oldest, newest) = (
            versions::oldest(door, branch)?,
            versions::newest(door, branch)?,
        );
        let mut snapshot = Snapshot::empty();
        let mut parent = Some(None);
        for version in 1..=newest {
            self.records += 1;
            let loaded = versions::load(door, branch, version).and_then(|(commit, id)| {
                if let Some(parent) = parent {
                    commit.check_parent(door, branch, parent)?;
                }
                Ok((commit, id))
            });
            let (commit, id) = match loaded {
                Ok(loaded) => loaded,
                Err(error) => {
                    parent = None;
                    self.unreadable.push(Unreadable {
                        path: versions::path(branch, version),
                        error,
                    });
                    continue;
                }
            };
            parent = Some(Some(id));
            if version > oldest {
                let replaced = commit.replaced();
                let before =
                    replaced.filter_map(|task| snapshot.cell(&task.table, &task.partition));
                before.for_each(|cell| self.held(cell, branch, version - 1));
            }
            let changed: Vec<TaskKey> = commit.cells.iter().map(Cell::task).collect();
            commit.apply(id, &mut snapshot);
            if version == oldest {
                each(&snapshot).for_each(|cell| self.held(cell, branch, version));
            } else if version > oldest {
                let cells = changed
                    .iter()
                    .filter_map(|task| snapshot.cell(&task.table, &task.partition));
                cells.for_each(|cell| self.held(cell, branch, version));
            }
        }
        for cell in each(&snapshot) {
            self.held(cell, branch, newest);
            let file = cell.file.as_ref();
            if let Some(used) = file.and_then(|file| self.files.get_mut(&file.path))
                && branch == commit::MAIN
            {
                used.cause = Cause::Published;
            }
        }
        Ok(())
    }

    /// Notes that a version of a branch holds a result.
    fn held(&mut self, cell: &Arc<Cell>, branch: &str, version: u64) {
        let cause = match branch == commit::MAIN {
            true => Cause::Older,
            false => Cause::Branch,
        };
        let Some(used) = self.used(cell, cause) else {
            return;
        };
        used.cause = used.cause.min(cause);
        match used.spans.iter_mut().find(|span| span.branch == branch) {
            Some(span) => {
                span.first = span.first.min(version);
                span.last = span.last.max(version);
            }
            None => used.spans.push(Span {
                branch: branch.to_owned(),
                first: version,
                last: version,
            }),
        }
        let known = |old: &Arc<Cell>| old.fingerprint == cell.fingerprint;
        if !used.cells.iter().any(known) {
            used.cells.push(Arc::clone(cell));
        }
    }

    /// Notes that a result is recorded.
    fn cached(&mut self, cell: &Arc<Cell>, recorded: UtcTime) {
        let Some(used) = self.used(cell, Cause::Cache) else {
            return;
        };
        used.recorded = used.recorded.max(Some(recorded));
        if used.cells.is_empty() {
            used.cells.push(Arc::clone(cell));
        }
    }

    fn used(&mut self, cell: &Arc<Cell>, cause: Cause) -> Option<&mut Use> {
        let file = cell.file.as_ref()?;
        if !self.files.contains_key(&file.path) {
            let used = Use {
                cause,
                file: file.clone(),
                cells: Vec::new(),
                spans: Vec::new(),
                recorded: None,
            };
            self.files.insert(file.path.clone(), used);
        }
        self.files.get_mut(&file.path)
    }
}

fn each(snapshot: &Snapshot) -> impl Iterator<Item = &Arc<Cell>> {
    snapshot.cells.values().flat_map(BTreeMap::values)
}

/// Returns the table and partition that a data file's path names; none for a path of another form.
pub(crate) fn place_of(path: &str) -> Option<(TableId, PartitionKey)> {
    let mut parts = path.strip_prefix("data/")?.splitn(3, '/');
    let (schema, name, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let partition = match rest.rsplit_once('/') {
        Some((partition, _)) => partition.parse().ok()?,
        None => PartitionKey::default(),
    };
    Some((TableId::new(schema, name).ok()?, partition))
}
