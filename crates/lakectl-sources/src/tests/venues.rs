use super::{dataset, document, floats, read, rejects, times, words};
use crate::{Dataset, Parsed, parse};

const AT: &str = "2026-01-05T12:00:10Z";

fn deribit(feeds: &str) -> Dataset {
    let width = if feeds == "dvol" { "width = '1d'" } else { "" };
    dataset(&format!(
        "format = 'deribit_json'\nfeeds = '{feeds}'\nlag = '10s'\n{width}"
    ))
}

fn answer(dataset: &Dataset, request: &str, body: &str) -> Parsed {
    let mut document = document("x.json", body, AT);
    document.request = request.to_owned();
    parse(dataset, &document, 0, true)
}

#[test]
fn book_summaries_of_options() {
    let body = r#"{"jsonrpc":"2.0","result":[
        {"instrument_name":"BTC-9JAN26-90000-C","creation_timestamp":1767614400000,"bid_price":0.01,"ask_price":0.012,
         "mark_price":0.011,"underlying_price":91000.5,"mark_iv":43.21,"open_interest":12.5,"volume":0,
         "estimated_delivery_price":90990.1,"mid_price":0.011},
        {"instrument_name":"BTC_USDC-9JAN26-90000-P","creation_timestamp":1767614400000,"bid_price":null,"ask_price":"650.5",
         "mark_price":640.0,"underlying_price":91000.5},
        {"instrument_name":"BTC-9JAN26-95000-C","creation_timestamp":1767614400000,"bid_price":0.02,"ask_price":0.01,
         "underlying_price":91000.5},
        {"instrument_name":null,"underlying_price":[1]}]}"#;
    let parsed = read(&deribit("option_quotes"), body, AT);
    assert_eq!(floats(&parsed, "mark_iv"), [Some(0.4321), None]);
    assert_eq!(floats(&parsed, "ask"), [Some(0.012), Some(650.5)]);
    assert_eq!(words(&parsed, "settlement"), ["inverse", "linear"]);
    assert_eq!(words(&parsed, "asset"), ["BTC", "BTC"]);
    assert_eq!(times(&parsed, "known_at")[0], "2026-01-05T12:00:10Z");
    assert_eq!(
        rejects(&parsed),
        ["3 crossed reject", "4 bad_instrument reject"]
    );
    let raw = super::texts(&parsed.rejects, "raw");
    assert!(
        raw[0].starts_with("{\"instrument_name\":\"BTC-9JAN26-95000-C\""),
        "{raw:?}"
    );
}

#[test]
fn an_error_object_with_status_200() {
    let error = r#"{"jsonrpc":"2.0","error":{"code":10028,"message":"too_many_requests"}}"#;
    for feeds in [
        "option_quotes",
        "option_trades",
        "future_quotes",
        "dvol",
        "funding",
    ] {
        let parsed = read(&deribit(feeds), error, AT);
        assert_eq!(rejects(&parsed), ["- vendor_error reject"]);
        let detail = super::texts(&parsed.rejects, "detail");
        assert!(detail[0].contains("too_many_requests"), "{detail:?}");
        assert_eq!(
            rejects(&read(&deribit(feeds), "{\"result\":null}", AT)),
            ["- unknown_format reject"]
        );
    }
}

