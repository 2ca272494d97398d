//! An archive with files as they really come: damaged, cut, empty, misnamed, wrong. What is good in it is used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::chains::{chain, packed, text, write_bars, write_bytes, write_chain};
use crate::common::{Ended, Place};

const FLAGS: [&str; 14] = [
    "--profile",
    "archive",
    "--set",
    "sources.archive.root=data",
    "--set",
    "calendar.end=2026-01-11",
    "--set",
    "coverage.options.start=2026-01-01",
    "--set",
    "coverage.daily.start=2025-06-01",
    "--set",
    "coverage.history.start=2025-06-01",
    "--set",
    "coverage.forecast.start=2026-01-08",
];

fn call(place: &Place, args: &[&str]) -> Ended {
    place.call(&[&FLAGS[..], args].concat())
}

fn rows(place: &Place, query: &str) -> Vec<serde_json::Value> {
    let args = ["sql", query, "--format", "json"];
    call(place, &args)
        .code(0)
        .json()
        .as_array()
        .unwrap()
        .clone()
}

/// Ten days with one good snapshot each.
fn good_archive(root: &Path) {
    write_bars(root);
    for day in 1..=10 {
        write_chain(root, &format!("202601{day:02}T200000Z"), &text(&chain(day)));
    }
}

/// Every kind of bad file and bad row, each on a day of its own.
fn spoil(root: &Path) {
    let good = |day: u32| text(&chain(day));
    let mut damaged = packed(&good(2));
    let middle = damaged.len() / 2;
    damaged[middle..middle + 40].fill(0xaa);
    write_bytes(
        root,
        "deribit_options_snapshot_20260102T210000Z.csv.zst",
        &damaged,
    );
    let whole = packed(&good(3));
    write_bytes(
        root,
        "deribit_options_snapshot_20260103T210000Z.csv.zst",
        &whole[..whole.len() / 2],
    );
    write_bytes(
        root,
        "deribit_options_snapshot_20260104T210000Z.csv.zst",
        b"",
    );
    write_bytes(
        root,
        "deribit_options_snapshot_lastnight.csv.zst",
        &packed(&good(5)),
    );
    write_chain(
        root,
        "20260105T210000Z",
        "<html><body>502 Bad Gateway</body></html>\n",
    );
    write_chain(
        root,
        "20260105T220000Z",
        "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":10028}}\n",
    );
    write_chain(
        root,
        "20260106T210000Z",
        &good(6).replacen("implied_volatility", "sigma", 1),
    );
    let cut = good(6);
    write_chain(root, "20260106T220000Z", &cut[..cut.len() - 60]);
    write_chain(root, "20260107T210000Z", &half_missing(7));
    write_chain(root, "20260108T210000Z", &bad_rows(8));
    write_bytes(root, "notes.txt", b"not a chain at all");
    write_bytes(root, "deribit_futures_20260108.csv.zst", b"nor this");
}

/// The event time is moved to the file's own.
fn at(day: u32, hour: u32) -> Vec<String> {
    chain(day)
        .iter()
        .map(|line| line.replacen("T20:", &format!("T{hour}:"), 1))
        .collect()
}

fn with_fields(line: &str, changes: &[(usize, &str)]) -> String {
    let mut fields: Vec<&str> = line.split(',').collect();
    for (index, value) in changes {
        fields[*index] = value;
    }
    fields.join(",")
}

/// A chain with neither bid nor ask in more than half of its quotes.
fn half_missing(day: u32) -> String {
    let lines = at(day, 21).into_iter().enumerate();
    let lines = lines.map(|(i, line)| {
        if i % 5 < 3 {
            with_fields(&line, &[(6, ""), (7, "")])
        } else {
            line
        }
    });
    text(&lines.collect::<Vec<_>>())
}

/// A chain whose first rows are each wrong in another way.
fn bad_rows(day: u32) -> String {
    let mut lines = at(day, 21);
    let changes: [&[(usize, &str)]; 10] = [
        &[(6, "0.9"), (7, "0.1")],
        &[(6, "-0.0005")],
        &[(4, "NaN")],
        &[(2, "inf")],
        &[(8, "much")],
        &[(0, "yesterday")],
        &[(1, "BTC-SOMEDAY"), (4, "")],
        &[(9, "55.0")],
        &[
            (5, "2026-01-02T08:00:00+00:00"),
            (1, "BTC-2JAN26-90000-C"),
            (4, "90000.0"),
            (3, "call"),
        ],
        &[(2, "")],
    ];
    for (line, changes) in lines.iter_mut().zip(changes) {
        *line = with_fields(line, changes);
    }
    lines[20] = lines[21].clone();
    lines[30].push_str(",one,two,too,many");
    text(&lines)
}

