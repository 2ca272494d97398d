use proptest::prelude::*;

use super::candles::{hourly, parquet_body};
use super::{dataset, document};
use crate::{Dataset, parse};

/// A declaration and a good body of every format.
fn samples() -> Vec<(Dataset, Vec<u8>)> {
    let text = |declaration: &str, body: &str| (dataset(declaration), body.as_bytes().to_vec());
    let json = |feeds: &str, body: &str| {
        let width = if feeds == "dvol" { "width = '1h'" } else { "" };
        let declaration = format!(
            "format = 'deribit_json'\nfeeds = '{feeds}'\nlag = '1m'\nasset = 'BTC'\n{width}"
        );
        (dataset(&declaration), body.as_bytes().to_vec())
    };
    vec![
        text(
            "format = 'chain_csv'\nfeeds = 'option_quotes'\nlag = '1m'\n[columns]\nevent_time = 't'\ninstrument = 'i'\n\
             underlying_price = 'u'\nbid = { column = 'b', unit = 'usd' }\nmark_iv = { column = 'v', unit = 'percent' }",
            "t,i,u,b,v\n2026-01-01T09:18:35.173006+00:00,BTC-3JAN26-88000-C,88000,150,40\n2026-01-01,ETH-3JAN26-3000-P,3000,,\n",
        ),
        text(
            "format = 'tardis_options_csv'\nfeeds = 'option_quotes'\nlag = '1m'",
            "symbol,timestamp,local_timestamp,type,strike_price,expiration,open_interest,bid_price,ask_price,mark_price,\
             mark_iv,underlying_price,delta,vega\nBTC-9JUN20-9875-P,1591574399413000,1591574400196008,put,9875,\
             1591689600000000,0.1,0.0205,0.0235,0.022,62.89,9756.36,-0.6,2.2\n",
        ),
        text(
            "format = 'future_csv'\nfeeds = 'future_quotes'\nlag = '1m'\n[columns]\ninstrument = 'i'\nmark = 'm'\nexpiry = 'e'",
            "i,m,e\nBTC-PERPETUAL,1,\nBTC-25DEC26,1,2026-12-25\n",
        ),
        text(
            "format = 'candle_csv'\nfeeds = 'dvol'\nlag = '1m'\nwidth = '1d'\nvenue = 'v'\n[columns]\nevent_time = 'd'\n\
             open = 'o'\nhigh = 'h'\nlow = 'l'\nclose = 'c'",
            "d;o;h;l;c\n2026-01-01;1;2;1;\"2\"\n",
        ),
        (hourly(), parquet_body()),
        text(
            "format = 'metric_csv'\nfeeds = 'metrics'\nlag = '1m'\nvenue = 'v'\n[columns]\nevent_time = { column = 't', unit = 's' }\n\
             vendor_time = { column = 'k', unit = 'ns' }\n[metrics]\nmvrv = 'm'\nsupply = { column = 's', scale = 1e300 }",
            "t,k,m,s\n1767571200,1767571200000000000,1.5,1e9\n",
        ),
        text(
            "format = 'metric_csv'\nfeeds = 'metrics'\nlag = '1m'\nvenue = 'v'\n[columns]\nevent_time = 't'\nmetric = 'm'\nvalue = 'x'",
            "t,m,x\n2026-01-01,PriceUSD,\"1,234.5\"\n",
        ),
        text(
            "format = 'fred_csv'\nfeeds = 'rates'\nlag = '1m'",
            "DATE,SOFR\n2026-01-01,.\n2026-01-02,3.6\n",
        ),
        text(
            "format = 'glassnode_csv'\nfeeds = 'metrics'\nlag = '1m'",
            "t,o\n2026-01-01,\"{'a': 1, 'b': None}\"\n",
        ),
        text(
            "format = 'glassnode_json'\nfeeds = 'metrics'\nlag = '1m'",
            r#"[{"t":1767571200,"v":1},{"t":1767571200,"o":{"a":1}}]"#,
        ),
        text(
            "format = 'pairs_json'\nfeeds = 'metrics'\nlag = '1m'\nvenue = 'v'",
            "[[1767571200000, 1.5],[1767571200000, NaN]]",
        ),
        json(
            "option_quotes",
            r#"{"result":[{"instrument_name":"BTC-9JAN26-90000-C","underlying_price":9,"mark_iv":"40"}]}"#,
        ),
        json(
            "future_quotes",
            r#"{"result":[{"instrument_name":"BTC-9JAN26","mark_price":9}]}"#,
        ),
        json(
            "dvol",
            r#"{"result":{"data":[[1767484800000,70.1,71,69,70.5]]}}"#,
        ),
        json(
            "funding",
            r#"{"result":[{"timestamp":1767614400000,"interest_8h":0.0001}]}"#,
        ),
        text(
            "format = 'coinmetrics_json'\nfeeds = 'metrics'\nlag = '1m'",
            r#"{"data":[{"asset":"btc","time":"2026-01-01T00:00:00Z","PriceUSD":"1","AssetEODCompletionTime":"1767328200"}]}"#,
        ),
        text(
            "format = 'santiment_json'\nfeeds = 'metrics'\nlag = '1m'",
            r#"{"data":{"getMetric":{"timeseriesData":[{"datetime":"2026-01-01T00:00:00Z","value":1}]}}}"#,
        ),
        text(
            "format = 'defillama_json'\nfeeds = 'metrics'\nlag = '1m'",
            r#"[{"date":"1767225600","totalCirculatingUSD":{"peggedUSD":2.5e11,"x":1e308}}]"#,
        ),
        text(
            "format = 'fear_greed_json'\nfeeds = 'sentiment'\nlag = '1m'",
            r#"{"data":[{"value":"40","timestamp":"1767571200"}]}"#,
        ),
        text(
            "format = 'coinbase_candles_json'\nfeeds = 'spot_bars'\nlag = '1m'\nwidth = '1h'",
            "[[1712192400, 1, 4, 2, 3, 5]]",
        ),
    ]
}

