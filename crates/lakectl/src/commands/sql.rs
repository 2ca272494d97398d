//! `lakectl sql`: a question to one version of the lake.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakectl_pipeline::lake::VersionRef;
use parquet::arrow::ArrowWriter;

use super::Done;
use crate::args::{Format, SqlArgs};
use crate::context::Context;
use crate::render;

pub(crate) fn sql(context: &Context, args: &SqlArgs) -> Result<Done> {
    let at = args.at.as_deref().map(str::parse::<VersionRef>).transpose();
    let at = at.map_err(lakectl_pipeline::PipelineError::from)?;
    let session = context.bench.session(context.lake()?, at)?;
    let (schema, batches) =
        session.collect_blocking(&args.query).map_err(lakectl_pipeline::PipelineError::from)?;
    let format = match &args.output {
        Some(file) => format_of(file, context.global.format)?,
        None => context.global.format,
    };
    match (&args.output, format) {
        (Some(file), format) => {
            let target = File::create(file).with_context(|| format!("cannot write `{file}`"))?;
            write(target, format, &schema, &batches)?;
            let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
            render::note(&format!("wrote {} rows to {file}", render::count(rows as u64)));
        }
        (None, Format::Text) => render::out(&table(&schema, &batches, args.limit)?),
        (None, Format::Parquet) => bail!("Parquet goes to a file: add `--output rows.parquet`"),
        (None, format) => {
            let mut text = Vec::new();
            write(&mut text, format, &schema, &batches)?;
            render::out(&String::from_utf8_lossy(&text));
        }
    }
    Ok(Done::Well)
}

/// The format of a file: by its name, unless a flag says otherwise.
fn format_of(file: &str, flag: Format) -> Result<Format> {
    let ending = Path::new(file).extension().and_then(|e| e.to_str()).unwrap_or_default();
    match (flag, ending) {
        (Format::Csv | Format::Parquet | Format::Json, _) => Ok(flag),
        (_, "csv") => Ok(Format::Csv),
        (_, "json") => Ok(Format::Json),
        (_, "parquet") => Ok(Format::Parquet),
        _ => bail!("`{file}` ends neither in .csv, .json nor .parquet; add `--format csv`"),
    }
}

fn write<W: std::io::Write + Send>(
    mut target: W,
    format: Format,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<()> {
    match format {
        Format::Csv => {
            let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(&mut target);
            // The header is written with the first batch, so an empty result needs one without rows.
            if batches.is_empty() {
                writer.write(&RecordBatch::new_empty(schema.clone()))?;
            }
            for batch in batches {
                writer.write(batch)?;
            }
        }
        Format::Parquet => {
            let mut writer = ArrowWriter::try_new(&mut target, schema.clone(), None)?;
            for batch in batches {
                writer.write(batch)?;
            }
            writer.close()?;
        }
        _ => {
            let builder = arrow::json::WriterBuilder::new().with_explicit_nulls(true);
            let mut writer = builder.build::<_, arrow::json::writer::JsonArray>(&mut target);
            writer.write_batches(&batches.iter().collect::<Vec<_>>())?;
            writer.finish()?;
        }
    }
    Ok(())
}

fn table(schema: &SchemaRef, batches: &[RecordBatch], limit: usize) -> Result<String> {
    let options = FormatOptions::new().with_null("").with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S"));
    let headers: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let numbers = schema.fields().iter().enumerate().filter(|(_, field)| field.data_type().is_numeric());
    let numbers: Vec<usize> = numbers.map(|(i, _)| i).collect();
    let total: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows().min(limit - rows.len().min(limit)) {
            rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    let shown = rows.len();
    let mut text = render::table(&headers, &numbers, rows);
    text.push_str(&match total - shown {
        0 => format!("\n({} rows)", render::count(total as u64)),
        _ => format!("\n(first {shown} of {} rows; --limit shows more, --output writes all)", render::count(total as u64)),
    });
    Ok(text)
}
