use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lakectl_core::{Cell, Fingerprint, Parts, UtcTime};

use super::{key, lake, meta, publish, table};
use crate::{CommitRequest, FileKind, Lake, Snapshot, StoreError, VerifyRequest, VersionRef};

/// A cell of an empty partition: the log has to keep it, and no file.
fn empty(n: u64, run: &str) -> Cell {
    Cell {
        table: table("a.b"),
        partition: key(&format!("asset=A{:04}/n={n:07}", n % 1000)),
        fingerprint: Fingerprint::of(format!("{n} {run}").as_bytes()),
        parts: Parts::new(),
        rows_hash: Fingerprint::of(format!("{n} {run} rows").as_bytes()),
        days: BTreeMap::new(),
        rows: 0,
        file: None,
        times: None,
        run: run.to_owned(),
        seconds: 0.25,
    }
}

fn commit(lake: &Lake, run: &str, cells: Vec<Cell>) -> Snapshot {
    let head = lake.head().unwrap();
    let time = UtcTime::from_micros(3_600_000_000 * (head.version as i64 + 1));
    let request = CommitRequest {
        tables: [(table("a.b"), meta())].into(),
        cells,
        ..CommitRequest::new(&head, run, time, "test")
    };
    lake.commit(request).unwrap()
}

fn files(root: &Path, folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

/// Bytes of the lake's log, checkpoints and chunks.
fn log_bytes(root: &Path) -> u64 {
    ["_log/main", "_log/main/checkpoints", "_chunks"]
        .iter()
        .flat_map(|folder| files(root, folder))
        .map(|path| path.metadata().unwrap().len())
        .sum()
}

fn is_as(found: &Snapshot, expected: &Snapshot) {
    assert_eq!(
        (found.version, found.id, found.time),
        (expected.version, expected.id, expected.time)
    );
    assert_eq!(found.cells, expected.cells);
    assert_eq!(
        (&found.tables, &found.records),
        (&expected.tables, &expected.records)
    );
}

#[test]
fn a_lake_opens_from_its_checkpoint_as_from_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let writer = lake(root);
    let mut versions = vec![commit(
        &writer,
        "r0",
        (0..3_000).map(|n| empty(n, "r0")).collect(),
    )];
    for n in 1..=40 {
        let run = format!("r{n}");
        let mut cells = vec![empty(n * 70, &run), empty(10_000 + n, &run)];
        if n == 20 {
            cells.push(empty(99_999, &run));
        }
        versions.push(commit(&writer, &run, cells));
        if n % 10 == 0 {
            // Partitions go, the first of their chunks among them.
            let head = writer.head().unwrap();
            let mut request = CommitRequest::new(&head, "drop", head.time, "test");
            let table = table("a.b");
            let gone = head.partitions(&table).take(3);
            request.dropped = gone.map(|(_, cell)| cell.task()).collect();
            request.records.insert(format!("note/{n}"), Some(n.into()));
            versions.push(writer.commit(request).unwrap());
        }
    }
    assert_eq!(files(root, "_log/main/checkpoints").len(), 2);
    let by_checkpoint = lake(root);
    is_as(&by_checkpoint.head().unwrap(), versions.last().unwrap());
    for version in &versions {
        is_as(
            &by_checkpoint
                .at(VersionRef::Number(version.version))
                .unwrap(),
            version,
        );
    }
    // A branch begins where no checkpoint is, and makes its own, of the same chunks.
    fs::remove_dir_all(root.join("_log/main/checkpoints")).unwrap();
    let by_log = lake(root);
    is_as(&by_log.head().unwrap(), versions.last().unwrap());
    is_as(&by_log.at(VersionRef::Number(17)).unwrap(), &versions[16]);
    commit(&by_log, "next", vec![empty(5, "next")]);
    assert_eq!(
        files(root, "_log/main/checkpoints").len(),
        1,
        "the next writer makes one again"
    );
}

