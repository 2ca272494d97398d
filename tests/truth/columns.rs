//! After warm-up every numeric column of a derived table says something: it is neither empty nor one number for ever.

use std::collections::BTreeMap;

use lakectl_core::{ColumnType, TableId};
use lakectl_pipeline::lake::TableMeta;
use lakectl_pipeline::stages::Columns;
use lakectl_tests::Bench;

/// Columns that may be empty or constant, with the reason: `(table.column, asset or "" for all, reason)`.
const ALLOWED: [(&str, &str, &str); 0] = [];

/// Tables made from others, with what is known of them.
fn derived(tables: &BTreeMap<TableId, TableMeta>) -> impl Iterator<Item = (&TableId, &TableMeta)> {
    tables.iter().filter(|(id, _)| {
        let schema = id.as_str().split('.').next().unwrap_or_default();
        !["raw", "norm", "quarantine"].contains(&schema)
    })
}

/// The columns with nothing to say since `since`, as `(table.column, asset, what)`. The asset is empty where the column
/// says nothing for any of them.
pub(crate) fn silent(
    sql: &dyn Fn(&str) -> Columns,
    tables: &BTreeMap<TableId, TableMeta>,
    since: &str,
    kinds: &[ColumnType],
) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for (id, meta) in derived(tables) {
        let numeric: Vec<&str> = meta
            .contract
            .columns()
            .iter()
            .filter(|column| kinds.contains(&column.kind))
            .map(|column| column.name.as_str())
            .collect();
        let Some(time) = meta.time_column.as_deref().filter(|_| !numeric.is_empty()) else {
            continue;
        };
        let by_asset = meta.contract.get("asset").is_some();
        let asset = if by_asset { "asset" } else { "''" };
        let facts: Vec<String> = numeric
            .iter()
            .enumerate()
            .map(|(i, c)| {
                let c = format!("CAST({c} AS DOUBLE)");
                format!("count({c}) AS n{i}, min({c}) AS low{i}, max({c}) AS high{i}")
            })
            .collect();
        let table = sql(&format!(
            "SELECT {asset} AS who, {} FROM {id} WHERE {time} >= '{since}' GROUP BY 1 ORDER BY 1",
            facts.join(", ")
        ));
        if table.rows() == 0 {
            found.push((id.to_string(), String::new(), "no rows".to_owned()));
        }
        let who = table.texts("who").unwrap();
        for (i, column) in numeric.iter().enumerate() {
            let (count, low, high) = (
                table.i64s(&format!("n{i}")).unwrap(),
                table.f64s(&format!("low{i}")).unwrap(),
                table.f64s(&format!("high{i}")).unwrap(),
            );
            let ranges: Vec<(f64, f64)> = low.iter().zip(&high).filter_map(|(l, h)| l.zip(*h)).collect();
            let name = format!("{id}.{column}");
            if ranges.is_empty() {
                found.push((name, String::new(), "always null".to_owned()));
                continue;
            }
            if ranges.iter().all(|r| *r == (ranges[0].0, ranges[0].0)) {
                found.push((name, String::new(), format!("always {}", ranges[0].0)));
                continue;
            }
            for row in 0..table.rows() {
                let who = who[row].clone().unwrap_or_default();
                if count[row] == Some(0) {
                    found.push((name.clone(), who, "always null".to_owned()));
                } else if low[row] == high[row] {
                    found.push((name.clone(), who, format!("always {}", low[row].unwrap())));
                }
            }
        }
    }
    found
}

/// Fails with the silent columns for which there is no reason.
fn assert_none(found: &[(String, String, String)]) {
    let unexplained: Vec<String> = found
        .iter()
        .filter(|(column, who, _)| {
            !ALLOWED.iter().any(|(allowed, asset, _)| allowed == column && (asset.is_empty() || asset == who))
        })
        .map(|(column, who, what)| format!("{column} {who}: {what}"))
        .collect();
    assert!(unexplained.is_empty(), "columns with nothing to say:\n{}", unexplained.join("\n"));
}

/// Chains only for the last months, so that this is quick; the series of the other sources need their year of warm-up.
#[test]
fn every_number_says_something() {
    let mut bench = Bench::new("demo");
    let since = if crate::full() {
        "2025-09-02"
    } else {
        bench.set("coverage.options.start", "2025-11-01");
        bench.set("coverage.forecast.start", "2026-01-01");
        bench.set("sources.demo.market.dense_from", "2026-03-20");
        "2026-02-20"
    };
    let (summary, _) = bench.run_until("backtest.forecast_scores");
    assert_eq!(summary.tasks.failed + summary.tasks.blocked, 0);
    let head = bench.lake().head().unwrap();
    let found = silent(&|query| bench.sql(query), &head.tables, since, &[ColumnType::F64, ColumnType::I64]);
    for (column, who, what) in &found {
        eprintln!("{column} {who}: {what}");
    }
    assert_none(&found);
}
