//! What a quote is about: the terms of the contract, from columns and from its name.

use lakectl_core::UtcTime;

use crate::draft::{FutureDraft, OptionDraft};
use crate::flaw::{Flaw, bad_time, positive};
use crate::instrument::{self, Contract, EXPIRY_MICROS};
use crate::number::Number;
use crate::reject::Reason;
use crate::units::TimeField;

/// What an option row is about.
pub(crate) struct Terms<'a> {
    pub(crate) base: Option<&'a str>,
    pub(crate) expiry: UtcTime,
    pub(crate) strike: f64,
    pub(crate) call: bool,
    pub(crate) linear: Option<bool>,
}

/// Terms from columns and name; where both tell, they must agree.
pub(crate) fn option_terms<'a>(draft: &OptionDraft<'a>) -> Result<Terms<'a>, Flaw> {
    let parsed = draft.instrument.and_then(instrument::parse);
    let named = match parsed.map(|name| name.kind) {
        Some(Contract::Option {
            expiry,
            strike,
            call,
        }) => Some((expiry, strike, call)),
        Some(_) => return Err(Flaw::new(Reason::BadInstrument, "not an option")),
        None => None,
    };
    let expiry = match draft.expiry {
        TimeField::Value(time) => Some(expiry_hour(time)),
        TimeField::Missing => None,
        TimeField::Unreadable => return Err(bad_time("expiry")),
    };
    let strike = match draft.strike {
        Number::Missing => None,
        number => Some(positive("strike", number)?),
    };
    let call = match draft
        .option_type
        .map(|text| text.trim().to_ascii_lowercase())
    {
        None => None,
        Some(text) => match text.as_str() {
            "call" | "c" => Some(true),
            "put" | "p" => Some(false),
            "" => None,
            _ => {
                let detail = format!("option type `{text}` is neither call nor put");
                return Err(Flaw::new(Reason::BadInstrument, detail));
            }
        },
    };
    if let Some((e, s, c)) = named {
        let differs = expiry.is_some_and(|expiry| expiry != e)
            || strike.is_some_and(|strike| (strike - s).abs() > 1e-9 * s)
            || call.is_some_and(|call| call != c);
        if differs {
            let name = draft.instrument.unwrap_or_default();
            let detail = format!("expiry, strike or type contradict the name {name}");
            return Err(Flaw::new(Reason::Inconsistent, detail));
        }
    }
    let linear = match draft
        .settlement
        .map(|text| text.trim().to_ascii_lowercase())
    {
        Some(text) if text == "linear" => Some(true),
        Some(text) if text == "inverse" => Some(false),
        _ => parsed.map(|name| name.linear),
    };
    let terms = (
        expiry.or(named.map(|n| n.0)),
        strike.or(named.map(|n| n.1)),
        call.or(named.map(|n| n.2)),
    );
    let (Some(expiry), Some(strike), Some(call)) = terms else {
        let name = draft.instrument.unwrap_or("(none)");
        let detail =
            format!("expiry, strike and type are not known from the name {name} nor from columns");
        return Err(Flaw::new(Reason::BadInstrument, detail));
    };
    Ok(Terms {
        base: parsed.map(|name| name.base),
        expiry,
        strike,
        call,
        linear,
    })
}

/// Name, base coin and expiry; a perpetual has none.
pub(crate) type FutureTerms<'a> = (&'a str, Option<&'a str>, Option<UtcTime>);

pub(crate) fn future_terms<'a>(draft: &FutureDraft<'a>) -> Result<FutureTerms<'a>, Flaw> {
    let name = draft
        .instrument
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let Some(name) = name else {
        return Err(Flaw::new(Reason::BadInstrument, "no instrument"));
    };
    let column = match draft.expiry {
        TimeField::Value(time) => Some(expiry_hour(time)),
        TimeField::Missing => None,
        TimeField::Unreadable => return Err(bad_time("expiry")),
    };
    let parsed = instrument::parse(name);
    let base = parsed.map(|name| name.base);
    match (parsed.map(|name| name.kind), column) {
        (Some(Contract::Perpetual), None) => Ok((name, base, None)),
        (Some(Contract::Future { expiry }), None) => Ok((name, base, Some(expiry))),
        (Some(Contract::Future { expiry }), Some(column)) if expiry == column => {
            Ok((name, base, Some(expiry)))
        }
        (None, Some(column)) => Ok((name, None, Some(column))),
        (Some(Contract::Perpetual | Contract::Future { .. }), Some(column)) => {
            let detail = format!("expiry {column} contradicts the name {name}");
            Err(Flaw::new(Reason::Inconsistent, detail))
        }
        _ => {
            let detail = format!("`{name}` is not a future, or its expiry is not known");
            Err(Flaw::new(Reason::BadInstrument, detail))
        }
    }
}

/// A bare date means the venue's hour of expiry on that date.
fn expiry_hour(time: UtcTime) -> UtcTime {
    let midnight = time.day().start();
    if time == midnight {
        UtcTime::from_micros(midnight.micros() + EXPIRY_MICROS)
    } else {
        time
    }
}
