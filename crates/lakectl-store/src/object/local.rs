//! A lake in a folder.
//!
//! A name appears only after its bytes are on the disk. Names that must be new are made by a hard link, which fails
//! if the name exists; a rename would let two writers both win. Files named by their content may be renamed over,
//! and their flush waits until the end of a wave so that many small files cost few waits.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::disk::Disk;
use super::{Backend, Entry, Put, Stored, TEMPORARY, lock};
use crate::{Failpoint, StoreError};

#[derive(Debug, Default)]
struct Pending {
    /// Files and folders whose flush is due.
    paths: BTreeSet<PathBuf>,
    /// Folders whose entry in their parent was flushed, or is in `paths` to be, by this process.
    known: BTreeSet<PathBuf>,
}

/// The files of one folder.
#[derive(Debug)]
pub(crate) struct Local<D> {
    root: PathBuf,
    disk: D,
    pending: Mutex<Pending>,
    /// Held during a flush, so that whoever finds nothing pending also knows that nothing is under way.
    /// True after a failed flush: the system may have dropped the pages, so a second try would prove nothing.
    failed: Mutex<bool>,
}

impl<D: Disk> Local<D> {
    pub(crate) fn new(root: PathBuf, disk: D) -> Self {
        Self {
            root,
            disk,
            pending: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    fn full(&self, path: &str) -> PathBuf {
        match path {
            "" => self.root.clone(),
            path => self.root.join(path),
        }
    }

    /// Makes the folder of `target`. What it adds to any folder above is flushed with the pending files.
    fn folder_of(&self, target: &Path) -> Result<PathBuf, StoreError> {
        let folder = target.parent().unwrap_or(&self.root);
        if !lock(&self.pending).known.contains(folder) {
            self.disk
                .make_folders(folder)
                .map_err(|e| StoreError::io("make folder", folder, e))?;
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
        flush: bool,
    ) -> Result<PathBuf, StoreError> {
        let written = self.disk.write(folder, bytes, flush);
        let (path, found) = written.map_err(|e| StoreError::io("write", target, e))?;
        if found != bytes.len() as u64 {
            self.forget(&path);
            return Err(StoreError::ShortWrite {
                path: target.to_owned(),
                expected: bytes.len() as u64,
                found,
            });
        }
        Ok(path)
    }

    /// Removes an unfinished file after a failure. One that stays is harmless, and the failure is what matters.
    fn forget(&self, temporary: &Path) {
        let _ = self.disk.remove(temporary);
    }

    /// Makes a folder whose parent exists, durably. A folder found in place counts as new: its maker may have died.
    fn make_folder(&self, path: &Path) -> Result<(), StoreError> {
        if !self.disk.look(path).is_ok_and(|found| found.is_folder) {
            match self.disk.make_folder(path) {
                Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                    return Err(StoreError::io("make folder", path, e));
                }
                _ => {}
            }
        }
        match path.parent().map_or(Ok(()), |parent| self.flush(parent)) {
            // A folder above that we may pass through but not read was there before us.
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
                Ok(())
            }
            result => result,
        }
    }

    fn flush(&self, path: &Path) -> Result<(), StoreError> {
        let flushed = self.disk.flush(path);
        flushed.map_err(|e| StoreError::io("flush", path, e))
    }

    /// The entries of a folder; none if there is no such folder.
    fn entries(&self, folder: &Path) -> Result<Vec<(String, bool)>, StoreError> {
        let listed = absent(self.disk.list(folder));
        let listed = listed.map_err(|e| StoreError::io("list", folder, e))?;
        Ok(listed.unwrap_or_default())
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let target = self.full(path);
        absent(self.disk.read(&target)).map_err(|e| StoreError::io("read", &target, e))
    }
}

impl<D: Disk> Backend for Local<D> {
    fn root(&self) -> &Path {
        &self.root
    }

    fn prepare(&self) -> Result<(), StoreError> {
        if let Some(parent) = self.root.parent() {
            self.make_folder(parent)?;
        }
        self.make_folder(&self.root)
    }

