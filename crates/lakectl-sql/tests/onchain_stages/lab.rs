//! Runs the declared stages of `pipelines/` year by year over windows cut as the engine cuts them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use lakectl_core::{ColumnType, Contract, Day, TableId};
use lakectl_sql::{Literal, SqlEngine, StageTable, conform, sort_unique};
use lakectl_store::schema_of;

pub(crate) const DAY: i64 = 86_400_000_000;
pub(crate) const HOUR: i64 = 3_600_000_000;

pub(crate) const NORM_METRICS: &str = "asset utf8?, event_time ts, known_at ts, known_at_basis utf8, vendor_time ts?, \
    document_time ts, document_id utf8, sequence i64, dataset utf8, replacement utf8, metric utf8, value f64?, \
    unit utf8, venue utf8";

/// A value of a test table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Text(String),
    Number(f64),
    Int(i64),
    Flag(bool),
}

/// What a stage declares, read from its file.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) contract: Contract,
    pub(crate) keys: Vec<String>,
    pub(crate) time: String,
    /// Lookback in days; 0 is the partition itself.
    pub(crate) windows: BTreeMap<String, i64>,
}

fn project() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text
        .find(from)
        .unwrap_or_else(|| panic!("no {from} in {text}"))
        + from.len();
    let end = text[start..].find(to).unwrap();
    &text[start..start + end]
}

/// Reads a stage's declaration. The two files are regular enough for a reader of lines.
pub(crate) fn declared(table: &str) -> Declared {
    let all: String = ["onchain", "signals", "options"]
        .iter()
        .map(|file| {
            std::fs::read_to_string(project().join(format!("pipelines/{file}.toml"))).unwrap()
        })
        .collect();
    let stage = all
        .split("[[stage]]")
        .find(|stage| stage.contains(&format!("table = \"{table}\"\n")))
        .unwrap_or_else(|| panic!("{table} is not declared"));
    let windows = stage
        .split("[stage.inputs]\n")
        .nth(1)
        .unwrap()
        .lines()
        .take_while(|line| line.starts_with('"'));
    Declared {
        contract: between(stage, "columns = \"\"\"", "\"\"\"")
            .parse()
            .unwrap(),
        keys: between(stage, "primary_key = [", "]")
            .split(", ")
            .map(|k| k.trim_matches('"').to_owned())
            .collect(),
        time: between(stage, "time_column = \"", "\"").to_owned(),
        windows: windows
            .map(|line| (between(line, "\"", "\"").to_owned(), window(line)))
            .collect(),
    }
}

/// The days before its own partition that a stage sees of an input.
fn window(line: &str) -> i64 {
    assert!(
        !line.contains("until ="),
        "a window that ends early: {line}"
    );
    if line.contains("lookback =") {
        days(between(line, "lookback = \"", "\""))
    } else {
        assert!(line.ends_with("= \"self\""), "no such window here: {line}");
        0
    }
}

/// The length of a lookback: a sum of days and of parameters that hold days.
fn days(sum: &str) -> i64 {
    sum.split(" + ")
        .map(|term| match term.strip_suffix('d').map(str::parse) {
            Some(Ok(days)) => days,
            _ => match settings().get(term) {
                Some(Literal::Int(days)) => *days,
                other => panic!("{term} is {other:?}, not a number of days"),
            },
        })
        .sum()
}

/// `[params]` of the configuration that every profile shares.
fn settings() -> &'static BTreeMap<String, Literal> {
    static SETTINGS: OnceLock<BTreeMap<String, Literal>> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let all = std::fs::read_to_string(project().join("configs/base.toml")).unwrap();
        let section = all.split("[params]\n").nth(1).unwrap();
        section
            .lines()
            .take_while(|line| !line.starts_with('['))
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let (name, written) = line.split_once(" = ").unwrap();
                let quoted = written.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
                let literal = match (quoted, written.parse(), written.parse()) {
                    (Some(text), ..) => Literal::Text(text.to_owned()),
                    (None, Ok(whole), _) => Literal::Int(whole),
                    (None, _, Ok(number)) => Literal::Float(number),
                    _ => panic!("{line}"),
                };
                (name.to_owned(), literal)
            })
            .collect()
    })
}

