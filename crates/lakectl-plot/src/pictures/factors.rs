//! The history of the surface's factors, one small panel each.

use super::{About, WIDTH};
use crate::PlotError;
use crate::palette::{BLUE, GREY, PALE, VERMILION};
use crate::scale::{Axis, Ticks, number};
use crate::sheet::{Mark, Panel, Sheet};

/// One factor over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Factor {
    /// Its name.
    pub name: String,
    /// What it is, in a few words.
    pub meaning: String,
    /// Its unit.
    pub unit: String,
    /// (seconds since 1970, value in its unit) by rising time.
    pub points: Vec<(f64, Option<f64>)>,
    /// Seconds since 1970 at which what it is measured by was fitted anew: values jump there that did not move.
    pub refits: Vec<f64>,
}

/// # Errors
/// [`PlotError::Empty`] if no factor has a value.
pub fn factors(about: &About, factors: &[Factor]) -> Result<Sheet, PlotError> {
    let drawn: Vec<&Factor> = factors
        .iter()
        .filter(|factor| factor.points.iter().any(|point| point.1.is_some()))
        .collect();
    let times = || {
        drawn
            .iter()
            .flat_map(|factor| &factor.points)
            .map(|point| point.0)
    };
    let (first, last) = (
        times().fold(f64::INFINITY, f64::min),
        times().fold(f64::NEG_INFINITY, f64::max),
    );
    if drawn.is_empty() {
        return Err(PlotError::Empty {
            what: "no factor has a value up to this snapshot".to_owned(),
        });
    }
    Ok(Sheet {
        title: format!("{} surface factors", about.asset),
        subtitle: format!(
            "History to snapshot {}; the dot is its value.{}",
            about.snapshot,
            match drawn.iter().any(|factor| !factor.refits.is_empty()) {
                true => " Upright: fitted anew, scores on either side do not compare.",
                false => "",
            }
        ),
        footnote: about.footnote.clone(),
        width: WIDTH,
        columns: 3,
        panels: drawn
            .iter()
            .map(|factor| panel(factor, (first, last)))
            .collect(),
        legend: false,
        color_bar: None,
    })
}

fn panel(factor: &Factor, (first, last): (f64, f64)) -> Panel {
    let room = (last - first).max(3_600.0) * 0.02;
    let x = Axis::new("")
        .between(first - room, last + room)
        .ticks(Ticks::Time);
    let mut panel = Panel::new(
        factor.name.clone(),
        x,
        Axis::new(factor.unit.clone()),
        112.0,
    );
    let values = factor.points.iter().filter_map(|point| point.1);
    if values.clone().any(|value| value < 0.0) && values.clone().any(|value| value > 0.0) {
        panel.add("", GREY, Mark::Level { at: 0.0 });
    }
    for at in factor.refits.iter().copied() {
        let (words, left) = (String::new(), false);
        panel.add("", PALE, Mark::Upright { at, words, left });
    }
    panel.add(&factor.name, BLUE, Mark::gapped(&factor.points));
    let mut remark = factor.meaning.clone();
    if let Some((time, Some(value))) = factor.points.last() {
        let points = vec![(*time, *value)];
        panel.add(
            "",
            VERMILION,
            Mark::Dots {
                points,
                radius: 3.0,
                open: false,
            },
        );
        remark = format!("{remark}: {}", number(*value, 2));
    }
    panel.remarks = vec![remark];
    panel
}
