//! What is different between two versions: tables, partitions, and rows by their keys.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::row::{RowConverter, Rows, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakectl_core::{Cell, Contract, DayRange, PartitionKey, TableId};
use lakectl_store::{Lake, Snapshot, TableMeta, schema_of};
use serde::Serialize;

use crate::PipelineError;

/// The longest value that an example shows.
const VALUE_CHARS: usize = 40;

/// What to compare.
#[derive(Clone, Debug, Default)]
pub struct DiffRequest {
    /// Only this table.
    pub table: Option<TableId>,
    /// Examples of rows for each table.
    pub examples: usize,
}

/// What is different between two versions.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Diff {
    /// Tables that differ.
    pub tables: Vec<TableDiff>,
    /// How many tables there are in either version.
    pub of: usize,
    /// Notes of the lake that differ, such as overrides: `added`, `removed` or `changed`.
    pub records: BTreeMap<String, &'static str>,
}

/// What is different in one table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TableDiff {
    /// The table.
    pub table: String,
    /// Partitions that only the second version has.
    pub added: usize,
    /// Partitions that only the first version has.
    pub removed: usize,
    /// Partitions with other rows.
    pub changed: usize,
    /// Partitions that were computed otherwise and came to the same rows.
    pub recomputed: usize,
    /// Rows that only the second version has.
    pub rows_added: u64,
    /// Rows that only the first version has.
    pub rows_removed: u64,
    /// Rows with other values under the same key.
    pub rows_changed: u64,
    /// Changed rows by column.
    pub columns: BTreeMap<String, u64>,
    /// Columns that were added, removed or given another type, in words.
    pub contract: Vec<String>,
    /// The first differing rows.
    pub examples: Vec<Example>,
}

/// One row that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// `added`, `removed` or `changed`.
    pub kind: &'static str,
    /// The partition.
    pub partition: String,
    /// The values of the key, as `column=value`.
    pub key: String,
    /// Columns that changed, with the value before and after.
    pub values: Vec<(String, String, String)>,
}

/// Compares two versions of a lake.
///
/// # Errors
/// [`PipelineError::Store`] if rows cannot be read.
pub fn diff(
    lake: &Lake,
    before: &Snapshot,
    after: &Snapshot,
    request: &DiffRequest,
) -> Result<Diff, PipelineError> {
    let tables: BTreeSet<&TableId> = before.cells.keys().chain(after.cells.keys()).collect();
    let mut diff = Diff {
        of: tables.len(),
        records: records(before, after),
        ..Diff::default()
    };
    let wanted = |table: &&&TableId| request.table.as_ref().is_none_or(|only| only == **table);
    for table in tables.iter().filter(wanted) {
        let metas = [before.tables.get(*table), after.tables.get(*table)];
        let mut differ = Differ {
            lake,
            metas,
            most: request.examples,
            found: TableDiff {
                table: table.to_string(),
                contract: contract(metas),
                ..TableDiff::default()
            },
        };
        let keys = before.partitions(table).chain(after.partitions(table));
        let keys: BTreeSet<&PartitionKey> = keys.map(|(key, _)| key).collect();
        let mut moved: [Vec<&Cell>; 2] = Default::default();
        for key in keys {
            match [before, after].map(|version| version.cell(table, key)) {
                [Some(a), Some(b)] => differ.partition(a, b)?,
                [Some(a), None] => moved[0].push(a),
                [None, Some(b)] => moved[1].push(b),
                [None, None] => {}
            }
        }
        let [removed, added] = &moved;
        (differ.found.removed, differ.found.added) = (removed.len(), added.len());
        for (removed, added) in together(removed, added) {
            differ.parted(&removed, &added)?;
        }
        let found = differ.found;
        let partitions = found.added + found.removed + found.changed + found.recomputed;
        if partitions > 0 || !found.contract.is_empty() {
            diff.tables.push(found);
        }
    }
    Ok(diff)
}

