//! Collection: what goes, what stays, and that nobody loses a row to a crash, a late writer or a race.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lakectl_core::{Fingerprint, UtcTime};

use super::{hours, made, publish, table};
use crate::{
    Cause, Collection, GcRequest, GcStep, Lake, Open, Retention, StoreError, VerifyRequest,
    VersionRef,
};

pub(super) const KEEP: Retention = Retention {
    versions: 2,
    days: 30,
    cache_days: 30,
};

pub(super) fn open(root: &Path) -> Arc<Lake> {
    Arc::new(super::lake(root))
}

/// Every file below a folder.
pub(super) fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

pub(super) fn data_files(root: &Path) -> BTreeSet<String> {
    let all = files(root).into_keys();
    all.filter(|path| path.starts_with("data/")).collect()
}

/// Makes the files below a folder so many days older.
/// The sizes of a lake's files by their paths.
pub(super) fn sizes(root: &Path) -> BTreeMap<String, u64> {
    let mut sizes = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => {
                    let path = entry.path();
                    let below = path.strip_prefix(root).unwrap().display().to_string();
                    sizes.insert(below, entry.metadata().unwrap().len());
                }
            }
        }
    }
    sizes
}

pub(super) fn age(root: &Path, below: &str, days: u64) {
    for path in files(root)
        .into_keys()
        .filter(|path| path.starts_with(below))
    {
        let file = File::options().write(true).open(root.join(path)).unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        let earlier = before - Duration::from_secs(days * 86_400);
        file.set_modified(earlier).unwrap();
    }
}

pub(super) fn request_of<'a>(
    run: &str,
    keep: Retention,
    watch: &'a dyn Fn(GcStep<'_>) -> Result<(), StoreError>,
) -> GcRequest<'a> {
    GcRequest {
        run: run.to_owned(),
        who: "ann@desk".to_owned(),
        now: UtcTime::from_micros(1_800_000_000_000_000),
        dry_run: false,
        keep,
        young: Duration::ZERO,
        documents: &|table| table.schema() == "raw",
        identity: ["asset", "note"],
        watch,
    }
}

pub(super) fn collect(lake: &Arc<Lake>, run: &str) -> Collection {
    lake.collect(&request_of(run, KEEP, &|_| Ok(()))).unwrap()
}

/// Verifies every file that a version needs, and returns the rows of each kept version.
pub(super) fn sound(lake: &Lake) -> BTreeMap<u64, BTreeMap<String, Fingerprint>> {
    let deep = VerifyRequest {
        deep: true,
        at: None,
    };
    let found = lake.verify(&deep, &|_| {}).unwrap();
    assert!(found.damages.is_empty(), "{:#?}", found.damages);
    let head = lake.head().unwrap().version;
    let kept = lake.oldest().unwrap()..=head;
    kept.map(|version| (version, rows_at(lake, version)))
        .collect()
}

/// The digests of the rows of a version, as they are read.
pub(super) fn rows_at(lake: &Lake, version: u64) -> BTreeMap<String, Fingerprint> {
    let snapshot = lake.at(VersionRef::Number(version)).unwrap();
    let cells = snapshot.cells.values().flat_map(|cells| cells.values());
    cells
        .map(|cell| {
            let rows = lake.read(cell, None).unwrap();
            let schema = super::schema();
            let hash = crate::rows_hash(&cell.table, &cell.partition, &rows, &schema).unwrap();
            assert_eq!(hash, cell.rows_hash);
            (cell.task().to_string(), hash)
        })
        .collect()
}

/// Six versions of one partition, all but the last 40 days old, and a file that nothing refers to.
pub(super) fn old_lake(root: &Path) -> Arc<Lake> {
    let lake = open(root);
    for n in 1..=5 {
        publish(&lake, "a.b", "all", &format!("r{n}"), &hours(n));
    }
    made(&lake, "a.b", "all", "dead", "x", &hours(9));
    publish(&lake, "a.c", "all", "r5b", &hours(4));
    age(root, "", 40);
    publish(&lake, "a.b", "all", "r6", &hours(6));
    lake
}

