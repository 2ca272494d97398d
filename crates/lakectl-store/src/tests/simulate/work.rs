//! What simulated processes do to a lake, and what must be true of it afterwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lakectl_core::{Cell, Fingerprint, PartitionKey, TableId};
use object_store::memory::InMemory;

use super::disk::{Content, SimDisk};
use super::objects::FailingStore;
use super::script::Script;
use crate::object::{Door, Local, Remote, lock};
use crate::open::{Open, admit};
use crate::tests::{batch, hours, key, made, request, schema, spec, table};
use crate::{Lake, StoreError};

/// Commits of each writer; each publishes a partition of two tables.
const ROUNDS: usize = 2;

pub(super) fn root() -> PathBuf {
    PathBuf::from("/simulated/lake")
}

pub(super) fn empty_disk() -> Content {
    Content::new(Path::new("/simulated"))
}

fn lake(door: Door) -> Result<Lake, StoreError> {
    admit(&door, "demo", Open::OrCreate)?;
    Ok(Lake::behind(door, "demo"))
}

/// A process's lake on a simulated disk.
pub(super) fn on_disk(disk: &SimDisk) -> Result<Lake, StoreError> {
    lake(Door::over(Local::new(root(), disk.clone())))
}

/// A process's lake in a failing store.
pub(super) fn in_store(inner: &Arc<InMemory>, script: &Script) -> Result<Lake, StoreError> {
    let store = FailingStore {
        inner: Arc::clone(inner),
        script: script.clone(),
    };
    let remote = Remote::new(
        Arc::new(store),
        "lake",
        "s3://b/lake".to_owned(),
        Duration::ZERO,
    )?;
    lake(Door::over(remote))
}

/// The lake on a disk as it is, where nothing goes wrong.
pub(super) fn calm(content: Content) -> Result<Lake, StoreError> {
    on_disk(&SimDisk::new(content, &Script::new(0, 1, None), 0))
}

/// What processes were told to be done.
#[derive(Debug, Default)]
pub(super) struct Told {
    recorded: Vec<Fingerprint>,
    committed: Vec<(u64, Fingerprint)>,
}

/// The rows of one partition.
fn rows(writer: usize, round: usize) -> i64 {
    2 + (writer * ROUNDS + round) as i64
}

fn partition(writer: usize, round: usize) -> String {
    format!("writer={writer}/n={round}")
}

/// One process's work: what is published stays, what is recorded is taken, the rest is made.
pub(super) fn work(lake: &Lake, writer: usize, told: &Mutex<Told>) -> Result<(), StoreError> {
    for round in 0..ROUNDS {
        let (partition, run) = (partition(writer, round), format!("w{writer}-{round}"));
        let known = lake.cells()?;
        let mut cells = Vec::new();
        for name in ["a.b", "a.c"] {
            let fingerprint = Fingerprint::of(format!("{name} {partition} 1").as_bytes());
            if let Some(found) = known.get(&fingerprint) {
                cells.push(Cell::clone(found));
                continue;
            }
            let rows = batch(&hours(rows(writer, round)));
            let (table, partition) = (table(name), key(&partition));
            let written = lake.write_rows(&table, &partition, &[rows], &schema(), &spec(false))?;
            let task = lakectl_core::TaskKey { table, partition };
            cells.push(written.into_cell(task, fingerprint, Default::default(), &run, 0.5));
        }
        lake.record(&run, &cells)?;
        let fingerprints = cells.iter().map(|cell| cell.fingerprint);
        lock(told).recorded.extend(fingerprints);
        let head = lake.head()?;
        let hour = head.version as i64 + 1;
        let snapshot = lake.commit(request(&head, &run, hour, cells))?;
        if let Some(id) = snapshot.id {
            lock(told).committed.push((snapshot.version, id));
        }
    }
    Ok(())
}

/// Every published partition with the digest of its rows.
type Published = BTreeMap<(TableId, PartitionKey), Fingerprint>;

fn published(lake: &Lake) -> Result<Published, StoreError> {
    let head = lake.head()?;
    let cells = head.cells.values().flat_map(|cells| cells.values());
    Ok(cells
        .map(|cell| ((cell.table.clone(), cell.partition.clone()), cell.rows_hash))
        .collect())
}

/// What undisturbed writers publish.
pub(super) fn expected(writers: usize) -> Published {
    let lake = calm(empty_disk()).unwrap();
    for writer in 0..writers {
        work(&lake, writer, &Mutex::default()).unwrap();
    }
    published(&lake).unwrap()
}

/// Reads all that a reader can reach: every version of the log, every cell, every row.
pub(super) fn read_all(lake: &Lake) -> Result<u64, StoreError> {
    lake.cells()?;
    let log = lake.log()?;
    let head = lake.head()?;
    assert!(
        head.version >= log.len() as u64,
        "a version was lost while it was read"
    );
    let mut rows = 0;
    for cell in head.cells.values().flat_map(|cells| cells.values()) {
        let read = lake.read(cell, None)?;
        let found: usize = read.iter().map(arrow::array::RecordBatch::num_rows).sum();
        assert_eq!(found as u64, cell.rows);
        rows += cell.rows;
    }
    Ok(rows)
}

/// Holds a lake, found after everything went wrong, against what was told; then finishes the work and holds the result
/// against that of undisturbed writers.
pub(super) fn check(
    lake: &Lake,
    told: &Told,
    expected: &Published,
    writers: usize,
) -> Result<(), StoreError> {
    read_all(lake)?;
    let log = lake.log()?;
    for (version, id) in &told.committed {
        let kept = log
            .iter()
            .any(|info| (info.version, info.id) == (*version, *id));
        assert!(
            kept,
            "version {version} was told to be published and is lost"
        );
    }
    let cells = lake.cells()?;
    for fingerprint in &told.recorded {
        let cell = cells.get(fingerprint).expect("it was told to be recorded");
        lake.read(cell, None)?;
    }
    for (at, digest) in published(lake)? {
        assert_eq!(expected.get(&at), Some(&digest), "{at:?} holds other rows");
    }
    for writer in 0..writers {
        work(lake, writer, &Mutex::default())?;
    }
    assert_eq!(published(lake)?, *expected);
    read_all(lake)?;
    let versions: Vec<u64> = lake.log()?.iter().map(|info| info.version).collect();
    assert_eq!(versions, (1..=versions.len() as u64).collect::<Vec<_>>());
    Ok(())
}

/// One more partition, the same for everybody and with everybody's own rows.
pub(super) fn quarrel(lake: &Lake, writer: usize) -> Result<(), StoreError> {
    let base = crate::Snapshot::empty();
    let run = format!("q{writer}");
    let cell = made(lake, "a.d", "all", &run, &run, &hours(writer as i64 + 1));
    lake.record(&run, std::slice::from_ref(&cell))?;
    lake.commit(request(&base, &run, 1, vec![cell])).map(|_| ())
}
