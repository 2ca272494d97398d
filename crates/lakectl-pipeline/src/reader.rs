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
pub(crate) struct CellReader {
    lake: Arc<Lake>,
    kept: Cache<Fingerprint, Arc<[RecordBatch]>, Bytes>,
}

impl CellReader {
    /// Builds a reader of `lake`.
    pub(crate) fn new(lake: Arc<Lake>) -> Self {
        Self {
            lake,
            kept: Cache::with_weighter(KEPT_CELLS, KEPT_BYTES_MAX, Bytes),
        }
    }

    /// Returns the rows of a cell. Its file's digest is verified when it is read from the disk.
    pub(crate) fn read(&self, cell: &Cell) -> Result<Arc<[RecordBatch]>, StoreError> {
        let Some(file) = &cell.file else {
            return Ok(Arc::from([]));
        };
        if let Some(rows) = self.kept.get(&file.hash) {
            return Ok(rows);
        }
        let rows: Arc<[RecordBatch]> = self.lake.read(cell, None)?.into();
        self.kept.insert(file.hash, Arc::clone(&rows));
        Ok(rows)
    }
}
