//! `lakectl lineage`: what a column or a table is made of, or what is made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Result;
use lakectl_core::TableId;
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::engine::nearest;
use lakectl_pipeline::lineage::{ColumnRef, Direction, Influence, Lineage, Reach};
use serde::Serialize;

use super::Done;
use super::show::find;
use crate::args::{Format, LineageArgs};
use crate::context::Context;
use crate::layout::{cut, width};
use crate::render;

/// The narrowest expression.
const EXPRESSION_MIN: usize = 30;

#[derive(Serialize)]
struct LineageJson {
    of: String,
    direction: &'static str,
    columns: Vec<ColumnJson>,
    edges: Vec<EdgeJson>,
}

#[derive(Serialize)]
struct ColumnJson {
    table: String,
    column: String,
    steps: usize,
    maker: String,
    expression: Option<String>,
}

#[derive(Serialize)]
struct EdgeJson {
    table: String,
    column: String,
    input_table: String,
    input_column: String,
    kind: &'static str,
}

/// What was asked for.
struct Asked {
    table: TableId,
    column: Option<String>,
    direction: Direction,
}

pub(crate) fn lineage(context: &Context, args: &LineageArgs) -> Result<Done> {
    let (table, column) = target(context, &args.name)?;
    let lineage = context.bench.lineage()?;
    let columns: Vec<ColumnRef> = lineage.columns(&table).cloned().collect();
    let from: Vec<ColumnRef> = match &column {
        None => columns,
        Some(name) => {
            let known = || columns.iter().map(|c| c.column.as_str());
            let found = columns.iter().find(|c| c.column == *name).cloned();
            vec![found.ok_or_else(|| no_column(&table, name, known()))?]
        }
    };
    let asked = Asked {
        table,
        column,
        direction: match args.down {
            true => Direction::Down,
            false => Direction::Up,
        },
    };
    let reach = lineage.reach(from, asked.direction, args.depth, args.conditions);
    match context.global.format {
        Format::Json => render::json(&json(&asked, &lineage, &reach)),
        Format::Mermaid => render::out(&drawn(&asked, &reach, &MERMAID)),
        Format::Dot => render::out(&drawn(&asked, &reach, &DOT)),
        _ => {
            let long = context.global.verbose > 0;
            render::out(&Tree::new(&asked, &lineage, &reach, long).text(args));
        }
    }
    Ok(Done::Well)
}

/// Reads `schema.table.column`, `schema.table` or `table`.
fn target(context: &Context, name: &str) -> Result<(TableId, Option<String>), PipelineError> {
    let pipeline = &context.bench.assembly.pipeline;
    match name.rsplit_once('.') {
        Some((table, column)) if table.contains('.') => {
            Ok((find(pipeline, table)?, Some(column.to_owned())))
        }
        _ => Ok((find(pipeline, name)?, None)),
    }
}

fn no_column<'a>(
    table: &TableId,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> PipelineError {
    let close = nearest(name, known);
    let hint = match close.is_empty() {
        true => format!("`show {table}` lists its columns"),
        false => format!("did you mean `{}`?", close.join("`, `")),
    };
    PipelineError::usage(format!("`{table}` has no column `{name}`"), hint)
}

fn json(asked: &Asked, lineage: &Lineage, reach: &Reach) -> LineageJson {
    let columns = reach.columns.iter().map(|(column, steps)| {
        let origin = lineage.origin(column);
        ColumnJson {
            table: column.table.to_string(),
            column: column.column.clone(),
            steps: *steps,
            maker: origin.map(|o| o.maker.clone()).unwrap_or_default(),
            expression: origin.and_then(|o| o.expression.clone()),
        }
    });
    let edges = reach.edges.iter().map(|edge| EdgeJson {
        table: edge.output.table.to_string(),
        column: edge.output.column.clone(),
        input_table: edge.input.table.to_string(),
        input_column: edge.input.column.clone(),
        kind: edge.kind.word(),
    });
    let column = asked.column.iter().map(|column| format!(".{column}"));
    LineageJson {
        of: format!("{}{}", asked.table, column.collect::<String>()),
        direction: match asked.direction {
            Direction::Up => "up",
            Direction::Down => "down",
        },
        columns: columns.collect(),
        edges: edges.collect(),
    }
}

/// The reached columns by table, each table below the one that it was reached from first.
struct Tree<'a> {
    asked: &'a Asked,
    lineage: &'a Lineage,
    reach: &'a Reach,
    long: bool,
    columns: BTreeMap<&'a TableId, Vec<&'a ColumnRef>>,
    next: BTreeMap<&'a TableId, BTreeSet<&'a TableId>>,
}

impl<'a> Tree<'a> {
    fn new(asked: &'a Asked, lineage: &'a Lineage, reach: &'a Reach, long: bool) -> Self {
        let mut columns: BTreeMap<&TableId, Vec<&ColumnRef>> = BTreeMap::new();
        for column in reach.columns.keys() {
            columns.entry(&column.table).or_default().push(column);
        }
        let mut next: BTreeMap<&TableId, BTreeSet<&TableId>> = BTreeMap::new();
        for edge in &reach.edges {
            let (from, to) = match asked.direction {
                Direction::Up => (&edge.output.table, &edge.input.table),
                Direction::Down => (&edge.input.table, &edge.output.table),
            };
            next.entry(from).or_default().insert(to);
        }
        Self {
            asked,
            lineage,
            reach,
            long,
            columns,
            next,
        }
    }

