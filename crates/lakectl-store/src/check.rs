//! The record of every check ever evaluated, one segment file a run: no check looks at the same rows twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use lakectl_core::{
    CheckRecord, CheckResult, Fingerprint, PartitionKey, Severity, TableId, UtcTime,
};
use serde::{Deserialize, Serialize};

use crate::cell::check_run;
use crate::object::{Door, Entry, FORMAT, Put, seal, unseal};
use crate::{StoreError, workers};

const FOLDER: &str = "_checks";
const REPAIR: &str =
    "move the file away: nothing published depends on it, and its checks are evaluated again";

#[derive(Serialize, Deserialize)]
struct Segment {
    format: u64,
    run: String,
    groups: Vec<Group>,
}

/// What one check of a table found: a run may ask it of a hundred thousand partitions, so that only what differs is repeated.
#[derive(Serialize, Deserialize)]
struct Group {
    table: TableId,
    check: String,
    digest: Fingerprint,
    severity: Severity,
    time: UtcTime,
    found: Vec<Found>,
}

/// Partition, digest of its rows, key, and what was wrong; nothing if it passed.
type Found = (
    PartitionKey,
    Fingerprint,
    Option<Fingerprint>,
    Option<CheckResult>,
);

fn pack(checks: &[CheckRecord]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for check in checks {
        let found = (
            check.partition.clone(),
            check.rows_hash,
            check.key,
            (!check.result.passed).then(|| check.result.clone()),
        );
        let same = |group: &&mut Group| {
            (
                &group.table,
                &group.check,
                group.digest,
                group.severity,
                group.time,
            ) == (
                &check.table,
                &check.check,
                check.digest,
                check.severity,
                check.time,
            )
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.found.push(found),
            None => groups.push(Group {
                table: check.table.clone(),
                check: check.check.clone(),
                digest: check.digest,
                severity: check.severity,
                time: check.time,
                found: vec![found],
            }),
        }
    }
    groups
}

fn unpack(run: &str, group: Group, mut each: impl FnMut(CheckRecord)) {
    for (partition, rows_hash, key, failed) in group.found {
        each(CheckRecord {
            key,
            table: group.table.clone(),
            partition,
            check: group.check.clone(),
            digest: group.digest,
            severity: group.severity,
            result: failed.unwrap_or(CheckResult::PASSED),
            rows_hash,
            time: group.time,
            run: run.to_owned(),
        });
    }
}

/// Every recorded check, in the order of the runs' names.
#[derive(Clone, Debug, Default)]
pub struct CheckIndex {
    records: Vec<Arc<CheckRecord>>,
    by_key: BTreeMap<Fingerprint, Arc<CheckRecord>>,
}

impl CheckIndex {
    /// Returns the record with this key: the digest of the check and of all rows that it read.
    pub fn get(&self, key: &Fingerprint) -> Option<&Arc<CheckRecord>> {
        self.by_key.get(key)
    }

    /// Returns all records, oldest run first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<CheckRecord>> {
        self.records.iter()
    }

    fn insert(&mut self, record: CheckRecord) {
        let record = Arc::new(record);
        if let Some(key) = record.key {
            self.by_key.insert(key, Arc::clone(&record));
        }
        self.records.push(record);
    }
}

/// Writes one segment under the first free number of the run, durably.
pub(crate) fn record(door: &Door, run: &str, checks: &[CheckRecord]) -> Result<(), StoreError> {
    check_run(run)?;
    let Some(first) = checks.first() else {
        return Ok(());
    };
    let segment = Segment {
        format: FORMAT,
        run: run.to_owned(),
        groups: pack(checks),
    };
    let (bytes, _) =
        seal(&segment).map_err(|e| crate::parquet::rows_error("record", &first.table, e))?;
    let folder = format!("{FOLDER}/{run}");
    let mut number = door.list(&folder, Entry::File)?.len();
    while door.put_new(&format!("{folder}/{number:06}.json"), &bytes)? == Put::Existed {
        number += 1;
    }
    Ok(())
}

/// Reads all segments, runs in the order of their names.
pub(crate) fn read_all(door: &Door) -> Result<CheckIndex, StoreError> {
    let mut index = CheckIndex::default();
    for run in door.list(FOLDER, Entry::Folder)? {
        let folder = format!("{FOLDER}/{run}");
        for name in door.list(&folder, Entry::File)? {
            let Some(segment) = read(door, &format!("{folder}/{name}"))? else {
                continue;
            };
            for group in segment.groups {
                unpack(&segment.run, group, |check| index.insert(check));
            }
        }
    }
    Ok(index)
}

/// Reads a segment; `None` if it is gone since it was listed.
fn read(door: &Door, path: &str) -> Result<Option<Segment>, StoreError> {
    let bytes = door.get(path)?;
    let segment = bytes.map(|bytes| unseal::<Segment>(&door.full(path), &bytes, REPAIR));
    Ok(segment.transpose()?.map(|(segment, _)| segment))
}

/// Reads every segment, and returns their paths with what is wrong with those that cannot be read.
pub(crate) fn check_all(door: &Door) -> Result<Vec<(String, Option<StoreError>)>, StoreError> {
    let segments = door.list_all(FOLDER)?;
    Ok(workers::map(&segments, |file| {
        (file.path.clone(), read(door, &file.path).err())
    }))
}
