//! `lakectl run`: compute what is missing or stale, publish it, say what happened.

use std::sync::Arc;

use anyhow::Result;
use lakectl_core::UtcTime;
use lakectl_pipeline::engine::Cancel;
use lakectl_pipeline::{
    OpenFailure, PipelineError, RunOptions, RunSummary, Undone, peak_memory_bytes,
};
use serde_json::{Map, Value, json};

use super::{Done, checks, plan, selected, summary, tally};
use crate::args::RunArgs;
use crate::context::{Context, now, runtime, who};
use crate::events::EventFile;
use crate::progress::Progress;
use crate::render;
use crate::signals::Signals;

/// So many tasks that are tried again are told one by one.
const RETRIES_SHOWN: usize = 10;

pub(crate) fn run(context: &Context, args: &RunArgs) -> Result<Done> {
    if args.dry_run {
        return plan::plan(context, &args.selection, false, args.jobs);
    }
    let mut wanted = selected(&args.selection)?;
    context
        .idle_queries()
        .iter()
        .for_each(|text| render::note(text));
    let started = now();
    let undone = match args.retry_failed {
        true => {
            let undone = undone(context, started)?;
            if undone.tasks().is_empty() {
                return Ok(nothing_to_try(context, &undone));
            }
            undone
        }
        false => Undone::default(),
    };
    wanted.tasks = args.retry_failed.then(|| undone.tasks());
    // A wrong selection or source must not leave an empty lake behind.
    if context.lake_if_any()?.is_none() {
        context.bench.plan(None, &wanted, started)?;
    }
    let lake = context.lake_for_writing()?;
    let progress = Arc::new(Progress::new(
        context.global.quiet,
        context.global.verbose > 0,
    ));
    let run = run_id(started);
    let file = args
        .events
        .as_deref()
        .map(|path| EventFile::create(path, &run));
    let file = file.transpose()?;
    let cancel = Cancel::default();
    let jobs = context.jobs(args.jobs);
    if let Some(file) = &file {
        let lake = lake.root().display().to_string();
        file.line(
            started,
            "run_started",
            fields(json!({
                "profile": context.global.profile, "lake": lake, "who": who(), "jobs": jobs,
            })),
        );
    }
    let options = RunOptions {
        run_id: run,
        who: who(),
        now: started,
        jobs,
        events: &|event| {
            progress.event(&event);
            if let Some(file) = &file {
                file.event(now(), &event);
            }
        },
        cancel: cancel.clone(),
    };
    let summary = runtime()?.block_on(async {
        let stop = tokio::spawn(stop_on_signal(cancel, Arc::clone(&progress)));
        let result = context.bench.run(Arc::clone(&lake), &wanted, options).await;
        stop.abort();
        result.map(|(summary, _)| summary)
    });
    progress.finish();
    if let Some(file) = &file {
        file.line(now(), "run_finished", fields(outcome(summary.as_ref())));
    }
    let summary = match summary {
        Ok(mut summary) => {
            undone.tell(&mut summary);
            summary
        }
        Err(error) => return Err(error.into()),
    };
    if context.json() {
        render::json(&summary);
    } else if !context.global.quiet {
        render::out(&summary::text(context, &lake, &summary, &args.selection)?);
    } else {
        [
            summary::failures(&summary),
            tally::dropped(&summary.dropped, "dropped"),
            checks::text(&summary.checks, &context.command(true)),
            summary::warnings(&summary),
        ]
        .iter()
        .flatten()
        .for_each(|text| render::alarm(text));
    }
    Ok(match () {
        () if summary.interrupted => Done::Interrupted,
        () if !summary.is_success() => Done::WithFailures,
        () if args.strict && has_warnings(&summary) => Done::WithFailures,
        () => Done::Well,
    })
}

/// What a run came to, for the file of events.
fn outcome(result: Result<&RunSummary, &PipelineError>) -> Value {
    match result {
        Ok(summary) => json!({
            "outcome": summary.outcome(), "version": summary.version, "tasks": summary.tasks,
            "seconds": summary.seconds, "peak_memory_bytes": peak_memory_bytes(),
        }),
        Err(error) => {
            json!({ "outcome": "failed", "message": error.to_string(), "hint": error.hint() })
        }
    }
}

fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Returns what runs left undone, and says it.
fn undone(context: &Context, now: UtcTime) -> Result<Undone> {
    let undone = match context.lake_if_any()? {
        Some(lake) => context.bench.undone(&lake, now)?,
        None => Undone::default(),
    };
    if undone.failures.is_empty() {
        return Ok(undone);
    }
    render::note("trying again what failed or was blocked:");
    for open in undone.failures.iter().take(RETRIES_SHOWN) {
        let failure = &open.failure;
        render::note(&format!(
            "  {}: {} (run {})",
            failure.task, failure.message, open.run
        ));
    }
    if undone.failures.len() > RETRIES_SHOWN {
        let more = undone.failures.len() - RETRIES_SHOWN;
        render::note(&format!("  and {more} more"));
    }
    Ok(undone)
}

/// No task failed, or none that could be tried alone. What is open nevertheless is a failure all the same.
fn nothing_to_try(context: &Context, undone: &Undone) -> Done {
    let open = !undone.checks.is_empty() || !undone.whole.is_empty();
    if context.json() {
        render::json(&json!({
            "retried": [], "failures": undone.whole, "checks": undone.checks,
        }));
    } else {
        let mut parts = vec![match open {
            true => "no task failed or was blocked; this is open:".to_owned(),
            false => "nothing failed or was blocked in the last run".to_owned(),
        }];
        for OpenFailure { run, failure } in &undone.whole {
            let (task, message) = (&failure.task, &failure.message);
            parts.push(format!(
                "{task}: {message} (run {run}); `{} run` tries again",
                context.command(true)
            ));
        }
        parts.extend(checks::text(&undone.checks, &context.command(true)));
        if !undone.checks.is_empty() {
            parts.push(format!(
                "the same rows would fail again: correct what they are made of, or accept them with `{} override accept-check`",
                context.command(true)
            ));
        }
        render::out(&parts.join("\n\n"));
    }
    match open {
        true => Done::WithFailures,
        false => Done::Well,
    }
}

fn has_warnings(summary: &RunSummary) -> bool {
    let failed = summary.checks.iter().any(|check| !check.accepted);
    let told = !summary.vanished.is_empty() || !summary.warnings.is_empty();
    summary.quarantined > 0 || told || failed
}

/// A name that sorts by time and differs between processes that start together.
pub(crate) fn run_id(started: UtcTime) -> String {
    let stamp: String = started
        .to_string()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    format!(
        "{}-{:05}",
        stamp.get(..15).unwrap_or(&stamp),
        std::process::id() % 100_000
    )
}

/// Asks the run to end on Ctrl-C or SIGTERM; what is done is kept. A second one does not wait: a lake survives that.
pub(super) async fn stop_on_signal(cancel: Cancel, progress: Arc<Progress>) {
    let Ok(mut signals) = Signals::new() else {
        return;
    };
    signals.next().await;
    progress.say("stopping; finished tasks are kept, and the next run goes on from there");
    cancel.cancel();
    signals.next().await;
    std::process::exit(i32::from(crate::EXIT_INTERRUPTED));
}