/// The answer of the venue's documentation, and what can be wrong with a line.
#[test]
fn trades_of_options() {
    let line = |changes: &str| {
        let good = r#"{"trade_seq":1966,"trade_id":"ETH-2696060","timestamp":1767614400123,"tick_direction":1,"price":0.0595,
            "mark_price":0.06,"iv":60.5,"instrument_name":"ETH-9JAN26-3000-P","index_price":2990.5,"direction":"buy",
            "contracts":2,"amount":2"#;
        format!("{good}{changes}}}")
    };
    let lines = [
        line(""),
        line(
            r#","trade_id":77,"instrument_name":"ETH_USDC-9JAN26-3000-C","direction":"sell","iv":null,"amount":"0.5""#,
        ),
        line(""),
        line(r#","trade_id":"a","direction":"both""#),
        line(r#","trade_id":"b","amount":0"#),
        line(r#","trade_id":"c","price":-1"#),
        line(r#","trade_id":"d","instrument_name":"ETH-PERPETUAL""#),
        line(r#","trade_id":"e","instrument_name":"ETH-2JAN26-3000-P""#),
        line(r#","trade_id":null"#),
        line(r#","trade_id":"f","index_price":-1"#),
    ];
    // A name given twice is an error to the parser: the later one stands for the earlier here.
    let lines: Vec<String> = lines
        .iter()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            value.to_string()
        })
        .collect();
    let body = format!(
        r#"{{"jsonrpc":"2.0","result":{{"trades":[{}],"has_more":true}}}}"#,
        lines.join(",")
    );
    let parsed = read(&deribit("option_trades"), &body, AT);
    assert_eq!(words(&parsed, "trade_id"), ["ETH-2696060", "77", "f"]);
    assert_eq!(words(&parsed, "asset"), ["ETH"; 3]);
    assert_eq!(words(&parsed, "taker_side"), ["buy", "sell", "buy"]);
    assert_eq!(
        words(&parsed, "settlement"),
        ["inverse", "linear", "inverse"]
    );
    assert_eq!(words(&parsed, "option_type"), ["put", "call", "put"]);
    assert_eq!(
        floats(&parsed, "contracts"),
        [Some(2.0), Some(0.5), Some(2.0)]
    );
    assert_eq!(floats(&parsed, "iv"), [Some(0.605), None, Some(0.605)]);
    assert_eq!(
        floats(&parsed, "index_price"),
        [Some(2990.5), Some(2990.5), None]
    );
    assert_eq!(
        times(&parsed, "event_time")[0],
        "2026-01-05T12:00:00.123000Z"
    );
    assert_eq!(times(&parsed, "known_at")[0], "2026-01-05T12:00:10.123000Z");
    assert_eq!(
        rejects(&parsed),
        [
            "3 duplicate reject",
            "4 inconsistent reject",
            "5 zero_price reject",
            "6 negative_value reject",
            "7 bad_instrument reject",
            "8 expired reject",
            "9 missing_value reject",
            "10 negative_value warn",
        ]
    );
}

#[test]
fn futures_index_and_funding() {
    let body = r#"{"result":[{"instrument_name":"BTC-PERPETUAL","creation_timestamp":1767614400000,"bid_price":90000,
        "ask_price":90000.5,"mark_price":90000.2,"last":90001,"open_interest":1e9,"volume":5,"estimated_delivery_price":89990}]}"#;
    let parsed = read(&deribit("future_quotes"), body, AT);
    assert_eq!(floats(&parsed, "index_price"), [Some(89990.0)]);
    assert_eq!(times(&parsed, "expiry"), ["null"]);

    let request = "https://www.deribit.com/api/v2/public/get_volatility_index_data?currency=ETH&resolution=1D";
    let body = r#"{"result":{"data":[[1767484800000,70.1,71,69,70.5],[1767571200000,70,71,69,70.5],[1]],"continuation":null}}"#;
    let parsed = answer(&deribit("dvol"), request, body);
    assert_eq!(floats(&parsed, "close"), [Some(0.705)]);
    assert_eq!(words(&parsed, "asset"), ["ETH"]);
    assert_eq!(
        rejects(&parsed),
        ["2 unfinished reject", "3 field_count reject"]
    );

    let request = "https://www.deribit.com/api/v2/public/get_funding_rate_history?instrument_name=BTC-PERPETUAL&start_timestamp=1";
    let body = r#"{"result":[{"timestamp":1767614400000,"index_price":1,"interest_8h":0.0001,"interest_1h":0.00001}]}"#;
    let parsed = answer(&deribit("funding"), request, body);
    assert_eq!(words(&parsed, "metric"), ["funding_8h"]);
    assert_eq!(words(&parsed, "asset"), ["BTC"]);
    assert_eq!(floats(&parsed, "value"), [Some(0.0001)]);
}

#[test]
fn coin_metrics_answers() {
    let api = dataset(
        "format = 'coinmetrics_json'\nfeeds = 'metrics'\nwidth = '1d'\nlag = '4h'\nreplacement = 'restatement'",
    );
    let body = r#"{"data":[{"asset":"btc","time":"2026-01-01T00:00:00.000000000Z","PriceUSD":"88000.5","CapMVRVCur":null,
        "AssetEODCompletionTime":"1767328200","Unasked":"1"},{"asset":"eth","time":"2026-01-05T00:00:00Z","PriceUSD":"3000"},
        {"asset":"eth","time":"2026-01-02T00:00:00Z","PriceUSD":"-1"}],"next_page_url":"x"}"#;
    let parsed = read(&api, body, AT);
    assert_eq!(words(&parsed, "metric"), ["price_usd"]);
    assert_eq!(times(&parsed, "vendor_time"), ["2026-01-02T04:30:00Z"]);
    assert_eq!(
        rejects(&parsed),
        ["2 unfinished reject", "3 negative_value reject"]
    );
    let parsed = read(&api, r#"{"error":{"type":"forbidden"}}"#, AT);
    assert_eq!(rejects(&parsed), ["- vendor_error reject"]);
}