#[test]
fn what_no_kept_version_needs_goes() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let lake = old_lake(root);
    let rows = rows_at(&lake, 7);
    let done = collect(&lake, "gc1");
    // Version 7 is young, and 6 is among the newest two: it holds what 5 held.
    assert_eq!(done.expired, BTreeMap::from([("main".to_owned(), 6)]));
    let causes: Vec<(Cause, u64)> = done
        .causes()
        .into_iter()
        .map(|(cause, size)| (cause, size.files))
        .collect();
    assert_eq!(causes, [(Cause::Older, 4), (Cause::Garbage, 1)]);
    assert_eq!(data_files(root).len(), 3);
    assert_eq!(sound(&lake)[&7], rows);
    for version in 1..=5 {
        let error = lake.at(VersionRef::Number(version)).unwrap_err();
        assert!(
            error.to_string().contains("oldest version kept is 6"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("version 6"), "{error}");
    }
    assert_eq!(
        lake.log().unwrap().len(),
        8,
        "the log still tells what they were"
    );
    let disk = lake.disk().unwrap();
    assert!(!disk.causes().contains_key(&Cause::Garbage), "{disk:?}");
    assert_eq!(disk.table(&table("a.b")).files, 2);

    let again = collect(&lake, "gc2");
    assert_eq!(
        (again.removed, lake.head().unwrap().version),
        (Vec::new(), 8)
    );
    let leases = files(root)
        .into_keys()
        .filter(|path| path.contains("leases"));
    assert_eq!(leases.count(), 0);
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let lake = old_lake(dir.path());
    let before = files(dir.path());
    let mut request = request_of("dry", KEEP, &|_| Ok(()));
    request.dry_run = true;
    // Ages are told by the clock of the place that keeps the lake, which stamps its files.
    let stamped = tempfile::NamedTempFile::new().unwrap();
    let now = stamped.as_file().metadata().unwrap().modified().unwrap();
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    request.now = UtcTime::from_micros(now.as_micros() as i64);
    let dry = lake.collect(&request).unwrap();
    assert!(files(dir.path()) == before);
    let done = collect(&lake, "gc");
    assert_eq!((dry.removed, dry.expired), (done.removed, done.expired));
}

#[test]
fn what_is_young_or_recent_stays() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let lake = open(root);
    publish(&lake, "a.b", "all", "r1", &hours(1));
    let recorded = made(&lake, "a.b", "all", "r2", "2", &hours(2));
    lake.record("r2", std::slice::from_ref(&recorded)).unwrap();
    age(root, "", 20);
    made(&lake, "a.b", "all", "r3", "3", &hours(3));
    let mut request = request_of("gc1", KEEP, &|_| Ok(()));
    request.young = Duration::from_secs(3_600);
    let done = lake.collect(&request).unwrap();
    assert_eq!(done.removed, []);
    assert!(
        done.spared[0].why.contains("under way"),
        "{:?}",
        done.spared
    );
    // The recorded result grows old, and goes with its record.
    age(root, "", 20);
    let done = collect(&lake, "gc2");
    assert_eq!((done.removed.len(), done.results), (2, 1));
    assert!(lake.cells().unwrap().get(&recorded.fingerprint).is_none());
    assert_eq!(
        lake.cells().unwrap().len(),
        1,
        "that of the published rows stays"
    );
    sound(&lake);
}

#[test]
fn unfinished_files_of_the_dead_go() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let lake = open(root);
    publish(&lake, "a.b", "all", "r1", &hours(1));
    for path in ["data/a/b/.tmp-1", "_cells/r1/.tmp-2", "_log/main/.tmp-3"] {
        fs::write(root.join(path), "half").unwrap();
    }
    age(root, "", 1);
    fs::write(root.join("data/a/b/.tmp-4"), "half").unwrap();
    let mut request = request_of("gc", KEEP, &|_| Ok(()));
    request.young = Duration::from_secs(60);
    let done = lake.collect(&request).unwrap();
    assert_eq!(done.temporary.files, 3);
    let left: Vec<String> = files(root)
        .into_keys()
        .filter(|path| path.contains(".tmp-"))
        .collect();
    assert_eq!(left, ["data/a/b/.tmp-4"]);
}

