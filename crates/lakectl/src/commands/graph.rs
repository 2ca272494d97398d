//! `lakectl stages` and `lakectl graph`.

use std::collections::BTreeSet;

use anyhow::Result;
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::engine::{
    Pipeline, StageDecl, render_dot, render_json, render_mermaid, render_svg, render_text,
};
use serde::Serialize;

use super::Done;
use crate::args::Format;
use crate::context::Context;
use crate::layout::table;
use crate::render;

#[derive(Serialize)]
struct StageLine {
    table: String,
    kind: &'static str,
    partitions: String,
    tags: Vec<String>,
    inputs: Vec<String>,
    description: String,
}

fn chosen(pipeline: &Pipeline, selector: Option<&str>) -> Result<BTreeSet<usize>, PipelineError> {
    match selector {
        Some(selector) => Ok(pipeline.select(&[selector.to_owned()])?),
        None => Ok((0..pipeline.stages().len()).collect()),
    }
}

fn line(stage: &StageDecl) -> StageLine {
    let mut parts: Vec<String> = stage.keys.clone();
    parts.extend(stage.grain.column().map(str::to_owned));
    StageLine {
        table: stage.table.to_string(),
        kind: stage.kind.word(),
        partitions: if parts.is_empty() {
            "one".to_owned()
        } else {
            parts.join(", ")
        },
        tags: stage.tags.clone(),
        inputs: stage
            .inputs
            .iter()
            .map(|input| format!("{} ({})", input.table, input.window))
            .collect(),
        description: stage.description.clone(),
    }
}

pub(crate) fn stages(context: &Context, selector: Option<&str>) -> Result<Done> {
    let pipeline = &context.bench.assembly.pipeline;
    let lines: Vec<StageLine> = chosen(pipeline, selector)?
        .into_iter()
        .map(|i| line(&pipeline.stages()[i]))
        .collect();
    if context.json() {
        render::json(&lines);
        return Ok(Done::Well);
    }
    let rows = lines.into_iter().map(|l| {
        vec![
            l.table,
            l.kind.to_owned(),
            l.partitions,
            l.tags.join(" "),
            l.description,
        ]
    });
    render::out(&table(
        &["table", "kind", "partitions by", "tags", "what it is"],
        &[],
        rows.collect(),
    ));
    Ok(Done::Well)
}

pub(crate) fn graph(context: &Context) -> Result<Done> {
    let pipeline = &context.bench.assembly.pipeline;
    render::out(&match context.global.format {
        Format::Dot => render_dot(pipeline),
        Format::Mermaid => render_mermaid(pipeline),
        Format::Svg => render_svg(pipeline),
        Format::Json => render_json(pipeline),
        _ => render_text(pipeline),
    });
    Ok(Done::Well)
}
