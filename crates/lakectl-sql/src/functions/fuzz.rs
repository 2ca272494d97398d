//! Every function over numbers that no one asked for: zero, negative, subnormal, huge, infinite, NaN and null. The answer
//! is a finite number, null or a word; never NaN, an infinity or a panic.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use arrow::record_batch::RecordBatch;

use super::registry;
use super::tests::{ROWS, grid};
use crate::tests::{noise, run, texts};

const ROUNDS: u64 = 12;

/// Numbers at the edges of a double and of the domain.
const EDGES: [f64; 24] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    100.0,
    1e6,
    -1e6,
    1e-6,
    1.0 / 525_600.0,
    1.0 / 8_760.0,
    1e-300,
    1e300,
    -1e300,
    5e-324,
    2.2e-308,
    f64::MAX,
    f64::MIN,
    f64::EPSILON,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    0.25,
];

fn wild(seed: u64) -> ArrayRef {
    let picks = noise(ROWS, seed);
    let sizes = noise(ROWS, seed + 1_000);
    let value = |(pick, size): (f64, f64)| {
        let (pick, size) = (pick + 0.5, size + 0.5);
        match pick {
            p if p < 0.05 => None,
            p if p < 0.45 => Some(EDGES[(size * EDGES.len() as f64) as usize % EDGES.len()]),
            // Every order of magnitude, both signs.
            p if p < 0.60 => {
                Some((if p < 0.5 { -1.0 } else { 1.0 }) * 10_f64.powf(620.0 * size - 310.0))
            }
            // Ordinary numbers, so that not every row stops at its first argument.
            p if p < 0.80 => Some(2.0 * size),
            _ => Some(200.0 * size),
        }
    };
    Arc::new(
        picks
            .into_iter()
            .zip(sizes)
            .map(value)
            .collect::<Float64Array>(),
    )
}

fn wild_texts(words: &'static [&'static str], seed: u64) -> ArrayRef {
    let picks = noise(ROWS, seed);
    texts(picks.into_iter().map(|pick| {
        let at = ((pick + 0.5) * (words.len() + 1) as f64) as usize;
        words.get(at).copied()
    }))
}

fn wild_times(seed: u64) -> ArrayRef {
    let micros = noise(ROWS, seed).into_iter().map(|u| match u + 0.5 {
        p if p < 0.1 => None,
        p if p < 0.2 => Some(i64::MAX),
        p if p < 0.3 => Some(i64::MIN),
        p => Some((p * 3e15) as i64),
    });
    Arc::new(TimestampMicrosecondArray::from_iter(micros).with_timezone("UTC"))
}

/// The grid of the examples with other numbers in it. Times of rows stay in order: they order the frames.
fn wild_grid(round: u64) -> crate::StageTable {
    let tame = grid();
    let rows = tame.batches[0].clone();
    let seed = |column: usize| 7_919 * (round + 1) + 13 * column as u64;
    let schema = rows.schema();
    let columns = schema.fields().iter().enumerate().map(|(i, field)| {
        let column = match field.name().as_str() {
            "event_time" => Arc::clone(rows.column(i)),
            "expiry" => wild_times(seed(i)),
            "option_type" => wild_texts(&["call", "put", "C", "straddle", "", "ä"], seed(i)),
            "settlement" => wild_texts(&["inverse", "linear", "quanto", ""], seed(i)),
            "instrument" => wild_texts(
                &[
                    "BTC-3JAN26-88000-C",
                    "BTC-3JAN26",
                    "ETH_USDC-PERPETUAL",
                    "BTC--C",
                    "-",
                    "",
                    "ä-ö-ü-ß",
                    "BTC-3JAN26-1e308-C",
                ],
                seed(i),
            ),
            _ => wild(seed(i)),
        };
        let kind = column.data_type().clone();
        (Field::new(field.name(), kind, true), column)
    });
    // What the examples of books of options read besides.
    let of_books = ["spot", "open_interest", "position"].into_iter();
    let of_books = of_books.enumerate().map(|(i, name)| {
        let field = Field::new(name, DataType::Float64, true);
        (field, wild(seed(schema.fields().len() + i)))
    });
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.chain(of_books).unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    crate::tests::table("demo.grid", vec![batch])
}

/// Fails on the first number in `array`, or in a field of it, that is not finite.
fn all_finite(array: &dyn Array, what: &str) {
    match array.data_type() {
        DataType::Float64 => {
            let numbers = array.as_primitive::<Float64Type>();
            for row in (0..numbers.len()).filter(|row| numbers.is_valid(*row)) {
                assert!(
                    numbers.value(row).is_finite(),
                    "{what}: row {row} is {}",
                    numbers.value(row)
                );
            }
        }
        DataType::Struct(_) => {
            let record: &StructArray = array.as_struct();
            for (field, column) in record.fields().iter().zip(record.columns()) {
                all_finite(column, &format!("{what}['{}']", field.name()));
            }
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            for row in (0..lists.len()).filter(|row| lists.is_valid(*row)) {
                all_finite(&lists.value(row), what);
            }
        }
        _ => {}
    }
}

#[test]
fn no_input_gives_nan_or_an_infinity() {
    for round in 0..ROUNDS {
        for info in registry() {
            let sql = format!("SELECT {} AS v FROM demo.grid", info.example);
            let rows = run(&sql, vec![wild_grid(round)], &[])
                .unwrap_or_else(|error| panic!("{}: {error}", info.name))
                .1;
            for batch in &rows {
                all_finite(batch.column(0), info.name);
            }
        }
    }
}
