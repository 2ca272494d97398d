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
