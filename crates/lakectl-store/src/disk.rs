//! What the lake takes on disk, by table and by cause.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use lakectl_core::TableId;
use serde::Serialize;

use crate::object::{Stored, TEMPORARY};
use crate::uses::{Cause, Uses, place_of};
use crate::{Lake, StoreError};

/// Files and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Number of files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

impl AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// What the lake takes on disk. A file that has several causes counts under the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiskUse {
    /// Rows, by table and cause.
    pub tables: BTreeMap<TableId, BTreeMap<Cause, Size>>,
    /// What belongs to no table: the log, the records of results, notes, unfinished files of these.
    pub other: BTreeMap<Cause, Size>,
}

impl DiskUse {
    pub(crate) fn of(files: &[Stored], uses: &Uses) -> Self {
        let mut disk = Self::default();
        for file in files {
            let name = file.path.rsplit('/').next().unwrap_or(&file.path);
            let place = place_of(&file.path);
            let cause = match uses.files.get(&file.path) {
                Some(used) => used.cause,
                None if name.starts_with(TEMPORARY) => Cause::Temporary,
                None if place.is_some() => Cause::Garbage,
                None => Cause::Records,
            };
            let causes = match place {
                Some((table, _)) => disk.tables.entry(table).or_default(),
                None => &mut disk.other,
            };
            *causes.entry(cause).or_default() += Size {
                files: 1,
                bytes: file.bytes,
            };
        }
        disk
    }

    /// Returns the sums by cause.
    pub fn causes(&self) -> BTreeMap<Cause, Size> {
        let mut sums = BTreeMap::new();
        for (cause, size) in self.tables.values().chain([&self.other]).flatten() {
            *sums.entry(*cause).or_default() += *size;
        }
        sums
    }

    /// Returns the sum of everything.
    pub fn total(&self) -> Size {
        let mut total = Size::default();
        self.causes().into_values().for_each(|size| total += size);
        total
    }

    /// Returns the sum of one table.
    pub fn table(&self, table: &TableId) -> Size {
        let mut total = Size::default();
        let sizes = self
            .tables
            .get(table)
            .into_iter()
            .flat_map(BTreeMap::values);
        sizes.for_each(|size| total += *size);
        total
    }
}

impl Lake {
    /// Returns what the lake takes on disk.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming a record that cannot be read; [`StoreError::Io`] if a folder cannot be listed.
    pub fn disk(&self) -> Result<DiskUse, StoreError> {
        // Listed before the records are read: what is written meanwhile is left out, and nothing used counts as garbage.
        let files = self.door().list_all("")?;
        Ok(DiskUse::of(&files, &Uses::strict(self)?))
    }
}
