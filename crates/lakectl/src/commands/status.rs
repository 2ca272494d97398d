//! `lakectl status`: freshness, what is stale or held, what is in quarantine.

use std::sync::Arc;

use anyhow::Result;
use lakectl_core::{DayRange, UtcTime};
use lakectl_pipeline::{PipelineError, Quarantine, Selected};
use serde::Serialize;

use super::Done;
use crate::context::{Context, now};
use crate::render;

#[derive(Serialize)]
struct TableLine {
    table: String,
    partitions: usize,
    rows: u64,
    newest: Option<String>,
    stale: usize,
}

#[derive(Serialize)]
struct StatusJson {
    profile: String,
    lake: String,
    version: u64,
    published_at: Option<String>,
    tables: Vec<TableLine>,
    quarantine: Vec<Quarantine>,
}

pub(crate) fn status(context: &Context) -> Result<Done> {
    let lake = context.lake()?;
    let snapshot = lake.head().map_err(PipelineError::from)?;
    let plan = context.bench.plan(Some(&lake), &Selected::default(), now())?;
    let pipeline = &context.bench.assembly.pipeline;
    let tables = pipeline.stages().iter().enumerate().map(|(i, stage)| {
        let cells: Vec<_> = snapshot.partitions(&stage.table).collect();
        let newest: Option<UtcTime> = cells.iter().filter_map(|(_, cell)| cell.times.map(|(_, last)| last)).max();
        let filled = cells.iter().filter(|(_, cell)| cell.rows > 0);
        let by_partition = || filled.clone().filter_map(|(key, _)| key.days()).filter(|d| *d != DayRange::ALL).map(|d| d.start).max();
        TableLine {
            table: stage.table.to_string(),
            partitions: cells.len(),
            rows: cells.iter().map(|(_, cell)| cell.rows).sum(),
            newest: newest.map(|t| t.to_string()).or_else(|| by_partition().map(|day| day.to_string())),
            stale: plan.tasks.iter().filter(|task| task.stage == i && task.verdict.word() != "reuse").count(),
        }
    });
    let status = StatusJson {
        profile: context.global.profile.clone(),
        lake: lake.root().display().to_string(),
        version: snapshot.version,
        published_at: (snapshot.version > 0).then(|| snapshot.time.to_string()),
        tables: tables.collect(),
        quarantine: context.bench.quarantine(&Arc::clone(&lake))?,
    };
    if context.json() {
        render::json(&status);
    } else {
        render::out(&text(&status));
    }
    Ok(Done::Well)
}

fn text(status: &StatusJson) -> String {
    let when = status.published_at.clone().unwrap_or_else(|| "never".to_owned());
    let mut parts = vec![format!(
        "{}  version {}, published {when}, profile {}",
        render::heading(&status.lake),
        status.version,
        status.profile
    )];
    let rows = status.tables.iter().map(|t| {
        vec![
            t.table.clone(),
            t.partitions.to_string(),
            render::count(t.rows),
            t.newest.clone().unwrap_or_default(),
            if t.stale > 0 { format!("{} to compute", t.stale) } else { "up to date".to_owned() },
        ]
    });
    parts.push(render::table(&["table", "partitions", "rows", "newest", "state"], &[1, 2], rows.collect()));
    let rows = status.quarantine.iter().map(|q| {
        vec![q.table.clone(), q.reason.clone(), q.severity.clone(), render::count(q.rows), q.example.chars().take(70).collect()]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    parts.push(if rows.is_empty() {
        "nothing is in quarantine".to_owned()
    } else {
        format!("{}\n{}", render::heading("quarantine"), render::table(&["table", "reason", "", "entries", "for example"], &[3], rows))
    });
    parts.join("\n\n")
}
