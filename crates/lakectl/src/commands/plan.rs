//! `lakectl plan`: what `run` would do, and why.

use std::collections::BTreeMap;

use anyhow::Result;
use lakectl_pipeline::engine::{Plan, PlannedTask};
use serde::Serialize;

use super::{Done, selected};
use crate::args::Selection;
use crate::context::{Context, now};
use crate::render;

#[derive(Serialize)]
struct TaskLine {
    table: String,
    partition: String,
    verdict: &'static str,
    reason: Option<String>,
    note: Option<String>,
}

#[derive(Serialize)]
struct PlanJson {
    profile: String,
    last_day: String,
    tasks: BTreeMap<&'static str, usize>,
    plan: Vec<TaskLine>,
}

pub(crate) fn plan(context: &Context, selection: &Selection, every_task: bool) -> Result<Done> {
    let lake = context.lake_if_any()?;
    let plan = context.bench.plan(lake.as_ref(), &selected(selection), now())?;
    if context.json() {
        render::json(&PlanJson {
            profile: context.global.profile.clone(),
            last_day: plan.end.plus(-1).to_string(),
            tasks: counts(&plan),
            plan: plan.tasks.iter().map(line).collect(),
        });
    } else {
        render::out(&text(context, &plan, every_task));
    }
    Ok(Done::Well)
}

fn line(task: &PlannedTask) -> TaskLine {
    TaskLine {
        table: task.task.table.to_string(),
        partition: task.task.partition.to_string(),
        verdict: task.verdict.word(),
        reason: task.verdict.reason().map(ToString::to_string),
        note: task.note.clone(),
    }
}

fn counts(plan: &Plan) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::from([("total", plan.tasks.len())]);
    for task in &plan.tasks {
        *counts.entry(task.verdict.word()).or_default() += 1;
    }
    counts
}

fn text(context: &Context, plan: &Plan, every_task: bool) -> String {
    let counts = counts(plan);
    let words: Vec<String> =
        counts.iter().filter(|(word, _)| **word != "total").map(|(word, count)| format!("{count} {word}")).collect();
    let mut parts = vec![format!(
        "{} of {} tasks up to {}: {}",
        render::heading("plan"),
        render::count(plan.tasks.len() as u64),
        plan.end.plus(-1),
        words.join(", ")
    )];
    parts.push(if every_task { task_table(plan) } else { stage_table(context, plan) });
    for task in &plan.vanished {
        parts.push(format!("kept although its source does not list it any more: {task}"));
    }
    parts.join("\n\n")
}

fn task_table(plan: &Plan) -> String {
    let rows = plan.tasks.iter().map(|task| {
        vec![
            task.task.table.to_string(),
            task.task.partition.to_string(),
            task.verdict.word().to_owned(),
            task.verdict.reason().map(ToString::to_string).unwrap_or_default(),
        ]
    });
    render::table(&["table", "partition", "verdict", "why"], &[], rows.collect())
}

fn stage_table(context: &Context, plan: &Plan) -> String {
    let mut stages: BTreeMap<usize, (BTreeMap<&str, usize>, BTreeMap<String, usize>)> = BTreeMap::new();
    for task in &plan.tasks {
        let (verdicts, reasons) = stages.entry(task.stage).or_default();
        *verdicts.entry(task.verdict.word()).or_default() += 1;
        if let Some(reason) = task.verdict.reason() {
            *reasons.entry(reason.to_string()).or_default() += 1;
        }
    }
    let rows = stages.into_iter().map(|(stage, (verdicts, reasons))| {
        let of = |word: &str| verdicts.get(word).map_or(String::new(), ToString::to_string);
        let most = reasons.iter().max_by_key(|(_, count)| **count).map(|(reason, _)| reason.clone());
        let mut row = vec![context.bench.assembly.pipeline.stages()[stage].table.to_string()];
        row.extend(["reuse", "restore", "run", "pending", "blocked"].map(of));
        row.push(most.unwrap_or_default().chars().take(90).collect());
        row
    });
    let headers = ["stage", "reuse", "restore", "run", "pending", "blocked", "why (most tasks)"];
    render::table(&headers, &[1, 2, 3, 4, 5], rows.collect())
}
