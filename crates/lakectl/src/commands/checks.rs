//! Failed checks, as a table in summaries.

use lakectl_pipeline::CheckFailure;
use lakectl_pipeline::engine::OpenCheck;

use crate::layout::table;
use crate::render;

/// As many are shown; JSON has them all.
const SHOWN: usize = 20;

/// Lists checks that have not looked at rows which are there: what they find is known only after a run.
pub(super) fn open_text(open: &[OpenCheck]) -> Option<String> {
    if open.is_empty() {
        return None;
    }
    let number = |count: usize| match count {
        0 => String::new(),
        count => render::count(count as u64),
    };
    let pending = open.iter().any(|open| open.pending > 0);
    let rows = open.iter().map(|open| {
        let mut row = vec![
            open.check.clone(),
            open.table.to_string(),
            open.severity.word().to_owned(),
            number(open.partitions),
        ];
        row.extend(pending.then(|| number(open.pending)));
        row
    });
    let mut heads = vec!["check", "table", "", "partitions"];
    heads.extend(pending.then_some("if others change"));
    let right: Vec<usize> = (3..heads.len()).collect();
    Some(format!(
        "{}  these have not looked at rows that are there; `run` evaluates them\n{}",
        render::heading("checks to evaluate"),
        table(&heads, &right, rows.collect())
    ))
}

/// Lists failed checks, those first that somebody has to do something about. `lakectl` begins a command on the same lake.
pub(super) fn text(checks: &[CheckFailure], lakectl: &str) -> Option<String> {
    if checks.is_empty() {
        return None;
    }
    let mut sorted: Vec<&CheckFailure> = checks.iter().collect();
    sorted.sort_by_key(|check| (!check.held, !check.counts(), check.accepted));
    let rows = sorted.iter().take(SHOWN).map(|check| {
        vec![
            check.check.clone(),
            check.table.clone(),
            check.partition.clone(),
            state(check).to_owned(),
            render::count(check.offending),
            check.example.clone().unwrap_or_default(),
        ]
    });
    let mut text = format!(
        "{}  what rows fail; `held` stays out of the version, and what was published before stays\n{}",
        render::heading("checks"),
        table(
            &["check", "table", "partition", "", "rows", "for example"],
            &[4],
            rows.collect()
        )
    );
    if let Some(held) = sorted.iter().find(|check| check.held) {
        text.push_str(&format!(
            "\n if the rows are right: `{lakectl} override accept-check {} {} {} --why \"...\"` publishes them as they are",
            held.check, held.table, held.partition
        ));
    }
    if checks.len() > SHOWN {
        text.push_str(&format!(
            "\n and {} more; `sql \"SELECT * FROM system.checks WHERE status = 'failed'\"` lists all",
            checks.len() - SHOWN
        ));
    }
    Some(text)
}

fn state(check: &CheckFailure) -> &'static str {
    match () {
        () if check.held => "held",
        () if check.accepted => "accepted",
        () if check.counts() => "published",
        () => "warning",
    }
}
