//! Data files for ad-hoc queries: read whole, held against their digest, then served from memory.
//!
//! Parquet has no checksums that cover a file: of flipped bits in a column's pages one in four gives other numbers and
//! no error.

use std::future::{Future, ready};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

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
use lakectl_core::CellFile;
use lakectl_store::Lake;

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Opens the files of a lake. Each [`PartitionedFile`] has to carry its [`CellFile`].
#[derive(Debug)]
pub(crate) struct VerifiedFiles(pub(crate) Arc<Lake>);

impl ParquetFileReaderFactory for VerifiedFiles {
    fn create_reader(
        &self,
        _partition: usize,
        file: PartitionedFile,
        _metadata_size: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> DfResult<Box<dyn AsyncFileReader + Send>> {
        let Some(cell) = file.extension::<CellFile>() else {
            let path = file.object_meta.location;
            return Err(DataFusionError::Internal(format!(
                "{path} is no file of the lake"
            )));
        };
        Ok(Box::new(VerifiedFile {
            lake: Arc::clone(&self.0),
            file: cell.clone(),
            bytes: None,
        }))
    }
}

struct VerifiedFile {
    lake: Arc<Lake>,
    file: CellFile,
    /// The content, once it is read and found to be right.
    bytes: Option<Bytes>,
}

impl VerifiedFile {
    fn bytes(&mut self) -> Result<Bytes> {
        if let Some(bytes) = &self.bytes {
            return Ok(bytes.clone());
        }
        let read = self.lake.read_file(&self.file);
        let bytes = Bytes::from(read.map_err(|error| ParquetError::External(Box::new(error)))?);
        self.bytes = Some(bytes.clone());
        Ok(bytes)
    }

    fn slice(&mut self, range: Range<u64>) -> Result<Bytes> {
        let bytes = self.bytes()?;
        let (start, end) = (range.start as usize, range.end as usize);
        if start > end || end > bytes.len() {
            return Err(ParquetError::EOF(format!(
                "{range:?} of {} bytes",
                bytes.len()
            )));
        }
        Ok(bytes.slice(start..end))
    }

    fn metadata(&mut self, options: Option<&ArrowReaderOptions>) -> Result<Arc<ParquetMetaData>> {
        let mut reader = ParquetMetaDataReader::new();
        if let Some(options) = options {
            reader = reader
                .with_metadata_options(Some(options.metadata_options().clone()))
                .with_column_index_policy(options.column_index_policy())
                .with_offset_index_policy(options.offset_index_policy());
        }
        reader.parse_and_finish(&self.bytes()?).map(Arc::new)
    }
}

impl AsyncFileReader for VerifiedFile {
    fn get_bytes(&mut self, range: Range<u64>) -> Answer<'_, Bytes> {
        Box::pin(ready(self.slice(range)))
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> Answer<'_, Vec<Bytes>> {
        Box::pin(ready(
            ranges.into_iter().map(|range| self.slice(range)).collect(),
        ))
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> Answer<'a, Arc<ParquetMetaData>> {
        Box::pin(ready(self.metadata(options)))
    }
}
