//! A simulated market of BTC and ETH with a known truth, told in the venues' own formats.
//!
//! [`Market::new`] draws one history: hourly prices with stochastic volatility (three sticky regimes times a
//! mean-reverting factor, fat-tailed shocks), option surfaces whose level is the expected variance plus a premium,
//! coins that age and move, flows, sentiment, stablecoins and rates. [`Market::documents`] renders it as response
//! bodies of Deribit, Coinbase, Coin Metrics, Glassnode, Santiment, DefiLlama, alternative.me and FRED, so that the
//! parsers for live data read it unchanged. [`Market::truth_quantiles`] gives the distribution that
//! the next return was really drawn from: no forecast can be better, on average, than this one.
//!
//! Everything is a pure function of [`MarketConfig`]. Random numbers come from sub-streams keyed by (seed, purpose, day),
//! so a body does not depend on what was asked before it, and a history with a later end repeats every earlier document.
//!
//! The market needs no lake and no engine. A few rows are wrong on purpose ([`Market::dirty_rows`]), one month of
//! exchange flows is published twice with different values, and every 75 days one vendor of on-chain series is out of
//! service for 8, as happens in life.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::print_stderr))]

mod bodies;
mod calendar;
mod catalog;
mod chain;
mod config;
mod market;
mod onchain;
mod path;
mod request;
mod rng;
mod smile;
mod surface;
#[cfg(test)]
mod tests;
mod trades;
mod truth;
mod write;

pub use catalog::{DATASETS, DatasetInfo, Document, DocumentEntry};
pub use chain::{DirtyKind, DirtyRow};
pub use config::{Asset, MarketConfig, MarketError};
pub use market::{DayTruth, Market};