    fn put_new(&self, path: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        let target = self.full(path);
        let folder = self.folder_of(&target)?;
        let temporary = self.temporary(&target, &folder, bytes, true)?;
        let linked = self.disk.link(&temporary, &target);
        let put = match linked {
            Ok(()) => Put::Created,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Put::Existed,
            Err(e) => {
                self.forget(&temporary);
                return Err(StoreError::io("create", &target, e));
            }
        };
        Failpoint::NameLinked.reached();
        self.disk
            .remove(&temporary)
            .map_err(|e| StoreError::io("remove", &temporary, e))?;
        lock(&self.pending).paths.insert(folder);
        self.sync_pending()?;
        Ok(put)
    }

    fn put_content_named(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let target = self.full(path);
        let folder = self.folder_of(&target)?;
        let size = self.disk.look(&target).map(|found| found.bytes);
        let there = size.is_ok_and(|size| size == bytes.len() as u64)
            && self.disk.read(&target).is_ok_and(|found| found == bytes);
        if !there {
            let temporary = self.temporary(&target, &folder, bytes, false)?;
            if let Err(e) = self.disk.rename(&temporary, &target) {
                self.forget(&temporary);
                return Err(StoreError::io("create", &target, e));
            }
        }
        Failpoint::FileWritten.reached();
        // A file that was there may be the work of a process that died before its flush.
        lock(&self.pending).paths.extend([target, folder]);
        Ok(())
    }

    fn sync_pending(&self) -> Result<(), StoreError> {
        let mut failed = lock(&self.failed);
        if *failed {
            return Err(StoreError::FlushFailed {
                path: self.root.clone(),
            });
        }
        let paths: Vec<PathBuf> = std::mem::take(&mut lock(&self.pending).paths)
            .into_iter()
            .collect();
        let flushed = self.disk.flush_all(&paths);
        let result = flushed.map_err(|(path, e)| StoreError::io("flush", &path, e));
        *failed = result.is_err();
        result
    }

    fn get_all(&self, paths: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        paths.iter().map(|path| self.read(path)).collect()
    }

    fn sizes(&self, paths: &[String]) -> Result<Vec<Option<u64>>, StoreError> {
        let sizes = paths.iter().map(|path| {
            let target = self.full(path);
            let found = absent(self.disk.look(&target));
            let found = found.map_err(|e| StoreError::io("look at", &target, e))?;
            Ok(found.map(|found| found.bytes))
        });
        sizes.collect()
    }

    fn list(&self, path: &str, wanted: Entry) -> Result<Vec<String>, StoreError> {
        let entries = self.entries(&self.full(path))?.into_iter();
        let mut names: Vec<String> = entries
            .filter(|(name, is_folder)| {
                *is_folder == (wanted == Entry::Folder) && !name.starts_with(TEMPORARY)
            })
            .map(|(name, _)| name)
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn list_all(&self, prefix: &str) -> Result<Vec<Stored>, StoreError> {
        let mut files = Vec::new();
        let mut folders = vec![prefix.to_owned()];
        while let Some(folder) = folders.pop() {
            for (name, is_folder) in self.entries(&self.full(&folder))? {
                let path = match folder.as_str() {
                    "" => name,
                    folder => format!("{folder}/{name}"),
                };
                if is_folder {
                    folders.push(path);
                    continue;
                }
                let target = self.full(&path);
                let found = absent(self.disk.look(&target));
                // Gone since it was listed, if there is nothing.
                let found = found.map_err(|e| StoreError::io("look at", &target, e))?;
                files.extend(found.map(|found| Stored {
                    path,
                    bytes: found.bytes,
                    modified: found.modified,
                }));
            }
        }
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    fn delete_all(&self, paths: &[String]) -> Result<(), StoreError> {
        for path in paths {
            let target = self.full(path);
            let removed = absent(self.disk.remove(&target));
            let removed = removed.map_err(|e| StoreError::io("delete", &target, e))?;
            if let (Some(()), Some(folder)) = (removed, target.parent()) {
                let mut pending = lock(&self.pending);
                pending.paths.remove(&target);
                pending.paths.insert(folder.to_owned());
            }
        }
        Ok(())
    }

    /// File systems without hard links say so when the first name is made.
    fn prove(&self, _path: &str, _bytes: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }
}

/// `None` for what is not there.
fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}
