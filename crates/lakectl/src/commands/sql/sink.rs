//! Writers that take batches as they come and keep none.

use std::io::Write;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::json::writer::JsonArray;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::text::{Expanded, PlanText, TextTable};
use crate::args::Format;
use crate::layout;

/// Rows of a group in a Parquet file; one group at a time is in memory.
const GROUP_ROWS: usize = 131_072;

/// Takes the batches of one result.
pub(super) trait Sink {
    /// Writes one batch.
    fn batch(&mut self, batch: &RecordBatch) -> Result<()>;
    /// Writes what comes after the last batch, and returns the number of rows.
    fn finish(self: Box<Self>) -> Result<u64>;
}

/// How text is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Rows that are shown.
    pub(super) limit: usize,
    /// One line a value.
    pub(super) expanded: bool,
    /// The rows are a plan.
    pub(super) plan: bool,
}

/// Returns the writer of a format.
pub(super) fn sink(
    target: Box<dyn Write + Send>,
    format: Format,
    schema: &SchemaRef,
    look: Look,
) -> Result<Box<dyn Sink>> {
    Ok(match format {
        Format::Csv => Box::new(Csv {
            writer: arrow::csv::WriterBuilder::new()
                .with_header(true)
                .build(target),
            rows: 0,
            schema: schema.clone(),
        }),
        Format::Parquet => Box::new(Parquet {
            writer: ArrowWriter::try_new(target, schema.clone(), Some(properties()?))?,
            rows: 0,
        }),
        Format::Json => {
            let builder = arrow::json::WriterBuilder::new().with_explicit_nulls(true);
            Box::new(Json {
                writer: builder.build(target),
                rows: 0,
            })
        }
        _ if look.plan => Box::new(PlanText::new(target, schema)),
        _ if look.expanded => Box::new(Expanded::new(target, schema, look.limit)),
        _ => Box::new(TextTable::new(
            target,
            schema,
            layout::told_width(),
            look.limit,
        )),
    })
}

fn properties() -> Result<WriterProperties> {
    Ok(WriterProperties::builder()
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .build())
}

struct Csv {
    writer: arrow::csv::Writer<Box<dyn Write + Send>>,
    rows: u64,
    schema: SchemaRef,
}

impl Sink for Csv {
    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        Ok(self.writer.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        // The header comes with the first batch, so an empty result needs one without rows.
        if self.rows == 0 {
            self.writer.write(&RecordBatch::new_empty(self.schema))?;
        }
        self.writer.into_inner().flush()?;
        Ok(self.rows)
    }
}

struct Json {
    writer: arrow::json::Writer<Box<dyn Write + Send>, JsonArray>,
    rows: u64,
}

impl Sink for Json {
    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        Ok(self.writer.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        self.writer.finish()?;
        let mut target = self.writer.into_inner();
        target.write_all(b"\n")?;
        target.flush()?;
        Ok(self.rows)
    }
}

struct Parquet {
    writer: ArrowWriter<Box<dyn Write + Send>>,
    rows: u64,
}

impl Sink for Parquet {
    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        Ok(self.writer.write(batch)?)
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        self.writer.into_inner()?.flush()?;
        Ok(self.rows)
    }
}
