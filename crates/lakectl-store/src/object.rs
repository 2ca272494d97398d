//! The one door to the disk: nothing else in the store writes, reads or lists files.
//!
//! A name appears only after its bytes are on the disk. Names that must be new are made by a hard link, which fails
//! if the name exists; a rename would let two writers both win. Files named by their content may be renamed over,
//! and their flush waits until the end of a wave so that many small files cost few waits.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use lakectl_core::{Fingerprint, UtcTime};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::StoreError;

/// Names beginning so are unfinished files of a writer that may have died; nobody reads them.
pub(crate) const TEMPORARY: &str = ".tmp-";

/// What [`Door::set_aside`] moves files to.
pub(crate) const ASIDE: &str = "_aside";

/// Flushes wait for the disk, not for the processor, and file systems join those that wait together.
const FLUSH_THREADS: usize = 8;

/// What became of a name that had to be new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Created,
    Existed,
}

/// What [`Door::list`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    File,
    Folder,
}

/// A file as [`Door::list_all`] finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Path below the root.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// When it was written, by the store's clock.
    pub(crate) modified: UtcTime,
}

#[derive(Debug, Default)]
struct Pending {
    /// Files and folders whose flush is due.
    paths: BTreeSet<PathBuf>,
    /// Folders whose entry in their parent was flushed, or is in `paths` to be, by this process.
    known: BTreeSet<PathBuf>,
}

/// The door of one lake. Paths are relative to the root and use `/`.
#[derive(Debug)]
pub(crate) struct Door {
    root: PathBuf,
    pending: Mutex<Pending>,
    /// Held during a flush, so that whoever finds nothing pending also knows that nothing is under way.
    /// True after a failed flush: the system may have dropped the pages, so a second try would prove nothing.
    failed: Mutex<bool>,
}

impl Door {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            pending: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn full(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Gives `bytes` a name that must be new, and returns when they are durable together with everything pending.
    pub(crate) fn put_new(&self, path: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        self.sync_pending()?;
        let target = self.full(path);
        let folder = self.folder_of(&target)?;
        let temporary = self.temporary(&target, &folder, bytes)?;
        temporary
            .as_file()
            .sync_all()
            .map_err(|e| StoreError::io("flush", &target, e))?;
        let put = match fs::hard_link(temporary.path(), &target) {
            Ok(()) => Put::Created,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Put::Existed,
            Err(e) => return Err(StoreError::io("create", &target, e)),
        };
        let name = temporary.path().to_owned();
        temporary
            .close()
            .map_err(|e| StoreError::io("remove", &name, e))?;
        lock(&self.pending).paths.insert(folder);
        self.sync_pending()?;
        Ok(put)
    }

    /// Gives `bytes` the name of their digest. Durable after the next [`Door::sync_pending`].
    ///
    /// A file of that name with the same bytes is kept; one with other bytes is damaged and replaced.
    pub(crate) fn put_content_named(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let target = self.full(path);
        let folder = self.folder_of(&target)?;
        let there = fs::metadata(&target).is_ok_and(|m| m.len() == bytes.len() as u64)
            && fs::read(&target).is_ok_and(|found| found == bytes);
        if !there {
            let temporary = self.temporary(&target, &folder, bytes)?;
            temporary
                .persist(&target)
                .map_err(|e| StoreError::io("create", &target, e.error))?;
        }
        // A file that was there may be the work of a process that died before its flush.
        lock(&self.pending).paths.extend([target, folder]);
        Ok(())
    }

    /// Flushes all files and folders that wait for it.
    pub(crate) fn sync_pending(&self) -> Result<(), StoreError> {
        let mut failed = lock(&self.failed);
        if *failed {
            return Err(StoreError::FlushFailed {
                path: self.root.clone(),
            });
        }
        let paths: Vec<PathBuf> = std::mem::take(&mut lock(&self.pending).paths)
            .into_iter()
            .collect();
        let result = sync_all(&paths);
        *failed = result.is_err();
        result
    }

    /// Returns the bytes of a file, or `None` if there is no such file.
    pub(crate) fn get(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let target = self.full(path);
        match fs::read(&target) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StoreError::io("read", &target, e)),
        }
    }

    /// Returns the size of a file, or `None` if there is no such file.
    pub(crate) fn size(&self, path: &str) -> Result<Option<u64>, StoreError> {
        let target = self.full(path);
        match fs::metadata(&target) {
            Ok(meta) => Ok(Some(meta.len())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StoreError::io("look at", &target, e)),
        }
    }

    /// Returns the sorted names in a folder, without unfinished files; nothing if there is no such folder.
    pub(crate) fn list(&self, path: &str, wanted: Entry) -> Result<Vec<String>, StoreError> {
        let folder = self.full(path);
        let failed = |e| StoreError::io("list", &folder, e);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.file_type().map_err(failed)?.is_dir();
            if is_folder == (wanted == Entry::Folder) && !name.starts_with(TEMPORARY) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Returns every file below a folder, unfinished ones too, in order of their paths; nothing if there is no such folder.
    pub(crate) fn list_all(&self, folder: &str) -> Result<Vec<Stored>, StoreError> {
        let mut found = Vec::new();
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            let full = self.full(&folder);
            let failed = |e| StoreError::io("list", &full, e);
            let entries = match fs::read_dir(&full) {
                Ok(entries) => entries,
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(failed(e)),
            };
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = match folder.is_empty() {
                    true => name,
                    false => format!("{folder}/{name}"),
                };
                let meta = match entry.metadata() {
                    Ok(meta) => meta,
                    // Gone since it was listed.
                    Err(e) if e.kind() == ErrorKind::NotFound => continue,
                    Err(e) => return Err(StoreError::io("look at", &self.full(&path), e)),
                };
                if meta.is_dir() {
                    open.push(path);
                    continue;
                }
                let modified = meta.modified().map_err(failed)?;
                let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
                found.push(Stored {
                    path,
                    bytes: meta.len(),
                    modified: UtcTime::from_micros(
                        i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
                    ),
                });
            }
        }
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Removes a file; tells whether it was there. Durable when the system writes its folder, which nobody waits for:
    /// a file that comes back after a crash is garbage once more.
    pub(crate) fn delete(&self, path: &str) -> Result<bool, StoreError> {
        let target = self.full(path);
        match fs::remove_file(&target) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(StoreError::io("remove", &target, e)),
        }
    }

    /// Moves a damaged file out of the way, below `_aside`, where people may look at it. Returns its new path.
    pub(crate) fn set_aside(&self, path: &str) -> Result<String, StoreError> {
        let bytes = self.get(path)?.unwrap_or_default();
        let mut number = 0;
        let aside = loop {
            let aside = format!("{ASIDE}/{path}.{number}");
            if self.put_new(&aside, &bytes)? == Put::Created {
                break aside;
            }
            number += 1;
        };
        self.delete(path)?;
        Ok(aside)
    }

    /// Makes the folder of `target`. What it adds to any folder above is flushed with the pending files.
    fn folder_of(&self, target: &Path) -> Result<PathBuf, StoreError> {
        let folder = target.parent().unwrap_or(&self.root);
        if !lock(&self.pending).known.contains(folder) {
            fs::create_dir_all(folder).map_err(|e| StoreError::io("make folder", folder, e))?;
            let mut pending = lock(&self.pending);
            // Folders found in place count as new: whoever made them may have died before the flush.
            for at in folder.ancestors().take_while(|at| *at != self.root) {
                if pending.known.insert(at.to_owned())
                    && let Some(parent) = at.parent()
                {
                    pending.paths.insert(parent.to_owned());
                }
            }
        }
        Ok(folder.to_owned())
    }

    /// Writes the bytes of `target` beside it; errors name the target.
    fn temporary(
        &self,
        target: &Path,
        folder: &Path,
        bytes: &[u8],
    ) -> Result<NamedTempFile, StoreError> {
        let failed = |e| StoreError::io("write", target, e);
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        let found = file.as_file().metadata().map_err(failed)?.len();
        if found != bytes.len() as u64 {
            return Err(StoreError::ShortWrite {
                path: target.to_owned(),
                expected: bytes.len() as u64,
                found,
            });
        }
        Ok(file)
    }
}

