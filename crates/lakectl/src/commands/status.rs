//! `lakectl status`: freshness, what is stale or held, what is in quarantine.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use lakectl_core::{DayRange, UtcTime};
use lakectl_pipeline::engine::{OpenCheck, Plan};
use lakectl_pipeline::lake::{DiskUse, Lake};
use lakectl_pipeline::{CheckFailure, OpenFailure, PipelineError, Quarantine, Selected, Sources};
use serde::Serialize;

use super::summary::{self, DATASET_SCHEMAS, schema_of};
use super::tally::{self, Counts};
use super::{Done, checks};
use crate::context::{Context, now};
use crate::layout::{self, table};
use crate::render;

#[derive(Serialize)]
struct TableLine {
    table: String,
    partitions: usize,
    rows: u64,
    newest: Option<String>,
    stale: usize,
}

/// The column of bytes, and the least width of a line that has room for it.
const DISK: usize = 3;
const DISK_WIDTH: usize = 100;

#[derive(Serialize)]
struct StatusJson {
    profile: String,
    lake: String,
    version: u64,
    published_at: Option<String>,
    tasks: Counts,
    tables: Vec<TableLine>,
    failures: Vec<OpenFailure>,
    quarantine: Vec<Quarantine>,
    checks: Vec<CheckFailure>,
    open_checks: Vec<OpenCheck>,
    note: Option<String>,
    disk: DiskUse,
}

pub(crate) fn status(context: &Context) -> Result<Done> {
    let lake = context.lake()?;
    let snapshot = lake.head().map_err(PipelineError::from)?;
    let (plan, note) = plan(context, &lake)?;
    context.bench.check_queries(&plan)?;
    let pipeline = &context.bench.assembly.pipeline;
    let planned = tally::by_stage(&plan);
    let tables = pipeline.stages().iter().enumerate().map(|(i, stage)| {
        let cells: Vec<_> = snapshot.partitions(&stage.table).collect();
        let newest: Option<UtcTime> = cells
            .iter()
            .filter_map(|(_, cell)| cell.times.map(|(_, last)| last))
            .max();
        let filled = cells.iter().filter(|(_, cell)| cell.rows > 0);
        let by_partition = || {
            filled
                .clone()
                .filter_map(|(key, _)| key.days())
                .filter(|d| *d != DayRange::ALL)
                .map(|d| d.start)
                .max()
        };
        TableLine {
            table: stage.table.to_string(),
            partitions: cells.len(),
            rows: cells.iter().map(|(_, cell)| cell.rows).sum(),
            newest: newest
                .map(|t| t.to_string())
                .or_else(|| by_partition().map(|day| day.to_string())),
            stale: planned.get(&i).map_or(0, |tasks| {
                Counts::of(tasks.iter().map(|task| &plan.tasks[*task])).stale()
            }),
        }
    });
    let status = StatusJson {
        profile: context.global.profile.clone(),
        lake: lake.root().display().to_string(),
        version: snapshot.version,
        published_at: (snapshot.version > 0).then(|| snapshot.time.to_string()),
        tasks: Counts::of(&plan.tasks),
        tables: tables.collect(),
        failures: context.bench.open_failures(&lake, &plan)?,
        quarantine: context.bench.quarantine(&Arc::clone(&lake))?,
        checks: context.bench.check_failures(&lake, &plan, now())?,
        open_checks: plan.open_checks,
        note,
        disk: lake.disk().map_err(PipelineError::from)?,
    };
    if context.json() {
        render::json(&status);
    } else {
        render::out(&text(&status, &context.command(true)));
    }
    Ok(Done::Well)
}

/// Plans everything; where the sources cannot be looked at, by what is in the lake.
fn plan(context: &Context, lake: &Lake) -> Result<(Plan, Option<String>)> {
    let bench = &context.bench;
    let (sources, note) = match bench.sources(Some(lake)) {
        Ok(sources) => {
            let closed = sources
                .closed()
                .first()
                .map(|(raw, error)| format!("new documents of {raw} are not counted: {error}"));
            (sources, closed)
        }
        Err(error) => (
            Sources::unlisted(),
            Some(format!("new documents are not counted: {error}")),
        ),
    };
    Ok((
        bench.plan_with(&sources, Some(lake), &Selected::default(), now())?,
        note,
    ))
}

