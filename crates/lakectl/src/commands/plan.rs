//! `lakectl plan`: what `run` would do, and why.

use std::collections::BTreeMap;

use anyhow::Result;
use lakectl_core::TaskKey;
use lakectl_pipeline::engine::{Cost, Estimate, OpenCheck, Plan, Verdict};
use lakectl_pipeline::{CheckFailure, PipelineError, check_failures};
use serde::Serialize;

use super::tally::{self, Causes, Counts, reason};
use super::{Done, checks, selected};
use crate::args::Selection;
use crate::context::{Context, now};
use crate::layout::table;
use crate::render;

#[derive(Serialize)]
struct TaskLine {
    table: String,
    partition: String,
    verdict: &'static str,
    reason: String,
    note: Option<String>,
    #[serde(flatten)]
    cost: CostLine,
}

/// What is expected of a task; null for one that is left alone, or that there is nothing to go by.
#[derive(Serialize)]
struct CostLine {
    seconds: Option<f64>,
    rows: Option<u64>,
    bytes: Option<u64>,
}

#[derive(Serialize)]
struct StageLine {
    stage: String,
    #[serde(flatten)]
    tasks: Counts,
    reason: Option<String>,
    estimate: Estimate,
}

#[derive(Serialize)]
struct EstimateLine {
    jobs: usize,
    run: Expected,
    with_pending: Expected,
}

/// What some tasks take together, and how long that is from beginning to end.
#[derive(Serialize)]
struct Expected {
    #[serde(flatten)]
    sum: Estimate,
    elapsed: f64,
}

#[derive(Serialize)]
struct PlanJson {
    profile: String,
    lake: String,
    version: u64,
    last_day: String,
    tasks: Counts,
    estimate: EstimateLine,
    stages: Vec<StageLine>,
    plan: Vec<TaskLine>,
    vanished: Vec<String>,
    dropped: Vec<String>,
    checks: Vec<CheckFailure>,
    open_checks: Vec<OpenCheck>,
}

/// A plan with what it is expected to cost.
struct Told<'a> {
    context: &'a Context,
    plan: Plan,
    costs: Vec<Option<Cost>>,
    jobs: usize,
}

pub(crate) fn plan(
    context: &Context,
    selection: &Selection,
    every_task: bool,
    jobs: Option<usize>,
) -> Result<Done> {
    let wanted = selected(selection)?;
    context
        .idle_queries()
        .iter()
        .for_each(|text| render::note(text));
    let lake = context.lake_if_any()?;
    let plan = context.bench.plan(lake.as_ref(), &wanted, now())?;
    let told = Told {
        context,
        costs: plan.costs(&context.bench.assembly.pipeline),
        plan,
        jobs: context.jobs(jobs),
    };
    if context.json() {
        let version = lake
            .as_ref()
            .map(|lake| lake.head())
            .transpose()
            .map_err(PipelineError::from)?;
        render::json(&told.json(&context.shown_address()?, version.map_or(0, |v| v.version)));
    } else {
        render::out(&told.text(every_task));
    }
    Ok(Done::Well)
}

fn names(tasks: &[TaskKey]) -> Vec<String> {
    tasks.iter().map(ToString::to_string).collect()
}

fn runs(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Run(_))
}

fn may_run(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Run(_) | Verdict::Pending(_))
}