/// Builds a table from rows.
pub(crate) fn table(contract: &str, rows: &[Vec<Value>]) -> RecordBatch {
    let contract: Contract = contract.parse().unwrap();
    let columns = contract
        .columns()
        .iter()
        .enumerate()
        .map(|(i, column)| -> ArrayRef {
            let cells = rows.iter().map(|row| &row[i]);
            let ints = || {
                cells.clone().map(|v| match v {
                    Value::Int(i) => Some(*i),
                    Value::Null => None,
                    other => panic!("{} is {other:?}", column.name),
                })
            };
            match column.kind {
                ColumnType::Utf8 => {
                    std::sync::Arc::new(StringArray::from_iter(cells.map(|v| match v {
                        Value::Text(t) => Some(t.clone()),
                        _ => None,
                    })))
                }
                ColumnType::F64 => {
                    std::sync::Arc::new(Float64Array::from_iter(cells.map(|v| match v {
                        Value::Number(x) => Some(*x),
                        _ => None,
                    })))
                }
                ColumnType::Bool => {
                    std::sync::Arc::new(BooleanArray::from_iter(cells.map(|v| match v {
                        Value::Flag(b) => Some(*b),
                        _ => None,
                    })))
                }
                ColumnType::I64 => std::sync::Arc::new(Int64Array::from_iter(ints())),
                ColumnType::Ts => std::sync::Arc::new(
                    TimestampMicrosecondArray::from_iter(ints()).with_timezone("UTC"),
                ),
                ColumnType::Date => {
                    std::sync::Arc::new(Date32Array::from_iter(ints().map(|v| v.map(|d| d as i32))))
                }
                ColumnType::Binary => panic!("no binary columns here"),
            }
        });
    RecordBatch::try_new(schema_of(&contract), columns.collect()).unwrap()
}

/// One value of a batch.
pub(crate) fn value(batch: &RecordBatch, column: &str, row: usize) -> Value {
    let array = batch
        .column_by_name(column)
        .unwrap_or_else(|| panic!("no column {column}"));
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Float64 => Value::Number(array.as_primitive::<Float64Type>().value(row)),
        DataType::Int64 => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Boolean => Value::Flag(array.as_boolean().value(row)),
        DataType::Date32 => Value::Int(array.as_primitive::<Date32Type>().value(row).into()),
        DataType::Timestamp(_, _) => {
            Value::Int(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        other => panic!("{other}"),
    }
}

/// A number, or `None`.
pub(crate) fn number(batch: &RecordBatch, column: &str, row: usize) -> Option<f64> {
    match value(batch, column, row) {
        Value::Number(x) => Some(x),
        Value::Int(x) => Some(x as f64),
        _ => None,
    }
}

/// A text, or nothing.
pub(crate) fn text(batch: &RecordBatch, column: &str, row: usize) -> String {
    match value(batch, column, row) {
        Value::Text(t) => t,
        _ => String::new(),
    }
}

/// The instant of a row in microseconds, from a time or a date column.
pub(crate) fn instant(batch: &RecordBatch, column: &str, row: usize) -> i64 {
    let Value::Int(i) = value(batch, column, row) else {
        panic!("{column} is null")
    };
    match batch.column_by_name(column).unwrap().data_type() {
        DataType::Date32 => i * DAY,
        _ => i,
    }
}

/// The rows whose instant satisfies the condition.
pub(crate) fn keep(
    batch: &RecordBatch,
    column: &str,
    condition: impl Fn(i64) -> bool,
) -> RecordBatch {
    let mask: BooleanArray = (0..batch.num_rows())
        .map(|row| Some(condition(instant(batch, column, row))))
        .collect();
    filter_record_batch(batch, &mask).unwrap()
}

/// Day number of a date.
pub(crate) fn day(text: &str) -> i64 {
    text.parse::<Day>().unwrap().days().into()
}

fn engine() -> &'static SqlEngine {
    static ENGINE: OnceLock<SqlEngine> = OnceLock::new();
    ENGINE.get_or_init(SqlEngine::new)
}

