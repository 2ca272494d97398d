//! Digests of recorded files, remembered by what the file system says of them.

use std::collections::BTreeMap;

use lakectl_core::{Fingerprint, UtcTime};
use lakectl_sources::archive::FileStamp;
use lakectl_store::{Lake, StoreError};
use serde::{Deserialize, Serialize};

const NAME: &str = "files";
/// A file that changed so short a time ago may change again within one tick of the file system's clock.
const SETTLED_NANOS: i128 = 2_000_000_000;

/// Digests of files by their stamps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct FileMemo {
    files: Vec<(FileStamp, Fingerprint)>,
    #[serde(skip)]
    index: BTreeMap<FileStamp, Fingerprint>,
}

impl FileMemo {
    /// Reads the memo of a lake; one that is damaged, or of another version, is as good as none.
    pub(crate) fn of(lake: &Lake) -> Result<Self, StoreError> {
        let mut memo: Self = lake.recall(NAME)?.unwrap_or_default();
        memo.index = memo.files.iter().cloned().collect();
        Ok(memo)
    }

    pub(crate) fn get(&self, stamp: &FileStamp) -> Option<Fingerprint> {
        self.index.get(stamp).copied()
    }

    /// Keeps what was seen at `now` in the lake, unless it is kept there already. Files that changed a moment ago, or after
    /// `now` by their own clock, are not remembered. A disk that refuses the memo is told of by what is worth a failure.
    pub(crate) fn keep(&self, lake: &Lake, seen: &[(FileStamp, Fingerprint)], now: UtcTime) {
        let settled = i128::from(now.micros()) * 1_000 - SETTLED_NANOS;
        let is_settled = |stamp: &FileStamp| {
            let times = [stamp.modified_nanos, stamp.changed_nanos];
            let quiet = |nanos: &u64| *nanos > 0 && i128::from(*nanos) < settled;
            times.iter().all(quiet) && stamp.inode > 0
        };
        let mut files: Vec<(FileStamp, Fingerprint)> = seen
            .iter()
            .filter(|(stamp, _)| is_settled(stamp))
            .cloned()
            .collect();
        files.sort();
        if files != self.files {
            let index = BTreeMap::new();
            let _ = lake.remember(NAME, &Self { files, index });
        }
    }
}
