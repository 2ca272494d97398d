use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lakectl_core::{Cell, CellFile, Day, Fingerprint, TaskKey, UtcTime};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::{hours, key, lake, made, meta, publish, request, table};
use crate::projection::{BYTES_PER_FILE, COMMITS_MIN, FILES_PER_COMMIT, checkpoint_of};
use crate::{Lake, Snapshot, duckdb_views};

const DAY: &str = "date=1970-01-01";
const NEXT: &str = "date=1970-01-02";

/// Commits cells, and partitions that are given up.
fn commit(lake: &Lake, run: &str, cells: Vec<Cell>, dropped: &[(&str, &str)]) -> Snapshot {
    let head = lake.head().unwrap();
    let mut request = request(&head, run, head.version as i64 + 1, cells);
    request.dropped = dropped
        .iter()
        .map(|(name, partition)| TaskKey {
            table: table(name),
            partition: key(partition),
        })
        .collect();
    lake.commit(request).unwrap()
}

/// The lines of one Delta version.
fn version(root: &Path, name: &str, number: u64) -> Vec<Value> {
    let folder = root.join("data").join(name.replace('.', "/"));
    let path = folder.join(format!("_delta_log/{number:020}.json"));
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn of_kind<'v>(lines: &'v [Value], kind: &str) -> Vec<&'v Value> {
    lines.iter().filter_map(|line| line.get(kind)).collect()
}

fn paths(lines: &[Value], kind: &str) -> Vec<String> {
    let actions = of_kind(lines, kind).into_iter();
    actions
        .map(|a| a["path"].as_str().unwrap().to_owned())
        .collect()
}

