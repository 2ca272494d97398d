//! Collection: what no kept version, no branch and no recent result needs is removed.
//!
//! In this order, so that a crash between any two steps leaves a lake that is right and the next collection goes on:
//! mark; say which versions are not kept any more; commit the names of the condemned files to every branch's log (a
//! head that moved is marked again); drop the recorded results that are kept in them; remove the files whose names all
//! branches have condemned. No later commit may refer to a condemned name, so a writer can come at any time: it loses
//! the race for the log's next version, reads the names, and writes its content under another one.

mod condemn;
mod documents;
mod mark;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lakectl_core::{Cell, PartitionKey, TableId, UtcTime};
use serde::Serialize;

use self::documents::Documents;
use self::mark::Marked;
use crate::object::{Stored, TEMPORARY};
use crate::uses::{Cause, place_of};
use crate::{DiskUse, Failpoint, Lake, Lease, Size, StoreError, cell, lease, versions};

/// Few enough to be interrupted between them, many enough to make one wait of many for a bucket.
const REMOVED_AT_A_TIME: usize = 256;

/// What to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// At least so many of the newest versions of each branch; those that collection itself made do not count.
    pub versions: u64,
    /// All versions of the last days.
    pub days: u32,
    /// Results of the last days that no version holds.
    pub cache_days: u32,
}

/// A step of a collection, told when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GcStep<'a> {
    /// What can go is known; nothing was changed.
    Marked,
    /// The versions that are not kept any more are said.
    Expired,
    /// A branch has condemned the names.
    Condemned(&'a str),
    /// No recorded result refers to a condemned file.
    Forgotten,
    /// So many files are removed.
    Removed(usize),
}

/// How to collect.
pub struct GcRequest<'a> {
    /// Names this collection, as runs are named.
    pub run: String,
    /// Who collects.
    pub who: String,
    /// The time, by the caller's clock: for the log, and for the ages that a dry run tells.
    pub now: UtcTime,
    /// Say what would go, and change nothing.
    pub dry_run: bool,
    /// What to keep.
    pub keep: Retention,
    /// Files younger than this are left alone whatever refers to them, besides those of live runs.
    pub young: Duration,
    /// Tables whose rows cannot be computed again, and the columns that tell their rows apart: a file of these goes
    /// only when a newest version has all of its rows.
    pub documents: &'a dyn Fn(&TableId) -> bool,
    /// See `documents`.
    pub identity: [&'a str; 2],
    /// Told each step; an error ends the collection there.
    pub watch: &'a dyn Fn(GcStep<'_>) -> Result<(), StoreError>,
}

/// A file that goes, or would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Path below the lake's root.
    pub path: String,
    /// The table.
    pub table: TableId,
    /// The partition.
    pub partition: PartitionKey,
    /// Its size.
    pub bytes: u64,
    /// Who had needed it.
    pub cause: Cause,
    /// Why it can go.
    pub why: String,
}

/// A file that nothing needs and that stays nevertheless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spared {
    /// Path below the lake's root.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Why it stays.
    pub why: String,
}

/// What a collection did, or would do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Collection {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// By branch: the first version whose rows are kept from now on, where that changed.
    pub expired: BTreeMap<String, u64>,
    /// Data files.
    pub removed: Vec<Removal>,
    /// Data files that nothing needs and that stay for now.
    pub spared: Vec<Spared>,
    /// Unfinished files of writers that died.
    pub temporary: Size,
    /// Recorded results that were dropped with their files.
    pub results: u64,
    /// Runs that gave no sign of life for too long and may not commit any more.
    pub dead_runs: Vec<String>,
    /// What the lake took before.
    pub disk: DiskUse,
}

impl Collection {
    /// Returns the data files and bytes that go, by the cause they were kept for.
    pub fn causes(&self) -> BTreeMap<Cause, Size> {
        let mut causes: BTreeMap<Cause, Size> = BTreeMap::new();
        for file in &self.removed {
            *causes.entry(file.cause).or_default() += Size {
                files: 1,
                bytes: file.bytes,
            };
        }
        causes
    }
}