fn records(before: &Snapshot, after: &Snapshot) -> BTreeMap<String, &'static str> {
    let names: BTreeSet<&String> = before.records.keys().chain(after.records.keys()).collect();
    let kind = |name: &String| match (before.records.get(name), after.records.get(name)) {
        (None, Some(_)) => Some("added"),
        (Some(_), None) => Some("removed"),
        (a, b) => (a != b).then_some("changed"),
    };
    let differ = names
        .into_iter()
        .filter_map(|name| Some((name.clone(), kind(name)?)));
    differ.collect()
}

/// Says how the columns of a table changed.
fn contract(metas: [Option<&TableMeta>; 2]) -> Vec<String> {
    let [Some(before), Some(after)] = metas else {
        return Vec::new();
    };
    let mut words = Vec::new();
    for column in before.contract.columns() {
        match after.contract.get(&column.name) {
            None => words.push(format!("`{}` removed", column.name)),
            Some(now) if now != column => words.push(format!("`{column}` is now `{now}`")),
            Some(_) => {}
        }
    }
    for column in after.contract.columns() {
        if before.contract.get(&column.name).is_none() {
            words.push(format!("`{column}` added"));
        }
    }
    if before.primary_key != after.primary_key {
        let key = |meta: &TableMeta| meta.primary_key.join(", ");
        words.push(format!("the key ({}) is now ({})", key(before), key(after)));
    }
    words
}

struct Differ<'a> {
    lake: &'a Lake,
    metas: [Option<&'a TableMeta>; 2],
    most: usize,
    found: TableDiff,
}

