//! The ten named queries, and whether two engines gave the same rows.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use include_dir::{Dir, include_dir};
use lakectl_core::TableId;
use serde_json::Value;

static QUERIES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/queries");

/// How far two engines' numbers may be apart: they add in another order.
const TOLERANCE: f64 = 1e-9;

/// One query.
#[derive(Clone, Debug)]
pub struct Named {
    /// The file's name without its ending.
    pub name: String,
    /// The text.
    pub sql: String,
    /// Tables that it reads.
    pub tables: Vec<TableId>,
}

/// Returns the named queries by name.
pub fn named_queries() -> Vec<Named> {
    let mut queries: Vec<Named> = QUERIES
        .files()
        .filter_map(|file| {
            let name = file.path().to_str()?.strip_suffix(".sql")?;
            let sql = file.contents_utf8()?;
            let words = sql.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
            let mut tables: Vec<TableId> = Vec::new();
            let mut previous = "";
            for word in words.filter(|word| !word.is_empty()) {
                if matches!(previous, "FROM" | "JOIN")
                    && let Ok(table) = word.parse()
                {
                    tables.push(table);
                }
                previous = word;
            }
            Some(Named {
                name: name.to_owned(),
                sql: sql.to_owned(),
                tables,
            })
        })
        .collect();
    queries.sort_by(|a, b| a.name.cmp(&b.name));
    queries
}

/// Returns rows as plain values: times as text with microseconds, numbers as numbers.
pub fn json_rows(schema: &SchemaRef, batches: &[RecordBatch]) -> Vec<Value> {
    let options = FormatOptions::new()
        .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.6f"))
        .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.6f"));
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch
                .columns()
                .iter()
                .zip(schema.fields())
                .map(|(array, field)| {
                    if array.is_null(row) {
                        return Value::Null;
                    }
                    let text = match ArrayFormatter::try_new(array, &options) {
                        Ok(formatter) => formatter.value(row).to_string(),
                        Err(error) => error.to_string(),
                    };
                    match field.data_type() {
                        DataType::Boolean => Value::Bool(text == "true"),
                        kind if kind.is_numeric() => {
                            text.parse::<f64>().map_or(Value::Null, Value::from)
                        }
                        _ => Value::String(text),
                    }
                });
            rows.push(Value::Array(cells.collect()));
        }
    }
    rows
}

/// Compares rows in their order.
///
/// # Errors
/// Says where the first difference is.
pub fn same_rows(ours: &[Value], theirs: &[Value]) -> Result<(), String> {
    if ours.len() != theirs.len() {
        return Err(format!("{} rows and {}", ours.len(), theirs.len()));
    }
    for (row, (a, b)) in ours.iter().zip(theirs).enumerate() {
        let (a, b) = (a.as_array(), b.as_array());
        let (Some(a), Some(b)) = (a, b) else {
            return Err(format!("row {row} is no row"));
        };
        if a.len() != b.len() || !a.iter().zip(b).all(|(a, b)| same(a, b)) {
            return Err(format!("row {row}: {a:?} and {b:?}"));
        }
    }
    Ok(())
}

fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(1e-300),
        // A number that is none is written in different ways.
        (None, Some(b)) => a.is_null() && b.is_nan(),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn there_are_ten() {
        let queries = named_queries();
        assert_eq!(queries.len(), 10);
        assert!(
            queries.iter().all(|query| !query.tables.is_empty()),
            "{queries:?}"
        );
    }

    #[test]
    fn rows_are_compared_value_by_value() {
        let ours = [json!([1.0, "a", null])];
        assert!(same_rows(&ours, &[json!([1.000_000_000_000_1, "a", null])]).is_ok());
        assert!(same_rows(&ours, &[json!([1.001, "a", null])]).is_err());
        assert!(same_rows(&ours, &[json!([1.0, "b", null])]).is_err());
        assert!(same_rows(&ours, &[json!([1.0, "a", 0.0])]).is_err());
        assert!(same_rows(&ours, &[]).is_err());
    }
}
