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

/// Bytes of the files below some folders of a lake, of which none is ever written again.
fn bytes_below(root: &Path, folders: &[&str]) -> u64 {
    let all = crate::tests::collecting::sizes(root);
    let below = |path: &String| folders.iter().any(|folder| path.starts_with(folder));
    all.iter()
        .filter(|(path, _)| below(path))
        .map(|(_, bytes)| bytes)
        .sum()
}

/// Prints what a commit of one partition writes in all: the log, checkpoints, the record of the result, and projections.
/// `LAKE_TEST_LARGE=1` takes a table of 1,000,000 files.
#[test]
fn a_version_writes_little_however_large_the_table() {
    let full = std::env::var_os("LAKE_TEST_LARGE").is_some_and(|value| value != "0");
    // A lake writes 1 MiB a version at most; a small one so much less as its checkpoints are smaller.
    let (count, most): (u64, u64) = match full {
        true => (1_000_000, 1 << 20),
        false => (4_000, 1 << 17),
    };
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
    const OWN: [&str; 2] = ["_log/", "_chunks/"];
    const RESULTS: [&str; 2] = ["_cells/", "_parts/"];
    let before = [OWN, RESULTS].map(|folders| bytes_below(root, &folders));
    let mut projected = 0;
    let clock = std::time::Instant::now();
    let mut projecting = std::time::Duration::ZERO;
    for n in 0..100 {
        let base = lake.head().unwrap();
        let run = format!("r{n}");
        let cells = vec![cell(n * 7_919 * 13 % count, &run)];
        lake.record(&run, &cells).unwrap();
        commit(&lake, &run, cells, &[]);
        let clock = std::time::Instant::now();
        projected += lake.project_delta(Some(base)).unwrap().bytes;
        projecting += clock.elapsed();
        projected += fs::metadata(root.join("_projections/delta.json"))
            .unwrap()
            .len();
    }
    let (projecting, all) = (projecting / 100, clock.elapsed() / 100);
    let after = [OWN, RESULTS].map(|folders| bytes_below(root, &folders));
    let [own, results] = [0, 1].map(|i| (after[i] - before[i]) / 100);
    let projected = projected / 100;
    let mean = own + results + projected;
    println!(
        "{count} files: {} bytes projected at first; then {mean} bytes a commit: {own} of log and checkpoints, {results} \
         of results, {projected} projected; {projecting:?} of {all:?} for projecting",
        first.bytes
    );
    let checkpoints = crate::tests::collecting::sizes(root);
    let checkpoints = checkpoints
        .keys()
        .filter(|path| path.starts_with("_log/main/checkpoints/"));
    assert!(
        checkpoints.count() >= 6,
        "what is due every 16 commits is in it"
    );
    assert!(projected < 1 << 18, "{projected} bytes projected");
    assert!(mean < most, "{mean} bytes a commit");
    assert_eq!(lake.delta_tables().unwrap()[0].files, count);
}
