//! Collection beside runs, branches and other histories: nobody loses a row, whoever comes first.

use std::cell::{Cell as Slot, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lakectl_core::{Cell, Fingerprint, TableId, UtcTime};
use proptest::prelude::*;

use super::collecting::{KEEP, age, collect, files, old_lake, open, request_of, rows_at, sound};
use super::simulate::{seeds, tell};
use super::{Row, hours, key, made, publish, request, table};
use crate::{
    Collection, CommitRequest, GcStep, Lake, Lease, Retention, Signed, StoreError, VersionRef,
};

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
    tell(
        "a writer that stood still while its files were collected commits",
        4,
        "refused, or its rows take another name",
    );
}

#[test]
fn a_lease_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let left = || -> Vec<_> {
        let folder = std::fs::read_dir(dir.path().join("_runs/leases")).unwrap();
        folder.map(|entry| entry.unwrap().file_name()).collect()
    };
    for run in ["r.1", "r.1.2"] {
        let lease = Lease::take(Arc::clone(&lake), run).unwrap();
        lease.renew().unwrap();
        lease.renew().unwrap();
        assert_eq!(left().len(), 2);
        drop(lease);
        assert!(left().is_empty());
    }
    // The lease of an earlier version of the program, whose run died, is ended as well.
    let old = dir.path().join("_runs/leases/old");
    std::fs::create_dir_all(&old).unwrap();
    std::fs::write(old.join("begin.json"), "{}").unwrap();
    age(dir.path(), "_runs", 1);
    assert_eq!(collect(&lake, "gc").dead_runs, ["old"]);
    assert!(!old.join("begin.json").exists());
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
    let done = Slot::new(false);
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
    let published = RefCell::new(String::new());
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
    let path = RefCell::new(String::new());
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
    let seen = Slot::new(false);
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

fn signed(run: &str) -> Signed {
    Signed {
        run: run.to_owned(),
        who: "ann@desk".to_owned(),
        time: UtcTime::from_micros(1_800_000_000_000_000),
        why: "to see".to_owned(),
    }
}

#[test]
fn what_a_branch_holds_stays_until_the_branch_goes() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let lake = old_lake(root);
    lake.create_branch("dev", Some(VersionRef::Number(2)), &signed("b1"))
        .unwrap();
    let dev = lake.on_branch("dev").unwrap();
    let held = rows_at(&dev, dev.head().unwrap().version);
    let done = collect(&lake, "gc1");
    assert_eq!(done.removed.len(), 4, "one less than without the branch");
    let dev = open(root).on_branch("dev").unwrap();
    assert_eq!(rows_at(&dev, dev.head().unwrap().version), held);
    let error = lake.at(VersionRef::Number(2)).unwrap_err();
    assert!(matches!(error, StoreError::Expired { .. }), "{error}");
    // No branch can begin where rows are gone.
    let error = lake
        .create_branch("late", Some(VersionRef::Number(1)), &signed("b2"))
        .unwrap_err();
    assert!(matches!(error, StoreError::Expired { .. }), "{error}");
    sound(&open(root));
    lake.delete_branch("dev", &signed("b3")).unwrap();
    age(root, "", 40);
    let done = collect(&open(root), "gc2");
    assert_eq!(done.removed.len(), 1);
    sound(&open(root));
}