#[test]
fn bad_files_are_set_aside_and_the_rest_is_used() {
    let place = Place::empty();
    let root = place.path().join("data");
    good_archive(&root);
    // Nothing to complain of; that one of the assets is too short for a forecast is a check's business.
    call(&place, &["run", "--until", "options", "--strict"]).code(0);
    let first = call(&place, &["run", "--until", "forecast", "--format", "json"]);
    let first = first.code(0).json();
    assert_eq!(first["quarantined"], 0, "{first}");
    let quotes = "SELECT event_time, count(*) AS n, sum(mark) AS marks FROM market.option_quotes \
                  WHERE event_time < TIMESTAMP '2026-01-31' AND extract(hour FROM event_time) = 20 GROUP BY 1 ORDER BY 1";
    let published = rows(&place, quotes);
    assert_eq!(published.len(), 10);

    spoil(&root);
    let run = ["run", "--until", "forecast", "--format", "json"];
    let second = call(&place, &run).code(0).json();
    assert_eq!(second["tasks"]["failed"], 0, "{second}");
    assert!(second["quarantined"].as_u64() > Some(15), "{second}");
    let strict = [&run[..], &["--strict"]].concat();
    call(&place, &strict).code(2);
    assert_eq!(
        rows(&place, quotes),
        published,
        "what was good before is as it was"
    );
    check_reasons(&place);

    // Later tables exist, with the good quotes of spoilt files in them.
    let of_spoilt = "SELECT count(*) AS n FROM market.option_quotes WHERE event_time > TIMESTAMP '2026-01-08 20:30:00' \
                     AND event_time < TIMESTAMP '2026-01-09'";
    let kept = rows(&place, of_spoilt)[0]["n"].as_u64().unwrap();
    assert!((200..240).contains(&kept), "{kept} of 240 quotes");
    let fitted = rows(
        &place,
        "SELECT count(DISTINCT event_time) AS n FROM options.slices WHERE rmse_vol < 0.02",
    );
    assert!(fitted[0]["n"].as_u64() >= Some(10), "{fitted:?}");
    let forecasts = "SELECT count(*) AS n FROM forecast.quantiles WHERE asset = 'BTC' AND q05 < q95 AND basis LIKE '%options%' \
                     AND horizon_hours = 24";
    assert_eq!(rows(&place, forecasts)[0]["n"], 4, "four days");

    let status = call(&place, &["status"]).code(0).stdout;
    assert!(
        status.contains("archive_deribit_chains") && status.contains("damaged"),
        "{status}"
    );
    let elsewhere = place
        .call(&["--profile", "archive", "status"])
        .code(0)
        .stdout;
    assert!(
        elsewhere.contains("new documents are not counted"),
        "{elsewhere}"
    );
}

/// Every bad file and row is in quarantine with its own reason.
fn check_reasons(place: &Place) {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let query = "SELECT document, reason, detail FROM quarantine.archive_deribit_chains";
    for row in rows(place, query) {
        let document = row["document"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        let name = document
            .trim_start_matches("deribit_options_snapshot_")
            .trim_end_matches(".csv.zst");
        assert!(!row["detail"].as_str().unwrap().is_empty(), "{row}");
        found
            .entry(name.to_owned())
            .or_default()
            .insert(row["reason"].as_str().unwrap().to_owned());
    }
    let expected: [(&str, &[&str]); 10] = [
        ("20260102T210000Z", &["damaged"]),
        ("20260103T210000Z", &["truncated"]),
        ("20260104T210000Z", &["empty_document"]),
        ("lastnight", &["misnamed"]),
        ("20260105T210000Z", &["unknown_format"]),
        ("20260105T220000Z", &["unknown_format"]),
        ("20260106T210000Z", &["missing_column"]),
        ("20260106T220000Z", &["truncated"]),
        ("20260107T210000Z", &["half_empty"]),
        (
            "20260108T210000Z",
            &[
                "crossed",
                "negative_value",
                "not_finite",
                "not_a_number",
                "bad_time",
                "bad_instrument",
                "implausible_iv",
                "expired",
                "missing_value",
                "duplicate",
                "field_count",
            ],
        ),
    ];
    for (name, reasons) in expected {
        let got = found
            .get(name)
            .unwrap_or_else(|| panic!("nothing of {name} in {found:?}"));
        for reason in reasons {
            assert!(got.contains(*reason), "{name}: no `{reason}` in {got:?}");
        }
    }
    assert_eq!(found.len(), expected.len(), "{found:?}");
}

#[test]
fn an_archive_of_nothing_runs() {
    let place = Place::empty();
    fs::create_dir(place.path().join("data")).unwrap();
    let run = call(&place, &["run", "--until", "forecast", "--format", "json"])
        .code(0)
        .json();
    assert_eq!(run["tasks"]["failed"], 0, "{run}");
    assert_eq!(
        rows(&place, "SELECT count(*) AS n FROM forecast.quantiles")[0]["n"],
        0
    );
    let doctor = call(&place, &["doctor"]).code(0).stdout;
    assert!(doctor.contains("nothing found for"), "{doctor}");
}
