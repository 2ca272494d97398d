//! The term structure: volatility, risk reversals and butterflies over time.

use super::{About, WIDTH, days_axis, percent};
use crate::PlotError;
use crate::canvas::{Color, Point};
use crate::palette::{BLUE, GREEN, GREY, INK, PURPLE, VERMILION};
use crate::scale::Axis;
use crate::sheet::{Mark, Panel, Sheet};

/// Volatilities of one constant maturity.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tenor {
    /// Days to expiry.
    pub days: f64,
    /// Put of delta -0.10.
    pub put_10: Option<f64>,
    /// Put of delta -0.25.
    pub put_25: Option<f64>,
    /// At the money forward.
    pub atm: Option<f64>,
    /// Call of delta 0.25.
    pub call_25: Option<f64>,
    /// Call of delta 0.10.
    pub call_10: Option<f64>,
}

/// Volatility between two expiries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forward {
    /// Days to the first.
    pub from_days: f64,
    /// Days to the second.
    pub to_days: f64,
    /// Volatility between them; none where total variance falls, which is calendar arbitrage.
    pub iv: Option<f64>,
}

/// What the picture shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Term {
    /// (days, volatility at the money forward) of every fitted expiry, by rising days.
    pub expiries: Vec<(f64, f64)>,
    /// Between neighbours of these.
    pub forwards: Vec<Forward>,
    /// Constant maturities by rising days.
    pub tenors: Vec<Tenor>,
}

/// # Errors
/// [`PlotError::Empty`] without an expiry.
pub fn term(about: &About, term: &Term) -> Result<Sheet, PlotError> {
    let Some((last, _)) = term.expiries.last() else {
        return Err(PlotError::Empty {
            what: "the snapshot has no fitted expiry".to_owned(),
        });
    };
    let mut panels = vec![levels(term, *last)];
    if !term.tenors.is_empty() {
        panels.push(shape(term, *last));
    }
    Ok(Sheet {
        title: format!("{} term structure of implied volatility", about.asset),
        subtitle: format!(
            "Snapshot {}. Forward deltas; at the money is at the forward. Risk reversal: call − put; butterfly: their mean − at \
             the money.",
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

fn levels(term: &Term, last: f64) -> Panel {
    let mut panel = Panel::new(
        "volatility",
        days_axis(last),
        Axis::new("implied volatility (%)"),
        290.0,
    );
    let stairs = term.forwards.iter().map(|step| {
        let iv = step.iv.map(percent);
        [
            (step.from_days, iv),
            (step.to_days, iv),
            (step.to_days, None),
        ]
    });
    let stairs: Vec<(f64, Option<f64>)> = stairs.flatten().collect();
    if !stairs.is_empty() {
        panel.add(
            "forward volatility between expiries",
            GREY,
            Mark::gapped(&stairs),
        );
    }
    let tenors = &term.tenors;
    series(&mut panel, ("10Δ put", VERMILION, true), tenors, &|t| {
        t.put_10.map(percent)
    });
    series(&mut panel, ("25Δ put", VERMILION, false), tenors, &|t| {
        t.put_25.map(percent)
    });
    series(&mut panel, ("25Δ call", BLUE, false), tenors, &|t| {
        t.call_25.map(percent)
    });
    series(&mut panel, ("10Δ call", BLUE, true), tenors, &|t| {
        t.call_10.map(percent)
    });
    let points: Vec<Point> = term
        .expiries
        .iter()
        .map(|(days, iv)| (*days, percent(*iv)))
        .collect();
    panel.add("at the money", INK, Mark::line(points.clone()));
    panel.add(
        "listed expiry",
        INK,
        Mark::Dots {
            points,
            radius: 3.2,
            open: false,
        },
    );
    panel
}

fn shape(term: &Term, last: f64) -> Panel {
    let y = Axis::new("vol points");
    let mut panel = Panel::new("risk reversals and butterflies", days_axis(last), y, 150.0);
    panel.add("", GREY, Mark::Level { at: 0.0 });
    let reversal = |call: Option<f64>, put: Option<f64>| Some(percent(call? - put?));
    let fly = |call: Option<f64>, put: Option<f64>, atm: Option<f64>| {
        Some(percent((call? + put?) / 2.0 - atm?))
    };
    let (tenors, rr, bf) = (&term.tenors, GREEN, PURPLE);
    series(
        &mut panel,
        ("25Δ risk reversal", rr, false),
        tenors,
        &|t| reversal(t.call_25, t.put_25),
    );
    series(&mut panel, ("10Δ risk reversal", rr, true), tenors, &|t| {
        reversal(t.call_10, t.put_10)
    });
    series(&mut panel, ("25Δ butterfly", bf, false), tenors, &|t| {
        fly(t.call_25, t.put_25, t.atm)
    });
    series(&mut panel, ("10Δ butterfly", bf, true), tenors, &|t| {
        fly(t.call_10, t.put_10, t.atm)
    });
    panel
}

/// Name, colour, and whether it is of the far wing, which is dashed.
type Look = (&'static str, Color, bool);

/// A line through the tenors that have a value, with a dot on each.
fn series(
    panel: &mut Panel,
    (name, color, far): Look,
    tenors: &[Tenor],
    of: &dyn Fn(&Tenor) -> Option<f64>,
) {
    let points: Vec<(f64, Option<f64>)> =
        tenors.iter().map(|tenor| (tenor.days, of(tenor))).collect();
    let dots: Vec<Point> = points
        .iter()
        .filter_map(|(x, y)| Some((*x, (*y)?)))
        .collect();
    if dots.is_empty() {
        return;
    }
    let mut line = Mark::gapped(&points);
    if let (Mark::Line { dash, .. }, true) = (&mut line, far) {
        *dash = Some((5.0, 3.5));
    }
    panel.add(name, color, line);
    panel.add(
        "",
        color,
        Mark::Dots {
            points: dots,
            radius: 2.6,
            open: false,
        },
    );
}
