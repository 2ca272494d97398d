//! `lakectl run`: compute what is missing or stale, publish it, say what happened.

use std::sync::Arc;

use anyhow::Result;
use lakectl_core::{ErrorKind, UtcTime};
use lakectl_pipeline::engine::Cancel;
use lakectl_pipeline::{PipelineError, RunOptions, RunSummary, peak_memory_bytes};
use serde_json::{Map, Value, json};

use super::{Done, plan, selected, summary};
use crate::args::RunArgs;
use crate::context::{Context, now, runtime, who};
use crate::events::EventFile;
use crate::progress::Progress;
use crate::render;
use crate::signals::Signals;

pub(crate) fn run(context: &Context, args: &RunArgs) -> Result<Done> {
    if args.dry_run {
        return plan::plan(context, &args.selection, false, args.jobs);
    }
    let wanted = selected(&args.selection)?;
    let started = now();
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
        Ok(summary) => summary,
        Err(error) if error.kind() == ErrorKind::Input => return Err(error.into()),
        // Nothing wrong with what was asked: the disk, or another run, came in between.
        Err(error) => {
            render::error(&error.into());
            return Ok(Done::WithFailures);
        }
    };
    if context.json() {
        render::json(&summary);
    } else if !context.global.quiet {
        render::out(&summary::text(context, &lake, &summary, &args.selection)?);
    } else {
        [summary::failures(&summary), summary::warnings(&summary)]
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

fn has_warnings(summary: &RunSummary) -> bool {
    summary.quarantined > 0 || !summary.vanished.is_empty() || !summary.warnings.is_empty()
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
