//! Bars as CSV. The event time is the bar's open.

use super::csv_table::{CommonColumns, Table};
use crate::dataset::Dataset;
use crate::reject::DocumentError;
use crate::sink::{CandleDraft, Sink};

pub(super) fn parse(
    dataset: &Dataset,
    body: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let table = Table::open(body, dataset)?;
    let common = CommonColumns::bind(&table, dataset)?;
    let open = table.bind(dataset, "open")?;
    let high = table.bind(dataset, "high")?;
    let low = table.bind(dataset, "low")?;
    let close = table.bind(dataset, "close")?;
    let volume = table.bind_optional(dataset, "volume", sink);
    table.each(sink, |sink, record, at| {
        let draft = CandleDraft {
            times: common.times(record),
            asset: common.asset(record),
            prices: [open, high, low, close].map(|column| column.number(record)),
            volume: volume.number(record),
        };
        sink.candle(at, &draft);
    })
}
