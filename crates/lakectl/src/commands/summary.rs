//! What a run has to say to people.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use lakectl_pipeline::lake::Lake;
use lakectl_pipeline::{CheckFailure, Failure, Forecast, Quarantine, RunSummary, StageSummary};

use super::{checks, tally};
use crate::args::Selection;
use crate::context::{Context, quoted};
use crate::layout::{self, table};
use crate::render;

/// Failures shown in full; the rest is counted.
const FAILURES_SHOWN: usize = 10;
/// Quarantine entries shown; the rest is counted.
const QUARANTINE_SHOWN: usize = 20;
/// So many datasets' stages of one schema are summed up in one line.
const DATASETS_SHOWN: usize = 4;
/// Schemas with one table a dataset.
pub(crate) const DATASET_SCHEMAS: [&str; 2] = ["raw", "norm"];

/// The summary of a run.
pub(crate) fn text(
    context: &Context,
    lake: &Arc<Lake>,
    summary: &RunSummary,
    selection: &Selection,
) -> Result<String> {
    let mut parts = vec![headline(summary)];
    parts.extend(stage_table(summary, context.global.verbose > 0));
    parts.extend(failures(summary));
    parts.extend(tally::dropped(&summary.dropped, "dropped"));
    parts.extend(warnings(summary));
    parts.extend(checks::text(&summary.checks, &context.command(true)));
    parts.extend(quarantine(&context.bench.quarantine(lake)?));
    parts.extend(forecasts(&context.bench.newest_forecasts(lake)?));
    parts.push(match summary.version {
        0 => format!(
            "{}  nothing published yet in {}",
            render::heading("lake"),
            summary.lake
        ),
        version => format!(
            "{}  version {version} in {}",
            render::heading("lake"),
            summary.lake
        ),
    });
    parts.push(next_steps(context, summary, selection));
    Ok(parts.join("\n\n"))
}

fn headline(summary: &RunSummary) -> String {
    let tasks = summary.tasks;
    let state = match () {
        () if summary.interrupted => "interrupted",
        () if !summary.is_success() => "finished with failures",
        () if tasks.ran + tasks.restored + summary.dropped.len() == 0 => "nothing to do",
        () => "done",
    };
    let amount = |count: usize| render::count(count as u64);
    let mut words = vec![
        format!("{} ran", amount(tasks.ran)),
        format!("{} reused", amount(tasks.reused)),
    ];
    for (count, word) in [
        (tasks.restored, "restored"),
        (tasks.failed, "failed"),
        (tasks.blocked, "blocked"),
    ] {
        if count > 0 {
            words.push(format!("{} {word}", amount(count)));
        }
    }
    format!(
        "{}: {} of {} tasks in {:.1} s (run {}, profile {})",
        render::heading(state),
        words.join(", "),
        amount(tasks.total),
        summary.seconds,
        summary.run_id,
        summary.profile
    )
}

/// One line of the table of stages: a stage, or the untroubled datasets of a schema together.
struct Line {
    name: String,
    sum: StageSummary,
}

fn stage_table(summary: &RunSummary, every: bool) -> Option<String> {
    let busy: Vec<&StageSummary> = summary
        .stages
        .iter()
        .filter(|s| s.ran + s.failed + s.blocked + s.restored > 0)
        .collect();
    if busy.is_empty() {
        return None;
    }
    let with_restored = busy.iter().any(|stage| stage.restored > 0);
    let with_failed = busy.iter().any(|stage| stage.failed + stage.blocked > 0);
    let mut headers = vec!["stage", "ran", "reused"];
    headers.extend(with_restored.then_some("restored"));
    headers.extend(with_failed.then_some("failed"));
    headers.extend(["rows", "seconds", "why"]);
    let numbers: Vec<usize> = (1..headers.len() - 1).collect();
    let rows = lines(&busy, every).into_iter().map(|line| {
        let sum = line.sum;
        let mut row = vec![
            line.name,
            render::count(sum.ran as u64),
            render::count(sum.reused as u64),
        ];
        row.extend(with_restored.then(|| sum.restored.to_string()));
        row.extend(with_failed.then(|| (sum.failed + sum.blocked).to_string()));
        row.extend([
            render::count(sum.rows),
            format!("{:.2}", sum.seconds),
            sum.reason.unwrap_or_default(),
        ]);
        row
    });
    Some(table(&headers, &numbers, rows.collect()))
}