impl Differ<'_> {
    /// Compares a partition that both sides have.
    fn partition(&mut self, a: &Cell, b: &Cell) -> Result<(), PipelineError> {
        if a.rows_hash == b.rows_hash {
            self.found.recomputed += usize::from(a.fingerprint != b.fingerprint);
            return Ok(());
        }
        self.found.changed += 1;
        let (before, after) = (self.read(&[a], 0)?, self.read(&[b], 1)?);
        match (before, after) {
            (Some(before), Some(after)) => self.rows(&before, &after),
            _ => self.apart(&[a], &[b]),
        }
    }

    /// Compares partitions of the same days that only one side has: where a table is cut otherwise than before, its rows
    /// lie in others.
    fn parted(&mut self, removed: &[&Cell], added: &[&Cell]) -> Result<(), PipelineError> {
        let filled = |cells: &[&Cell]| cells.iter().any(|cell| cell.rows > 0);
        if filled(removed)
            && filled(added)
            && let (Some(before), Some(after)) = (self.read(removed, 0)?, self.read(added, 1)?)
        {
            return self.rows(&before, &after);
        }
        self.apart(removed, added)
    }

    /// Counts the rows of both sides as different; they are read only for examples.
    fn apart(&mut self, removed: &[&Cell], added: &[&Cell]) -> Result<(), PipelineError> {
        for (side, cells) in [removed, added].into_iter().enumerate() {
            for cell in cells {
                match side {
                    0 => self.found.rows_removed += cell.rows,
                    _ => self.found.rows_added += cell.rows,
                }
                let wanted = self.most.saturating_sub(self.found.examples.len());
                if wanted == 0 || cell.rows == 0 {
                    continue;
                }
                let Some(side_rows) = self.read(&[*cell], side)? else {
                    continue;
                };
                for row in 0..side_rows.rows.num_rows().min(wanted) {
                    self.example(["removed", "added"][side], &side_rows, row, Vec::new())?;
                }
            }
        }
        Ok(())
    }

    /// Reads the rows of some partitions of one side; `None` if their columns are not the same: a version may hold
    /// partitions from before its table's columns changed.
    fn read(&self, cells: &[&Cell], side: usize) -> Result<Option<Side>, PipelineError> {
        let mut batches = Vec::new();
        let mut partitions = Vec::new();
        for cell in cells.iter().filter(|cell| cell.rows > 0) {
            let read = self.lake.read(cell, None)?;
            let rows: usize = read.iter().map(RecordBatch::num_rows).sum();
            let first = partitions.last().map_or(0, |(_, end)| *end);
            partitions.push((cell.partition.clone(), first + rows));
            batches.extend(read);
        }
        let schema = match batches.first() {
            Some(batch) => batch.schema(),
            None => {
                let contract = self.metas[side].map(|meta| meta.contract.clone());
                schema_of(&contract.unwrap_or_default())
            }
        };
        if batches.iter().any(|batch| batch.schema() != schema) {
            return Ok(None);
        }
        let rows = concat_batches(&schema, &batches)?;
        Ok(Some(Side { rows, partitions }))
    }

    /// The columns that tell rows apart: the key, else all that both sides have.
    fn keys(&self, before: &RecordBatch, after: &RecordBatch) -> Vec<String> {
        let both = |name: &String| {
            before.column_by_name(name).map(|c| c.data_type())
                == after.column_by_name(name).map(|c| c.data_type())
                && before.column_by_name(name).is_some()
        };
        let declared = self.metas[1].map(|meta| meta.primary_key.clone());
        let declared = declared.filter(|key| !key.is_empty() && key.iter().all(both));
        let all = |contract: &Contract| {
            let names = contract.columns().iter().map(|column| column.name.clone());
            names.filter(|name| both(name)).collect()
        };
        declared
            .or_else(|| self.metas[1].map(|meta| all(&meta.contract)))
            .unwrap_or_default()
    }

    /// Pairs rows by their keys and compares the pairs column by column.
    fn rows(&mut self, old_side: &Side, new_side: &Side) -> Result<(), PipelineError> {
        let (before, after) = (&old_side.rows, &new_side.rows);
        let keys = self.keys(before, after);
        let (old, new) = (numbered(before, &keys)?, numbered(after, &keys)?);
        let places: BTreeMap<&(Vec<u8>, u32), usize> = new.iter().zip(0..).collect();
        let values = Values::of(before, after, &keys)?;
        let mut met = vec![false; after.num_rows()];
        for (row, key) in old.iter().enumerate() {
            let Some(&place) = places.get(key) else {
                self.found.rows_removed += 1;
                self.example("removed", old_side, row, Vec::new())?;
                continue;
            };
            met[place] = true;
            let differing = values.differing(row, place);
            if differing.is_empty() {
                continue;
            }
            self.found.rows_changed += 1;
            let mut shown_values = Vec::new();
            for name in differing {
                *self.found.columns.entry(name.clone()).or_default() += 1;
                if self.found.examples.len() < self.most {
                    let [x, y] = [(before, row), (after, place)]
                        .map(|(rows, row)| rows.column_by_name(name).map(|c| shown(c, row)));
                    let (x, y) = (x.transpose()?, y.transpose()?);
                    shown_values.push((name.clone(), x.unwrap_or_default(), y.unwrap_or_default()));
                }
            }
            self.example("changed", new_side, place, shown_values)?;
        }
        for row in (0..after.num_rows()).filter(|row| !met[*row]) {
            self.found.rows_added += 1;
            self.example("added", new_side, row, Vec::new())?;
        }
        Ok(())
    }

    fn example(
        &mut self,
        kind: &'static str,
        side: &Side,
        row: usize,
        values: Vec<(String, String, String)>,
    ) -> Result<(), PipelineError> {
        if self.found.examples.len() >= self.most {
            return Ok(());
        }
        let meta = self.metas[1].or(self.metas[0]);
        let declared = meta
            .map(|meta| meta.primary_key.clone())
            .unwrap_or_default();
        let rows = &side.rows;
        let mut words = Vec::new();
        for field in rows.schema().fields() {
            if (declared.is_empty() || declared.contains(field.name()))
                && let Some(column) = rows.column_by_name(field.name())
            {
                words.push(format!("{}={}", field.name(), shown(column, row)?));
            }
        }
        self.found.examples.push(Example {
            kind,
            partition: side.partition_of(row),
            key: words.join(" "),
            values,
        });
        Ok(())
    }
}

/// Rows of one or several partitions.
struct Side {
    rows: RecordBatch,
    /// The partitions in the order of their rows, each with the row after its last.
    partitions: Vec<(PartitionKey, usize)>,
}

