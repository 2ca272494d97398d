//! Columns of cells for ad-hoc queries: read and verified once, then kept as Arrow arrays.
//!
//! Parquet has no checksums that cover a file: of flipped bits in a column's pages one in four gives other numbers and
//! no error. So a file is always read whole and held against its digest; what a query needs of it is decoded and kept, up
//! to a bound, for the queries that follow. Files are named by their digest and never change, so nothing here goes stale.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use lakectl_core::{Cell, Fingerprint};
use lakectl_store::{Lake, StoreError};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// A guess that sizes the cache's index.
const KEPT_COLUMNS: usize = 16_384;

type Key = (Fingerprint, Arc<str>);

/// Reads cells of a lake through a memory of bounded size.
#[derive(Debug)]
pub(crate) struct Columns {
    lake: Arc<Lake>,
    kept: Cache<Key, ArrayRef, ByBytes>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, ArrayRef> for ByBytes {
    fn weight(&self, _: &Key, column: &ArrayRef) -> u64 {
        column.get_array_memory_size().max(1) as u64
    }
}

/// Columns of one cell, and how many of them had to be read.
pub(crate) struct Found {
    pub(crate) columns: Vec<ArrayRef>,
    pub(crate) decoded: usize,
}

impl Columns {
    /// Keeps at most so many bytes of columns; what does not fit is read again by each query.
    pub(crate) fn new(lake: Arc<Lake>, kept_bytes: u64) -> Self {
        Self {
            lake,
            kept: Cache::with_weighter(KEPT_COLUMNS, kept_bytes, ByBytes),
        }
    }

    pub(crate) fn lake(&self) -> &Arc<Lake> {
        &self.lake
    }

    /// Returns the columns of `schema` by their names, each with all rows of the cell.
    pub(crate) fn read(
        &self,
        cell: &Cell,
        names: &[Arc<str>],
        schema: &SchemaRef,
    ) -> DfResult<Found> {
        let Some(file) = &cell.file else {
            let columns = schema
                .fields()
                .iter()
                .map(|f| new_null_array(f.data_type(), 0));
            return Ok(Found {
                columns: columns.collect(),
                decoded: 0,
            });
        };
        let key = |i: usize| (file.hash, Arc::clone(&names[i]));
        let mut columns: Vec<Option<ArrayRef>> =
            (0..names.len()).map(|i| self.kept.get(&key(i))).collect();
        let missing: Vec<usize> = (0..names.len()).filter(|i| columns[*i].is_none()).collect();
        if !missing.is_empty() {
            for (i, column) in missing.iter().zip(self.decode(cell, &missing, schema)?) {
                self.kept.insert(key(*i), Arc::clone(&column));
                columns[*i] = Some(column);
            }
        }
        Ok(Found {
            columns: columns.into_iter().flatten().collect(),
            decoded: missing.len(),
        })
    }

    fn decode(&self, cell: &Cell, wanted: &[usize], schema: &SchemaRef) -> DfResult<Vec<ArrayRef>> {
        let mut there: Vec<usize> = wanted.to_vec();
        let batches = loop {
            if there.is_empty() {
                break Vec::new();
            }
            let names: Vec<String> = there
                .iter()
                .map(|i| schema.field(*i).name().clone())
                .collect();
            match self.lake.read(cell, Some(&names)) {
                Ok(batches) => break batches,
                // A column that was added to the contract after this file was written.
                Err(StoreError::NoColumn { column, .. }) if may_be_absent(schema, &column) => {
                    there.retain(|i| *schema.field(*i).name() != column);
                }
                Err(error) => return Err(DataFusionError::External(Box::new(error))),
            }
        };
        let column = |i: &usize| {
            let kind = schema.field(*i).data_type();
            match there.iter().position(|other| other == i) {
                Some(place) => {
                    let column = joined(&batches, place)?;
                    match column.data_type() == kind {
                        true => Ok(column),
                        false => Ok(cast(&column, kind)?),
                    }
                }
                None => Ok(new_null_array(kind, cell.rows as usize)),
            }
        };
        wanted.iter().map(column).collect()
    }
}

fn may_be_absent(schema: &SchemaRef, column: &str) -> bool {
    schema
        .field_with_name(column)
        .is_ok_and(|field| field.is_nullable())
}

fn joined(batches: &[RecordBatch], column: usize) -> DfResult<ArrayRef> {
    match batches {
        [batch] => Ok(Arc::clone(batch.column(column))),
        _ => {
            let parts: Vec<&dyn arrow::array::Array> = batches
                .iter()
                .map(|batch| batch.column(column).as_ref())
                .collect();
            Ok(concat(&parts)?)
        }
    }
}
