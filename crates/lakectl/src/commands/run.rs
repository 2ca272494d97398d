//! `lakectl run`: compute what is missing or stale, publish it, say what happened.

use std::sync::Arc;

use anyhow::Result;
use lakectl_core::UtcTime;
use lakectl_pipeline::engine::Cancel;
use lakectl_pipeline::lake::Lake;
use lakectl_pipeline::{Forecast, Quarantine, RunOptions, RunSummary, StageSummary};

use super::{Done, plan, selected};
use crate::args::RunArgs;
use crate::context::{Context, now, runtime};
use crate::progress::Progress;
use crate::render;

/// Failures shown in full; the rest is counted.
const FAILURES_SHOWN: usize = 10;

pub(crate) fn run(context: &Context, args: &RunArgs) -> Result<Done> {
    if args.dry_run {
        return plan::plan(context, &args.selection, false);
    }
    let started = now();
    let lake = context.lake_for_writing()?;
    let progress = Progress::new(context.global.quiet, context.global.verbose > 0);
    let cancel = Cancel::default();
    let options = RunOptions {
        run_id: run_id(started),
        now: started,
        jobs: context.jobs(args.jobs),
        events: &|event| progress.event(&event),
        cancel: cancel.clone(),
        known_until: None,
    };
    let summary = runtime()?.block_on(async {
        let stop = tokio::spawn(stop_on_signal(cancel));
        let result = context.bench.run(Arc::clone(&lake), &selected(&args.selection), options).await;
        stop.abort();
        result.map(|(summary, _)| summary)
    });
    progress.finish();
    let summary = summary?;
    if context.json() {
        render::json(&summary);
    } else if !context.global.quiet {
        render::out(&text(context, &lake, &summary)?);
    }
    Ok(match () {
        () if summary.interrupted => Done::Interrupted,
        () if !summary.is_success() => Done::WithFailures,
        () if args.strict && summary.quarantined > 0 => Done::WithFailures,
        () => Done::Well,
    })
}

/// A name that sorts by time and differs between processes that start together.
fn run_id(started: UtcTime) -> String {
    let stamp: String = started.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{}-{:05}", stamp.get(..15).unwrap_or(&stamp), std::process::id() % 100_000)
}

