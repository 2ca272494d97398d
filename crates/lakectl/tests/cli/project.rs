//! A project folder of one's own, made by `init`.

use std::fs;
use std::path::Path;

use crate::common::{Ended, Place, SHORT};

fn edit(file: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(old), "{} has no `{old}`", file.display());
    fs::write(file, text.replacen(old, new, 1)).unwrap();
}

#[test]
fn a_new_project_is_found_from_below_and_keeps_its_lake() {
    let place = Place::empty();
    let made = place.call(&["init", "mine"]).code(0);
    assert!(made.stdout.contains("cd mine && "), "{}", made.stdout);
    let again = place.call(&["init", "mine"]).code(1);
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
    let root = place.path().join("mine");
    let below = root.join("notebooks/deep");
    fs::create_dir_all(&below).unwrap();
    let call = |args: &[&str]| {
        let args = [&SHORT[..], args].concat();
        Ended::of(place.command(&args).current_dir(&below).output().unwrap())
    };
    let until = ["run", "--until", "market.dvol", "--format", "json"];
    let first = call(&until).code(0).json();
    assert_eq!(first["tasks"]["ran"], 4, "{first}");
    assert!(root.join("lake/demo/lake.json").is_file());

    let sql = root.join("sql/market/dvol.sql");
    edit(&sql, "SELECT", "-- the same\nSELECT");
    assert_eq!(
        call(&until).code(0).json()["tasks"]["ran"],
        0,
        "a comment changes nothing"
    );
    edit(&sql, "SELECT", "SELEC");
    let broken = call(&until).code(1);
    assert!(
        broken.stderr.contains("sql/market/dvol.sql"),
        "{}",
        broken.stderr
    );
    edit(&sql, "SELEC", "SELECT");

    let stages = root.join("pipelines/market.toml");
    edit(&stages, "grain =", "grian =");
    let unknown = call(&["stages"]).code(1);
    for word in ["pipelines/market.toml:", "grian", "did you mean `grain`?"] {
        assert!(
            unknown.stderr.contains(word),
            "no `{word}` in {}",
            unknown.stderr
        );
    }
    edit(&stages, "grian =", "grain =");

    let base = root.join("configs/base.toml");
    edit(&base, "[params]", "[params");
    let broken = call(&["doctor"]).code(1);
    assert!(
        broken.stdout.contains("configs/base.toml"),
        "{}",
        broken.stdout
    );
    edit(&base, "[params", "[parms");
    let unknown = call(&["run"]).code(1);
    assert!(unknown.stderr.contains("parms"), "{}", unknown.stderr);
}

#[test]
fn a_failing_stage_holds_its_readers_and_status_remembers_it() {
    let place = Place::empty();
    place.call(&["init"]).code(0);
    let sql = place.path().join("sql/market/dvol.sql");
    edit(&sql, "open, high", "NULLIF(open, open) AS open, high");
    let run = place
        .short(&["run", "--until", "forecast", "--format", "json"])
        .code(2);
    let failed = run.json();
    assert_eq!(failed["tasks"]["failed"], 2, "{failed}");
    assert_eq!(failed["version"], 1, "the rest is published");
    let message = failed["failures"][0]["message"].as_str().unwrap();
    assert!(message.contains("`open` is null"), "{message}");
    assert!(
        run.stderr
            .contains("failed: market.dvol asset=BTC/year=2026"),
        "{}",
        run.stderr
    );

    let text = place.short(&["run", "--until", "forecast"]).code(2).stdout;
    assert!(
        text.starts_with("finished with failures") && text.contains("failed: market.dvol"),
        "{text}"
    );
    assert!(text.contains(" status\n"), "what to do next: {text}");
    let quiet = place
        .short(&["run", "--until", "forecast", "--quiet"])
        .code(2);
    assert!(
        quiet.stdout.is_empty() && quiet.stderr.contains("failed: market.dvol"),
        "{}",
        quiet.stderr
    );

    let status = place.short(&["status", "--format", "json"]).code(0).json();
    let open = status["failures"].as_array().unwrap();
    assert!(
        open.iter()
            .any(|f| f["task"] == "market.dvol asset=ETH/year=2026"),
        "{status}"
    );
    let text = place.short(&["status"]).code(0).stdout;
    assert!(
        text.contains("failures") && text.contains("market.dvol asset=ETH/year=2026"),
        "{text}"
    );

    edit(&sql, "NULLIF(open, open) AS open, high", "open, high");
    place.short(&["run", "--until", "forecast"]).code(0);
    let status = place.short(&["status", "--format", "json"]).code(0).json();
    assert_eq!(status["failures"].as_array().unwrap().len(), 0, "{status}");
}

#[test]
fn init_without_a_folder_means_here() {
    let place = Place::empty();
    place.call(&["init"]).code(0);
    for folder in ["pipelines", "sql", "configs"] {
        assert!(place.path().join(folder).is_dir(), "{folder}");
    }
    place.call(&["stages"]).code(0);
    let own = place.path().join("configs/mine.toml");
    fs::copy(place.path().join("configs/demo.toml"), own).unwrap();
    let doctor = place.call(&["doctor", "--profile", "mine"]).code(0);
    assert!(doctor.stdout.contains("profile mine"), "{}", doctor.stdout);
}
