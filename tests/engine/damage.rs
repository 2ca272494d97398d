//! Folders that are no lake, lakes of others, disks that refuse, and damaged files: loud, and nothing published is lost.

use std::fs;
use std::path::{Path, PathBuf};

use lakectl_pipeline::Selected;
use lakectl_pipeline::lake::{LakeAddress, Open};
use lakectl_tests::{Bench, NOW};

use crate::common::{
    assert_tasks, demo, edit_stage, files_below, go, hashes, published, tasks, try_go, version,
};

#[test]
fn folders_that_are_not_this_profiles_lake() {
    let bench = published();
    let root = bench.lake_root();
    let other = Bench::archive(bench.folder());
    let error = other
        .open()
        .unwrap()
        .lake(&root, Open::OrCreate)
        .unwrap_err();
    assert!(error.to_string().contains("profile demo"), "{error}");
    assert!(error.hint().unwrap().contains("--profile demo"), "{error}");

    let strange = bench.folder().join("strange");
    fs::create_dir(&strange).unwrap();
    fs::write(strange.join("thesis.doc"), "mine").unwrap();
    let error = demo()
        .open()
        .unwrap()
        .lake(&strange, Open::OrCreate)
        .unwrap_err();
    assert!(
        error.to_string().contains("thesis.doc") && error.hint().is_some(),
        "{error}"
    );
    assert_eq!(files_below(&strange).len(), 1);

    let error = demo()
        .open()
        .unwrap()
        .lake(&bench.folder().join("none"), Open::Existing)
        .unwrap_err();
    assert!(error.to_string().contains("no lake"), "{error}");
    assert!(!bench.folder().join("none").exists());

    // A file where the folder should be.
    let error = demo()
        .open()
        .unwrap()
        .lake(&strange.join("thesis.doc"), Open::OrCreate)
        .unwrap_err();
    assert!(error.to_string().contains("thesis.doc"), "{error}");
    let error = LakeAddress::parse("gs://bucket/lake").unwrap_err();
    assert!(
        error.to_string().contains("gs://bucket/lake") && error.hint().is_some(),
        "{error}"
    );
    assert_eq!(version(&bench), 1);
}

/// Flips one bit in the middle of a file.
fn flip(path: &Path) -> Vec<u8> {
    let good = fs::read(path).unwrap();
    let mut bytes = good.clone();
    bytes[good.len() / 2] ^= 0x10;
    fs::write(path, bytes).unwrap();
    good
}

/// The file of a published partition.
fn file_of(bench: &Bench, table: &str, partition: &str) -> PathBuf {
    let lake = bench.lake();
    let head = lake.head().unwrap();
    let cell = head
        .cell(&table.parse().unwrap(), &partition.parse().unwrap())
        .unwrap();
    lake.path_of(cell.file.as_ref().unwrap())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_damaged_data_file_fails_its_readers_only() {
    let mut bench = published();
    let before = hashes(&bench);
    let path = file_of(&bench, "options.slices", "asset=BTC/date=2026-01-02");
    let good = flip(&path);
    // A query of that table, never wrong rows.
    let session = bench.open().unwrap().session(bench.lake(), None).unwrap();
    for query in [
        "SELECT * FROM options.slices",
        "SELECT sum(a) FROM options.slices",
        "SELECT max(rmse_vol) FROM options.slices WHERE asset = 'BTC'",
    ] {
        let error = session.collect_blocking(query).err();
        let text = error
            .map(|error| error.to_string())
            .unwrap_or_else(|| panic!("{query} gave rows of a damaged file"));
        assert!(text.contains(&name(&path)), "{text}");
    }
    assert!(
        session
            .collect_blocking("SELECT * FROM options.greeks")
            .is_ok()
    );

    // A run with nothing to do reads nothing.
    assert_eq!(go(&bench, &Selected::default()).executed(), [""; 0]);
    // A run whose tasks need it fails there, and completes elsewhere.
    edit_stage(
        &mut bench,
        "pipelines/options.toml",
        "options.density",
        "description",
        "version = 2\ndescription",
    );
    let run = go(&bench, &Selected::default());
    assert_tasks(
        &run.executed(),
        &tasks(&["options.density asset=ASSETS/date=DAYS"]),
    );
    assert_tasks(
        &run.failed(),
        &tasks(&["options.density asset=BTC/date=2026-01-02"]),
    );
    let failure = &run.summary.failures[0];
    assert!(failure.message.contains(&name(&path)), "{failure:?}");
    assert!(
        failure.hint.as_ref().unwrap().contains("--force"),
        "{failure:?}"
    );
    assert_eq!((version(&bench), hashes(&bench)), (2, before.clone()));

    // The advice helps: the file is written again, bit for bit.
    let force = Selected {
        force: vec!["options.slices".to_owned()],
        ..Selected::default()
    };
    let run = go(&bench, &force);
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    assert_eq!(run.changed(), [""; 0]);
    assert!(fs::read(&path).unwrap() == good);
    assert!(
        session
            .collect_blocking("SELECT * FROM options.slices")
            .is_ok()
    );

    // The same for a file that is gone.
    fs::remove_file(&path).unwrap();
    let error = session
        .collect_blocking("SELECT * FROM options.slices")
        .unwrap_err()
        .to_string();
    assert!(error.contains(&name(&path)), "{error}");
    let run = go(&bench, &force);
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    assert!(fs::read(&path).unwrap() == good);
    assert_eq!(hashes(&bench), before);
}

#[test]
fn queries_never_give_rows_of_a_damaged_file() {
    let bench = published();
    let path = file_of(&bench, "options.slices", "asset=BTC/date=2026-01-02");
    let good = fs::read(&path).unwrap();
    let session = bench.open().unwrap().session(bench.lake(), None).unwrap();
    let rows = || {
        let query = "SELECT * FROM options.slices WHERE asset = 'BTC' ORDER BY event_time, expiry";
        session.collect_blocking(query).map(|(_, rows)| rows)
    };
    let expected = rows().unwrap();
    // Parquet itself notices half of these at best.
    for at in (0..good.len()).step_by((good.len() / 100).max(1)) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, bytes).unwrap();
        let error = rows().expect_err("rows of a damaged file").to_string();
        assert!(
            error.contains(&name(&path)) && error.contains("hint"),
            "byte {at}: {error}"
        );
    }
    for length in [0, 4, good.len() / 2, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        assert!(
            rows().unwrap_err().to_string().contains(&name(&path)),
            "{length} bytes"
        );
    }
    fs::write(&path, &good).unwrap();
    assert!(rows().unwrap() == expected);
}

