//! The one door to where a lake is kept: nothing else in the store writes, reads or lists files.
//!
//! ```text
//! Door -- local:  files of a folder, over a `Disk` (the host's, or a simulated one in tests)
//!      \- remote: objects of a bucket, over crate `object_store`
//! ```
//!
//! Both give the same promises: a name appears only with all of its bytes; of two writers of a name that must be new
//! one wins; what [`Door::sync_pending`] let through survives a power loss. Paths are relative to the lake and use `/`.

mod address;
mod answer;
mod disk;
mod local;
mod remote;
mod s3;
mod seal;

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lakectl_core::{Fingerprint, UtcTime};
use serde::de::DeserializeOwned;

use crate::{Failpoint, StoreError};

pub use address::{Bucket, LakeAddress};
pub(crate) use seal::{FORMAT, seal, unseal};

#[cfg(test)]
pub(crate) use disk::{Disk, Found};
#[cfg(test)]
pub(crate) use local::Local;
#[cfg(test)]
pub(crate) use remote::Remote;

/// Names beginning so are unfinished files of a writer that may have died; nobody reads them.
pub(crate) const TEMPORARY: &str = ".tmp-";

/// What [`Door::set_aside`] moves files to.
const ASIDE: &str = "_aside";

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
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// By the clock of the place that keeps it.
    pub(crate) modified: UtcTime,
}

