//! The look-ahead audit: a row that was known by an instant must not depend on what became known after it.
//!
//! Two lakes are made from the same documents: one from all of them, one whose normalised and canonical rows end at the
//! instant ([`crate::RunOptions::known_until`]). Whatever the two say of the time before it must be the same, bit for bit;
//! [`compare`] tells where it is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::slice::from_ref;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, filter_record_batch, take};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::row::{RowConverter, Rows, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakectl_core::{Cell, Fingerprint, Parts, TableId, UtcTime};
use lakectl_dag::{Audit, StageDecl, StageKind};
use lakectl_store::{Lake, schema_of};

use crate::rows::NORM_ORDER;
use crate::{Assembly, PipelineError};

/// The column that says from when on a row could be used.
const KNOWN_AT: &str = "known_at";

/// One column of a table, or its very rows, that depend on later knowledge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The table.
    pub table: TableId,
    /// The column; `None` if a row is there in one of the lakes only.
    pub column: Option<String>,
    /// The values of the key of the first such row: the one that was known first.
    pub key: String,
    /// From when on that row could be used.
    pub known_at: UtcTime,
    /// What the lake with all documents says; `None` if it does not have the row.
    pub before: Option<String>,
    /// What the lake without later knowledge says; `None` if it does not have the row.
    pub after: Option<String>,
    /// How many rows differ in this column.
    pub rows: u64,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "no row".to_owned());
        write!(
            f,
            "{}.{} at {} (known {}): {} with later knowledge, {} without; {} rows",
            self.table,
            self.column.as_deref().unwrap_or("*"),
            self.key,
            self.known_at,
            said(&self.before),
            said(&self.after),
            self.rows
        )
    }
}

/// What an audit has looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Rows that were compared, by table; tables without rows are left out.
    pub compared: BTreeMap<TableId, u64>,
    /// What depends on later knowledge, causes before consequences.
    pub leaks: Vec<Leak>,
}

/// Tells whether a table has to pass: normalised and derived ones do, unless they declare `audit = "none"`.
pub fn is_audited(stage: &StageDecl) -> bool {
    stage.kind != StageKind::Harvest && stage.audit == Audit::Lookahead
}

/// Tells whether an audited run leaves out rows of this stage: normalised rows, and those of the canonical tables made
/// from them, which know better when a restated value could be used.
pub(crate) fn is_cut(stage: &StageDecl) -> bool {
    let canonical = || {
        stage
            .inputs
            .iter()
            .any(|input| input.table.schema() == "norm")
    };
    stage.kind == StageKind::Normalize || canonical()
}

/// Leaves out the rows known after `until`; rows without `known_at` stay.
///
/// # Errors
/// [`PipelineError::Arrow`] if the rows cannot be filtered.
pub(crate) fn known_by(rows: &RecordBatch, until: UtcTime) -> Result<RecordBatch, PipelineError> {
    let Some(column) = rows.column_by_name(KNOWN_AT) else {
        return Ok(rows.clone());
    };
    let known = column.as_primitive::<TimestampMicrosecondType>();
    let keep: BooleanArray = known
        .iter()
        .map(|t| Some(t.is_some_and(|t| t <= until.micros())))
        .collect();
    Ok(filter_record_batch(rows, &keep)?)
}

/// The definitions of a run whose rows end at `until`: its cells must never pass for complete ones.
pub(crate) fn definitions(assembly: &Assembly, until: UtcTime) -> BTreeMap<TableId, Parts> {
    let mut definitions = assembly.definitions.clone();
    for stage in assembly.pipeline.stages().iter().filter(|s| is_cut(s)) {
        let parts = definitions.entry(stage.table.clone()).or_default();
        parts.insert("known until".to_owned(), until.to_string());
    }
    definitions
}

/// Compares the newest versions of two lakes: `before` made from all documents, `after` by a run with
/// [`crate::RunOptions::known_until`] at `known_until`. Partitions with equal digests are not read.
///
/// # Errors
/// [`PipelineError::Stage`] for an audited table without a column `known_at`; [`PipelineError::Store`] if a lake cannot
/// be read.
pub fn compare(
    assembly: &Assembly,
    before: &Lake,
    after: &Lake,
    known_until: UtcTime,
) -> Result<Findings, PipelineError> {
    let (old, new) = (before.head()?, after.head()?);
    let mut findings = Findings::default();
    for stage in assembly.pipeline.stages().iter().filter(|s| is_audited(s)) {
        let partitions: BTreeSet<_> = old
            .partitions(&stage.table)
            .chain(new.partitions(&stage.table))
            .map(|(partition, _)| partition)
            .collect();
        let mut table = TableAudit::new(stage)?;
        for partition in partitions {
            let cells = [&old, &new].map(|version| version.cell(&stage.table, partition));
            if let [Some(a), Some(b)] = cells
                && a.rows_hash == b.rows_hash
            {
                table.compared += a.rows;
                continue;
            }
            let [a, b] = cells;
            let a = table.read(before, a.map(AsRef::as_ref), known_until)?;
            let b = table.read(after, b.map(AsRef::as_ref), known_until)?;
            table.compare(&a, &b)?;
        }
        if table.compared > 0 {
            findings
                .compared
                .insert(stage.table.clone(), table.compared);
        }
        findings.leaks.extend(table.leaks());
    }
    Ok(findings)
}

/// The first differing row of a column, and how many there are.
struct First {
    known_at: i64,
    key: String,
    before: Option<String>,
    after: Option<String>,
    rows: u64,
}

/// The comparison of one table.
struct TableAudit<'a> {
    stage: &'a StageDecl,
    keys: Vec<&'a str>,
    compared: u64,
    /// By the column's place in the contract; whole rows have none and come first.
    found: BTreeMap<Option<usize>, First>,
}

