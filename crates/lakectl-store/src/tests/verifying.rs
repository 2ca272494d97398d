//! Verification finds every damage, names it with what needs it, and changes nothing.

use std::fs;
use std::path::Path;

use super::collecting::files;
use super::{hours, lake, made, publish};
use crate::{Cause, Damage, FileKind, Lake, Verification, VerifyRequest, VersionRef};

fn verify(lake: &Lake, deep: bool, at: Option<u64>) -> Verification {
    let at = at.map(VersionRef::Number);
    lake.verify(&VerifyRequest { deep, at }, &|_| {}).unwrap()
}

/// Two versions of one partition, one of another, and a result that no version holds.
fn some_lake(root: &Path) -> Lake {
    let lake = lake(root);
    publish(&lake, "a.b", "all", "r1", &hours(30));
    publish(&lake, "a.b", "all", "r2", &hours(31));
    publish(&lake, "a.c", "date=1970-01-01", "r3", &hours(3));
    let cached = made(&lake, "a.c", "date=1970-01-02", "r4", "x", &hours(4));
    lake.record("r4", &[cached]).unwrap();
    lake
}

fn one(found: Verification) -> Damage {
    assert_eq!(found.damages.len(), 1, "{:#?}", found.damages);
    found.damages.into_iter().next().unwrap()
}

#[test]
fn every_damage_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let lake = some_lake(dir.path());
    let sound = verify(&lake, true, None);
    assert_eq!((sound.records, sound.files, sound.damages.len()), (7, 4, 0));
    let before = files(dir.path());
    for (path, good) in &before {
        if path == "lake.json" {
            continue;
        }
        let full = dir.path().join(path);
        let kind = match path.split('/').next() {
            Some("data") => FileKind::Data,
            Some("_log") => FileKind::Log,
            _ => FileKind::Cells,
        };
        for byte in [0, good.len() / 3, good.len() - 1] {
            let mut bytes = good.clone();
            bytes[byte] ^= 0x20;
            fs::write(&full, bytes).unwrap();
            let damage = one(verify(&lake, true, None));
            assert_eq!((&damage.path, damage.kind), (path, kind));
            assert!(!damage.advice.is_empty());
        }
        fs::write(&full, &good[..good.len() - 1]).unwrap();
        let damage = one(verify(&lake, false, None));
        assert_eq!(
            (&damage.path, damage.kind),
            (path, kind),
            "also without reading rows"
        );
        fs::remove_file(&full).unwrap();
        if kind != FileKind::Cells && !path.ends_with("3.json") {
            let damage = one(verify(&lake, false, None));
            assert_eq!(&damage.path, path);
            assert!(damage.problem.contains("missing"), "{damage:?}");
        }
        fs::write(&full, good).unwrap();
    }
    assert!(files(dir.path()) == before, "verification writes nothing");
}

#[test]
fn who_needs_a_damaged_file_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let lake = some_lake(dir.path());
    for (path, good) in files(dir.path()) {
        if !path.starts_with("data/") {
            continue;
        }
        fs::remove_file(dir.path().join(&path)).unwrap();
        let damage = one(verify(&lake, false, None));
        let cell = &damage.cells[0];
        let spans: Vec<String> = damage.versions.iter().map(ToString::to_string).collect();
        let (cause, span) = match (cell.task().to_string().as_str(), cell.rows) {
            ("a.b all", 30) => (Cause::Older, "version 1 of main"),
            ("a.b all", 31) => (Cause::Published, "versions 2 to 3 of main"),
            ("a.c date=1970-01-01", _) => (Cause::Published, "version 3 of main"),
            _ => (Cause::Cache, ""),
        };
        assert_eq!(
            (damage.cause, spans.join(" ").as_str()),
            (Some(cause), span)
        );
        assert_eq!(damage.table.as_ref(), Some(&cell.table));
        // Only the versions that hold it are affected.
        for version in 1..=3 {
            let affected = !verify(&lake, false, Some(version)).damages.is_empty();
            let held = damage
                .versions
                .iter()
                .any(|span| (span.first..=span.last).contains(&version));
            assert_eq!(affected, held, "{path} in version {version}");
        }
        fs::write(dir.path().join(&path), good).unwrap();
    }
}

