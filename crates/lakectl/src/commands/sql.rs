//! `lakectl sql`: a question to one version of the lake.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakectl_pipeline::PipelineError;
use parquet::arrow::ArrowWriter;

use super::Done;
use super::history::version;
use crate::args::{Format, SqlArgs};
use crate::context::Context;
use crate::{layout, render};

/// A cell of a wide table on a terminal is cut to this.
const CELL_CHARS_MAX: usize = 48;

pub(crate) fn sql(context: &Context, args: &SqlArgs) -> Result<Done> {
    let at = args.at.as_deref();
    let at = at.map(|text| version("--at", text)).transpose()?;
    // What cannot be written must not be computed first.
    let format = match &args.output {
        Some(file) => format_of(file, context.global.format)?,
        None if context.global.format == Format::Parquet => {
            return Err(PipelineError::usage(
                "Parquet goes to a file",
                "add `--output rows.parquet`",
            )
            .into());
        }
        None => context.global.format,
    };
    let session = context.bench.session(context.lake()?, at)?;
    let (schema, batches) = session
        .collect_blocking(&args.query)
        .map_err(PipelineError::from)?;
    match (&args.output, format) {
        (Some(file), format) => {
            let wrong = || format!("cannot write `{file}`");
            let target = File::create(file).with_context(wrong)?;
            write(target, format, &schema, &batches).with_context(wrong)?;
            let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
            render::note(&format!(
                "wrote {} rows to {file}",
                render::count(rows as u64)
            ));
        }
        (None, Format::Text) => render::out(&table(&schema, &batches, args.limit)?),
        (None, format) => {
            let mut text = Vec::new();
            write(&mut text, format, &schema, &batches)?;
            render::out(&String::from_utf8_lossy(&text));
        }
    }
    Ok(Done::Well)
}

/// The format of a file: by its name, unless a flag says otherwise.
fn format_of(file: &str, flag: Format) -> Result<Format, PipelineError> {
    let ending = Path::new(file)
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    match (flag, ending.to_ascii_lowercase().as_str()) {
        (Format::Csv | Format::Parquet | Format::Json, _) => Ok(flag),
        (_, "csv") => Ok(Format::Csv),
        (_, "json") => Ok(Format::Json),
        (_, "parquet") => Ok(Format::Parquet),
        _ => Err(PipelineError::usage(
            format!("`{file}` ends neither in .csv, .json nor .parquet"),
            "say the format, for example `--format csv`",
        )),
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
            let mut writer = arrow::csv::WriterBuilder::new()
                .with_header(true)
                .build(&mut target);
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
    let options = FormatOptions::new()
        .with_null("")
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S"));
    let headers: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let numbers = schema
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| field.data_type().is_numeric());
    let numbers: Vec<usize> = numbers.map(|(i, _)| i).collect();
    let total: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows().min(limit - rows.len().min(limit)) {
            rows.push(
                columns
                    .iter()
                    .map(|column| column.value(row).to_string())
                    .collect(),
            );
        }
    }
    let shown = rows.len();
    let (mut text, left_out) = within(layout::told_width(), &headers, &numbers, rows);
    text.push_str(&match total - shown {
        0 => format!(
            "\n({} {})",
            render::count(total as u64),
            if total == 1 { "row" } else { "rows" }
        ),
        _ => format!(
            "\n(first {shown} of {} rows; --limit shows more, --output writes all)",
            render::count(total as u64)
        ),
    });
    if !left_out.is_empty() {
        let note = format!(
            "(no room for {} columns: {}; --format json or --output has all)",
            left_out.len(),
            left_out.join(", ")
        );
        text.push('\n');
        text.push_str(&layout::wrap(&note, layout::width(), " "));
    }
    Ok(text)
}

/// Lays out as many columns, from the left, as a terminal has room for; the names of the others are returned.
fn within(
    width: Option<usize>,
    headers: &[&str],
    numbers: &[usize],
    mut rows: Vec<Vec<String>>,
) -> (String, Vec<String>) {
    let Some(width) = width else {
        return (
            layout::table_within(None, headers, numbers, rows),
            Vec::new(),
        );
    };
    let longest = |i: usize, rows: &[Vec<String>]| {
        let lines = rows
            .iter()
            .flat_map(|row| row[i].lines())
            .map(|line| line.chars().count());
        lines.max().unwrap_or(0).max(headers[i].chars().count())
    };
    let mut widths: Vec<usize> = (0..headers.len()).map(|i| longest(i, &rows)).collect();
    let fits =
        |widths: &[usize]| widths.iter().map(|column| column + 2).sum::<usize>() <= width + 1;
    if !fits(&widths) && headers.len() > 1 {
        for row in &mut rows {
            for (i, cell) in row.iter_mut().enumerate() {
                *cell = if numbers.contains(&i) {
                    shortened(cell)
                } else {
                    layout::cut(cell, CELL_CHARS_MAX)
                };
            }
        }
        widths = (0..headers.len()).map(|i| longest(i, &rows)).collect();
    }
    let mut kept = headers.len();
    while kept > 1 && !fits(&widths[..kept]) {
        kept -= 1;
    }
    for row in &mut rows {
        row.truncate(kept);
    }
    let left_out = headers[kept..]
        .iter()
        .map(|header| (*header).to_owned())
        .collect();
    (
        layout::table_within(Some(width), &headers[..kept], numbers, rows),
        left_out,
    )
}

/// Writes a long number with six digits that count.
fn shortened(cell: &str) -> String {
    match cell.parse::<f64>() {
        Ok(value) if cell.len() > 10 && cell.contains('.') && value.is_finite() && value != 0.0 => {
            let magnitude = value.abs().log10().floor();
            match magnitude {
                -5.0..=5.0 => format!("{value:.0$}", (5.0 - magnitude) as usize),
                _ => format!("{value:.5e}"),
            }
        }
        _ => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_without_room_are_named() {
        let rows = || vec![vec!["BTC".to_owned(), "1.0".to_owned(), "x".repeat(60)]];
        let headers = ["asset", "price", "basis"];
        let (text, left_out) = within(Some(30), &headers, &[1], rows());
        assert_eq!(text, " asset  price\n BTC      1.0");
        assert_eq!(left_out, ["basis"]);
        let (text, left_out) = within(None, &headers, &[1], rows());
        assert!(text.contains(&"x".repeat(60)) && left_out.is_empty());
        let (text, left_out) = within(Some(70), &headers, &[1], rows());
        assert!(
            left_out.is_empty() && text.lines().all(|line| line.chars().count() <= 70),
            "{text}"
        );
    }

    #[test]
    fn long_numbers_are_shortened() {
        for (long, short) in [
            ("-0.035312163913780614", "-0.0353122"),
            ("97579.183333333", "97579.2"),
            ("-8.888718513085222e-6", "-8.88872e-6"),
            ("123456789012", "123456789012"),
            ("1234567.890123", "1.23457e6"),
            ("0.25", "0.25"),
            ("", ""),
        ] {
            assert_eq!(shortened(long), short);
        }
    }

    #[test]
    fn a_file_says_its_format() {
        assert_eq!(format_of("a/b.CSV", Format::Text).unwrap(), Format::Csv);
        assert_eq!(format_of("a/b.csv", Format::Json).unwrap(), Format::Json);
        assert!(format_of("a/b.xls", Format::Text).is_err());
        assert!(
            version("--at", "7").is_ok()
                && version("--at", "2026-01-05").is_ok()
                && version("--at", "seven").is_err()
        );
    }
}
