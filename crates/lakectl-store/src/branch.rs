//! Branches: logs that begin at a version of another one and share its data, its chunks and the record of results.

use std::collections::BTreeSet;

use lakectl_core::{Fingerprint, UtcTime};
use serde::{Deserialize, Serialize};

use crate::commit::{COLLECTION, Commit};
use crate::log::{FOLDER, Log};
use crate::object::Entry;
use crate::uses::each;
use crate::{CommitRequest, Lake, Snapshot, StoreError, VersionRef};

/// The branch that every lake has.
pub const MAIN: &str = "main";
const NAME_BYTES_MAX: usize = 64;

/// A version of a branch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The branch.
    pub branch: String,
    /// The version.
    pub version: u64,
    /// The digest of its commit; `None` for version 0.
    pub id: Option<Fingerprint>,
}

/// Who changes the lake by hand, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Names the deed as a run is named.
    pub run: String,
    /// Who, as `user@host`; may be empty.
    pub who: String,
    /// When, by the caller's clock.
    pub time: UtcTime,
    /// Why, in a person's words; may be empty.
    pub why: String,
}

/// A branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchInfo {
    /// Its name.
    pub name: String,
    /// The version that it began with; `None` for `main`.
    pub origin: Option<Origin>,
    /// Its newest version.
    pub version: u64,
    /// When that was committed.
    pub time: UtcTime,
    /// Who began it; empty for `main`.
    pub who: String,
    /// Why it was begun.
    pub why: String,
}

/// A stretch of a log that belongs to a branch's past: from the version it begins with to `last`.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) branch: String,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Stretch {
    pub(crate) fn holds(&self, branch: &str, version: u64) -> bool {
        self.branch == branch && (self.first..=self.last).contains(&version)
    }
}

/// Refuses what could not name a branch: it becomes a folder, and must not read as a version or a time.
fn check_name(name: &str) -> Result<(), StoreError> {
    let good =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins_well || name.len() > NAME_BYTES_MAX || !name.chars().all(good) {
        return Err(StoreError::BranchName {
            name: name.to_owned(),
        });
    }
    Ok(())
}

impl Lake {
    /// Returns the branch of this handle: what it reads and commits.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// Returns a handle of the same lake on another branch.
    ///
    /// # Errors
    /// [`StoreError::BranchName`]; [`StoreError::NoBranch`] with the branches there are.
    pub fn on_branch(&self, name: &str) -> Result<Self, StoreError> {
        check_name(name)?;
        let lake = self.beside(name);
        if name != MAIN {
            let log = lake.files();
            let last = log.span()?.map(|span| log.read(span.last)).transpose()?;
            if last.is_none_or(|(commit, _)| commit.closes) {
                return Err(self.no_branch(name)?);
            }
        }
        Ok(lake)
    }

    pub(crate) fn no_branch(&self, name: &str) -> Result<StoreError, StoreError> {
        let known = self.branches()?;
        let known: Vec<String> = known.into_iter().map(|branch| branch.name).collect();
        Ok(StoreError::NoBranch {
            branch: name.to_owned(),
            known: known.join(", "),
        })
    }

    /// Lists the branches: `main`, then the others by name.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the file of a log that is.
    pub fn branches(&self) -> Result<Vec<BranchInfo>, StoreError> {
        let mut branches = vec![self.beside(MAIN).branch_info()?];
        for name in self.door.list(FOLDER, Entry::Folder)? {
            if name == MAIN || check_name(&name).is_err() {
                continue;
            }
            branches.push(self.beside(&name).branch_info()?);
        }
        Ok(branches.into_iter().flatten().collect())
    }

    fn branch_info(&self) -> Result<Option<BranchInfo>, StoreError> {
        let log = self.files();
        let is_main = self.branch == MAIN;
        let mut info = BranchInfo {
            name: self.branch.clone(),
            origin: None,
            version: 0,
            time: Snapshot::empty().time,
            who: String::new(),
            why: String::new(),
        };
        let Some(span) = log.span()? else {
            return Ok(is_main.then_some(info));
        };
        let (last, _) = log.read(span.last)?;
        if last.closes {
            return Ok(None);
        }
        (info.version, info.time) = (last.version, last.time);
        if !is_main {
            let (begin, id) = self.beginning(span.last)?;
            let begin = begin.info(&self.branch, id);
            (info.origin, info.who, info.why) = (begin.origin, begin.who, begin.message);
        }
        Ok(Some(info))
    }

    /// Returns the commit with which a branch other than `main` began, as of `version`.
    fn beginning(&self, version: u64) -> Result<(Commit, Fingerprint), StoreError> {
        let log = self.files();
        let first = log.span()?.map_or(1, |span| span.first);
        for version in (first..=version).rev() {
            let (commit, id) = log.read(version)?;
            if commit.origin.is_some() {
                return Ok((commit, id));
            }
        }
        Err(log.gone(first.saturating_sub(1)))
    }

    /// Returns the stretches of logs that make up the past of a version of this branch, the newest first.
    pub(crate) fn lineage(&self, version: u64) -> Result<Vec<Stretch>, StoreError> {
        let mut stretches = Vec::new();
        let (mut branch, mut last) = (self.branch.clone(), version);
        loop {
            let origin = match branch == MAIN {
                true => None,
                false => Some(self.beside(&branch).beginning(last)?.0),
            };
            let first = origin.as_ref().map_or(0, |commit| commit.version);
            let origin = origin.and_then(|commit| commit.origin);
            stretches.push(Stretch {
                branch,
                first,
                last,
            });
            let Some(origin) = origin else {
                return Ok(stretches);
            };
            (branch, last) = (origin.branch, origin.version);
        }
    }

