//! Columns made from an asset's own daily closes.

use lakectl_stats::rolling;
use polars::prelude::*;

use super::{DAY_MICROS, DAYS_PER_YEAR, Feature, RETURNS_FAMILY, Role, floats, times};
use crate::error::ModelError;

/// Daily log returns on a complete grid of days, `(as_of, return over the day ending there)`; a day without a
/// close, or after one, has no return. Logarithms are taken here rather than in the frame so that every
/// machine gives the same bits.
pub(super) fn daily_returns(prices: &DataFrame, anchor: i64) -> Result<DataFrame, ModelError> {
    let closes = floats(prices, "close")?;
    let mut known: Vec<(i64, f64)> = times(prices, "time")?
        .into_iter()
        .zip(closes)
        .filter(|(t, _)| t.rem_euclid(DAY_MICROS) == anchor)
        .filter_map(|(t, p)| p.filter(|p| *p > 0.0).map(|p| (t, libm::log(p))))
        .collect();
    known.sort_by_key(|(t, _)| *t);
    let (mut days, mut returns) = (Vec::new(), Vec::new());
    let mut last: Option<(i64, f64)> = None;
    for (time, level) in known {
        if let Some((before, _)) = last {
            let mut day = before + DAY_MICROS;
            while day < time {
                days.push(day);
                returns.push(None);
                day += DAY_MICROS;
            }
        }
        days.push(time);
        returns.push(
            last.filter(|(t, _)| t + DAY_MICROS == time)
                .map(|(_, before)| level - before),
        );
        last = Some((time, level));
    }
    let height = days.len();
    Ok(DataFrame::new(
        height,
        vec![
            Column::new("as_of".into(), days),
            Column::new("ret_1".into(), returns),
        ],
    )?)
}

/// Names and roles of the columns of [`return_features`].
pub fn return_feature_schema() -> Vec<Feature> {
    let plain = |name: &str| Feature::new(name, RETURNS_FAMILY, Role::Plain);
    let vol = |name: &str| Feature::new(name, RETURNS_FAMILY, Role::RealisedVol);
    vec![
        plain("ret_1"),
        plain("ret_2"),
        plain("ret_3"),
        plain("ret_5"),
        plain("ret_10"),
        vol("ewma_vol"),
        vol("rv_7"),
        vol("rv_30"),
    ]
}

/// Return features of one asset from its daily closes (`time` Int64 microseconds, `close` Float64), on the daily
/// grid through the earliest close.
///
/// Columns: `as_of`; `ret_k`, the daily log return that ended `k - 1` days ago; `ewma_vol` (decay 0.94 a day,
/// 180 days), `rv_7` and `rv_30`: annualised root mean squares of daily log returns, at least 5, 5 and 20 of
/// them. Every column uses closes up to its `as_of` only.
///
/// # Errors
/// [`ModelError::BadColumn`], [`ModelError::BadTimes`].
pub fn return_features(prices: &DataFrame) -> Result<DataFrame, ModelError> {
    let anchor = times(prices, "time")?
        .into_iter()
        .min()
        .map_or(0, |t| t.rem_euclid(DAY_MICROS));
    from_grid(&daily_returns(prices, anchor)?)
}

/// The return features of a grid of [`daily_returns`].
pub(super) fn from_grid(grid: &DataFrame) -> Result<DataFrame, ModelError> {
    let lag = |k: i64| col("ret_1").shift(lit(k - 1)).alias(format!("ret_{k}"));
    let mut frame = grid
        .clone()
        .lazy()
        .with_columns([lag(2), lag(3), lag(5), lag(10)])
        .collect()?;
    let squares: Vec<Option<f64>> = floats(grid, "ret_1")?
        .into_iter()
        .map(|r| r.map(|r| r * r))
        .collect();
    // Trailing sums are taken afresh per window (not updated), so that a shorter history gives the same bits.
    let annual = |mean: Vec<Option<f64>>| -> Vec<Option<f64>> {
        let vol = |v: f64| Some(libm::sqrt(v * DAYS_PER_YEAR)).filter(|v| *v > 0.0);
        mean.into_iter().map(|v| v.and_then(vol)).collect()
    };
    // A span of 32.33 days has decay 0.94; 32 gives 0.9394.
    frame.with_column(Column::new(
        "ewma_vol".into(),
        annual(rolling::ema(&squares, 32, 180, 5)),
    ))?;
    frame.with_column(Column::new(
        "rv_7".into(),
        annual(rolling::mean(&squares, 7, 5)),
    ))?;
    frame.with_column(Column::new(
        "rv_30".into(),
        annual(rolling::mean(&squares, 30, 20)),
    ))?;
    Ok(frame)
}
