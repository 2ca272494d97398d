//! Quotes with bid-ask bars over the fitted smile.

use super::{About, WIDTH, days, percent, price_ticks};
use crate::PlotError;
use crate::canvas::Point;
use crate::palette::{BLUE, GREEN, GREY, INK, ORANGE, PURPLE, VERMILION};
use crate::scale::{Axis, number};
use crate::sheet::{Mark, Panel, Sheet};

/// One quote, out of the money.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quote {
    /// ln(K / F).
    pub log_moneyness: f64,
    /// Whether it is a call.
    pub call: bool,
    /// Implied volatility of the bid.
    pub bid: Option<f64>,
    /// Implied volatility of the ask.
    pub ask: Option<f64>,
    /// Implied volatility of the venue's mark.
    pub mark: Option<f64>,
    /// Volatility of the fit there.
    pub fit: Option<f64>,
}

impl Quote {
    fn two_sided(&self) -> Option<(f64, f64)> {
        self.bid.zip(self.ask)
    }
}

/// One point of a fitted smile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fitted {
    /// ln(K / F).
    pub log_moneyness: f64,
    /// Volatility.
    pub iv: f64,
    /// Durrleman's g, where it is defined.
    pub g: Option<f64>,
}

/// One expiry.
#[derive(Clone, Debug, PartialEq)]
pub struct Smile {
    /// Its day, as text.
    pub expiry: String,
    /// Days to it.
    pub days: f64,
    /// Its forward in USD.
    pub forward: f64,
    /// Its quotes.
    pub quotes: Vec<Quote>,
    /// Its fit by rising moneyness; empty without one.
    pub fit: Vec<Fitted>,
    /// Root of the mean squared error of the fit, a fraction.
    pub rmse_vol: Option<f64>,
    /// The moneyness of the first and the last quote that the fit stands on, if it is known.
    pub fitted_range: Option<(f64, f64)>,
    /// The least g of the fitted range.
    pub g_min: Option<f64>,
    /// `ok`, `carried` for the shape of an earlier snapshot, or why there is no fit.
    pub status: String,
}

impl Smile {
    /// Whether it shows the shape of an earlier snapshot.
    fn carried(&self) -> bool {
        self.status == "carried"
    }

    /// Its expiry and days to it.
    fn title(&self) -> String {
        let carried = if self.carried() { " · carried" } else { "" };
        format!("{} · {}{carried}", self.expiry, days(self.days))
    }

    /// Whether a place is in the range that the fit stands on.
    fn holds(&self, place: f64) -> bool {
        self.fitted_range
            .is_none_or(|(low, high)| place >= low - 1e-12 && place <= high + 1e-12)
    }
}

/// One smile in full, with what the fit leaves over and its butterfly certificate, or all of them side by side.
///
/// # Errors
/// [`PlotError::Empty`] if no slice has a quote or a fit.
pub fn smile(about: &About, slices: &[Smile]) -> Result<Sheet, PlotError> {
    let slices: Vec<&Smile> = slices
        .iter()
        .filter(|slice| range(slice).is_some())
        .collect();
    let (panels, columns, what) = match slices.as_slice() {
        [] => {
            return Err(PlotError::Empty {
                what: "no expiry has a quote on both sides or a fit".to_owned(),
            });
        }
        [only] => (full(only), 1, format!("smile, expiry {}", only.expiry)),
        all => {
            let panels = all.iter().map(|slice| one_of_many(slice)).collect();
            (panels, 3, "smiles".to_owned())
        }
    };
    Ok(Sheet {
        title: format!("{} implied-volatility {what}", about.asset),
        subtitle: format!(
            "Snapshot {}. Out-of-the-money quotes, bid to ask, over the raw-SVI fit.",
            about.snapshot
        ),
        footnote: about.footnote.clone(),
        width: WIDTH,
        columns,
        panels,
        legend: true,
        color_bar: None,
    })
}

/// Where a slice is drawn: the moneyness of its two-sided quotes, else of its fit.
fn range(slice: &Smile) -> Option<(f64, f64)> {
    let quoted = slice
        .quotes
        .iter()
        .filter(|quote| quote.two_sided().is_some());
    let mut places: Vec<f64> = quoted.map(|quote| quote.log_moneyness).collect();
    if places.len() < 2 {
        places.extend(slice.fit.iter().map(|point| point.log_moneyness));
    }
    let low = places.iter().copied().fold(f64::INFINITY, f64::min);
    let high = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let room = (high - low) * 0.04;
    (low < high).then_some((low - room, high + room))
}

