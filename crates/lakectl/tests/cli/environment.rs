//! Variables that are read, and those that never are.

use std::fs;

use crate::common::{Ended, Place, SHORT};

#[test]
fn lake_variables_stand_in_for_flags() {
    let place = Place::published();
    let with = |name: &str, value: &str, args: &[&str]| {
        Ended::of(place.command(args).env(name, value).output().unwrap())
    };
    let lake = place.lake().display().to_string();
    let elsewhere = Place::empty();
    let output = elsewhere
        .command(&["log", "--format", "json"])
        .env("LAKE_ROOT", &lake)
        .output()
        .unwrap();
    assert_eq!(Ended::of(output).code(0).json()[0]["version"], 1);
    let archive = with("LAKE_PROFILE", "archive", &["status"]).code(1);
    assert!(
        archive.stderr.contains("lake/archive"),
        "{}",
        archive.stderr
    );
    with("LAKE_PROFILE", "archive", &["--profile", "demo", "status"]).code(0);
    with("LAKE_JOBS", "none", &["run"]).code(1);
    let colour = with("LAKE_COLOR", "always", &["log"]).code(0).stdout;
    assert!(colour.contains('\u{1b}'));
    let args = [&SHORT[..], &["status"]].concat();
    let narrow = with("LAKE_WIDTH", "60", &args).code(0).stdout;
    assert!(
        narrow
            .lines()
            .skip(2)
            .take(20)
            .all(|line| line.chars().count() <= 90),
        "{narrow}"
    );
}

#[test]
fn the_other_lakectl_is_left_alone() {
    let place = Place::published();
    let config = "credentials:\n  access_key_id: x\nserver:\n  endpoint_url: http://127.0.0.1:1\nprofile: archive\n";
    fs::write(place.path().join(".lakectl.yaml"), config).unwrap();
    let args = [
        &SHORT[..],
        &["run", "--until", "forecast", "--format", "json"],
    ]
    .concat();
    let output = place
        .command(&args)
        .env("HOME", place.path())
        .env("LAKECTL_PROFILE", "archive")
        .env("LAKECTL_LAKE", "s3://nowhere/at-all")
        .env("LAKECTL_ROOT", "/nowhere")
        .env("LAKECTL_FORMAT", "csv")
        .env("LAKECTL_SERVER_ENDPOINT_URL", "http://127.0.0.1:1")
        .output();
    let ended = Ended::of(output.unwrap()).code(0);
    assert_eq!(ended.json()["tasks"]["ran"], 0);
    assert_eq!(ended.json()["profile"], "demo");
}
