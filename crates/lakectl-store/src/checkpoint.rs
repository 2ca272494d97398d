//! Checkpoints: the whole of one version in few files, so that opening a lake does not replay its log.
//!
//! A checkpoint names the chunks that hold the cells of each table. It is written after the commit that it follows, by
//! whoever made that commit, and says nothing that the log does not say: it may be removed at any time. One that is damaged
//! is an error all the same, because a lake that silently went another way would hide a failing disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use lakectl_core::{Cell, Fingerprint, PartitionKey, TableId, UtcTime};
use serde::{Deserialize, Serialize};

use crate::chunk::{self, ChunkRef, Chunks};
use crate::log::{Log, versions};
use crate::object::{Door, Entry, FORMAT, seal};
use crate::{Snapshot, StoreError, TableMeta};

/// Commits that are replayed at most, so that a commit writes little and opening reads little.
pub(crate) const EVERY: u64 = 16;
/// Partitions whose replaying takes about as long as reading the rest of a checkpoint.
pub(crate) const MANY: usize = 4096;
const REPAIR: &str = "move the newest file of the folder `checkpoints` beside the log away: the lake is then opened from an older one or from its log, and a later commit writes a new one";

/// The whole of one version, by reference.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    format: u64,
    branch: String,
    pub(crate) version: u64,
    /// The digest of the commit that it follows.
    pub(crate) id: Fingerprint,
    time: UtcTime,
    tables: BTreeMap<TableId, TableMeta>,
    pub(crate) chunks: Chunks,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    records: BTreeMap<String, serde_json::Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    condemned: BTreeMap<String, u64>,
}

/// Partitions that changed since a checkpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changed(BTreeMap<TableId, BTreeSet<PartitionKey>>);

impl Changed {
    pub(crate) fn note(&mut self, table: &TableId, partition: &PartitionKey) {
        if let Some(partitions) = self.0.get_mut(table) {
            partitions.insert(partition.clone());
            return;
        }
        self.0
            .insert(table.clone(), BTreeSet::from([partition.clone()]));
    }
}

fn folder(log: Log<'_>) -> String {
    format!("{}/checkpoints", log.folder())
}

fn path_of(log: Log<'_>, version: u64) -> String {
    format!("{}/{version:020}.json", folder(log))
}

/// Returns the newest checkpoint of a version not after `version`, with its snapshot.
pub(crate) fn newest(
    log: Log<'_>,
    version: u64,
) -> Result<Option<(Checkpoint, Snapshot)>, StoreError> {
    let there = versions(log.door.list(&folder(log), Entry::File)?);
    match there.into_iter().rfind(|there| *there <= version) {
        Some(version) => read(log, version),
        None => Ok(None),
    }
}

/// The path of a checkpoint, with the chunks that it names or what is wrong with it.
pub(crate) type Checked = (String, Result<Chunks, StoreError>);

/// Reads every checkpoint of a log, and returns the chunks that each names, by its path, or what is wrong with it. What is
/// wrong with its chunks, or with the log, is no fault of a checkpoint.
pub(crate) fn check_all(log: Log<'_>) -> Result<Vec<Checked>, StoreError> {
    let there = versions(log.door.list(&folder(log), Entry::File)?);
    let checked = there.into_iter().map(|version| {
        let read = || -> Result<Chunks, StoreError> {
            let Some(checkpoint) = read_own(log, version)? else {
                return Ok(Chunks::new());
            };
            if let Ok((_, id)) = log.read(version) {
                checkpoint.check_id(log, id)?;
            }
            Ok(checkpoint.chunks)
        };
        (path_of(log, version), read())
    });
    Ok(checked.collect())
}

/// Returns the newest version that there is a checkpoint of.
pub(crate) fn last(log: Log<'_>) -> Result<Option<u64>, StoreError> {
    Ok(versions(log.door.list(&folder(log), Entry::File)?).pop())
}

/// Tells whether there is a checkpoint of this version or a later one.
pub(crate) fn covers(log: Log<'_>, version: u64) -> Result<bool, StoreError> {
    Ok(last(log)?.is_some_and(|last| last >= version))
}

impl Checkpoint {
    /// Makes sure that it follows the commit of this digest: a log that was cut back and went on has other commits under
    /// the same numbers.
    fn check_id(&self, log: Log<'_>, id: Fingerprint) -> Result<(), StoreError> {
        match self.id == id {
            true => Ok(()),
            false => Err(misnamed(log, self.version)),
        }
    }
}

