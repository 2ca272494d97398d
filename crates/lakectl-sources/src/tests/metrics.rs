use super::{dataset, document, floats, read, rejects, times, words};
use crate::parse;

const AT: &str = "2026-03-23T12:00:00Z";

#[test]
fn wide_series_with_completion_times_and_a_stub() {
    let wide = dataset(
        r#"
format = "metric_csv"
feeds = "metrics"
width = "1d"
lag = "4h"
venue = "coinmetrics"
asset = "BTC"
replacement = "restatement"
[columns]
event_time = "time"
vendor_time = { column = "AssetEODCompletionTime", unit = "s" }
[metrics]
mvrv = { column = "CapMVRVCur", unit = "ratio" }
hash_rate = { column = "HashRate", unit = "th_per_s" }
tx_count = { column = "TxCnt", unit = "count" }
"#,
    );
    let body = "time,CapMVRVCur,HashRate,AssetEODCompletionTime,ReferenceRate\n\
                2026-03-21,1.25,2.5,1774145989,1\n2026-03-22,1.26,.,,1\n2026-03-23,,,,68018\n\
                2026-03-20,inf,-1,1774145989,1\n";
    let parsed = read(&wide, body, AT);
    assert_eq!(words(&parsed, "metric"), ["hash_rate", "mvrv", "mvrv"]);
    assert_eq!(
        floats(&parsed, "value"),
        [Some(2.5e12), Some(1.25), Some(1.26)]
    );
    assert_eq!(words(&parsed, "unit"), ["hash_per_s", "ratio", "ratio"]);
    assert_eq!(
        words(&parsed, "known_at_basis"),
        ["vendor", "vendor", "lag"]
    );
    assert_eq!(
        times(&parsed, "known_at")[1..],
        ["2026-03-22T02:19:49Z", "2026-03-23T04:00:00Z"]
    );
    assert_eq!(words(&parsed, "replacement")[0], "restatement");
    let want = [
        "- missing_column warn",
        "5 negative_value reject",
        "5 not_finite reject",
    ];
    assert_eq!(rejects(&parsed), want);
    let none = read(&wide, "time,AssetEODCompletionTime\n2026-01-01,1\n", AT);
    assert_eq!(rejects(&none), ["- missing_column reject"]);
    let no_vendor = read(&wide, "time,CapMVRVCur\n2026-01-01,1\n", AT);
    assert_eq!(rejects(&no_vendor)[0], "- missing_column reject");
}

#[test]
fn long_series() {
    let long = dataset(
        "format = 'metric_csv'\nfeeds = 'metrics'\nlag = '1h'\nvenue = 'v'\n[columns]\nevent_time = 't'\nasset = 'a'\n\
         metric = 'm'\nvalue = 'v'\n[metrics]\ntx_count = { column = 'TxCnt', unit = 'count' }",
    );
    let parsed = read(
        &long,
        "t,a,m,v\n2026-01-01,btc,TxCnt,5\n2026-01-01,eth,FeeTotNtv,2\n2026-01-01,eth,,2\n",
        AT,
    );
    assert_eq!(words(&parsed, "metric"), ["tx_count", "fee_tot_ntv"]);
    assert_eq!(words(&parsed, "asset"), ["BTC", "ETH"]);
    assert_eq!(words(&parsed, "unit"), ["count", "native"]);
    assert_eq!(rejects(&parsed), ["4 missing_value reject"]);
}

#[test]
fn one_series_a_file_is_named_by_the_file() {
    let bills = dataset(
        "format = 'metric_csv'\nfeeds = 'rates'\nlag = '1d'\nvenue = 'v'\n[columns]\n\
         event_time = { column = 'DATE', unit = '%Y%m%d' }\nvalue = { column = 'CLOSE', unit = 'percent' }\n\
         [metrics]\nrate_3m = 'US_BILL_3M'",
    );
    let body = "DATE,OPEN,CLOSE\n20210809,1,3.5\n2021-08-10,1,3.5\n20210809,1,3.5\n";
    let parsed = parse(&bills, &document("rates/US_BILL_3M.csv", body, AT), 0, true);
    assert_eq!(words(&parsed, "metric"), ["rate_3m"]);
    assert_eq!(floats(&parsed, "value"), [Some(0.035)]);
    assert_eq!(words(&parsed, "unit"), ["fraction"]);
    assert_eq!(words(&parsed, "asset"), ["null"]);
    assert_eq!(
        rejects(&parsed),
        ["3 bad_time reject", "4 duplicate reject"]
    );
}

