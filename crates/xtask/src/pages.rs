//! Reference pages made from what the program declares, so that they cannot say anything else.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use lakectl_core::{ColumnType, Contract, Grain};
use lakectl_pipeline::engine::{Audit, Pipeline, StageDecl, StageKind};
use lakectl_pipeline::query::functions;
use lakectl_pipeline::{Project, Workbench};
use lakectl_sources::{Feed, rejects_contract, row_contract};

const MADE: &str = "<!-- Made by `cargo xtask docs`; do not edit. -->\n\n";

/// Returns every generated page as (path in the project, text).
///
/// # Errors
/// If the project's declarations are wrong.
pub fn all(root: &Path) -> Result<Vec<(&'static str, String)>> {
    let bench = Workbench::open(Project::read(root)?, "demo", &[])?;
    let pipeline = &bench.assembly.pipeline;
    Ok(vec![
        (
            "docs/reference/functions.md",
            format!("{MADE}{}", functions::reference_markdown()),
        ),
        ("docs/reference/tables.md", tables(pipeline)),
        ("docs/reference/graph.md", graph(pipeline)),
    ])
}

/// The stages of `pipelines/`, in the order of their tables' names.
fn declared(pipeline: &Pipeline) -> Vec<&StageDecl> {
    let own = |stage: &&StageDecl| matches!(stage.kind, StageKind::Sql | StageKind::Native(_));
    let mut stages: Vec<&StageDecl> = pipeline
        .stages()
        .iter()
        .map(AsRef::as_ref)
        .filter(own)
        .collect();
    stages.sort_by(|a, b| a.table.cmp(&b.table));
    stages
}

fn tables(pipeline: &Pipeline) -> String {
    let stages = declared(pipeline);
    let mut page = String::from(MADE);
    page.push_str(
        "# Tables\n\n\
         Every table that `pipelines/` declares, and the rows that datasets are parsed to. Times are UTC with microseconds;\n\
         `known_at` is the instant from which a row could be used. A question mark behind a type allows nulls. A window says\n\
         which rows of an input a task may see, counted from the partition it computes; see the [glossary](../glossary.md).\n\n",
    );
    page.push_str("| table | what it is |\n|---|---|\n");
    for stage in &stages {
        line(
            &mut page,
            &format!(
                "| [{0}](#{1}) | {2} |",
                stage.table,
                anchor(stage),
                stage.description
            ),
        );
    }
    for stage in &stages {
        table(&mut page, stage);
    }
    page.push_str("\n## Rows of datasets\n\n");
    page.push_str(
        "A dataset of `configs/<profile>.toml` makes three tables: `raw.<source>_<dataset>` holds its documents as they came,\n\
         `norm.<source>_<dataset>` its typed rows, `quarantine.<source>_<dataset>` what was refused and why. Every dataset feeds one\n\
         of the names below; in a query of a stage that name is the union of all of its datasets.\n",
    );
    for feed in Feed::ALL {
        line(&mut page, &format!("\n### norm.{}\n", feed.name()));
        columns(&mut page, &row_contract(feed));
    }
    page.push_str("\n### quarantine\n\n");
    columns(&mut page, &rejects_contract());
    page
}

fn table(page: &mut String, stage: &StageDecl) {
    line(
        page,
        &format!("\n## {}\n\n{}\n", stage.table, stage.description),
    );
    let made = match &stage.kind {
        StageKind::Native(name) => format!("native stage `{name}`"),
        _ => {
            let path = format!("sql/{}/{}.sql", stage.table.schema(), stage.table.name());
            format!("query [{path}](../../{path})")
        }
    };
    let mut parts: Vec<&str> = stage.keys.iter().map(String::as_str).collect();
    if let Some(column) = stage.grain.column() {
        parts.push(column);
    }
    let partitions = match (parts.is_empty(), stage.grain) {
        (true, Grain::None) => "one".to_owned(),
        _ => parts.join(", "),
    };
    line(page, &format!("- made by: {made}"));
    line(page, &format!("- partitions: {partitions}"));
    line(
        page,
        &format!("- primary key: {}", stage.primary_key.join(", ")),
    );
    if !stage.params.is_empty() {
        line(page, &format!("- parameters: {}", stage.params.join(", ")));
    }
    if let Audit::None { reason } = &stage.audit {
        line(
            page,
            &format!("- not held to the rule against look-ahead: {reason}"),
        );
    }
    line(page, &format!("- tags: {}", stage.tags.join(", ")));
    let inputs: Vec<String> = stage
        .inputs
        .iter()
        .map(|i| format!("{} ({})", i.table, i.window))
        .collect();
    line(page, &format!("- reads: {}\n", inputs.join("; ")));
    columns(page, &stage.contract);
}

/// Columns with their types, in order.
fn columns(page: &mut String, contract: &Contract) {
    page.push_str("| column | type |\n|---|---|\n");
    for column in contract.columns() {
        let optional = if column.nullable { "?" } else { "" };
        line(
            page,
            &format!("| {} | {}{optional} |", column.name, type_name(column.kind)),
        );
    }
}

const fn type_name(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Utf8 => "text",
        ColumnType::I64 => "integer",
        ColumnType::F64 => "float",
        ColumnType::Bool => "boolean",
        ColumnType::Ts => "timestamp",
        ColumnType::Date => "date",
        ColumnType::Binary => "bytes",
    }
}

fn anchor(stage: &StageDecl) -> String {
    stage.table.as_str().replace('.', "")
}

fn graph(pipeline: &Pipeline) -> String {
    let stages = declared(pipeline);
    let mut page = String::from(MADE);
    page.push_str(
        "# The graph of stages\n\n\
         An arrow leads from a table to the one that is computed from it. Rounded boxes are unions over the datasets of a profile\n\
         (`lakectl graph` shows those too); boxes with double sides are native stages, the others are queries.\n\n\
         ```mermaid\nflowchart LR\n",
    );
    let mut sources: Vec<&str> = stages
        .iter()
        .flat_map(|s| &s.inputs)
        .map(|i| i.table.as_str())
        .filter(|t| t.starts_with("norm."))
        .collect();
    sources.sort_unstable();
    sources.dedup();
    for name in sources {
        line(&mut page, &format!("  {}([{name}])", node(name)));
    }
    let mut schemas: Vec<&str> = stages.iter().map(|s| s.table.schema()).collect();
    schemas.dedup();
    for schema in schemas {
        line(&mut page, &format!("  subgraph {schema}"));
        for stage in stages.iter().filter(|s| s.table.schema() == schema) {
            let (open, close) = if stage.kind == StageKind::Sql {
                ("[", "]")
            } else {
                ("[[", "]]")
            };
            line(
                &mut page,
                &format!(
                    "    {}{open}{}{close}",
                    node(stage.table.as_str()),
                    stage.table
                ),
            );
        }
        page.push_str("  end\n");
    }
    for stage in &stages {
        for input in &stage.inputs {
            line(
                &mut page,
                &format!(
                    "  {} --> {}",
                    node(input.table.as_str()),
                    node(stage.table.as_str())
                ),
            );
        }
    }
    page.push_str("```\n");
    page
}

/// A name that the notation takes; `graph`, `end` and the like are words of it, hence the prefix.
fn node(table: &str) -> String {
    format!("t_{}", table.replace('.', "_"))
}

fn line(page: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{text}");
}