#[test]
fn a_crash_between_any_two_steps_is_finished_by_the_next() {
    let whole = tempfile::tempdir().unwrap();
    let lake = old_lake(whole.path());
    let steps = std::cell::Cell::new(0);
    let count = |_: GcStep<'_>| {
        steps.set(steps.get() + 1);
        Ok(())
    };
    lake.collect(&request_of("gc", KEEP, &count)).unwrap();
    let (expected, rows) = (data_files(whole.path()), rows_at(&lake, 7));
    assert!(steps.get() >= 5, "{}", steps.get());
    for death in 0..steps.get() {
        let dir = tempfile::tempdir().unwrap();
        let lake = old_lake(dir.path());
        let left = std::cell::Cell::new(death);
        let die = |_: GcStep<'_>| match left.replace(left.get() - 1) {
            0 => Err(StoreError::RunName {
                run: "died".to_owned(),
            }),
            _ => Ok(()),
        };
        lake.collect(&request_of("gc1", KEEP, &die)).unwrap_err();
        let lake = open(dir.path());
        assert_eq!(sound(&lake)[&7], rows, "after step {death}");
        // Work goes on: the rows of an old version come back, whatever the state of their file.
        publish(&lake, "a.d", "all", "r7", &hours(2));
        publish(&lake, "a.b", "date=1970-01-01", "r8", &hours(3));
        sound(&lake);
        collect(&lake, "gc2");
        sound(&lake);
        // Two more versions are the newest now.
        let left: BTreeSet<String> = data_files(dir.path())
            .into_iter()
            .filter(|path| !path.starts_with("data/a/d") && !path.contains("date="))
            .collect();
        assert!(left.is_subset(&expected), "after step {death}: {left:?}");
        let disk = lake.disk().unwrap();
        assert!(
            !disk.causes().contains_key(&Cause::Garbage),
            "after step {death}"
        );
    }
}

#[test]
fn condemned_names_are_free_again_after_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let lake = old_lake(root);
    collect(&lake, "gc1");
    age(root, "", 40);
    publish(&lake, "a.b", "all", "r8", &hours(8));
    publish(&lake, "a.b", "all", "r9", &hours(7));
    assert_eq!(lake.head().unwrap().condemned.len(), 5);
    collect(&lake, "gc2");
    let condemned = lake.head().unwrap().condemned.len();
    assert!((1..5).contains(&condemned), "{condemned}");
    let cell = made(&lake, "a.b", "all", "r10", "1", &hours(1));
    assert!(!cell.file.unwrap().path.contains("-1."));
}

#[test]
fn raw_documents_go_only_when_a_newest_version_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let lake = open(root);
    // Rows tell their document by the note: the first four hours have four.
    publish(&lake, "raw.x", "date=1970-01-01", "r1", &hours(1));
    publish(&lake, "raw.x", "date=1970-01-01", "r2", &hours(4));
    publish(&lake, "raw.x", "date=1970-01-02", "r3", &hours(4));
    publish(&lake, "raw.x", "date=1970-01-02", "r4", &hours(1));
    age(root, "", 40);
    publish(&lake, "a.b", "all", "r5", &hours(1));
    publish(&lake, "a.b", "all", "r6", &hours(2));
    let done = collect(&lake, "gc1");
    let removed: Vec<String> = done
        .removed
        .iter()
        .map(|file| file.partition.to_string())
        .collect();
    assert_eq!(removed, ["date=1970-01-01"]);
    assert_eq!(done.spared.len(), 1);
    let spared = &done.spared[0];
    assert!(spared.path.contains("date=1970-01-02"), "{spared:?}");
    assert!(spared.why.starts_with("3 of its documents"), "{spared:?}");
    // A damaged file says nothing, so it stays.
    fs::write(root.join(&spared.path), "damaged").unwrap();
    age(root, "", 40);
    let done = collect(&lake, "gc2");
    assert!(done.spared.iter().any(|file| file.why.contains("damaged")));
}

#[test]
fn nothing_is_removed_from_a_lake_that_is_not_understood() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let lake = old_lake(root);
    let before = data_files(root);
    for folder in ["_log/main", "_cells/r1"] {
        let mut names: Vec<PathBuf> = fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        let good = fs::read(&names[0]).unwrap();
        fs::write(&names[0], &good[..good.len() / 2]).unwrap();
        let failed = open(root).collect(&request_of("gc", KEEP, &|_| Ok(())));
        assert!(failed.unwrap_err().is_damage());
        assert_eq!(data_files(root), before);
        fs::write(&names[0], good).unwrap();
    }
    collect(&lake, "gc");
    assert!(data_files(root).len() < before.len());
}

#[test]
fn a_lake_of_another_make_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let error = Lake::open_any(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::NoLake { .. }), "{error}");
    Lake::open(dir.path(), "demo", Open::OrCreate).unwrap();
    assert_eq!(Lake::open_any(dir.path()).unwrap().profile(), "demo");
}
