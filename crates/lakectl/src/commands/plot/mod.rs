//! `lakectl plot`: pictures of the surface, drawn from one version of the lake.

mod asked;
mod density;
mod exposure;
mod factors;
mod rows;
mod smile;
mod surface;
mod term;

use std::path::Path;

use anyhow::{Context as _, Result};
use lakectl_pipeline::PipelineError;
use lakectl_plot::{PlotError, Sheet};
use serde::Serialize;

use self::asked::Asked;
use super::Done;
use crate::args::{Picture, PlotArgs};
use crate::context::Context;
use crate::render;

#[derive(Serialize)]
struct PlotJson {
    picture: &'static str,
    asset: String,
    file: String,
    format: &'static str,
    bytes: u64,
    width: u64,
    height: u64,
    version: u64,
    snapshot: String,
    tables: Vec<String>,
    panels: Vec<PanelJson>,
}

#[derive(Serialize)]
struct PanelJson {
    title: String,
    series: Vec<SeriesJson>,
}

#[derive(Serialize)]
struct SeriesJson {
    name: String,
    points: usize,
}

/// How the file is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Svg,
    Png,
}

pub(crate) fn plot(context: &Context, args: &PlotArgs) -> Result<Done> {
    // What cannot be written must not be computed first.
    let kind = kind(&args.out)?;
    if args.expiry.is_some() && !matches!(args.picture, Picture::Smile | Picture::Density) {
        let message = format!("`{}` is of all expiries", args.picture.word());
        return Err(PipelineError::usage(message, "`smile` and `density` take `--expiry`").into());
    }
    let (asked, sheet) = sheet(context, args)?;
    let drawing = sheet.draw().map_err(|error| unwell(&error, &asked))?;
    let (file, scale) = match kind {
        Kind::Svg => (drawing.svg().into_bytes(), 1.0),
        Kind::Png => {
            let scale = f64::from(args.scale);
            (drawing.png(scale)?, scale)
        }
    };
    std::fs::write(&args.out, &file).with_context(|| format!("cannot write `{}`", args.out))?;
    let drawn = PlotJson {
        picture: args.picture.word(),
        asset: args.asset.clone(),
        file: args.out.clone(),
        format: match kind {
            Kind::Svg => "svg",
            Kind::Png => "png",
        },
        bytes: file.len() as u64,
        width: (drawing.width * scale).round() as u64,
        height: (drawing.height * scale).round() as u64,
        version: asked.version(),
        snapshot: asked.at.to_string(),
        tables: asked.tables.iter().cloned().collect(),
        panels: panels(&sheet),
    };
    match context.json() {
        true => render::json(&drawn),
        false => render::out(&text(&drawn)),
    }
    Ok(Done::Well)
}

/// Reads the rows and lays them out.
fn sheet<'a>(context: &'a Context, args: &PlotArgs) -> Result<(Asked<'a>, Sheet)> {
    let table = match args.picture {
        Picture::Factors => "features.surface_factors",
        Picture::Exposure => "options.exposure_profile",
        _ => "options.slices",
    };
    let mut asked = Asked::open(context, args, table)?;
    let drawn = match args.picture {
        Picture::Smile => smile::sheet(&mut asked),
        Picture::Surface => surface::sheet(&mut asked),
        Picture::Term => term::sheet(&mut asked),
        Picture::Density => density::sheet(&mut asked),
        Picture::Exposure => exposure::sheet(&mut asked),
        Picture::Factors => factors::sheet(&mut asked),
    };
    let sheet = drawn.map_err(|error| match error.downcast_ref::<PlotError>() {
        Some(known) => unwell(known, &asked).into(),
        None => error,
    })?;
    Ok((asked, sheet))
}

/// A snapshot without anything to draw is no defect of the program; another snapshot may have it.
fn unwell(error: &PlotError, asked: &Asked<'_>) -> PipelineError {
    PipelineError::usage(
        format!("cannot draw the snapshot {}: {error}", asked.at),
        "`--at` chooses another snapshot; the table's `status` and `reason` columns say what it lacks",
    )
}

/// The format of a file, by its name.
fn kind(file: &str) -> Result<Kind, PipelineError> {
    let ending = Path::new(file)
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "svg" => Ok(Kind::Svg),
        "png" => Ok(Kind::Png),
        _ => Err(PipelineError::usage(
            format!("`{file}` ends neither in .svg nor in .png"),
            "the name of the file says its format: `--out smile.svg`",
        )),
    }
}

fn panels(sheet: &Sheet) -> Vec<PanelJson> {
    let panels = sheet.series().into_iter().map(|panel| PanelJson {
        title: panel.title,
        series: panel
            .series
            .into_iter()
            .map(|series| SeriesJson {
                name: series.name,
                points: series.points,
            })
            .collect(),
    });
    panels.collect()
}

fn text(drawn: &PlotJson) -> String {
    let series: usize = drawn.panels.iter().map(|panel| panel.series.len()).sum();
    let plural = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    };
    format!(
        "{}  {} of {}, snapshot {}, version {}: {}, {series} series, {} x {}, {}",
        render::heading(&drawn.file),
        drawn.picture,
        drawn.asset,
        drawn.snapshot,
        drawn.version,
        plural(drawn.panels.len(), "panel"),
        drawn.width,
        drawn.height,
        render::bytes(drawn.bytes)
    )
}