/// Makes a folder whose parent exists, durably. A folder found in place counts as new: its maker may have died.
pub(crate) fn make_folder(path: &Path) -> Result<(), StoreError> {
    if !path.is_dir() {
        match fs::create_dir(path) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                return Err(StoreError::io("make folder", path, e));
            }
            _ => {}
        }
    }
    match path.parent().map_or(Ok(()), sync) {
        // A folder above that we may pass through but not read was there before us.
        Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
            Ok(())
        }
        result => result,
    }
}

fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|e| StoreError::io("flush", path, e))
}

fn sync_all(paths: &[PathBuf]) -> Result<(), StoreError> {
    if paths.len() < 2 {
        return paths.iter().try_for_each(|path| sync(path));
    }
    let share = paths.len().div_ceil(FLUSH_THREADS);
    std::thread::scope(|scope| {
        let workers: Vec<_> = paths
            .chunks(share)
            .map(|part| scope.spawn(|| part.iter().try_for_each(|path| sync(path))))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|e| std::panic::resume_unwind(e))
        })
    })
}

/// Takes a lock. The guarded values are valid after every statement, so a panic elsewhere spoils nothing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The newest format of records that this program reads, and the one it writes.
pub(crate) const FORMAT: u64 = 1;
const TRAILER_BYTES: usize = 79;

#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

fn trailer(id: Fingerprint) -> String {
    format!("\n{{\"blake3\":\"{id}\"}}\n")
}

/// Writes a record as one line of JSON and a second line with its digest, which is returned too.
///
/// The record's first field must be `format`.
pub(crate) fn seal(record: &impl Serialize) -> Result<(Vec<u8>, Fingerprint), serde_json::Error> {
    let mut bytes = serde_json::to_vec(record)?;
    let id = Fingerprint::of(&bytes);
    bytes.extend_from_slice(trailer(id).as_bytes());
    Ok((bytes, id))
}

/// Reads what [`seal`] wrote and returns its digest; any change of any byte is an error.
pub(crate) fn unseal<T: DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
    repair: &'static str,
) -> Result<(T, Fingerprint), StoreError> {
    let damaged = |problem: String| StoreError::Damaged {
        path: path.to_owned(),
        problem,
        repair,
    };
    let split = bytes.len().saturating_sub(TRAILER_BYTES);
    let (payload, end) = bytes.split_at(split);
    let id = Fingerprint::of(payload);
    if end != trailer(id).as_bytes() {
        return Err(damaged(
            "its content does not match its digest (cut off or altered)".to_owned(),
        ));
    }
    if !payload.starts_with(format!("{{\"format\":{FORMAT},").as_bytes()) {
        let found: FormatOnly =
            serde_json::from_slice(payload).map_err(|e| damaged(e.to_string()))?;
        return Err(StoreError::NewerFormat {
            path: path.to_owned(),
            found: found.format,
            known: FORMAT,
        });
    }
    let record = serde_json::from_slice(payload).map_err(|e| damaged(e.to_string()))?;
    Ok((record, id))
}
