//! Copying a lake: files first, then the records of results, then the log, so that the target is readable when it is
//! complete and not before. What is there and right is passed over: an interrupted copy goes on, and a copy over a
//! damaged lake mends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lakectl_core::{Cell, CellFile, Fingerprint};
use serde::Serialize;

use crate::object::{Put, TEMPORARY};
use crate::uses::{Use, Uses};
use crate::{
    Lake, Lease, Progress, Size, StoreError, VersionRef, cell, note, parts, versions, workers,
};

/// Folders of records that go along when a whole lake is copied.
const RECORDS: [&str; 4] = ["_cells", "_checks", "_parts", "_runs"];

/// What to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Copying {
    /// One branch: all of its kept versions.
    Branch(String),
    /// One version of a branch, with the log up to it.
    Version(String, VersionRef),
    /// Every branch, every recorded result and the notes of runs.
    All,
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// The newest version of each branch that was copied.
    pub versions: BTreeMap<String, u64>,
    /// Data files that were copied.
    pub copied: Size,
    /// Data files that were there and right.
    pub skipped: Size,
    /// Records that were copied: versions, recorded results, notes.
    pub records: u64,
}

/// A stretch of one branch's log.
struct Wanted {
    branch: String,
    /// The first version whose rows are copied.
    oldest: u64,
    newest: u64,
}

