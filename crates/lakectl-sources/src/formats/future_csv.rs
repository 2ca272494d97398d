//! Quotes and marks of futures as CSV.

use super::csv_table::{CommonColumns, Table};
use crate::dataset::Dataset;
use crate::reject::DocumentError;
use crate::sink::{FutureDraft, Sink};

pub(super) fn parse(
    dataset: &Dataset,
    body: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let table = Table::open(body, dataset)?;
    let common = CommonColumns::bind(&table, dataset)?;
    let instrument = table.bind(dataset, "instrument")?;
    let expiry = table.bind(dataset, "expiry")?;
    let bid = table.bind(dataset, "bid")?;
    let ask = table.bind(dataset, "ask")?;
    let mark = table.bind(dataset, "mark")?;
    let last = table.bind(dataset, "last")?;
    let open_interest = table.bind_optional(dataset, "open_interest", sink);
    let volume = table.bind_optional(dataset, "volume", sink);
    let index_price = table.bind_optional(dataset, "index_price", sink);
    table.each(sink, |sink, record, at| {
        let draft = FutureDraft {
            times: common.times(record),
            asset: common.asset(record),
            instrument: instrument.text(record),
            expiry: expiry.time(record),
            bid: bid.number(record),
            ask: ask.number(record),
            mark: mark.number(record),
            last: last.number(record),
            open_interest: open_interest.number(record),
            volume: volume.number(record),
            index_price: index_price.number(record),
        };
        sink.future(at, &draft);
    })
}
