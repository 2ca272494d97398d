//! Statistics on plain slices: scores of forecasts, trailing windows, least squares, special functions.
//!
//! Nothing here knows prices, options or time zones. Every kernel is a pure function with a fixed
//! order of additions and takes its elementary functions from `libm`, so that equal input gives equal
//! bits on every machine. A kernel that cannot answer returns a [`StatsError`]; NaN is never an answer
//! and non-finite input is refused.
//!
//! ```
//! use lakectl_stats::scores::QuantileFunction;
//! let forecast = QuantileFunction::new(&[0.05, 0.25, 0.5, 0.75, 0.95], &[-0.06, -0.02, 0.0, 0.02, 0.06])?;
//! assert!(forecast.crps(0.01)? < forecast.crps(0.10)?);
//! assert_eq!(forecast.quantile(0.5)?, 0.0);
//! # Ok::<(), lakectl_stats::StatsError>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod components;
pub mod covariance;
mod error;
pub mod quantiles;
pub mod regression;
pub mod rolling;
pub mod scores;
pub mod special;

pub use error::StatsError;