fn one_of_many(slice: &Smile) -> Panel {
    let mut panel = volatilities(slice, 150.0);
    panel.title = slice.title();
    panel.remarks = vec![verdict(slice).join(" · ")];
    panel
}

fn full(slice: &Smile) -> Vec<Panel> {
    let mut quotes = volatilities(slice, 330.0);
    quotes.title = format!(
        "{} · forward {} USD",
        slice.title(),
        number(slice.forward, 0)
    );
    quotes.remarks = vec![verdict(slice).join(" · ")];
    let Some((low, high)) = range(slice) else {
        return vec![quotes];
    };
    quotes.top = Some((
        "strike (USD)".to_owned(),
        price_ticks(slice.forward, low, high),
    ));
    if slice.fit.is_empty() {
        return vec![quotes];
    }
    vec![
        quotes,
        residuals(slice, (low, high)),
        certificate(slice, (low, high)),
    ]
}

fn x_axis((low, high): (f64, f64)) -> Axis {
    Axis::new("log-moneyness ln(K/F)").between(low, high)
}

/// The quotes and the fit.
fn volatilities(slice: &Smile, height: f64) -> Panel {
    let ends = range(slice).unwrap_or((-1.0, 1.0));
    let fit: Vec<Point> = slice
        .fit
        .iter()
        .filter(|point| point.log_moneyness >= ends.0 && point.log_moneyness <= ends.1)
        .map(|point| (point.log_moneyness, percent(point.iv)))
        .collect();
    let y = Axis::new("implied volatility (%)");
    let y = match heights(slice, &fit) {
        Some((low, high)) => y.between(low, high),
        None => y,
    };
    let mut panel = Panel::new("", x_axis(ends), y, height);
    for (call, name, color) in [
        (false, "puts, bid to ask", VERMILION),
        (true, "calls, bid to ask", BLUE),
    ] {
        let side = slice.quotes.iter().filter(|quote| quote.call == call);
        let spans = side.filter_map(|quote| {
            let (bid, ask) = quote.two_sided()?;
            Some((quote.log_moneyness, percent(bid), percent(ask)))
        });
        panel.add(
            name,
            color,
            Mark::Bars {
                spans: spans.collect(),
            },
        );
    }
    let seen = |quote: &&Quote| quote.log_moneyness >= ends.0 && quote.log_moneyness <= ends.1;
    let asks = slice
        .quotes
        .iter()
        .filter(|quote| quote.bid.is_none())
        .filter(seen);
    let asks = asks.filter_map(|quote| Some((quote.log_moneyness, percent(quote.ask?))));
    let points = asks.collect();
    panel.add(
        "ask without a bid",
        GREY,
        Mark::Dots {
            points,
            radius: 2.2,
            open: true,
        },
    );
    let marks = slice
        .quotes
        .iter()
        .filter(|quote| quote.two_sided().is_some());
    let marks = marks.filter_map(|quote| Some((quote.log_moneyness, percent(quote.mark?))));
    let points = marks.collect();
    panel.add(
        "venue's mark",
        INK,
        Mark::Dots {
            points,
            radius: 1.7,
            open: false,
        },
    );
    let (color, inside, outside) = if slice.carried() {
        let names = ("SVI of an earlier snapshot", "the same, extrapolated");
        (ORANGE, names.0, names.1)
    } else {
        (GREEN, "SVI fit", "SVI, extrapolated")
    };
    let [left, fitted, right] = parts(slice, &fit);
    if !left.is_empty() || !right.is_empty() {
        panel.add(outside, color, Mark::dashed_runs(vec![left, right]));
    }
    if !fitted.is_empty() {
        panel.add(inside, color, Mark::line(fitted));
    }
    panel
}

/// A fitted curve to the left of the fitted range, in it, and to the right; neighbours share a point.
fn parts(slice: &Smile, fit: &[Point]) -> [Vec<Point>; 3] {
    let Some((low, high)) = slice.fitted_range else {
        return [Vec::new(), fit.to_vec(), Vec::new()];
    };
    let first = fit
        .partition_point(|point| point.0 < low)
        .min(fit.len().saturating_sub(1));
    let last = fit
        .partition_point(|point| point.0 <= high)
        .max(first + 1)
        .min(fit.len());
    let run = |points: &[Point]| {
        if points.len() > 1 {
            points.to_vec()
        } else {
            Vec::new()
        }
    };
    [
        run(&fit[..(first + 1).min(fit.len())]),
        run(&fit[first..last]),
        run(&fit[last.saturating_sub(1)..]),
    ]
}

