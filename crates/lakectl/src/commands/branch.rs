//! `lakectl branch`: begin, list, end and merge branches.

use anyhow::Result;
use lakectl_pipeline::Merging;
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::lake::{BranchInfo, Lake, Origin, Snapshot};
use serde::Serialize;

use super::Done;
use super::history::{by_hand, moment, version};
use crate::args::BranchCommand;
use crate::context::Context;
use crate::layout::table;
use crate::render;

#[derive(Serialize)]
struct Shown {
    branch: String,
    version: u64,
    time: String,
    /// The version that it began with.
    from: Option<String>,
    who: String,
    why: String,
    current: bool,
}

impl Shown {
    fn of(branch: BranchInfo, current: &str) -> Self {
        Self {
            current: branch.name == current,
            branch: branch.name,
            version: branch.version,
            time: branch.time.to_string(),
            from: branch.origin.as_ref().map(place),
            who: branch.who,
            why: branch.why,
        }
    }
}

/// How a version of a branch is written everywhere.
pub(crate) fn place(origin: &Origin) -> String {
    format!("{}@{}", origin.branch, origin.version)
}

pub(crate) fn branch(context: &Context, command: &BranchCommand) -> Result<Done> {
    match command {
        BranchCommand::Create {
            name,
            at,
            from,
            why,
        } => create(context, name, at.as_deref(), from.as_deref(), why),
        BranchCommand::List => list(context),
        BranchCommand::Delete { name, why } => delete(context, name, why),
        BranchCommand::Merge {
            name,
            into,
            dry_run,
            why,
        } => merge(context, name, into.as_deref(), *dry_run, why),
    }
}

fn create(
    context: &Context,
    name: &str,
    at: Option<&str>,
    from: Option<&str>,
    why: &str,
) -> Result<Done> {
    let at = at.map(|text| version("--at", text)).transpose()?;
    let lake = context.lake()?;
    let parent = other(&lake, from)?;
    let made = parent
        .as_ref()
        .unwrap_or(&lake)
        .create_branch(name, at, &by_hand(why));
    let shown = Shown::of(made.map_err(PipelineError::from)?, name);
    if context.json() {
        render::json(&shown);
    } else {
        render::out(&format!(
            "branch {name} begins with {}\n`{} --branch {name} run` works on it and leaves the others as they are",
            shown.from.as_deref().unwrap_or_default(),
            context.command_on(None, false)
        ));
    }
    Ok(Done::Well)
}

/// The branch that a flag names.
fn other(lake: &Lake, name: Option<&str>) -> Result<Option<Lake>, PipelineError> {
    Ok(name.map(|name| lake.on_branch(name)).transpose()?)
}

fn list(context: &Context) -> Result<Done> {
    let lake = context.lake()?;
    let branches = lake.branches().map_err(PipelineError::from)?;
    let shown: Vec<Shown> = branches
        .into_iter()
        .map(|branch| Shown::of(branch, lake.branch()))
        .collect();
    if context.json() {
        render::json(&shown);
        return Ok(Done::Well);
    }
    let rows = shown.into_iter().map(|branch| {
        let mark = if branch.current { "*" } else { " " };
        vec![
            format!("{mark} {}", branch.branch),
            branch.version.to_string(),
            match branch.version {
                0 => String::new(),
                _ => moment(&branch.time),
            },
            branch.from.unwrap_or_default(),
            branch.who,
            branch.why,
        ]
    });
    let headers = ["  branch", "version", "time", "began with", "who", "why"];
    render::out(&table(&headers, &[1], rows.collect()));
    Ok(Done::Well)
}

fn delete(context: &Context, name: &str, why: &str) -> Result<Done> {
    let lake = context.lake()?;
    lake.delete_branch(name, &by_hand(why))
        .map_err(PipelineError::from)?;
    if context.json() {
        render::json(&serde_json::json!({ "deleted": name }));
    } else {
        render::out(&format!(
            "branch {name} is deleted; results that it computed are kept for runs that need the same"
        ));
    }
    Ok(Done::Well)
}

/// What a merge did or would do.
#[derive(Serialize)]
struct Merged {
    from: String,
    into: String,
    base: String,
    /// The version that it made; none if nothing was written.
    version: Option<u64>,
    partitions: usize,
    dropped: usize,
    /// Raw partitions of which both sides' documents are kept.
    joined: Vec<String>,
    tables: Vec<String>,
    records: Vec<String>,
    conflicts: Vec<String>,
}

impl Merged {
    fn of(merging: &Merging, into: &Lake, version: Option<&Snapshot>) -> Self {
        let merge = &merging.merge;
        let cells = merge.cells.iter().map(|cell| &cell.table);
        let mut tables: Vec<String> = cells
            .chain(merge.dropped.iter().map(|task| &task.table))
            .chain(merge.tables.keys())
            .map(ToString::to_string)
            .collect();
        tables.sort();
        tables.dedup();
        Self {
            from: place(&merge.from),
            into: into.branch().to_owned(),
            base: place(&merge.base),
            version: version.map(|version| version.version),
            partitions: merge.cells.len(),
            dropped: merge.dropped.len(),
            joined: merging.joined.iter().map(ToString::to_string).collect(),
            tables,
            records: merge.records.keys().cloned().collect(),
            conflicts: merge.conflicts.iter().map(ToString::to_string).collect(),
        }
    }

    fn text(&self) -> String {
        let tables = match self.tables.len() {
            0 => "no table".to_owned(),
            1..=5 => self.tables.join(", "),
            many => format!("{} tables", render::count(many as u64)),
        };
        let mut text = format!(
            "{} into {} (common version {}): {} partitions set, {} dropped in {tables}",
            self.from,
            self.into,
            self.base,
            render::count(self.partitions as u64),
            render::count(self.dropped as u64),
        );
        if !self.records.is_empty() {
            text.push_str(&format!("; {}", self.records.join(", ")));
        }
        for joined in &self.joined {
            text.push_str(&format!("\n  {joined} gets the documents of both"));
        }
        for conflict in &self.conflicts {
            text.push_str(&format!("\n  both changed {conflict}"));
        }
        match self.version {
            Some(version) => text.push_str(&format!("\n{} is at version {version}", self.into)),
            None => text.push_str("\nnothing was written"),
        }
        text
    }
}

fn merge(
    context: &Context,
    name: &str,
    into: Option<&str>,
    dry_run: bool,
    why: &str,
) -> Result<Done> {
    let lake = context.lake()?;
    let named = other(&lake, into)?;
    let into = named.as_ref().unwrap_or(&lake);
    let planned = context.bench.plan_merge(into, name)?;
    let (merging, version) = match dry_run || !planned.merge.conflicts.is_empty() {
        true => (planned, None),
        false => {
            let (merging, version) = context.bench.merge(into, name, &by_hand(why))?;
            super::project::catch_up(context, into);
            (merging, Some(version))
        }
    };
    if version.is_some()
        && let Some(behind) = context.bench.project(into, None)
    {
        render::note(&behind);
    }
    let merged = Merged::of(&merging, into, version.as_ref());
    if context.json() {
        render::json(&merged);
    } else {
        render::out(&merged.text());
    }
    Ok(match merged.conflicts.is_empty() {
        true => Done::Well,
        false => Done::WithFailures,
    })
}
