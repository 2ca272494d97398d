//! From which version on the rows of a branch are kept.

use crate::log::{FOLDER, Log};
use crate::object::{Door, Entry};
use crate::{Lake, StoreError};

/// A name in a log's folder that says so.
const OLDEST: &str = ".oldest";

/// Returns the names of all branches, deleted ones too.
pub(crate) fn branches(door: &Door) -> Result<Vec<String>, StoreError> {
    door.list(FOLDER, Entry::Folder)
}

/// Returns the newest version of a branch's own log; 0 if there is none.
pub(crate) fn newest(door: &Door, branch: &str) -> Result<u64, StoreError> {
    Ok(Log { door, branch }.span()?.map_or(0, |span| span.last))
}

/// Returns the first version of a branch's own log whose rows are kept; 1 as long as all are.
pub(crate) fn oldest(door: &Door, branch: &str) -> Result<u64, StoreError> {
    let names = door.list(&format!("{FOLDER}/{branch}"), Entry::File)?;
    let marks = names.iter().filter_map(|name| {
        let digits = name.strip_suffix(OLDEST)?;
        (digits.len() == 20).then(|| digits.parse::<u64>().ok())?
    });
    Ok(marks.max().unwrap_or(1))
}

/// Says that the rows of versions before `oldest` are not kept any more. Nothing takes that back: the largest of these
/// marks counts, so somebody who stalled cannot bring back what others have begun to remove.
pub(crate) fn expire(door: &Door, branch: &str, oldest: u64) -> Result<(), StoreError> {
    let mark = format!("{FOLDER}/{branch}/{oldest:020}{OLDEST}");
    door.put_new(&mark, format!("{{\"oldest\":{oldest}}}\n").as_bytes())?;
    Ok(())
}

impl Lake {
    /// Returns the first version of this branch's own log whose rows are kept: 1 until collection removes the rows of
    /// older ones.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the log cannot be listed.
    pub fn oldest(&self) -> Result<u64, StoreError> {
        oldest(self.door(), self.branch())
    }
}
