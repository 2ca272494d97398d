//! Collection: what no kept version, no branch and no recent result needs is removed.
//!
//! In this order, so that a crash between any two steps leaves a lake that is right and the next collection goes on:
//! mark; say which versions are not kept any more; commit the names of the condemned files to every branch's log (a
//! head that moved is marked again); drop the recorded results that are kept in them; remove the files whose names all
//! branches have condemned. No later commit may refer to a condemned name, so a writer can come at any time: it loses
//! the race for the log's next version, reads the names, and writes its content under another one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lakectl_core::{Cell, Fingerprint, PartitionKey, TableId, UtcTime};
use serde::Serialize;

use crate::commit::{COLLECTION, Commit};
use crate::object::{Stored, TEMPORARY};
use crate::uses::{Cause, Use, Uses, each, place_of};
use crate::{
    CommitRequest, DiskUse, Failpoint, Lake, Lease, Size, Snapshot, StoreError, cell, lease,
    parquet, versions,
};

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// A condemned name whose file is gone may be used again after so many days: nobody who saw it condemned is still at work.
const FORGET_DAYS: i64 = 7;
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

/// What is known when everything is marked.
struct Marked {
    now: UtcTime,
    files: Vec<Stored>,
    uses: Uses,
    /// By branch: the version up to which the log was read.
    heads: BTreeMap<String, u64>,
    /// By branch: the first version to keep.
    oldest: BTreeMap<String, u64>,
    /// Files older than this belong to no live run.
    horizon: UtcTime,
    stale: Vec<String>,
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

    fn mark(&self, request: &GcRequest<'_>) -> Result<Marked, StoreError> {
        let door = self.door();
        let leases = lease::all(door)?;
        let now = leases
            .get(&request.run)
            .map_or(request.now, |own| own.since);
        let (stale, live): (Vec<_>, Vec<_>) = leases
            .into_iter()
            .partition(|(_, alive)| alive.is_stale(now));
        let young = i64::try_from(request.young.as_micros()).unwrap_or(i64::MAX);
        let horizon = live
            .iter()
            .map(|(_, alive)| alive.since)
            .chain([UtcTime::from_micros(now.micros().saturating_sub(young))])
            .min()
            .unwrap_or(now);
        // Listed before the records are read: whatever is written from here on is not among the candidates.
        let files = door.list_all("")?;
        let branches = self.branches()?;
        let heads: BTreeMap<String, u64> = branches
            .into_iter()
            .map(|branch| (branch.name, branch.version))
            .collect();
        let mut oldest = BTreeMap::new();
        for branch in heads.keys() {
            let first = self.beside(branch).first_kept(&request.keep, now, &files)?;
            oldest.insert(branch.clone(), first);
        }
        Ok(Marked {
            now,
            uses: Uses::strict(self)?,
            files,
            heads,
            oldest,
            horizon,
            stale: stale.into_iter().map(|(run, _)| run).collect(),
        })
    }