impl Told<'_> {
    fn expected(&self, counts: fn(&Verdict) -> bool) -> Expected {
        Expected {
            sum: self.plan.estimate(&self.costs, counts),
            elapsed: self.plan.elapsed(&self.costs, self.jobs, counts),
        }
    }

    fn json(&self, lake: &str, version: u64) -> PlanJson {
        let plan = &self.plan;
        PlanJson {
            profile: self.context.global.profile.clone(),
            lake: lake.to_owned(),
            version,
            last_day: plan.end.plus(-1).to_string(),
            tasks: Counts::of(&plan.tasks),
            estimate: EstimateLine {
                jobs: self.jobs,
                run: self.expected(runs),
                with_pending: self.expected(may_run),
            },
            stages: self.stages(&Causes::none()),
            plan: (0..plan.tasks.len()).map(|task| self.task(task)).collect(),
            vanished: names(&plan.vanished),
            dropped: names(&plan.abandoned),
            checks: check_failures(&plan.checks, &[]),
            open_checks: plan.open_checks.clone(),
        }
    }

    fn task(&self, index: usize) -> TaskLine {
        let task = &self.plan.tasks[index];
        let cost = self.costs[index].filter(|_| may_run(&task.verdict));
        TaskLine {
            table: task.task.table.to_string(),
            partition: task.task.partition.to_string(),
            verdict: task.verdict.word(),
            reason: reason(&task.verdict),
            note: task.note.clone(),
            cost: CostLine {
                seconds: cost.map(|cost| cost.seconds),
                rows: cost.map(|cost| cost.rows),
                bytes: cost.map(|cost| cost.bytes),
            },
        }
    }

    /// The stages in the order of the graph, each with the reason of most of its tasks.
    fn stages(&self, causes: &Causes) -> Vec<StageLine> {
        let stages = &self.context.bench.assembly.pipeline.stages();
        let grouped = tally::by_stage(&self.plan).into_iter();
        let lines = grouped.map(|(stage, tasks)| {
            let verdicts = || tasks.iter().map(|i| &self.plan.tasks[*i].verdict);
            let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
            for verdict in verdicts().filter(|verdict| **verdict != Verdict::Reuse) {
                *reasons.entry(causes.reason_beside(verdict)).or_default() += 1;
            }
            let mut estimate = Estimate::default();
            for index in tasks
                .iter()
                .filter(|i| may_run(&self.plan.tasks[**i].verdict))
            {
                estimate.add(self.costs[*index].as_ref());
            }
            StageLine {
                stage: stages[stage].table.to_string(),
                tasks: Counts::of(tasks.iter().map(|i| &self.plan.tasks[*i])),
                reason: reasons
                    .into_iter()
                    .max_by_key(|(_, count)| *count)
                    .map(|(reason, _)| reason),
                estimate,
            }
        });
        lines.collect()
    }

    fn text(&self, every_task: bool) -> String {
        let causes = Causes::of(&self.plan);
        let mut parts = vec![self.headline()];
        let told: Vec<String> = causes
            .iter()
            .map(|(change, tasks, stages)| {
                format!(
                    "{change}: {} tasks of {stages} stages are computed again for it",
                    render::count(tasks as u64)
                )
            })
            .collect();
        if !told.is_empty() {
            parts.push(told.join("\n"));
        }
        let busy: Vec<StageLine> = self
            .stages(&causes)
            .into_iter()
            .filter(|line| line.tasks.stale() > 0)
            .collect();
        match (every_task, busy.is_empty()) {
            (true, _) => parts.push(self.task_table()),
            (false, true) => parts.push(match self.is_idle() {
                true => "nothing to do".to_owned(),
                false => "nothing to compute".to_owned(),
            }),
            (false, false) => parts.push(format!(
                "{}\n(`plan --tasks` gives every task and its reason)",
                stage_table(busy)
            )),
        }
        parts.extend(self.cost_text());
        parts.extend(tally::vanished(&names(&self.plan.vanished)));
        let dropped = names(&self.plan.abandoned);
        parts.extend(tally::dropped(&dropped, "a run drops these"));
        parts.extend(checks::open_text(&self.plan.open_checks));
        let failures = check_failures(&self.plan.checks, &[]);
        parts.extend(checks::text(&failures, &self.context.command(true)));
        parts.join("\n\n")
    }

    /// Tells whether a run would change and find nothing.
    fn is_idle(&self) -> bool {
        self.plan.open_checks.is_empty() && self.plan.abandoned.is_empty()
    }

    fn headline(&self) -> String {
        let counts = Counts::of(&self.plan.tasks);
        let words: Vec<String> = counts
            .named()
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(word, count)| format!("{} {word}", render::count(count as u64)))
            .collect();
        format!(
            "{} of {} tasks up to {}: {}",
            render::heading("plan"),
            render::count(counts.total as u64),
            self.plan.end.plus(-1),
            words.join(", ")
        )
    }

    fn task_table(&self) -> String {
        let rows = (0..self.plan.tasks.len()).map(|index| {
            let line = self.task(index);
            vec![
                line.table,
                line.partition,
                line.verdict.to_owned(),
                line.cost.seconds.map(seconds).unwrap_or_default(),
                line.reason,
            ]
        });
        table(
            &["table", "partition", "verdict", "seconds", "why"],
            &[3],
            rows.collect(),
        )
    }

    /// What the run is expected to take, and what is not known of that.
    fn cost_text(&self) -> Option<String> {
        let all = self.expected(may_run);
        if all.sum.tasks == 0 {
            return None;
        }
        let sure = self.expected(runs);
        let say = |expected: &Expected| {
            let Expected { sum, elapsed } = expected;
            format!(
                "{} tasks, about {} s with {} at a time ({} s of work), {} rows, {}",
                render::count(sum.tasks as u64),
                seconds(*elapsed),
                self.jobs,
                seconds(sum.cost.seconds),
                render::count(sum.cost.rows),
                render::bytes(sum.cost.bytes)
            )
        };
        let mut text = format!("{}  {}", render::heading("estimate"), say(&sure));
        if all.sum.tasks > sure.sum.tasks {
            text.push_str(&format!("\nif all pending ones run: {}", say(&all)));
        }
        if all.sum.unknown > 0 {
            text.push_str(&format!(
                "\n{} of these tasks have no estimate: no result of their stage is published",
                render::count(all.sum.unknown as u64)
            ));
        }
        Some(text)
    }
}

/// A table with a column for each verdict that there is, so that the reasons have room.
fn stage_table(stages: Vec<StageLine>) -> String {
    let number = |count: usize| match count {
        0 => String::new(),
        _ => render::count(count as u64),
    };
    let mut sums = [0; 5];
    for line in &stages {
        for (sum, (_, count)) in sums.iter_mut().zip(line.tasks.named()) {
            *sum += count;
        }
    }
    let there = |named: [(&'static str, usize); 5]| {
        let with_sum = named.into_iter().zip(sums);
        with_sum.filter(|(_, sum)| *sum > 0).map(|(named, _)| named)
    };
    let mut headers = vec!["stage"];
    headers.extend(there(Counts::default().named()).map(|(word, _)| word));
    headers.extend(["seconds", "rows", "bytes", "why (most tasks)"]);
    let right: Vec<usize> = (1..headers.len() - 1).collect();
    let rows = stages.into_iter().map(|line| {
        let mut row = vec![line.stage];
        row.extend(there(line.tasks.named()).map(|(_, count)| number(count)));
        let Estimate {
            tasks,
            unknown,
            cost,
        } = line.estimate;
        let known = |text: String| match tasks - unknown {
            0 => String::new(),
            _ => text,
        };
        row.extend([
            known(seconds(cost.seconds)),
            known(render::count(cost.rows)),
            known(render::bytes(cost.bytes)),
            line.reason.unwrap_or_default(),
        ]);
        row
    });
    table(&headers, &right, rows.collect())
}

fn seconds(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 0.095 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