#[test]
fn dated_columns_and_fred() {
    let fred = dataset("format = 'fred_csv'\nfeeds = 'rates'\nlag = '1d'");
    let parsed = read(
        &fred,
        "observation_date,DGS3MO,SOFR\n2026-01-01,.,.\n2026-01-02,3.61,3.5\n,1,1\n",
        AT,
    );
    assert_eq!(words(&parsed, "metric"), ["rate_3m", "sofr"]);
    assert_eq!(floats(&parsed, "value"), [Some(0.0361), Some(0.035)]);
    assert_eq!(rejects(&parsed), ["4 bad_time reject", "4 bad_time reject"]);
    assert_eq!(
        rejects(&read(&fred, "x\n1\n", AT)),
        ["- missing_column reject"]
    );

    let flows = dataset(
        "format = 'dated_csv'\nfeeds = 'metrics'\nwidth = '1d'\nlag = '6h'\nvenue = 'v'\nasset = 'BTC'\n\
         [metrics]\netf_net_flow_usd = { column = 'ETF Net Flow (USD mn)', unit = 'usd_millions' }",
    );
    let parsed = read(
        &flows,
        "Datetime,ETF Net Flow (USD mn)\n2026-03-21T00:00:00Z,-68.5\n",
        AT,
    );
    assert_eq!(floats(&parsed, "value"), [Some(-68_500_000.0)]);
    assert_eq!(words(&parsed, "metric"), ["etf_net_flow_usd"]);
}

#[test]
fn pairs_with_nulls_strings_and_python_literals() {
    let pairs = dataset(
        "format = 'pairs_json'\nfeeds = 'funding'\nlag = '1m'\nvenue = 'v'\nasset = 'BTC'\nmetric = 'funding_8h'\nunit = 'percent'",
    );
    let body = "[[1667462400016, 0.5],[1667491200005, \"0.25\"],[1667491200006, null],[1667491200007, NaN],\
                [1667491200008, -Infinity],[1667491200009],[null, 1],[1667491200010, \"NaN, not [1]\"]]";
    let parsed = read(&pairs, body, AT);
    assert_eq!(floats(&parsed, "value"), [Some(0.005), Some(0.0025)]);
    let want = [
        "4 not_finite reject",
        "5 not_finite reject",
        "6 field_count reject",
        "7 missing_value reject",
        "8 not_a_number reject",
    ];
    assert_eq!(rejects(&parsed), want);
    for (body, reason) in [
        ("[[1667462400016, 0.5],[16674", "truncated"),
        ("[[1667462400016 0.5]]", "damaged"),
        ("{\"a\": 1}", "unknown_format"),
        ("[1, 2]", "unknown_format"),
        ("t,v\n1,2\n", "unknown_format"),
        ("[]", "no_rows"),
    ] {
        assert!(
            rejects(&read(&pairs, body, AT))[0].contains(reason),
            "{body}"
        );
    }
}

#[test]
fn glassnode_exports_and_answers() {
    let export = dataset(
        "format = 'glassnode_csv'\nfeeds = 'metrics'\nwidth = '1d'\nlag = '2h'\nasset = 'BTC'",
    );
    let parsed = read(
        &export,
        "t,market_mvrv\n2010-07-17,0.99\n2010-07-18,\n,1\n",
        AT,
    );
    assert_eq!(words(&parsed, "metric"), ["mvrv"]);
    assert_eq!(rejects(&parsed), ["4 bad_time reject"]);
    let body = "t,o\n2010-01-01,\"{'1d_1w': 0.5, '24h': None}\"\n2010-01-02,{'1d_1w': 0.25}\n2010-01-03,[1]\n";
    let parsed = parse(&export, &document("g/hodl_waves.csv", body, AT), 0, true);
    assert_eq!(words(&parsed, "metric"), ["hodl_waves_1d_1w"; 2]);
    assert_eq!(rejects(&parsed), ["4 not_a_number reject"]);
    assert_eq!(
        rejects(&read(&export, "time,v\n1,2\n", AT)),
        ["- missing_column reject"]
    );

    let api = dataset("format = 'glassnode_json'\nfeeds = 'metrics'\nwidth = '1d'\nlag = '2h'");
    let answer = |request: &str, body: &str| {
        let mut document = document("x.json", body, AT);
        document.request = request.to_owned();
        parse(&api, &document, 0, true)
    };
    let url = "https://api.glassnode.com/v1/metrics/supply/lth_sum?a=BTC&i=24h";
    let parsed = answer(
        url,
        r#"[{"t":1767571200,"v":14.5},{"t":1767657600,"v":null}]"#,
    );
    assert_eq!(words(&parsed, "metric"), ["lth_supply"]);
    assert_eq!(words(&parsed, "asset"), ["BTC"]);
    let token = "https://api.glassnode.com/v1/metrics/transactions/transfers_volume_exchanges_net?a=USDT&i=24h";
    let parsed = answer(token, r#"[{"t":1767571200,"v":-5e6}]"#);
    assert_eq!(
        words(&parsed, "metric"),
        ["stablecoin_exchange_netflow_usd"]
    );
    assert_eq!(words(&parsed, "asset"), ["null"]);
    let waves = "https://api.glassnode.com/v1/metrics/supply/hodl_waves?a=ETH";
    let parsed = answer(waves, r#"[{"t":1767571200,"o":{"1d_1w":0.5}}]"#);
    assert_eq!(words(&parsed, "metric"), ["supply_hodl_waves_1d_1w"]);
}
