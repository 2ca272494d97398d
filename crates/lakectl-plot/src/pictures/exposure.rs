//! Dealer gamma over the spot price, with the level where its sign flips.

use super::{About, WIDTH};
use crate::PlotError;
use crate::palette::{self, BLUE, GREY, INK, VERMILION};
use crate::scale::{Axis, number};
use crate::sheet::{Mark, Panel, Sheet};

/// Exposure of one scenario of positions over the spot price.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Who is assumed to hold what: `naive`, `all_short`, `taker_flow`.
    pub scenario: String,
    /// (spot in USD, gamma exposure in USD per 1 % move) by rising spot, with the volatility of each strike held.
    pub points: Vec<(f64, f64)>,
    /// The same with the smile moving along with the forward.
    pub sticky_delta: Vec<(f64, f64)>,
    /// Where `points` is zero.
    pub flip: Flip,
    /// Why there are no points.
    pub reason: String,
}

/// Where a profile is zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flip {
    /// `found`, `none`, `several`, as the table says.
    pub status: String,
    /// The level that the table calls the zero-gamma level, in USD.
    pub level: Option<f64>,
}

/// Gamma at one strike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StrikeColumn {
    /// The strike in USD.
    pub strike: f64,
    /// Gamma exposure of its calls in USD per 1 % move, with the scenario's sign.
    pub calls: f64,
    /// As of its puts.
    pub puts: f64,
}

/// What the picture shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposure {
    /// The spot price in USD.
    pub spot: Option<f64>,
    /// One profile a scenario.
    pub profiles: Vec<Profile>,
    /// The scenario of the strikes.
    pub strikes_scenario: String,
    /// Gamma by strike; may be empty.
    pub strikes: Vec<StrikeColumn>,
    /// Named levels in USD: walls, max pain.
    pub levels: Vec<(String, f64)>,
}

/// USD in millions.
const MILLION: f64 = 1e6;

/// # Errors
/// [`PlotError::Empty`] without a profile.
pub fn exposure(about: &About, exposure: &Exposure) -> Result<Sheet, PlotError> {
    let ends = exposure.profiles.iter().flat_map(|profile| &profile.points);
    let ends = ends.fold(None, |ends: Option<(f64, f64)>, point| {
        let (low, high) = ends.unwrap_or((point.0, point.0));
        Some((low.min(point.0), high.max(point.0)))
    });
    let Some((low, high)) = ends.filter(|(low, high)| low < high) else {
        return Err(PlotError::Empty {
            what: "the snapshot has no exposure profile".to_owned(),
        });
    };
    let mut panels = vec![profiles(exposure, (low, high))];
    if !exposure.strikes.is_empty() {
        panels.push(strikes(exposure, (low, high)));
    }
    Ok(Sheet {
        title: format!("{} dealer gamma exposure", about.asset),
        subtitle: format!(
            "Snapshot {}. Above zero dealers sell rallies and buy dips, which steadies the price; below zero they chase it.",
            about.snapshot
        ),
        footnote: about.footnote.clone(),
        width: WIDTH,
        columns: 1,
        panels,
        legend: true,
        color_bar: None,
    })
}

fn x_axis((low, high): (f64, f64)) -> Axis {
    Axis::new("spot price (USD)").between(low, high)
}

fn profiles(exposure: &Exposure, ends: (f64, f64)) -> Panel {
    let y = Axis::new("gamma (USD m per 1 % move)");
    let mut panel = Panel::new("profile over the spot price", x_axis(ends), y, 290.0);
    panel.add("", INK, Mark::Level { at: 0.0 });
    let millions = |points: &[(f64, f64)]| {
        points
            .iter()
            .map(|(spot, gamma)| (*spot, gamma / MILLION))
            .collect()
    };
    let drawn = exposure
        .profiles
        .iter()
        .filter(|profile| !profile.points.is_empty());
    for (i, profile) in drawn.clone().enumerate() {
        let name = words(&profile.scenario);
        if !profile.sticky_delta.is_empty() {
            let sticky = format!("{name}, sticky delta");
            panel.add(
                &sticky,
                palette::line(i),
                Mark::dashed(millions(&profile.sticky_delta)),
            );
        }
        let sticky = format!("{name}, sticky strike");
        panel.add(
            &sticky,
            palette::line(i),
            Mark::line(millions(&profile.points)),
        );
    }
    for (i, profile) in drawn.enumerate() {
        if let Some(level) = profile.flip.level {
            // One line of words for each, so that levels near each other stay legible.
            let words = format!("{}zero gamma {}", "\n".repeat(i + 1), number(level, 0));
            let left = exposure.spot.is_some_and(|spot| level < spot);
            panel.add(
                "",
                palette::line(i),
                Mark::Upright {
                    at: level,
                    words,
                    left,
                },
            );
        }
    }
    spot(&mut panel, exposure);
    let verdicts: Vec<String> = exposure.profiles.iter().map(verdict).collect();
    panel.remarks = vec![verdicts.join(" · ")];
    panel
}