impl Lake {
    /// Removes what nobody needs any more.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming a record that cannot be read: nothing is removed from a lake that is not understood;
    /// [`StoreError::Io`] if the disk refuses. What was not done is done by the next collection.
    pub fn collect(
        self: &std::sync::Arc<Self>,
        request: &GcRequest<'_>,
    ) -> Result<Collection, StoreError> {
        // The store's clock is read off a file of ours.
        let lease = match request.dry_run {
            true => None,
            false => Some(Lease::take(std::sync::Arc::clone(self), &request.run)?),
        };
        let marked = self.mark(request)?;
        let mut done = Collection {
            dry_run: request.dry_run,
            disk: DiskUse::of(&marked.files, &marked.uses),
            dead_runs: marked.stale.clone(),
            ..Collection::default()
        };
        let condemned = self.choose(request, &marked, &mut done)?;
        request.told(GcStep::Marked)?;
        if request.dry_run {
            return Ok(done);
        }
        for run in &marked.stale {
            lease::end(self.door(), run)?;
        }
        for (branch, oldest) in &done.expired {
            versions::expire(self.door(), branch, *oldest)?;
        }
        request.told(GcStep::Expired)?;
        let names = self.condemn_everywhere(request, &marked, condemned)?;
        done.results = self.forget_results(&names)?;
        request.told(GcStep::Forgotten)?;
        self.remove(request, &marked, &names, &mut done)?;
        drop(lease);
        Ok(done)
    }

    /// Chooses the files that can go, and says why, and why others that nothing needs cannot.
    fn choose(
        &self,
        request: &GcRequest<'_>,
        marked: &Marked,
        done: &mut Collection,
    ) -> Result<BTreeSet<String>, StoreError> {
        let mut condemned = BTreeSet::new();
        let mut documents = Documents::new(self, request, marked);
        for file in &marked.files {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            if name.starts_with(TEMPORARY) {
                if file.modified < marked.horizon {
                    done.temporary += Size {
                        files: 1,
                        bytes: file.bytes,
                    };
                }
                continue;
            }
            let Some((table, partition)) = place_of(&file.path) else {
                continue;
            };
            let used = marked.uses.files.get(&file.path);
            if used.is_some_and(|used| marked.needs(used, &request.keep)) {
                continue;
            }
            let mut spare = |why: &str| {
                done.spared.push(Spared {
                    path: file.path.clone(),
                    bytes: file.bytes,
                    why: why.to_owned(),
                });
            };
            if file.modified >= marked.horizon {
                spare("it is younger than an hour or than a run under way, which may need it");
                continue;
            }
            if (request.documents)(&table)
                && let Some(why) = documents.missing(&table, &partition, file)?
            {
                spare(&why);
                continue;
            }
            condemned.insert(file.path.clone());
            done.removed.push(Removal {
                path: file.path.clone(),
                table,
                partition,
                bytes: file.bytes,
                cause: used.map_or(Cause::Garbage, |used| used.cause),
                why: marked.why(used, &request.keep),
            });
        }
        done.expired = marked.expired(&condemned);
        Ok(condemned)
    }

    /// Drops the recorded results that are kept in files of these names.
    pub(crate) fn forget_results(&self, names: &BTreeSet<String>) -> Result<u64, StoreError> {
        let mut dropped = 0;
        let mut affected = Vec::new();
        cell::walk(self.door(), |segment, cells| {
            let cells = cells?;
            let dead = |cell: &Cell| {
                let file = cell.file.as_ref();
                file.is_some_and(|file| names.contains(&file.path))
            };
            let all = cells.len();
            let left: Vec<_> = cells.into_iter().filter(|cell| !dead(cell)).collect();
            if left.len() < all {
                dropped += (all - left.len()) as u64;
                affected.push((segment.path.clone(), left));
            }
            Ok(())
        })?;
        for (path, left) in affected {
            cell::rewrite(self.door(), &path, &left)?;
        }
        Ok(dropped)
    }

    fn remove(
        &self,
        request: &GcRequest<'_>,
        marked: &Marked,
        names: &BTreeSet<String>,
        done: &mut Collection,
    ) -> Result<(), StoreError> {
        let door = self.door();
        done.removed.retain(|file| names.contains(&file.path));
        let goes = |file: &&Stored| {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            let unfinished = name.starts_with(TEMPORARY) && file.modified < marked.horizon;
            unfinished || names.contains(&file.path)
        };
        let paths = marked.files.iter().filter(goes);
        let paths: Vec<String> = paths.map(|file| file.path.clone()).collect();
        for some in paths.chunks(REMOVED_AT_A_TIME) {
            door.delete_all(some)?;
            request.told(GcStep::Removed(some.len()))?;
        }
        door.sync_pending()
    }
}

impl GcRequest<'_> {
    fn told(&self, step: GcStep<'_>) -> Result<(), StoreError> {
        match step {
            GcStep::Marked => {}
            GcStep::Expired => Failpoint::VersionsExpired.reached(),
            GcStep::Condemned(_) => Failpoint::NamesCondemned.reached(),
            GcStep::Forgotten => Failpoint::ResultsForgotten.reached(),
            GcStep::Removed(_) => Failpoint::FilesRemoved.reached(),
        }
        (self.watch)(step)
    }
}
