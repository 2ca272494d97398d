//! The pictures: each takes plain series and lays out a [`Sheet`].
//!
//! Units of all inputs: volatility a fraction (0.43), log moneyness ln(K / F), time in days, money in USD, instants in seconds
//! since 1970. A value that is missing is `None`; nothing is invented for it.

mod density;
mod exposure;
mod factors;
mod smile;
mod surface;
mod term;

pub use density::{Density, density};
pub use exposure::{Exposure, Flip, Profile, StrikeColumn, exposure};
pub use factors::{Factor, factors};
pub use smile::{Fitted, Quote, Smile, smile};
pub use surface::{Node, Strip, surface};
pub use term::{Forward, Tenor, Term, term};

use crate::scale::{Axis, Scale, Ticks, number};

/// The width of a page in pixels: two thirds of a text column at 144 dots an inch.
const WIDTH: f64 = 960.0;

/// What a picture is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The asset.
    pub asset: String,
    /// The snapshot, as text.
    pub snapshot: String,
    /// Where the numbers come from.
    pub footnote: String,
}

/// Hundredths.
fn percent(value: f64) -> f64 {
    value * 100.0
}

/// The axis of days to expiry, by the root of time, from zero.
fn days_axis(last: f64) -> Axis {
    let names = [1, 7, 14, 30, 60, 90, 180, 270, 365, 540, 730];
    let ticks = names.map(|day| (f64::from(day), day.to_string())).to_vec();
    Axis::new("time to expiry (days, square-root scale)")
        .scale(Scale::Root)
        .between(0.0, last * 1.03)
        .ticks(Ticks::At(ticks))
}

/// Strikes at round prices for an axis of log moneyness.
fn price_ticks(forward: f64, low: f64, high: f64) -> Vec<(f64, String)> {
    let (low, high) = (forward * low.exp(), forward * high.exp());
    let mut step = 10_f64.powf(((high - low) / 8.0).log10().floor());
    for factor in [2.0, 2.5, 2.0] {
        if (high - low) / step > 10.0 {
            step *= factor;
        }
    }
    let first = (low / step).ceil().max(1.0) as i64;
    let last = (high / step).floor() as i64;
    let digits = if step < 1.0 { 2 } else { 0 };
    let price = |i: i64| i as f64 * step;
    (first..=last.min(first + 60))
        .map(|i| ((price(i) / forward).ln(), number(price(i), digits)))
        .collect()
}

/// Days for people: with one digit below a hundred days.
fn days(days: f64) -> String {
    match days < 100.0 {
        true => format!("{} days", number(days, 1)),
        false => format!("{} days", number(days, 0)),
    }
}
