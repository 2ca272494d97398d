//! Rows for people: a table whose widths come from the first rows, or one line a value.

use std::io::Write;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::sink::Sink;
use crate::layout::{self, Grid};
use crate::render;

/// A cell of a wide table on a terminal is cut to this.
const CELL_CHARS_MAX: usize = 48;
/// The widths of columns come from so many rows; those after them are written as they come.
const SAMPLE_ROWS: usize = 1_000;

/// Columns of a result, and how their values are written.
struct Columns {
    headers: Vec<String>,
    numbers: Vec<usize>,
}

impl Columns {
    fn of(schema: &SchemaRef) -> Self {
        let numeric = |(i, field): (usize, &arrow::datatypes::FieldRef)| {
            field.data_type().is_numeric().then_some(i)
        };
        Self {
            headers: schema.fields().iter().map(|f| f.name().clone()).collect(),
            numbers: schema
                .fields()
                .iter()
                .enumerate()
                .filter_map(numeric)
                .collect(),
        }
    }

    /// The first `most` rows of a batch as text.
    fn rows(&self, batch: &RecordBatch, most: usize) -> Result<Vec<Vec<String>>> {
        let options = FormatOptions::new()
            .with_null("")
            .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S"));
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let row = |row: usize| columns.iter().map(|c| c.value(row).to_string()).collect();
        Ok((0..batch.num_rows().min(most)).map(row).collect())
    }
}

/// A table, at most `limit` rows of it.
pub(super) struct TextTable<W> {
    target: W,
    columns: Columns,
    width: Option<usize>,
    limit: usize,
    shown: usize,
    total: u64,
    sample: Vec<Vec<String>>,
    shape: Option<Shape>,
}

impl<W: Write> TextTable<W> {
    pub(super) fn new(target: W, schema: &SchemaRef, width: Option<usize>, limit: usize) -> Self {
        Self {
            target,
            columns: Columns::of(schema),
            width,
            limit,
            shown: 0,
            total: 0,
            sample: Vec::new(),
            shape: None,
        }
    }

    /// Fixes the widths by the rows so far, and writes these.
    fn settle(&mut self) -> Result<()> {
        let mut rows = std::mem::take(&mut self.sample);
        let shape = Shape::of(self.width, &self.columns, &mut rows);
        let header = shape.grid.header(&shape.headers);
        if !header.is_empty() {
            writeln!(self.target, "{header}")?;
        }
        write_rows(&mut self.target, &shape, rows)?;
        self.shape = Some(shape);
        Ok(())
    }
}

fn write_rows(target: &mut impl Write, shape: &Shape, rows: Vec<Vec<String>>) -> Result<()> {
    for line in shape.grid.rows(&rows) {
        writeln!(target, "{line}")?;
    }
    Ok(())
}

impl<W: Write> Sink for TextTable<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        self.total += batch.num_rows() as u64;
        let mut rows = self.columns.rows(batch, self.limit - self.shown)?;
        self.shown += rows.len();
        match &self.shape {
            Some(shape) => {
                shape.fit(&self.columns, &mut rows);
                write_rows(&mut self.target, shape, rows)?;
            }
            None => {
                self.sample.extend(rows);
                if self.sample.len() >= SAMPLE_ROWS {
                    self.settle()?;
                }
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        if self.shape.is_none() {
            self.settle()?;
        }
        writeln!(self.target, "{}", counted(self.shown, self.total))?;
        let left_out = self.shape.map(|shape| shape.left_out).unwrap_or_default();
        if !left_out.is_empty() {
            let note = format!(
                "(no room for {} columns: {}; --format json or --output has all)",
                left_out.len(),
                left_out.join(", ")
            );
            let width = self.width.unwrap_or_else(layout::width);
            writeln!(self.target, "{}", layout::wrap(&note, width, " "))?;
        }
        self.target.flush()?;
        Ok(self.total)
    }
}

