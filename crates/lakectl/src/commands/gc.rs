//! `lakectl gc`: remove what nobody needs any more.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::lake::{Cause, Collection, DiskUse, GcRequest, Retention, Size};
use serde::Serialize;

use super::Done;
use super::run::run_id;
use crate::args::GcArgs;
use crate::context::{Context, now, who};
use crate::layout::table;
use crate::render;

/// Writers that hold no lease are done with a file after so long.
const YOUNG: Duration = Duration::from_secs(3_600);
/// Rows of these tables cannot be computed again; a document is told by its name and its id.
const DOCUMENTS: &str = "raw";
const IDENTITY: [&str; 2] = ["name", "document_id"];

#[derive(Serialize)]
struct GcJson {
    lake: String,
    keep: Retention,
    #[serde(flatten)]
    done: Collection,
}

pub(crate) fn gc(context: &Context, args: &GcArgs) -> Result<Done> {
    let lake = context.lake()?;
    let configured = context.bench.settings.retention;
    let keep = Retention {
        versions: args.keep_versions.unwrap_or(configured.versions),
        days: args.keep_days.unwrap_or(configured.days),
        cache_days: args.keep_cache_days.unwrap_or(configured.cache_days),
    };
    let started = now();
    let request = GcRequest {
        run: format!("{}-gc", run_id(started)),
        who: who(),
        now: started,
        dry_run: args.dry_run,
        keep,
        young: YOUNG,
        documents: &|table| table.schema() == DOCUMENTS,
        identity: IDENTITY,
        watch: &|_| Ok(()),
    };
    let done = lake.collect(&request).map_err(PipelineError::from)?;
    let lake = lake.root().display().to_string();
    if context.json() {
        render::json(&GcJson { lake, keep, done });
    } else if !context.global.quiet {
        render::out(&text(&lake, keep, &done, args.files));
    }
    Ok(Done::Well)
}

fn text(lake: &str, keep: Retention, done: &Collection, files: bool) -> String {
    let mut removed = done.temporary;
    done.causes().into_values().for_each(|size| removed += size);
    let word = if done.dry_run {
        "would remove"
    } else {
        "removed"
    };
    let mut parts = vec![
        format!(
            "{}  {word} {} files, {} of {}",
            render::heading(lake),
            render::count(removed.files),
            render::bytes(removed.bytes),
            render::bytes(done.disk.total().bytes)
        ),
        format!(
            "kept: of each branch the versions of {} days and at least {}, results of {} days",
            keep.days, keep.versions, keep.cache_days
        ),
    ];
    parts.extend(reasons(done));
    for (branch, oldest) in &done.expired {
        let word = if done.dry_run { "would be" } else { "is" };
        parts.push(format!(
            "version {oldest} {word} the oldest of {branch} whose rows are kept"
        ));
    }
    if !done.dead_runs.is_empty() {
        parts.push(format!(
            "taken for dead, and not allowed to publish any more: {}",
            done.dead_runs.join(", ")
        ));
    }
    if files && !done.removed.is_empty() {
        // Whole paths, whatever the width of a line: people and scripts go on with them.
        let lines = done
            .removed
            .iter()
            .map(|file| format!("{:>10}  {}", render::bytes(file.bytes), file.path));
        parts.push(lines.collect::<Vec<_>>().join("\n"));
    }
    parts.push(format!(
        "{}\n{}",
        render::heading(if done.dry_run { "disk" } else { "disk before" }),
        disk(&done.disk)
    ));
    parts.join("\n\n")
}

/// Why files go, and why others stay.
fn reasons(done: &Collection) -> Vec<String> {
    let mut why: BTreeMap<(Cause, &str), Size> = BTreeMap::new();
    for file in &done.removed {
        *why.entry((file.cause, &file.why)).or_default() += one(file.bytes);
    }
    if done.temporary.files > 0 {
        let unfinished = "the unfinished files of writers that died";
        why.insert((Cause::Temporary, unfinished), done.temporary);
    }
    let mut spared: BTreeMap<&str, Size> = BTreeMap::new();
    for file in &done.spared {
        *spared.entry(&file.why).or_default() += one(file.bytes);
    }
    let row = |size: &Size, words: String| {
        vec![render::count(size.files), render::bytes(size.bytes), words]
    };
    let goes: Vec<_> = why
        .iter()
        .map(|((_, why), size)| row(size, (*why).to_owned()))
        .collect();
    let stays: Vec<_> = spared
        .iter()
        .map(|(why, size)| row(size, (*why).to_owned()))
        .collect();
    let mut parts = Vec::new();
    let (go, stay) = match done.dry_run {
        true => (
            "would go, because",
            "needed by nobody, but would stay, because",
        ),
        false => ("gone, because", "needed by nobody, but stays, because"),
    };
    if !goes.is_empty() {
        parts.push(table(&["files", "bytes", go], &[0, 1], goes));
    }
    if !stays.is_empty() {
        parts.push(table(&["files", "bytes", stay], &[0, 1], stays));
    }
    parts
}

fn one(bytes: u64) -> Size {
    Size { files: 1, bytes }
}

/// Disk by table and cause; causes that nothing has are left out.
fn disk(disk: &DiskUse) -> String {
    let sums = disk.causes();
    let causes: Vec<Cause> = Cause::ALL
        .into_iter()
        .filter(|cause| sums.contains_key(cause))
        .collect();
    let line = |name: &str, sizes: &BTreeMap<Cause, Size>| {
        let total: u64 = sizes.values().map(|size| size.bytes).sum();
        let mut row = vec![name.to_owned(), render::bytes(total)];
        row.extend(causes.iter().map(|cause| {
            let size = sizes.get(cause);
            size.map_or_else(String::new, |size| render::bytes(size.bytes))
        }));
        row
    };
    let mut rows: Vec<_> = disk
        .tables
        .iter()
        .map(|(table, sizes)| line(table.as_str(), sizes))
        .collect();
    if !disk.other.is_empty() {
        rows.push(line("log, results, notes", &disk.other));
    }
    rows.push(line("all", &sums));
    let mut heads = vec!["table", "bytes"];
    heads.extend(causes.iter().map(|cause| cause.words()));
    let right: Vec<usize> = (1..heads.len()).collect();
    table(&heads, &right, rows)
}
