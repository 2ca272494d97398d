//! `lakectl backfill`: compute a long stretch of days, one published chunk after the other.

use std::sync::Arc;

use anyhow::Result;
use lakectl_pipeline::engine::Cancel;
use lakectl_pipeline::{
    Backfill, BackfillSummary, Chunk, ChunkOrder, PipelineError, RunOptions, Selected, Step,
};

use super::run::{run_id, stop_on_signal};
use super::{Done, checks, summary, tally};
use crate::args::{BackfillArgs, BackfillOrder};
use crate::context::{Context, now, runtime, who};
use crate::layout::table;
use crate::progress::Progress;
use crate::render;

pub(crate) fn backfill(context: &Context, args: &BackfillArgs) -> Result<Done> {
    if args.from > args.to {
        let message = format!("`--from {}` is after `--to {}`", args.from, args.to);
        return Err(PipelineError::usage(message, "both days are included; swap them").into());
    }
    let wanted = Backfill {
        selected: Selected {
            select: args.select.clone(),
            from: Some(args.from),
            to: Some(args.to),
            asset: args.asset.clone(),
            ..Selected::default()
        },
        chunk_days: args.chunk,
        order: match args.order {
            BackfillOrder::Oldest => ChunkOrder::Oldest,
            BackfillOrder::Newest => ChunkOrder::Newest,
        },
    };
    let started = now();
    // A wrong selection or source must not leave an empty lake behind.
    if context.lake_if_any()?.is_none() {
        context.bench.plan(None, &wanted.selected, started)?;
    }
    let lake = context.lake_for_writing()?;
    let verbose = context.global.verbose > 0;
    let progress = Arc::new(Progress::new(context.global.quiet, verbose));
    let cancel = Cancel::default();
    let options = RunOptions {
        run_id: run_id(started),
        who: who(),
        now: started,
        jobs: context.jobs(args.jobs),
        events: &|event| progress.event(&event),
        cancel: cancel.clone(),
    };
    let result = runtime()?.block_on(async {
        let stop = tokio::spawn(stop_on_signal(cancel, Arc::clone(&progress)));
        let tell = |step: &Step<'_>| progress.say(&line(step));
        let result = context.bench.backfill(lake, &wanted, options, &tell).await;
        stop.abort();
        result
    });
    progress.finish();
    let summary = result?;
    if context.json() {
        render::json(&summary);
    } else {
        render::out(&text(context, &summary));
    }
    Ok(match () {
        () if summary.interrupted => Done::Interrupted,
        () if !summary.is_success() => Done::WithFailures,
        () => Done::Well,
    })
}

fn line(step: &Step<'_>) -> String {
    let Step {
        chunk, done, of, ..
    } = step;
    let days = format!("{} to {}", chunk.from, chunk.to);
    let what = match &chunk.run {
        None => "is there already".to_owned(),
        Some(_) => format!(
            "{} computed in {:.1} s, version {}",
            render::count(chunk.ran as u64),
            chunk.seconds,
            chunk.version
        ),
    };
    let left = match (step.of - step.done, step.left) {
        (0, _) => String::new(),
        (_, left) => format!("; about {left:.0} s left"),
    };
    format!("chunk {done} of {of}, {days}: {what}{left}")
}

fn text(context: &Context, summary: &BackfillSummary) -> String {
    let state = match () {
        () if summary.interrupted => "interrupted",
        () if !summary.is_success() => "finished with failures",
        () if summary.chunks.iter().all(|chunk| chunk.run.is_none()) => "nothing to do",
        () => "done",
    };
    let sum = |of: fn(&Chunk) -> usize| {
        let all: usize = summary.chunks.iter().map(of).sum();
        render::count(all as u64)
    };
    let mut head = format!(
        "{}: {} chunks, {} tasks computed, {} restored in {:.1} s (backfill {})",
        render::heading(state),
        summary.chunks.len(),
        sum(|chunk| chunk.ran),
        sum(|chunk| chunk.restored),
        summary.seconds,
        summary.run_id
    );
    if summary.mended > 0 {
        let mended = render::count(summary.mended as u64);
        head.push_str(&format!("; {mended} failed first and did well alone"));
    }
    if summary.left > 0 {
        head.push_str(&format!(
            "\n{} chunks are left; the same command goes on with them",
            summary.left
        ));
    }
    let rows = summary.chunks.iter().filter(|chunk| chunk.run.is_some());
    let rows: Vec<Vec<String>> = rows
        .map(|chunk| {
            vec![
                chunk.from.to_string(),
                chunk.to.to_string(),
                render::count(chunk.tasks as u64),
                render::count(chunk.ran as u64),
                render::count(chunk.failed as u64),
                format!("{:.2}", chunk.seconds),
                chunk.version.to_string(),
            ]
        })
        .collect();
    let mut parts = vec![head];
    if !rows.is_empty() {
        let headers = [
            "from", "to", "selected", "ran", "failed", "seconds", "version",
        ];
        parts.push(table(&headers, &[2, 3, 4, 5, 6], rows));
    }
    let failures = summary::unheld(&summary.failures, &summary.checks);
    parts.extend(failures.as_deref().and_then(summary::failure_lines));
    parts.extend(tally::dropped(&summary.dropped, "dropped"));
    parts.extend(checks::text(&summary.checks, &context.command(true)));
    parts.push(format!(
        "{}  version {} in {}",
        render::heading("lake"),
        summary.version,
        summary.lake
    ));
    parts.join("\n\n")
}