/// How many rows there are, and how many of them were shown.
fn counted(shown: usize, total: u64) -> String {
    let rows = if total == 1 { "row" } else { "rows" };
    match shown as u64 == total {
        true => format!("({} {rows})", render::count(total)),
        false => format!(
            "(first {} of {} rows; --limit shows more, --output writes all)",
            render::count(shown as u64),
            render::count(total)
        ),
    }
}

/// Which columns are shown, and how wide.
struct Shape {
    grid: Grid,
    headers: Vec<String>,
    left_out: Vec<String>,
    shortens: bool,
}

impl Shape {
    /// Chooses as many columns, from the left, as a terminal has room for; `rows` are cut to them.
    fn of(width: Option<usize>, columns: &Columns, rows: &mut [Vec<String>]) -> Self {
        let headers = &columns.headers;
        let (mut shortens, mut kept) = (false, headers.len());
        if let Some(width) = width {
            let fits = |widths: &[usize]| {
                widths.iter().map(|column| column + 2).sum::<usize>() <= width + 1
            };
            let mut widths = widths(headers, rows);
            if !fits(&widths) && headers.len() > 1 {
                shortens = true;
                rows.iter_mut()
                    .for_each(|row| shorten(row, &columns.numbers));
                widths = self::widths(headers, rows);
            }
            while kept > 1 && !fits(&widths[..kept]) {
                kept -= 1;
            }
        }
        rows.iter_mut().for_each(|row| row.truncate(kept));
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        Self {
            grid: Grid::of(width, &headers[..kept], &columns.numbers, rows),
            left_out: columns.headers[kept..].to_vec(),
            headers: columns.headers[..kept].to_vec(),
            shortens,
        }
    }

    /// Brings later rows into the shape that the first ones gave.
    fn fit(&self, columns: &Columns, rows: &mut [Vec<String>]) {
        for row in rows {
            if self.shortens {
                shorten(row, &columns.numbers);
            }
            row.truncate(self.headers.len());
        }
    }
}

fn widths(headers: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let longest = |(i, header): (usize, &String)| {
        let lines = rows.iter().flat_map(|row| row[i].lines());
        let longest = lines.map(|line| line.chars().count()).max();
        longest.unwrap_or(0).max(header.chars().count())
    };
    headers.iter().enumerate().map(longest).collect()
}

fn shorten(row: &mut [String], numbers: &[usize]) {
    for (i, cell) in row.iter_mut().enumerate() {
        *cell = match numbers.contains(&i) {
            true => shortened(cell),
            false => layout::cut(cell, CELL_CHARS_MAX),
        };
    }
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

/// One line a value, one block a row.
pub(super) struct Expanded<W> {
    target: W,
    columns: Columns,
    limit: usize,
    shown: usize,
    total: u64,
}

impl<W: Write> Expanded<W> {
    pub(super) fn new(target: W, schema: &SchemaRef, limit: usize) -> Self {
        Self {
            target,
            columns: Columns::of(schema),
            limit,
            shown: 0,
            total: 0,
        }
    }
}

impl<W: Write> Sink for Expanded<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        self.total += batch.num_rows() as u64;
        let names = &self.columns.headers;
        let width = names
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0);
        for row in self.columns.rows(batch, self.limit - self.shown)? {
            self.shown += 1;
            writeln!(self.target, "-[ row {} ]", self.shown)?;
            for (name, value) in names.iter().zip(row) {
                let value = value.replace('\n', &format!("\n {:width$}   ", ""));
                let line = format!(" {name:width$} | {value}");
                writeln!(self.target, "{}", line.trim_end())?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        writeln!(self.target, "{}", counted(self.shown, self.total))?;
        self.target.flush()?;
        Ok(self.total)
    }
}

/// A plan: each part's name, and its text as it is.
pub(super) struct PlanText<W> {
    target: W,
    columns: Columns,
    parts: u64,
}

