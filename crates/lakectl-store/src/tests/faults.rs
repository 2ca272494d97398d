use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{hours, lake, made, publish, request, table};
use crate::object::{Door, Put};
use crate::{Lake, Open, StoreError, VersionRef};

/// Reads everything a reader can reach.
fn read_all(root: &Path) -> Result<u64, StoreError> {
    let lake = Lake::open(root, "demo", Open::Existing)?;
    lake.cells()?;
    let mut rows = 0;
    for cell in lake.head()?.cells.values().flat_map(|cells| cells.values()) {
        for batch in lake.read(cell, None)? {
            rows += batch.num_rows() as u64;
        }
    }
    Ok(rows)
}

fn only_file(folder: PathBuf) -> PathBuf {
    fs::read_dir(folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
}

fn flip(path: &Path, byte: usize, bit: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte] ^= 1 << bit;
    fs::write(path, bytes).unwrap();
}

#[test]
fn every_damage_is_loud() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    publish(&lake(root), "a.b", "all", "r1", &hours(30));
    assert_eq!(read_all(root).unwrap(), 30);
    let files = [
        only_file(root.join("_log/main")),
        only_file(root.join("_cells/r1")),
        only_file(root.join("data/a/b")),
        root.join("lake.json"),
    ];
    for path in &files {
        let good = fs::read(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let record = name == "lake.json";
        for byte in (0..good.len()).step_by((good.len() / 150).max(1)) {
            flip(path, byte, byte % 7);
            match read_all(root) {
                Err(error) => {
                    let text = format!("{error} {:?}", error.hint());
                    assert!(record || text.contains(name), "byte {byte}: {text}");
                    assert!(error.hint().is_some(), "{text}");
                }
                // White space around lake.json's fields says nothing.
                Ok(rows) => assert!(record && rows == 30, "{name} byte {byte}"),
            }
            fs::write(path, &good).unwrap();
        }
        for length in (0..good.len() - 1).step_by((good.len() / 20).max(1)) {
            fs::write(path, &good[..length]).unwrap();
            let error = read_all(root).unwrap_err();
            assert!(error.to_string().contains(name), "{length} bytes: {error}");
            fs::write(path, &good).unwrap();
        }
    }
    assert_eq!(read_all(root).unwrap(), 30);
}

#[test]
fn what_a_dead_writer_leaves_is_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let lake = lake(root);
    publish(&lake, "a.b", "all", "r1", &hours(3));
    for folder in ["", "_log/main", "_cells/r1", "data/a/b"] {
        fs::write(root.join(folder).join(".tmp-abc"), "half a fi").unwrap();
    }
    // Rows without a cell, and a cell without a commit.
    made(&lake, "a.b", "date=1970-01-01", "r2", "1", &hours(4));
    let cell = made(&lake, "a.b", "date=1970-01-02", "r2", "1", &hours(5));
    lake.record("r2", std::slice::from_ref(&cell)).unwrap();
    drop(lake);
    assert_eq!(read_all(root).unwrap(), 3);
    let lake = super::lake(root);
    let found = lake.cells().unwrap();
    let found = found.get(&cell.fingerprint).unwrap();
    assert_eq!(**found, cell, "the next run finds the finished cell");
    let head = lake.head().unwrap();
    let next = lake.commit(request(&head, "r3", 2, vec![cell])).unwrap();
    assert_eq!((next.version, next.rows(&table("a.b"))), (2, 8));
}

#[test]
fn missing_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for n in 1..=3 {
        publish(&lake(root), "a.b", "all", &format!("r{n}"), &hours(n));
    }
    let log = root.join("_log/main");
    let second = log.join(format!("{:020}.json", 2));
    fs::rename(&second, root.join("kept")).unwrap();
    let error = lake(root).head().unwrap_err().to_string();
    assert!(error.contains("00002.json: it is missing"), "{error}");
    let third = fs::read(log.join(format!("{:020}.json", 3))).unwrap();
    fs::write(&second, third).unwrap();
    let error = lake(root).head().unwrap_err().to_string();
    assert!(error.contains("another version"), "{error}");
    fs::rename(root.join("kept"), &second).unwrap();

    let lake = lake(root);
    let head = lake.head().unwrap();
    let cell = head.cells[&table("a.b")].values().next().unwrap();
    fs::remove_file(lake.path_of(cell.file.as_ref().unwrap())).unwrap();
    let error = lake.read(cell, None).unwrap_err();
    assert!(error.to_string().contains("it is missing"), "{error}");
    assert_eq!(
        lake.at(VersionRef::Number(1)).unwrap().rows(&table("a.b")),
        1
    );
    let mut again = made(&lake, "a.c", "all", "r4", "1", &hours(2));
    fs::remove_file(lake.path_of(again.file.as_ref().unwrap())).unwrap();
    let error = lake
        .commit(request(&head, "r4", 4, vec![again.clone()]))
        .unwrap_err();
    assert!(
        error.to_string().contains("it is missing"),
        "unreadable rows are not published"
    );
    again = made(&lake, "a.c", "all", "r4", "1", &hours(2));
    assert_eq!(
        lake.commit(request(&head, "r4", 4, vec![again]))
            .unwrap()
            .version,
        4
    );
}

