//! Collection: what goes, what stays, and that nobody loses a row to a crash, a late writer or a race.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lakectl_core::{Cell, Fingerprint, TableId, UtcTime};
use proptest::prelude::*;

use super::{Row, hours, key, made, publish, request, table};
use crate::{
    Cause, Collection, CommitRequest, GcRequest, GcStep, Lake, Lease, Open, Retention, StoreError,
    VerifyRequest, VersionRef,
};

const KEEP: Retention = Retention {
    versions: 2,
    days: 30,
    cache_days: 30,
};

fn open(root: &Path) -> Arc<Lake> {
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

fn data_files(root: &Path) -> BTreeSet<String> {
    let all = files(root).into_keys();
    all.filter(|path| path.starts_with("data/")).collect()
}

/// Makes the files below a folder so many days older.
fn age(root: &Path, below: &str, days: u64) {
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

fn request_of<'a>(
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

fn collect(lake: &Arc<Lake>, run: &str) -> Collection {
    lake.collect(&request_of(run, KEEP, &|_| Ok(()))).unwrap()
}

/// Verifies every file that a version needs, and returns the rows of each kept version.
fn sound(lake: &Lake) -> BTreeMap<u64, BTreeMap<String, Fingerprint>> {
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
fn rows_at(lake: &Lake, version: u64) -> BTreeMap<String, Fingerprint> {
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
fn old_lake(root: &Path) -> Arc<Lake> {
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
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
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
fn a_writer_that_lost_its_lease_may_not_publish() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let lake = open(root);
    let base = publish(&lake, "a.b", "all", "r1", &hours(1));
    let lease = Lease::take(Arc::clone(&lake), "slow").unwrap();
    let cell = made(&lake, "a.b", "all", "slow", "2", &hours(2));
    let commit = |lease| {
        let mut request = request(&base, "slow", 5, vec![cell.clone()]);
        request.lease = lease;
        lake.commit(request)
    };
    // While it gives signs of life, nothing of it is touched, however long it takes.
    age(root, "", 40);
    lease.renew().unwrap();
    let done = collect(&lake, "gc1");
    assert_eq!((done.removed.len(), done.dead_runs.len()), (0, 0));
    assert_eq!(done.spared.len(), 1);
    // Then it stalls.
    age(root, "_runs", 1);
    let done = collect(&lake, "gc2");
    assert_eq!(done.dead_runs, ["slow"]);
    assert_eq!(done.removed.len(), 1);
    let error = lease.renew().unwrap_err();
    assert!(matches!(error, StoreError::LeaseLost { .. }), "{error}");
    for error in [commit(Some(&lease)), commit(None)] {
        let error = error.unwrap_err();
        assert!(matches!(error, StoreError::Condemned { .. }), "{error}");
    }
    // Even one that writes its file again under the old name has to take another.
    let again = made(&lake, "a.b", "all", "slow", "2", &hours(2));
    let path = &again.file.as_ref().unwrap().path;
    assert!(path.ends_with("-1.parquet"), "{path}");
    let late = commit_of(&lake, &base, "slow", again.clone(), Some(&lease)).unwrap_err();
    assert!(matches!(late, StoreError::LeaseLost { .. }), "{late}");
    let next = commit_of(&lake, &base, "slow", again, None).unwrap();
    assert_eq!(next.rows(&table("a.b")), 2);
    sound(&lake);
}

fn commit_of(
    lake: &Lake,
    base: &crate::Snapshot,
    run: &str,
    cell: Cell,
    lease: Option<&Lease>,
) -> Result<crate::Snapshot, StoreError> {
    let mut request: CommitRequest<'_> = request(base, run, 9, vec![cell]);
    request.lease = lease;
    lake.commit(request)
}

/// What another writer does in the middle of a collection.
fn beside(root: &Path, at: fn(&GcStep<'_>) -> bool, act: impl Fn(&Arc<Lake>)) -> Collection {
    let lake = old_lake(root);
    let other = open(root);
    other.head().unwrap();
    let done = std::cell::Cell::new(false);
    let watch = |step: GcStep<'_>| {
        if at(&step) && !done.replace(true) {
            act(&other);
        }
        Ok(())
    };
    let collection = lake.collect(&request_of("gc", KEEP, &watch)).unwrap();
    assert!(done.get());
    sound(&open(root));
    collection
}

#[test]
fn a_commit_during_the_mark_keeps_what_it_refers_to() {
    let dir = tempfile::tempdir().unwrap();
    let published = std::cell::RefCell::new(String::new());
    let done = beside(
        dir.path(),
        |step| *step == GcStep::Expired,
        |other| {
            // The rows of version 1, which nobody has condemned yet.
            let cell = made(other, "a.b", "all", "r9", "again", &hours(1));
            published.replace(cell.file.as_ref().unwrap().path.clone());
            let head = other.head().unwrap();
            other.commit(request(&head, "r9", 9, vec![cell])).unwrap();
        },
    );
    let path = published.into_inner();
    assert!(!path.contains('-'), "{path}");
    assert!(done.removed.iter().all(|file| file.path != path));
    assert_eq!(done.removed.len(), 4, "the others go");
    assert!(dir.path().join(&path).is_file());
    assert_eq!(open(dir.path()).head().unwrap().rows(&table("a.b")), 1);
}

#[test]
fn a_commit_after_the_names_are_condemned_has_to_take_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = std::cell::RefCell::new(String::new());
    beside(
        dir.path(),
        |step| matches!(step, GcStep::Condemned(_)),
        |other| {
            // It has not seen the names: its file is there under the old one, and is going to be removed.
            let cell = made(other, "a.b", "all", "r9", "again", &hours(1));
            let base = other.at(VersionRef::Number(7)).unwrap();
            let error = commit_of(other, &base, "r9", cell, None).unwrap_err();
            assert!(matches!(error, StoreError::Condemned { .. }), "{error}");
            assert!(error.hint().unwrap().contains("run again"));
            let cell = made(other, "a.b", "all", "r9", "again", &hours(1));
            path.replace(cell.file.as_ref().unwrap().path.clone());
            commit_of(other, &base, "r9", cell, None).unwrap();
        },
    );
    let path = path.into_inner();
    assert!(path.ends_with("-1.parquet"), "{path}");
    assert!(dir.path().join(&path).is_file());
}

#[test]
fn a_result_in_a_condemned_file_is_not_taken_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let seen = std::cell::Cell::new(false);
    beside(
        dir.path(),
        |step| matches!(step, GcStep::Condemned(_)),
        |other| {
            let old = made(other, "a.b", "all", "r9", "again", &hours(1));
            other.record("r9", std::slice::from_ref(&old)).unwrap();
            assert!(other.cells().unwrap().get(&old.fingerprint).is_none());
            seen.set(true);
        },
    );
    assert!(seen.get());
    let lake = open(dir.path());
    let condemned = &lake.head().unwrap().condemned;
    assert_eq!(condemned.len(), 5);
    assert!(condemned.keys().all(|path| !dir.path().join(path).exists()));
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

#[derive(Clone, Debug)]
enum Act {
    Publish {
        place: u8,
        rows: i64,
    },
    Record {
        place: u8,
        rows: i64,
    },
    Write {
        place: u8,
        rows: i64,
    },
    Age {
        days: u64,
    },
    Collect {
        versions: u64,
        days: u32,
        cache: u32,
        death: usize,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let place = || (0u8..4, 1i64..6);
    prop_oneof![
        6 => place().prop_map(|(place, rows)| Act::Publish { place, rows }),
        1 => place().prop_map(|(place, rows)| Act::Record { place, rows }),
        1 => place().prop_map(|(place, rows)| Act::Write { place, rows }),
        2 => (1u64..25).prop_map(|days| Act::Age { days }),
        3 => (1u64..4, 0u32..30, 0u32..30, 0usize..9)
            .prop_map(|(versions, days, cache, death)| Act::Collect { versions, days, cache, death }),
    ]
}

fn place(number: u8) -> (&'static str, &'static str) {
    match number {
        0 => ("a.b", "all"),
        1 => ("a.c", "date=1970-01-01"),
        2 => ("a.c", "date=1970-01-02"),
        _ => ("raw.x", "all"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn kept_versions_read_the_same_after_any_history(acts in prop::collection::vec(act(), 4..22)) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let mut versions: BTreeMap<u64, BTreeMap<String, Fingerprint>> = BTreeMap::new();
        let mut documents: BTreeSet<String> = BTreeSet::new();
        for (n, act) in acts.into_iter().enumerate() {
            // A new process each time: it knows what the disk says.
            let lake = open(root);
            let run = format!("r{n:03}");
            let cell = |number, rows: i64| {
                let (table, partition) = place(number);
                made(&lake, table, partition, &run, &format!("{rows}"), &hours(rows))
            };
            match act {
                Act::Publish { place: number, rows } => {
                    let cell = cell(number, rows);
                    lake.record(&run, std::slice::from_ref(&cell)).unwrap();
                    let head = lake.head().unwrap();
                    let next = lake.commit(request(&head, &run, n as i64, vec![cell])).unwrap();
                    versions.insert(next.version, rows_at(&lake, next.version));
                    if number == 3 {
                        documents.extend(notes(&hours(rows)));
                    }
                }
                Act::Record { place: number, rows } => {
                    lake.record(&run, &[cell(number, rows)]).unwrap();
                }
                Act::Write { place: number, rows } => {
                    cell(number, rows);
                }
                Act::Age { days } => age(root, "", days),
                Act::Collect { versions, days, cache, death } => {
                    let left = std::cell::Cell::new(death);
                    let die = |_: GcStep<'_>| match left.get().checked_sub(1) {
                        None => Err(StoreError::RunName { run: "died".to_owned() }),
                        Some(steps) => {
                            left.set(steps);
                            Ok(())
                        }
                    };
                    let keep = Retention { versions, days, cache_days: cache };
                    let _ = lake.collect(&request_of(&run, keep, &die));
                }
            }
            let lake = open(root);
            let kept = sound(&lake);
            for (version, rows) in &kept {
                if let Some(expected) = versions.get(version) {
                    prop_assert_eq!(rows, expected);
                }
            }
            // Recorded results can be read, and every raw document is somewhere.
            for cell in lake.cells().unwrap().iter() {
                lake.read(cell, None).unwrap();
            }
            prop_assert!(documents.is_subset(&raw_notes(root)));
        }
    }
}

fn notes(rows: &[Row]) -> impl Iterator<Item = String> {
    rows.iter().map(|row| row.3.unwrap_or_default().to_owned())
}

/// The notes in every raw file on disk.
fn raw_notes(root: &Path) -> BTreeSet<String> {
    let raw: TableId = table("raw.x");
    assert!(key("all").is_all());
    let files = files(root)
        .into_iter()
        .filter(|(path, _)| path.starts_with("data/raw"));
    files
        .flat_map(|(_, bytes)| crate::parquet::texts(&raw, bytes, &["note"]).unwrap())
        .map(|row| row[0].clone())
        .collect()
}

#[test]
fn a_lake_of_another_make_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let error = Lake::open_any(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::NoLake { .. }), "{error}");
    Lake::open(dir.path(), "demo", Open::OrCreate).unwrap();
    assert_eq!(Lake::open_any(dir.path()).unwrap().profile(), "demo");
}