impl<W: Write> PlanText<W> {
    pub(super) fn new(target: W, schema: &SchemaRef) -> Self {
        Self {
            target,
            columns: Columns::of(schema),
            parts: 0,
        }
    }
}

impl<W: Write> Sink for PlanText<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        for row in self.columns.rows(batch, usize::MAX)? {
            if self.parts > 0 {
                writeln!(self.target)?;
            }
            self.parts += 1;
            if let [name, text] = row.as_slice() {
                writeln!(self.target, "{}", render::heading(name))?;
                for line in text.lines() {
                    writeln!(self.target, "  {line}")?;
                }
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        self.target.flush()?;
        Ok(self.parts)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn table(width: Option<usize>, limit: usize, batches: &[RecordBatch]) -> String {
        let mut text = Vec::new();
        let mut table = Box::new(TextTable::new(
            &mut text,
            &batches[0].schema(),
            width,
            limit,
        ));
        batches.iter().for_each(|batch| table.batch(batch).unwrap());
        table.finish().unwrap();
        String::from_utf8(text).unwrap()
    }

    fn texts(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn columns_without_room_are_named() {
        let long = "x".repeat(60);
        let row = batch(vec![
            ("asset", texts(&["BTC"])),
            ("price", Arc::new(Float64Array::from(vec![1.0]))),
            ("basis", texts(&[&long])),
        ]);
        let narrow = table(Some(30), 10, std::slice::from_ref(&row));
        assert!(
            narrow.starts_with(" asset  price\n BTC      1.0\n(1 row)\n"),
            "{narrow}"
        );
        assert!(narrow.contains("no room for 1 columns: basis"), "{narrow}");
        assert!(table(None, 10, std::slice::from_ref(&row)).contains(&long));
        let middle = table(Some(70), 10, std::slice::from_ref(&row));
        assert!(
            !middle.contains("no room") && middle.lines().all(|line| line.chars().count() <= 70),
            "{middle}"
        );
    }

    #[test]
    fn later_rows_keep_the_widths_of_the_first() {
        let first = batch(vec![
            (
                "n",
                Arc::new(Int64Array::from_iter_values(0..SAMPLE_ROWS as i64)) as ArrayRef,
            ),
            ("word", texts(&vec!["abc"; SAMPLE_ROWS])),
        ]);
        let later = batch(vec![
            ("n", Arc::new(Int64Array::from(vec![7])) as ArrayRef),
            ("word", texts(&["longer than all before"])),
        ]);
        let all = table(None, 5_000, &[first.clone(), later.clone()]);
        assert!(
            all.ends_with("\n   7  longer than all before\n(1,001 rows)\n"),
            "{}",
            &all[all.len() - 80..]
        );
        let cut = table(Some(80), 5_000, &[first.clone(), later.clone()]);
        assert!(
            cut.contains("\n   7  lon…\n") || cut.contains("\n   7  longer"),
            "{}",
            &cut[cut.len() - 80..]
        );
        let limited = table(None, 2, &[first, later]);
        assert_eq!(
            limited,
            " n  word\n 0  abc\n 1  abc\n(first 2 of 1,001 rows; --limit shows more, --output writes all)\n"
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
    fn expanded_rows() {
        let rows = batch(vec![
            ("asset", texts(&["BTC", "ETH", "SOL"])),
            ("note", texts(&["one\ntwo", "", "x"])),
        ]);
        let mut text = Vec::new();
        let mut sink = Box::new(Expanded::new(&mut text, &rows.schema(), 2));
        sink.batch(&rows).unwrap();
        assert_eq!(sink.finish().unwrap(), 3);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "-[ row 1 ]\n asset | BTC\n note  | one\n         two\n-[ row 2 ]\n asset | ETH\n note  |\n\
             (first 2 of 3 rows; --limit shows more, --output writes all)\n"
        );
    }
}
