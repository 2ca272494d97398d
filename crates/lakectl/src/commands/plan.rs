//! `lakectl plan`: what `run` would do, and why.

use std::collections::BTreeMap;

use anyhow::Result;
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::engine::{Plan, PlannedTask, Verdict};
use serde::Serialize;

use super::{Done, selected};
use crate::args::Selection;
use crate::context::{Context, now};
use crate::layout::table;
use crate::render;

/// As many tasks are listed one by one; more are summed up by stage.
const TASKS_SHOWN: usize = 30;
/// The verdicts in the order in which they are told.
const VERDICTS: [&str; 5] = ["reuse", "restore", "run", "pending", "blocked"];

#[derive(Serialize)]
struct TaskLine {
    table: String,
    partition: String,
    verdict: &'static str,
    reason: String,
    note: Option<String>,
}

#[derive(Serialize)]
struct PlanJson {
    profile: String,
    lake: String,
    version: u64,
    last_day: String,
    tasks: serde_json::Map<String, serde_json::Value>,
    plan: Vec<TaskLine>,
    vanished: Vec<String>,
}

pub(crate) fn plan(context: &Context, selection: &Selection, every_task: bool) -> Result<Done> {
    let wanted = selected(selection)?;
    let lake = context.lake_if_any()?;
    let plan = context.bench.plan(lake.as_ref(), &wanted, now())?;
    if context.json() {
        let version = lake
            .as_ref()
            .map(|lake| lake.head())
            .transpose()
            .map_err(PipelineError::from)?;
        let counts = counts(&plan)
            .into_iter()
            .map(|(word, count)| (word.to_owned(), count.into()));
        render::json(&PlanJson {
            profile: context.global.profile.clone(),
            lake: context.shown_address()?,
            version: version.map_or(0, |head| head.version),
            last_day: plan.end.plus(-1).to_string(),
            tasks: counts.collect(),
            plan: plan.tasks.iter().map(line).collect(),
            vanished: plan.vanished.iter().map(ToString::to_string).collect(),
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
        reason: reason(&task.verdict),
        note: task.note.clone(),
    }
}

/// Every task has a reason, also for being left alone.
fn reason(verdict: &Verdict) -> String {
    match (verdict, verdict.reason()) {
        (_, Some(reason)) => reason.to_string(),
        (Verdict::Restore, None) => "computed before; its rows are published again".to_owned(),
        (_, None) => "nothing it is made from has changed".to_owned(),
    }
}

fn counts(plan: &Plan) -> Vec<(&'static str, usize)> {
    let of = |word: &str| {
        plan.tasks
            .iter()
            .filter(|task| task.verdict.word() == word)
            .count()
    };
    let mut counts = vec![("total", plan.tasks.len())];
    counts.extend(VERDICTS.map(|word| (word, of(word))));
    counts
}

fn text(context: &Context, plan: &Plan, every_task: bool) -> String {
    let words: Vec<String> = counts(plan)
        .into_iter()
        .filter(|(word, count)| *word != "total" && *count > 0)
        .map(|(word, count)| format!("{} {word}", render::count(count as u64)))
        .collect();
    let mut parts = vec![format!(
        "{} of {} tasks up to {}: {}",
        render::heading("plan"),
        render::count(plan.tasks.len() as u64),
        plan.end.plus(-1),
        if words.is_empty() {
            "nothing selected".to_owned()
        } else {
            words.join(", ")
        }
    )];
    let busy: Vec<&PlannedTask> = plan
        .tasks
        .iter()
        .filter(|task| task.verdict != Verdict::Reuse)
        .collect();
    parts.push(match (every_task, busy.len()) {
        (true, _) => task_table(plan.tasks.iter()),
        (false, 0) => "nothing to do".to_owned(),
        (false, 1..=TASKS_SHOWN) => task_table(busy.into_iter()),
        _ => format!(
            "{}\n(`plan --tasks` gives every task and its reason)",
            stage_table(context, plan)
        ),
    });
    for task in &plan.vanished {
        parts.push(format!(
            "kept although its source does not list it any more: {task}"
        ));
    }
    parts.join("\n\n")
}

fn task_table<'a>(tasks: impl Iterator<Item = &'a PlannedTask>) -> String {
    let rows = tasks.map(|task| {
        vec![
            task.task.table.to_string(),
            task.task.partition.to_string(),
            task.verdict.word().to_owned(),
            reason(&task.verdict),
        ]
    });
    table(
        &["table", "partition", "verdict", "why"],
        &[],
        rows.collect(),
    )
}

/// Stages with something to do, with the reason of most of their tasks.
fn stage_table(context: &Context, plan: &Plan) -> String {
    /// Numbers of tasks by verdict, and by reason.
    type Tally<'a> = (BTreeMap<&'a str, usize>, BTreeMap<String, usize>);
    let mut stages: BTreeMap<usize, Tally<'_>> = BTreeMap::new();
    for task in &plan.tasks {
        let (verdicts, reasons) = stages.entry(task.stage).or_default();
        *verdicts.entry(task.verdict.word()).or_default() += 1;
        if task.verdict != Verdict::Reuse {
            *reasons.entry(reason(&task.verdict)).or_default() += 1;
        }
    }
    let busy = stages
        .into_iter()
        .filter(|(_, (_, reasons))| !reasons.is_empty());
    let rows = busy.map(|(stage, (verdicts, reasons))| {
        let of = |word: &str| {
            verdicts
                .get(word)
                .map_or(String::new(), ToString::to_string)
        };
        let most = reasons
            .iter()
            .max_by_key(|(_, count)| **count)
            .map(|(reason, _)| reason.clone());
        let mut row = vec![
            context.bench.assembly.pipeline.stages()[stage]
                .table
                .to_string(),
        ];
        row.extend(VERDICTS.map(of));
        row.push(most.unwrap_or_default());
        row
    });
    let headers = [
        "stage",
        "reuse",
        "restore",
        "run",
        "pending",
        "blocked",
        "why (most tasks)",
    ];
    table(&headers, &[1, 2, 3, 4, 5], rows.collect())
}
