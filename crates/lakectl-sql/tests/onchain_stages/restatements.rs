use crate::chain::{Stated, lab, norm, path, surfaces, world};
use crate::lab::{DAY, HOUR, Lab, Value, day, instant, keep, number, text, value};

fn revisions(rows: &[Stated]) -> Vec<(f64, i64, i64, String)> {
    let mut lab = Lab::default();
    lab.put("norm.metrics", "event_time", norm(rows));
    lab.run("onchain.metrics", "BTC", 2025..=2025);
    let out = lab.get("onchain.metrics");
    (0..out.num_rows())
        .map(|row| {
            let hours = (instant(out, "known_at", row) - instant(out, "event_time", row)) / HOUR;
            let Value::Int(revision) = value(out, "revision", row) else {
                panic!("no revision")
            };
            (
                number(out, "value", row).unwrap(),
                hours,
                revision,
                text(out, "known_at_basis", row),
            )
        })
        .collect()
}

fn stated(value: f64, known_hours: i64, document_days: i64, replacement: &'static str) -> Stated {
    let day = day("2025-06-10");
    Stated {
        known_at: day * DAY + known_hours * HOUR,
        document_time: (day + document_days) * DAY,
        replacement,
        ..Stated::new("exchange_inflow", day, value)
    }
}

#[test]
fn a_changed_value_is_known_from_its_document() {
    let first = stated(10.0, 28, 2, "restatement");
    let same = stated(10.0, 28, 9, "restatement");
    let changed = stated(12.0, 28, 20, "restatement");
    let back = stated(10.0, 28, 30, "restatement");
    let found = revisions(&[back, changed, first, same]);
    let lag = || "lag".to_owned();
    let document = || "document".to_owned();
    let expected = vec![
        (10.0, 28, 0, lag()),
        (12.0, 20 * 24, 1, document()),
        (10.0, 30 * 24, 2, document()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_correction_keeps_the_time_and_the_last_one_counts() {
    let mut rows = vec![
        stated(10.0, 28, 2, "correction"),
        stated(11.0, 28, 2, "correction"),
        stated(9.0, 28, 2, "correction"),
    ];
    for (i, row) in rows.iter_mut().enumerate() {
        row.sequence = [0, 2, 1][i];
    }
    assert_eq!(revisions(&rows), vec![(11.0, 28, 0, "lag".to_owned())]);
}

#[test]
fn a_later_document_that_fills_a_gap_is_not_dated_back() {
    // The first document reaches back to the 1st but has no value for the 10th.
    let mut early = Stated::new("exchange_inflow", day("2025-06-01"), 5.0);
    early.document_time = day("2025-06-25") * DAY;
    let mut gap = stated(f64::NAN, 28, 15, "restatement");
    gap.document_time = early.document_time;
    let filled = stated(10.0, 28, 40, "restatement");
    let found = revisions(&[early, gap, filled]);
    assert_eq!(found[1], (10.0, 40 * 24, 0, "document".to_owned()));
}

#[test]
fn a_document_that_lacks_the_first_day_of_a_year_still_reaches_it() {
    // It begins in the year before, of which the partition sees thirty days.
    let said = |on: &str, made: &str| Stated {
        document_time: day(made) * DAY,
        ..Stated::new("exchange_inflow", day(on), 10.0)
    };
    let rows = [
        said("2024-12-31", "2025-01-25"),
        said("2025-01-02", "2025-01-25"),
        said("2025-01-01", "2025-02-20"),
    ];
    let found = revisions(&rows);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], (10.0, 50 * 24, 0, "document".to_owned()));
    assert_eq!(found[1], (10.0, 28, 0, "lag".to_owned()));
}

#[test]
fn pages_that_follow_each_other_keep_their_lag() {
    let mut rows = Vec::new();
    for (page, ends) in [("2025-05-01", "2025-05-31"), ("2025-06-01", "2025-06-30")] {
        for d in day(page)..=day(ends) {
            let mut row = Stated::new("mvrv", d, d as f64);
            row.document_time = day(ends) * DAY + 28 * HOUR + 1;
            rows.push(row);
        }
    }
    assert!(
        revisions(&rows)
            .iter()
            .all(|(_, hours, revision, _)| *hours == 28 && *revision == 0)
    );
}

#[test]
fn a_restated_month_leaves_the_next_one_alone() {
    let mut rows = Vec::new();
    for (page, ends, made) in [
        ("2025-05-01", "2025-05-31", "2025-06-01"),
        ("2025-05-01", "2025-05-31", "2025-06-08"),
        ("2025-06-01", "2025-06-30", "2025-07-01"),
    ] {
        for d in day(page)..=day(ends) {
            let restated = made == "2025-06-08";
            let mut row = Stated::new("mvrv", d, if restated { 2.0 } else { 1.0 });
            row.document_time = day(made) * DAY + 5 * HOUR;
            rows.push(row);
        }
    }
    let found = revisions(&rows);
    assert_eq!(found.len(), 31 + 31 + 30);
    assert!(found.iter().all(
        |(value, hours, revision, _)| (*revision == 1) == (*value == 2.0)
            && (*revision == 1 || *hours == 28)
    ));
}

#[test]
fn a_second_dataset_of_a_venue_is_no_earlier_source() {
    // Its usual lag is shorter than what the first one took; what it restates was still unknown then.
    let slow = Stated {
        known_at: (day("2025-06-10") + 6) * DAY,
        ..stated(10.0, 0, 20, "restatement")
    };
    let before = Stated {
        day: slow.day - 5,
        ..slow.clone()
    };
    let mut later = Stated {
        document_time: slow.document_time + DAY,
        ..stated(11.0, 28, 20, "restatement")
    };
    later.dataset = Some("another");
    let all = revisions(&[slow, before.clone(), later.clone()]);
    assert_eq!(all[2], (11.0, 21 * 24, 1, "document".to_owned()));
    // Hiding what was not public yet does not bring the restatement forward.
    assert_eq!(
        revisions(&[before, later])[1],
        (11.0, 21 * 24, 0, "document".to_owned())
    );
}

#[test]
fn venues_and_assets_stay_apart() {
    let other = Stated {
        venue: "glassnode",
        ..stated(20.0, 30, 40, "restatement")
    };
    let eth = Stated {
        asset: Some("ETH"),
        ..stated(30.0, 28, 40, "restatement")
    };
    let found = revisions(&[stated(10.0, 28, 2, "restatement"), other, eth]);
    assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), [10.0, 20.0]);
}

