//! The risk-neutral density of the fitted smile against a lognormal one.

use super::{About, WIDTH, days, percent, price_ticks};
use crate::PlotError;
use crate::canvas::Point;
use crate::palette::{BLUE, GREY, INK, VERMILION};
use crate::scale::{Axis, number};
use crate::sheet::{Mark, Panel, Sheet};

/// The density of one expiry.
#[derive(Clone, Debug, PartialEq)]
pub struct Density {
    /// Its day, as text.
    pub expiry: String,
    /// Days to it.
    pub days: f64,
    /// Its forward in USD.
    pub forward: f64,
    /// Volatility at the money forward, which the lognormal density has.
    pub atm_iv: f64,
    /// (ln(S_T / F), density of it by the fit, by the lognormal) by rising place.
    pub points: Vec<(f64, f64, f64)>,
    /// ln(S_T / F) at probabilities of 5, 50 and 95 %, where the fit has them.
    pub quantiles: Option<[f64; 3]>,
    /// Probabilities of ending more than 10 % below and above the forward.
    pub tails: Option<[f64; 2]>,
}

/// # Errors
/// [`PlotError::Empty`] without a density.
pub fn density(about: &About, slices: &[Density]) -> Result<Sheet, PlotError> {
    let drawn = slices.iter().filter(|slice| slice.points.len() > 2);
    let (columns, height) = match drawn.clone().count() {
        0 => {
            return Err(PlotError::Empty {
                what: "no expiry has a fitted smile".to_owned(),
            });
        }
        1 => (1, 340.0),
        _ => (3, 150.0),
    };
    Ok(Sheet {
        title: format!("{} risk-neutral density", about.asset),
        subtitle: format!(
            "Snapshot {}. From the fitted smile, against the lognormal of at-the-money volatility; upright: 5, 50, 95 % quantiles.",
            about.snapshot
        ),
        footnote: about.footnote.clone(),
        width: WIDTH,
        columns,
        panels: drawn
            .map(|slice| panel(slice, height, columns == 1))
            .collect(),
        legend: true,
        color_bar: None,
    })
}

fn panel(slice: &Density, height: f64, full: bool) -> Panel {
    let (x, y) = (
        Axis::new("log return to expiry, ln(S/F) (%)"),
        Axis::new("density (% per 1 % of return)"),
    );
    let mut panel = Panel::new(
        format!("{} · {}", slice.expiry, days(slice.days)),
        x,
        y,
        height,
    );
    // A density of ln S per unit is as many per cent a per cent.
    let fit: Vec<Point> = slice
        .points
        .iter()
        .map(|(k, fit, _)| (percent(*k), *fit))
        .collect();
    let lognormal = slice
        .points
        .iter()
        .map(|(k, _, lognormal)| (percent(*k), *lognormal));
    let spans = fit.iter().map(|(k, fit)| (*k, 0.0, *fit)).collect();
    if full {
        // Room for the words of the quantiles above the peak.
        let peak = slice
            .points
            .iter()
            .fold(0.0_f64, |peak, point| peak.max(point.1).max(point.2));
        let low = slice
            .points
            .iter()
            .fold(0.0_f64, |low, point| low.min(point.1));
        panel.y = panel.y.clone().between(low - 0.03 * peak, peak * 1.18);
    }
    let negative = fit.iter().any(|point| point.1 < -1e-6);
    panel.add("", BLUE, Mark::Band { spans });
    panel.add(
        "lognormal, at-the-money volatility",
        VERMILION,
        Mark::dashed(lognormal.collect()),
    );
    panel.add("fitted smile", BLUE, Mark::line(fit));
    for (q, name) in slice
        .quantiles
        .iter()
        .flatten()
        .zip(["5 %", "50 %", "95 %"])
    {
        let words = match full {
            true => format!("{name}\n{} USD", number(slice.forward * q.exp(), 0)),
            false => String::new(),
        };
        panel.add(
            "",
            GREY,
            Mark::Upright {
                at: percent(*q),
                words,
                left: false,
            },
        );
    }
    panel.add("", INK, Mark::Level { at: 0.0 });
    if let (true, Some((low, ..)), Some((high, ..))) =
        (full, slice.points.first(), slice.points.last())
    {
        let ticks = price_ticks(slice.forward, *low, *high);
        let ticks = ticks
            .into_iter()
            .map(|(k, name)| (percent(k), name))
            .collect();
        panel.top = Some(("price at expiry (USD)".to_owned(), ticks));
    }
    panel.remarks = vec![remark(slice, full, negative)];
    panel
}

fn remark(slice: &Density, full: bool, negative: bool) -> String {
    let mut words = Vec::new();
    if full {
        words.push(format!(
            "at the money {} %",
            number(percent(slice.atm_iv), 1)
        ));
    }
    if let Some([left, right]) = slice.tails {
        let (left, right) = (number(percent(left), 1), number(percent(right), 1));
        if full {
            words.push(format!("below −10 %: {left} %"));
            words.push(format!("above +10 %: {right} %"));
        } else {
            // A third of a page has no room for more.
            words.push(format!("10 % down {left} %, up {right} %"));
        }
    }
    if negative {
        words.push("negative".to_owned());
    }
    words.join(" · ")
}
