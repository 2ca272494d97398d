//! Quotes of options and futures: what must hold for one to be kept.

use lakectl_core::UtcTime;

use super::{Sign, Sink, asset_of};
use crate::dataset::Dataset;
use crate::draft::{At, FutureDraft, OptionDraft};
use crate::flaw::{Flaw, not_negative, uncrossed};
use crate::format::Settlement;
use crate::instrument;
use crate::number::Number;
use crate::reject::Reason;
use crate::rows::{FutureRow, OptionRow, Stamp};
use crate::terms::{Terms, future_terms, option_terms};
use crate::units::Unit;

impl Sink<'_> {
    pub(super) fn option_row(
        &mut self,
        at: At<'_>,
        draft: &OptionDraft<'_>,
    ) -> Result<(Stamp, OptionRow), Flaw> {
        let event_time = self.event_time(&draft.times)?;
        let terms = option_terms(draft).map_err(|flaw| flaw.at(event_time))?;
        let result = self.option_values(at, draft, &terms, event_time);
        let (row, asset) = result.map_err(|flaw| flaw.at(event_time))?;
        let asset = draft.asset.map(asset_of).or(asset);
        let stamp = self.stamp(asset, event_time, &draft.times)?;
        self.unique(&row.instrument, event_time)?;
        Ok((stamp, row))
    }

    fn option_values(
        &mut self,
        at: At<'_>,
        draft: &OptionDraft<'_>,
        terms: &Terms<'_>,
        event_time: UtcTime,
    ) -> Result<(OptionRow, Option<String>), Flaw> {
        if terms.expiry <= event_time {
            let detail = format!("expired {}, quoted {event_time}", terms.expiry);
            return Err(Flaw::new(Reason::Expired, detail));
        }
        let underlying_price = self.underlying(at, draft.underlying_price);
        let settlement = match terms.linear {
            Some(true) => Settlement::Linear,
            Some(false) => Settlement::Inverse,
            None => self.dataset.settlement,
        };
        let unit = |dataset: &Dataset, column: &str| {
            let spec = dataset.columns.get(column);
            spec.map_or(Unit::Native, |spec| spec.value_unit())
        };
        // A price in the other unit cannot be told without the underlying one.
        let quote = |dataset: &Dataset, column: &str, value: Option<f64>| match (
            unit(dataset, column),
            settlement,
        ) {
            (Unit::Usd, Settlement::Inverse) => Some(value? / underlying_price?),
            (Unit::Coin, Settlement::Linear) => Some(value? * underlying_price?),
            _ => value,
        };
        let size = |dataset: &Dataset, column: &str, value: Option<f64>| match unit(dataset, column)
        {
            Unit::Usd => Some(value? / underlying_price?),
            _ => value,
        };
        let bid = self.price(at, "bid", draft.bid)?;
        let ask = self.price(at, "ask", draft.ask)?;
        uncrossed(bid, ask)?;
        // A mark of zero is real: the venue rounds far wings.
        let mark = not_negative("mark", draft.mark)?;
        let mark_iv = self.volatility(at, draft.mark_iv)?;
        let open_interest = self.aux(at, "open_interest", draft.open_interest, Sign::NotNegative);
        let volume = self.aux(at, "volume", draft.volume, Sign::NotNegative);
        let asset = terms
            .base
            .map(asset_of)
            .or_else(|| self.document_asset.clone());
        let instrument = match draft.instrument {
            Some(name) => name.to_owned(),
            None => {
                let asset = draft.asset.map(asset_of).or_else(|| asset.clone());
                let Some(asset) = asset else {
                    return Err(Flaw::new(
                        Reason::BadInstrument,
                        "neither a name nor an asset",
                    ));
                };
                instrument::option_name(&asset, terms.expiry, terms.strike, terms.call)
            }
        };
        let row = OptionRow {
            instrument,
            expiry: terms.expiry,
            strike: terms.strike,
            call: terms.call,
            settlement: settlement.word(),
            bid: quote(self.dataset, "bid", bid),
            ask: quote(self.dataset, "ask", ask),
            mark: quote(self.dataset, "mark", mark),
            underlying_price,
            mark_iv,
            open_interest: size(self.dataset, "open_interest", open_interest),
            volume: size(self.dataset, "volume", volume),
            index_price: self.aux(at, "index_price", draft.index_price, Sign::Positive),
            exchange_delta: self.aux(at, "exchange_delta", draft.exchange_delta, Sign::Any),
            exchange_vega: self.aux(at, "exchange_vega", draft.exchange_vega, Sign::Any),
        };
        Ok((row, asset))
    }

    /// The venue's forward price: a quote without one is kept, and parity or a future have to serve it.
    fn underlying(&mut self, at: At<'_>, number: Number) -> Option<f64> {
        if number == Number::Missing {
            self.count(Reason::MissingValue, "underlying_price", at);
        }
        self.aux(at, "underlying_price", number, Sign::Positive)
    }

    pub(super) fn future_row(
        &mut self,
        at: At<'_>,
        draft: &FutureDraft<'_>,
    ) -> Result<(Stamp, FutureRow), Flaw> {
        let event_time = self.event_time(&draft.times)?;
        let (name, base, expiry) = future_terms(draft).map_err(|flaw| flaw.at(event_time))?;
        let row = self
            .future_values(at, draft, name, expiry, event_time)
            .map_err(|flaw| flaw.at(event_time))?;
        let asset = draft.asset.or(base).map(asset_of);
        let asset = asset.or_else(|| self.document_asset.clone());
        let stamp = self.stamp(asset, event_time, &draft.times)?;
        self.unique(name, event_time)?;
        Ok((stamp, row))
    }

    fn future_values(
        &mut self,
        at: At<'_>,
        draft: &FutureDraft<'_>,
        name: &str,
        expiry: Option<UtcTime>,
        event_time: UtcTime,
    ) -> Result<FutureRow, Flaw> {
        if let Some(expiry) = expiry.filter(|expiry| *expiry <= event_time) {
            let detail = format!("expired {expiry}, quoted {event_time}");
            return Err(Flaw::new(Reason::Expired, detail));
        }
        let bid = self.price(at, "bid", draft.bid)?;
        let ask = self.price(at, "ask", draft.ask)?;
        uncrossed(bid, ask)?;
        let mark = self.price(at, "mark", draft.mark)?;
        let last = self.price(at, "last", draft.last)?;
        if [bid, ask, mark, last] == [None; 4] {
            return Err(Flaw::new(
                Reason::MissingValue,
                "none of bid, ask, mark, last",
            ));
        }
        Ok(FutureRow {
            instrument: name.to_owned(),
            expiry,
            bid,
            ask,
            mark,
            last,
            open_interest: self.aux(at, "open_interest", draft.open_interest, Sign::NotNegative),
            volume: self.aux(at, "volume", draft.volume, Sign::NotNegative),
            index_price: self.aux(at, "index_price", draft.index_price, Sign::Positive),
        })
    }
}
