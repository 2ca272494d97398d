//! What uses what: every data file that a version or a recorded result refers to, and why it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use lakectl_core::{Cell, CellFile, Fingerprint, PartitionKey, TableId, UtcTime};
use serde::Serialize;

use crate::branch::MAIN;
use crate::chunk::{self, Chunks};
use crate::commit::Commit;
use crate::log::REPAIR;
use crate::object::Door;
use crate::{Lake, Snapshot, StoreError, cell, check, checkpoint, parts, versions};

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
    /// The checkpoints that name it, if nothing but checkpoints does.
    pub(crate) holders: Vec<String>,
}

impl Unreadable {
    pub(crate) fn new(path: String, error: StoreError) -> Self {
        Self {
            path,
            error,
            holders: Vec::new(),
        }
    }
}

/// Every data file that something refers to, by its path.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    pub(crate) files: BTreeMap<String, Use>,
    /// Records read.
    pub(crate) records: u64,
    /// Records that could not be read: what only they refer to is not in `files`.
    pub(crate) unreadable: Vec<Unreadable>,
    /// Chunks that were read: versions and checkpoints share them.
    sound: BTreeSet<Fingerprint>,
}

impl Uses {
    /// Walks every version of every branch and all recorded results.
    ///
    /// # Errors
    /// If a folder cannot be listed. Records that are damaged are in [`Uses::unreadable`].
    pub(crate) fn gather(lake: &Lake) -> Result<Self, StoreError> {
        let mut uses = Self::default();
        for branch in versions::branches(lake.door())? {
            uses.walk_log(&lake.beside(&branch))?;
        }
        uses.walk_results(lake.door())?;
        let mut others = parts::check_all(lake.door())?;
        others.extend(check::check_all(lake.door())?);
        for (path, problem) in others {
            uses.records += 1;
            uses.unreadable
                .extend(problem.map(|error| Unreadable::new(path, error)));
        }
        Ok(uses)
    }

    /// Walks the kept versions of every branch and all recorded results, all of which have to be right.
    pub(crate) fn strict(lake: &Lake) -> Result<Self, StoreError> {
        let mut uses = Self::default();
        for branch in lake.branches()? {
            uses.walk_kept(&lake.beside(&branch.name))?;
        }
        uses.walk_results(lake.door())?;
        match uses.unreadable.pop() {
            Some(first) => Err(first.error),
            None => Ok(uses),
        }
    }

    fn walk_results(&mut self, door: &Door) -> Result<(), StoreError> {
        cell::walk(door, |segment, cells| {
            self.records += 1;
            match cells {
                Ok(cells) => {
                    for cell in cells {
                        self.cached(&Arc::new(cell), segment.modified);
                    }
                }
                Err(error) => {
                    let path = segment.path.clone();
                    self.unreadable.push(Unreadable::new(path, error));
                }
            }
            Ok(())
        })
    }

    /// Walks the kept versions of a branch, from a checkpoint near the first of them.
    fn walk_kept(&mut self, lake: &Lake) -> Result<(), StoreError> {
        let Some(span) = lake.files().span()? else {
            return Ok(());
        };
        let first = lake.oldest()?.max(begun(lake, span.first, span.last));
        let mut snapshot = lake.version_of(lake.branch(), first)?;
        each(&snapshot).for_each(|cell| self.held(cell, lake.branch(), first));
        for version in first + 1..=span.last {
            let (commit, id) = lake.files().read_after(version, snapshot.id)?;
            self.step(lake, &commit, id, &mut snapshot, first)?;
        }
        self.published(lake, &snapshot);
        Ok(())
    }

    /// Walks all of a branch's own log. A version that cannot be read is passed over: those after it still say what they
    /// hold.
    fn walk_log(&mut self, lake: &Lake) -> Result<(), StoreError> {
        let log = lake.files();
        let checkpoints = checkpoint::check_all(log)?;
        let Some(span) = log.span()? else {
            return Ok(());
        };
        let first = lake.oldest()?.max(begun(lake, span.first, span.last));
        let mut snapshot = Snapshot::empty();
        let mut parent = None;
        for version in span.first..=span.last {
            self.records += 1;
            let read = match parent {
                Some(parent) => log.read_after(version, Some(parent)),
                // The first one may follow another branch, and nobody knows the digest of one that is damaged.
                None => log.read(version),
            };
            let stepped = read.and_then(|(commit, id)| {
                self.walk_chunks(lake, commit.chunks(), None);
                let begins = commit.parent.is_none() || commit.origin.is_some();
                if version == span.first && !begins && !checkpoint::covers(log, version - 1)? {
                    return Err(log.gone(version - 1));
                }
                parent = Some(id);
                self.step(lake, &commit, id, &mut snapshot, first)
            });
            if let Err(error) = stepped {
                parent = None;
                self.wrong(lake, error, log.path_of(version), None);
            }
        }
        self.published(lake, &snapshot);
        // After the log, so that what it lacks as well is its loss.
        for (path, chunks) in checkpoints {
            self.records += 1;
            match chunks {
                Ok(chunks) => self.walk_chunks(lake, &chunks, Some(&path)),
                Err(error) => self.unreadable.push(Unreadable::new(path, error)),
            }
        }
        Ok(())
    }

