//! `lakectl plot`: what it draws, and what it says when it cannot.

use std::fs;

use crate::common::{Place, SHORT};

/// The arguments of one picture.
fn plot<'a>(picture: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["plot", picture, "--asset", "BTC", "--out", out], more].concat()
}

#[test]
fn every_picture_of_the_demo_in_both_formats() {
    let place = Place::published();
    for picture in ["smile", "surface", "term", "density", "factors"] {
        for ending in ["svg", "png"] {
            let file = format!("{picture}.{ending}");
            let drawn = place
                .short(&plot(picture, &file, &["--format", "json"]))
                .code(0)
                .json();
            assert_eq!(
                (&drawn["picture"], &drawn["format"]),
                (&picture.into(), &ending.into())
            );
            let bytes = fs::read(place.path().join(&file)).unwrap();
            assert_eq!(drawn["bytes"], bytes.len());
            assert!(
                drawn["panels"][0]["series"][0]["points"].as_u64() > Some(0),
                "{drawn}"
            );
            match ending {
                "svg" => {
                    let text = String::from_utf8(bytes).unwrap();
                    assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
                    assert!(
                        text.contains("lake version 1 (main), snapshot "),
                        "{picture}"
                    );
                    assert!(!text.contains("NaN"), "{picture}");
                    assert_eq!(drawn["width"], 960);
                }
                _ => {
                    let side =
                        |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
                    assert_eq!(
                        (&drawn["width"], &drawn["height"]),
                        (&side(16).into(), &side(20).into())
                    );
                    assert_eq!(drawn["width"], 1920);
                }
            }
        }
    }
}

#[test]
fn every_snapshot_can_be_drawn() {
    let place = Place::published();
    for asset in ["BTC", "ETH"] {
        for day in 2..=11 {
            let at = format!("2026-01-{day:02}");
            for picture in ["smile", "surface", "term", "density"] {
                let args = [
                    "plot", picture, "--asset", asset, "--at", &at, "--out", "a.svg",
                ];
                place.short(&args).code(0);
                let text = fs::read_to_string(place.path().join("a.svg")).unwrap();
                assert!(!text.contains("NaN"), "{args:?}");
            }
        }
    }
}

#[test]
fn the_last_snapshot_at_or_before_a_time() {
    let place = Place::published();
    let at = |more: &[&str]| {
        let drawn = place
            .short(&plot(
                "smile",
                "a.svg",
                &[&["--format", "json"], more].concat(),
            ))
            .code(0)
            .json();
        let snapshot = drawn["snapshot"].as_str().unwrap();
        snapshot
            .trim_end_matches('Z')
            .trim_end_matches("000")
            .to_owned()
    };
    let sql = "SELECT DISTINCT event_time, event_time - INTERVAL '1 second' AS before FROM options.slices \
               WHERE asset = 'BTC' ORDER BY 1";
    let rows = place
        .short(&["sql", "--format", "json", sql])
        .code(0)
        .json();
    // Rows have milliseconds where that is enough.
    let time = |row: usize, name: &str| {
        rows[row][name]
            .as_str()
            .unwrap()
            .trim_end_matches('Z')
            .to_owned()
    };
    let first = time(0, "event_time");
    let last = time(rows.as_array().unwrap().len() - 1, "event_time");
    assert_eq!(at(&[]), last);
    assert_eq!(at(&["--at", "2100-01-01"]), last);
    assert_eq!(at(&["--at", &time(1, "event_time")]), time(1, "event_time"));
    assert_eq!(at(&["--at", &time(1, "before")]), first);
    let early = place
        .short(&plot("smile", "b.svg", &["--at", "2020-01-01"]))
        .code(1);
    assert!(
        early
            .stderr
            .contains("no snapshot of BTC at or before 2020-01-01T00:00:00Z"),
        "{}",
        early.stderr
    );
    assert!(
        early
            .stderr
            .contains(&format!("hint: its first are {first}")),
        "{}",
        early.stderr
    );
    assert!(!place.path().join("b.svg").exists());
}