    /// Returns the first version of this branch's own log that is young enough or among the newest.
    fn first_kept(
        &self,
        keep: &Retention,
        now: UtcTime,
        files: &[Stored],
    ) -> Result<u64, StoreError> {
        let log = self.files();
        let known = self.oldest()?;
        let Some(span) = log.span()? else {
            return Ok(known);
        };
        let since = now.micros() - i64::from(keep.days) * MICROS_PER_DAY;
        let (mut first, mut counted) = (span.last, 0);
        for version in (known.max(span.first)..=span.last).rev() {
            let written = find(files, &log.path_of(version));
            // A version that came after the listing is young.
            let young = written.is_none_or(|file| file.modified.micros() >= since);
            if !young && counted >= keep.versions.max(1) {
                break;
            }
            first = version;
            let (commit, _) = log.read(version)?;
            counted += u64::from(!commit.is_collection());
        }
        Ok(first.max(known))
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
                spare("a run that is under way may have written it");
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

    /// Commits the names to every branch's log, and returns those that all of them have condemned, now or before.
    fn condemn_everywhere(
        &self,
        request: &GcRequest<'_>,
        marked: &Marked,
        names: BTreeSet<String>,
    ) -> Result<BTreeSet<String>, StoreError> {
        let mut agreed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        loop {
            // A branch that appeared meanwhile has to agree as well; one that was deleted does not.
            let branches = self.branches()?;
            agreed.retain(|name, _| branches.iter().any(|branch| branch.name == *name));
            let next = branches
                .into_iter()
                .find(|branch| !agreed.contains_key(&branch.name));
            let Some(branch) = next else {
                break;
            };
            match self.beside(&branch.name).condemn(request, marked, &names) {
                Err(StoreError::NoBranch { .. }) => continue,
                all => agreed.insert(branch.name.clone(), all?),
            };
            request.told(GcStep::Condemned(&branch.name))?;
        }
        let mut sets = agreed.values();
        let first = sets.next().cloned().unwrap_or_default();
        let all = sets.fold(first, |all, set| all.intersection(set).cloned().collect());
        for (branch, set) in agreed {
            // Some branch goes on using these; nobody is going to remove them.
            let used: Vec<String> = set.difference(&all).cloned().collect();
            if !used.is_empty() {
                self.beside(&branch)
                    .sign(request, Vec::new(), |_| used.clone())?;
            }
        }
        Ok(all)
    }

    /// Commits the names to this branch's log. Those that its versions after the marked one refer to are left out; if the
    /// branch was not there then, all of its versions count. Returns every name that the branch has condemned.
    fn condemn(
        &self,
        request: &GcRequest<'_>,
        marked: &Marked,
        names: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, StoreError> {
        let mut names = names.clone();
        let log = self.files();
        let mut seen = marked.heads.get(self.branch()).copied();
        loop {
            let head = self.head()?;
            each(&head).for_each(|cell| leave_out(&mut names, cell));
            let span = log.span()?;
            let first = seen.map_or_else(|| span.map_or(1, |span| span.first), |seen| seen + 1);
            for version in first..=span.map_or(0, |span| span.last) {
                let (commit, _) = log.read(version)?;
                let cells = commit.cells(self.door())?;
                cells.iter().for_each(|cell| leave_out(&mut names, cell));
            }
            seen = Some(head.version);
            let new = names
                .iter()
                .filter(|name| !head.condemned.contains_key(*name));
            let new: Vec<String> = new.cloned().collect();
            if new.is_empty() {
                return Ok(head.condemned.keys().cloned().collect());
            }
            let commit = request.commit(&head, new, marked.forgiven(self, &head, &names));
            if log.put(&commit)?.is_some() {
                return Ok(self.head()?.condemned.keys().cloned().collect());
            }
        }
    }

    /// Commits condemned and forgiven names to this branch's log, whatever else is committed meanwhile.
    fn sign(
        &self,
        request: &GcRequest<'_>,
        condemned: Vec<String>,
        forgiven: impl Fn(&Snapshot) -> Vec<String>,
    ) -> Result<(), StoreError> {
        loop {
            let head = self.head()?;
            let commit = request.commit(&head, condemned.clone(), forgiven(&head));
            if self.files().put(&commit)?.is_some() {
                return Ok(());
            }
        }
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
    fn commit(&self, head: &Snapshot, condemned: Vec<String>, forgiven: Vec<String>) -> Commit {
        let request = CommitRequest {
            who: self.who.clone(),
            message: format!("{} files that nothing needs", condemned.len()),
            ..CommitRequest::new(head, &self.run, self.now, COLLECTION)
        };
        let mut commit = Commit::following(head, &request);
        (commit.condemned, commit.forgiven) = (condemned, forgiven);
        commit
    }

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

fn leave_out(names: &mut BTreeSet<String>, cell: &Cell) {
    if let Some(file) = &cell.file {
        names.remove(&file.path);
    }
}

/// Finds a file in a listing.
fn find<'f>(files: &'f [Stored], path: &str) -> Option<&'f Stored> {
    let at = files.binary_search_by(|file| file.path.as_str().cmp(path));
    at.ok().map(|at| &files[at])
}

impl Marked {
    /// Tells whether a version that is kept or a recent result needs a file.
    fn needs(&self, used: &Use, keep: &Retention) -> bool {
        let kept = |branch: &str| self.oldest.get(branch).copied().unwrap_or(1);
        let held = used
            .spans
            .iter()
            .any(|span| span.last >= kept(&span.branch));
        held || used.recorded.is_some_and(|time| time >= self.recent(keep))
    }

    fn recent(&self, keep: &Retention) -> UtcTime {
        UtcTime::from_micros(self.now.micros() - i64::from(keep.cache_days) * MICROS_PER_DAY)
    }

    fn why(&self, used: Option<&Use>, keep: &Retention) -> String {
        let Some(used) = used else {
            return "nothing refers to it".to_owned();
        };
        match used.spans.as_slice() {
            [] => format!(
                "no version holds it, and its result is older than {} days",
                keep.cache_days
            ),
            spans => {
                let spans: Vec<String> = spans.iter().map(ToString::to_string).collect();
                format!(
                    "only held by {}: older than {} days and not among the newest {}",
                    spans.join(" and "),
                    keep.days,
                    keep.versions.max(1)
                )
            }
        }
    }

    /// Returns the branches of which versions lose files, with the first version that keeps its own.
    fn expired(&self, condemned: &BTreeSet<String>) -> BTreeMap<String, u64> {
        let used = condemned
            .iter()
            .filter_map(|name| self.uses.files.get(name));
        let branches = used.flat_map(|used| used.spans.iter().map(|span| span.branch.as_str()));
        let branches: BTreeSet<&str> = branches.collect();
        let oldest = |branch: &str| Some((branch.to_owned(), *self.oldest.get(branch)?));
        branches.into_iter().filter_map(oldest).collect()
    }

    /// Returns names that a branch condemned so long ago that they may be used again: their files are gone.
    fn forgiven(
        &self,
        lake: &Lake,
        snapshot: &Snapshot,
        condemned: &BTreeSet<String>,
    ) -> Vec<String> {
        let since = self.now.micros() - FORGET_DAYS * MICROS_PER_DAY;
        let log = lake.files();
        let past = |(name, version): &(&String, &u64)| {
            let log = find(&self.files, &log.path_of(**version));
            log.is_some_and(|log| log.modified.micros() < since)
                && find(&self.files, name).is_none()
                && !condemned.contains(*name)
                && !self.uses.files.contains_key(*name)
        };
        let past = snapshot.condemned.iter().filter(past);
        past.map(|(name, _)| name.clone()).collect()
    }
}

/// The rows of tables that cannot be computed again.
struct Documents<'a> {
    lake: &'a Lake,
    request: &'a GcRequest<'a>,
    branches: Vec<String>,
    /// What the newest versions have, by table and partition.
    kept: BTreeMap<(TableId, PartitionKey), BTreeSet<Vec<String>>>,
    heads: Option<Vec<Snapshot>>,
}

impl<'a> Documents<'a> {
    fn new(lake: &'a Lake, request: &'a GcRequest<'a>, marked: &Marked) -> Self {
        Self {
            lake,
            request,
            branches: marked.heads.keys().cloned().collect(),
            kept: BTreeMap::new(),
            heads: None,
        }
    }

