//! `[[milliseconds, value], ...]`, one series a document, or bars `[[milliseconds, open, high, low, close, volume], ...]`.

use super::Series;
use super::json::{list_text, read};
use crate::dataset::Dataset;
use crate::feed::RowKind;
use crate::number::Scalar;
use crate::reject::{DocumentError, Reason};
use crate::sink::{At, CandleDraft, MetricDraft, Sink};
use crate::units::TimeUnit;

pub(super) fn parse(
    dataset: &Dataset,
    body: &[u8],
    sink: &mut Sink<'_>,
) -> Result<(), DocumentError> {
    let rows: Vec<Vec<Scalar>> = read(body)?;
    let series = Series::of(dataset, sink.stem());
    for (i, row) in rows.iter().enumerate() {
        let raw = || list_text(row);
        let at = At {
            row: i as i64 + 1,
            raw: &raw,
        };
        if dataset.feeds.row_kind() == RowKind::Candles {
            candle(sink, at, row, &series);
            continue;
        }
        let [time, value] = row.as_slice() else {
            sink.malformed(
                at,
                Reason::FieldCount,
                format!("{} values, expected 2", row.len()),
            );
            continue;
        };
        let mut draft = MetricDraft {
            metric: &series.metric,
            value: series.convert(value.number()),
            unit: series.unit,
            ..MetricDraft::default()
        };
        draft.times.event = TimeUnit::Millis.read_scalar(time);
        sink.metric(at, &draft);
    }
    Ok(())
}

fn candle(sink: &mut Sink<'_>, at: At<'_>, row: &[Scalar], series: &Series) {
    let [time, open, high, low, close, rest @ ..] = row else {
        sink.malformed(
            at,
            Reason::FieldCount,
            format!("{} values, expected 5 or 6", row.len()),
        );
        return;
    };
    let mut draft = CandleDraft {
        prices: [open, high, low, close].map(|price| series.convert(price.number())),
        volume: rest.first().map(Scalar::number).unwrap_or_default(),
        ..CandleDraft::default()
    };
    draft.times.event = TimeUnit::Millis.read_scalar(time);
    sink.candle(at, &draft);
}
