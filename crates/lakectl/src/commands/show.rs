//! `lakectl show`: one table.

use anyhow::Result;
use lakectl_core::TableId;
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::engine::nearest;
use serde::Serialize;

use super::Done;
use crate::context::Context;
use crate::render;

/// Partitions listed in the text form.
const PARTITIONS_SHOWN: usize = 12;

#[derive(Serialize)]
struct ColumnLine {
    name: String,
    r#type: String,
    nullable: bool,
}

#[derive(Serialize)]
struct PartitionLine {
    partition: String,
    rows: u64,
    bytes: u64,
    run: String,
    rows_hash: String,
    fingerprint: String,
}

#[derive(Serialize)]
struct TableJson {
    table: String,
    description: String,
    kind: &'static str,
    version: u64,
    rows: u64,
    bytes: u64,
    primary_key: Vec<String>,
    columns: Vec<ColumnLine>,
    partitions: Vec<PartitionLine>,
    reads: Vec<String>,
    read_by: Vec<String>,
}

pub(crate) fn show(context: &Context, name: &str) -> Result<Done> {
    let shown = describe(context, name)?;
    if context.json() {
        render::json(&shown);
    } else {
        render::out(&text(&shown));
    }
    Ok(Done::Well)
}

fn describe(context: &Context, name: &str) -> Result<TableJson, anyhow::Error> {
    let pipeline = &context.bench.assembly.pipeline;
    let id = name.parse::<TableId>().ok().filter(|id| pipeline.stage_of(id).is_some());
    let id = id.ok_or_else(|| {
        let close = nearest(name, pipeline.tables().iter().map(|(table, _)| table.as_str()));
        let hint = if close.is_empty() { "`lakectl stages` lists all".to_owned() } else { format!("did you mean `{}`?", close.join("`, `")) };
        PipelineError::Usage { message: format!("there is no table `{name}`"), hint: Some(hint) }
    })?;
    let stage = pipeline.stage_of(&id).ok_or_else(|| anyhow::anyhow!("`{id}` has no stage"))?;
    let snapshot = match context.lake_if_any()? {
        Some(lake) => lake.head().map_err(PipelineError::from)?,
        None => lakectl_pipeline::lake::Snapshot::empty(),
    };
    let contract = snapshot.tables.get(&id).map_or_else(|| stage.contract.clone(), |meta| meta.contract.clone());
    let partitions: Vec<PartitionLine> = snapshot
        .partitions(&id)
        .map(|(key, cell)| PartitionLine {
            partition: key.to_string(),
            rows: cell.rows,
            bytes: cell.file.as_ref().map_or(0, |file| file.bytes),
            run: cell.run.clone(),
            rows_hash: cell.rows_hash.to_string(),
            fingerprint: cell.fingerprint.to_string(),
        })
        .collect();
    let readers = pipeline.stages().iter().enumerate().filter(|(i, _)| {
        let inputs = pipeline.inputs(*i).iter();
        inputs.flat_map(|input| &input.tables).any(|table| pipeline.tables()[*table].0 == id)
    });
    Ok(TableJson {
        table: id.to_string(),
        description: stage.description.clone(),
        kind: stage.kind.word(),
        version: snapshot.version,
        rows: partitions.iter().map(|p| p.rows).sum(),
        bytes: partitions.iter().map(|p| p.bytes).sum(),
        primary_key: stage.primary_key.clone(),
        columns: contract
            .columns()
            .iter()
            .map(|c| ColumnLine { name: c.name.clone(), r#type: c.kind.word().to_owned(), nullable: c.nullable })
            .collect(),
        partitions,
        reads: stage.inputs.iter().map(|input| format!("{} ({})", input.table, input.window)).collect(),
        read_by: readers.map(|(_, stage)| stage.table.to_string()).collect(),
    })
}

fn text(shown: &TableJson) -> String {
    let mut parts = vec![format!(
        "{}  {} ({}, {} rows, {} in {} partitions, version {})",
        render::heading(&shown.table),
        shown.description,
        shown.kind,
        render::count(shown.rows),
        render::bytes(shown.bytes),
        shown.partitions.len(),
        shown.version
    )];
    let columns = shown.columns.iter().map(|c| {
        let key = if shown.primary_key.contains(&c.name) { "key" } else { "" };
        let null = if c.nullable { "may be null" } else { "" };
        vec![c.name.clone(), c.r#type.clone(), key.to_owned(), null.to_owned()]
    });
    parts.push(render::table(&["column", "type", "", ""], &[], columns.collect()));
    let rows = shown.partitions.iter().rev().take(PARTITIONS_SHOWN);
    let rows = rows.map(|p| vec![p.partition.clone(), render::count(p.rows), render::bytes(p.bytes), p.run.clone()]);
    parts.push(render::table(&["partition", "rows", "size", "run"], &[1, 2], rows.collect()));
    if shown.partitions.len() > PARTITIONS_SHOWN {
        parts.push(format!("({} of {} partitions; `--format json` lists all)", PARTITIONS_SHOWN, shown.partitions.len()));
    }
    parts.push(format!("reads    {}\nread by  {}", list(&shown.reads), list(&shown.read_by)));
    parts.join("\n\n")
}

fn list(words: &[String]) -> String {
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}
