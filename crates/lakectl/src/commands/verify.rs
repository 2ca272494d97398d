//! `lakectl verify`: is every file there, and is it what was written?

use anyhow::Result;
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::lake::{Damage, FileKind, Verification, VerifyRequest};
use serde::Serialize;

use super::Done;
use super::history::version;
use crate::context::Context;
use crate::layout::wrap;
use crate::meter::Meter;
use crate::{layout, render};

#[derive(Serialize)]
struct VerifyJson {
    ok: bool,
    lake: String,
    #[serde(flatten)]
    found: Verification,
}

pub(crate) fn verify(context: &Context, deep: bool, at: Option<&str>) -> Result<Done> {
    let lake = context.lake()?;
    let at = at.map(|at| version("--at", at)).transpose()?;
    let meter = Meter::new(context.global.quiet);
    let found = lake
        .verify(&VerifyRequest { deep, at }, &|step| meter.step(step))
        .map_err(PipelineError::from);
    meter.finish();
    let found = found?;
    let ok = found.damages.is_empty();
    let lake = lake.root().display().to_string();
    if context.json() {
        render::json(&VerifyJson { ok, lake, found });
    } else if !(ok && context.global.quiet) {
        render::out(&text(context, &lake, &found));
    }
    Ok(match ok {
        true => Done::Well,
        false => Done::WithFailures,
    })
}

fn text(context: &Context, lake: &str, found: &Verification) -> String {
    let seen = format!(
        "{} data files ({}) and {} records {}",
        render::count(found.files),
        render::bytes(found.bytes),
        render::count(found.records),
        match found.deep {
            true => "read",
            false => "looked at",
        }
    );
    let mut parts = vec![format!("{}  {seen}", render::heading(lake))];
    if found.damages.is_empty() {
        parts.push(match found.deep {
            true => "everything is there and as it was written".to_owned(),
            false => "everything is there; `--deep` also reads the rows".to_owned(),
        });
        return parts.join("\n");
    }
    parts.extend(found.damages.iter().map(damage));
    parts.push(format!(
        "{} files are damaged or missing; `{} repair --dry-run` says what can be done",
        render::count(found.damages.len() as u64),
        context.command(true)
    ));
    parts.join("\n\n")
}

fn damage(damage: &Damage) -> String {
    let mut lines = vec![render::heading(&damage.path)];
    let what = match (damage.kind, damage.cells.first()) {
        (FileKind::Data, Some(cell)) => cell.task().to_string(),
        (FileKind::Data, None) => "rows".to_owned(),
        (FileKind::Log, _) => "a version".to_owned(),
        (FileKind::Cells, _) => "records of results".to_owned(),
        (FileKind::Checkpoint, _) if !damage.holders.is_empty() => {
            "cells of a checkpoint".to_owned()
        }
        (FileKind::Checkpoint, _) => "a checkpoint".to_owned(),
        (FileKind::Note, _) => "what a run did".to_owned(),
        (FileKind::Parts, _) => "parts of fingerprints".to_owned(),
        (FileKind::Checks, _) => "a record of checks".to_owned(),
        (FileKind::Projection, _) => "for other engines".to_owned(),
    };
    lines.push(format!("  {what}: {}", damage.problem));
    if damage.kind == FileKind::Data {
        let spans: Vec<String> = damage.versions.iter().map(ToString::to_string).collect();
        lines.push(match spans.is_empty() {
            true => "  held by no version, only by a recorded result".to_owned(),
            false => format!("  held by {}", spans.join(", ")),
        });
    }
    let width = layout::width().saturating_sub(2);
    lines.push(format!("  {}", wrap(&damage.advice, width, "  ")));
    lines.join("\n")
}