#[test]
fn damaged_records_stop_every_command_and_lose_nothing() {
    let bench = published();
    let before = files_below(&bench.lake_root());
    let records: Vec<PathBuf> = before
        .iter()
        .map(|(path, _)| bench.lake_root().join(path))
        .filter(|path| !path.starts_with(bench.lake_root().join("data")))
        .collect();
    let opened = bench.open().unwrap();
    let planned = |root: &Path| -> Result<(), String> {
        let lake = opened
            .lake(root, Open::Existing)
            .map_err(|error| format!("{error} {:?}", error.hint()))?;
        let plan = opened.plan(Some(&lake), &Selected::default(), NOW);
        plan.map(|_| ())
            .map_err(|error| format!("{error} hint {:?}", error.hint()))
    };
    let commits = records
        .iter()
        .filter(|path| path.starts_with(bench.lake_root().join("_log")))
        .count();
    assert!(commits >= 1 && records.len() > commits + 1, "{records:?}");
    for path in &records {
        let good = flip(path);
        let error = planned(&bench.lake_root()).expect_err(&name(path));
        assert!(
            error.contains(&name(path)) || name(path) == "lake.json",
            "{error}"
        );
        assert!(error.contains("Some("), "no hint: {error}");
        assert!(try_run(&bench).is_err());
        fs::write(path, &good[..good.len() / 3]).unwrap();
        assert!(planned(&bench.lake_root()).is_err(), "{}", path.display());
        fs::write(path, good).unwrap();
        planned(&bench.lake_root()).unwrap();
    }
    assert!(files_below(&bench.lake_root()) == before);

    // A segment of results may be moved away, as its hint says: what it recorded is published or computed again.
    let segment = records
        .iter()
        .find(|path| path.starts_with(bench.lake_root().join("_cells")))
        .unwrap();
    flip(segment);
    fs::remove_file(segment).unwrap();
    assert_eq!(go(&bench, &Selected::default()).executed(), [""; 0]);
}

fn try_run(bench: &Bench) -> Result<(), String> {
    let opened = bench.open().unwrap();
    let lake = opened.lake(&bench.lake_root(), Open::OrCreate);
    lake.map_err(|error| error.to_string())?;
    bench
        .run(&Selected::default())
        .map(|_| ())
        .map_err(|error| error.to_string())
}

#[test]
fn a_disk_that_refuses_a_table_fails_that_table() {
    // Permissions mean nothing to root, a file in the place of a folder does.
    let bench = demo();
    drop(bench.lake());
    fs::create_dir_all(bench.lake_root().join("data/options")).unwrap();
    fs::write(bench.lake_root().join("data/options/slices"), "in the way").unwrap();
    let run = go(&bench, &Selected::default());
    assert!(!run.summary.is_success());
    assert_tasks(
        &run.failed(),
        &tasks(&["options.slices asset=ASSETS/date=DAYS"]),
    );
    let failure = &run.summary.failures[0];
    assert!(
        failure.message.contains("data/options/slices"),
        "{failure:?}"
    );
    assert!(failure.hint.is_some(), "{failure:?}");
    assert_eq!(version(&bench), 1);
    assert!(hashes(&bench).contains_key("options.greeks asset=BTC/date=2026-01-01"));
    fs::remove_file(bench.lake_root().join("data/options/slices")).unwrap();
    let run = go(&bench, &Selected::default());
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    assert_eq!(hashes(&bench), hashes(&published()));
}

#[test]
fn a_disk_that_refuses_records_ends_the_run_and_publishes_nothing() {
    let mut bench = published();
    let before = hashes(&bench);
    let cells = bench.lake_root().join("_cells");
    let aside = bench.lake_root().join("_cells_aside");
    edit_stage(
        &mut bench,
        "pipelines/options.toml",
        "options.density",
        "description",
        "version = 2\ndescription",
    );
    // The run of that name may not make its folder.
    fs::rename(&cells, &aside).unwrap();
    fs::create_dir(&cells).unwrap();
    fs::write(cells.join("test-0001"), "in the way").unwrap();
    let (summary, report) = bench.run(&Selected::default()).unwrap();
    assert!(report.fatal.is_some());
    assert!(!summary.is_success());
    assert!(
        summary.failures[0].message.contains("_cells"),
        "{:?}",
        summary.failures[0]
    );
    assert_eq!((version(&bench), hashes(&bench)), (1, before.clone()));

    fs::remove_dir_all(&cells).unwrap();
    fs::rename(&aside, &cells).unwrap();
    let run = try_go(&bench, &Selected::default()).unwrap();
    assert_tasks(
        &run.executed(),
        &tasks(&["options.density asset=ASSETS/date=DAYS"]),
    );
    assert_eq!((version(&bench), hashes(&bench)), (2, before));
}
