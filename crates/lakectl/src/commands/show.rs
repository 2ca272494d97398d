//! `lakectl show`: one table.

use anyhow::Result;
use lakectl_core::TableId;
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::engine::{Pipeline, nearest};
use lakectl_pipeline::lake::Snapshot;
use serde::Serialize;

use super::Done;
use crate::context::Context;
use crate::layout::{table, width, wrap};
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
    let id = find(pipeline, name)?;
    let snapshot = match context.lake_if_any()? {
        Some(lake) => lake.head().map_err(PipelineError::from)?,
        None => Snapshot::empty(),
    };
    match pipeline.unions().get(&id) {
        Some(members) => union(pipeline, &snapshot, &id, members),
        None => one(pipeline, &snapshot, &id),
    }
}

/// Finds a table by its name, or by the part after the schema if only one table has it.
pub(super) fn find(pipeline: &Pipeline, name: &str) -> Result<TableId, PipelineError> {
    let tables = || {
        pipeline
            .tables()
            .iter()
            .map(|(table, _)| table)
            .chain(pipeline.unions().keys())
    };
    let exact = name
        .parse::<TableId>()
        .ok()
        .filter(|id| tables().any(|table| table == id));
    if let Some(id) = exact {
        return Ok(id);
    }
    let named: Vec<&TableId> = tables().filter(|table| table.name() == name).collect();
    if let [only] = named.as_slice() {
        return Ok((*only).clone());
    }
    let mut close: Vec<&str> = named.iter().map(|table| table.as_str()).collect();
    if close.is_empty() {
        close = nearest(name, tables().map(TableId::as_str));
    }
    let hint = match () {
        () if name.starts_with("system.") => {
            format!("ask it in SQL: `sql \"SELECT * FROM {name} LIMIT 5\"`")
        }
        () if close.is_empty() => "`stages` lists all tables".to_owned(),
        () => format!("did you mean `{}`?", close.join("`, `")),
    };
    Err(PipelineError::usage(
        format!("there is no table `{name}`"),
        hint,
    ))
}

/// A name that stands for the rows of several tables.
fn union(
    pipeline: &Pipeline,
    snapshot: &Snapshot,
    id: &TableId,
    members: &[TableId],
) -> Result<TableJson> {
    let parts = members
        .iter()
        .map(|member| one(pipeline, snapshot, member))
        .collect::<Result<Vec<_>>>()?;
    let names: Vec<String> = members.iter().map(ToString::to_string).collect();
    let readers = pipeline
        .stages()
        .iter()
        .filter(|stage| stage.inputs.iter().any(|input| input.table == *id));
    Ok(TableJson {
        table: id.to_string(),
        description: "All rows of the tables that it reads, as one.".to_owned(),
        kind: "union",
        version: snapshot.version,
        rows: parts.iter().map(|part| part.rows).sum(),
        bytes: parts.iter().map(|part| part.bytes).sum(),
        primary_key: Vec::new(),
        partitions: Vec::new(),
        reads: names,
        read_by: readers.map(|stage| stage.table.to_string()).collect(),
        columns: parts
            .into_iter()
            .next()
            .map(|part| part.columns)
            .unwrap_or_default(),
    })
}

fn one(pipeline: &Pipeline, snapshot: &Snapshot, id: &TableId) -> Result<TableJson> {
    let stage = pipeline
        .stage_of(id)
        .ok_or_else(|| anyhow::anyhow!("`{id}` has no stage"))?;
    let main = stage.table == *id;
    let contract = snapshot
        .tables
        .get(id)
        .map_or_else(|| stage.contract.clone(), |meta| meta.contract.clone());
    let partitions: Vec<PartitionLine> = snapshot
        .partitions(id)
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
        inputs
            .flat_map(|input| &input.tables)
            .any(|table| pipeline.tables()[*table].0 == *id)
    });
    Ok(TableJson {
        table: id.to_string(),
        description: match main {
            true => stage.description.clone(),
            false => format!(
                "What the stage `{}` left out or noted, with the reason.",
                stage.table
            ),
        },
        kind: stage.kind.word(),
        version: snapshot.version,
        rows: partitions.iter().map(|p| p.rows).sum(),
        bytes: partitions.iter().map(|p| p.bytes).sum(),
        primary_key: if main {
            stage.primary_key.clone()
        } else {
            Vec::new()
        },
        columns: contract
            .columns()
            .iter()
            .map(|c| ColumnLine {
                name: c.name.clone(),
                r#type: c.kind.word().to_owned(),
                nullable: c.nullable,
            })
            .collect(),
        partitions,
        reads: stage
            .inputs
            .iter()
            .map(|input| format!("{} ({})", input.table, input.window))
            .collect(),
        read_by: readers.map(|(_, stage)| stage.table.to_string()).collect(),
    })
}

fn text(shown: &TableJson) -> String {
    let mut parts = vec![format!(
        "{}  {}, {} rows, {} in {} partitions, version {}\n{}",
        render::heading(&shown.table),
        shown.kind,
        render::count(shown.rows),
        render::bytes(shown.bytes),
        render::count(shown.partitions.len() as u64),
        shown.version,
        wrap(&shown.description, width(), "")
    )];
    let columns = shown.columns.iter().map(|c| {
        let key = if shown.primary_key.contains(&c.name) {
            "key"
        } else {
            ""
        };
        let null = if c.nullable { "may be null" } else { "" };
        vec![
            c.name.clone(),
            c.r#type.clone(),
            key.to_owned(),
            null.to_owned(),
        ]
    });
    parts.push(table(&["column", "type", "", ""], &[], columns.collect()));
    let mut newest: Vec<&PartitionLine> = shown.partitions.iter().collect();
    // The period is the last part of a key.
    newest.sort_by_key(|p| std::cmp::Reverse(p.partition.rsplit('/').next().unwrap_or_default()));
    let rows = newest.into_iter().take(PARTITIONS_SHOWN).map(|p| {
        vec![
            p.partition.clone(),
            render::count(p.rows),
            render::bytes(p.bytes),
            p.run.clone(),
        ]
    });
    parts.push(match shown.partitions.is_empty() {
        false => table(
            &["partition", "rows", "size", "run"],
            &[1, 2],
            rows.collect(),
        ),
        true if shown.kind == "union" => {
            "(its partitions are those of the tables that it reads)".to_owned()
        }
        true => "(not computed yet)".to_owned(),
    });
    if shown.partitions.len() > PARTITIONS_SHOWN {
        let all = render::count(shown.partitions.len() as u64);
        parts.push(format!(
            "({PARTITIONS_SHOWN} of {all} partitions, newest first; `--format json` lists all)"
        ));
    }
    let (indent, width) = (" ".repeat(9), width());
    parts.push(format!(
        "{}\n{}",
        wrap(&format!("reads    {}", list(&shown.reads)), width, &indent).replacen(
            "reads ",
            "reads    ",
            1
        ),
        wrap(
            &format!("read by  {}", list(&shown.read_by)),
            width,
            &indent
        )
        .replacen("read by ", "read by  ", 1)
    ));
    parts.join("\n\n")
}

fn list(words: &[String]) -> String {
    if words.is_empty() {
        "nothing".to_owned()
    } else {
        words.join(", ")
    }
}
