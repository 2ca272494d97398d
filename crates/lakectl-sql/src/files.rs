//! Data files for ad-hoc queries: read whole, held against their digest, then served from memory.
//!
//! Parquet has no checksums that cover a file: of flipped bits in a column's pages one in four gives other numbers and
//! no error. So the first query that needs a file reads and verifies all of it. The bytes and the footer are kept, up to
//! a bound, for the queries that follow: files are named by their digest and never change, so nothing here goes stale.

use std::future::{Future, ready};
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use datafusion::common::Result as DfResult;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use lakectl_core::{Cell, CellFile, Fingerprint};
use lakectl_store::Lake;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A guess that sizes the cache's index.
const KEPT_FILES: usize = 4_096;

/// Opens the files of a lake. Each [`PartitionedFile`] has to carry its [`Cell`].
#[derive(Debug)]
pub(crate) struct VerifiedFiles {
    lake: Arc<Lake>,
    kept: Cache<Fingerprint, Arc<Verified>, ByBytes>,
}

impl VerifiedFiles {
    /// Keeps at most so many bytes of files; a file that does not fit is read again by each query.
    pub(crate) fn new(lake: Arc<Lake>, kept_bytes: u64) -> Self {
        Self {
            lake,
            kept: Cache::with_weighter(KEPT_FILES, kept_bytes, ByBytes),
        }
    }

    pub(crate) fn lake(&self) -> &Arc<Lake> {
        &self.lake
    }

    fn verified(&self, file: &CellFile) -> Result<Arc<Verified>> {
        self.kept.get_or_insert_with(&file.hash, || {
            let bytes = self
                .lake
                .read_file(file)
                .map_err(|error| ParquetError::External(Box::new(error)))?;
            Ok(Arc::new(Verified {
                bytes: Bytes::from(bytes),
                footer: OnceLock::new(),
            }))
        })
    }
}

/// A file whose bytes are those that were written.
#[derive(Debug)]
struct Verified {
    bytes: Bytes,
    footer: OnceLock<Arc<ParquetMetaData>>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Fingerprint, Arc<Verified>> for ByBytes {
    fn weight(&self, _: &Fingerprint, file: &Arc<Verified>) -> u64 {
        file.bytes.len().max(1) as u64
    }
}

impl Verified {
    fn slice(&self, range: Range<u64>) -> Result<Bytes> {
        let (start, end) = (range.start as usize, range.end as usize);
        if start > end || end > self.bytes.len() {
            return Err(ParquetError::EOF(format!(
                "{range:?} of {} bytes",
                self.bytes.len()
            )));
        }
        Ok(self.bytes.slice(start..end))
    }

    fn footer(&self) -> Result<Arc<ParquetMetaData>> {
        if let Some(footer) = self.footer.get() {
            return Ok(Arc::clone(footer));
        }
        let read = ParquetMetaDataReader::new().parse_and_finish(&self.bytes)?;
        Ok(Arc::clone(self.footer.get_or_init(|| Arc::new(read))))
    }
}

impl ParquetFileReaderFactory for VerifiedFiles {
    fn create_reader(
        &self,
        _partition: usize,
        file: PartitionedFile,
        _metadata_size: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> DfResult<Box<dyn AsyncFileReader + Send>> {
        let cell = file.extension::<Arc<Cell>>();
        let Some(found) = cell.and_then(|cell| cell.file.as_ref()) else {
            let path = file.object_meta.location;
            return Err(DataFusionError::Internal(format!(
                "{path} is no file of the lake"
            )));
        };
        Ok(Box::new(VerifiedReader(self.verified(found)?)))
    }
}

struct VerifiedReader(Arc<Verified>);

impl AsyncFileReader for VerifiedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> Answer<'_, Bytes> {
        Box::pin(ready(self.0.slice(range)))
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> Answer<'_, Vec<Bytes>> {
        Box::pin(ready(
            ranges
                .into_iter()
                .map(|range| self.0.slice(range))
                .collect(),
        ))
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> Answer<'a, Arc<ParquetMetaData>> {
        Box::pin(ready(self.0.footer()))
    }
}
