//! What is different between two versions: tables, partitions, and rows by their keys.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::row::{RowConverter, Rows, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakectl_core::{Cell, Contract, PartitionKey, TableId};
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
        for key in keys {
            let cells = [before, after].map(|version| version.cell(table, key));
            differ.partition(key, cells.map(|cell| cell.map(AsRef::as_ref)))?;
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
    fn partition(
        &mut self,
        key: &PartitionKey,
        cells: [Option<&Cell>; 2],
    ) -> Result<(), PipelineError> {
        match cells {
            [Some(a), Some(b)] if a.rows_hash == b.rows_hash => {
                self.found.recomputed += usize::from(a.fingerprint != b.fingerprint);
            }
            [Some(_), Some(_)] => {
                self.found.changed += 1;
                self.rows(key, cells)?;
            }
            [None, Some(cell)] => {
                self.found.added += 1;
                self.whole(key, cell, 1)?;
            }
            [Some(cell), None] => {
                self.found.removed += 1;
                self.whole(key, cell, 0)?;
            }
            [None, None] => {}
        }
        Ok(())
    }

    /// Counts a partition that one side does not have; it is read only for examples.
    fn whole(&mut self, key: &PartitionKey, cell: &Cell, side: usize) -> Result<(), PipelineError> {
        match side {
            0 => self.found.rows_removed += cell.rows,
            _ => self.found.rows_added += cell.rows,
        }
        let wanted = self.most.saturating_sub(self.found.examples.len());
        if wanted == 0 || cell.rows == 0 {
            return Ok(());
        }
        let rows = self.read(Some(cell), side)?;
        for row in 0..rows.num_rows().min(wanted) {
            self.example(["removed", "added"][side], key, &rows, row, Vec::new())?;
        }
        Ok(())
    }

    fn read(&self, cell: Option<&Cell>, side: usize) -> Result<RecordBatch, PipelineError> {
        let contract = self.metas[side].map(|meta| meta.contract.clone());
        let batches = match cell {
            Some(cell) => self.lake.read(cell, None)?,
            None => Vec::new(),
        };
        // A version may hold partitions from before its table's columns changed.
        let schema = match batches.first() {
            Some(batch) => batch.schema(),
            None => schema_of(&contract.unwrap_or_default()),
        };
        Ok(concat_batches(&schema, &batches)?)
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

    /// Pairs the rows of one partition by their keys and compares the pairs column by column.
    fn rows(
        &mut self,
        partition: &PartitionKey,
        [a, b]: [Option<&Cell>; 2],
    ) -> Result<(), PipelineError> {
        let (before, after) = (self.read(a, 0)?, self.read(b, 1)?);
        let keys = self.keys(&before, &after);
        let (old, new) = (numbered(&before, &keys)?, numbered(&after, &keys)?);
        let places: BTreeMap<&(Vec<u8>, u32), usize> = new.iter().zip(0..).collect();
        let values = Values::of(&before, &after, &keys)?;
        let mut met = vec![false; after.num_rows()];
        for (row, key) in old.iter().enumerate() {
            let Some(&place) = places.get(key) else {
                self.found.rows_removed += 1;
                self.example("removed", partition, &before, row, Vec::new())?;
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
                    let [x, y] = [(&before, row), (&after, place)]
                        .map(|(rows, row)| rows.column_by_name(name).map(|c| shown(c, row)));
                    let (x, y) = (x.transpose()?, y.transpose()?);
                    shown_values.push((name.clone(), x.unwrap_or_default(), y.unwrap_or_default()));
                }
            }
            self.example("changed", partition, &after, place, shown_values)?;
        }
        for row in (0..after.num_rows()).filter(|row| !met[*row]) {
            self.found.rows_added += 1;
            self.example("added", partition, &after, row, Vec::new())?;
        }
        Ok(())
    }

    fn example(
        &mut self,
        kind: &'static str,
        partition: &PartitionKey,
        rows: &RecordBatch,
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
        let mut words = Vec::new();
        for field in rows.schema().fields() {
            if declared.is_empty() || declared.contains(field.name()) {
                if let Some(column) = rows.column_by_name(field.name()) {
                    words.push(format!("{}={}", field.name(), shown(column, row)?));
                }
            }
        }
        self.found.examples.push(Example {
            kind,
            partition: partition.to_string(),
            key: words.join(" "),
            values,
        });
        Ok(())
    }
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