/// Brings stages into the order of their schemas' first use, datasets first and many of them as one.
fn lines(stages: &[&StageSummary], every: bool) -> Vec<Line> {
    let mut schemas: Vec<&str> = DATASET_SCHEMAS.to_vec();
    let mut by_schema: BTreeMap<&str, Vec<&StageSummary>> = BTreeMap::new();
    for stage in stages {
        let schema = schema_of(&stage.table);
        if !schemas.contains(&schema) {
            schemas.push(schema);
        }
        by_schema.entry(schema).or_default().push(stage);
    }
    let mut lines = Vec::new();
    for schema in schemas {
        let stages = by_schema.remove(schema).unwrap_or_default();
        let untroubled = |stage: &&&StageSummary| stage.failed + stage.blocked == 0;
        let calm = stages.iter().filter(untroubled).count();
        let together = !every && DATASET_SCHEMAS.contains(&schema) && calm > DATASETS_SHOWN;
        if together {
            let calm: Vec<&StageSummary> = stages.iter().filter(untroubled).copied().collect();
            lines.push(Line {
                name: format!("{schema}.* ({} datasets)", calm.len()),
                sum: sum(&calm),
            });
        }
        let alone = stages
            .into_iter()
            .filter(|stage| !together || stage.failed + stage.blocked > 0);
        lines.extend(alone.map(|stage| Line {
            name: stage.table.clone(),
            sum: stage.clone(),
        }));
    }
    lines
}

/// The part before the dot.
pub(crate) fn schema_of(table: &str) -> &str {
    table.split('.').next().unwrap_or_default()
}

/// Adds stages up; the reason is that of the most.
fn sum(stages: &[&StageSummary]) -> StageSummary {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in stages.iter().filter_map(|stage| stage.reason.as_deref()) {
        *reasons.entry(reason).or_default() += 1;
    }
    let most = reasons
        .iter()
        .max_by_key(|(_, count)| **count)
        .map(|(reason, _)| (*reason).to_owned());
    let mut total = stages
        .first()
        .map_or_else(StageSummary::default, |first| (*first).clone());
    for stage in stages.iter().skip(1) {
        total.reused += stage.reused;
        total.restored += stage.restored;
        total.ran += stage.ran;
        total.rows += stage.rows;
        total.seconds += stage.seconds;
    }
    total.reason = match reasons.len() {
        0 | 1 => most,
        _ => most.map(|reason| format!("{reason} (others differ; -v lists every dataset)")),
    };
    total
}

/// Leaves out tasks that are held by a check: the table of checks tells them with all that there is to say.
pub(crate) fn unheld(failures: &[Failure], checks: &[CheckFailure]) -> Option<Vec<Failure>> {
    let held: BTreeSet<String> = checks
        .iter()
        .filter(|check| check.held)
        .map(|check| format!("{} {}", check.table, check.partition))
        .collect();
    let is_held = |failure: &Failure| held.contains(&failure.task) && failure.attempts.is_empty();
    let others = failures.iter().filter(|failure| !is_held(failure));
    let others: Vec<Failure> = others.cloned().collect();
    (!others.is_empty()).then_some(others)
}

