//! Option mathematics on plain numbers: names, prices and greeks, implied volatility, forwards,
//! smiles, surfaces and the densities they imply.
//!
//! Conventions, the same in every module:
//! - volatility is a fraction per square root of a year (0.43, not 43), total variance is
//!   `volatility^2 * expiry_years`;
//! - a year is 365 days of 86,400 seconds;
//! - log moneyness is `k = ln(strike / forward)` with the forward of the option's own expiry;
//! - greeks are raw partial derivatives per 1.00 of the variable and per year;
//! - a number is a number: what cannot be computed is a typed error or `None`, never NaN.
//!
//! Nothing here reads a clock, a file or a network, and no result depends on a thread count.
//! Transcendental functions come from `libm`, so results agree across machines; square roots are
//! correctly rounded by IEEE 754 on every machine and come from the standard library.
#![cfg_attr(test, allow(clippy::unwrap_used))]
// `!(x > 0.0)` is also true for NaN, which is what the checks of this crate mean.
#![allow(clippy::neg_cmp_op_on_partial_ord)]

pub mod black;
pub mod clean;
pub mod contract;
pub mod density;
pub mod display;
pub mod exposure;
pub mod forward;
pub mod implied;
pub mod index;
pub mod normal;
pub mod slices;
pub mod smile;
pub mod strike;
pub mod surface;
pub mod synthetic;

mod solve;

pub use contract::{Instrument, NameError, OptionKind, Settlement};
