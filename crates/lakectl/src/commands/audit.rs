//! `lakectl audit lookahead`: prove that no row depends on what became known after it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::Result;
use lakectl_core::UtcTime;
use lakectl_pipeline::Failure;
use lakectl_pipeline::audit::{AuditEvent, AuditOptions, AuditReport, Leak, TableFindings};
use lakectl_pipeline::engine::Cancel;
use serde::Serialize;

use super::Done;
use super::run::stop_on_signal;
use super::summary::schema_of;
use crate::args::LookaheadArgs;
use crate::context::{Context, now, runtime};
use crate::layout::{table, width, wrap};
use crate::progress::Progress;
use crate::render;

/// Schemas with a table for each dataset.
const DATASET_SCHEMAS: [&str; 2] = ["norm", "quarantine"];
/// Leaks listed in the text form.
const LEAKS_SHOWN: usize = 20;
/// Failures listed in the text form.
const FAILURES_SHOWN: usize = 5;

#[derive(Serialize)]
struct ReportJson {
    lake: String,
    version: u64,
    instants: Vec<String>,
    clean: bool,
    interrupted: bool,
    tables: Vec<TableJson>,
    leaks: Vec<LeakJson>,
    failures: Vec<Failure>,
}

#[derive(Serialize)]
struct TableJson {
    table: String,
    rows: u64,
    partitions: usize,
    start_rows: u64,
    exempt: Option<String>,
    fixed_start: Option<String>,
}

#[derive(Serialize)]
struct LeakJson {
    claim: &'static str,
    at: String,
    table: String,
    column: Option<String>,
    key: String,
    known_at: Option<String>,
    before: Option<String>,
    after: Option<String>,
    rows: u64,
}

pub(crate) fn lookahead(context: &Context, args: &LookaheadArgs) -> Result<Done> {
    let lake = context.lake()?;
    let quiet = context.global.quiet;
    let progress = Arc::new(Progress::new(quiet, context.global.verbose > 0));
    let steps = Steps::new(Arc::clone(&progress));
    let cancel = Cancel::default();
    let options = AuditOptions {
        select: args.select.clone(),
        at: args.at.clone(),
        samples: args.samples,
        seed: args.seed,
        fresh: args.fresh,
        now: now(),
        jobs: context.jobs(args.jobs),
        scratch: args.scratch.as_ref().map(PathBuf::from),
        events: &|event| steps.event(&event),
        cancel: cancel.clone(),
    };
    let report = runtime()?.block_on(async {
        let stop = tokio::spawn(stop_on_signal(cancel, Arc::clone(&progress)));
        let result = context.bench.audit_lookahead(&lake, options).await;
        stop.abort();
        result
    });
    progress.finish();
    let report = report?;
    if context.json() {
        render::json(&json(lake.root().display().to_string(), &report));
    } else {
        render::out(&text(&report, context.global.verbose > 0));
    }
    Ok(match () {
        () if report.interrupted => Done::Interrupted,
        () if report.is_clean() => Done::Well,
        () => Done::WithFailures,
    })
}

/// Tells the steps of an audit with the time left, and the tasks of each step as a run's are told.
struct Steps {
    progress: Arc<Progress>,
    /// When the first instant began; the step before it is unlike the others.
    began: Mutex<Option<Instant>>,
}

impl Steps {
    fn new(progress: Arc<Progress>) -> Self {
        Self {
            progress,
            began: Mutex::new(None),
        }
    }

    fn event(&self, event: &AuditEvent) {
        match event {
            AuditEvent::Task(event) => self.progress.event(event),
            AuditEvent::Step { step, steps, at } => {
                self.progress.restart();
                self.progress.say(&self.line(*step, *steps, *at));
            }
        }
    }

    fn line(&self, step: usize, steps: Option<usize>, at: Option<UtcTime>) -> String {
        let (Some(steps), Some(at)) = (steps, at) else {
            return "computing what the lake lacks".to_owned();
        };
        let Ok(mut began) = self.began.lock() else {
            return String::new();
        };
        let done = step.saturating_sub(1);
        let elapsed = began.get_or_insert_with(Instant::now).elapsed();
        let left = match done {
            0 => String::new(),
            _ => {
                let each = elapsed.as_secs_f64() / done as f64;
                format!(", about {:.0} s left", each * (steps - step) as f64)
            }
        };
        format!("instant {step} of {}: {at}{left}", steps - 1)
    }
}

fn json(lake: String, report: &AuditReport) -> ReportJson {
    let table = |t: &TableFindings| TableJson {
        table: t.table.to_string(),
        rows: t.rows,
        partitions: t.partitions,
        start_rows: t.start_rows,
        exempt: t.exempt.clone(),
        fixed_start: t.fixed_start.clone(),
    };
    let leak = |leak: &Leak| LeakJson {
        claim: leak.claim.word(),
        at: leak.at.to_string(),
        table: leak.table.to_string(),
        column: leak.column.clone(),
        key: leak.key.clone(),
        known_at: leak.known_at.map(|time| time.to_string()),
        before: leak.before.clone(),
        after: leak.after.clone(),
        rows: leak.rows,
    };
    ReportJson {
        lake,
        version: report.version,
        instants: report.instants.iter().map(ToString::to_string).collect(),
        clean: report.is_clean(),
        interrupted: report.interrupted,
        tables: report.tables.iter().map(table).collect(),
        leaks: report.leaks.iter().map(leak).collect(),
        failures: report.failures.clone(),
    }
}

