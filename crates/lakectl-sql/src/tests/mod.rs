//! Tests of the crate through its public face.

mod ad_hoc;
mod asking;
mod lineage;
mod plans;
mod queries;
mod results;
mod stages;
mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Float64Type, SchemaRef};
use lakectl_core::{Contract, MICROS_PER_DAY};
use lakectl_store::schema_of;

use crate::{Literal, SqlEngine, SqlError, StageTable};

pub(crate) fn contract(text: &str) -> Contract {
    text.parse().unwrap()
}

pub(crate) fn texts<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

pub(crate) fn floats(values: impl IntoIterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Float64Array>())
}

pub(crate) fn integers(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int64Array>())
}

/// One time a day, from day `first` since 1970.
pub(crate) fn days(first: i64, count: i64) -> ArrayRef {
    let micros = (first..first + count).map(|day| day * MICROS_PER_DAY);
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

pub(crate) fn batch(columns: &str, arrays: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(schema_of(&contract(columns)), arrays).unwrap()
}

pub(crate) fn table(name: &str, batches: Vec<RecordBatch>) -> StageTable {
    StageTable {
        id: name.parse().unwrap(),
        schema: batches[0].schema(),
        batches,
    }
}

/// A daily series `m.bars(asset, event_time, x, y)` in batches of `size` rows.
pub(crate) fn bars(x: &[Option<f64>], y: &[Option<f64>], size: usize) -> StageTable {
    let all = batch(
        "asset utf8, event_time ts, x f64?, y f64?",
        vec![
            texts(x.iter().map(|_| Some("BTC"))),
            days(20_000, x.len() as i64),
            floats(x.iter().copied()),
            floats(y.iter().copied()),
        ],
    );
    let starts = (0..all.num_rows()).step_by(size);
    let parts = starts.map(|start| all.slice(start, size.min(all.num_rows() - start)));
    table("m.bars", parts.collect())
}

pub(crate) fn run(
    sql: &str,
    tables: Vec<StageTable>,
    params: &[(&str, Literal)],
) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
    let params: BTreeMap<String, Literal> = params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    SqlEngine::new().run_stage(sql, tables, &params)
}

/// The float column of a result, in order.
pub(crate) fn column(batches: &[RecordBatch], name: &str) -> Vec<Option<f64>> {
    batches
        .iter()
        .flat_map(|b| {
            b.column_by_name(name)
                .unwrap()
                .as_primitive::<Float64Type>()
                .iter()
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Numbers that look random and are the same everywhere.
pub(crate) fn noise(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        })
        .collect()
}