/// A place that keeps files. [`Door`] says what each of these promises.
pub(crate) trait Backend: Debug + Send + Sync {
    fn root(&self) -> &std::path::Path;
    fn prepare(&self) -> Result<(), StoreError>;
    fn put_new(&self, path: &str, bytes: &[u8]) -> Result<Put, StoreError>;
    fn put_content_named(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError>;
    fn sync_pending(&self) -> Result<(), StoreError>;
    fn sync_folder(&self, path: &str) -> Result<(), StoreError>;
    fn get_all(&self, paths: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;
    fn sizes(&self, paths: &[String]) -> Result<Vec<Option<u64>>, StoreError>;
    fn list(&self, path: &str, wanted: Entry) -> Result<Vec<String>, StoreError>;
    fn list_all(&self, prefix: &str) -> Result<Vec<Stored>, StoreError>;
    fn delete_all(&self, paths: &[String]) -> Result<(), StoreError>;
    /// Shows that a name that is taken is not given again.
    fn prove(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError>;
}

/// The door of one lake.
#[derive(Debug)]
pub(crate) struct Door {
    backend: Box<dyn Backend>,
}

impl Door {
    /// The door of a local folder.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self::over(local::Local::new(root, disk::Host))
    }

    /// The door of a lake kept in `backend`.
    pub(crate) fn over(backend: impl Backend + 'static) -> Self {
        Self {
            backend: Box::new(backend),
        }
    }

    /// The door of a lake at an address. Nothing is written and nobody is asked.
    pub(crate) fn at(address: &LakeAddress) -> Result<Self, StoreError> {
        match address {
            LakeAddress::Folder(path) => {
                let root =
                    std::path::absolute(path).map_err(|e| StoreError::io("find", path, e))?;
                Ok(Self::new(root))
            }
            LakeAddress::Bucket(bucket) => Ok(Self::over(s3::remote(bucket)?)),
        }
    }

    /// Where the lake is, for people; a path of the file system only if the lake is a folder.
    pub(crate) fn root(&self) -> &std::path::Path {
        self.backend.root()
    }

    /// Where a file is, for people; a path of the file system only if the lake is a folder.
    pub(crate) fn full(&self, path: &str) -> PathBuf {
        match path {
            "" => self.root().to_owned(),
            path => self.root().join(path),
        }
    }

    /// Makes the place ready for the first file, durably.
    pub(crate) fn prepare(&self) -> Result<(), StoreError> {
        self.backend.prepare()
    }

    /// Gives `bytes` a name that must be new, and returns when they are durable together with everything pending.
    ///
    /// In a bucket the same bytes under that name count as created: the first answer may have been lost, and the
    /// request sent again. So what two writers want to tell apart has to differ, by the name of a run for example.
    pub(crate) fn put_new(&self, path: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        self.sync_pending()?;
        Failpoint::FilesFlushed.reached();
        self.backend.put_new(path, bytes)
    }

    /// Gives `bytes` the name of their digest. Durable after the next [`Door::sync_pending`], readable at once.
    ///
    /// A file of that name with the same bytes is kept; one with other bytes is damaged and replaced.
    pub(crate) fn put_content_named(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.backend.put_content_named(path, bytes)
    }

    /// Waits until everything that was put is durable.
    pub(crate) fn sync_pending(&self) -> Result<(), StoreError> {
        self.backend.sync_pending()
    }

    /// Makes the names in a folder durable, also those that others gave; fine if there is no such folder.
    pub(crate) fn sync_folder(&self, path: &str) -> Result<(), StoreError> {
        self.backend.sync_folder(path)
    }

    /// Returns the bytes of a file, or `None` if there is no such file.
    pub(crate) fn get(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.get_all(&[path.to_owned()])?;
        Ok(found.into_iter().next().flatten())
    }

    /// Returns the bytes of several files in the order of `paths`; from a bucket many come at the same time.
    pub(crate) fn get_all(&self, paths: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.backend.get_all(paths)
    }

    /// Reads a record that [`seal`] wrote, or `None` if there is no such file.
    pub(crate) fn get_sealed<T: DeserializeOwned>(
        &self,
        path: &str,
        repair: &'static str,
    ) -> Result<Option<(T, Fingerprint)>, StoreError> {
        self.get_verified(path, |bytes| unseal(&self.full(path), &bytes, repair))
    }

    /// Reads a file and passes it through `verify`. What does not pass is read once more: the bytes may have been cut
    /// off on their way, and only what is wrong twice is damaged.
    pub(crate) fn get_verified<T>(
        &self,
        path: &str,
        verify: impl Fn(Vec<u8>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match self.get(path)? {
            Some(bytes) => self.verified(path, bytes, verify),
            None => Ok(None),
        }
    }

    /// As [`Door::get_verified`], for bytes that came with [`Door::get_all`].
    pub(crate) fn verified<T>(
        &self,
        path: &str,
        bytes: Vec<u8>,
        verify: impl Fn(Vec<u8>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match verify(bytes) {
            Err(StoreError::Damaged { .. } | StoreError::DamagedData { .. }) => {
                self.get(path)?.map(&verify).transpose()
            }
            result => result.map(Some),
        }
    }

    /// Returns the size of a file, or `None` if there is no such file.
    pub(crate) fn size(&self, path: &str) -> Result<Option<u64>, StoreError> {
        let found = self.sizes(&[path.to_owned()])?;
        Ok(found.into_iter().next().flatten())
    }

    /// Returns the sizes of several files in the order of `paths`.
    pub(crate) fn sizes(&self, paths: &[String]) -> Result<Vec<Option<u64>>, StoreError> {
        self.backend.sizes(paths)
    }

    /// Moves a damaged file out of the way, below `_aside`, where people may look at it. Returns its new path; `None` if
    /// there is no such file.
    pub(crate) fn set_aside(&self, path: &str) -> Result<Option<String>, StoreError> {
        let Some(bytes) = self.get(path)? else {
            return Ok(None);
        };
        let mut number = 0;
        let aside = loop {
            let aside = format!("{ASIDE}/{path}.{number}");
            if self.put_new(&aside, &bytes)? == Put::Created {
                break aside;
            }
            number += 1;
        };
        self.delete(path)?;
        Ok(Some(aside))
    }

    /// Returns the sorted names in a folder, without unfinished files; nothing if there is no such folder.
    pub(crate) fn list(&self, path: &str, wanted: Entry) -> Result<Vec<String>, StoreError> {
        self.backend.list(path, wanted)
    }

    /// Returns all files in a folder and the folders in it, sorted by path, unfinished ones included.
    pub(crate) fn list_all(&self, prefix: &str) -> Result<Vec<Stored>, StoreError> {
        self.backend.list_all(prefix)
    }

    /// Deletes files; those that are not there are fine. Durable after the next [`Door::sync_pending`].
    pub(crate) fn delete_all(&self, paths: &[String]) -> Result<(), StoreError> {
        self.backend.delete_all(paths)
    }

    /// Deletes a file as [`Door::delete_all`] does.
    pub(crate) fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.delete_all(&[path.to_owned()])
    }

    /// Shows that `path`, which holds `bytes`, is not given to a second writer; an error if it would be.
    pub(crate) fn prove(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.backend.prove(path, bytes)
    }
}

/// Takes a lock. The guarded values are valid after every statement, so a panic elsewhere spoils nothing.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
