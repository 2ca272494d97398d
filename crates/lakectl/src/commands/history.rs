//! `lakectl log`: the versions of the lake.

use anyhow::Result;
use serde::Serialize;

use super::Done;
use crate::context::Context;
use crate::layout::table;
use crate::render;

#[derive(Serialize)]
struct Version {
    version: u64,
    time: String,
    run: String,
    reason: String,
    tables: usize,
    partitions: u64,
    rows: u64,
}

pub(crate) fn log(context: &Context, limit: usize) -> Result<Done> {
    let mut versions: Vec<Version> = context
        .lake()?
        .log()
        .map_err(lakectl_pipeline::PipelineError::from)?
        .into_iter()
        .map(|commit| Version {
            version: commit.version,
            time: commit.time.to_string(),
            run: commit.run,
            reason: commit.reason,
            tables: commit.changed.len(),
            partitions: commit.changed.values().sum(),
            rows: commit.rows,
        })
        .collect();
    versions.sort_by_key(|version| std::cmp::Reverse(version.version));
    versions.truncate(limit);
    if context.json() {
        render::json(&versions);
        return Ok(Done::Well);
    }
    let rows = versions.iter().map(|v| {
        vec![
            v.version.to_string(),
            v.time.get(..19).unwrap_or(&v.time).replace('T', " "),
            v.run.clone(),
            v.tables.to_string(),
            render::count(v.partitions),
            render::count(v.rows),
        ]
    });
    let headers = [
        "version",
        "time",
        "run",
        "tables",
        "partitions",
        "rows written",
    ];
    render::out(&table(&headers, &[0, 3, 4, 5], rows.collect()));
    Ok(Done::Well)
}
