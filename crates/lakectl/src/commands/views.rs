//! `lakectl views`: one version of the lake as DuckDB views.

use anyhow::{Context as _, Result};
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::lake::duckdb_views;
use serde_json::json;

use super::Done;
use super::history::version;
use crate::args::ViewsArgs;
use crate::context::{Context, quoted};
use crate::render;

pub(crate) fn views(context: &Context, args: &ViewsArgs) -> Result<Done> {
    let at = args
        .at
        .as_deref()
        .map(|at| version("--at", at))
        .transpose()?;
    let lake = context.lake()?;
    let snapshot = match at {
        Some(at) => lake.at(at),
        None => lake.head(),
    };
    let snapshot = snapshot.map_err(PipelineError::from)?;
    let sql = duckdb_views(&snapshot, |file| match args.relative {
        true => file.path.clone(),
        false => lake.path_of(file).display().to_string(),
    });
    let tables = snapshot.tables.len();
    if let Some(file) = &args.output {
        std::fs::write(file, &sql).with_context(|| format!("cannot write `{file}`"))?;
    }
    match (&args.output, context.json()) {
        (Some(file), true) => {
            render::json(&json!({"version": snapshot.version, "tables": tables, "file": file}));
        }
        (None, true) => {
            render::json(&json!({"version": snapshot.version, "tables": tables, "sql": sql}));
        }
        (Some(file), false) => render::note(&format!(
            "wrote {tables} views of version {} to {file}; `duckdb -init {}` opens them",
            snapshot.version,
            quoted(file)
        )),
        (None, false) => render::out(&sql),
    }
    Ok(Done::Well)
}