fn text(report: &AuditReport, every_dataset: bool) -> String {
    let instants: Vec<String> = report.instants.iter().map(ToString::to_string).collect();
    let head = format!(
        "{}  version {}, cut at {}",
        render::heading("look-ahead audit"),
        report.version,
        instants.join(", ")
    );
    let mut parts = vec![wrap(&head, width(), "  "), tables(report, every_dataset)];
    parts.extend(exempt(report));
    parts.extend(leaks(report));
    parts.extend(failed(report));
    parts.push(verdict(report));
    parts.join("\n\n")
}

/// One line a table; normalised tables and their rejects in one line each schema.
fn tables(report: &AuditReport, every_dataset: bool) -> String {
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut sums: BTreeMap<&str, (usize, u64, usize)> = BTreeMap::new();
    for found in report.tables.iter().filter(|t| t.exempt.is_none()) {
        let schema = schema_of(found.table.as_str());
        if DATASET_SCHEMAS.contains(&schema) && !every_dataset {
            let sum = sums.entry(schema).or_default();
            *sum = (sum.0 + 1, sum.1 + found.rows, sum.2 + found.partitions);
            continue;
        }
        let starts = match (&found.fixed_start, found.start_rows) {
            (Some(why), _) => why.clone(),
            (None, rows) => render::count(rows),
        };
        lines.push(vec![
            found.table.to_string(),
            render::count(found.rows),
            render::count(found.partitions as u64),
            starts,
        ]);
    }
    let summed = sums
        .into_iter()
        .map(|(schema, (tables, rows, partitions))| {
            vec![
                format!("{schema}.* ({tables} datasets)"),
                render::count(rows),
                render::count(partitions as u64),
                "its partitions are those of documents".to_owned(),
            ]
        });
    let rows = summed.chain(lines).collect();
    let headers = [
        "table",
        "rows compared",
        "partitions computed",
        "rows from a later start",
    ];
    table(&headers, &[1, 2], rows)
}

fn exempt(report: &AuditReport) -> Option<String> {
    let rows: Vec<Vec<String>> = report
        .tables
        .iter()
        .filter_map(|t| Some(vec![t.table.to_string(), t.exempt.clone()?]))
        .collect();
    (!rows.is_empty()).then(|| {
        format!(
            "{}\n{}",
            render::heading("not audited, as declared"),
            table(&["table", "why"], &[], rows)
        )
    })
}

fn leaks(report: &AuditReport) -> Option<String> {
    if report.leaks.is_empty() {
        return None;
    }
    let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "no row".to_owned());
    let mut lines = vec![format!(
        "{}  causes before consequences",
        render::heading("leaks")
    )];
    for leak in report.leaks.iter().take(LEAKS_SHOWN) {
        let column = leak.column.as_deref().unwrap_or("(the row itself)");
        let known = leak.known_at.map(|time| format!(", known {time}"));
        lines.push(format!(
            " {}.{column}: {} rows change without {}\n   first row  {}{}\n   with it    {}\n   without    {}\n   cut at     {}",
            leak.table,
            render::count(leak.rows),
            leak.claim.left_out(),
            leak.key,
            known.unwrap_or_default(),
            said(&leak.before),
            said(&leak.after),
            leak.at
        ));
    }
    if report.leaks.len() > LEAKS_SHOWN {
        lines.push(format!(
            " and {} more; `--format json` lists all",
            report.leaks.len() - LEAKS_SHOWN
        ));
    }
    Some(lines.join("\n"))
}

fn failed(report: &AuditReport) -> Option<String> {
    let mut lines: Vec<String> = Vec::new();
    for failure in report.failures.iter().take(FAILURES_SHOWN) {
        lines.push(format!("failed: {}: {}", failure.task, failure.message));
        lines.extend(failure.hint.iter().map(|hint| format!("  hint: {hint}")));
    }
    if report.failures.len() > FAILURES_SHOWN {
        lines.push(format!(
            "and {} more",
            report.failures.len() - FAILURES_SHOWN
        ));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn verdict(report: &AuditReport) -> String {
    let rows: u64 = report.tables.iter().map(|t| t.rows + t.start_rows).sum();
    let compared = format!("{} rows compared bit for bit", render::count(rows));
    match (report.leaks.len(), report.failures.len()) {
        (0, 0) if report.interrupted => format!("stopped; {compared}, none differs so far"),
        (0, 0) => format!("{compared}: no row depends on what it could not know"),
        (0, failures) => {
            format!("{compared}, none differs; {failures} tasks could not be computed")
        }
        (1, _) => format!("{compared}: one column leaks"),
        (leaks, _) => format!("{compared}: {leaks} columns leak"),
    }
}
