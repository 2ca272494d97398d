//! Reads cells for tasks, remembering decoded rows: neighbouring partitions read the same inputs.

use std::sync::Arc;

use arrow::array::RecordBatch;
use lakectl_core::{Cell, Fingerprint};
use lakectl_store::{Lake, StoreError};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Decoded rows that are kept. Part of the memory a run may take, not of its results.
const KEPT_BYTES_MAX: u64 = 256 << 20;
/// A guess that sizes the cache's index.
const KEPT_CELLS: usize = 4_096;

#[derive(Clone)]
struct Bytes;

impl Weighter<Fingerprint, Arc<[RecordBatch]>> for Bytes {
    fn weight(&self, _: &Fingerprint, rows: &Arc<[RecordBatch]>) -> u64 {
        rows.iter()
            .map(|batch| batch.get_array_memory_size() as u64)
            .sum::<u64>()
            .max(1)
    }
}

/// Reads cells through a memory of bounded size.
///
/// Usually all rows are in one lake. An audit lays scratch lakes over it: each takes the results of one of its runs, so
/// that the lake below is only read and none of its files is copied.
pub(crate) struct CellReader {
    lake: Arc<Lake>,
    /// Scratch lakes with the run whose results they hold; the last one takes what is written.
    scratch: Vec<(String, Arc<Lake>)>,
    kept: Arc<Cache<Fingerprint, Arc<[RecordBatch]>, Bytes>>,
}

impl CellReader {
    /// Builds a reader of `lake`.
    pub(crate) fn new(lake: Arc<Lake>) -> Self {
        Self {
            lake,
            scratch: Vec::new(),
            kept: Arc::new(Cache::with_weighter(KEPT_CELLS, KEPT_BYTES_MAX, Bytes)),
        }
    }

    /// Returns a reader with the same memory that looks for the results of `run` in `lake`, and writes there.
    pub(crate) fn over(&self, run: &str, lake: Arc<Lake>) -> Self {
        let mut scratch = self.scratch.clone();
        scratch.push((run.to_owned(), lake));
        Self {
            lake: Arc::clone(&self.lake),
            scratch,
            kept: Arc::clone(&self.kept),
        }
    }

    /// Returns the lake that takes new rows.
    pub(crate) fn target(&self) -> &Lake {
        self.scratch.last().map_or(&self.lake, |(_, lake)| lake)
    }

    /// Tells whether what is written is thrown away in the end, so that it need not be durable.
    pub(crate) fn is_scratch(&self) -> bool {
        !self.scratch.is_empty()
    }

    /// Returns the lake that holds the rows of a cell.
    pub(crate) fn home(&self, cell: &Cell) -> &Lake {
        let made = self.scratch.iter().find(|(run, _)| *run == cell.run);
        made.map_or(&self.lake, |(_, lake)| lake)
    }

    /// Returns the rows of a cell. Its file's digest is verified when it is read from the disk.
    pub(crate) fn read(&self, cell: &Cell) -> Result<Arc<[RecordBatch]>, StoreError> {
        let Some(file) = &cell.file else {
            return Ok(Arc::from([]));
        };
        if let Some(rows) = self.kept.get(&file.hash) {
            return Ok(rows);
        }
        let rows: Arc<[RecordBatch]> = self.home(cell).read(cell, None)?.into();
        self.kept.insert(file.hash, Arc::clone(&rows));
        Ok(rows)
    }
}