fn text(status: &StatusJson, lakectl: &str) -> String {
    let published = status.published_at.as_ref();
    let when = published.map_or("never".to_owned(), |time| short(time));
    let mut parts = vec![format!(
        "{}  version {}, published {when}, profile {}",
        render::heading(&status.lake),
        status.version,
        status.profile
    )];
    let mut tables: Vec<&TableLine> = status.tables.iter().collect();
    let mut schemas = DATASET_SCHEMAS.to_vec();
    schemas.extend(status.tables.iter().map(|t| schema_of(&t.table)));
    tables.sort_by_key(|t| {
        schemas
            .iter()
            .position(|schema| *schema == schema_of(&t.table))
    });
    let sizes = status.disk.tables.keys();
    let disk: BTreeMap<String, u64> = sizes
        .map(|table| (table.to_string(), status.disk.table(table).bytes))
        .collect();
    // The sums below say it as well, and `gc --dry-run` by table.
    let narrow = layout::told_width().is_some_and(|width| width < DISK_WIDTH);
    let rows = tables.into_iter().map(|t| {
        let bytes = render::bytes(disk.get(&t.table).copied().unwrap_or(0));
        let mut row = vec![
            t.table.clone(),
            render::count(t.partitions as u64),
            render::count(t.rows),
            bytes,
            t.newest.as_deref().map(short).unwrap_or_default(),
            match t.stale {
                0 => "up to date".to_owned(),
                stale => format!("{} stale", render::count(stale as u64)),
            },
        ];
        if narrow {
            row.remove(DISK);
        }
        row
    });
    let mut heads = vec!["table", "partitions", "rows", "disk", "newest", "state"];
    if narrow {
        heads.remove(DISK);
    }
    let right: &[usize] = if narrow { &[1, 2] } else { &[1, 2, DISK] };
    parts.push(table(&heads, right, rows.collect()));
    let words: Vec<String> = status
        .tasks
        .named()
        .into_iter()
        .filter(|(word, count)| *word != "reuse" && *count > 0)
        .map(|(word, count)| format!("{} {word}", render::count(count as u64)))
        .collect();
    parts.push(match words.is_empty() {
        true if !status.open_checks.is_empty() => "all rows are up to date".to_owned(),
        true => "everything is up to date".to_owned(),
        false => format!(
            "tasks not up to date: {}; `plan` says why",
            words.join(", ")
        ),
    });
    parts.extend(status.note.clone());
    let causes = status.disk.causes();
    let causes: Vec<String> = causes
        .iter()
        .map(|(cause, size)| format!("{} {}", render::bytes(size.bytes), cause.words()))
        .collect();
    parts.push(format!(
        "{} on disk: {}; `gc --dry-run` says what can go",
        render::bytes(status.disk.total().bytes),
        causes.join(", ")
    ));
    let rows = status.failures.iter().map(|f| {
        vec![
            f.failure.task.clone(),
            f.run.clone(),
            f.failure.message.clone(),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    parts.push(if rows.is_empty() {
        "no failures".to_owned()
    } else {
        format!(
            "{}\n{}",
            render::heading("failures"),
            table(&["task", "run", "what is wrong"], &[], rows)
        )
    });
    parts.extend(checks::open_text(&status.open_checks));
    parts.extend(checks::text(&status.checks, lakectl));
    parts.push(
        summary::quarantine(&status.quarantine)
            .unwrap_or_else(|| "nothing is in quarantine".to_owned()),
    );
    parts.join("\n\n")
}

/// A time without its fraction, midnight as a day.
fn short(time: &str) -> String {
    let (day, clock) = time.split_once('T').unwrap_or((time, "00:00:00"));
    match clock.get(..8) {
        None | Some("00:00:00") => day.to_owned(),
        Some(clock) => format!("{day} {clock}"),
    }
}
