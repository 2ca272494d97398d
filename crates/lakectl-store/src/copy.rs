//! Copying a lake: files first, then the records of results, then the log, so that the target is readable when it is
//! complete and not before. What is there and right is passed over: an interrupted copy goes on, and a copy over a
//! damaged lake mends it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use lakectl_core::{CellFile, Fingerprint};
use serde::Serialize;

use crate::object::{Put, TEMPORARY};
use crate::uses::Uses;
use crate::{Lake, Progress, Size, StoreError, VersionRef, cell, versions, workers};

/// Folders of records that go along when a whole lake is copied.
const RECORDS: [&str; 3] = ["_cells", "_checks", "_runs"];

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
struct Stretch {
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
        let uses = Uses::strict(self.door())?;
        let stretches = self.stretches(target, what)?;
        for stretch in &stretches {
            self.check_log(target, stretch)?;
        }
        let wanted = |used: &&crate::uses::Use| {
            *what == Copying::All
                || used.spans.iter().any(|span| {
                    stretches.iter().any(|stretch| {
                        span.branch == stretch.branch
                            && span.first <= stretch.newest
                            && span.last >= stretch.oldest
                    })
                })
        };
        let files: Vec<&CellFile> = uses
            .files
            .values()
            .filter(wanted)
            .map(|used| &used.file)
            .collect();
        let mut done = self.copy_files(target, &files, progress)?;
        if *what == Copying::All {
            done.records += self.copy_records(target)?;
        }
        for stretch in &stretches {
            done.records += self.copy_log(target, stretch)?;
            done.versions.insert(stretch.branch.clone(), stretch.newest);
        }
        Ok(done)
    }

    fn stretches(&self, target: &Self, what: &Copying) -> Result<Vec<Stretch>, StoreError> {
        let branches = match what {
            Copying::All => versions::branches(self.door())?,
            Copying::Branch(branch) | Copying::Version(branch, _) => vec![branch.clone()],
        };
        let mut stretches = Vec::new();
        for branch in branches {
            let oldest = versions::oldest(self.door(), &branch)?;
            let (oldest, newest) = match what {
                Copying::Version(_, at) => {
                    let version = self.at(*at)?.version;
                    match versions::newest(target.door(), &branch)? {
                        // A version alone; what came before it stays behind.
                        0 => (version, version),
                        _ => (oldest, version),
                    }
                }
                _ => (oldest, versions::newest(self.door(), &branch)?),
            };
            stretches.push(Stretch {
                branch,
                oldest,
                newest,
            });
        }
        Ok(stretches)
    }

    /// Refuses a target whose versions are not those of this lake.
    fn check_log(&self, target: &Self, stretch: &Stretch) -> Result<(), StoreError> {
        let common = stretch
            .newest
            .min(versions::newest(target.door(), &stretch.branch)?);
        let path = |version| versions::path(&stretch.branch, version);
        for version in 1..=common {
            let ours = self.door().get(&path(version))?;
            let theirs = target.door().get(&path(version))?;
            if ours != theirs
                && theirs.is_some()
                && versions::load(target.door(), &stretch.branch, version).is_ok()
            {
                return Err(StoreError::Diverged {
                    path: target.root().to_owned(),
                    branch: stretch.branch.clone(),
                    version,
                });
            }
        }
        Ok(())
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
            for file in self.door().list_all(folder)? {
                let name = file.path.rsplit('/').next().unwrap_or_default();
                if name.starts_with(TEMPORARY) || file.path.starts_with(crate::lease::FOLDER) {
                    continue;
                }
                let Some(bytes) = self.door().get(&file.path)? else {
                    continue;
                };
                match target.door().get(&file.path)? {
                    None => copied += put_record(target, &file.path, &bytes)?,
                    Some(there) if there == bytes => {}
                    // Another record under that name is the target's own, unless it is damaged.
                    Some(there) => {
                        if cell::is_damaged(target.door(), &file.path, &there) {
                            copied += put_record(target, &file.path, &bytes)?;
                        }
                    }
                }
            }
        }
        Ok(copied)
    }

    /// Copies the versions of one branch, oldest first.
    fn copy_log(&self, target: &Self, stretch: &Stretch) -> Result<u64, StoreError> {
        let branch = &stretch.branch;
        if stretch.oldest > 1 && versions::newest(target.door(), branch)? < stretch.oldest {
            versions::expire(target.door(), branch, stretch.oldest)?;
        }
        let mut copied = 0;
        for version in 1..=stretch.newest {
            let path = versions::path(branch, version);
            versions::load(self.door(), branch, version)?;
            // The one who removes versions leaves the log alone.
            let Some(bytes) = self.door().get(&path)? else {
                continue;
            };
            if target.door().get(&path)?.as_deref() == Some(&bytes) {
                continue;
            }
            copied += put_record(target, &path, &bytes)?;
        }
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
