//! Trades of options: what must hold for one to be kept.

use super::{Sign, Sink, asset_of};
use crate::draft::{At, OptionDraft, TradeDraft};
use crate::flaw::{Flaw, positive};
use crate::format::Settlement;
use crate::reject::Reason;
use crate::rows::{Stamp, TradeRow};
use crate::terms::option_terms;

impl Sink<'_> {
    pub(super) fn trade_row(
        &mut self,
        at: At<'_>,
        draft: &TradeDraft<'_>,
    ) -> Result<(Stamp, TradeRow), Flaw> {
        let event_time = self.event_time(&draft.times)?;
        let named = OptionDraft {
            instrument: draft.instrument,
            ..OptionDraft::default()
        };
        let terms = option_terms(&named).map_err(|flaw| flaw.at(event_time))?;
        let row = || {
            let missing =
                |name| move || Flaw::new(Reason::MissingValue, format!("`{name}` is absent"));
            if terms.expiry <= event_time {
                let detail = format!("expired {}, traded {event_time}", terms.expiry);
                return Err(Flaw::new(Reason::Expired, detail));
            }
            let taker_side = match draft.direction.ok_or_else(missing("direction"))? {
                "buy" => "buy",
                "sell" => "sell",
                other => {
                    let detail = format!("direction `{other}` is neither buy nor sell");
                    return Err(Flaw::new(Reason::Inconsistent, detail));
                }
            };
            let settlement = match terms.linear {
                Some(true) => Settlement::Linear,
                Some(false) => Settlement::Inverse,
                None => self.dataset.settlement,
            };
            Ok(TradeRow {
                trade_id: draft.trade_id.clone().ok_or_else(missing("trade_id"))?,
                instrument: draft.instrument.unwrap_or_default().to_owned(),
                expiry: terms.expiry,
                strike: terms.strike,
                call: terms.call,
                settlement: settlement.word(),
                taker_side,
                contracts: positive("amount", draft.amount)?,
                price: positive("price", draft.price)?,
                iv: None,
                mark: None,
                index_price: None,
            })
        };
        let row = row().map_err(|flaw| flaw.at(event_time))?;
        let asset = terms.base.map(asset_of);
        let asset = asset.or_else(|| self.document_asset.clone());
        let stamp = self.stamp(asset, event_time, &draft.times)?;
        self.unique(&row.trade_id, event_time)?;
        Ok((
            stamp,
            TradeRow {
                iv: self.aux(at, "iv", draft.iv, Sign::NotNegative),
                mark: self.aux(at, "mark_price", draft.mark, Sign::NotNegative),
                index_price: self.aux(at, "index_price", draft.index_price, Sign::Positive),
                ..row
            },
        ))
    }
}
