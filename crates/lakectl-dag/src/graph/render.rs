//! The graph as text, in the notations of other tools.

use lakectl_core::Grain;
use serde_json::{Value, json};

use super::Pipeline;

/// Returns the graph in the DOT language of Graphviz.
pub fn render_dot(pipeline: &Pipeline) -> String {
    let mut text = String::from("digraph lake {\n  rankdir=LR;\n  node [shape=box];\n");
    for stage in pipeline.stages() {
        let kind = stage.kind.word();
        text.push_str(&format!(
            "  \"{0}\" [label=\"{0}\\n{kind}\"];\n",
            stage.table
        ));
    }
    for (from, to) in pipeline.edges() {
        let (from, to) = (&pipeline.stages()[from].table, &pipeline.stages()[to].table);
        text.push_str(&format!("  \"{from}\" -> \"{to}\";\n"));
    }
    text.push_str("}\n");
    text
}

/// Returns the graph as a Mermaid flow chart.
pub fn render_mermaid(pipeline: &Pipeline) -> String {
    let mut text = String::from("flowchart LR\n");
    for (index, stage) in pipeline.stages().iter().enumerate() {
        text.push_str(&format!("  s{index}[\"{}\"]\n", stage.table));
    }
    for (from, to) in pipeline.edges() {
        text.push_str(&format!("  s{from} --> s{to}\n"));
    }
    text
}

/// Returns the graph as a JSON object with `stages` and `unions`.
pub fn render_json(pipeline: &Pipeline) -> String {
    let stages: Vec<Value> = (0..pipeline.stages().len())
        .map(|index| stage_json(pipeline, index))
        .collect();
    let unions: serde_json::Map<String, Value> = pipeline
        .unions()
        .iter()
        .map(|(name, members)| (name.to_string(), json!(members)))
        .collect();
    format!("{:#}\n", json!({ "stages": stages, "unions": unions }))
}

fn stage_json(pipeline: &Pipeline, index: usize) -> Value {
    let stage = &pipeline.stages()[index];
    let inputs: Vec<Value> = stage
        .inputs
        .iter()
        .map(|input| json!({ "table": input.table, "window": input.window.to_string() }))
        .collect();
    json!({
        "table": stage.table,
        "also": stage.also,
        "kind": stage.kind.word(),
        "keys": stage.keys,
        "grain": stage.grain,
        "coverage": stage.coverage,
        "tags": stage.tags,
        "description": stage.description,
        "inputs": inputs,
    })
}

/// Returns the graph for people: each stage with its partitions and below it what it reads.
pub fn render_text(pipeline: &Pipeline) -> String {
    let mut text = String::new();
    for stage in pipeline.stages() {
        let columns: Vec<&str> = stage
            .keys
            .iter()
            .map(String::as_str)
            .chain(stage.grain.column())
            .collect();
        let by = match (columns.is_empty(), stage.grain) {
            (true, Grain::None) => "one partition".to_owned(),
            _ => format!("by {}", columns.join(", ")),
        };
        text.push_str(&format!("{} ({}, {by})\n", stage.table, stage.kind.word()));
        for table in &stage.also {
            text.push_str(&format!("  => {table}\n"));
        }
        for input in &stage.inputs {
            text.push_str(&format!("  <- {} ({})\n", input.table, input.window));
        }
    }
    text
}
