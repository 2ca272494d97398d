//! What repair asks of the store: damaged files out of the way, and back what can be had from elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use lakectl_core::{Cell, Fingerprint, PartitionKey, TableId};

use crate::rows::{conform, digest};
use crate::uses::each;
use crate::{Lake, StoreError, contract_of, parquet, schema_of};

/// Returns the digest that rows have, or would have, in the lake.
///
/// # Errors
/// As [`Lake::write_rows`].
pub fn rows_hash(
    table: &TableId,
    partition: &PartitionKey,
    batches: &[RecordBatch],
    schema: &Schema,
) -> Result<Fingerprint, StoreError> {
    let contract = contract_of(schema)?;
    let batch = conform(table, partition, batches, &schema_of(&contract))?;
    Ok(digest(&batch, &contract, None).rows)
}

impl Lake {
    /// Returns what can be read of a cell's damaged file, which may be nothing and may be wrong: the caller has to verify
    /// every row.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the disk refuses.
    pub fn salvage(
        &self,
        cell: &Cell,
        projection: Option<&[String]>,
    ) -> Result<Vec<RecordBatch>, StoreError> {
        let file = cell.file.as_ref();
        let bytes = file.map(|file| self.door().get(&file.path)).transpose()?;
        Ok(match bytes.flatten() {
            Some(bytes) => parquet::salvage(&cell.table, bytes, projection),
            None => Vec::new(),
        })
    }

    /// Moves a damaged file of the lake out of the way, where people may look at it, and returns its new path; `None` if
    /// there is no such file.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the disk refuses.
    pub fn set_aside(&self, path: &str) -> Result<Option<String>, StoreError> {
        self.door().set_aside(path)
    }

    /// Records the results that the newest version of each branch holds and no record knows, as after the loss of a
    /// record. Returns their number.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming a record that still cannot be read; [`StoreError::Io`] if the disk refuses.
    pub fn record_published(&self, run: &str) -> Result<u64, StoreError> {
        let known = self.cells()?;
        let mut missing: BTreeMap<Fingerprint, Cell> = BTreeMap::new();
        for branch in self.branches()? {
            let head = self.beside(&branch.name).head()?;
            for cell in each(&head) {
                if known.get(&cell.fingerprint).is_none() {
                    missing.insert(cell.fingerprint, Cell::clone(cell));
                }
            }
        }
        let cells: Vec<Cell> = missing.into_values().collect();
        self.record(run, &cells)?;
        Ok(cells.len() as u64)
    }

    /// Forgets the recorded results that are kept in these files; what versions hold stays as it is. Returns their number.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming a record that cannot be read; [`StoreError::Io`] if the disk refuses.
    pub fn forget(&self, paths: &BTreeSet<String>) -> Result<u64, StoreError> {
        self.forget_results(paths)
    }
}
