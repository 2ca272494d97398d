//! Coinbase candles: `[[t, LOW, HIGH, open, close, volume], ...]`, or `{"candles": [{start, low, high, ...}]}`.

use serde::Deserialize;

use super::json::{list_text, read};
use crate::number::Scalar;
use crate::reject::{DocumentError, Reason};
use crate::sink::{At, CandleDraft, Sink};
use crate::units::TimeUnit;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Candle {
    start: Scalar,
    low: Scalar,
    high: Scalar,
    open: Scalar,
    close: Scalar,
    volume: Scalar,
}

#[derive(Deserialize)]
struct Page {
    candles: Vec<Candle>,
}

pub(super) fn parse(body: &[u8], sink: &mut Sink<'_>) -> Result<(), DocumentError> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let rows = if first == Some(&b'{') {
        let fields = |c: Candle| vec![c.start, c.low, c.high, c.open, c.close, c.volume];
        read::<Page>(body)?
            .candles
            .into_iter()
            .map(fields)
            .collect()
    } else {
        read::<Vec<Vec<Scalar>>>(body)?
    };
    for (i, row) in rows.iter().enumerate() {
        let raw = || list_text(row);
        let at = At {
            row: i as i64 + 1,
            raw: &raw,
        };
        let [time, low, high, open, close, volume] = row.as_slice() else {
            sink.malformed(
                at,
                Reason::FieldCount,
                format!("{} values, expected 6", row.len()),
            );
            continue;
        };
        let mut draft = CandleDraft {
            prices: [open, high, low, close].map(Scalar::number),
            volume: volume.number(),
            ..CandleDraft::default()
        };
        draft.times.event = TimeUnit::Seconds.read_scalar(time);
        sink.candle(at, &draft);
    }
    Ok(())
}
