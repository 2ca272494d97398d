//! Checks on single values.

use lakectl_core::UtcTime;

use crate::number::Number;
use crate::reject::Reason;

/// Why one row is left out.
pub(crate) struct Flaw {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
    pub(crate) event_time: Option<UtcTime>,
}

impl Flaw {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            event_time: None,
        }
    }

    pub(crate) fn at(mut self, time: UtcTime) -> Self {
        self.event_time = Some(time);
        self
    }
}

pub(crate) fn bad_time(column: &str) -> Flaw {
    let detail = format!("`{column}` is not a time between 1990 and 2200 in the declared unit");
    Flaw::new(Reason::BadTime, detail)
}

pub(crate) fn uncrossed(bid: Option<f64>, ask: Option<f64>) -> Result<(), Flaw> {
    match (bid, ask) {
        (Some(bid), Some(ask)) if bid > ask => Err(Flaw::new(
            Reason::Crossed,
            format!("bid {bid} is above ask {ask}"),
        )),
        _ => Ok(()),
    }
}

pub(crate) fn finite(name: &str, number: Number) -> Result<Option<f64>, Flaw> {
    match number {
        Number::Missing => Ok(None),
        Number::Value(value) => Ok(Some(value)),
        Number::NotFinite => Err(Flaw::new(
            Reason::NotFinite,
            format!("`{name}` is not a finite number"),
        )),
        Number::Unreadable => Err(Flaw::new(
            Reason::NotANumber,
            format!("`{name}` is not a number"),
        )),
    }
}

pub(crate) fn not_negative(name: &str, number: Number) -> Result<Option<f64>, Flaw> {
    match finite(name, number)? {
        Some(value) if value < 0.0 => Err(Flaw::new(
            Reason::NegativeValue,
            format!("`{name}` is {value}"),
        )),
        // Also turns -0 into 0.
        value => Ok(value.map(f64::abs)),
    }
}

pub(crate) fn positive(name: &str, number: Number) -> Result<f64, Flaw> {
    match not_negative(name, number)? {
        None => Err(Flaw::new(
            Reason::MissingValue,
            format!("`{name}` is absent"),
        )),
        Some(0.0) => Err(Flaw::new(Reason::ZeroPrice, format!("`{name}` is 0"))),
        Some(value) => Ok(value),
    }
}