#[test]
fn damage_of_checkpoints_and_chunks_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let writer = lake(root);
    commit(&writer, "r0", (0..500).map(|n| empty(n, "r0")).collect());
    for n in 1..16 {
        commit(&writer, &format!("r{n}"), vec![empty(n, &format!("r{n}"))]);
    }
    let good = writer.head().unwrap();
    let checkpoint = files(root, "_log/main/checkpoints").remove(0);
    let chunks = files(root, "_chunks");
    assert!(
        chunks.len() >= 2,
        "those of the first commit and of the checkpoint"
    );
    for path in chunks.iter().chain([&checkpoint]) {
        let bytes = fs::read(path).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 4;
        let kept: &[&[u8]] = &[&flipped, &bytes[..bytes.len() / 2], &[]];
        for damaged in kept {
            fs::write(path, damaged).unwrap();
            let versions = [lake(root).head(), lake(root).at(VersionRef::Number(1))];
            let errors: Vec<StoreError> = versions.into_iter().filter_map(Result::err).collect();
            assert!(!errors.is_empty(), "{} is read by nobody", path.display());
            for error in errors {
                let name = path.file_name().unwrap().to_str().unwrap();
                assert!(error.to_string().contains(name), "{error}");
                assert!(error.hint().is_some());
            }
            is_blamed(root, path, &checkpoint);
        }
        fs::remove_file(path).unwrap();
        if path != &checkpoint {
            is_blamed(root, path, &checkpoint);
        }
        match path == &checkpoint {
            // What a checkpoint says, the log says too.
            true => is_as(&lake(root).head().unwrap(), &good),
            false => {
                assert!(lake(root).at(VersionRef::Number(1)).is_err() || lake(root).head().is_err())
            }
        }
        fs::write(path, &bytes).unwrap();
    }
    is_as(&lake(root).head().unwrap(), &good);
    // A damaged version is no fault of its checkpoint.
    let version = root.join(format!("_log/main/{:020}.json", 16));
    fs::write(&version, "{}").unwrap();
    is_blamed(root, &version, &checkpoint);
}

/// Verification names this file and no other, and what goes with it.
fn is_blamed(root: &Path, path: &Path, checkpoint: &Path) {
    let below = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    let found = lake(root)
        .verify(&VerifyRequest::default(), &|_| {})
        .unwrap();
    let named: Vec<&str> = found.damages.iter().map(|d| d.path.as_str()).collect();
    assert_eq!(named, [below(path)]);
    let damage = &found.damages[0];
    let commit = fs::read_to_string(root.join(format!("_log/main/{:020}.json", 1))).unwrap();
    let chunk = path.file_stem().unwrap().to_str().unwrap();
    match () {
        () if path == checkpoint => assert_eq!(damage.kind, FileKind::Checkpoint),
        // A version is kept in it.
        () if !below(path).starts_with("_chunks") || commit.contains(chunk) => {
            assert_eq!((damage.kind, damage.holders.len()), (FileKind::Log, 0));
        }
        () => {
            assert_eq!(damage.kind, FileKind::Checkpoint);
            assert_eq!(damage.holders, [below(checkpoint)]);
        }
    }
}

#[test]
fn a_checkpoint_of_a_log_that_was_cut_back_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for n in 0..16 {
        commit(&lake(root), &format!("r{n}"), vec![empty(n, "r")]);
    }
    // Every writer was another process, so none has replayed enough commits; one that has makes the checkpoint.
    let writer = lake(root);
    commit(&writer, "r16", vec![empty(16, "r")]);
    assert_eq!(files(root, "_log/main/checkpoints").len(), 1);
    // As the advice for a damaged log says: back to version 15.
    for version in [16, 17] {
        fs::remove_file(root.join(format!("_log/main/{version:020}.json"))).unwrap();
    }
    let cut = lake(root);
    assert_eq!(cut.head().unwrap().version, 15);
    commit(&cut, "other", vec![empty(77, "other")]);
    let error = lake(root).head().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("does not belong to the version of the log"),
        "{error}"
    );
    fs::remove_file(files(root, "_log/main/checkpoints").remove(0)).unwrap();
    let head = lake(root).head().unwrap();
    assert!(head.cell(&table("a.b"), &empty(77, "").partition).is_some());
    assert!(head.cell(&table("a.b"), &empty(16, "").partition).is_none());
}