#[test]
fn a_branch_that_begins_during_a_collection_is_whole_or_refused() {
    let steps: [fn(&GcStep<'_>) -> bool; 4] = [
        |step| *step == GcStep::Marked,
        |step| *step == GcStep::Expired,
        |step| matches!(step, GcStep::Condemned(_)),
        |step| *step == GcStep::Forgotten,
    ];
    for (place, at) in steps.into_iter().enumerate() {
        for version in [2, 7] {
            let dir = tempfile::tempdir().unwrap();
            let begun = Slot::new(false);
            beside(dir.path(), at, |other| {
                let began =
                    other.create_branch("dev", Some(VersionRef::Number(version)), &signed("b1"));
                match began {
                    Ok(_) => begun.set(true),
                    Err(error) => {
                        assert!(matches!(error, StoreError::Expired { .. }), "{error}");
                    }
                }
            });
            // Version 2 can be branched from until it is said to be gone; the newest one always.
            assert_eq!(
                begun.get(),
                version == 7 || place == 0,
                "step {place}, {version}"
            );
            let lake = open(dir.path());
            let known = lake.branches().unwrap();
            assert_eq!(known.iter().any(|branch| branch.name == "dev"), begun.get());
            if begun.get() {
                let dev = lake.on_branch("dev").unwrap();
                rows_at(&dev, dev.head().unwrap().version);
                let condemned = &dev.head().unwrap().condemned;
                let gone = |name: &&String| !dir.path().join(name).exists();
                assert_eq!(condemned.keys().filter(gone).count(), condemned.len());
                assert!(condemned.len() >= 3, "{}", condemned.len());
            }
        }
    }
    tell(
        "a branch begins between the steps of a collection",
        8,
        "it is whole, or refused",
    );
}

#[test]
fn a_name_that_one_branch_goes_on_using_is_forgiven_by_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = RefCell::new(String::new());
    let root = dir.path();
    let lake = old_lake(root);
    lake.create_branch("dev", None, &signed("b1")).unwrap();
    // `dev` agrees before `main`: by then `main` has taken up the rows of version 1 again.
    let other = open(root);
    other.head().unwrap();
    let watch = |step: GcStep<'_>| {
        if matches!(step, GcStep::Condemned(_)) && path.borrow().is_empty() {
            let late = match step {
                GcStep::Condemned("dev") => Arc::clone(&other),
                _ => Arc::new(other.on_branch("dev").unwrap()),
            };
            let head = late.head().unwrap();
            let cell = made(&late, "a.b", "all", "r9", "again", &hours(1));
            path.replace(cell.file.as_ref().unwrap().path.clone());
            commit_of(&late, &head, "r9", cell, None).unwrap();
        }
        Ok(())
    };
    lake.collect(&request_of("gc", KEEP, &watch)).unwrap();
    let path = path.into_inner();
    assert!(root.join(&path).is_file(), "{path}");
    sound(&open(root));
    for branch in ["main", "dev"] {
        let head = open(root).on_branch(branch).unwrap().head().unwrap();
        assert!(!head.condemned.contains_key(&path), "{branch}");
        assert_eq!(head.condemned.len(), 4);
    }
}

#[test]
fn condemned_names_outlive_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let lake = old_lake(dir.path());
    collect(&lake, "gc1");
    for n in 10..40 {
        publish(&lake, "a.c", "all", &format!("r{n}"), &hours(n));
    }
    let lake = open(dir.path());
    assert_eq!(lake.head().unwrap().condemned.len(), 5);
    let cell = made(&lake, "a.b", "all", "r50", "1", &hours(1));
    assert!(cell.file.unwrap().path.ends_with("-1.parquet"));
    sound(&lake);
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
    #![proptest_config(ProptestConfig { cases: histories(), ..ProptestConfig::default() })]

    #[test]
    fn kept_versions_read_the_same_after_any_history(acts in prop::collection::vec(act(), 4..22)) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let mut versions: BTreeMap<u64, BTreeMap<String, Fingerprint>> = BTreeMap::new();
        let mut documents: BTreeSet<String> = BTreeSet::new();
        for (n, act) in acts.into_iter().enumerate() {
            // A new process each time: it reads the newest version, as every run does.
            let lake = open(root);
            lake.head().unwrap();
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
        if SURVIVED.fetch_add(1, Ordering::Relaxed) + 1 == histories() {
            let what = "publish, record, age and collect in a random order, collections dying at any step";
            tell(what, histories().into(), "every kept version reads as it did, no document is lost");
        }
    }
}

/// Histories that went well.
static SURVIVED: AtomicU32 = AtomicU32::new(0);

fn histories() -> u32 {
    u32::try_from(seeds(24)).unwrap_or(u32::MAX)
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