/// The volatilities that a panel has to show: the fit and the marks, with room for bars; wider bars are cut.
fn heights(slice: &Smile, fit: &[Point]) -> Option<(f64, f64)> {
    let quoted = slice
        .quotes
        .iter()
        .filter(|quote| quote.two_sided().is_some());
    let marks = quoted.clone().filter_map(|quote| quote.mark.map(percent));
    let bids = quoted.filter_map(|quote| quote.bid.map(percent));
    let shown: Vec<f64> = fit.iter().map(|point| point.1).chain(marks).collect();
    let high = shown.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let low = shown.iter().copied().fold(f64::INFINITY, f64::min);
    let room = ((high - low) * 0.15).max(1.0);
    let lowest = bids.fold(low, f64::min).max(low - 2.0 * room);
    (low <= high).then_some(((lowest - 0.3 * room).max(0.0), high + room))
}

/// What the bid, the ask and the mark are above the fit.
fn residuals(slice: &Smile, ends: (f64, f64)) -> Panel {
    let y = Axis::new("quote − fit (vol pts)");
    let mut panel = Panel::new("", x_axis(ends), y, 120.0);
    let mut widest: f64 = 0.0;
    for (call, name, color) in [
        (false, "puts, bid to ask", VERMILION),
        (true, "calls, bid to ask", BLUE),
    ] {
        let side = slice.quotes.iter().filter(|quote| quote.call == call);
        let spans: Vec<(f64, f64, f64)> = side
            .filter_map(|quote| {
                let ((bid, ask), fit) = (quote.two_sided()?, quote.fit?);
                Some((quote.log_moneyness, percent(bid - fit), percent(ask - fit)))
            })
            .collect();
        widest = spans.iter().fold(widest, |widest, span| {
            widest.max(span.2.abs()).max(span.1.abs())
        });
        panel.add(name, color, Mark::Bars { spans });
    }
    let marks = slice
        .quotes
        .iter()
        .filter(|quote| quote.two_sided().is_some());
    let points: Vec<Point> = marks
        .filter_map(|quote| Some((quote.log_moneyness, percent(quote.mark? - quote.fit?))))
        .collect();
    let off = points
        .iter()
        .fold(0.0_f64, |off, point| off.max(point.1.abs()));
    panel.add(
        "venue's mark",
        INK,
        Mark::Dots {
            points,
            radius: 1.7,
            open: false,
        },
    );
    panel.add("", GREEN, Mark::Level { at: 0.0 });
    // A single wide quote must not flatten the others: bars are cut at four times the largest error of a mark, or two points.
    let most = widest.min((4.0 * off).max(2.0)).max(0.2);
    panel.y = panel.y.between(-most * 1.08, most * 1.08);
    panel
}

/// Durrleman's g: butterfly-free where it is not negative.
fn certificate(slice: &Smile, ends: (f64, f64)) -> Panel {
    let points: Vec<Point> = slice
        .fit
        .iter()
        .filter(|point| point.log_moneyness >= ends.0 && point.log_moneyness <= ends.1)
        .filter_map(|point| Some((point.log_moneyness, point.g?)))
        .collect();
    let low = points.iter().fold(0.0_f64, |low, point| low.min(point.1));
    let high = points.iter().fold(1.0_f64, |high, point| high.max(point.1));
    let y = Axis::new("butterfly g(k)").between(low.max(-2.0) - 0.1, high.min(4.0) + 0.1);
    let mut panel = Panel::new("", x_axis(ends), y, 80.0);
    panel.add("", INK, Mark::Level { at: 0.0 });
    panel.add("g(k): no butterfly where ≥ 0", PURPLE, Mark::line(points));
    panel
}

/// How good the fit is, in words.
fn verdict(slice: &Smile) -> Vec<String> {
    if slice.fit.is_empty() {
        return vec![format!("no fit: {}", slice.status.replace('_', " "))];
    }
    let mut words = Vec::new();
    if let Some(rmse) = slice.rmse_vol {
        words.push(format!("rmse {} vol pts", number(percent(rmse), 2)));
    }
    let used = |quote: &&Quote| slice.holds(quote.log_moneyness);
    let judged = slice.quotes.iter().filter(used).filter_map(|quote| {
        let ((bid, ask), fit) = (quote.two_sided()?, quote.fit?);
        Some(fit >= bid && fit <= ask)
    });
    let (inside, all) = judged.fold((0, 0), |(inside, all), within| {
        (inside + usize::from(within), all + 1)
    });
    words.push(format!("{inside} of {all} inside"));
    if let Some(g) = slice.g_min {
        words.push(format!("min g {}", number(g, 2)));
    }
    words
}
