//! Option chains as CSV, one quote a line, with columns named and measured as the declaration says.

use super::csv_table::{CommonColumns, Table};
use crate::dataset::Dataset;
use crate::reject::DocumentError;
use crate::sink::{OptionDraft, Sink};

pub(super) fn parse(
    dataset: &Dataset,
    body: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let table = Table::open(body, dataset)?;
    let common = CommonColumns::bind(&table, dataset)?;
    let instrument = table.bind(dataset, "instrument")?;
    let expiry = table.bind(dataset, "expiry")?;
    let strike = table.bind(dataset, "strike")?;
    let option_type = table.bind(dataset, "option_type")?;
    let settlement = table.bind(dataset, "settlement")?;
    let bid = table.bind(dataset, "bid")?;
    let ask = table.bind(dataset, "ask")?;
    let mark = table.bind(dataset, "mark")?;
    let underlying = table.bind(dataset, "underlying_price")?;
    let mark_iv = table.bind(dataset, "mark_iv")?;
    let open_interest = table.bind_optional(dataset, "open_interest", sink);
    let volume = table.bind_optional(dataset, "volume", sink);
    let index_price = table.bind_optional(dataset, "index_price", sink);
    let delta = table.bind_optional(dataset, "exchange_delta", sink);
    let vega = table.bind_optional(dataset, "exchange_vega", sink);
    table.each(sink, |sink, record, at| {
        let draft = OptionDraft {
            times: common.times(record),
            asset: common.asset(record),
            instrument: instrument.text(record),
            expiry: expiry.time(record),
            strike: strike.number(record),
            option_type: option_type.text(record),
            settlement: settlement.text(record),
            bid: bid.number(record),
            ask: ask.number(record),
            mark: mark.number(record),
            underlying_price: underlying.number(record),
            mark_iv: mark_iv.number(record),
            open_interest: open_interest.number(record),
            volume: volume.number(record),
            index_price: index_price.number(record),
            exchange_delta: delta.number(record),
            exchange_vega: vega.number(record),
        };
        sink.option(at, &draft);
    })
}