#[test]
fn a_commit_is_made_even_if_its_checkpoint_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let writer = lake(root);
    fs::create_dir_all(root.join("_log/main")).unwrap();
    fs::write(root.join("_log/main/checkpoints"), "in the way").unwrap();
    for n in 0..20 {
        commit(&writer, &format!("r{n}"), vec![empty(n, "r")]);
    }
    fs::remove_file(root.join("_log/main/checkpoints")).unwrap();
    assert_eq!(lake(root).head().unwrap().version, 20);
    commit(&writer, "r20", vec![empty(20, "r")]);
    assert_eq!(
        files(root, "_log/main/checkpoints").len(),
        1,
        "the next commit tries again"
    );
}

#[test]
fn times_grow_although_the_clock_goes_back_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let writer = lake(dir.path());
    let day = 86_400_000_000;
    let commit_at = |run: &str, micros| {
        let head = writer.head().unwrap();
        let time = UtcTime::from_micros(micros);
        let mut request = CommitRequest::new(&head, run, time, "test");
        request.cells = vec![empty(head.version, run)];
        writer.commit(request).unwrap()
    };
    commit_at("r1", 10 * day);
    let back = commit_at("r2", 9 * day);
    assert_eq!(back.time.micros(), 10 * day + 1);
    assert_eq!(commit_at("r3", 9 * day).time.micros(), 10 * day + 2);
    assert_eq!(commit_at("r4", 11 * day).time.micros(), 11 * day);
    let at = |micros| {
        writer
            .at(VersionRef::Time(UtcTime::from_micros(micros)))
            .unwrap()
            .version
    };
    assert_eq!(
        [10 * day, 10 * day + 1, 10 * day + 5, 12 * day].map(at),
        [1, 2, 3, 4]
    );
}

#[test]
fn logs_of_format_one_are_read_and_newer_ones_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let head = publish(&lake(root), "a.b", "all", "r1", &super::hours(2));
    let path = root.join(format!("_log/main/{:020}.json", 1));
    let text = fs::read_to_string(&path).unwrap();
    let payload = text.lines().next().unwrap();
    let write = |format: &str| {
        let payload = payload.replacen("{\"format\":2,", &format!("{{\"format\":{format},"), 1);
        let digest = Fingerprint::of(payload.as_bytes());
        fs::write(&path, format!("{payload}\n{{\"blake3\":\"{digest}\"}}\n")).unwrap();
    };
    write("1");
    assert_eq!(lake(root).head().unwrap().cells, head.cells);
    write("3");
    let error = lake(root).head().unwrap_err();
    let expected = "00000000000000000001.json has format 3, this program reads formats up to 2";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert_eq!(error.hint().unwrap(), "use the newer lakectl that wrote it");
}

/// Prints what a commit of one partition writes and how long opening takes. `LAKE_TEST_LARGE=1` takes lakes of 100,000 and
/// 1,000,000 cells; no time is asserted.
#[test]
fn a_commit_writes_little_however_large_the_lake() {
    let full = std::env::var_os("LAKE_TEST_LARGE").is_some_and(|value| value != "0");
    let counts: &[u64] = if full {
        &[100_000, 1_000_000]
    } else {
        &[20_000]
    };
    for &count in counts {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let writer = lake(root);
        let clock = std::time::Instant::now();
        let cells = (0..count).map(|n| empty(n, "first")).collect();
        commit(&writer, "first", cells);
        let (first, took) = (log_bytes(root), clock.elapsed());
        println!("{count} cells: the first commit writes {first} bytes in {took:?}");
        let clock = std::time::Instant::now();
        for n in 0..100 {
            // Spread over the lake, so that each falls into a chunk of its own.
            let place = n * 7_919 * 13 % count;
            commit(
                &writer,
                &format!("r{n}"),
                vec![empty(place, &format!("r{n}"))],
            );
        }
        let mean = (log_bytes(root) - first) / 100;
        println!(
            "  each of 100 commits of one partition {mean} bytes in {:?}",
            clock.elapsed() / 100
        );
        let clock = std::time::Instant::now();
        let head = lake(root).head().unwrap();
        println!("  opening takes {:?}", clock.elapsed());
        assert_eq!(head.cells[&table("a.b")].len() as u64, count);
        assert!(mean <= 1 << 20, "{mean} bytes a commit");
        assert_eq!(head.version, 101);
    }
}
