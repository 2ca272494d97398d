//! The files of one branch's log: one a version, each naming the one before it by digest.

use lakectl_core::Fingerprint;

use crate::StoreError;
use crate::commit::Commit;
use crate::object::{Door, Entry, Put, seal};

/// The folder that holds a folder for each branch.
pub(crate) const FOLDER: &str = "_log";
pub(crate) const REPAIR: &str = "restore the file from a copy of the lake; without one, move it and all later versions out of the folder: the lake is then the version before it, and its data files are untouched";

/// The first and the last version of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// The log of one branch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log<'a> {
    pub(crate) door: &'a Door,
    pub(crate) branch: &'a str,
}

impl Log<'_> {
    /// Returns the folder of the log.
    pub(crate) fn folder(&self) -> String {
        format!("{FOLDER}/{}", self.branch)
    }

    pub(crate) fn path_of(&self, version: u64) -> String {
        format!("{}/{version:020}.json", self.folder())
    }

    /// Returns the versions of the log; `None` if there are none.
    pub(crate) fn span(&self) -> Result<Option<Span>, StoreError> {
        let versions = versions(self.door.list(&self.folder(), Entry::File)?);
        Ok(versions
            .first()
            .zip(versions.last())
            .map(|(first, last)| Span {
                first: *first,
                last: *last,
            }))
    }

    pub(crate) fn damaged(&self, version: u64, problem: &str) -> StoreError {
        StoreError::Damaged {
            path: self.door.full(&self.path_of(version)),
            problem: problem.to_owned(),
            repair: REPAIR,
        }
    }

    /// Returns the error for a version that is not there although a later one is.
    pub(crate) fn gone(&self, version: u64) -> StoreError {
        self.damaged(version, "it is missing, but a later version was published")
    }

    /// Returns the error for a version whose parent is another than the one before it.
    pub(crate) fn astray(&self, version: u64) -> StoreError {
        self.damaged(version, "it does not follow the version before it")
    }

    /// Reads a version, if it is there.
    pub(crate) fn find(&self, version: u64) -> Result<Option<(Commit, Fingerprint)>, StoreError> {
        let path = self.path_of(version);
        let Some((commit, id)) = self.door.get_sealed::<Commit>(&path, REPAIR)? else {
            return Ok(None);
        };
        if commit.version != version {
            return Err(self.damaged(version, "it holds another version than its name says"));
        }
        Ok(Some((commit, id)))
    }

    /// Reads a version that must exist, because a later one does.
    pub(crate) fn read(&self, version: u64) -> Result<(Commit, Fingerprint), StoreError> {
        self.find(version)?.ok_or_else(|| self.gone(version))
    }

    /// Reads a version that must exist and must follow `parent`.
    pub(crate) fn read_after(
        &self,
        version: u64,
        parent: Option<Fingerprint>,
    ) -> Result<(Commit, Fingerprint), StoreError> {
        let (commit, id) = self.read(version)?;
        if commit.parent != parent {
            return Err(self.astray(version));
        }
        Ok((commit, id))
    }

    /// Makes every version that can be seen durable, whoever made it.
    pub(crate) fn settle(&self) -> Result<(), StoreError> {
        self.door.sync_folder(&self.folder())
    }

    /// Tries to make `commit` the next version; `None` if somebody else's took its number.
    pub(crate) fn put(&self, commit: &Commit) -> Result<Option<Fingerprint>, StoreError> {
        let (bytes, id) = seal(commit).map_err(|e| {
            self.damaged(
                commit.version,
                &format!("it cannot be written as JSON: {e}"),
            )
        })?;
        match self.door.put_new(&self.path_of(commit.version), &bytes) {
            Ok(Put::Created) => Ok(Some(id)),
            // An earlier attempt may have landed while its answer was lost.
            Ok(Put::Existed) => Ok(self.landed(commit, id).then_some(id)),
            // So may this one: what stands there now settles it.
            Err(error) if error.is_unsettled() && self.landed(commit, id) => Ok(Some(id)),
            Err(error) => Err(error),
        }
    }

    /// Tells whether the commit of this digest is the one that has its number.
    fn landed(&self, commit: &Commit, id: Fingerprint) -> bool {
        let there = self.find(commit.version);
        there.is_ok_and(|there| there.is_some_and(|(_, found)| found == id))
    }
}

/// Returns the numbers of files that are named by a version, sorted.
pub(crate) fn versions(names: Vec<String>) -> Vec<u64> {
    let number = |name: &String| {
        let digits = name.strip_suffix(".json")?;
        (digits.len() == 20).then(|| digits.parse::<u64>().ok())?
    };
    let mut versions: Vec<u64> = names.iter().filter_map(number).collect();
    versions.sort_unstable();
    versions
}