#[test]
fn one_expiry_in_full() {
    let place = Place::published();
    let all = place
        .short(&plot("smile", "all.svg", &["--format", "json"]))
        .code(0)
        .json();
    let panels = all["panels"].as_array().unwrap().len();
    assert!(panels > 3, "{all}");
    let wrong = place
        .short(&plot("smile", "one.svg", &["--expiry", "2030-01-01"]))
        .code(1);
    assert!(
        wrong.stderr.contains("expires on 2030-01-01"),
        "{}",
        wrong.stderr
    );
    let (_, near) = wrong
        .stderr
        .split_once("the nearest expiries are ")
        .unwrap();
    let near = near.split(',').next().unwrap().trim();
    let one = place
        .short(&plot(
            "smile",
            "one.svg",
            &["--expiry", near, "--format", "json"],
        ))
        .code(0)
        .json();
    let titles: Vec<&str> = one["panels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["series"][0]["name"].as_str().unwrap())
        .collect();
    assert_eq!(titles.len(), 3, "{one}");
    let density = place
        .short(&plot(
            "density",
            "d.svg",
            &["--expiry", near, "--format", "json"],
        ))
        .code(0)
        .json();
    assert_eq!(density["panels"].as_array().unwrap().len(), 1);
}

#[test]
fn the_same_rows_are_the_same_bytes() {
    let place = Place::published();
    let drawn = |file: &str| {
        place.short(&plot("surface", file, &[])).code(0);
        fs::read(place.path().join(file)).unwrap()
    };
    assert_eq!(drawn("a.png"), drawn("b.png"));
    assert_eq!(drawn("a.svg"), drawn("b.svg"));
}

#[test]
fn refusals_say_what_would_do() {
    let place = Place::published();
    let refused = |args: &[&str], words: &[&str]| {
        let ended = place.short(args).code(1);
        for words in words {
            assert!(ended.stderr.contains(words), "{args:?}: {}", ended.stderr);
        }
    };
    let pdf = "`smile.pdf` ends neither in .svg nor in .png";
    refused(
        &plot("smile", "smile.pdf", &[]),
        &[pdf, "hint: ", "--out smile.svg"],
    );
    refused(
        &plot("smile", "smile", &[]),
        &["`smile` ends neither in .svg nor in .png"],
    );
    let doge = ["plot", "smile", "--asset", "DOGE", "--out", "a.svg"];
    refused(&doge, &["no rows of `DOGE`", "hint: it has BTC, ETH"]);
    refused(
        &plot("term", "a.svg", &["--expiry", "2026-01-30"]),
        &["of all expiries", "`smile` and `density`"],
    );
    refused(&plot("sunset", "a.svg", &[]), &["sunset", "smile, surface"]);
    refused(&plot("smile", "a.svg", &["--at", "noon"]), &["noon"]);
    refused(
        &plot("smile", "a.svg", &["--format", "csv"]),
        &["`plot` has no format `csv`"],
    );
    refused(
        &plot("smile", "missing/a.svg", &[]),
        &["cannot write `missing/a.svg`"],
    );
    refused(&plot("smile", "a.png", &["--scale", "0"]), &["--scale"]);
    assert!(!place.path().join("a.svg").exists());
}

#[test]
fn a_lake_without_the_table_names_the_command_that_makes_it() {
    let place = Place::empty();
    place.short(&["run", "--until", "market"]).code(0);
    let ended = place.short(&plot("smile", "a.svg", &[])).code(1);
    assert!(
        ended
            .stderr
            .contains("version 1 of the lake has nothing in `options.slices`"),
        "{}",
        ended.stderr
    );
    assert!(
        ended
            .stderr
            .contains("run --until options.slices` computes it"),
        "{}",
        ended.stderr
    );
    assert!(
        SHORT
            .iter()
            .skip(1)
            .step_by(2)
            .all(|set| ended.stderr.contains(set)),
        "{}",
        ended.stderr
    );
}

#[test]
fn exposure_of_the_demo() {
    let place = Place::published();
    let missing = place.short(&plot("exposure", "e.svg", &[])).code(1);
    assert!(
        missing
            .stderr
            .contains("run --until options.exposure_profile` computes it"),
        "{}",
        missing.stderr
    );
    place.short(&["run", "--until", "options"]).code(0);
    let drawn = place
        .short(&plot("exposure", "e.svg", &["--format", "json"]))
        .code(0)
        .json();
    assert_eq!(
        drawn["tables"],
        serde_json::json!([
            "options.exposure",
            "options.exposure_profile",
            "options.greeks"
        ])
    );
    let names = drawn["panels"][0]["series"].to_string();
    assert!(
        names.contains("naive, sticky strike") && names.contains("all short, sticky delta"),
        "{names}"
    );
    let text = fs::read_to_string(place.path().join("e.svg")).unwrap();
    assert!(text.contains("naive: zero gamma") && text.contains("taker flow: zero gamma"));
}