#[test]
fn a_forced_run_mends_a_damaged_file() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let lake = lake(root);
    publish(&lake, "a.b", "all", "r1", &hours(30));
    flip(&only_file(root.join("data/a/b")), 100, 3);
    let error = read_all(root).unwrap_err().to_string();
    assert!(error.contains("expected digest"), "{error}");
    made(&lake, "a.b", "all", "r2", "r1", &hours(30));
    assert_eq!(read_all(root).unwrap(), 30);
}

#[test]
fn one_fingerprint_with_two_results() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let first = made(&lake, "a.b", "all", "r1", "code", &hours(2));
    let second = made(&lake, "a.b", "all", "r2", "code", &hours(3));
    lake.record("r1", std::slice::from_ref(&first)).unwrap();
    lake.record(
        "r1",
        &[
            first.clone(),
            made(&lake, "a.c", "all", "r1", "code", &hours(2)),
        ],
    )
    .unwrap();
    let index = lake.cells().unwrap();
    assert_eq!((index.len(), index.conflicts().len()), (2, 0));
    lake.record("r2", std::slice::from_ref(&second)).unwrap();
    let index = lake.cells().unwrap();
    assert_eq!(
        index.get(&first.fingerprint).unwrap().rows_hash,
        second.rows_hash
    );
    let error = StoreError::from(index.conflicts()[0].clone()).to_string();
    for word in [
        "a.b all",
        "r1",
        "r2",
        &first.rows_hash.short(),
        &second.rows_hash.short(),
    ] {
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn names_of_runs_and_durations_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let mut cell = made(&lake, "a.b", "all", "r", "1", &hours(2));
    for run in ["", ".", "../x", "a/b", "a b"] {
        assert!(
            matches!(lake.record(run, &[]), Err(StoreError::RunName { .. })),
            "{run}"
        );
    }
    cell.seconds = f64::NAN;
    assert!(lake.record("r", &[cell]).is_err());
    lake.record("20260105T092145Z-1", &[]).unwrap();
    assert!(!dir.path().join("_cells").exists(), "no cells, no segment");
}

#[test]
fn a_new_name_is_given_once_whoever_asks() {
    let dir = tempfile::tempdir().unwrap();
    let doors: Vec<Door> = (0..4).map(|_| Door::new(dir.path().to_owned())).collect();
    for round in 0..20 {
        let path = format!("x/y/{round}");
        let puts: Vec<Put> = std::thread::scope(|scope| {
            let put = |(n, door): (usize, &'_ Door)| door.put_new(&path, &[n as u8; 50]).unwrap();
            let threads: Vec<_> = doors
                .iter()
                .enumerate()
                .map(|job| scope.spawn(move || put(job)))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let winners: Vec<usize> = (0..4).filter(|n| puts[*n] == Put::Created).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(
            doors[0].get(&path).unwrap().unwrap(),
            [winners[0] as u8; 50]
        );
    }
    let left = fs::read_dir(dir.path().join("x/y")).unwrap().count();
    assert_eq!(left, 20, "no temporary file is left");
}

#[test]
fn the_systems_refusals_have_advice() {
    let full = |code| {
        StoreError::io(
            "write to",
            Path::new("/x/y"),
            io::Error::from_raw_os_error(code),
        )
    };
    for (code, word) in [
        (28, "disk is full"),
        (122, "disk is full"),
        (30, "read-only"),
        (13, "permissions"),
    ] {
        let error = full(code);
        assert!(
            error.to_string().starts_with("cannot write to /x/y: "),
            "{error}"
        );
        assert!(error.hint().unwrap().contains(word), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    fs::write(dir.path().join("data"), "in the way").unwrap();
    let rows = super::batch(&hours(2));
    let (t, k) = (table("a.b"), super::key("all"));
    let error = lake
        .write_rows(&t, &k, &[rows], &super::schema(), &super::spec(false))
        .unwrap_err();
    assert!(error.to_string().contains("data/a/b"), "{error}");
}