/// Parses and checks what holds for any bytes: something is reported, and nothing that is not finite comes out.
fn check(dataset: &Dataset, name: &str, body: Vec<u8>) {
    let parsed = parse(
        dataset,
        &document(name, body, "2026-01-06T12:00:00Z"),
        1,
        true,
    );
    assert!(
        parsed.rows.num_rows() + parsed.rejects.num_rows() > 0,
        "silent"
    );
    for (field, column) in parsed
        .rows
        .schema()
        .fields()
        .iter()
        .zip(parsed.rows.columns())
    {
        use arrow::array::AsArray;
        if let Some(floats) = column.as_primitive_opt::<arrow::datatypes::Float64Type>() {
            assert!(
                floats.iter().flatten().all(f64::is_finite),
                "{}",
                field.name()
            );
        }
    }
}

#[test]
fn samples_are_good() {
    for (dataset, body) in samples() {
        let parsed = parse(
            &dataset,
            &document("BTCUSDT_1h.x", body, "2026-01-06T12:00:00Z"),
            1,
            true,
        );
        assert!(
            parsed.rows.num_rows() > 0,
            "{:?} {:?}",
            dataset.format,
            super::rejects(&parsed)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..400), name in "(BTCUSDT_1h|x)(\\.zst|\\.gz|\\.csv)") {
        for (dataset, _) in samples() {
            check(&dataset, &name, body.clone());
        }
    }

    #[test]
    fn mutated_bodies_never_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 1..6),
    ) {
        for (dataset, mut body) in samples() {
            for (place, kind, byte) in &edits {
                if body.is_empty() {
                    break;
                }
                let at = place.index(body.len());
                match kind {
                    0 => body[at] = *byte,
                    1 => body.insert(at, *byte),
                    2 => { body.remove(at); }
                    _ => body.truncate(at),
                }
            }
            check(&dataset, "BTCUSDT_1h.x", body);
        }
    }

    #[test]
    fn odd_text_in_json_and_csv_never_panics(text in "[\\[\\]{}\"':,;.0-9eNaIinfty\\\\ \n-]{0,80}") {
        for (dataset, _) in samples() {
            check(&dataset, "BTCUSDT_1h.x", text.clone().into_bytes());
        }
    }
}
