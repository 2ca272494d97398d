//! `lakectl log`: the versions of the lake.

use anyhow::Result;
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::lake::{Signed, StoreError, VersionRef};
use serde::Serialize;

use super::Done;
use super::branch::place;
use crate::context::{Context, now, who};
use crate::layout::table;
use crate::render;

#[derive(Serialize)]
struct Version {
    version: u64,
    time: String,
    branch: String,
    who: String,
    run: String,
    reason: String,
    message: String,
    tables: usize,
    partitions: u64,
    rows: u64,
    dropped: u64,
    records: Vec<String>,
    /// The version that the branch began with.
    origin: Option<String>,
    /// The version whose changes were merged.
    merged: Option<String>,
}

pub(crate) fn log(context: &Context, limit: usize) -> Result<Done> {
    let lake = context.lake()?;
    let (recent, damage) = lake.recent(limit).map_err(PipelineError::from)?;
    let versions: Vec<Version> = recent
        .into_iter()
        .map(|commit| Version {
            version: commit.version,
            time: commit.time.to_string(),
            branch: commit.branch,
            who: commit.who,
            run: commit.run,
            reason: commit.reason,
            message: commit.message,
            tables: commit.changed.len(),
            partitions: commit.changed.values().sum(),
            rows: commit.rows,
            dropped: commit.dropped,
            records: commit.records.into_keys().collect(),
            origin: commit.origin.as_ref().map(place),
            merged: commit.merged.as_ref().map(place),
        })
        .collect();
    if context.json() {
        render::json(&versions);
        return ended(damage);
    }
    let rows = versions.iter().map(|v| {
        vec![
            v.version.to_string(),
            moment(&v.time),
            v.who.clone(),
            v.what(lake.branch()),
            render::count(v.partitions),
            render::count(v.rows),
            v.message.clone(),
        ]
    });
    let headers = [
        "version",
        "time",
        "who",
        "what",
        "partitions",
        "rows written",
        "why",
    ];
    render::out(&table(&headers, &[0, 4, 5], rows.collect()));
    ended(damage)
}

/// What is older than a damaged version cannot be shown.
fn ended(damage: Option<StoreError>) -> Result<Done> {
    match damage {
        Some(damage) => Err(PipelineError::from(damage).into()),
        None => Ok(Done::Well),
    }
}

impl Version {
    /// What was done, with the name of the run, and the branch if it is another than the one that is looked at.
    fn what(&self, branch: &str) -> String {
        let mut text = match (&self.origin, &self.merged) {
            (Some(origin), _) => format!("branch from {origin}"),
            (None, Some(merged)) => format!("merge of {merged}"),
            (None, None) => format!("{} {}", self.reason, self.run),
        };
        if !self.records.is_empty() {
            text.push_str(&format!(" ({})", self.records.join(", ")));
        }
        if self.dropped > 0 {
            text.push_str(&format!(" ({} dropped)", render::count(self.dropped)));
        }
        if self.branch != branch {
            text.push_str(&format!(" on {}", self.branch));
        }
        text
    }
}

/// A time for people: to the second, without letters.
pub(crate) fn moment(time: &str) -> String {
    time.get(..19).unwrap_or(time).replace('T', " ")
}

/// Signs what a person does to the lake now.
pub(crate) fn by_hand(why: &str) -> Signed {
    let time = now();
    Signed {
        run: super::run::run_id(time),
        who: who(),
        time,
        why: why.to_owned(),
    }
}

/// Reads a version's number or a time; `flag` is how it was given.
pub(crate) fn version(flag: &str, text: &str) -> Result<VersionRef, PipelineError> {
    text.parse().map_err(|_| {
        PipelineError::usage(
            format!("`{flag} {text}` is neither a version nor a time"),
            "write a number from `log`, a day such as 2026-01-05, or a time such as 2026-01-05T09:21:45Z",
        )
    })
}
