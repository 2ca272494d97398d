//! What is carried from one snapshot to the next, and what is not.

use arrow::array::TimestampMicrosecondArray;

use super::*;

/// Three snapshots of three expiries with eleven strikes each; in the last one an expiry has only three left.
fn greeks() -> RecordBatch {
    const STRIKES: usize = 11;
    rows("options.greeks", 3 * 3 * STRIKES, &|column, row| {
        let (snapshot, expiry, strike) = (row / (3 * STRIKES), row / STRIKES % 3, row % STRIKES);
        let day = Day::from_days(20_000).start().micros();
        let time = day + snapshot as i64 * 6 * HOUR;
        let days = [9, 30, 120][expiry];
        let due = day + days * 24 * HOUR;
        let years = (due - time) as f64 / (365.0 * 24.0 * HOUR as f64);
        let k = 0.6 * years.sqrt() * (strike as f64 - 5.0) / 3.0;
        let thin = snapshot == 2 && expiry == 1 && strike % 4 != 1;
        let iv = 0.5 + 0.02 * snapshot as f64 + 0.1 * (k * k + 0.01).sqrt() - 0.05 * k;
        let iv = iv + 0.002 * wobble(row as u64);
        Some(match column {
            "asset" => Cell::Text("BTC".to_owned()),
            "event_time" => Cell::Whole(time),
            "known_at" => Cell::Whole(time + HOUR),
            "expiry" => Cell::Whole(due),
            "instrument" => Cell::Text(format!("Q{row}")),
            "expiry_years" => Cell::Number(years),
            "forward" => Cell::Number(90_000.0 + 100.0 * expiry as f64),
            "log_moneyness" => Cell::Number(k),
            "iv" if !thin => Cell::Number(iv),
            "bid_iv" => Cell::Number(iv - 0.004),
            "ask_iv" => Cell::Number(iv + 0.003),
            "delta" => Cell::Number(if k < 0.0 { -0.2 } else { 0.3 }),
            "vega" => Cell::Number(9_000.0 * years.sqrt()),
            "two_sided" => Cell::Truth(strike % 5 != 0),
            "out_of_the_money" => Cell::Truth(true),
            _ => return None,
        })
    })
}

/// The column of a stage's rows as text, in the order of the rows.
fn texts(rows: &RecordBatch, column: &str) -> Vec<String> {
    let array = rows.column_by_name(column).unwrap();
    let options = arrow::util::display::FormatOptions::default().with_null("-");
    let text = arrow::util::display::ArrayFormatter::try_new(array, &options).unwrap();
    (0..array.len())
        .map(|row| text.value(row).to_string())
        .collect()
}

#[test]
fn a_thin_slice_carries_the_shape_of_the_snapshot_before() {
    let inputs = BTreeMap::from([("options.greeks".to_owned(), greeks())]);
    let rows = run("slices", "options.slices", &inputs);
    let mut expected = vec!["ok"; 9];
    expected[7] = "carried";
    assert_eq!(texts(&rows, "status"), expected);
    let hours = numbers(&rows, "carried_hours")[7].unwrap();
    assert!((hours - 6.0).abs() < 1e-6, "{hours}");
    let shift = numbers(&rows, "level_shift_vol")[7].unwrap();
    assert!((shift - 0.02).abs() < 0.004, "{shift}");
    // The first snapshot has nothing before it; a carried slice has no fit of its own to compare.
    let hours = numbers(&rows, "change_hours");
    assert!(hours[..3].iter().all(Option::is_none) && hours[7].is_none());
    assert!(
        [3, 4, 5, 6, 8]
            .iter()
            .all(|i| hours[*i].is_some_and(|h| (h - 6.0).abs() < 1e-6))
    );
    let level = numbers(&rows, "level_change_vol")[4].unwrap();
    assert!((level - 0.02).abs() < 0.003, "{level}");
}

#[test]
fn nothing_is_carried_for_longer_than_a_day_or_from_quotes_known_later() {
    let late = |hours: i64, of: &'static str| {
        let all = greeks();
        let index = all.schema().index_of(of).unwrap();
        let times = all.column(index).as_primitive::<TimestampMicrosecondType>();
        let moved = times.iter().enumerate().map(|(row, time)| {
            // The two snapshots before the thin one.
            time.map(|time| time + if row < 66 { hours * HOUR } else { 0 })
        });
        let mut columns = all.columns().to_vec();
        let moved: TimestampMicrosecondArray = moved.collect();
        columns[index] = Arc::new(moved.with_timezone("UTC"));
        let rows = RecordBatch::try_new(all.schema(), columns).unwrap();
        let rows = run(
            "slices",
            "options.slices",
            &BTreeMap::from([("options.greeks".to_owned(), rows)]),
        );
        texts(&rows, "status")[7].clone()
    };
    assert_eq!(late(0, "known_at"), "carried");
    assert_eq!(late(5, "known_at"), "carried");
    assert_eq!(late(7, "known_at"), "carried");
    assert_eq!(late(24, "known_at"), "too_few_quotes");
    assert_eq!(late(-19, "event_time"), "too_few_quotes");
}