/// Every file of the projection with its bytes.
fn projection(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if path.is_dir() {
                open.push(path);
            } else if name.contains("_delta_log/") || name.starts_with("_projections/") {
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

#[test]
fn a_delta_version_says_what_a_commit_changed() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let first = made(&lake, "a.b", DAY, "r1", "1", &hours(3));
    let cells = vec![first.clone(), made(&lake, "a.b", NEXT, "r1", "1", &[])];
    commit(&lake, "r1", cells, &[]);
    lake.project_delta(None).unwrap();

    let lines = version(dir.path(), "a.b", 0);
    let kinds: Vec<&String> = lines
        .iter()
        .flat_map(|l| l.as_object().unwrap().keys())
        .collect();
    assert_eq!(kinds, ["commitInfo", "protocol", "metaData", "txn", "add"]);
    let info = &lines[0]["commitInfo"];
    assert_eq!(
        (&info["lakeVersion"], &info["lakeRun"]),
        (&json!(1), &json!("r1"))
    );
    assert_eq!(info["timestamp"], 3_600_000);
    assert_eq!(
        lines[1]["protocol"],
        json!({"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["lakectl"]}),
        "everybody may read, nobody else may write"
    );
    let metadata = &lines[2]["metaData"];
    assert_eq!(
        (&metadata["name"], &metadata["partitionColumns"]),
        (&json!("a.b"), &json!([]))
    );
    let schema: Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    let fields = schema["fields"].as_array().unwrap().iter();
    let fields: Vec<String> = fields
        .map(|f| format!("{} {} {}", f["name"], f["type"], f["nullable"]).replace('"', ""))
        .collect();
    assert_eq!(
        fields,
        [
            "asset string false",
            "event_time timestamp false",
            "level double true",
            "n long true",
            "up boolean true",
            "day date true",
            "note string true",
            "blob binary true"
        ]
    );
    assert_eq!(lines[3]["txn"], json!({"appId": "lakectl", "version": 1}));
    let (add, file) = (&lines[4]["add"], first.file.as_ref().unwrap());
    assert_eq!(add["path"], format!("{DAY}/{}.parquet", file.hash));
    assert_eq!(
        (&add["size"], &add["partitionValues"]),
        (&json!(file.bytes), &json!({}))
    );
    let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    let range = |side: &str| stats[side]["event_time"].as_str().unwrap().to_owned();
    assert_eq!(stats["numRecords"], 3);
    assert_eq!(range("minValues"), "1970-01-01T00:00:00Z");
    assert_eq!(range("maxValues"), "1970-01-01T02:00:00Z");

    let second = made(&lake, "a.b", DAY, "r2", "2", &hours(4));
    let again = made(&lake, "a.b", NEXT, "r2", "2", &[]);
    commit(&lake, "r2", vec![second.clone(), again], &[]);
    publish(&lake, "a.other", "all", "r3", &hours(1));
    lake.project_delta(None).unwrap();
    let lines = version(dir.path(), "a.b", 1);
    assert_eq!(
        paths(&lines, "remove"),
        paths(&version(dir.path(), "a.b", 0), "add")
    );
    assert_eq!(paths(&lines, "add").len(), 1);
    assert!(of_kind(&lines, "metaData").is_empty() && of_kind(&lines, "protocol").is_empty());
    assert_eq!(
        of_kind(&lines, "txn"),
        [&json!({"appId": "lakectl", "version": 2})]
    );
    let versions = lake.delta_versions(&table("a.b")).unwrap();
    let versions: Vec<_> = versions
        .iter()
        .map(|v| (v.version, v.lake_version))
        .collect();
    assert_eq!(
        versions,
        [(0, 1), (1, 2)],
        "version 3 of the lake did not touch it"
    );
    let tables = lake.delta_tables().unwrap();
    let tables: Vec<_> = tables
        .iter()
        .map(|t| (t.table.as_str(), t.version, t.lake_version))
        .collect();
    assert_eq!(tables, [("a.b", 1, 2), ("a.other", 0, 3)]);
}

#[test]
fn equal_rows_columns_and_the_end_of_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    publish(&lake, "a.b", DAY, "r1", &hours(3));
    // Another definition, the same rows: the same file.
    commit(
        &lake,
        "r2",
        vec![made(&lake, "a.b", DAY, "r2", "other", &hours(3))],
        &[],
    );
    let done = lake.project_delta(None).unwrap();
    assert_eq!((done.version, done.commits), (2, 1));

    let head = lake.head().unwrap();
    let mut request = request(&head, "r3", 9, Vec::new());
    let mut wider = meta();
    wider.contract = format!("{}, more f64?", wider.contract).parse().unwrap();
    request.tables.insert(table("a.b"), wider);
    lake.commit(request).unwrap();
    commit(&lake, "r4", Vec::new(), &[("a.b", DAY)]);
    commit(
        &lake,
        "r5",
        vec![made(&lake, "a.b", NEXT, "r5", "1", &hours(2))],
        &[],
    );
    lake.project_delta(None).unwrap();
    let lines = version(dir.path(), "a.b", 1);
    assert!(
        of_kind(&lines, "metaData")[0]["schemaString"]
            .as_str()
            .unwrap()
            .contains("more")
    );
    assert!(paths(&lines, "add").is_empty() && paths(&lines, "remove").is_empty());
    let lines = version(dir.path(), "a.b", 2);
    assert_eq!(
        (paths(&lines, "remove").len(), paths(&lines, "add").len()),
        (1, 0)
    );
    let lines = version(dir.path(), "a.b", 3);
    assert_eq!(
        (
            of_kind(&lines, "metaData").len(),
            paths(&lines, "add").len()
        ),
        (1, 1)
    );
    assert_eq!(lake.delta_tables().unwrap()[0].files, 1);
}

#[test]
fn paths_are_escaped_and_constant_columns_counted() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let partition = "asset=a b#ü?&+/date=1970-01-01";
    commit(
        &lake,
        "r1",
        vec![made(&lake, "a.b", partition, "r1", "1", &hours(2))],
        &[],
    );
    lake.project_delta(None).unwrap();
    let lines = version(dir.path(), "a.b", 0);
    let path = &paths(&lines, "add")[0];
    assert!(
        path.starts_with("asset=a%20b%23%C3%BC%3F%26%2B/date=1970-01-01/"),
        "{path}"
    );
    let stats: Value =
        serde_json::from_str(of_kind(&lines, "add")[0]["stats"].as_str().unwrap()).unwrap();
    assert_eq!(stats["minValues"]["asset"], "a b#ü?&+");
    assert_eq!(
        stats["minValues"].get("date"),
        None,
        "the label of a period is not a column"
    );
}

/// A lake of three tables that lives through `steps` commits of seeded changes; `after` each one.
fn lives(root: &Path, seed: u64, steps: u64, after: impl Fn(&Lake)) -> Lake {
    let lake = lake(root);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for step in 0..steps {
        let run = format!("r{step}");
        let mut cells = BTreeMap::new();
        let mut dropped = Vec::new();
        for _ in 0..=next(3) {
            let name = ["a.b", "a.c", "z.d"][next(3) as usize];
            let day = format!("date=1970-01-{:02}", next(4) + 1);
            let known = lake
                .head()
                .unwrap()
                .cell(&table(name), &key(&day))
                .is_some();
            if known && next(4) == 0 && !cells.contains_key(&(name, day.clone())) {
                dropped.push((name, day));
            } else if !dropped.contains(&(name, day.clone())) {
                let cell = made(&lake, name, &day, &run, &run, &hours(next(5) as i64));
                cells.insert((name, day), cell);
            }
        }
        let dropped: Vec<(&str, &str)> = dropped.iter().map(|(n, d)| (*n, d.as_str())).collect();
        commit(&lake, &run, cells.into_values().collect(), &dropped);
        after(&lake);
    }
    lake
}

#[test]
fn in_pieces_or_at_once_it_is_the_same() {
    for seed in 1..=3 {
        let dirs = [0, 1, 2].map(|_| tempfile::tempdir().unwrap());
        let every = lives(dirs[0].path(), seed, 25, |lake| {
            let base = lake.head().unwrap();
            lake.project_delta(Some(base)).unwrap();
        });
        let once = lives(dirs[1].path(), seed, 25, |_| {});
        once.project_delta(None).unwrap();
        lives(dirs[2].path(), seed, 25, |lake| {
            if lake.head().unwrap().version % 7 == 3 {
                super::lake(dirs[2].path()).project_delta(None).unwrap();
            }
        })
        .project_delta(None)
        .unwrap();
        let files = projection(dirs[0].path());
        assert!(
            files
                .keys()
                .any(|name| name.ends_with(".checkpoint.parquet"))
        );
        assert_eq!(files, projection(dirs[1].path()), "seed {seed}");
        assert_eq!(files, projection(dirs[2].path()), "seed {seed}");
        let done = every.rebuild_delta(&BTreeSet::new()).unwrap();
        assert!(done.rebuilt && done.commits > 25);
        assert_eq!(files, projection(dirs[0].path()), "seed {seed}");
        let done = every.project_delta(None).unwrap();
        assert_eq!((done.commits, done.bytes), (0, 0), "nothing to do");
    }
}

/// What the log says of the table's files, by replaying it as a reader does.
fn replayed(root: &Path, name: &str, until: u64) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for number in 0..=until {
        let lines = version(root, name, number);
        for path in paths(&lines, "remove") {
            assert!(files.remove(&path), "{path} was not there");
        }
        for path in paths(&lines, "add") {
            assert!(files.insert(path), "added twice");
        }
    }
    files
}

