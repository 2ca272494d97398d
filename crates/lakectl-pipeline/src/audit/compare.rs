//! Two computations of one table, row against row.

use std::collections::BTreeMap;
use std::slice::from_ref;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::row::{RowConverter, Rows, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakectl_core::{Contract, Fingerprint, TableId, UtcTime};

use super::{Claim, KNOWN_AT, Leak};
use crate::PipelineError;

/// The first differing row of a column, and how many there are.
struct First {
    known_at: Option<i64>,
    key: String,
    before: Option<String>,
    after: Option<String>,
    rows: u64,
}

/// The comparison of one table at one instant.
pub(super) struct Comparison<'a> {
    table: &'a TableId,
    contract: &'a Contract,
    keys: Vec<&'a str>,
    compared: u64,
    /// By the column's place in the contract; whole rows have none and come first.
    found: BTreeMap<Option<usize>, First>,
}

impl<'a> Comparison<'a> {
    /// Begins the comparison of a table whose rows are told apart by `keys`; equal ones by their order.
    pub(super) fn new(
        table: &'a TableId,
        contract: &'a Contract,
        keys: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let there = |name: &&str| contract.get(name).is_some();
        Self {
            table,
            contract,
            keys: keys.into_iter().filter(there).collect(),
            compared: 0,
            found: BTreeMap::new(),
        }
    }

    /// Returns the columns.
    pub(super) fn contract(&self) -> &'a Contract {
        self.contract
    }

    /// Counts rows that are the same without being looked at.
    pub(super) fn same(&mut self, rows: u64) {
        self.compared += rows;
    }

    /// Returns how many rows of the lake were compared.
    pub(super) fn compared(&self) -> u64 {
        self.compared
    }

    /// Pairs the rows of one partition by their keys and compares the pairs column by column.
    pub(super) fn rows(
        &mut self,
        before: &RecordBatch,
        after: &RecordBatch,
    ) -> Result<(), PipelineError> {
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
        let mut more: Vec<usize> = places.into_values().collect();
        more.sort_unstable();
        for row in more {
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
        let known_at = rows
            .column_by_name(KNOWN_AT)
            .map(|column| column.as_primitive::<TimestampMicrosecondType>().value(row));
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

    /// Returns what differs, whole rows first, then by the order of columns.
    pub(super) fn leaks(self, claim: Claim, at: UtcTime) -> Vec<Leak> {
        let columns = self.contract.columns();
        let leak = |(column, first): (Option<usize>, First)| Leak {
            claim,
            at,
            table: self.table.clone(),
            column: column.and_then(|index| Some(columns.get(index)?.name.clone())),
            key: first.key,
            known_at: first.known_at.map(UtcTime::from_micros),
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
