//! Contracts and keys.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, LargeStringArray, RecordBatch, StringViewArray, TimestampSecondArray,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema};

use super::{batch, contract, days, floats, integers, texts};
use crate::{SqlError, conform, sort_unique};

fn one(name: &str, array: ArrayRef) -> RecordBatch {
    let schema = Schema::new(vec![Field::new(name, array.data_type().clone(), true)]);
    RecordBatch::try_new(Arc::new(schema), vec![array]).unwrap()
}

fn check(batch: &RecordBatch, columns: &str) -> Result<Vec<RecordBatch>, SqlError> {
    conform(
        &batch.schema(),
        std::slice::from_ref(batch),
        &contract(columns),
    )
}

#[test]
fn layouts_become_the_contracts() {
    let arrays: Vec<(ArrayRef, &str, DataType)> = vec![
        (
            Arc::new(StringViewArray::from(vec!["a", "b"])),
            "utf8",
            DataType::Utf8,
        ),
        (
            Arc::new(LargeStringArray::from(vec!["a", "b"])),
            "utf8",
            DataType::Utf8,
        ),
        (
            Arc::new(Int32Array::from(vec![1, 2])),
            "i64",
            DataType::Int64,
        ),
        (
            Arc::new(UInt64Array::from(vec![1, 2])),
            "i64",
            DataType::Int64,
        ),
        (
            Arc::new(UInt64Array::from(vec![1, 2])),
            "f64",
            DataType::Float64,
        ),
        (
            Arc::new(TimestampSecondArray::from(vec![1, 2]).with_timezone("+01:00")),
            "ts",
            super::days(0, 1).data_type().clone(),
        ),
        (
            arrow::array::new_null_array(&DataType::Null, 2),
            "f64?",
            DataType::Float64,
        ),
    ];
    for (array, kind, expected) in arrays {
        let found = check(&one("c", array), &format!("c {kind}")).unwrap();
        assert_eq!(found[0].schema().field(0).data_type(), &expected, "{kind}");
        assert_eq!(found[0].num_rows(), 2);
    }
}

#[test]
fn differences_are_named() {
    let good = batch(
        "a utf8, x f64?",
        vec![texts([Some("A"), Some("B")]), floats([Some(1.0), None])],
    );
    let cases: [(&RecordBatch, &str, &str); 6] = [
        (
            &good,
            "a utf8, y f64?",
            "missing [y], not in the contract [x]",
        ),
        (
            &good,
            "x f64?, a utf8",
            "another order: expected [x, a], found [a, x]",
        ),
        (
            &good,
            "a i64, x f64?",
            "column `a` is Utf8, the contract says i64",
        ),
        (
            &good,
            "a utf8, x f64",
            "column `x` is null in row 1, the contract allows no null: a=B, x=null",
        ),
        (
            &batch(
                "a utf8, x f64",
                vec![texts([Some("A")]), floats([Some(f64::NAN)])],
            ),
            "a utf8, x f64",
            "column `x` is NaN in row 0: a missing number is null, never NaN or infinite: a=A, x=NaN",
        ),
        (
            &one("n", Arc::new(UInt64Array::from(vec![u64::MAX]))),
            "n i64",
            "column `n` holds a value that does not fit",
        ),
    ];
    for (batch, columns, expected) in cases {
        let error = check(batch, columns).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let odd = one("n", integers([(1 << 53) + 1]));
    assert!(matches!(check(&odd, "n f64"), Err(SqlError::Value { .. })));
    // A result without rows has columns too.
    assert!(matches!(
        conform(&good.schema(), &[], &contract("b utf8, x f64?")),
        Err(SqlError::Columns { .. })
    ));
}

#[test]
fn rows_are_sorted_by_key_and_unique() {
    let columns = "a utf8, t ts, x f64?";
    let first = batch(
        columns,
        vec![
            texts([Some("B"), Some("A")]),
            days(2, 2),
            floats([Some(1.0), None]),
        ],
    );
    let second = batch(
        columns,
        vec![texts([Some("A")]), days(1, 1), floats([Some(3.0)])],
    );
    let keys = ["a".to_owned(), "t".to_owned()];
    let sorted = sort_unique(&first.schema(), &[first.clone(), second.clone()], &keys).unwrap();
    assert_eq!(
        super::column(&[sorted], "x"),
        vec![Some(3.0), None, Some(1.0)]
    );
    let twice = batch(
        columns,
        vec![texts([Some("A")]), days(1, 1), floats([Some(4.0)])],
    );
    let error = sort_unique(&first.schema(), &[first.clone(), second, twice], &keys)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "primary key (a=A, t=1970-01-02T00:00:00Z) occurs twice: a=A, t=1970-01-02T00:00:00Z, x=3.0 and \
         a=A, t=1970-01-02T00:00:00Z, x=4.0"
    );
    let error = sort_unique(&first.schema(), &[], &["tt".to_owned()])
        .unwrap_err()
        .to_string();
    assert_eq!(error, "there is no column `tt`; did you mean `t`?");
}
