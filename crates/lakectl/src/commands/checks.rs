//! Failed checks, as a table in summaries.

use lakectl_pipeline::CheckFailure;

use crate::layout::table;
use crate::render;

/// As many are shown; JSON has them all.
const SHOWN: usize = 20;

/// Lists failed checks, those first that somebody has to do something about.
pub(super) fn text(checks: &[CheckFailure]) -> Option<String> {
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
            "\n if the rows are right: `lakectl override accept-check {} {} {} --why \"...\"` publishes them as they are",
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