#[test]
fn every_version_has_the_files_of_the_lake() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lives(dir.path(), 11, 40, |_| {});
    lake.project_delta(None).unwrap();
    for name in ["a.b", "a.c", "z.d"] {
        for known in lake.delta_versions(&table(name)).unwrap() {
            let snapshot = lake
                .at(known.lake_version.to_string().parse().unwrap())
                .unwrap();
            let id = table(name);
            let cells = snapshot
                .partitions(&id)
                .filter_map(|(_, c)| c.file.as_ref());
            let folder = format!("data/{}/", name.replace('.', "/"));
            let expected: BTreeSet<String> = cells
                .map(|f| f.path.strip_prefix(&folder).unwrap().to_owned())
                .collect();
            assert_eq!(
                replayed(dir.path(), name, known.version),
                expected,
                "{name} {known:?}"
            );
        }
    }
}

#[test]
fn a_checkpoint_holds_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    for n in 1..=12 {
        let day = format!("date=1970-01-{:02}", n % 5 + 1);
        publish(&lake, "a.b", &day, &format!("r{n}"), &hours(n));
    }
    let done = lake.project_delta(None).unwrap();
    assert_eq!((done.commits, done.checkpoints), (12, 1));
    let folder = dir.path().join("data/a/b/_delta_log");
    let pointer = fs::read_to_string(folder.join("_last_checkpoint")).unwrap();
    let pointer: Value = serde_json::from_str(&pointer).unwrap();
    assert_eq!(
        (&pointer["version"], &pointer["size"]),
        (&json!(9), &json!(8))
    );
    let bytes = fs::read(folder.join(format!("{:020}.checkpoint.parquet", 9))).unwrap();
    assert_eq!(pointer["sizeInBytes"], bytes.len());
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
    let mut rows = Vec::new();
    {
        let mut writer = arrow::json::LineDelimitedWriter::new(&mut rows);
        for batch in reader.build().unwrap() {
            writer.write(&batch.unwrap()).unwrap();
        }
        writer.finish().unwrap();
    }
    let rows = String::from_utf8(rows).unwrap();
    let rows: Vec<Value> = rows
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let first = version(dir.path(), "a.b", 0);
    assert_eq!(of_kind(&rows, "protocol"), of_kind(&first, "protocol"));
    assert_eq!(of_kind(&rows, "metaData"), of_kind(&first, "metaData"));
    assert_eq!(
        of_kind(&rows, "txn"),
        [&json!({"appId": "lakectl", "version": 10})]
    );
    let found: BTreeSet<String> = paths(&rows, "add").into_iter().collect();
    assert_eq!(found, replayed(dir.path(), "a.b", 9));
}

