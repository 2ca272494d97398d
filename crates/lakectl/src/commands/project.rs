//! `lakectl project`: the Delta logs for other engines.

use std::collections::BTreeSet;

use anyhow::Result;
use lakectl_core::TableId;
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::engine::nearest;
use lakectl_pipeline::lake::{DeltaTable, DeltaVersion, Lake, Projected};
use serde::Serialize;

use super::Done;
use crate::args::ProjectArgs;
use crate::context::Context;
use crate::layout::table;
use crate::render;

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    done: Projected,
    tables: Vec<Table>,
}

#[derive(Serialize)]
struct Table {
    table: TableId,
    path: String,
    delta_version: u64,
    lake_version: u64,
    files: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Vec<Version>>,
}

#[derive(Serialize)]
struct Version {
    delta_version: u64,
    lake_version: u64,
    time: String,
    added: u64,
    removed: u64,
}

/// After a commit that no run made: brings the Delta logs up to the newest version, or says that they are behind.
pub(crate) fn catch_up(context: &Context, lake: &Lake) {
    if let Some(behind) = context.bench.project(lake, None) {
        render::note(&format!("warning: {behind}"));
    }
}

pub(crate) fn project(context: &Context, args: &ProjectArgs) -> Result<Done> {
    let lake = context.lake()?;
    let known = lake.head().map_err(PipelineError::from)?.tables;
    let named = args.tables.iter().map(|name| {
        let table = name.parse().ok().filter(|table| known.contains_key(table));
        table.ok_or_else(|| unknown(name, known.keys()))
    });
    let named = named.collect::<Result<BTreeSet<TableId>, _>>()?;
    let done = match args.rebuild {
        true => lake.rebuild_delta(&named),
        false => lake.project_delta(None),
    };
    let done = done.map_err(PipelineError::from)?;
    let tables = lake.delta_tables().map_err(PipelineError::from)?;
    let tables = tables
        .into_iter()
        .filter(|table| named.is_empty() || named.contains(&table.table))
        .map(|table| described(&lake, table, !named.is_empty()));
    let tables = tables.collect::<Result<Vec<Table>, PipelineError>>()?;
    if context.json() {
        render::json(&Report { done, tables });
        return Ok(Done::Well);
    }
    if named.is_empty() {
        render::out(&overview(&tables));
    }
    for table in tables.iter().filter(|table| table.versions.is_some()) {
        render::out(&format!(
            "{}  {}",
            render::heading(table.table.as_str()),
            table.path
        ));
        render::out(&versions(table));
    }
    render::note(&words(&done));
    Ok(Done::Well)
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a TableId>) -> PipelineError {
    let close = nearest(name, known.map(TableId::as_str));
    PipelineError::usage(
        format!("the lake has no table `{name}`"),
        match close.is_empty() {
            true => "`project` without a name lists the tables".to_owned(),
            false => format!("did you mean `{}`?", close.join("`, `")),
        },
    )
}

fn described(lake: &Lake, table: DeltaTable, all: bool) -> Result<Table, PipelineError> {
    let versions = all.then(|| lake.delta_versions(&table.table)).transpose()?;
    let version = |version: DeltaVersion| Version {
        delta_version: version.version,
        lake_version: version.lake_version,
        time: version.time.to_string(),
        added: version.added,
        removed: version.removed,
    };
    Ok(Table {
        path: lake.root().join(&table.folder).display().to_string(),
        table: table.table,
        delta_version: table.version,
        lake_version: table.lake_version,
        files: table.files,
        versions: versions.map(|versions| versions.into_iter().map(version).collect()),
    })
}

fn overview(tables: &[Table]) -> String {
    let rows = tables.iter().map(|t| {
        vec![
            t.table.to_string(),
            t.delta_version.to_string(),
            t.lake_version.to_string(),
            render::count(t.files),
        ]
    });
    let headers = ["table", "Delta version", "of lake version", "files"];
    table(&headers, &[1, 2, 3], rows.collect())
}

fn versions(of: &Table) -> String {
    let rows = of.versions.iter().flatten().map(|v| {
        vec![
            v.delta_version.to_string(),
            v.lake_version.to_string(),
            v.time.get(..19).unwrap_or(&v.time).replace('T', " "),
            render::count(v.added),
            render::count(v.removed),
        ]
    });
    let headers = [
        "Delta version",
        "of lake version",
        "committed",
        "files added",
        "removed",
    ];
    table(&headers, &[0, 1, 3, 4], rows.collect())
}

fn words(done: &Projected) -> String {
    let amount = |count: u64, what: &str| {
        let end = if count == 1 { "" } else { "s" };
        format!("{} {what}{end}", render::count(count))
    };
    match done.commits {
        0 => format!("version {} was projected already", done.version),
        commits => format!(
            "projected up to version {}: {} and {} written, {}{}",
            done.version,
            amount(commits, "Delta version"),
            amount(done.checkpoints, "checkpoint"),
            render::bytes(done.bytes),
            if done.rebuilt { ", all anew" } else { "" }
        ),
    }
}