/// Asks the run to end on Ctrl-C or SIGTERM; what is done is kept.
async fn stop_on_signal(cancel: Cancel) {
    let terminate = async {
        #[cfg(unix)]
        if let Ok(mut signal) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            signal.recv().await;
            return;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
    render::note("stopping; finished tasks are kept, and the next run goes on from there");
    cancel.cancel();
}

fn text(context: &Context, lake: &Arc<Lake>, summary: &RunSummary) -> Result<String> {
    let mut parts = vec![headline(summary)];
    let busy: Vec<&StageSummary> =
        summary.stages.iter().filter(|s| s.ran + s.failed + s.blocked + s.restored > 0).collect();
    if !busy.is_empty() {
        parts.push(stage_table(&busy));
    }
    parts.extend(failures(summary));
    let quarantine = context.bench.quarantine(lake)?;
    if !quarantine.is_empty() {
        parts.push(quarantine_text(&quarantine));
    }
    let forecasts = context.bench.newest_forecasts(lake)?;
    if !forecasts.is_empty() {
        parts.push(forecast_table(&forecasts));
    }
    parts.push(format!("{}  version {} in {}", render::heading("lake"), summary.version, summary.lake));
    parts.push(next_steps(context, summary));
    Ok(parts.join("\n\n"))
}

fn headline(summary: &RunSummary) -> String {
    let tasks = summary.tasks;
    let state = match () {
        () if summary.interrupted => "interrupted",
        () if !summary.is_success() => "finished with failures",
        () if tasks.ran + tasks.restored == 0 => "nothing to do",
        () => "done",
    };
    let mut words = vec![format!("{} ran", tasks.ran), format!("{} reused", tasks.reused)];
    for (count, word) in [(tasks.restored, "restored"), (tasks.failed, "failed"), (tasks.blocked, "blocked")] {
        if count > 0 {
            words.push(format!("{count} {word}"));
        }
    }
    format!(
        "{}: {} of {} tasks in {:.1} s (run {}, profile {})",
        render::heading(state),
        words.join(", "),
        render::count(tasks.total as u64),
        summary.seconds,
        summary.run_id,
        summary.profile
    )
}

fn stage_table(stages: &[&StageSummary]) -> String {
    let rows = stages.iter().map(|stage| {
        vec![
            stage.table.clone(),
            stage.ran.to_string(),
            (stage.reused + stage.restored).to_string(),
            if stage.failed + stage.blocked > 0 { (stage.failed + stage.blocked).to_string() } else { String::new() },
            render::count(stage.rows),
            format!("{:.2}", stage.seconds),
            stage.reason.clone().unwrap_or_default().chars().take(60).collect(),
        ]
    });
    render::table(&["stage", "ran", "kept", "failed", "rows", "seconds", "why"], &[1, 2, 3, 4, 5], rows.collect())
}

fn failures(summary: &RunSummary) -> Option<String> {
    let mut lines: Vec<String> = Vec::new();
    for failure in summary.failures.iter().take(FAILURES_SHOWN) {
        lines.push(format!("failed: {}: {}", failure.task, failure.message));
        lines.extend(failure.hint.iter().map(|hint| format!("  hint: {hint}")));
    }
    if summary.failures.len() > FAILURES_SHOWN {
        lines.push(format!("and {} more; `--format json` lists all", summary.failures.len() - FAILURES_SHOWN));
    }
    for task in summary.vanished.iter().take(FAILURES_SHOWN) {
        lines.push(format!("kept although its source does not list it any more: {task}"));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn quarantine_text(entries: &[Quarantine]) -> String {
    let rows = entries.iter().map(|entry| {
        vec![
            entry.table.clone(),
            entry.reason.clone(),
            entry.severity.clone(),
            render::count(entry.rows),
            render::count(entry.documents),
            entry.example.chars().take(64).collect(),
        ]
    });
    let table = render::table(&["table", "reason", "", "entries", "documents", "for example"], &[3, 4], rows.collect());
    format!("{}\n{table}", render::heading("quarantine"))
}

fn forecast_table(forecasts: &[Forecast]) -> String {
    let rows = forecasts.iter().map(|forecast| {
        let at = |quantile: f64| format!("{:.0}", forecast.price * quantile.exp());
        let mut row = vec![
            forecast.asset.clone(),
            forecast.as_of.clone(),
            format!("{} h", forecast.horizon_hours),
            format!("{:.0}", forecast.price),
        ];
        row.extend(forecast.quantiles.iter().map(|q| at(*q)));
        row.push(forecast.basis.clone());
        row
    });
    let headers = ["asset", "as of", "horizon", "price", "5 %", "25 %", "50 %", "75 %", "95 %", "basis"];
    format!(
        "{} (price in USD at the end of the horizon, by quantile)\n{}",
        render::heading("newest forecasts"),
        render::table(&headers, &[2, 3, 4, 5, 6, 7, 8], rows.collect())
    )
}

fn next_steps(context: &Context, summary: &RunSummary) -> String {
    let mut flags = String::new();
    if context.global.profile != "demo" {
        flags = format!(" --profile {}", context.global.profile);
    }
    if let Some(lake) = &context.global.lake {
        flags.push_str(&format!(" --lake {lake}"));
    }
    let mut lines = vec![render::heading("try next")];
    if summary.is_success() {
        lines.push(format!("  lakectl{flags} run                  go on to the scores; what is computed is not computed again"));
        lines.push(format!(
            "  lakectl{flags} sql \"SELECT asset, as_of, q05, q50, q95 FROM forecast.quantiles ORDER BY as_of DESC LIMIT 4\""
        ));
        lines.push(format!("  lakectl{flags} show forecast.quantiles"));
    } else {
        lines.push(format!("  lakectl{flags} status               what failed, what is stale, what is quarantined"));
        lines.push(format!("  lakectl{flags} run                  goes on with what is missing"));
    }
    lines.join("\n")
}
