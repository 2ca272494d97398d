//! Keeping a lake small and sound: verify, repair, gc and copy as a person uses them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lakectl_pipeline::lake::Failpoint;

use crate::common::{Place, SHORT, files_below};
use crate::kills::tell;

/// A data file of a table of the published lake.
fn data_file(place: &Place, table: &str) -> PathBuf {
    let folder = place.lake().join("data").join(table);
    let files = files_below(&folder).into_iter();
    let mut rows = files.filter(|(path, _)| !path.starts_with("_delta_log"));
    folder.join(rows.next().unwrap().0)
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// Makes every file of the lake so many days older.
fn age(place: &Place, days: u64) {
    for (path, _) in files_below(&place.lake()) {
        let file = File::options()
            .write(true)
            .open(place.lake().join(path))
            .unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        file.set_modified(before - Duration::from_secs(days * 86_400))
            .unwrap();
    }
}

/// A lake whose second version has a day more, and with it other years than the first, which is old.
fn two_versions() -> Place {
    let place = Place::published();
    age(&place, 40);
    let other = ["--set", "calendar.end=2026-01-12"];
    place
        .short(&[&other[..], &["run", "--until", "forecast"]].concat())
        .code(0);
    place
}

#[test]
fn damage_is_named_and_repaired() {
    let place = Place::published();
    let sound = place
        .short(&["verify", "--deep", "--format", "json"])
        .code(0)
        .json();
    assert_eq!((&sound["ok"], &sound["deep"]), (&true.into(), &true.into()));
    assert_eq!(sound["damages"].as_array().unwrap().len(), 0);
    assert!(sound["files"].as_u64() > Some(10) && sound["records"].as_u64() > Some(1));
    let text = place.short(&["verify"]).code(0).stdout;
    assert!(text.contains("everything is there"), "{text}");

    let path = data_file(&place, "options/greeks");
    let good = fs::read(&path).unwrap();
    flip(&path);
    place.short(&["verify"]).code(0);
    let told = place.short(&["verify", "--deep"]).code(2).stdout;
    let name = path.file_name().unwrap().to_str().unwrap();
    for word in [
        name,
        "options.greeks asset=",
        "version 1 of main",
        "repair",
        "its digest is",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let found = place
        .short(&["verify", "--deep", "--format", "json"])
        .code(2)
        .json();
    let damage = &found["damages"][0];
    assert_eq!(
        (&damage["kind"], &damage["cause"]),
        (&"data".into(), &"published".into())
    );
    assert_eq!(damage["table"], "options.greeks");

    let dry = place.short(&["repair", "--dry-run"]).code(0).stdout;
    assert!(dry.contains("can be computed again"), "{dry}");
    assert!(fs::read(&path).unwrap() != good);
    let done = place.short(&["repair", "--format", "json"]).code(0).json();
    assert_eq!(done["damaged"][0]["fix"], "computed");
    assert_eq!(done["executed"].as_array().unwrap().len(), 1);
    assert!(fs::read(&path).unwrap() == good);
    let text = place.short(&["repair"]).code(0).stdout;
    assert!(text.contains("nothing is damaged"), "{text}");
    // A version that is not there, and a lake that is not there.
    let error = place.short(&["verify", "--at", "7"]).code(1).stderr;
    assert!(error.contains("no version 7"), "{error}");
    Place::empty().short(&["verify"]).code(1);
    Place::empty().short(&["gc", "--dry-run"]).code(1);
}

#[test]
fn what_nobody_needs_is_told_and_removed() {
    let place = two_versions();
    let disk = place.short(&["status", "--format", "json"]).code(0).json()["disk"].clone();
    assert!(disk["tables"]["options.greeks"]["published"]["bytes"].as_u64() > Some(0));
    let text = place.short(&["status"]).code(0).stdout;
    assert!(
        text.contains("older versions") && text.contains("gc --dry-run"),
        "{text}"
    );

    let before = files_below(&place.lake());
    let args = ["gc", "--keep-versions", "1", "--format", "json"];
    let dry = place
        .short(&[&args[..], &["--dry-run"]].concat())
        .code(0)
        .json();
    assert!(files_below(&place.lake()) == before);
    let removed = dry["removed"].as_array().unwrap();
    assert!(!removed.is_empty(), "{dry}");
    assert!(
        removed.iter().all(|file| file["cause"] == "older"
            && file["why"].as_str().unwrap().contains("version 1 of main")),
        "{dry}"
    );
    let text = place
        .short(&["gc", "--dry-run", "--keep-versions", "1", "--files"])
        .code(0)
        .stdout;
    for word in [
        "would remove",
        "older than 30 days",
        removed[0]["path"].as_str().unwrap(),
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // By default ten versions are kept.
    let kept = place
        .short(&["gc", "--dry-run", "--format", "json"])
        .code(0)
        .json();
    assert_eq!(kept["removed"].as_array().unwrap().len(), 0);

    let hashes = place.hashes();
    let done = place.short(&args).code(0).json();
    assert_eq!(done["removed"], dry["removed"]);
    assert_eq!(done["expired"]["main"], 2);
    for file in removed {
        assert!(!place.lake().join(file["path"].as_str().unwrap()).exists());
    }
    assert_eq!(place.hashes(), hashes);
    place.short(&["verify", "--deep"]).code(0);
    let query = "SELECT count(*) FROM options.greeks";
    let error = place.call(&["sql", "--at", "1", query]).code(1).stderr;
    assert!(error.contains("oldest version kept is 2"), "{error}");
    place.call(&["sql", "--at", "2", query]).code(0);
    let log = place.call(&["log", "--format", "json"]).code(0).json();
    assert_eq!(log[0]["reason"], "gc");
    // A run goes on from there, and what it computes anew takes names that nobody condemned.
    place.short(&["run", "--until", "forecast"]).code(0);
    place.short(&["verify", "--deep"]).code(0);
}

#[test]
fn a_collection_that_is_killed_is_finished_by_the_next() {
    let whole = two_versions();
    let args = ["gc", "--keep-versions", "1"];
    whole.short(&args).code(0);
    let data = |place: &Place| -> Vec<PathBuf> {
        let files = files_below(&place.lake().join("data"));
        files.into_iter().map(|(path, _)| path).collect()
    };
    for point in Failpoint::COLLECTION.map(Failpoint::word) {
        let place = two_versions();
        let hashes = place.hashes();
        let args = [&SHORT[..], &args].concat();
        let killed = place
            .command(&args)
            .env("LAKE_FAILPOINT", point)
            .output()
            .unwrap();
        assert_eq!(killed.status.code(), None, "{point}: it was not killed");
        place.short(&["verify", "--deep"]).code(0);
        assert_eq!(place.hashes(), hashes);
        place.call(&args).code(0);
        place.short(&["verify", "--deep"]).code(0);
        assert_eq!(
            (data(&place), place.hashes()),
            (data(&whole), hashes),
            "{point}"
        );
    }
    tell(
        "death of the program after each step of a collection",
        Failpoint::COLLECTION.len() as u64,
        "whole at once; the next collection ends where an undisturbed one does",
    );
}

#[test]
fn a_lake_is_copied_elsewhere() {
    let place = Place::published();
    let done = place
        .call(&["copy", "lake/demo", "backup", "--format", "json"])
        .code(0)
        .json();
    assert_eq!(
        (&done["versions"]["main"], &done["skipped"]["files"]),
        (&1.into(), &0.into())
    );
    assert!(done["copied"]["files"].as_u64() > Some(10));
    place
        .short(&["verify", "--deep", "--lake", "backup"])
        .code(0);
    let hashes = |lake: &str| {
        let query = "SELECT \"table\", partition, rows_hash FROM system.cells ORDER BY 1, 2";
        place
            .call(&["sql", query, "--lake", lake, "--format", "json"])
            .code(0)
            .stdout
    };
    assert_eq!(hashes("backup"), hashes("lake/demo"));
    // The copy is a lake: nothing is to be computed in it.
    let plan = place.short(&[
        "plan", "--until", "forecast", "--lake", "backup", "--format", "json",
    ]);
    let tasks = &plan.code(0).json()["tasks"];
    assert_eq!(tasks["reuse"], tasks["total"]);
    let text = place.call(&["copy", "lake/demo", "backup"]).code(0).stdout;
    assert!(
        text.contains("0 data files (0 B) and 0 records copied"),
        "{text}"
    );
    // It mends what was damaged.
    let path = data_file(&place, "options/greeks");
    flip(&path);
    place.call(&["copy", "backup", "lake/demo"]).code(0);
    place.short(&["verify", "--deep"]).code(0);

    let error = place.call(&["copy", "backup", "backup"]).code(1).stderr;
    assert!(error.contains("both lakes are at"), "{error}");
    let error = place.call(&["copy", "nowhere", "backup"]).code(1).stderr;
    assert!(error.contains("no lake at"), "{error}");
    fs::create_dir_all(place.path().join("other")).unwrap();
    fs::write(
        place.path().join("other/lake.json"),
        "{\"format\":1,\"profile\":\"archive\"}",
    )
    .unwrap();
    let error = place.call(&["copy", "backup", "other"]).code(1).stderr;
    assert!(error.contains("profile archive"), "{error}");
}

#[test]
fn a_damaged_log_shows_what_is_newer_and_doctor_claims_no_more_than_it_saw() {
    let place = Place::published();
    for n in 0..3 {
        let why = format!("reason {n}");
        let drop = ["override", "drop-partition", "options.density"];
        let partition = format!("asset=BTC/date=2026-01-0{}", n + 5);
        place
            .short(&[&drop[..], &[&partition, "--why", &why]].concat())
            .code(0);
    }
    let log = |n: u64| place.lake().join(format!("_log/main/{n:020}.json"));
    let good = fs::read(log(2)).unwrap();
    fs::write(log(2), "{}").unwrap();
    let told = place.call(&["log", "--format", "json"]).code(2);
    assert!(
        told.stdout.contains("reason 2") && told.stdout.contains("reason 1"),
        "{}",
        told.stdout
    );
    assert!(!told.stdout.contains("reason 0"), "{}", told.stdout);
    assert!(
        told.stderr.contains(&format!("{:020}.json", 2)),
        "{}",
        told.stderr
    );
    // What is asked for is there.
    place.call(&["log", "-n", "2"]).code(0);
    fs::write(log(2), good).unwrap();
    let unwrapped = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let doctor = unwrapped(place.short(&["doctor"]).code(0).stdout);
    assert!(doctor.contains("`verify` looks at every file"), "{doctor}");
    // The newest version is gone, and the projections know of it.
    place.short(&["project"]).code(0);
    fs::remove_file(log(4)).unwrap();
    place.short(&["verify"]).code(2);
    let doctor = unwrapped(place.short(&["doctor"]).code(1).stdout);
    assert!(doctor.contains("it is missing"), "{doctor}");
}