    /// Begins a branch at a version of this one.
    ///
    /// The name of a deleted branch may be used again; its log goes on, and its old versions stay readable.
    ///
    /// # Errors
    /// [`StoreError::BranchName`], [`StoreError::BranchExists`], [`StoreError::NoVersion`].
    pub fn create_branch(
        &self,
        name: &str,
        at: Option<VersionRef>,
        signed: &Signed,
    ) -> Result<BranchInfo, StoreError> {
        check_name(name)?;
        let exists = || StoreError::BranchExists {
            branch: name.to_owned(),
        };
        if name == MAIN {
            return Err(exists());
        }
        let start = match at {
            Some(version) => self.at(version)?,
            None => self.head()?,
        };
        let lake = self.beside(name);
        let log = lake.files();
        let mut before = Snapshot::empty();
        if let Some(span) = log.span()? {
            let (last, id) = log.read(span.last)?;
            if !last.closes {
                return Err(exists());
            }
            (before.version, before.time, before.id) = (last.version, last.time, Some(id));
        } else {
            // Numbers go on from the parent's, so that a version means the same before the branch began.
            before.version = start.version;
            before.time = start.time;
        }
        let mut commit = Commit::following(&before, &signed.request(&before, "branch"));
        commit.origin = Some(Origin {
            branch: self.branch.clone(),
            version: start.version,
            id: start.id,
        });
        let condemned = self.condemned_beside(&start)?;
        commit.condemned = condemned
            .into_iter()
            .filter(|name| !start.condemned.contains_key(name))
            .collect();
        if log.put(&commit)?.is_none() {
            return Err(exists());
        }
        lake.settle(self, &start, signed)?;
        lake.branch_info()?.ok_or_else(exists)
    }

    /// Returns the names that any branch has condemned, but for those that a version refers to.
    ///
    /// # Errors
    /// [`StoreError::Expired`] if this branch, whose version it is, has condemned one of those.
    fn condemned_beside(&self, version: &Snapshot) -> Result<BTreeSet<String>, StoreError> {
        let used: BTreeSet<&String> = each(version)
            .filter_map(|cell| cell.file.as_ref().map(|file| &file.path))
            .collect();
        let mut names = BTreeSet::new();
        for branch in self.branches()? {
            let head = self.beside(&branch.name).head()?;
            if branch.name == self.branch && head.condemned.keys().any(|name| used.contains(name)) {
                return Err(StoreError::Expired {
                    version: version.version,
                    oldest: self.oldest()?,
                });
            }
            let condemned = head.condemned.keys().filter(|name| !used.contains(name));
            names.extend(condemned.cloned());
        }
        Ok(names)
    }

    /// Brings a branch that was just begun in line with collections that went on meanwhile: either they see the branch,
    /// or it sees what they have condemned.
    fn settle(&self, parent: &Self, start: &Snapshot, signed: &Signed) -> Result<(), StoreError> {
        loop {
            let condemned = match parent.condemned_beside(start) {
                Ok(condemned) => condemned,
                Err(error) => {
                    self.delete_branch(&self.branch, signed)?;
                    return Err(error);
                }
            };
            let head = self.head()?;
            let new = condemned.into_iter();
            let new: Vec<String> = new
                .filter(|name| !head.condemned.contains_key(name))
                .collect();
            if new.is_empty() {
                return Ok(());
            }
            let mut commit = Commit::following(&head, &signed.request(&head, COLLECTION));
            commit.condemned = new;
            self.files().put(&commit)?;
        }
    }

    /// Ends a branch. Its log stays, so what it held can be read from the branches that began at it.
    ///
    /// # Errors
    /// [`StoreError::MainBranch`]; [`StoreError::NoBranch`].
    pub fn delete_branch(&self, name: &str, signed: &Signed) -> Result<(), StoreError> {
        check_name(name)?;
        if name == MAIN {
            return Err(StoreError::MainBranch);
        }
        let log = self.beside(name);
        let log = log.files();
        loop {
            let last = log.span()?.map(|span| log.read(span.last)).transpose()?;
            let Some((last, id)) = last.filter(|(last, _)| !last.closes) else {
                return Err(self.no_branch(name)?);
            };
            let head = Snapshot {
                version: last.version,
                time: last.time,
                id: Some(id),
                ..Snapshot::empty()
            };
            let mut commit = Commit::following(&head, &signed.request(&head, "delete branch"));
            commit.closes = true;
            // Somebody else's commit came first: it is ended with the branch.
            if log.put(&commit)?.is_some() {
                return Ok(());
            }
        }
    }

    pub(crate) fn files(&self) -> Log<'_> {
        Log {
            door: &self.door,
            branch: &self.branch,
        }
    }
}

impl Signed {
    /// Returns a request that changes nothing yet.
    pub fn request<'a>(&self, base: &'a Snapshot, reason: &str) -> CommitRequest<'a> {
        CommitRequest {
            who: self.who.clone(),
            message: self.why.clone(),
            ..CommitRequest::new(base, &self.run, self.time, reason)
        }
    }
}
