//! Checks of tables: what their declarations need, and what they find.

mod bind;
mod evaluate;
mod freshness;
mod standing;

use std::collections::{BTreeMap, BTreeSet};

use lakectl_core::{CheckRecord, PartitionKey, Severity, TableId, UtcTime};
use lakectl_dag::CheckReport;
use lakectl_sql::Query;
use serde::Serialize;

pub(crate) use bind::{read, verify};
pub(crate) use evaluate::{Subject, evaluate};
pub(crate) use freshness::freshness;

/// The queries of checks, by table and check.
#[derive(Debug, Default)]
pub(crate) struct CheckQueries {
    pub(crate) queries: BTreeMap<(TableId, String), Query>,
    /// Parameters that they use.
    pub(crate) params: BTreeSet<String>,
}

/// A check that rows failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckFailure {
    /// The table.
    pub table: String,
    /// The partition.
    pub partition: String,
    /// The check.
    pub check: String,
    /// `warn` or `block`.
    pub severity: Severity,
    /// Rows that are not as declared; for a number of rows, by how many it is off.
    pub offending: u64,
    /// One of them.
    pub example: Option<String>,
    /// Whether an override accepts it.
    pub accepted: bool,
    /// Whether the rows are held back on its account; otherwise they are published.
    pub held: bool,
}

impl CheckFailure {
    /// Tells whether somebody has to do something about it.
    pub fn counts(&self) -> bool {
        self.severity == Severity::Block && !self.accepted
    }

    fn of_record(record: &CheckRecord) -> Self {
        Self {
            table: record.table.to_string(),
            partition: record.partition.to_string(),
            check: record.check.clone(),
            severity: record.severity,
            offending: record.result.offending,
            example: record.result.example.clone(),
            accepted: false,
            held: false,
        }
    }
}

/// Lists the failures among reports, and those that depend on the clock.
pub fn failures(reports: &[CheckReport], by_clock: &[CheckRecord]) -> Vec<CheckFailure> {
    let failed = reports.iter().filter(|report| !report.result.passed);
    let failed = failed.map(|report| CheckFailure {
        table: report.task.table.to_string(),
        partition: report.task.partition.to_string(),
        check: report.check.clone(),
        severity: report.severity,
        offending: report.result.offending,
        example: report.result.example.clone(),
        accepted: report.accepted,
        held: report.held,
    });
    let late = by_clock.iter().filter(|record| !record.result.passed);
    failed.chain(late.map(CheckFailure::of_record)).collect()
}

/// Makes records of the results that are new.
pub(crate) fn records(reports: &[CheckReport], time: UtcTime, run: &str) -> Vec<CheckRecord> {
    let new = reports.iter().filter(|report| report.new);
    new.map(|report| CheckRecord {
        key: Some(report.key),
        table: report.task.table.clone(),
        partition: report.task.partition.clone(),
        check: report.check.clone(),
        digest: report.digest,
        severity: report.severity,
        result: report.result.clone(),
        rows_hash: report.rows_hash,
        time,
        run: run.to_owned(),
    })
    .collect()
}

/// Names what is checked, for messages.
fn place(table: &TableId, partition: &PartitionKey, check: &str) -> String {
    format!("{table} {partition}, check `{check}`")
}