const TABLES: [&str; 9] = [
    "onchain.metrics",
    "onchain.global_metrics",
    "sentiment.daily",
    "onchain.daily",
    "onchain.indices",
    "features.onchain_signals",
    "features.divergence",
    "signals.market_state",
    "features.flows",
];

fn assert_same_until(full: &Lab, other: &Lab, until: i64, from: i64, what: &str) {
    for name in TABLES {
        let cut = |lab: &Lab| {
            let past = keep(lab.get(name), "known_at", |at| at <= until);
            let time = lab.tables[name].1.clone();
            keep(&past, &time, |at| at >= from)
        };
        let (a, b) = (cut(full), cut(other));
        assert_eq!(a.num_rows(), b.num_rows(), "{name}, {what}");
        for (i, field) in a.schema().fields().iter().enumerate() {
            assert_eq!(a.column(i), b.column(i), "{name}.{}, {what}", field.name());
        }
    }
}

fn whole() -> Vec<Stated> {
    let mut rows = world(day("2024-03-01")..day("2026-02-10"));
    // One month of flows is restated a good while later.
    for d in day("2025-05-01")..day("2025-05-31") {
        for metric in ["exchange_inflow", "exchange_outflow"] {
            let mut row = Stated::new(metric, d, 1.3 * path(metric, 4.0e4, 1.0e4, d));
            row.document_time = day("2025-07-20") * DAY + 3 * HOUR;
            rows.push(row);
        }
    }
    rows
}

#[test]
fn nothing_known_later_changes_what_was_known() {
    let rows = whole();
    let sky = || surfaces(day("2024-03-01")..day("2026-02-10"));
    let mut full = lab(&rows, sky());
    full.run_chain("BTC", 2024..=2026);
    // No table of the chain is empty, and the restated month is there twice.
    for name in TABLES {
        assert!(full.get(name).num_rows() > 300, "{name}");
    }
    let metrics = full.get("onchain.metrics");
    let second = (0..metrics.num_rows())
        .filter(|&row| number(metrics, "revision", row) == Some(1.0))
        .count();
    assert_eq!(second, 60);

    for (cut, hours, year) in [
        ("2025-01-01", 0, 2025),
        ("2025-05-20", 7, 2025),
        ("2025-07-21", 0, 2025),
        ("2025-12-31", 0, 2025),
        ("2026-01-02", 5, 2026),
    ] {
        let until = day(cut) * DAY + hours * HOUR;
        let known: Vec<Stated> = rows
            .iter()
            .filter(|row| row.known_at <= until)
            .cloned()
            .collect();
        let mut past = lab(&known, keep(&sky(), "known_at", |at| at <= until));
        past.run_chain("BTC", 2024..=year);
        assert_same_until(&full, &past, until, i64::MIN, cut);
    }

    // Without the restatement every decision before it is the same.
    let plain: Vec<Stated> = rows
        .iter()
        .filter(|row| row.document_time == row.known_at)
        .cloned()
        .collect();
    let mut unrevised = lab(&plain, sky());
    unrevised.run_chain("BTC", 2024..=2026);
    assert_same_until(
        &full,
        &unrevised,
        day("2025-07-20") * DAY,
        i64::MIN,
        "restatement",
    );
}

#[test]
fn an_earlier_start_of_history_changes_nothing_after_the_warm_up() {
    let rows = whole();
    let from = day("2024-08-01");
    let later: Vec<Stated> = rows.iter().filter(|row| row.day >= from).cloned().collect();
    let mut full = lab(&rows, surfaces(day("2024-03-01")..day("2026-02-10")));
    let mut short = lab(&later, surfaces(from..day("2026-02-10")));
    full.run_chain("BTC", 2024..=2026);
    short.run_chain("BTC", 2024..=2026);
    assert_same_until(&full, &short, i64::MAX, day("2025-12-05") * DAY, "start");
}

#[test]
fn without_rows_every_table_is_empty() {
    let mut lab = lab(&[], surfaces(0..0));
    lab.run_chain("BTC", 2025..=2025);
    for name in TABLES {
        assert_eq!(lab.get(name).num_rows(), 0, "{name}");
    }
}