impl<'a> TableAudit<'a> {
    fn new(stage: &'a StageDecl) -> Result<Self, PipelineError> {
        if stage.contract.get(KNOWN_AT).is_none() {
            return Err(PipelineError::stage(format!(
                "`{}` has no column `{KNOWN_AT}`, so it cannot be audited; a table that looks at the whole sample on \
                 purpose declares `audit = \"none\"`",
                stage.table
            )));
        }
        let keys: Vec<&str> = match stage.primary_key.as_slice() {
            // Normalised rows have no unique key: what orders them, and their place among equals.
            [] => NORM_ORDER
                .into_iter()
                .filter(|name| stage.contract.get(name).is_some())
                .collect(),
            key => key.iter().map(String::as_str).collect(),
        };
        Ok(Self {
            stage,
            keys,
            compared: 0,
            found: BTreeMap::new(),
        })
    }

    fn read(
        &self,
        lake: &Lake,
        cell: Option<&Cell>,
        until: UtcTime,
    ) -> Result<RecordBatch, PipelineError> {
        let batches = match cell {
            Some(cell) => lake.read(cell, None)?,
            None => Vec::new(),
        };
        let rows = concat_batches(&schema_of(&self.stage.contract), &batches)?;
        known_by(&rows, until)
    }

    /// Pairs the rows of one partition by their keys and compares the pairs column by column.
    fn compare(&mut self, before: &RecordBatch, after: &RecordBatch) -> Result<(), PipelineError> {
        self.compared += before.num_rows() as u64;
        // Arrow holds the bytes of numbers against each other, so equal batches are equal bits.
        if before == after {
            return Ok(());
        }
        let mut places: BTreeMap<(Fingerprint, u32), usize> = self
            .numbered_keys(after)?
            .into_iter()
            .zip(0..after.num_rows())
            .collect();
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (key, row) in self.numbered_keys(before)?.into_iter().zip(0..) {
            match places.remove(&key) {
                Some(place) => {
                    left.push(row as u64);
                    right.push(place as u64);
                }
                None => self.note(None, before, row, Some("a row".to_owned()), None)?,
            }
        }
        for row in places.into_values() {
            self.note(None, after, row, None, Some("a row".to_owned()))?;
        }
        let (left, right) = (UInt64Array::from(left), UInt64Array::from(right));
        for index in 0..before.num_columns() {
            let a = take(before.column(index), &left, None)?;
            let b = take(after.column(index), &right, None)?;
            let (x, y) = (encoded(from_ref(&a))?, encoded(from_ref(&b))?);
            for row in (0..left.len()).filter(|row| x.row(*row) != y.row(*row)) {
                let place = left.value(row) as usize;
                self.note(
                    Some(index),
                    before,
                    place,
                    Some(shown(&a, row)?),
                    Some(shown(&b, row)?),
                )?;
            }
        }
        Ok(())
    }

    /// The digest of each row's key with its number among equal ones.
    fn numbered_keys(&self, rows: &RecordBatch) -> Result<Vec<(Fingerprint, u32)>, PipelineError> {
        let columns: Vec<ArrayRef> = self
            .keys
            .iter()
            .filter_map(|name| rows.column_by_name(name).cloned())
            .collect();
        let mut seen: BTreeMap<Fingerprint, u32> = BTreeMap::new();
        let keys = encoded(&columns)?;
        Ok(keys
            .iter()
            .map(|key| {
                let key = Fingerprint::of(key.as_ref());
                let count = seen.entry(key).or_insert(0);
                *count += 1;
                (key, *count)
            })
            .collect())
    }

    fn note(
        &mut self,
        column: Option<usize>,
        rows: &RecordBatch,
        row: usize,
        before: Option<String>,
        after: Option<String>,
    ) -> Result<(), PipelineError> {
        let known_at = rows.column_by_name(KNOWN_AT).map_or(0, |column| {
            column.as_primitive::<TimestampMicrosecondType>().value(row)
        });
        let earlier = self.found.get(&column);
        let count = earlier.map_or(0, |first| first.rows) + 1;
        let is_first = earlier.is_none_or(|first| known_at < first.known_at);
        if is_first {
            let mut words = Vec::new();
            for name in &self.keys {
                if let Some(values) = rows.column_by_name(name) {
                    words.push(format!("{name}={}", shown(values, row)?));
                }
            }
            let key = words.join(" ");
            let first = First {
                known_at,
                key,
                before,
                after,
                rows: count,
            };
            self.found.insert(column, first);
        } else if let Some(first) = self.found.get_mut(&column) {
            first.rows = count;
        }
        Ok(())
    }

    fn leaks(self) -> Vec<Leak> {
        let columns = self.stage.contract.columns();
        let leak = |(column, first): (Option<usize>, First)| Leak {
            table: self.stage.table.clone(),
            column: column.and_then(|index| Some(columns.get(index)?.name.clone())),
            key: first.key,
            known_at: UtcTime::from_micros(first.known_at),
            before: first.before,
            after: first.after,
            rows: first.rows,
        };
        self.found.into_iter().map(leak).collect()
    }
}

/// Encodes rows so that equal bytes are equal bits.
fn encoded(columns: &[ArrayRef]) -> Result<Rows, PipelineError> {
    let fields = columns
        .iter()
        .map(|column| SortField::new(column.data_type().clone()));
    Ok(RowConverter::new(fields.collect())?.convert_columns(columns)?)
}

fn shown(values: &ArrayRef, row: usize) -> Result<String, PipelineError> {
    let options = FormatOptions::default().with_null("null");
    let formatter = ArrayFormatter::try_new(values.as_ref(), &options)?;
    Ok(formatter.value(row).to_string())
}
