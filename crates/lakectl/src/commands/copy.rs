//! `lakectl copy`: a version, a branch or a whole lake to another place.

use anyhow::Result;
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::lake::{Copied, Copying, Lake, LakeAddress, Open, StoreError};
use serde::Serialize;

use super::Done;
use super::history::version;
use crate::args::{CopyArgs, Format, Global};
use crate::meter::Meter;
use crate::render;

#[derive(Serialize)]
struct CopyJson {
    from: String,
    to: String,
    #[serde(flatten)]
    done: Copied,
}

pub(crate) fn copy(global: &Global, args: &CopyArgs) -> Result<Done> {
    let (from, to) = lakes(args)?;
    let at = args
        .at
        .as_deref()
        .map(|at| version("--at", at))
        .transpose()?;
    let branch = global.branch.clone();
    from.on_branch(&branch).map_err(PipelineError::from)?;
    let what = match (args.all, at) {
        (true, _) => Copying::All,
        (false, Some(at)) => Copying::Version(branch, at),
        (false, None) => Copying::Branch(branch),
    };
    let meter = Meter::new(global.quiet);
    let done = from.copy_to(&to, &what, &|step| meter.step(step));
    meter.finish();
    let done = done.map_err(PipelineError::from)?;
    let (from, to) = (shown(&from), shown(&to));
    if global.format == Format::Json {
        render::json(&CopyJson { from, to, done });
    } else if !global.quiet {
        render::out(&text(&from, &to, &done));
    }
    Ok(Done::Well)
}

fn lakes(args: &CopyArgs) -> Result<(Lake, Lake)> {
    let address = |text: &str| LakeAddress::parse(text).map_err(PipelineError::from);
    let (from, to) = (address(&args.from)?, address(&args.to)?);
    let from = Lake::open_any(from).map_err(PipelineError::from)?;
    let to = Lake::open(to, from.profile(), Open::OrCreate).map_err(|error| match error {
        StoreError::OtherProfile { path, lake, run } => PipelineError::usage(
            format!(
                "the lake at {} was made with profile {lake}, the one to copy with profile {run}",
                path.display()
            ),
            "copy to a new folder, or to a lake of the same profile",
        ),
        error => error.into(),
    })?;
    if from.root() == to.root() {
        return Err(PipelineError::usage(
            format!("both lakes are at {}", from.root().display()),
            "name another place to copy to",
        )
        .into());
    }
    Ok((from, to))
}

fn shown(lake: &Lake) -> String {
    lake.root().display().to_string()
}

fn text(from: &str, to: &str, done: &Copied) -> String {
    let versions: Vec<String> = done
        .versions
        .iter()
        .map(|(branch, version)| format!("{branch} up to version {version}"))
        .collect();
    format!(
        "{}  copied {} from {from}\n{} data files ({}) and {} records copied, {} files ({}) were there and right; every file was \
         verified on both sides",
        render::heading(to),
        versions.join(", "),
        render::count(done.copied.files),
        render::bytes(done.copied.bytes),
        render::count(done.records),
        render::count(done.skipped.files),
        render::bytes(done.skipped.bytes),
    )
}