    /// Returns why a file may not go: rows of it that no newest version has.
    fn missing(
        &mut self,
        table: &TableId,
        partition: &PartitionKey,
        file: &Stored,
    ) -> Result<Option<String>, StoreError> {
        let Some(bytes) = self.lake.door().get(&file.path)? else {
            return Ok(None);
        };
        if !named_by(&file.path, &bytes) {
            return Ok(Some("it is damaged; `verify --deep` says more".to_owned()));
        }
        let Ok(found) = parquet::texts(table, bytes, &self.request.identity) else {
            return Ok(Some("its documents cannot be read".to_owned()));
        };
        let key = (table.clone(), partition.clone());
        if !self.kept.contains_key(&key) {
            let kept = self.of_heads(table, partition)?;
            self.kept.insert(key.clone(), kept);
        }
        let kept = self.kept.get(&key);
        let lost = found
            .iter()
            .filter(|row| kept.is_none_or(|kept| !kept.contains(*row)))
            .count();
        Ok((lost > 0).then(|| {
            format!("{lost} of its documents are in no newest version, and nobody may have them any more")
        }))
    }

    fn of_heads(
        &mut self,
        table: &TableId,
        partition: &PartitionKey,
    ) -> Result<BTreeSet<Vec<String>>, StoreError> {
        if self.heads.is_none() {
            let heads = self.branches.iter();
            let heads = heads.map(|branch| self.lake.beside(branch).head());
            self.heads = Some(heads.collect::<Result<_, _>>()?);
        }
        let mut kept = BTreeSet::new();
        for head in self.heads.iter().flatten() {
            let file = head
                .cell(table, partition)
                .and_then(|cell| cell.file.as_ref());
            if let Some(file) = file {
                let bytes = self.lake.read_file(file)?;
                kept.extend(parquet::texts(table, bytes, &self.request.identity)?);
            }
        }
        Ok(kept)
    }
}

/// Tells whether a data file's name is the digest of its bytes.
fn named_by(path: &str, bytes: &[u8]) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = name.strip_suffix(".parquet").unwrap_or(name);
    name.split('-').next() == Some(Fingerprint::of(bytes).to_string().as_str())
}