/// Writes `files` below `root` and nothing else of a projection.
fn restore(root: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for name in projection(root).into_keys() {
        fs::remove_file(root.join(name)).unwrap();
    }
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_crash_between_any_two_writes_heals() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    lives(root, 5, 20, |_| {}).project_delta(None).unwrap();
    let before = projection(root);
    let lake = lake(root);
    for n in 0..9 {
        let names = ["a.b", "a.c", "z.d"];
        let cells =
            names.map(|name| made(&lake, name, DAY, "late", &n.to_string(), &hours(20 + n)));
        commit(&lake, "late", cells.to_vec(), &[]);
    }
    lake.project_delta(None).unwrap();
    let after = projection(root);
    let changed: Vec<&String> = after
        .keys()
        .filter(|n| before.get(*n) != after.get(*n))
        .collect();
    assert!(changed.len() > 30, "{changed:?}");
    let (state, logs): (Vec<&String>, Vec<&String>) = changed
        .into_iter()
        .partition(|name| name.starts_with("_projections/"));
    assert_eq!(state.len(), 1);
    for (done, torn) in (0..=logs.len()).flat_map(|done| [(done, false), (done, true)]) {
        let mut files = before.clone();
        for name in &logs[..done] {
            files.insert((*name).clone(), after[*name].clone());
        }
        // A power loss may leave the name of a file without its bytes.
        if torn && done > 0 {
            let half = &after[logs[done - 1]];
            files.insert(logs[done - 1].clone(), half[..half.len() / 2].to_vec());
        }
        restore(root, &files);
        super::lake(root).project_delta(None).unwrap();
        assert!(
            projection(root) == after,
            "{done} files written, torn: {torn}"
        );
    }
    // The state itself: half of it, or none.
    for bytes in [Some(&after[state[0]][..40]), None] {
        let mut files = after.clone();
        files.remove(state[0]);
        files.extend(bytes.map(|bytes| (state[0].clone(), bytes.to_vec())));
        restore(root, &files);
        assert!(super::lake(root).project_delta(None).unwrap().rebuilt);
        assert!(projection(root) == after);
    }
}

#[test]
fn one_table_is_made_anew_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let lake = lives(root, 3, 30, |_| {});
    lake.project_delta(None).unwrap();
    let good = projection(root);
    let log = root.join("data/a/b/_delta_log");
    fs::write(log.join(format!("{:020}.json", 1)), "nonsense").unwrap();
    fs::remove_file(log.join(format!("{:020}.json", 2))).unwrap();
    fs::write(log.join(format!("{:020}.json", 999)), "{}").unwrap();
    let other = root.join("data/a/c/_delta_log/kept");
    fs::write(&other, "").unwrap();
    publish(&lake, "a.c", DAY, "more", &hours(23));
    let done = lake.rebuild_delta(&BTreeSet::from([table("a.b")])).unwrap();
    assert!(done.rebuilt);
    assert!(other.exists(), "other tables are left alone");
    fs::remove_file(other).unwrap();
    let now = projection(root);
    for (name, bytes) in &good {
        assert!(
            !name.starts_with("data/a/b/") || now[name] == *bytes,
            "{name}"
        );
    }
    assert_eq!(
        now.keys().filter(|n| n.starts_with("data/a/b/")).count(),
        good.keys().filter(|n| n.starts_with("data/a/b/")).count()
    );
    lake.rebuild_delta(&BTreeSet::new()).unwrap();
    assert!(
        projection(root) == now,
        "what the others have is what a rebuild gives"
    );
}