#[test]
fn santiment_answers() {
    let api = dataset("format = 'santiment_json'\nfeeds = 'metrics'\nwidth = '1d'\nlag = '2h'");
    let request = "https://api.santiment.net/graphql {getMetric(metric:\"mean_dollar_invested_age\"){timeseriesData(slug:\"ethereum\",from:\"x\"){datetime value}}}";
    let body = r#"{"data":{"getMetric":{"timeseriesData":[{"datetime":"2026-01-01T00:00:00Z","value":345.5},{"datetime":"soon","value":1}]}}}"#;
    let parsed = answer(&api, request, body);
    assert_eq!(words(&parsed, "metric"), ["mdia"]);
    assert_eq!(words(&parsed, "asset"), ["ETH"]);
    assert_eq!(rejects(&parsed), ["2 bad_time reject"]);
    let aliases = r#"{"data":{"mvrv_usd_60d":{"timeseriesData":[{"datetime":"2026-01-01T00:00:00Z","value":1.1}]},"other":null}}"#;
    assert_eq!(
        words(&answer(&api, "", aliases), "metric"),
        ["mvrv_usd_60d"]
    );
    let parsed = read(
        &api,
        r#"{"errors":[{"message":"no plan"}],"data":null}"#,
        AT,
    );
    assert_eq!(rejects(&parsed), ["- vendor_error reject"]);
}

#[test]
fn stablecoins_and_fear_and_greed() {
    let llama = dataset("format = 'defillama_json'\nfeeds = 'metrics'\nwidth = '1d'\nlag = '2h'");
    let body = r#"[{"date":"1767225600","totalCirculating":{"peggedUSD":9},"totalCirculatingUSD":{"peggedUSD":2.5e11,"peggedEUR":5e8}},
        {"date":"1767312000","totalCirculatingUSD":{"peggedUSD":"x"}},{"date":"1767398400"}]"#;
    let parsed = read(&llama, body, AT);
    assert_eq!(floats(&parsed, "value"), [Some(2.505e11)]);
    assert_eq!(words(&parsed, "metric"), ["stablecoin_supply_usd"]);
    assert_eq!(rejects(&parsed), ["2 not_a_number reject"]);

    let mood = dataset("format = 'fear_greed_json'\nfeeds = 'sentiment'\nlag = '1h'");
    let body = r#"{"name":"x","data":[{"value":"40","value_classification":"Fear","timestamp":"1767571200"},
        {"value":55,"timestamp":1767484800},{"value":55,"timestamp":1767484800}],"metadata":{"error":null}}"#;
    let parsed = read(&mood, body, AT);
    assert_eq!(floats(&parsed, "value"), [Some(40.0), Some(55.0)]);
    assert_eq!(
        times(&parsed, "known_at"),
        ["2026-01-05T01:00:00Z", "2026-01-04T01:00:00Z"]
    );
    assert_eq!(rejects(&parsed), ["3 duplicate reject"]);
}