/// The parameters of a partition's task.
pub(crate) fn params(asset: &str, start: i64, end: i64) -> BTreeMap<String, Literal> {
    let at = |d: i64| Literal::Time(Day::from_days(d as i32).start());
    let of_the_task = [
        ("asset", Literal::Text(asset.to_owned())),
        ("start", at(start)),
        ("end", at(end)),
    ]
    .map(|(name, literal)| (name.to_owned(), literal));
    settings().clone().into_iter().chain(of_the_task).collect()
}

/// The tables made so far, each whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lab {
    pub(crate) tables: BTreeMap<String, (RecordBatch, String)>,
}

impl Lab {
    pub(crate) fn put(&mut self, name: &str, time: &str, batch: RecordBatch) {
        self.tables
            .insert(name.to_owned(), (batch, time.to_owned()));
    }

    pub(crate) fn get(&self, name: &str) -> &RecordBatch {
        &self.tables[name].0
    }

    /// Runs a stage for the years given, each over its own granted windows, and keeps the rows.
    pub(crate) fn run(&mut self, name: &str, asset: &str, years: std::ops::RangeInclusive<i32>) {
        let declared = declared(name);
        let schema = schema_of(&declared.contract);
        let parts: Vec<RecordBatch> = years
            .map(|year| {
                let first = |y| i64::from(Day::from_ymd(y, 1, 1).unwrap().days());
                self.partition(name, &declared, asset, (first(year), first(year + 1)))
            })
            .collect();
        let all = arrow::compute::concat_batches(&schema, &parts).unwrap();
        self.put(name, &declared.time, all);
    }

    fn partition(
        &self,
        name: &str,
        declared: &Declared,
        asset: &str,
        (start, end): (i64, i64),
    ) -> RecordBatch {
        let sql = project().join(format!("sql/{}.sql", name.replace('.', "/")));
        let granted = declared
            .windows
            .iter()
            .map(|(input, days)| {
                let (batch, time) = &self.tables[input];
                let window = (start - days) * DAY..end * DAY;
                let batch = keep(batch, time, |at| window.contains(&at));
                StageTable {
                    id: input.parse::<TableId>().unwrap(),
                    schema: batch.schema(),
                    batches: vec![batch],
                }
            })
            .collect();
        let (schema, batches) = engine()
            .run_stage(
                &std::fs::read_to_string(sql).unwrap(),
                granted,
                &params(asset, start, end),
            )
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let rows = conform(&schema, &batches, &declared.contract)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let rows = sort_unique(&schema_of(&declared.contract), &rows, &declared.keys)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let outside = (0..rows.num_rows())
            .find(|&row| !(start * DAY..end * DAY).contains(&instant(&rows, &declared.time, row)));
        assert_eq!(outside, None, "{name} has a row outside its partition");
        rows
    }

    /// Everything from the normalised rows to the market state.
    pub(crate) fn run_chain(&mut self, asset: &str, years: std::ops::RangeInclusive<i32>) {
        for name in [
            "onchain.metrics",
            "onchain.global_metrics",
            "sentiment.daily",
            "onchain.daily",
            "onchain.indices",
            "features.mdia",
            "features.whales",
            "features.mvrv",
            "features.sentiment",
            "features.flows",
            "features.onchain_signals",
            "signals.market_state",
            "features.divergence",
        ] {
            self.run(name, asset, years.clone());
        }
    }
}