    /// Reads the chunks that a version or a checkpoint names, unless they were read before.
    fn walk_chunks(&mut self, lake: &Lake, chunks: &Chunks, holder: Option<&str>) {
        for (table, chunk) in chunks
            .iter()
            .flat_map(|(table, chunks)| chunks.iter().map(move |chunk| (table, chunk)))
        {
            if self.sound.contains(&chunk.hash) {
                continue;
            }
            match chunk::check(lake.door(), table, chunk, REPAIR) {
                Ok(()) => {
                    self.sound.insert(chunk.hash);
                }
                Err(error) => self.wrong(lake, error, chunk.path(), holder),
            }
        }
    }

    /// Notes a record that cannot be read, once, under the path that the error names.
    fn wrong(&mut self, lake: &Lake, error: StoreError, path: String, holder: Option<&str>) {
        let path = match &error {
            StoreError::Damaged { path, .. } => below(path, lake),
            _ => path,
        };
        let holders = || holder.map(str::to_owned).into_iter();
        match self.unreadable.iter_mut().find(|known| known.path == path) {
            // A version needs it, whichever checkpoints do.
            Some(known) if known.holders.is_empty() => {}
            Some(known) if holder.is_some() => known.holders.extend(holders()),
            Some(known) => known.holders.clear(),
            None => self.unreadable.push(Unreadable {
                holders: holders().collect(),
                ..Unreadable::new(path, error)
            }),
        }
    }

    /// Brings a snapshot one version further and notes what it holds from `first` on.
    fn step(
        &mut self,
        lake: &Lake,
        commit: &Commit,
        id: Fingerprint,
        snapshot: &mut Snapshot,
        first: u64,
    ) -> Result<(), StoreError> {
        let version = commit.version;
        let cells = commit.cells(lake.door())?;
        if let Some(origin) = &commit.origin {
            *snapshot = lake.version_of(&origin.branch, origin.version)?;
        } else if commit.closes {
            *snapshot = Snapshot::empty();
        } else if version > first {
            let gone = commit.dropped.iter().cloned();
            let replaced = cells.iter().map(|cell| cell.task()).chain(gone);
            let before = replaced.filter_map(|task| snapshot.cell(&task.table, &task.partition));
            before.for_each(|cell| self.held(cell, lake.branch(), version - 1));
        }
        let news = cells.clone();
        commit.apply(id, cells, snapshot);
        if version < first {
            return Ok(());
        }
        if version == first || commit.origin.is_some() {
            each(snapshot).for_each(|cell| self.held(cell, lake.branch(), version));
        } else {
            news.iter()
                .for_each(|cell| self.held(cell, lake.branch(), version));
        }
        Ok(())
    }

    /// Notes what the newest version of a branch holds.
    fn published(&mut self, lake: &Lake, newest: &Snapshot) {
        for cell in each(newest) {
            self.held(cell, lake.branch(), newest.version);
            let file = cell.file.as_ref();
            if let Some(used) = file.and_then(|file| self.files.get_mut(&file.path))
                && lake.branch() == MAIN
            {
                used.cause = Cause::Published;
            }
        }
    }

    /// Notes that a version of a branch holds a result.
    fn held(&mut self, cell: &Arc<Cell>, branch: &str, version: u64) {
        let cause = match branch == MAIN {
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

/// Returns the first version of a branch since it last began; the one after `last` if it has ended. What it held before
/// that can be asked for no more.
fn begun(lake: &Lake, first: u64, last: u64) -> u64 {
    // The main branch neither begins at another one nor ends, and its log is long.
    if lake.branch() == MAIN {
        return first;
    }
    for version in (first..=last).rev() {
        match lake.files().read(version) {
            Ok((commit, _)) if commit.closes => return version + 1,
            Ok((commit, _)) if commit.origin.is_some() => return version,
            // One that cannot be read is reported by whoever walks the log.
            _ => {}
        }
    }
    first
}

/// Returns every published result of a version.
pub(crate) fn each(snapshot: &Snapshot) -> impl Iterator<Item = &Arc<Cell>> {
    snapshot.cells.values().flat_map(|cells| cells.values())
}

/// Returns the path of a file below the lake's root.
fn below(path: &Path, lake: &Lake) -> String {
    let below = path.strip_prefix(lake.root()).unwrap_or(path);
    below.display().to_string()
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
