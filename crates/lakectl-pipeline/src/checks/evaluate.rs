//! What a check finds in the rows of one partition.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use arrow::row::{OwnedRow, RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakectl_core::{Cell, CheckResult, TableId};
use lakectl_dag::{CheckDecl, CheckRule, Grant, StageDecl};
use lakectl_sql::{Literal, Query, SqlEngine, StageTable};

use super::place;
use crate::PipelineError;

/// Partitions that a median needs: with fewer there is nothing to compare with.
const MEDIAN_PARTITIONS_MIN: usize = 3;
/// Columns of a row that an example shows.
const SHOWN_COLUMNS: usize = 8;

/// The rows of an input.
pub(crate) type Rows = (SchemaRef, Vec<RecordBatch>);

/// Everything that a check may look at.
pub(crate) struct Subject<'a> {
    pub(crate) stage: &'a StageDecl,
    pub(crate) cell: &'a Cell,
    /// The checked rows.
    pub(crate) rows: &'a dyn Fn() -> Result<Rows, PipelineError>,
    /// What the check reads besides them.
    pub(crate) grants: &'a BTreeMap<TableId, Vec<Grant>>,
    /// The rows of these.
    pub(crate) granted: &'a dyn Fn(&TableId) -> Result<Rows, PipelineError>,
    /// The query and the values of its placeholders.
    pub(crate) query: Option<(&'a Query, BTreeMap<String, Literal>)>,
    pub(crate) engine: &'a SqlEngine,
}

/// Evaluates a check.
///
/// # Errors
/// [`PipelineError`] if rows cannot be read or the query fails.
pub(crate) fn evaluate(check: &CheckDecl, of: &Subject<'_>) -> Result<CheckResult, PipelineError> {
    // An empty partition has no row to object to; only its being empty may be wrong.
    let by_count = matches!(
        check.rule,
        CheckRule::Rows { .. } | CheckRule::RowsOfMedian { .. }
    );
    if of.cell.rows == 0 && !by_count {
        return Ok(CheckResult::PASSED);
    }
    match &check.rule {
        CheckRule::Rows { min, max } => Ok(count(of.cell.rows, *min, *max, "")),
        CheckRule::RowsOfMedian { days, min, max } => Ok(of_median(of, *days, *min, *max)),
        CheckRule::NotNull(columns) => not_null(of, columns),
        CheckRule::Range { column, min, max } => range(of, column, *min, *max),
        CheckRule::Unique(columns) => unique(of, columns),
        CheckRule::ForeignKey {
            columns,
            table,
            references,
        } => foreign_key(of, columns, table, references),
        CheckRule::Sql(_) => by_query(check, of),
        // Asked once a run, of the whole table.
        CheckRule::Freshness { .. } => Ok(CheckResult::PASSED),
    }
}

fn count(rows: u64, min: Option<u64>, max: Option<u64>, expected: &str) -> CheckResult {
    let off = match (min, max) {
        (Some(min), _) if rows < min => (min - rows, format!("at least {min}")),
        (_, Some(max)) if rows > max => (rows - max, format!("at most {max}")),
        _ => return CheckResult::PASSED,
    };
    CheckResult::failed(off.0, format!("{rows} rows, expected {}{expected}", off.1))
}

/// An empty partition is no short one: `rows = { min = 1 }` and freshness ask for that.
fn of_median(of: &Subject<'_>, days: i32, min: Option<f64>, max: Option<f64>) -> CheckResult {
    let grants = of.grants.values().flatten();
    let mut before: Vec<u64> = grants
        .filter_map(|grant| Some(grant.cell.as_ref()?.rows))
        .filter(|rows| *rows > 0)
        .collect();
    if of.cell.rows == 0 || before.len() < MEDIAN_PARTITIONS_MIN {
        return CheckResult::PASSED;
    }
    before.sort_unstable();
    let middle = before.len() / 2;
    let median = match before.len() % 2 {
        1 => before[middle] as f64,
        _ => (before[middle - 1] + before[middle]) as f64 / 2.0,
    };
    let bound = |share: Option<f64>, round: fn(f64) -> f64| {
        share.map(|share| round(share * median).max(0.0) as u64)
    };
    let told = format!(" (the median of {days} days is {median})");
    count(
        of.cell.rows,
        bound(min, f64::ceil),
        bound(max, f64::floor),
        &told,
    )
}

fn not_null(of: &Subject<'_>, columns: &[String]) -> Result<CheckResult, PipelineError> {
    let (_, batches) = (of.rows)()?;
    let mut found = Offenders::new(of.stage);
    for batch in &batches {
        let arrays = pick(batch, columns)?;
        if arrays.iter().all(|array| array.null_count() == 0) {
            continue;
        }
        let missing = |row: usize| arrays.iter().any(|array| array.is_null(row));
        for row in (0..batch.num_rows()).filter(|row| missing(*row)) {
            found.add(batch, row, columns);
        }
    }
    Ok(found.result())
}