fn spot(panel: &mut Panel, exposure: &Exposure) {
    if let Some(at) = exposure.spot {
        let words = format!("spot {}", number(at, 0));
        let left = false;
        panel.add("", INK, Mark::Upright { at, words, left });
    }
}

/// Where a scenario's gamma is zero, in words.
fn verdict(profile: &Profile) -> String {
    let name = words(&profile.scenario);
    match (profile.points.is_empty(), profile.flip.level) {
        (true, _) => format!("{name}: {}", words(&profile.reason)),
        (_, None) => format!("{name}: no zero-gamma level"),
        (_, Some(level)) => {
            let several = match profile.flip.status.as_str() {
                "several" => ", the nearest of several",
                _ => "",
            };
            format!("{name}: zero gamma at {} USD{several}", number(level, 0))
        }
    }
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn strikes(exposure: &Exposure, ends: (f64, f64)) -> Panel {
    let y = Axis::new("gamma (USD m per 1 %)");
    let title = format!("by strike, scenario {}", words(&exposure.strikes_scenario));
    let mut panel = Panel::new(
        title,
        Axis {
            label: "strike, spot price (USD)".to_owned(),
            ..x_axis(ends)
        },
        y,
        180.0,
    );
    let seen: Vec<&StrikeColumn> = exposure
        .strikes
        .iter()
        .filter(|column| column.strike >= ends.0 && column.strike <= ends.1)
        .collect();
    let nearest = seen.windows(2).map(|pair| pair[1].strike - pair[0].strike);
    let most = (ends.1 - ends.0) / 120.0;
    let half = nearest
        .fold(f64::INFINITY, f64::min)
        .min(2.0 * most)
        .max(most * 0.6)
        * 0.42;
    for (name, color, put) in [("calls", BLUE, false), ("puts", VERMILION, true)] {
        let columns = seen.iter().map(|column| {
            let gamma = if put { column.puts } else { column.calls };
            (column.strike - half, column.strike + half, gamma / MILLION)
        });
        let columns = columns.collect();
        panel.add(name, color, Mark::Columns { columns });
    }
    panel.add("", INK, Mark::Level { at: 0.0 });
    // Room above the columns for the words of the levels, a line each.
    let reach = |of: fn(f64, f64) -> f64| {
        let both = seen.iter().map(|column| of(column.calls, column.puts));
        both.fold(0.0, of) / MILLION
    };
    let (low, high) = (reach(f64::min), reach(f64::max));
    if low < high {
        panel.y = panel
            .y
            .clone()
            .between(low * 1.08, high * 1.08 + (high - low) * 0.45);
    }
    let (shown, beyond): (Vec<_>, Vec<_>) = exposure
        .levels
        .iter()
        .partition(|(_, level)| (ends.0..=ends.1).contains(level));
    let middle = 0.5 * (ends.0 + ends.1);
    for (i, (name, level)) in shown.into_iter().enumerate() {
        let words = format!("{}{name} {}", "\n".repeat(i), number(*level, 0));
        // Toward the middle, where there is room for the words.
        let (at, left) = (*level, *level > middle);
        panel.add("", GREY, Mark::Upright { at, words, left });
    }
    if !beyond.is_empty() {
        let words = beyond.iter().map(|(name, level)| {
            let side = if *level < ends.0 { "left" } else { "right" };
            format!("{name} {} to the {side}", number(*level, 0))
        });
        let words: Vec<String> = words.collect();
        panel.remarks = vec![format!("outside the picture: {}", words.join(", "))];
    }
    panel
}