    fn text(&self, args: &LineageArgs) -> String {
        let mut lines = Vec::new();
        self.table(&self.asked.table, 0, &mut BTreeSet::new(), &mut lines);
        if self.reach.columns.len() == 1 && self.reach.edges.is_empty() {
            lines.push(
                match self.asked.direction {
                    Direction::Up => "  made of nothing but the partition's own keys and days",
                    Direction::Down => "  nothing is made of it",
                }
                .to_owned(),
            );
        }
        let left = self.reach.conditions.len();
        if left > 0 && !args.conditions {
            lines.push(String::new());
            lines.push(format!(
                "{} more columns are next to these that only decide which rows count; `--conditions` follows them too",
                render::count(left as u64)
            ));
        }
        lines.join("\n")
    }

    fn table(
        &self,
        table: &'a TableId,
        level: usize,
        told: &mut BTreeSet<&'a TableId>,
        lines: &mut Vec<String>,
    ) {
        let indent = "  ".repeat(level);
        let columns = self.columns.get(table).map_or(&[][..], Vec::as_slice);
        let maker = columns
            .first()
            .and_then(|column| self.lineage.origin(column));
        let maker = maker
            .map(|origin| origin.maker.as_str())
            .unwrap_or_default();
        let name = render::heading(table.as_str());
        if !told.insert(table) {
            lines.push(format!("{indent}{name}  (above)"));
            return;
        }
        match self.asked.column {
            Some(_) => lines.push(format!("{indent}{name}  {}", render::faint(maker))),
            None => lines.push(format!(
                "{indent}{name}  {}",
                render::faint(&format!("{} columns, {maker}", columns.len()))
            )),
        }
        if self.asked.column.is_some() {
            let longest = columns.iter().map(|c| c.column.chars().count()).max();
            for column in columns {
                lines.push(self.column(column, &indent, longest.unwrap_or(0)));
            }
        }
        for next in self.next.get(table).into_iter().flatten() {
            if *next != table {
                self.table(next, level + 1, told, lines);
            }
        }
    }

    fn column(&self, column: &ColumnRef, indent: &str, longest: usize) -> String {
        let name = &column.column;
        let padding = " ".repeat(longest - name.chars().count());
        let said = self.lineage.origin(column).and_then(|origin| {
            let passed = || {
                let mut inputs = origin.inputs.iter();
                let mut values = inputs
                    .by_ref()
                    .filter(|(_, kind)| **kind == Influence::Value);
                match (values.next(), values.next()) {
                    (Some((only, _)), None) if only.column != *name => Some(only.to_string()),
                    _ => None,
                }
            };
            origin.expression.clone().or_else(passed)
        });
        match said {
            None => format!("{indent}  {name}"),
            Some(text) => {
                let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let room = width().saturating_sub(indent.len() + longest + 5);
                let line = match self.long {
                    true => line,
                    false => cut(&line, room.max(EXPRESSION_MIN)),
                };
                format!("{indent}  {name}{padding} = {line}")
            }
        }
    }
}

/// The words of a drawing language.
struct Language {
    head: &'static str,
    tail: &'static str,
    open: fn(usize, &str) -> String,
    close: &'static str,
    node: fn(&str, &str) -> String,
    edge: fn(&str, &str, bool) -> String,
}

const MERMAID: Language = Language {
    head: "flowchart LR\n",
    tail: "",
    open: |number, table| format!("  subgraph t{number}[\"{table}\"]\n"),
    close: "  end\n",
    node: |id, label| format!("    {id}[\"{label}\"]\n"),
    edge: |from, to, dotted| format!("  {from} {} {to}\n", if dotted { "-.->" } else { "-->" }),
};

const DOT: Language = Language {
    head: "digraph lineage {\n  rankdir=LR;\n  node [shape=box];\n",
    tail: "}\n",
    open: |number, table| format!("  subgraph cluster_{number} {{\n    label=\"{table}\";\n"),
    close: "  }\n",
    node: |id, label| format!("    {id} [label=\"{label}\"];\n"),
    edge: |from, to, dotted| {
        format!(
            "  {from} -> {to}{};\n",
            if dotted { " [style=dashed]" } else { "" }
        )
    },
};

/// Draws the columns in boxes of their tables, or the tables alone if one was asked for.
fn drawn(asked: &Asked, reach: &Reach, language: &Language) -> String {
    let mut text = language.head.to_owned();
    let mut tables: BTreeMap<&TableId, Vec<&ColumnRef>> = BTreeMap::new();
    for column in reach.columns.keys() {
        tables.entry(&column.table).or_default().push(column);
    }
    let numbers: BTreeMap<&TableId, usize> = tables.keys().copied().zip(0..).collect();
    let ids: BTreeMap<&ColumnRef, usize> = reach.columns.keys().zip(0..).collect();
    let mut edges = BTreeSet::new();
    for (table, columns) in &tables {
        let number = numbers[table];
        if asked.column.is_none() {
            text.push_str(&(language.node)(&format!("t{number}"), table.as_str()));
            continue;
        }
        text.push_str(&(language.open)(number, table.as_str()));
        for column in columns {
            text.push_str(&(language.node)(
                &format!("c{}", ids[column]),
                &column.column,
            ));
        }
        text.push_str(language.close);
    }
    for edge in &reach.edges {
        let dotted = edge.kind == Influence::Condition;
        let pair = match asked.column.is_some() {
            true => (
                format!("c{}", ids[&edge.input]),
                format!("c{}", ids[&edge.output]),
            ),
            false => (
                format!("t{}", numbers[&edge.input.table]),
                format!("t{}", numbers[&edge.output.table]),
            ),
        };
        edges.insert((pair, dotted));
    }
    for ((from, to), dotted) in edges {
        let _ = write!(text, "{}", (language.edge)(&from, &to, dotted));
    }
    text.push_str(language.tail);
    text
}