#[test]
fn a_damaged_version_does_not_hide_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let lake = some_lake(dir.path());
    let log = dir.path().join(format!("_log/main/{:020}.json", 1));
    fs::write(&log, "{}").unwrap();
    for path in files(dir.path())
        .into_keys()
        .filter(|path| path.starts_with("data/a/c"))
    {
        fs::remove_file(dir.path().join(path)).unwrap();
    }
    let found = verify(&lake, false, None);
    let kinds: Vec<FileKind> = found.damages.iter().map(|damage| damage.kind).collect();
    assert_eq!(kinds, [FileKind::Log, FileKind::Data, FileKind::Data]);
}

/// Deletes a file of a lake, and returns what verification says then; the file is put back.
fn without(root: &Path, path: &str) -> Vec<Damage> {
    let full = root.join(path);
    let good = fs::read(&full).unwrap();
    fs::remove_file(&full).unwrap();
    let found = verify(&lake(root), true, None).damages;
    fs::write(&full, good).unwrap();
    found
}

#[test]
fn the_loss_of_the_newest_version_is_no_silence() {
    let dir = tempfile::tempdir().unwrap();
    let lake = some_lake(dir.path());
    let newest = format!("_log/main/{:020}.json", 3);
    assert!(
        without(dir.path(), &newest).is_empty(),
        "nobody knows of it"
    );
    for (knower, word) in [("note", "run r3"), ("projections", "projections")] {
        match knower {
            "note" => lake.leave_note("r3", 3, &["done"]).unwrap(),
            _ => {
                fs::remove_file(dir.path().join("_runs/r3.json")).unwrap();
                lake.project_delta(None).map(|_| ()).unwrap();
            }
        }
        let found = without(dir.path(), &newest);
        let one = found.iter().find(|one| one.path == newest).unwrap();
        assert_eq!((found.len(), one.kind), (1, FileKind::Log), "{found:#?}");
        assert!(one.problem.contains(word), "{one:?}");
        assert!(one.problem.contains("version 3"), "{one:?}");
        assert!(one.advice.contains("copy of the lake"), "{one:?}");
    }
    // Also if all of the log is gone, and for whoever would collect or go on.
    lake.leave_note("r3", 3, &["done"]).unwrap();
    fs::remove_dir_all(dir.path().join("_log")).unwrap();
    let fresh = super::lake(dir.path());
    for lost in [fresh.check_newest(), fresh.check_last_run()] {
        let text = lost.unwrap_err().to_string();
        assert!(text.contains(&format!("{:020}.json", 1)), "{text}");
    }
    assert_eq!(verify(&fresh, false, None).damages[0].kind, FileKind::Log);
}

#[test]
fn notes_carry_their_digest() {
    let dir = tempfile::tempdir().unwrap();
    let lake = some_lake(dir.path());
    lake.leave_note("r2", 2, &["two"]).unwrap();
    lake.leave_note("r3", 3, &["three"]).unwrap();
    assert!(verify(&lake, false, None).damages.is_empty());
    let path = "_runs/r3.json";
    let good = fs::read_to_string(dir.path().join(path)).unwrap();
    let spoilt = [
        good.replace("three", "seven"),
        "garbage".to_owned(),
        String::new(),
    ];
    for bad in spoilt {
        fs::write(dir.path().join(path), bad).unwrap();
        let damage = one(verify(&lake, false, None));
        assert_eq!((damage.path.as_str(), damage.kind), (path, FileKind::Note));
        assert!(damage.advice.contains("repair"));
        let notes = lake.notes::<Vec<String>>(9).unwrap();
        assert!(notes[0].as_ref().unwrap_err().to_string().contains(path));
        assert_eq!(notes[1].as_ref().unwrap(), &["two"]);
    }
    // What an earlier version left has no digest, and is read all the same.
    fs::write(dir.path().join(path), "{\"run\":\"r3\"}").unwrap();
    assert!(verify(&lake, false, None).damages.is_empty());
}
