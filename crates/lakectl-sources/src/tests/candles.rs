use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, TimestampNanosecondArray};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;

use super::{dataset, document, floats, read, rejects, times, words};
use crate::{Dataset, parse};

fn dvol() -> Dataset {
    dataset(
        r#"
format = "candle_csv"
feeds = "dvol"
width = "1d"
lag = "5m"
venue = "deribit"
[columns]
event_time = "date"
asset = "symbol"
open = { column = "open", unit = "percent" }
high = { column = "high", unit = "percent" }
low = { column = "low", unit = "percent" }
close = { column = "close", unit = "percent" }
"#,
    )
}

#[test]
fn newest_first_percent_and_an_unfinished_last_day() {
    let body = "date,symbol,open,high,low,close\n2026-04-06,BTC,47.53,47.76,47.45,47.76\n\
                2026-04-05,BTC,47.37,48.66,47.03,47.53\n2026-04-04,BTC,,,,\n2026-04-03,BTC,47,,46,46\n\
                2026-04-02,BTC,47,45,46,46\n2026-04-01,BTC,47,48,46,0\n2026-04-05,BTC,47.37,48.66,47.03,47.53\n";
    let parsed = read(&dvol(), body, "2026-04-06T12:00:00Z");
    assert_eq!(floats(&parsed, "close"), [Some(0.4753)]);
    assert_eq!(times(&parsed, "known_at"), ["2026-04-06T00:05:00Z"]);
    assert_eq!(words(&parsed, "series"), ["dvol"]);
    let want = [
        "2 unfinished reject",
        "5 missing_value reject",
        "6 inconsistent reject",
        "7 zero_price reject",
        "8 duplicate reject",
    ];
    assert_eq!(rejects(&parsed), want);
}

#[test]
fn semicolons_quotes_and_a_byte_order_mark() {
    let spot = dataset(
        "format = 'candle_csv'\nfeeds = 'spot_bars'\nwidth = '1d'\nlag = '1h'\nvenue = 'v'\nasset = 'BTC'\n\
         [columns]\nevent_time = 'timeOpen'\nopen = 'open'\nhigh = 'high'\nlow = 'low'\nclose = 'close'\nvolume = 'volume'",
    );
    let body = "\u{feff}timeOpen;name;open;high;low;close;volume\n\
                \"2026-08-21T00:00:00.000Z\";\"2781\";69371.0;75994.3;68538.6;75093.2;nan\n";
    let parsed = read(&spot, body, "2026-08-23");
    assert_eq!(floats(&parsed, "open"), [Some(69371.0)]);
    assert_eq!(floats(&parsed, "volume"), [None]);
    assert_eq!(rejects(&parsed), ["2 not_finite warn"]);
    assert_eq!(words(&parsed, "series"), ["spot"]);
}

pub(super) fn parquet_body() -> Vec<u8> {
    let hour = 3_600_000_000_000_i64;
    let first = 1_767_571_200_000_000_000;
    let times = TimestampNanosecondArray::from(vec![first, first + hour, first + 2 * hour]);
    let column = |values: [f64; 3]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
    let batch = RecordBatch::try_from_iter([
        ("open", column([1.0, 2.0, 3.0])),
        ("high", column([2.0, 3.0, 4.0])),
        ("low", column([0.5, 1.5, 2.5])),
        ("close", column([1.5, f64::NAN, 3.5])),
        ("volume", column([10.0, 20.0, 30.0])),
        (
            "timestamp",
            Arc::new(times.with_timezone("UTC")) as ArrayRef,
        ),
    ])
    .unwrap();
    let mut body = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut body, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    body
}

pub(super) fn hourly() -> Dataset {
    dataset(
        "format = 'candle_parquet'\nfeeds = 'spot_bars'\nwidth = '1h'\nlag = '0s'\nvenue = 'binance'\nseries = 'perpetual'\n\
         asset = 'name:{}USDT_1h'\n[columns]\nevent_time = 'timestamp'\nopen = 'open'\nhigh = 'high'\nlow = 'low'\n\
         close = 'close'\nvolume = 'volume'",
    )
}

#[test]
fn parquet_bars_take_the_asset_from_their_name() {
    let at = "2026-01-05T02:30:00Z";
    let parsed = parse(
        &hourly(),
        &document("a/ETHUSDT_1h.parquet", parquet_body(), at),
        0,
        true,
    );
    assert_eq!(words(&parsed, "asset"), ["ETH"]);
    assert_eq!(times(&parsed, "known_at"), ["2026-01-05T01:00:00Z"]);
    assert_eq!(
        rejects(&parsed),
        ["2 not_finite reject", "3 unfinished reject"]
    );

    let other = document("ETH.parquet", parquet_body(), at);
    assert_eq!(
        rejects(&parse(&hourly(), &other, 0, true)),
        ["- misnamed reject"]
    );
    let cut = document("ETHUSDT_1h.parquet", parquet_body()[..200].to_vec(), at);
    assert_eq!(
        rejects(&parse(&hourly(), &cut, 0, true)),
        ["- truncated reject"]
    );
    let text = document("ETHUSDT_1h.parquet", "a,b\n", at);
    assert_eq!(
        rejects(&parse(&hourly(), &text, 0, true)),
        ["- unknown_format reject"]
    );
    let mut renamed = hourly();
    renamed.columns.get_mut("close").unwrap().column = "last".into();
    let body = document("ETHUSDT_1h.parquet", parquet_body(), at);
    assert_eq!(
        rejects(&parse(&renamed, &body, 0, true)),
        ["- missing_column reject"]
    );
}

#[test]
fn coinbase_lists_put_low_before_high() {
    let coinbase =
        dataset("format = 'coinbase_candles_json'\nfeeds = 'spot_bars'\nwidth = '1h'\nlag = '0s'");
    let both = [
        "[[1712192400, 66055.14, 66331.99, 66312.4, 66181.6, 355.8]]",
        r#"{"candles":[{"start":"1712192400","low":"66055.14","high":"66331.99","open":"66312.4","close":"66181.6","volume":"355.8"}]}"#,
    ];
    for body in both {
        let mut document = document("x.json", body, "2024-04-05");
        document.request =
            "https://api.exchange.coinbase.com/products/BTC-USD/candles?granularity=3600".into();
        let parsed = parse(&coinbase, &document, 0, true);
        assert_eq!(rejects(&parsed), [""; 0]);
        assert_eq!(words(&parsed, "asset"), ["BTC"]);
        assert_eq!(floats(&parsed, "open"), [Some(66312.4)]);
        assert_eq!(floats(&parsed, "high"), [Some(66331.99)]);
        assert_eq!(times(&parsed, "known_at"), ["2024-04-04T02:00:00Z"]);
    }
    let short = read(&coinbase, "[[1712192400, 1, 2]]", "2024-04-05");
    assert_eq!(rejects(&short), ["1 field_count reject"]);
}

#[test]
fn pairs_of_six_are_bars() {
    let bars = dataset(
        "format = 'pairs_json'\nfeeds = 'spot_bars'\nwidth = '1d'\nlag = '0s'\nvenue = 'v'\nasset = 'BTC'",
    );
    let parsed = read(
        &bars,
        "[[1767571200000,1,2,0.5,1.5,9],[1767657600000,null,null,null,null,null]]",
        "2026-02-01",
    );
    assert_eq!(floats(&parsed, "volume"), [Some(9.0)]);
    assert_eq!(rejects(&parsed), [""; 0]);
    let empty = document("x", Bytes::new(), "2026-02-01");
    assert_eq!(
        rejects(&parse(&bars, &empty, 0, true)),
        ["- empty_document reject"]
    );
}
