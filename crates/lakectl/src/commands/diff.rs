//! `lakectl diff`: what is different between two versions or branches.

use anyhow::Result;
use lakectl_core::TableId;
use lakectl_pipeline::lake::Place;
use lakectl_pipeline::{Diff, DiffRequest, Example, PipelineError, TableDiff, diff};
use serde::Serialize;

use super::Done;
use crate::args::DiffArgs;
use crate::context::Context;
use crate::{layout, render};

#[derive(Serialize)]
struct Shown {
    from: String,
    to: String,
    #[serde(flatten)]
    diff: Diff,
}

pub(crate) fn show(context: &Context, args: &DiffArgs) -> Result<Done> {
    let lake = context.lake()?;
    let branch = lake.branch();
    let parse = |text: &str| text.parse::<Place>().map_err(PipelineError::from);
    let from = parse(&args.from)?;
    let to = parse(args.to.as_deref().unwrap_or(branch))?;
    let before = lake.look(&from).map_err(PipelineError::from)?;
    let after = lake.look(&to).map_err(PipelineError::from)?;
    let table = args.table.as_deref().map(str::parse::<TableId>).transpose();
    let request = DiffRequest {
        table: table.map_err(PipelineError::from)?,
        examples: args.limit,
    };
    if let Some(table) = &request.table
        && !before.cells.contains_key(table)
        && !after.cells.contains_key(table)
    {
        let known = before.cells.keys().chain(after.cells.keys());
        let known: Vec<&str> = known.map(TableId::as_str).collect();
        let near = lakectl_pipeline::engine::nearest(table.as_str(), known);
        return Err(PipelineError::usage(
            format!("neither version has a table `{table}`"),
            match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`lakectl show <table>` and `lakectl status` name the tables".to_owned(),
            },
        )
        .into());
    }
    let label = |place: &Place, version: u64| {
        format!("{}@{version}", place.branch.as_deref().unwrap_or(branch))
    };
    let shown = Shown {
        from: label(&from, before.version),
        to: label(&to, after.version),
        diff: diff(&lake, &before, &after, &request)?,
    };
    if context.json() {
        render::json(&shown);
    } else {
        render::out(&text(&shown));
    }
    Ok(Done::Well)
}

fn text(shown: &Shown) -> String {
    let Shown { from, to, diff } = shown;
    let mut lines = vec![format!(
        "{} -> {}: {} of {} tables differ",
        from,
        to,
        diff.tables.len(),
        diff.of
    )];
    if !diff.tables.is_empty() {
        let rows = diff.tables.iter().map(|table| {
            let count = |n: usize| render::count(n as u64);
            vec![
                table.table.clone(),
                count(table.added),
                count(table.removed),
                count(table.changed),
                count(table.recomputed),
                render::count(table.rows_added),
                render::count(table.rows_removed),
                render::count(table.rows_changed),
                columns(table),
            ]
        });
        let headers = [
            "table", "+part", "-part", "~part", "=part", "+rows", "-rows", "~rows", "columns",
        ];
        let right = [1, 2, 3, 4, 5, 6, 7];
        lines.push(String::new());
        lines.push(layout::table(&headers, &right, rows.collect()));
        lines.push(" + only in the second, - only in the first, ~ other rows, = computed otherwise, same rows".to_owned());
    }
    for table in &diff.tables {
        if !table.examples.is_empty() || !table.contract.is_empty() {
            lines.push(String::new());
            lines.push(render::heading(&table.table));
        }
        lines.extend(table.contract.iter().map(|words| format!("  {words}")));
        lines.extend(table.examples.iter().map(example));
    }
    for (name, kind) in &diff.records {
        lines.push(format!("{name}: {kind}"));
    }
    lines.join("\n")
}

/// The columns that changed in most rows.
fn columns(table: &TableDiff) -> String {
    let mut columns: Vec<(&String, &u64)> = table.columns.iter().collect();
    columns.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), name.as_str()));
    let names = columns
        .iter()
        .map(|(name, count)| format!("{name} {count}"));
    names.collect::<Vec<_>>().join(", ")
}

fn example(example: &Example) -> String {
    let sign = match example.kind {
        "added" => "+",
        "removed" => "-",
        _ => "~",
    };
    let changes = example.values.iter();
    let changes: Vec<String> = changes
        .map(|(name, before, after)| format!("{name} {before} -> {after}"))
        .collect();
    let line = match changes.is_empty() {
        true => example.key.clone(),
        false => format!("{}: {}", example.key, changes.join(", ")),
    };
    format!(
        "  {sign} {}",
        layout::cut(&line, layout::width().saturating_sub(5))
    )
}