impl Lake {
    /// Copies versions of this lake into another one and returns what was done.
    ///
    /// # Errors
    /// [`StoreError::Diverged`] if the target has other versions than this lake; [`StoreError::Damaged`] and
    /// [`StoreError::DamagedData`] naming a file of this lake; [`StoreError::NoVersion`]; [`StoreError::Io`].
    pub fn copy_to(
        &self,
        target: &Self,
        what: &Copying,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Copied, StoreError> {
        let uses = Uses::strict(self)?;
        let stretches = self.stretches(target, what)?;
        for stretch in &stretches {
            self.check_log(target, stretch)?;
        }
        let wanted = |used: &&Use| {
            *what == Copying::All
                || used.spans.iter().any(|span| {
                    stretches.iter().any(|stretch| {
                        span.branch == stretch.branch
                            && span.first <= stretch.newest
                            && span.last >= stretch.oldest
                    })
                })
        };
        let used: Vec<&Use> = uses.files.values().filter(wanted).collect();
        let files: Vec<&CellFile> = used.iter().map(|used| &used.file).collect();
        // Said first: collection in the target then leaves alone what is on its way.
        let run = format!("copy-{}", std::process::id());
        let lease = Lease::take(Arc::new(target.beside(target.branch())), &run)?;
        let mut done = self.copy_files(target, &files, progress)?;
        lease.renew()?;
        done.records += match what {
            Copying::All => self.copy_records(target)?,
            _ => self.copy_results(target, &files, &run)?,
        };
        for stretch in &stretches {
            done.records += self.copy_log(target, stretch)?;
            done.versions.insert(stretch.branch.clone(), stretch.newest);
        }
        Ok(done)
    }

    /// Returns the stretches of logs that are wanted, those of parents before those of their branches.
    fn stretches(&self, target: &Self, what: &Copying) -> Result<Vec<Wanted>, StoreError> {
        let (branches, at) = match what {
            Copying::All => (versions::branches(self.door())?, None),
            Copying::Branch(branch) => (vec![branch.clone()], None),
            Copying::Version(branch, at) => (vec![branch.clone()], Some(*at)),
        };
        let mut wanted: Vec<Wanted> = Vec::new();
        for branch in branches {
            let lake = self.beside(&branch);
            let newest = match at {
                Some(at) => lake.at(at)?.version,
                None => versions::newest(self.door(), &branch)?,
            };
            let there = versions::newest(target.door(), &branch)?;
            for (place, stretch) in lake.lineage(newest)?.into_iter().enumerate() {
                let oldest = match (place, at) {
                    // A version alone; what came before it stays behind.
                    (0, Some(_)) if there == 0 => newest,
                    (0, _) => versions::oldest(self.door(), &branch)?,
                    // The branch holds the rows of the version that it begins with.
                    _ => stretch.last,
                };
                wanted.push(Wanted {
                    branch: stretch.branch,
                    oldest,
                    newest: stretch.last,
                });
            }
        }
        // Of a branch that is wanted for itself and as a parent, the longer stretch holds the shorter one.
        wanted
            .sort_by(|a, b| (&a.branch, b.newest, a.oldest).cmp(&(&b.branch, a.newest, b.oldest)));
        wanted.dedup_by(|later, kept| later.branch == kept.branch);
        Ok(wanted)
    }

    /// Refuses a target whose versions are not those of this lake.
    fn check_log(&self, target: &Self, stretch: &Wanted) -> Result<(), StoreError> {
        let theirs = target.beside(&stretch.branch);
        let ours = self.beside(&stretch.branch);
        let (ours, theirs) = (ours.files(), theirs.files());
        let Some((span, there)) = ours.span()?.zip(theirs.span()?) else {
            return Ok(());
        };
        for version in span.first..=stretch.newest.min(there.last) {
            let path = ours.path_of(version);
            let (mine, other) = (self.door().get(&path)?, target.door().get(&path)?);
            if mine != other && other.is_some() && theirs.read(version).is_ok() {
                return Err(StoreError::Diverged {
                    path: target.root().to_owned(),
                    branch: stretch.branch.clone(),
                    version,
                });
            }
        }
        Ok(())
    }

    /// Records the results that are kept in these files, so that the target can say how they were made.
    fn copy_results(
        &self,
        target: &Self,
        files: &[&CellFile],
        run: &str,
    ) -> Result<u64, StoreError> {
        let known = cell::read_all(target.door())?;
        let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let cells = cell::read_all(self.door())?;
        let missing = cells.iter().filter(|cell| {
            let file = cell.file.as_ref();
            file.is_some_and(|file| paths.contains(file.path.as_str()))
                && known.get(&cell.fingerprint).is_none()
        });
        let missing: Vec<Cell> = missing.map(|cell| Cell::clone(cell)).collect();
        let runs: BTreeSet<&str> = missing.iter().map(|cell| cell.run.as_str()).collect();
        let mut copied = u64::from(!missing.is_empty());
        for run in runs {
            copied += self.copy_folder(target, &parts::folder(run))?;
        }
        cell::record(target.door(), run, &missing)?;
        Ok(copied)
    }

    fn copy_files(
        &self,
        target: &Self,
        files: &[&CellFile],
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Copied, StoreError> {
        let bytes_total = files.iter().map(|file| file.bytes).sum();
        let (files_done, bytes_done) = (AtomicU64::new(0), AtomicU64::new(0));
        let results = workers::map(files, |file| {
            let copied = self.copy_file(target, file);
            let done = bytes_done.fetch_add(file.bytes, Ordering::Relaxed);
            progress(Progress {
                files: files_done.fetch_add(1, Ordering::Relaxed) + 1,
                files_total: files.len() as u64,
                bytes: done + file.bytes,
                bytes_total,
            });
            copied
        });
        let mut done = Copied::default();
        for (file, copied) in files.iter().zip(results) {
            let size = Size {
                files: 1,
                bytes: file.bytes,
            };
            match copied? {
                true => done.copied += size,
                false => done.skipped += size,
            }
        }
        target.door().sync_pending()?;
        Ok(done)
    }

    /// Copies one file and tells whether it had to be.
    fn copy_file(&self, target: &Self, file: &CellFile) -> Result<bool, StoreError> {
        let there = match target.door().size(&file.path)? {
            Some(bytes) if bytes == file.bytes => target.door().get(&file.path)?,
            _ => None,
        };
        let there = there.filter(|bytes| Fingerprint::of(bytes) == file.hash);
        let copied = there.is_none();
        let bytes = match there {
            Some(bytes) => bytes,
            None => self.read_file(file)?,
        };
        // Also what was there: it may be the work of a process that died before its flush.
        target.door().put_content_named(&file.path, &bytes)?;
        if copied {
            target.read_file(file)?;
        }
        Ok(copied)
    }

    /// Copies the records beside the log; those of a target that knows better stay.
    fn copy_records(&self, target: &Self) -> Result<u64, StoreError> {
        let mut copied = 0;
        for folder in RECORDS {
            copied += self.copy_folder(target, folder)?;
        }
        Ok(copied)
    }

    fn copy_folder(&self, target: &Self, folder: &str) -> Result<u64, StoreError> {
        let mut copied = 0;
        for file in self.door().list_all(folder)? {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            if name.starts_with(TEMPORARY) || file.path.starts_with(crate::lease::FOLDER) {
                continue;
            }
            let Some(bytes) = self.door().get(&file.path)? else {
                continue;
            };
            let there = target.door().get(&file.path)?;
            // Another record under that name is the target's own, unless it is damaged.
            let stays = there.is_some_and(|there| {
                there == bytes
                    || !(cell::is_damaged(target.door(), &file.path, &there)
                        || note::is_damaged(target.door(), &file.path, &there)
                        || parts::is_damaged(&file.path, &there))
            });
            if !stays {
                copied += put_record(target, &file.path, &bytes)?;
            }
        }
        Ok(copied)
    }

    /// Copies the versions of one branch, oldest first, each after the files that its cells are kept in.
    fn copy_log(&self, target: &Self, stretch: &Wanted) -> Result<u64, StoreError> {
        let branch = &stretch.branch;
        let lake = self.beside(branch);
        let log = lake.files();
        let Some(span) = log.span()? else {
            return Ok(0);
        };
        if stretch.oldest > 1 && versions::newest(target.door(), branch)? < stretch.oldest {
            versions::expire(target.door(), branch, stretch.oldest)?;
        }
        let mut copied = 0;
        for version in span.first..=stretch.newest {
            let (commit, _) = log.read(version)?;
            for path in commit.chunk_paths() {
                // Read through the door of cells, so that it is known to be right.
                commit.cells(self.door())?;
                if let Some(bytes) = self.door().get(&path)? {
                    target.door().put_content_named(&path, &bytes)?;
                }
            }
            let path = log.path_of(version);
            let bytes = self.door().get(&path)?.ok_or_else(|| log.gone(version))?;
            if target.door().get(&path)?.as_deref() != Some(&bytes) {
                copied += put_record(target, &path, &bytes)?;
            }
        }
        target.door().sync_pending()?;
        Ok(copied)
    }
}

/// Gives a record its name in the target. What has the name already and was found damaged is set aside.
fn put_record(target: &Lake, path: &str, bytes: &[u8]) -> Result<u64, StoreError> {
    if target.door().put_new(path, bytes)? == Put::Created {
        return Ok(1);
    }
    target.door().set_aside(path)?;
    target.door().put_new(path, bytes)?;
    Ok(1)
}