impl Side {
    fn partition_of(&self, row: usize) -> String {
        let mut partitions = self.partitions.iter();
        let found = partitions.find(|(_, end)| row < *end);
        found.map_or_else(String::new, |(key, _)| key.to_string())
    }
}

/// Brings partitions together that the same rows may lie in: those whose days overlap. Each group is read as one, so it is as
/// small as that allows, a month where a table of days is now one of months.
fn together<'c>(removed: &[&'c Cell], added: &[&'c Cell]) -> Vec<(Vec<&'c Cell>, Vec<&'c Cell>)> {
    let sides = [(0, removed), (1, added)].into_iter();
    let mut all: Vec<(DayRange, usize, &'c Cell)> = sides
        .flat_map(|(side, cells)| {
            cells.iter().map(move |cell| {
                let days = cell.partition.days().unwrap_or(DayRange::ALL);
                (days, side, *cell)
            })
        })
        .collect();
    all.sort_by_key(|(days, side, _)| (days.start, *side));
    let mut groups: Vec<(Vec<&Cell>, Vec<&Cell>)> = Vec::new();
    let mut end = None;
    for (days, side, cell) in all {
        if end.is_none_or(|end| days.start >= end) {
            groups.push(Default::default());
        }
        end = end.max(Some(days.end));
        if let Some((removed, added)) = groups.last_mut() {
            match side {
                0 => removed.push(cell),
                _ => added.push(cell),
            }
        }
    }
    groups
}

/// The columns besides the key that both sides have in one type, encoded so that equal bytes are equal values.
struct Values {
    columns: Vec<(String, Rows, Rows)>,
}

impl Values {
    fn of(
        before: &RecordBatch,
        after: &RecordBatch,
        keys: &[String],
    ) -> Result<Self, PipelineError> {
        let mut columns = Vec::new();
        for field in after.schema().fields() {
            let sides = [before, after].map(|rows| rows.column_by_name(field.name()));
            if let [Some(a), Some(b)] = sides
                && a.data_type() == b.data_type()
                && !keys.contains(field.name())
            {
                let one = |column: &ArrayRef| encoded(std::slice::from_ref(column));
                columns.push((field.name().clone(), one(a)?, one(b)?));
            }
        }
        Ok(Self { columns })
    }

    fn differing(&self, row: usize, place: usize) -> Vec<&String> {
        let differ = |(_, a, b): &&(String, Rows, Rows)| a.row(row) != b.row(place);
        let differing = self.columns.iter().filter(differ);
        differing.map(|(name, _, _)| name).collect()
    }
}

/// The encoded key of each row with its number among equal ones.
fn numbered(rows: &RecordBatch, keys: &[String]) -> Result<Vec<(Vec<u8>, u32)>, PipelineError> {
    let columns: Vec<ArrayRef> = keys
        .iter()
        .filter_map(|name| rows.column_by_name(name).cloned())
        .collect();
    if columns.is_empty() {
        return Ok((0..rows.num_rows() as u32)
            .map(|n| (Vec::new(), n))
            .collect());
    }
    let mut seen: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    let encoded = encoded(&columns)?;
    let numbered = encoded.iter().map(|key| {
        let key = key.as_ref().to_vec();
        let count = seen.entry(key.clone()).or_insert(0);
        *count += 1;
        (key, *count)
    });
    Ok(numbered.collect())
}

fn encoded(columns: &[ArrayRef]) -> Result<Rows, PipelineError> {
    let fields = columns
        .iter()
        .map(|column| SortField::new(column.data_type().clone()));
    Ok(RowConverter::new(fields.collect())?.convert_columns(columns)?)
}

fn shown(values: &ArrayRef, row: usize) -> Result<String, PipelineError> {
    let options = FormatOptions::default().with_null("null");
    let text = ArrayFormatter::try_new(values.as_ref(), &options)?
        .value(row)
        .to_string();
    let short: String = text.chars().take(VALUE_CHARS).collect();
    Ok(match short.len() == text.len() {
        true => text,
        false => format!("{short}..."),
    })
}
