//! What collection, verification and copying ask of the logs of all branches.

use crate::commit::{self, Commit};
use crate::object::{Door, Entry};
use crate::{Lake, StoreError};
use lakectl_core::Fingerprint;

/// A name in a log's folder that says from which version on the rows are kept.
const OLDEST: &str = ".oldest";

/// Returns the names of all branches.
pub(crate) fn branches(door: &Door) -> Result<Vec<String>, StoreError> {
    door.list(commit::LOGS, Entry::Folder)
}

/// Returns the path of a version below the lake's root.
pub(crate) fn path(branch: &str, version: u64) -> String {
    format!("{}/{branch}/{version:020}.json", commit::LOGS)
}

/// Returns the newest version of a branch; 0 if there is none.
pub(crate) fn newest(door: &Door, branch: &str) -> Result<u64, StoreError> {
    Ok(numbers(door, branch, ".json")?.max().unwrap_or(0))
}

/// Returns the first version of a branch whose rows are kept.
pub(crate) fn oldest(door: &Door, branch: &str) -> Result<u64, StoreError> {
    Ok(numbers(door, branch, OLDEST)?.max().unwrap_or(1))
}

/// Says that the rows of versions before `oldest` are not kept any more. Nothing takes that back: the largest of these
/// marks counts, so somebody who stalled cannot bring back what others have begun to remove.
pub(crate) fn expire(door: &Door, branch: &str, oldest: u64) -> Result<(), StoreError> {
    let mark = format!("{}/{branch}/{oldest:020}{OLDEST}", commit::LOGS);
    door.put_new(&mark, format!("{{\"oldest\":{oldest}}}\n").as_bytes())?;
    Ok(())
}

fn numbers(
    door: &Door,
    branch: &str,
    ending: &'static str,
) -> Result<impl Iterator<Item = u64>, StoreError> {
    let names = door.list(&format!("{}/{branch}", commit::LOGS), Entry::File)?;
    Ok(names.into_iter().filter_map(move |name| {
        let digits = name.strip_suffix(ending)?;
        (digits.len() == 20).then(|| digits.parse().ok())?
    }))
}

/// Reads a version, whatever it follows.
pub(crate) fn load(
    door: &Door,
    branch: &str,
    version: u64,
) -> Result<(Commit, Fingerprint), StoreError> {
    commit::read_alone(door, branch, version)
}

impl Lake {
    /// Returns the first version whose rows are kept: 1 until collection removes the rows of older ones.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the log cannot be listed.
    pub fn oldest(&self) -> Result<u64, StoreError> {
        oldest(self.door(), commit::MAIN)
    }
}
