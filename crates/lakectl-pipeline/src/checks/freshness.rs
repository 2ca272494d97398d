//! How old the newest row of a table is: the one question whose answer changes while nothing else does.

use std::collections::BTreeMap;

use lakectl_core::{CheckRecord, CheckResult, MICROS_PER_DAY, PartitionKey, UtcTime};
use lakectl_dag::{CheckRule, StageDecl};
use lakectl_store::Snapshot;

use crate::{Assembly, PipelineError};

const MICROS_PER_HOUR: i64 = MICROS_PER_DAY / 24;

/// Evaluates the freshness checks of a version, one result for each combination of partition keys (each asset).
///
/// `now` is the time that tables are held against: a calendar that ends in the past has no newer rows to give.
///
/// # Errors
/// [`PipelineError::Core`] for a partition that is none.
pub(crate) fn freshness(
    assembly: &Assembly,
    snapshot: &Snapshot,
    now: UtcTime,
    run: &str,
) -> Result<Vec<CheckRecord>, PipelineError> {
    let mut records = Vec::new();
    for stage in assembly.pipeline.stages() {
        for check in &stage.checks {
            let CheckRule::Freshness { hours } = check.rule else {
                continue;
            };
            for (partition, newest) in newest(stage, snapshot)? {
                let cell = snapshot.cell(&stage.table, &newest.1);
                let Some(cell) = cell else { continue };
                let age = now.micros() - newest.0.micros();
                let result = match age <= hours * MICROS_PER_HOUR {
                    true => CheckResult::PASSED,
                    false => CheckResult::failed(1, old(newest.0, now, age, hours)),
                };
                records.push(CheckRecord {
                    key: None,
                    table: stage.table.clone(),
                    partition,
                    check: check.name.clone(),
                    digest: check.digest,
                    severity: check.severity,
                    result,
                    rows_hash: cell.rows_hash,
                    time: now,
                    run: run.to_owned(),
                });
            }
        }
    }
    Ok(records)
}

fn old(newest: UtcTime, now: UtcTime, age: i64, hours: i64) -> String {
    let (unit, word, most) = match hours % 24 {
        0 => (MICROS_PER_DAY, "days", hours / 24),
        _ => (MICROS_PER_HOUR, "hours", hours),
    };
    let age = age as f64 / unit as f64;
    format!("the newest row is of {newest}, {age:.1} {word} before {now}; expected within {most}")
}

/// By partition keys without the period: the newest time of a row, and the partition that has it.
type Newest = BTreeMap<PartitionKey, (UtcTime, PartitionKey)>;

fn newest(stage: &StageDecl, snapshot: &Snapshot) -> Result<Newest, PipelineError> {
    let mut newest: Newest = BTreeMap::new();
    for (key, cell) in snapshot.partitions(&stage.table) {
        let Some((_, last)) = cell.times else {
            continue;
        };
        let pairs = key
            .pairs()
            .iter()
            .filter(|(column, _)| stage.keys.contains(column));
        let group = PartitionKey::new(pairs.cloned())?;
        match newest.get(&group) {
            Some((known, _)) if *known >= last => {}
            _ => {
                newest.insert(group, (last, key.clone()));
            }
        }
    }
    Ok(newest)
}
