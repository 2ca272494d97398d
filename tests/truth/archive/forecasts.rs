//! Forecasts on real days: all there, each saying what it was made from, and sane in what moves them.

use std::fs::{self, File};
use std::path::Path;

use lakectl_core::Day;
use lakectl_tests::Bench;

use super::number;

/// Every decision day from 2026-01-15 to 2026-03-20 and both coins, two horizons, each with a basis and quantiles in order.
pub(super) fn every_day_has_forecasts(bench: &mut Bench, _: &Path) {
    let table = bench.sql(
        "SELECT asset, horizon_hours, count(DISTINCT as_of) AS days, count(*) AS rows,
                count(*) FILTER (WHERE basis <> '' AND q05 < q25 AND q25 < q50 AND q50 < q75 AND q75 < q95) AS sane
         FROM forecast.quantiles
         WHERE as_of BETWEEN '2026-01-15' AND '2026-03-20'
         GROUP BY asset, horizon_hours ORDER BY asset, horizon_hours",
    );
    assert_eq!(table.rows(), 4);
    for name in ["days", "rows", "sane"] {
        assert_eq!(table.f64s(name).unwrap(), [Some(65.0); 4], "{name}");
    }
    let later = bench.sql("SELECT max(as_of) AS last, count(*) AS rows FROM forecast.quantiles");
    eprintln!(
        "65 days x 2 coins x 2 horizons; {} forecasts in all",
        number(&later, "rows")
    );
}

/// The options family is part of the basis, before the first `;`, as soon as chains are recorded.
pub(super) fn options_are_in_the_basis(bench: &mut Bench, _: &Path) {
    let table = bench.sql(
        "SELECT count(*) AS rows,
                count(*) FILTER (WHERE concat('+', split_part(basis, ';', 1), '+') LIKE '%+options+%') AS with_options
         FROM forecast.quantiles WHERE as_of >= '2026-02-01' AND as_of < '2026-07-01'",
    );
    let share = number(&table, "with_options") / number(&table, "rows");
    eprintln!(
        "options in the basis of {:.1} % of {} forecasts",
        100.0 * share,
        number(&table, "rows")
    );
    assert!(share >= 0.95);
    let kinds = bench.sql("SELECT basis, count(*) AS rows, min(as_of) AS first FROM forecast.quantiles GROUP BY basis ORDER BY 3, 1");
    let (bases, rows) = (kinds.texts("basis").unwrap(), kinds.i64s("rows").unwrap());
    for (basis, rows) in bases.iter().zip(rows) {
        eprintln!("{:4} {}", rows.unwrap(), basis.as_deref().unwrap());
    }
}

/// Before these decision times every implied volatility of the last snapshot is raised by ten points.
const SHOCKED: [&str; 10] = [
    "2026-01-17",
    "2026-02-10",
    "2026-02-19",
    "2026-03-02",
    "2026-03-13",
    "2026-03-24",
    "2026-04-15",
    "2026-05-08",
    "2026-06-09",
    "2026-07-01",
];

/// Runs again over a copy of the recordings in which some snapshots show dearer options.
pub(super) fn dearer_options_widen_the_forecast(bench: &mut Bench, root: &Path) {
    let before = widths(bench);
    let copy = bench.folder().join("shocked");
    mirror(root, &copy);
    for time in SHOCKED {
        let day = time.parse::<Day>().unwrap().plus(-1).to_string();
        let folder = copy.join("deribit/chains").join(&day[..7]);
        let prefix = format!("deribit_options_snapshot_{}T", day.replace('-', ""));
        let mut names: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let last = names
            .iter()
            .rfind(|name| name.starts_with(&prefix))
            .unwrap();
        raise(&folder.join(last));
    }
    bench.set("sources.archive.root", &copy.display().to_string());
    let (summary, _) = bench.run_until("forecast");
    assert_eq!(summary.tasks.failed + summary.tasks.blocked, 0);
    let after = widths(bench);
    for ((name, before), (same, after)) in before.iter().zip(&after) {
        assert_eq!(name, same);
        eprintln!("{name}: {before:.4} -> {after:.4}");
        assert!(*after > 1.02 * before, "{name}: {before} -> {after}");
    }
    assert_eq!(before.len(), 2 * SHOCKED.len());
}

/// 24 h interval widths at the shocked decision times.
fn widths(bench: &Bench) -> Vec<(String, f64)> {
    let times = SHOCKED.map(|time| format!("'{time}'"));
    let table = bench.sql(&format!(
        "SELECT concat(asset, ' ', CAST(CAST(as_of AS DATE) AS VARCHAR)) AS name, q95 - q05 AS width
         FROM forecast.quantiles
         WHERE horizon_hours = 24 AND CAST(as_of AS DATE) IN ({}) ORDER BY 1",
        times.join(", ")
    ));
    let names = table.texts("name").unwrap().into_iter().flatten();
    names
        .zip(table.f64s("width").unwrap().into_iter().flatten())
        .collect()
}

/// The same tree of folders with links to the files.
fn mirror(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            mirror(&path, &target);
        } else if std::os::unix::fs::symlink(path.canonicalize().unwrap(), &target).is_err() {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Writes the file anew, never through the link, with 0.10 added to the column of implied volatilities.
fn raise(path: &Path) {
    let text = String::from_utf8(zstd::decode_all(File::open(path).unwrap()).unwrap()).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap();
    let column = header
        .split(',')
        .position(|name| name == "implied_volatility")
        .unwrap();
    let mut raised = format!("{header}\n");
    for line in lines {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        let iv: f64 = cells[column].parse().unwrap();
        cells[column] = (iv + 0.10).to_string();
        raised.push_str(&cells.join(","));
        raised.push('\n');
    }
    fs::remove_file(path).unwrap();
    fs::write(path, zstd::encode_all(raised.as_bytes(), 3).unwrap()).unwrap();
}
