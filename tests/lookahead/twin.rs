//! A lake, and what can be computed of it from less.

use std::time::Instant;

use lakectl_core::UtcTime;
use lakectl_pipeline::Selected;
use lakectl_pipeline::audit::{AuditReport, TableFindings};
use lakectl_tests::Bench;

/// What an audit computes again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Start {
    /// Everything.
    Fresh,
    /// What the cut reaches.
    Cut,
}

/// Reads a time.
pub(crate) fn at(text: &str) -> UtcTime {
    text.parse().unwrap()
}

/// Runs a goal, or everything, and insists that no task failed.
pub(crate) fn run(bench: &Bench, goal: Option<&str>) {
    let clock = Instant::now();
    let selected = Selected {
        until: goal.map(str::to_owned),
        ..Selected::default()
    };
    let (summary, report) = bench.run(&selected).unwrap();
    assert!(summary.failures.is_empty(), "{:?}", summary.failures);
    let (ran, total) = (report.executed().len(), summary.tasks.total);
    eprintln!(
        "{ran} of {total} tasks in {:.1} s",
        clock.elapsed().as_secs_f64()
    );
}

/// Audits a goal, or everything, at one instant.
pub(crate) fn audit(bench: &Bench, goal: Option<&str>, at: UtcTime, start: Start) -> AuditReport {
    let clock = Instant::now();
    let report = bench.audit(goal, &[at], start == Start::Fresh).unwrap();
    assert_eq!(report.failures, [], "at {at}");
    let sum = |count: fn(&TableFindings) -> u64| report.tables.iter().map(count).sum::<u64>();
    eprintln!(
        "known by {at}: {} rows, {} from a later start, {} partitions computed, {:.1} s",
        sum(|table| table.rows),
        sum(|table| table.start_rows),
        sum(|table| table.partitions as u64),
        clock.elapsed().as_secs_f64()
    );
    report
}

/// Insists that nothing leaks at any of the instants, and returns what was compared last.
pub(crate) fn assert_tight(
    bench: &Bench,
    goal: Option<&str>,
    instants: &[(UtcTime, Start)],
) -> AuditReport {
    let mut last = None;
    let mut leaking = Vec::new();
    for (at, start) in instants {
        let report = audit(bench, goal, *at, *start);
        leaking.extend(report.leaks.iter().map(|leak| format!("at {at}: {leak}")));
        last = Some(report);
    }
    assert!(
        leaking.is_empty(),
        "{} leaks\n{}",
        leaking.len(),
        leaking.join("\n")
    );
    last.unwrap()
}

/// The audited tables of which nothing was compared; a quarantine may well be empty.
pub(crate) fn unseen(report: &AuditReport) -> Vec<String> {
    let audited = report.tables.iter().filter(|table| table.exempt.is_none());
    let unseen = audited.filter(|table| table.rows == 0 && table.table.schema() != "quarantine");
    unseen.map(|table| table.table.to_string()).collect()
}
