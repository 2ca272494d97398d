//! `lakectl repair`: compute or fetch again what is damaged or missing.

use anyhow::Result;
use lakectl_pipeline::engine::Cancel;
use lakectl_pipeline::{Fix, RepairOptions, RepairSummary, Repaired, RunOptions};

use super::Done;
use super::run::run_id;
use crate::context::{Context, now, runtime, who};
use crate::layout::{self, wrap};
use crate::meter::Meter;
use crate::render;

pub(crate) fn repair(context: &Context, dry_run: bool, jobs: Option<usize>) -> Result<Done> {
    let lake = context.lake()?;
    let started = now();
    let meter = Meter::new(context.global.quiet);
    let options = RepairOptions {
        run: RunOptions {
            run_id: format!("{}-repair", run_id(started)),
            who: who(),
            now: started,
            jobs: context.jobs(jobs),
            events: &|_| {},
            cancel: Cancel::default(),
        },
        dry_run,
        progress: &|step| meter.step(step),
    };
    let summary = runtime()?.block_on(context.bench.repair(lake, options));
    meter.finish();
    let summary = summary?;
    summary.warnings.iter().for_each(|text| render::note(text));
    if context.json() {
        render::json(&summary);
    } else if !(context.global.quiet && summary.is_success()) {
        render::out(&text(&summary));
    }
    Ok(match summary.is_success() {
        true => Done::Well,
        false => Done::WithFailures,
    })
}

fn text(summary: &RepairSummary) -> String {
    let mut parts = vec![format!(
        "{}  {} data files ({}) and {} records read",
        render::heading(&summary.lake),
        render::count(summary.files),
        render::bytes(summary.bytes),
        render::count(summary.records)
    )];
    if summary.damaged.is_empty() {
        parts.push("nothing is damaged".to_owned());
        return parts.join("\n");
    }
    parts.extend(
        summary
            .damaged
            .iter()
            .map(|one| repaired(one, summary.dry_run)),
    );
    let left = summary.damaged.iter().filter(|one| one.fix == Fix::None);
    let left = left.count() as u64;
    let mended = summary.damaged.len() as u64 - left;
    let would = if summary.dry_run { "can be " } else { "" };
    parts.push(match left {
        0 => format!(
            "{} damaged files, all {would}repaired",
            render::count(mended)
        ),
        _ => format!(
            "{} {would}repaired, {} not",
            render::count(mended),
            render::count(left)
        ),
    });
    parts.join("\n\n")
}

fn repaired(one: &Repaired, dry_run: bool) -> String {
    let done = match (one.fix, dry_run) {
        (Fix::Computed, false) => "computed again",
        (Fix::Computed, true) => "can be computed again",
        (Fix::Fetched, false) => "its documents were found again",
        (Fix::Fetched, true) => {
            "will be fetched again, as far as its source has the same documents"
        }
        (Fix::SetAside, false) => "set aside, and what is published is recorded",
        (Fix::SetAside, true) => "will be set aside",
        (Fix::Projected, false) => "made again from the log",
        (Fix::Projected, true) => "will be made again from the log",
        (Fix::Forgotten, false) => "forgotten",
        (Fix::Forgotten, true) => "will be forgotten",
        (Fix::None, _) => "not repaired",
    };
    let what = one.task.as_deref().unwrap_or("record");
    let line = match one.detail.is_empty() {
        true => done.to_owned(),
        false => format!("{done}: {}", one.detail),
    };
    let width = layout::width().saturating_sub(2);
    format!(
        "{}\n  {what}: {}\n  {}",
        render::heading(&one.path),
        one.problem,
        wrap(&line, width, "  ")
    )
}
