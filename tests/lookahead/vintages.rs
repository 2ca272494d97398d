//! Several recordings of one history that reach different days, disagree, and tell their times in different ways.

use std::fmt::Write;
use std::fs;

use lakectl_core::{Day, UtcTime};
use lakectl_tests::Bench;

use crate::full::is_full;
use crate::twin::{Start, assert_tight, at, run};

const GOAL: &str = "onchain.daily";

/// A recording: its dataset, when it was made, and its days of 2025 by number.
struct Recording {
    dataset: &'static str,
    made: &'static str,
    days: (i32, i32),
}

const fn recording(dataset: &'static str, made: &'static str, first: i32, last: i32) -> Recording {
    Recording {
        dataset,
        made,
        days: (first, last),
    }
}

const RECORDINGS: [Recording; 6] = [
    recording("first", "20250310T120000Z", 0, 67),
    recording("second", "20250501T060000Z", 0, 118),
    recording("third", "20250602T120000Z", 20, 151),
    recording("told", "20250310T000000Z", 0, 66),
    recording("told", "20250420T000000Z", 0, 107),
    recording("told", "20250425T000000Z", 50, 113),
];

/// Datasets: name, venue, whether they have the vendor's own times, and what a later document does to an earlier one.
const DATASETS: [(&str, &str, bool, &str); 4] = [
    ("first", "restater", true, "restatement"),
    ("second", "restater", false, "restatement"),
    ("third", "restater", false, "restatement"),
    ("told", "corrector", true, "correction"),
];

/// A number from 0 to 9 that looks random.
fn digit(seed: u64, day: i32, salt: u64) -> i64 {
    let mut state =
        seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt.wrapping_mul(0xD1B5_4A32_D192_ED03);
    state ^= u64::from(day.unsigned_abs()).wrapping_mul(0x8CB9_2BA7_2F3D_8DD7);
    for _ in 0..2 {
        state = (state ^ (state >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    }
    i64::try_from((state >> 33) % 10).unwrap()
}

/// A third of the values and of the vendor's times differ between recordings, one value in ten is missing.
fn document(number: usize, seed: u64) -> String {
    let mut text = "day,done,flow\n".to_owned();
    let first: Day = "2025-01-01".parse().unwrap();
    let own = 100 * (number as u64 + 1);
    let (from, to) = RECORDINGS[number].days;
    for day in from..=to {
        let draw = |salt: u64| digit(seed, day, own + salt);
        let date = first.plus(day);
        let delay = if draw(1) < 3 {
            draw(2)
        } else {
            digit(seed, day, 1)
        };
        let done = date.plus(1).start().micros() / 1_000_000 + 3_000 * delay;
        let value = i64::from(day) + 100 + if draw(3) < 3 { draw(4) } else { 0 };
        let value = if draw(5) == 0 {
            String::new()
        } else {
            value.to_string()
        };
        writeln!(text, "{date},{done},{value}").unwrap();
    }
    text
}

fn dataset((name, venue, has_vendor_times, replacement): (&str, &str, bool, &str)) -> String {
    let vendor_time = if has_vendor_times {
        "vendor_time = { column = \"done\", unit = \"s\" }\n"
    } else {
        ""
    };
    format!(
        "[sources.archive.datasets.{name}]\nglob = \"{name}_*.csv\"\nformat = \"metric_csv\"\nfeeds = \"metrics\"\n\
         document_time = \"name:%Y%m%dT%H%M%SZ\"\npartition = \"none\"\nwidth = \"1d\"\nlag = \"4h\"\nvenue = \"{venue}\"\n\
         asset = \"BTC\"\nreplacement = \"{replacement}\"\n[sources.archive.datasets.{name}.columns]\nevent_time = \"day\"\n\
         {vendor_time}[sources.archive.datasets.{name}.metrics]\nexchange_inflow = {{ column = \"flow\", unit = \"coin\" }}\n"
    )
}

/// When a recording was made.
fn made(recording: &Recording) -> UtcTime {
    let (date, time) = recording.made.split_at(8);
    at(&format!(
        "{}-{}-{}T{}:{}:00Z",
        &date[..4],
        &date[4..6],
        &date[6..],
        &time[1..3],
        &time[3..5]
    ))
}

#[test]
fn recordings_that_disagree_stay_in_their_times() {
    let seeds = if is_full() { 30 } else { 2 };
    for seed in 1..=seeds {
        audit(seed);
    }
}

fn audit(seed: u64) {
    let mut full = Bench::new("archive");
    let mut config = "[calendar]\nend = \"2025-06-20\"\n".to_owned();
    for coverage in ["options", "history", "daily", "forecast"] {
        write!(
            config,
            "[coverage.{coverage}]\nasset = [\"BTC\"]\nstart = \"2025-01-01\"\n"
        )
        .unwrap();
    }
    config.push_str("[sources.archive]\nassumed_availability = true\n");
    let root = full.folder().join("files");
    fs::create_dir_all(&root).unwrap();
    for (number, Recording { dataset, made, .. }) in RECORDINGS.iter().enumerate() {
        fs::write(
            root.join(format!("{dataset}_{made}.csv")),
            document(number, seed),
        )
        .unwrap();
    }
    config.extend(DATASETS.map(dataset));
    full.project.set_text("configs/archive.toml", config);
    full.set("sources.archive.root", &root.display().to_string());
    run(&full, Some(GOAL));
    let revised = full
        .sql("SELECT count(*) AS rows FROM onchain.metrics WHERE revision > 0")
        .i64s("rows")
        .unwrap()[0];
    assert!(revised > Some(30), "{revised:?} revisions");
    // Around the recordings, and in nights while values are becoming known one after the other.
    let mut instants: Vec<UtcTime> = RECORDINGS.iter().skip(1).step_by(2).map(made).collect();
    instants.extend((0..6).map(|i| {
        let day = 10 * digit(seed, i, 7) + digit(seed, i, 8);
        let minutes = 50 * digit(seed, i, 9) + 25;
        UtcTime::from_micros(at("2025-01-04").micros() + (1_440 * day + minutes) * 60_000_000)
    }));
    let instants: Vec<(UtcTime, Start)> = instants.into_iter().map(|t| (t, Start::Cut)).collect();
    assert_tight(&full, Some(GOAL), &instants);
}