/// What failed and why, with what came of trying it before.
pub(crate) fn failure_lines(failures: &[Failure]) -> Option<String> {
    let mut lines: Vec<String> = Vec::new();
    for failure in failures.iter().take(FAILURES_SHOWN) {
        lines.push(format!("failed: {}: {}", failure.task, failure.message));
        let attempts = failure.attempts.iter();
        lines.extend(attempts.map(|one| format!("  before, in run {}: {}", one.run, one.message)));
        lines.extend(failure.hint.iter().map(|hint| format!("  hint: {hint}")));
    }
    if failures.len() > FAILURES_SHOWN {
        let more = failures.len() - FAILURES_SHOWN;
        lines.push(format!(
            "and {} more; `status` lists them all",
            render::count(more as u64)
        ));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// What failed, in words.
pub(crate) fn failures(summary: &RunSummary) -> Option<String> {
    let mut lines: Vec<String> = unheld(&summary.failures, &summary.checks)
        .as_deref()
        .and_then(failure_lines)
        .into_iter()
        .collect();
    lines.extend(tally::vanished(&summary.vanished));
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// What went wrong beside the rows.
pub(crate) fn warnings(summary: &RunSummary) -> Option<String> {
    let lines = summary.warnings.iter();
    let lines: Vec<String> = lines.map(|text| format!("warning: {text}")).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// What is in quarantine.
pub(crate) fn quarantine(entries: &[Quarantine]) -> Option<String> {
    if entries.is_empty() {
        return None;
    }
    let rows = entries.iter().take(QUARANTINE_SHOWN).map(|entry| {
        vec![
            entry.table.trim_start_matches("quarantine.").to_owned(),
            entry.reason.clone(),
            if entry.severity == "warn" {
                "kept"
            } else {
                "left out"
            }
            .to_owned(),
            render::count(entry.rows),
            render::count(entry.documents),
            entry.example.clone(),
        ]
    });
    let mut text = format!(
        "{}  rows and documents left out, or kept with a warning; in full in the tables quarantine.*\n{}",
        render::heading("quarantine"),
        table(
            &[
                "quarantine.",
                "reason",
                "",
                "entries",
                "documents",
                "for example"
            ],
            &[3, 4],
            rows.collect()
        )
    );
    if entries.len() > QUARANTINE_SHOWN {
        text.push_str(&format!(
            "\n and {} more; `status --format json` lists all",
            entries.len() - QUARANTINE_SHOWN
        ));
    }
    Some(text)
}

/// The newest forecasts as prices, and what they stand on.
fn forecasts(forecasts: &[Forecast]) -> Option<String> {
    if forecasts.is_empty() {
        return None;
    }
    let rows = forecasts.iter().map(|forecast| {
        let mut row = vec![
            forecast.asset.clone(),
            forecast.as_of.trim_end_matches("T00:00:00Z").to_owned(),
            horizon(forecast.horizon_hours),
            price(forecast.price),
        ];
        row.extend(
            forecast
                .quantiles
                .iter()
                .map(|quantile| price(forecast.price * quantile.exp())),
        );
        row
    });
    let headers = [
        "asset",
        "as of",
        "horizon",
        "price now",
        "5 %",
        "25 %",
        "50 %",
        "75 %",
        "95 %",
    ];
    let mut lines = vec![
        format!(
            "{}  USD at the end of the horizon; with 90 % probability between the columns 5 % and 95 %",
            render::heading("newest forecasts")
        ),
        table(&headers, &[2, 3, 4, 5, 6, 7, 8], rows.collect()),
    ];
    let mut bases: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for forecast in forecasts {
        let name = format!("{} {}", forecast.asset, horizon(forecast.horizon_hours));
        bases.entry(&forecast.basis).or_default().push(name);
    }
    for (basis, names) in &bases {
        let whose = if bases.len() == 1 {
            ":".to_owned()
        } else {
            format!(" ({}):", names.join(", "))
        };
        lines.push(layout::wrap(
            &format!("made from{whose} {}", basis_words(basis)),
            layout::width(),
            "  ",
        ));
    }
    Some(lines.join("\n"))
}

/// `bars+options;absent:dvol;absent:funding` as `bars, options; absent: dvol, funding`.
fn basis_words(basis: &str) -> String {
    let mut parts = basis.split(';');
    let mut words = vec![parts.next().unwrap_or_default().replace('+', ", ")];
    let mut missing: Vec<(&str, Vec<&str>)> = Vec::new();
    for part in parts {
        let (how, what) = part.split_once(':').unwrap_or(("", part));
        match missing.iter_mut().find(|(known, _)| *known == how) {
            Some((_, list)) => list.push(what),
            None => missing.push((how, vec![what])),
        }
    }
    words.extend(missing.into_iter().map(|(how, list)| match how {
        "" => list.join(", "),
        how => format!("{how}: {}", list.join(", ")),
    }));
    words.join("; ")
}

fn horizon(hours: i64) -> String {
    match hours {
        48.. if hours % 24 == 0 => format!("{} days", hours / 24),
        _ => format!("{hours} h"),
    }
}

/// A price with about five digits.
fn price(value: f64) -> String {
    if value >= 1_000.0 {
        return render::count(value.round() as u64);
    }
    let decimals = if value >= 100.0 {
        2
    } else if value >= 1.0 {
        3
    } else {
        6
    };
    format!("{value:.decimals$}")
}

fn next_steps(context: &Context, summary: &RunSummary, selection: &Selection) -> String {
    let (lakectl, ask) = (context.command(true), context.command(false));
    let mut steps: Vec<(String, &str)> = Vec::new();
    if !summary.is_success() {
        steps.push((
            format!("{lakectl} status"),
            "what failed, what is stale, what is in quarantine",
        ));
        let until = selection
            .until
            .as_deref()
            .map(|name| format!(" --until {}", quoted(name)));
        let again = format!("{lakectl} run{}", until.unwrap_or_default());
        steps.push((again, "goes on with what is missing"));
    } else {
        if selection.until.is_some() || !selection.select.is_empty() {
            steps.push((
                format!("{lakectl} run"),
                "everything else, to the scores of the forecasts; nothing is computed twice",
            ));
        }
        steps.extend(questions(context, summary, &ask));
        steps.push((format!("{lakectl} status"), "how fresh each table is"));
    }
    let mut lines = vec![render::heading("try next")];
    for (command, why) in steps {
        lines.push(format!("  # {why}\n  {command}"));
    }
    lines.join("\n")
}

/// What can be asked of what is there: the forecasts, else the last table that has rows.
fn questions(context: &Context, summary: &RunSummary, ask: &str) -> Vec<(String, &'static str)> {
    let forecasts = "forecast.quantiles";
    let about = "a table: columns, partitions, what it is made from";
    let pipeline = &context.bench.assembly.pipeline;
    if pipeline
        .stages()
        .iter()
        .any(|s| s.table.as_str() == forecasts)
    {
        let query = format!(
            "SELECT asset, as_of, horizon_hours, q05, q50, q95 FROM {forecasts} ORDER BY as_of DESC LIMIT 4"
        );
        let query = (
            format!("{ask} sql \"{query}\""),
            "the forecasts as log returns",
        );
        return vec![query, (format!("{ask} show {forecasts}"), about)];
    }
    let filled = summary.stages.iter().rev().find(|stage| stage.rows > 0);
    let Some(table) = filled.map(|stage| &stage.table) else {
        return Vec::new();
    };
    let query = format!("{ask} sql \"SELECT * FROM {table} LIMIT 10\"");
    vec![
        (query, "some rows of the last table"),
        (format!("{ask} show {table}"), about),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(table: &str, ran: usize, failed: usize, reason: &str) -> StageSummary {
        let (stage, table) = (table.to_owned(), table.to_owned());
        StageSummary {
            stage,
            table,
            ran,
            failed,
            reason: Some(reason.to_owned()),
            rows: 10,
            ..StageSummary::default()
        }
    }

    #[test]
    fn datasets_are_summed_up_and_schemas_kept_together() {
        let mut stages: Vec<StageSummary> = (0..6)
            .map(|i| stage(&format!("raw.d{i}"), 2, 0, "never run"))
            .collect();
        stages.push(stage("raw.bad", 1, 1, "never run"));
        stages.insert(0, stage("a.first", 1, 0, "never run"));
        stages.push(stage("b.x", 1, 0, "never run"));
        stages.push(stage("a.second", 1, 0, "never run"));
        let stages: Vec<&StageSummary> = stages.iter().collect();
        let shown: Vec<(String, usize)> = lines(&stages, false)
            .into_iter()
            .map(|line| (line.name, line.sum.ran))
            .collect();
        let shown: Vec<(&str, usize)> = shown
            .iter()
            .map(|(name, ran)| (name.as_str(), *ran))
            .collect();
        assert_eq!(
            shown,
            [
                ("raw.* (6 datasets)", 12),
                ("raw.bad", 1),
                ("a.first", 1),
                ("a.second", 1),
                ("b.x", 1)
            ]
        );
        assert_eq!(lines(&stages, true).len(), stages.len());
    }

    #[test]
    fn prices_and_bases_read_well() {
        assert_eq!(price(73_794.6), "73,795");
        assert_eq!(price(104.5), "104.50");
        assert_eq!(price(0.001_234_9), "0.001235");
        assert_eq!(horizon(24), "24 h");
        assert_eq!(horizon(168), "7 days");
        assert_eq!(basis_words("bars+options"), "bars, options");
        assert_eq!(
            basis_words("bars+options;absent:dvol;absent:funding;untrained:regime"),
            "bars, options; absent: dvol, funding; untrained: regime"
        );
    }
}