fn misnamed(log: Log<'_>, version: u64) -> StoreError {
    StoreError::Damaged {
        path: log.door.full(&path_of(log, version)),
        problem: "it does not belong to the version of the log that its name says".to_owned(),
        repair: REPAIR,
    }
}

/// Reads a checkpoint without what it names; `None` if it is gone since it was listed: then the log serves.
fn read_own(log: Log<'_>, version: u64) -> Result<Option<Checkpoint>, StoreError> {
    let path = path_of(log, version);
    let Some((checkpoint, _)) = log.door.get_sealed::<Checkpoint>(&path, REPAIR)? else {
        return Ok(None);
    };
    match checkpoint.version == version && checkpoint.branch == log.branch {
        true => Ok(Some(checkpoint)),
        false => Err(misnamed(log, version)),
    }
}

fn read(log: Log<'_>, version: u64) -> Result<Option<(Checkpoint, Snapshot)>, StoreError> {
    let Some(checkpoint) = read_own(log, version)? else {
        return Ok(None);
    };
    let (_, id) = log.read(version)?;
    checkpoint.check_id(log, id)?;
    let mut snapshot = Snapshot {
        version,
        time: checkpoint.time,
        id: Some(checkpoint.id),
        tables: checkpoint.tables.clone(),
        records: checkpoint.records.clone(),
        condemned: Arc::new(checkpoint.condemned.clone()),
        ..Snapshot::empty()
    };
    snapshot.fill(chunk::read(log.door, &checkpoint.chunks, REPAIR)?);
    Ok(Some((checkpoint, snapshot)))
}

/// Writes the checkpoint of `head`. What did not change since `earlier` is named again and not written.
pub(crate) fn write(
    log: Log<'_>,
    head: &Snapshot,
    earlier: Option<&Checkpoint>,
    changed: &Changed,
) -> Result<Option<Checkpoint>, StoreError> {
    let Some(id) = head.id else {
        return Ok(None);
    };
    let mut chunks = Chunks::new();
    for (table, cells) in &head.cells {
        let old = earlier.and_then(|earlier| earlier.chunks.get(table));
        let new = match (old, changed.0.get(table)) {
            (Some(old), None) => old.clone(),
            (Some(old), Some(changed)) => rewrite(log.door, cells, old, changed)?,
            (None, _) => chunk::write(log.door, cells.values().map(|cell| &**cell))?,
        };
        chunks.insert(table.clone(), new);
    }
    let checkpoint = Checkpoint {
        format: FORMAT,
        branch: log.branch.to_owned(),
        version: head.version,
        id,
        time: head.time,
        tables: head.tables.clone(),
        chunks,
        records: head.records.clone(),
        condemned: BTreeMap::clone(&head.condemned),
    };
    let path = path_of(log, head.version);
    let (bytes, _) = seal(&checkpoint).map_err(|e| StoreError::Damaged {
        path: log.door.full(&path),
        problem: format!("it cannot be written as JSON: {e}"),
        repair: REPAIR,
    })?;
    // Another writer's checkpoint of this version says the same.
    log.door.put_new(&path, &bytes)?;
    Ok(Some(checkpoint))
}

/// Writes the chunks of a table again in which a partition changed.
fn rewrite(
    door: &Door,
    cells: &BTreeMap<PartitionKey, std::sync::Arc<Cell>>,
    old: &[ChunkRef],
    changed: &BTreeSet<PartitionKey>,
) -> Result<Vec<ChunkRef>, StoreError> {
    // Partitions before the first chunk belong to it.
    let chunk_of = |key: &PartitionKey| old.partition_point(|c| c.first <= *key).saturating_sub(1);
    let dirty: BTreeSet<usize> = changed.iter().map(chunk_of).collect();
    let mut chunks = Vec::with_capacity(old.len());
    for (place, chunk) in old.iter().enumerate() {
        if !dirty.contains(&place) {
            chunks.push(chunk.clone());
            continue;
        }
        let from = match place {
            0 => Bound::Unbounded,
            _ => Bound::Included(&chunk.first),
        };
        let until = old.get(place + 1).map(|next| &next.first);
        let until = until.map_or(Bound::Unbounded, Bound::Excluded);
        let range = cells.range::<PartitionKey, _>((from, until));
        chunks.extend(chunk::write(door, range.map(|(_, cell)| &**cell))?);
    }
    Ok(chunks)
}
