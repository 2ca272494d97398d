//! What projecting costs in bytes.

use super::*;

#[test]
fn a_checkpoint_is_worth_its_bytes() {
    // As large as the rules assume, for names that do not compress and statistics that hardly do.
    let files: u64 = 20_000;
    let (table, mut head) = (table("a.b"), Snapshot::empty());
    head.tables.insert(table.clone(), meta());
    let cells = (0..files).map(|n| {
        let hash = Fingerprint::of(&n.to_le_bytes());
        let day = Day::from_days(n as i32 / 4);
        let partition = key(&format!("asset=A{}/date={day}", n % 4));
        let path = format!("data/a/b/{partition}/{hash}.parquet");
        let (first, bytes) = (day.start(), 40_000 + n * 7 % 9_973);
        let cell = Cell {
            table: table.clone(),
            partition: partition.clone(),
            fingerprint: hash,
            parts: Default::default(),
            rows_hash: hash,
            days: Default::default(),
            rows: 200 + n % 77,
            file: Some(CellFile { path, hash, bytes }),
            times: Some((
                first,
                UtcTime::from_micros(first.micros() + n as i64 * 1_000_003),
            )),
            run: "r".to_owned(),
            seconds: 0.0,
        };
        (partition, Arc::new(cell))
    });
    let cells: BTreeMap<_, _> = cells.collect();
    head.cells.insert(table.clone(), Arc::new(cells));
    let checkpoint = checkpoint_of(&table, &meta(), &head, 0).unwrap();
    let bytes = checkpoint.parquet.len() as u64;
    assert!(bytes < files * BYTES_PER_FILE, "{bytes}");
    let each = bytes / COMMITS_MIN.max(files / FILES_PER_COMMIT);
    assert!(each < 256 * 1024, "{each} bytes a version");
}

/// Prints what projecting a commit of one partition writes. `LAKE_TEST_LARGE=1` takes a table of 1,000,000 files.
#[test]
fn a_version_writes_little_however_large_the_table() {
    let full = std::env::var_os("LAKE_TEST_LARGE").is_some_and(|value| value != "0");
    let count: u64 = if full { 1_000_000 } else { 4_000 };
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let lake = lake(root);
    let folder = root.join("data/a/b");
    fs::create_dir_all(&folder).unwrap();
    // Each file has a name of its own; their bytes, which nobody reads here, are shared.
    let cell = |n: u64, run: &str| {
        let hash = Fingerprint::of(format!("{n} {run}").as_bytes());
        let shared = root.join(format!("data/a/shared-{}", n / 50_000));
        if !shared.exists() {
            fs::write(&shared, "rows").unwrap();
        }
        fs::hard_link(&shared, folder.join(format!("{hash}.parquet"))).unwrap();
        let start = Day::from_days(n as i32 / 10).start();
        Cell {
            table: table("a.b"),
            partition: key(&format!("asset=A{}/date={}", n % 10, start.day())),
            fingerprint: hash,
            parts: Default::default(),
            rows_hash: hash,
            days: Default::default(),
            rows: 100 + n % 17,
            file: Some(CellFile {
                path: format!("data/a/b/{hash}.parquet"),
                hash,
                bytes: 4,
            }),
            times: Some((start, UtcTime::from_micros(start.micros() + n as i64))),
            run: run.to_owned(),
            seconds: 0.0,
        }
    };
    commit(
        &lake,
        "first",
        (0..count).map(|n| cell(n, "first")).collect(),
        &[],
    );
    let first = lake.project_delta(None).unwrap();
    // So many files at once are more bytes of log than a checkpoint of them takes.
    assert!(first.bytes > count * BYTES_PER_FILE);
    assert_eq!(first.checkpoints, 1);
    let mut written = 0;
    let clock = std::time::Instant::now();
    let mut projecting = std::time::Duration::ZERO;
    for n in 0..100 {
        let base = lake.head().unwrap();
        let run = format!("r{n}");
        commit(&lake, &run, vec![cell(n * 7_919 * 13 % count, &run)], &[]);
        let clock = std::time::Instant::now();
        written += lake.project_delta(Some(base)).unwrap().bytes;
        projecting += clock.elapsed();
        written += fs::metadata(root.join("_projections/delta.json"))
            .unwrap()
            .len();
    }
    let mean = written / 100;
    println!(
        "{count} files: {} bytes at first; then {mean} bytes and {:?} of {:?} a commit",
        first.bytes,
        projecting / 100,
        clock.elapsed() / 100
    );
    assert!(mean < 1 << 18, "{mean} bytes a commit");
    assert_eq!(lake.delta_tables().unwrap()[0].files, count);
}
