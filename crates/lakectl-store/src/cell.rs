//! The record of every result ever produced: the engine's build cache, one segment file a wave.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use lakectl_core::{Cell, Fingerprint, PartitionKey, TableId};
use serde::{Deserialize, Serialize};

use crate::object::{Door, Entry, FORMAT, Put, Stored, TEMPORARY, seal, unseal};
use crate::{Failpoint, StoreError, parts};

const FOLDER: &str = "_cells";
const REPAIR: &str =
    "move the file away: nothing published depends on it, and what it recorded is computed again";

/// Few enough to hold their bytes, many enough to make one wait of many for a bucket.
const SEGMENTS_AT_A_TIME: usize = 256;

#[derive(Serialize, Deserialize)]
struct Segment<C> {
    format: u64,
    run: String,
    cells: C,
}

/// One fingerprint gave different rows at two times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nondeterminism {
    /// The table.
    pub table: TableId,
    /// The partition.
    pub partition: PartitionKey,
    /// The fingerprint of both results.
    pub fingerprint: Fingerprint,
    /// The earlier run and the digest of its rows.
    pub first: (String, Fingerprint),
    /// The later run and the digest of its rows.
    pub second: (String, Fingerprint),
}

impl fmt::Display for Nondeterminism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = (&self.first, &self.second);
        write!(
            f,
            "{} {}: fingerprint {} gave rows {} in run {} and rows {} in run {}",
            self.table,
            self.partition,
            self.fingerprint.short(),
            first.1.short(),
            first.0,
            second.1.short(),
            second.0
        )
    }
}

impl std::error::Error for Nondeterminism {}

impl From<Nondeterminism> for StoreError {
    fn from(value: Nondeterminism) -> Self {
        Self::Nondeterministic(Box::new(value))
    }
}

/// Every recorded result by its fingerprint. Of two with one fingerprint the later counts.
#[derive(Clone, Debug, Default)]
pub struct CellIndex {
    /// More than one only if a caller gives different tables or partitions the same fingerprint.
    cells: BTreeMap<Fingerprint, Vec<Arc<Cell>>>,
    conflicts: Vec<Nondeterminism>,
}

impl CellIndex {
    /// Returns the result with this fingerprint.
    pub fn get(&self, fingerprint: &Fingerprint) -> Option<&Arc<Cell>> {
        self.cells.get(fingerprint)?.last()
    }

    /// Returns all results in the order of their fingerprints.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Cell>> {
        self.cells.values().flatten()
    }

    /// Returns the number of results.
    pub fn len(&self) -> usize {
        self.cells.values().map(Vec::len).sum()
    }

    /// Tells whether nothing was ever recorded.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Returns the fingerprints that gave different rows at different times, in the order of discovery.
    pub fn conflicts(&self) -> &[Nondeterminism] {
        &self.conflicts
    }

    /// Takes out the results whose files are being removed.
    pub(crate) fn without(mut self, condemned: &BTreeMap<String, u64>) -> Self {
        let alive = |cell: &Arc<Cell>| {
            let file = cell.file.as_ref();
            file.is_none_or(|file| !condemned.contains_key(&file.path))
        };
        if !condemned.is_empty() {
            self.cells.retain(|_, cells| {
                cells.retain(alive);
                !cells.is_empty()
            });
        }
        self
    }

    /// Adds a result; a different one with the same fingerprint is replaced and noted as a conflict.
    pub fn insert(&mut self, cell: Arc<Cell>) {
        let cells = self.cells.entry(cell.fingerprint).or_default();
        let same = |c: &Arc<Cell>| c.table == cell.table && c.partition == cell.partition;
        let Some(index) = cells.iter().position(same) else {
            cells.push(cell);
            return;
        };
        let earlier = std::mem::replace(&mut cells[index], cell);
        let cell = &cells[index];
        if earlier.rows_hash != cell.rows_hash {
            self.conflicts.push(Nondeterminism {
                table: cell.table.clone(),
                partition: cell.partition.clone(),
                fingerprint: cell.fingerprint,
                first: (earlier.run.clone(), earlier.rows_hash),
                second: (cell.run.clone(), cell.rows_hash),
            });
        }
    }
}

