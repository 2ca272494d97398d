//! `docs/data-coverage.md`: which columns of the recorded archive have values when, and why the others have none.
//!
//! `LAKE_BLESS=1` writes the page; otherwise it must be what would be written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use lakectl_core::{Column, TableId};
use lakectl_tests::Bench;

const MONTHS: [&str; 7] = [
    "2025-12", "2026-01", "2026-02", "2026-03", "2026-04", "2026-05", "2026-06",
];

/// The tables on the page, with the columns that are summed up under the beginning of their names.
const TABLES: [(&str, &[&str]); 8] = [
    ("features.surface_factors", &[]),
    ("onchain.indices", &[]),
    (
        "features.onchain_signals",
        &[
            "mdia_",
            "whale_",
            "mvrv_ls_",
            "mvrv_comp_",
            "mvrv60_",
            "mvrv_all_",
            "sent_",
            "flow_",
        ],
    ),
    ("features.divergence", &[]),
    ("signals.market_state", &[]),
    ("features.matrix", &[]),
    ("forecast.regimes", &[]),
    ("forecast.quantiles", &[]),
];

const INTRODUCTION: &str = include_str!("coverage.md");

pub(super) fn the_page_on_coverage_is_current(bench: &mut Bench, _: &Path) {
    let page = page(bench);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/data-coverage.md");
    if std::env::var_os("LAKE_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, page).unwrap();
        return;
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert!(
        written == page,
        "docs/data-coverage.md is out of date (LAKE_BLESS=1 writes it); first difference: {differs:?}"
    );
}

fn page(bench: &Bench) -> String {
    let head = bench.lake().head().unwrap();
    let mut page = INTRODUCTION.to_owned();
    for (name, families) in TABLES {
        let id: TableId = name.parse().unwrap();
        let meta = &head.tables[&id];
        let time = meta.time_column.as_deref().unwrap();
        let columns: Vec<&Column> = meta
            .contract
            .columns()
            .iter()
            .filter(|c| c.nullable)
            .collect();
        writeln!(page, "\n## `{name}`\n").unwrap();
        if columns.is_empty() {
            writeln!(
                page,
                "No column of it may be null; the table counts rows.\n"
            )
            .unwrap();
        }
        table(&mut page, &shares(bench, name, time, &columns, families));
        if columns.iter().any(|c| c.name == "reason") || !families.is_empty() {
            reasons(&mut page, bench, name, time, &columns);
        }
    }
    bases(&mut page, bench);
    page
}

/// What the forecasts were made from.
fn bases(page: &mut String, bench: &Bench) {
    let table = bench.sql(
        "SELECT basis, string_agg(DISTINCT asset, '+' ORDER BY asset) AS who, count(DISTINCT as_of) AS days,
                CAST(CAST(min(as_of) AS DATE) AS VARCHAR) AS first, CAST(CAST(max(as_of) AS DATE) AS VARCHAR) AS last
         FROM forecast.quantiles GROUP BY basis ORDER BY first, who, basis",
    );
    writeln!(page, "\nWhat each forecast was made from (`basis`):\n").unwrap();
    writeln!(
        page,
        "| days | first | last | assets | basis |\n|---:|---|---|---|---|"
    )
    .unwrap();
    let text = |name: &str| table.texts(name).unwrap();
    let (bases, who, first, last) = (text("basis"), text("who"), text("first"), text("last"));
    let days = table.i64s("days").unwrap();
    for i in 0..table.rows() {
        let of = |column: &[Option<String>]| column[i].clone().unwrap();
        writeln!(
            page,
            "| {} | {} | {} | {} | `{}` |",
            days[i].unwrap(),
            of(&first),
            of(&last),
            of(&who),
            of(&bases)
        )
        .unwrap();
    }
}

/// Non-null and all cells by line of the table, asset and month. The first line counts rows.
type Shares = Vec<(String, BTreeMap<(String, String), (i64, i64)>)>;

fn shares(bench: &Bench, name: &str, time: &str, columns: &[&Column], families: &[&str]) -> Shares {
    let values: Vec<&&Column> = columns.iter().filter(|c| !is_reason(&c.name)).collect();
    let counts: String = values
        .iter()
        .map(|c| format!(", count({0}) AS {0}", c.name))
        .collect();
    let table = bench.sql(&format!(
        "SELECT asset, substr(CAST(date_trunc('month', {time}) AS VARCHAR), 1, 7) AS month, count(*) AS all_rows{counts}
         FROM {name} GROUP BY 1, 2 ORDER BY 1, 2"
    ));
    let (assets, months) = (table.texts("asset").unwrap(), table.texts("month").unwrap());
    let keys: Vec<(String, String)> = assets
        .into_iter()
        .flatten()
        .zip(months.into_iter().flatten())
        .collect();
    let rows = table.i64s("all_rows").unwrap();
    let line = |counts: &dyn Fn(usize) -> (i64, i64)| {
        keys.iter()
            .enumerate()
            .map(|(i, key)| (key.clone(), counts(i)))
            .collect()
    };
    let of = |column: &str| table.i64s(column).unwrap();
    let mut result = vec![("rows".to_owned(), line(&|i| (rows[i].unwrap(), 0)))];
    if families.is_empty() {
        for column in values {
            let found = of(&column.name);
            result.push((
                format!("`{}`", column.name),
                line(&|i| (found[i].unwrap(), rows[i].unwrap())),
            ));
        }
        return result;
    }
    for family in families {
        let members: Vec<Vec<Option<i64>>> = values
            .iter()
            .filter(|c| c.name.starts_with(family))
            .map(|c| of(&c.name))
            .collect();
        let sum = |i: usize| members.iter().map(|m| m[i].unwrap()).sum();
        let cells = members.len() as i64;
        let title = format!("`{family}*` ({cells} columns)");
        result.push((title, line(&|i| (sum(i), cells * rows[i].unwrap()))));
    }
    result
}

fn is_reason(column: &str) -> bool {
    column == "reason" || column.ends_with("_reason")
}

/// One line a column, one cell a month: BTC and ETH in percent.
fn table(page: &mut String, shares: &Shares) {
    writeln!(page, "| BTC / ETH, % | {} |", MONTHS.join(" | ")).unwrap();
    writeln!(page, "|---|{}", "---:|".repeat(MONTHS.len())).unwrap();
    for (name, cells) in shares {
        write!(page, "| {name} |").unwrap();
        for month in MONTHS {
            let of = |asset: &str| match cells.get(&(asset.to_owned(), month.to_owned())) {
                None => "–".to_owned(),
                Some((rows, 0)) => rows.to_string(),
                Some((found, all)) => percent(*found, *all).to_string(),
            };
            let (btc, eth) = (of("BTC"), of("ETH"));
            write!(
                page,
                " {} |",
                if btc == eth {
                    btc
                } else {
                    format!("{btc} / {eth}")
                }
            )
            .unwrap();
        }
        writeln!(page).unwrap();
    }
}

/// A rounded share that is 0 or 100 only if it is exactly that.
fn percent(found: i64, all: i64) -> i64 {
    if found == 0 || found == all {
        return 100 * found / all;
    }
    ((200 * found + all) / (2 * all)).clamp(1, 99)
}

/// What the rows say themselves about their nulls, the more frequent first.
fn reasons(page: &mut String, bench: &Bench, name: &str, time: &str, columns: &[&Column]) {
    writeln!(
        page,
        "\nReasons in the rows, with days from first to last:\n"
    )
    .unwrap();
    let (from, to) = (format!("{}-01", MONTHS[0]), "2026-07-01");
    for column in columns.iter().filter(|c| is_reason(&c.name)) {
        let table = bench.sql(&format!(
            "SELECT {0} AS words, count(*) AS rows, string_agg(DISTINCT asset, '+' ORDER BY asset) AS who,
                    CAST(CAST(min({time}) AS DATE) AS VARCHAR) AS first, CAST(CAST(max({time}) AS DATE) AS VARCHAR) AS last
             FROM {name} WHERE {0} IS NOT NULL AND {time} >= '{from}' AND {time} < '{to}'
             GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 6",
            column.name
        ));
        let text = |name: &str| table.texts(name).unwrap();
        let (words, who, first, last) = (text("words"), text("who"), text("first"), text("last"));
        let rows = table.i64s("rows").unwrap();
        for i in 0..table.rows() {
            let of = |column: &[Option<String>]| column[i].clone().unwrap();
            writeln!(
                page,
                "* `{}` {}: {} rows, {} to {}: {}",
                column.name,
                of(&who),
                rows[i].unwrap(),
                of(&first),
                of(&last),
                of(&words)
            )
            .unwrap();
        }
    }
}
