//! After warm-up every numeric column of a derived table says something: it is neither empty nor one number for ever.

use std::collections::BTreeMap;

use lakectl_core::{ColumnType, TableId};
use lakectl_pipeline::Selected;
use lakectl_pipeline::lake::TableMeta;
use lakectl_pipeline::stages::Columns;
use lakectl_tests::Bench;

/// Columns that may be empty or constant, with the reason: `(table.column or table.*, asset or "" for all, reason)`.
const ALLOWED: [(&str, &str, &str); 27] = [
    (
        "market.dvol.width_s",
        "",
        "the simulated venue publishes daily bars of its index only",
    ),
    (
        "market.spot_bars.width_s",
        "",
        "the simulated venue publishes hourly bars only",
    ),
    (
        "onchain.indices.z_miner_outflow",
        "ETH",
        "a chain without miners has no miner outflow",
    ),
    (
        "onchain.metrics.revision",
        "",
        "one month was restated, 2025-08, and it lies before the days looked at",
    ),
    (
        "onchain.global_metrics.revision",
        "",
        "no series without an asset was restated",
    ),
    (
        "options.density.mass_error",
        "",
        "a simulated smile of a month or less has no mass beyond every price",
    ),
    (
        "options.density.mean_error",
        "",
        "a simulated smile of a month or less has no mass beyond every price",
    ),
    (
        "options.density.negative_mass",
        "",
        "simulated smiles have no arbitrage",
    ),
    (
        "options.expiry_density.negative_mass",
        "",
        "simulated smiles have no arbitrage",
    ),
    (
        "options.exposure.left_out",
        "",
        "no simulated chain is taken within an hour of an expiry",
    ),
    (
        "options.exposure.smile_share",
        "",
        "every simulated expiry has a smile",
    ),
    (
        "options.forwards.rate",
        "",
        "nothing is discounted unless a parameter says so",
    ),
    (
        "options.forwards.discount",
        "",
        "nothing is discounted unless a parameter says so",
    ),
    (
        "options.skew_elasticity.observations",
        "",
        "a year of warm-up fills the window of thirty changes",
    ),
    (
        "options.skew_fit.*",
        "",
        "one simulated chain of the days looked at is taken before noon",
    ),
    (
        "options.skew_policy.*",
        "",
        "one simulated chain of the days looked at is taken before noon",
    ),
    (
        "options.skew_report.skipped",
        "",
        "every simulated quote can be scored",
    ),
    (
        "options.slices.inside_share",
        "",
        "simulated quotes lie on both sides of their smile",
    ),
    (
        "options.slices.calendar_crossings",
        "",
        "simulated smiles have no arbitrage",
    ),
    (
        "options.slices.repair_cost_vol",
        "",
        "simulated smiles have no arbitrage",
    ),
    (
        "options.slices.carried_hours",
        "",
        "no simulated expiry is thin",
    ),
    (
        "options.slices.level_shift_vol",
        "",
        "no simulated expiry is thin",
    ),
    (
        "options.smile_models.sabr_beta",
        "",
        "the model is fitted with a fixed exponent",
    ),
    (
        "options.variance_index.horizon_days",
        "",
        "the index has one horizon",
    ),
    ("sentiment.daily.revision", "", "no mood was restated"),
    (
        "features.sentiment.sent_min_365",
        "BTC",
        "the lowest day of a year stays the lowest for long",
    ),
    (
        "features.onchain_signals.sent_min_365",
        "BTC",
        "the lowest day of a year stays the lowest for long",
    ),
];

/// Tables made from others, with what is known of them; fitted models are no measurements.
fn derived(tables: &BTreeMap<TableId, TableMeta>) -> impl Iterator<Item = (&TableId, &TableMeta)> {
    tables.iter().filter(|(id, _)| {
        let schema = id.as_str().split('.').next().unwrap_or_default();
        !["raw", "norm", "quarantine", "models"].contains(&schema)
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
            let ranges: Vec<(f64, f64)> = low
                .iter()
                .zip(&high)
                .filter_map(|(l, h)| l.zip(*h))
                .collect();
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

fn names(allowed: &str, column: &str) -> bool {
    match allowed.strip_suffix('*') {
        Some(table) => column.starts_with(table),
        None => allowed == column,
    }
}

/// Fails with the silent columns for which there is no reason.
fn assert_none(found: &[(String, String, String)]) {
    let unexplained: Vec<String> = found
        .iter()
        .filter(|(column, who, _)| {
            !ALLOWED.iter().any(|(allowed, asset, _)| {
                names(allowed, column) && (asset.is_empty() || asset == who)
            })
        })
        .map(|(column, who, what)| format!("{column} {who}: {what}"))
        .collect();
    assert!(
        unexplained.is_empty(),
        "columns with nothing to say:\n{}",
        unexplained.join("\n")
    );
}

/// The days looked at; a year of warm-up, as the longest windows want it, was before them or ends among them.
const SINCE: &str = "2025-09-02";

/// Unless the long form is wanted, chains are made for the last months only, so that this is quick.
#[test]
fn every_number_says_something() {
    let mut bench = Bench::new("demo");
    if !crate::full() {
        bench.set("coverage.options.start", "2025-11-01");
        bench.set("coverage.forecast.start", "2026-01-01");
        bench.set("sources.demo.market.dense_from", "2026-03-20");
    }
    let (summary, _) = bench.run(&Selected::default()).unwrap();
    assert_eq!(summary.tasks.failed + summary.tasks.blocked, 0);
    let head = bench.lake().head().unwrap();
    let found = silent(
        &|query| bench.sql(query),
        &head.tables,
        SINCE,
        &[ColumnType::F64, ColumnType::I64],
    );
    for (column, who, what) in &found {
        eprintln!("{column} {who}: {what}");
    }
    assert_none(&found);
}