/// Writes one segment under the first free number of the run, durably and after all pending files.
pub(crate) fn record(door: &Door, run: &str, cells: &[Cell]) -> Result<(), StoreError> {
    check_run(run)?;
    let Some(first) = cells.first() else {
        return Ok(());
    };
    check_numbers(cells)?;
    parts::write(door, run, cells)?;
    let segment = Segment {
        format: FORMAT,
        run: run.to_owned(),
        cells: cells.iter().map(Cell::lean).collect::<Vec<Cell>>(),
    };
    let (bytes, _) =
        seal(&segment).map_err(|e| crate::parquet::rows_error("record", &first.table, e))?;
    let folder = format!("{FOLDER}/{run}");
    let newest = door.list(&folder, Entry::File)?.into_iter();
    let newest = newest.filter_map(|name| name.strip_suffix(".json")?.parse::<u64>().ok());
    let mut number = newest.max().map_or(0, |number| number + 1);
    while door.put_new(&format!("{folder}/{number:06}.json"), &bytes)? == Put::Existed {
        number += 1;
    }
    Failpoint::CellsRecorded.reached();
    Ok(())
}

/// JSON has no infinities: a record with one could be written and never read.
pub(crate) fn check_numbers(cells: &[Cell]) -> Result<(), StoreError> {
    match cells.iter().find(|cell| !cell.seconds.is_finite()) {
        Some(cell) => {
            let problem = "the seconds it took are not a finite number";
            Err(crate::parquet::rows_error("record", &cell.table, problem))
        }
        None => Ok(()),
    }
}

/// Reads all segments, runs in the order of their names.
pub(crate) fn read_all(door: &Door) -> Result<CellIndex, StoreError> {
    let mut index = CellIndex::default();
    walk(door, |_, cells| {
        for cell in cells? {
            index.insert(Arc::new(cell));
        }
        Ok(())
    })?;
    Ok(index)
}

/// Hands over every segment with what it holds, or what is wrong with it, runs in the order of their names.
pub(crate) fn walk(
    door: &Door,
    mut each: impl FnMut(&Stored, Result<Vec<Cell>, StoreError>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut segments = door.list_all(FOLDER)?;
    segments.retain(|file| {
        let (run, name) = file.path.rsplit_once('/').unwrap_or_default();
        run != FOLDER && !name.starts_with(TEMPORARY)
    });
    // In the order of the runs' names, which is not that of the paths: `/` stands after `-`.
    segments.sort_by_cached_key(|file| file.path.split('/').map(str::to_owned).collect::<Vec<_>>());
    for some in segments.chunks(SEGMENTS_AT_A_TIME) {
        let paths: Vec<String> = some.iter().map(|file| file.path.clone()).collect();
        for (file, bytes) in some.iter().zip(door.get_all(&paths)?) {
            let full = door.full(&file.path);
            let verify = |bytes: Vec<u8>| unseal::<Segment<Vec<Cell>>>(&full, &bytes, REPAIR);
            // Gone since it was listed: collection drops segments that nothing needs.
            let Some(read) = bytes.map(|bytes| door.verified(&file.path, bytes, verify)) else {
                continue;
            };
            match read {
                Ok(None) => {}
                Ok(Some((segment, _))) => each(file, Ok(segment.cells))?,
                Err(error) => each(file, Err(error))?,
            }
        }
    }
    Ok(())
}

/// Puts the cells that are left of a segment into a new one of the same run, and removes the old one after that.
pub(crate) fn rewrite(door: &Door, path: &str, left: &[Cell]) -> Result<(), StoreError> {
    let run = path.split('/').nth(1).unwrap_or_default();
    record(door, run, left)?;
    door.delete(path)
}

/// Tells whether a file is a segment that cannot be read.
pub(crate) fn is_damaged(door: &Door, path: &str, bytes: &[u8]) -> bool {
    let read = || unseal::<Segment<Vec<Cell>>>(&door.full(path), bytes, REPAIR);
    path.starts_with(FOLDER) && read().is_err()
}

/// A run's name becomes a folder.
pub(crate) fn check_run(run: &str) -> Result<(), StoreError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if run.is_empty() || run.len() > 128 || run.starts_with('.') || !run.chars().all(good) {
        return Err(StoreError::RunName {
            run: run.to_owned(),
        });
    }
    Ok(())
}