#[test]
fn another_history_is_projected_anew() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    lives(root, 8, 12, |_| {}).project_delta(None).unwrap();
    // As the advice for a damaged log says: the later versions are moved away.
    for version in 6..=12 {
        fs::remove_file(root.join(format!("_log/main/{version:020}.json"))).unwrap();
    }
    let lake = lake(root);
    for n in 0..10 {
        publish(&lake, "a.b", DAY, &format!("new{n}"), &hours(30 + n));
    }
    assert!(lake.project_delta(None).unwrap().rebuilt);
    let found = projection(root);
    restore(root, &BTreeMap::new());
    lake.project_delta(None).unwrap();
    assert!(
        projection(root) == found,
        "nothing of the former history is left"
    );
}

#[test]
fn projections_may_overlap() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    super::lake(root);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || {
                let lake = super::lake(root);
                for n in 0..8 {
                    let name = format!("t.w{writer}");
                    loop {
                        let head = lake.head().unwrap();
                        let cell = made(&lake, &name, DAY, "r", &n.to_string(), &hours(n + 1));
                        let request = request(
                            &head,
                            &format!("r{writer}-{n}"),
                            head.version as i64 + 1,
                            vec![cell],
                        );
                        if lake.commit(request).is_ok() {
                            break;
                        }
                    }
                    lake.project_delta(None).unwrap();
                    if n == writer {
                        lake.rebuild_delta(&BTreeSet::new()).unwrap();
                    }
                }
            });
        }
    });
    let lake = super::lake(root);
    lake.project_delta(None).unwrap();
    let found = projection(root);
    restore(root, &BTreeMap::new());
    lake.project_delta(None).unwrap();
    let clean = projection(root);
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&clean));
    for (name, bytes) in &clean {
        assert!(found[name] == *bytes, "{name}");
    }
}

#[test]
fn views_name_exactly_the_files_of_a_version() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let cells = vec![
        made(
            &lake,
            "a.b",
            "asset=it's [x]/date=1970-01-01",
            "r1",
            "1",
            &hours(3),
        ),
        made(&lake, "z.empty", "all", "r1", "1", &[]),
    ];
    let old = commit(&lake, "r1", cells, &[]);
    publish(
        &lake,
        "a.b",
        "asset=it's [x]/date=1970-01-01",
        "r2",
        &hours(4),
    );
    let sql = duckdb_views(&old, |file| format!("/lake/{}", file.path));
    let hash = old.cells[&table("a.b")]
        .values()
        .next()
        .unwrap()
        .file
        .as_ref()
        .unwrap()
        .hash;
    for part in [
        "CREATE OR REPLACE MACRO lake_version() AS 1;",
        "CREATE SCHEMA IF NOT EXISTS \"a\";",
        "CREATE OR REPLACE VIEW \"a\".\"b\" AS\nSELECT \"asset\", \"event_time\", ",
        "NULL::TIMESTAMPTZ AS \"event_time\", NULL::DOUBLE AS \"level\"",
        &format!(
            "    '/lake/data/a/b/asset=it''s [[]x]/date=1970-01-01/{hash}.parquet'\n  ], hive"
        ),
        "CREATE OR REPLACE VIEW \"z\".\"empty\" AS\nSELECT NULL::VARCHAR AS \"asset\"",
    ] {
        assert!(sql.contains(part), "{part}\n{sql}");
    }
    assert_eq!(sql.matches(".parquet'").count(), 1);
}

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
    head.cells.insert(table.clone(), cells.into());
    let checkpoint = checkpoint_of(&table, &meta(), &head, 0).unwrap();
    let bytes = checkpoint.parquet.len() as u64;
    assert!(bytes < files * BYTES_PER_FILE, "{bytes}");
    let each = bytes / COMMITS_MIN.max(files / FILES_PER_COMMIT);
    assert!(each < 256 * 1024, "{each} bytes a version");
}
