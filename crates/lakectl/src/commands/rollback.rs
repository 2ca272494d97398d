//! `lakectl rollback`: back to an earlier version, by a new one.

use anyhow::Result;
use lakectl_pipeline::engine::Verdict;
use lakectl_pipeline::{PipelineError, Selected};
use serde::Serialize;

use super::Done;
use super::history::{by_hand, version};
use crate::context::{Context, now};
use crate::render;

#[derive(Serialize)]
struct RolledBack {
    branch: String,
    version: u64,
    /// The version whose derived tables are published again.
    to: String,
    /// What the next run would publish: results that it takes up again, and those it would compute.
    next_run: Option<NextRun>,
}

#[derive(Serialize)]
struct NextRun {
    restore: usize,
    run: usize,
    tables: Vec<String>,
}

pub(crate) fn rollback(context: &Context, to: &str, why: &str) -> Result<Done> {
    let target = version("rollback", to)?;
    let lake = context.lake()?;
    let before = lake.head().map_err(PipelineError::from)?.version;
    let after = context.bench.rollback(&lake, target, &by_hand(why))?;
    super::project::catch_up(context, &lake);
    if let Some(behind) = context.bench.project(&lake, None) {
        render::note(&behind);
    }
    let done = RolledBack {
        branch: lake.branch().to_owned(),
        version: after.version,
        to: target.to_string(),
        next_run: next_run(context, &lake),
    };
    if context.json() {
        render::json(&done);
        return Ok(Done::Well);
    }
    let mut text = match after.version == before {
        true => format!("{} is as at {to} already; nothing was written", done.branch),
        false => format!(
            "{} is at version {}, whose derived tables are those of {to}; raw documents and overrides stay",
            done.branch, done.version
        ),
    };
    match &done.next_run {
        Some(next) if next.restore + next.run > 0 => text.push_str(&format!(
            "\nthe next run derives again from them: by today's declarations it publishes {} earlier results and computes {} tasks ({})\n\
             to stay here, go back to the declarations of that time before you run",
            render::count(next.restore as u64),
            render::count(next.run as u64),
            listed(&next.tables)
        )),
        Some(_) => text.push_str("\nthe next run has nothing to do: the declarations agree with it"),
        None => {}
    }
    render::out(&text);
    Ok(Done::Well)
}

fn listed(tables: &[String]) -> String {
    match tables.len() {
        0..=4 => tables.join(", "),
        many => format!("{} and {} more", tables[..3].join(", "), many - 3),
    }
}

/// Asks the plan, without looking at the sources. A project that cannot be planned has its own error when it runs.
fn next_run(context: &Context, lake: &lakectl_pipeline::lake::Lake) -> Option<NextRun> {
    let sources = lakectl_pipeline::Sources::unlisted();
    let selected = Selected::default();
    let plan = context
        .bench
        .plan_with(&sources, Some(lake), &selected, now())
        .map_err(|error| render::note(&format!("the next run cannot be told: {error}")))
        .ok()?;
    let mut next = NextRun {
        restore: 0,
        run: 0,
        tables: Vec::new(),
    };
    for task in &plan.tasks {
        match task.verdict {
            Verdict::Reuse => continue,
            Verdict::Restore => next.restore += 1,
            _ => next.run += 1,
        }
        next.tables.push(task.task.table.to_string());
    }
    next.tables.sort();
    next.tables.dedup();
    Some(next)
}
