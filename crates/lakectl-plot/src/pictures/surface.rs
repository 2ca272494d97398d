//! The surface as a heat map over moneyness and time, beside its constant-maturity nodes.

use super::{About, WIDTH, days_axis, percent};
use crate::PlotError;
use crate::palette::{GREY, INK};
use crate::scale::{Axis, Ticks, number};
use crate::sheet::{Cell, ColorBar, Mark, Panel, Sheet, Strip as Colors};

/// The surface at one time to expiry.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    /// Days to expiry.
    pub days: f64,
    /// (ln(K / F) in deviations of ln S_T at the money, volatility) by rising strike.
    pub points: Vec<(f64, f64)>,
}

/// One node of constant maturity.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Days to expiry.
    pub tenor_days: i64,
    /// `10p`, `25p`, `atm`, `25c`, `10c`, ...
    pub node: String,
    /// Volatility.
    pub iv: f64,
}

/// `strips` by rising time; `expiries` are the days at which slices were fitted.
///
/// # Errors
/// [`PlotError::Empty`] without strips and without nodes.
pub fn surface(
    about: &About,
    strips: &[Strip],
    expiries: &[f64],
    nodes: &[Node],
) -> Result<Sheet, PlotError> {
    let on_strips = strips
        .iter()
        .flat_map(|strip| &strip.points)
        .map(|point| point.1);
    let all: Vec<f64> = on_strips
        .chain(nodes.iter().map(|node| node.iv))
        .map(percent)
        .collect();
    if all.is_empty() {
        return Err(PlotError::Empty {
            what: "the snapshot has no fitted slice and no node".to_owned(),
        });
    }
    let (low, high) = color_range(all);
    let mut panels = Vec::new();
    if strips.len() > 1 {
        panels.push(map(strips, expiries));
    }
    if !nodes.is_empty() {
        panels.push(table(nodes));
    }
    Ok(Sheet {
        title: format!("{} implied-volatility surface", about.asset),
        subtitle: format!(
            "Snapshot {}. Fitted smiles interpolated in total variance between expiries, over the quoted strikes.",
            about.snapshot
        ),
        footnote: about.footnote.clone(),
        width: WIDTH,
        columns: panels.len(),
        panels,
        legend: true,
        color_bar: Some(ColorBar {
            axis: Axis::new("implied volatility (%)"),
            low,
            high,
        }),
    })
}

/// The volatilities between the 1st and the 99th percentile, so that one far wing does not take all colours.
fn color_range(mut all: Vec<f64>) -> (f64, f64) {
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all[((all.len() - 1) as f64 * share).round() as usize];
    let (low, high) = (at(0.01).floor(), at(0.99).ceil());
    (low, high.max(low + 1.0))
}

fn map(strips: &[Strip], expiries: &[f64]) -> Panel {
    let last = strips.last().map_or(1.0, |strip| strip.days);
    let mut panel = Panel::new(
        "fitted smiles",
        Axis::new("strike in deviations, ln(K/F) / (σ√T), σ at the money"),
        days_axis(last),
        HEIGHT,
    );
    let edge = |a: f64, b: f64| (a.sqrt() + b.sqrt()).powi(2) / 4.0;
    let colors = strips.iter().enumerate().map(|(i, strip)| {
        let below = i
            .checked_sub(1)
            .map_or(strip.days, |j| edge(strips[j].days, strip.days));
        let above = strips
            .get(i + 1)
            .map_or(strip.days, |next| edge(strip.days, next.days));
        let points = strip.points.iter().map(|(k, iv)| (*k, percent(*iv)));
        Colors {
            low: below,
            high: above,
            points: points.collect(),
        }
    });
    let strips: Vec<Colors> = colors.filter(|strip| strip.low < strip.high).collect();
    let points: Vec<f64> = strips
        .iter()
        .flat_map(|s| s.points.iter().map(|p| p.0))
        .collect();
    let right = points.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let left = points.iter().copied().fold(f64::INFINITY, f64::min);
    let mark = (left, right + (right - left) * 0.02);
    panel.x = panel.x.between(left - (right - left) * 0.02, mark.1);
    panel.remarks = vec!["marks at the right: fitted expiries".to_owned()];
    panel.add("surface", INK, Mark::Heat { strips });
    let ticks = expiries
        .iter()
        .map(|days| vec![(mark.1 - (right - left) * 0.03, *days), (mark.1, *days)]);
    let runs = ticks.collect();
    panel.add(
        "fitted expiry",
        GREY,
        Mark::Line {
            runs,
            width: 1.4,
            dash: None,
        },
    );
    panel
}

/// The height of both panels.
const HEIGHT: f64 = 360.0;

fn table(nodes: &[Node]) -> Panel {
    let mut tenors: Vec<i64> = nodes.iter().map(|node| node.tenor_days).collect();
    tenors.sort_unstable();
    tenors.dedup();
    let mut names: Vec<&str> = nodes.iter().map(|node| node.node.as_str()).collect();
    names.sort_by(|a, b| side(a).total_cmp(&side(b)).then(a.cmp(b)));
    names.dedup();
    let cells = nodes.iter().filter_map(|node| {
        let column = names.iter().position(|name| *name == node.node)?;
        let row = tenors.iter().position(|tenor| *tenor == node.tenor_days)?;
        let value = percent(node.iv);
        Some(Cell {
            column: column as f64,
            row: row as f64,
            value,
            figure: number(value, 1),
        })
    });
    let cells = cells.collect();
    let named = |names: Vec<String>| {
        let places = names.into_iter().enumerate();
        Ticks::At(places.map(|(i, name)| (i as f64, name)).collect())
    };
    let x = Axis::new("delta node (%)")
        .between(-0.5, names.len() as f64 - 0.5)
        .ticks(named(
            names.iter().map(|name| name.to_uppercase()).collect(),
        ));
    let y = Axis::new("constant maturity (days)")
        .between(-0.5, tenors.len() as f64 - 0.5)
        .ticks(named(tenors.iter().map(ToString::to_string).collect()));
    let mut panel = Panel::new("constant maturities (%)", x, y, HEIGHT);
    panel.remarks = vec!["forward delta, put | at the money forward | call".to_owned()];
    panel.add("nodes", INK, Mark::Cells { cells });
    panel
}

/// Where a node stands from the far put to the far call.
fn side(node: &str) -> f64 {
    let size = |text: &str| text.parse::<f64>().unwrap_or(50.0);
    match (node.strip_suffix('p'), node.strip_suffix('c')) {
        (Some(put), _) => size(put) - 50.0,
        (_, Some(call)) => 50.0 - size(call),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_stand_from_the_far_put_to_the_far_call() {
        let mut nodes = ["25c", "5p", "atm", "10c", "10p", "5c", "25p"];
        nodes.sort_by(|a, b| side(a).total_cmp(&side(b)));
        assert_eq!(nodes, ["5p", "10p", "25p", "atm", "25c", "10c", "5c"]);
    }
}