fn range(
    of: &Subject<'_>,
    column: &String,
    min: Option<f64>,
    max: Option<f64>,
) -> Result<CheckResult, PipelineError> {
    let (_, batches) = (of.rows)()?;
    let mut found = Offenders::new(of.stage);
    for batch in &batches {
        let [array] = &pick(batch, std::slice::from_ref(column))?[..] else {
            continue;
        };
        let numbers = match array.data_type() {
            DataType::Float64 => array.clone(),
            _ => cast(array, &DataType::Float64)?,
        };
        let numbers = numbers.as_primitive::<Float64Type>();
        for (row, number) in numbers.iter().enumerate() {
            let inside = |number: f64| {
                min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max)
            };
            if number.is_some_and(|number| !inside(number)) {
                found.add(batch, row, std::slice::from_ref(column));
            }
        }
    }
    Ok(found.result())
}

fn unique(of: &Subject<'_>, columns: &[String]) -> Result<CheckResult, PipelineError> {
    let (schema, batches) = (of.rows)()?;
    let converter = converter(&schema, columns)?;
    let mut seen: HashSet<OwnedRow> = HashSet::new();
    let mut found = Offenders::new(of.stage);
    for batch in &batches {
        let rows = converter.convert_columns(&pick(batch, columns)?)?;
        for (number, row) in rows.iter().enumerate() {
            if !seen.insert(row.owned()) {
                found.add(batch, number, columns);
            }
        }
    }
    Ok(found.result())
}

fn foreign_key(
    of: &Subject<'_>,
    columns: &[String],
    table: &TableId,
    references: &[String],
) -> Result<CheckResult, PipelineError> {
    let (schema, batches) = (of.rows)()?;
    let (their_schema, theirs) = (of.granted)(table)?;
    let (ours, their) = (
        converter(&schema, columns)?,
        converter(&their_schema, references)?,
    );
    let mut known: HashSet<OwnedRow> = HashSet::new();
    for batch in &theirs {
        let rows = their.convert_columns(&pick(batch, references)?)?;
        known.extend(rows.iter().map(|row| row.owned()));
    }
    let mut found = Offenders::new(of.stage);
    for batch in &batches {
        let arrays = pick(batch, columns)?;
        let rows = ours.convert_columns(&arrays)?;
        for (number, row) in rows.iter().enumerate() {
            let whole = arrays.iter().all(|array| array.is_valid(number));
            if whole && !known.contains(&row.owned()) {
                found.add(batch, number, columns);
            }
        }
    }
    Ok(found.result())
}

fn by_query(check: &CheckDecl, of: &Subject<'_>) -> Result<CheckResult, PipelineError> {
    let Some((query, literals)) = &of.query else {
        let place = place(&of.cell.table, &of.cell.partition, &check.name);
        return Err(PipelineError::stage(format!("{place} has no query")));
    };
    let mut tables: BTreeMap<TableId, StageTable> = BTreeMap::new();
    for id in &query.tables {
        let (schema, mut batches) = match *id == of.stage.table {
            true => (of.rows)()?,
            false => (of.granted)(id)?,
        };
        if *id == of.stage.table && of.grants.contains_key(id) {
            batches.extend((of.granted)(id)?.1);
        }
        let id = id.clone();
        tables.insert(
            id.clone(),
            StageTable {
                id,
                schema,
                batches,
            },
        );
    }
    let tables = tables.into_values().collect();
    let (schema, batches) = of.engine.run_query(query, tables, literals)?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    match batches.first() {
        Some(first) => Ok(CheckResult::failed(rows as u64, show(first, 0, &names))),
        None => Ok(CheckResult::PASSED),
    }
}

/// Rows that a check objects to: their number and the first of them.
struct Offenders<'a> {
    key: &'a [String],
    rows: u64,
    example: String,
}

impl<'a> Offenders<'a> {
    fn new(stage: &'a StageDecl) -> Self {
        Self {
            key: &stage.primary_key,
            rows: 0,
            example: String::new(),
        }
    }

    fn add(&mut self, batch: &RecordBatch, row: usize, columns: &[String]) {
        if self.rows == 0 {
            let more = columns.iter().filter(|column| !self.key.contains(column));
            let names: Vec<String> = self.key.iter().chain(more).cloned().collect();
            self.example = show(batch, row, &names);
        }
        self.rows += 1;
    }

    fn result(self) -> CheckResult {
        match self.rows {
            0 => CheckResult::PASSED,
            rows => CheckResult::failed(rows, self.example),
        }
    }
}

/// Writes columns of a row as `name=value`.
fn show(batch: &RecordBatch, row: usize, names: &[String]) -> String {
    let options = FormatOptions::default().with_null("null");
    let shown = names.iter().take(SHOWN_COLUMNS).map(|name| {
        let text = batch
            .column_by_name(name)
            .and_then(|array| ArrayFormatter::try_new(array, &options).ok())
            .map_or_else(|| "?".to_owned(), |values| values.value(row).to_string());
        format!("{name}={text}")
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn pick(batch: &RecordBatch, columns: &[String]) -> Result<Vec<ArrayRef>, PipelineError> {
    let column = |name: &String| {
        let array = batch.column_by_name(name).cloned();
        array.ok_or_else(|| PipelineError::stage(format!("the rows have no column `{name}`")))
    };
    columns.iter().map(column).collect()
}

fn converter(schema: &SchemaRef, columns: &[String]) -> Result<RowConverter, PipelineError> {
    let fields = columns.iter().map(|name| {
        let field = schema.field_with_name(name)?;
        Ok(SortField::new(field.data_type().clone()))
    });
    let fields: Vec<SortField> = fields.collect::<Result<_, arrow::error::ArrowError>>()?;
    Ok(RowConverter::new(fields)?)
}
