use super::{dataset, document, floats, read, rejects, times, words};
use crate::{Dataset, Document, parse};

const AT: &str = "2026-01-01T09:18:35Z";
const HEADER: &str = "timestamp,instrument_name,underlying,option_type,strike,expiry_datetime,bid_price,ask_price,\
                      mark_price,implied_volatility,delta,vega,open_interest,volume,currency,index_price\n";

fn deribit() -> Dataset {
    dataset(
        r#"
format = "chain_csv"
feeds = "option_quotes"
lag = "10m"
[columns]
event_time = "timestamp"
asset = "currency"
instrument = "instrument_name"
expiry = "expiry_datetime"
strike = "strike"
option_type = "option_type"
bid = "bid_price"
ask = "ask_price"
mark = "mark_price"
underlying_price = "underlying"
mark_iv = { column = "implied_volatility", unit = "fraction" }
open_interest = "open_interest"
volume = "volume"
index_price = "index_price"
exchange_delta = "delta"
exchange_vega = "vega"
"#,
    )
}

/// A good line with some fields replaced.
fn line(changes: &[(usize, &str)]) -> String {
    let good = "2026-01-01T09:18:35.173006+00:00,BTC-3JAN26-88000-C,87834.3,call,88000.0,2026-01-03T08:00:00+00:00,\
                0.0085,0.009,0.00882175,0.3337,0.47434,25.52771,255.3,217.4,BTC,87799.1";
    let mut fields: Vec<&str> = good.split(',').collect();
    for (index, value) in changes {
        fields[*index] = value;
    }
    fields.join(",") + "\n"
}

#[test]
fn a_recorded_line() {
    let parsed = read(&deribit(), &(HEADER.to_owned() + &line(&[])), AT);
    assert_eq!(rejects(&parsed), [""; 0]);
    assert_eq!(words(&parsed, "asset"), ["BTC"]);
    assert_eq!(words(&parsed, "settlement"), ["inverse"]);
    assert_eq!(words(&parsed, "option_type"), ["call"]);
    assert_eq!(
        times(&parsed, "event_time"),
        ["2026-01-01T09:18:35.173006Z"]
    );
    assert_eq!(times(&parsed, "known_at"), ["2026-01-01T09:28:35.173006Z"]);
    assert_eq!(times(&parsed, "expiry"), ["2026-01-03T08:00:00Z"]);
    assert_eq!(words(&parsed, "known_at_basis"), ["lag"]);
    for (column, want) in [
        ("bid", 0.0085),
        ("strike", 88_000.0),
        ("mark_iv", 0.3337),
        ("exchange_vega", 25.52771),
    ] {
        assert_eq!(floats(&parsed, column), [Some(want)], "{column}");
    }
    assert_eq!(words(&parsed, "document_id")[0].len(), 64);
}

#[test]
fn every_bad_row_is_told_apart() {
    let cases: [(&[(usize, &str)], &str); 20] = [
        (&[(6, "0.0095")], "crossed reject"),
        (&[(6, "-0.01")], "negative_value reject"),
        (&[(7, "nan")], "not_finite reject"),
        (&[(8, "inf")], "not_finite reject"),
        (&[(8, "n.n")], "not_a_number reject"),
        (&[(9, "33.37")], "implausible_iv reject"),
        (&[(9, "0.003")], "implausible_iv reject"),
        (&[(2, "-87834.3")], "negative_value warn"),
        (&[(4, "-88000")], "negative_value reject"),
        (&[(4, "87000")], "inconsistent reject"),
        (&[(3, "put")], "inconsistent reject"),
        (&[(3, "straddle")], "bad_instrument reject"),
        (&[(1, "BTC-PERPETUAL")], "bad_instrument reject"),
        (&[(1, "SOMETHING"), (5, "")], "bad_instrument reject"),
        (&[(0, "yesterday")], "bad_time reject"),
        (&[(0, "2026-01-03T08:00:00Z")], "expired reject"),
        (&[(0, "2026-01-02T23:00:00Z")], "after_document reject"),
        (&[(12, "-1")], "negative_value warn"),
        (&[(11, "NaN")], "not_finite warn"),
        (&[(15, "oops")], "not_a_number warn"),
    ];
    for (changes, want) in cases {
        let good = line(&[(1, "BTC-3JAN26-90000-C"), (4, "90000")]);
        let parsed = read(
            &deribit(),
            &(HEADER.to_owned() + &line(changes) + &good),
            AT,
        );
        assert_eq!(rejects(&parsed), [format!("2 {want}")], "{changes:?}");
        let kept = if want.ends_with("warn") { 2 } else { 1 };
        assert_eq!(parsed.rows.num_rows(), kept, "{changes:?}");
    }
}

#[test]
fn the_second_of_two_equal_rows_is_a_duplicate() {
    let parsed = read(
        &deribit(),
        &(HEADER.to_owned() + &line(&[]) + &line(&[])),
        AT,
    );
    assert_eq!(rejects(&parsed), ["3 duplicate reject"]);
    assert_eq!(parsed.rows.num_rows(), 1);
    let raw = super::texts(&parsed.rejects, "raw");
    assert!(raw[0].contains("BTC-3JAN26-88000-C"), "{raw:?}");
}

#[test]
fn one_sided_and_zero_quotes_are_null_not_zero() {
    let body = HEADER.to_owned()
        + &line(&[(6, "")])
        + &line(&[(1, "BTC-3JAN26-90000-C"), (4, "90000"), (6, "0.0")]);
    let parsed = read(&deribit(), &body, AT);
    assert_eq!(floats(&parsed, "bid"), [None, None]);
    assert_eq!(rejects(&parsed), ["- zero_price warn"]);
}

#[test]
fn a_quote_without_an_underlying_price_is_kept_without_it() {
    let body = HEADER.to_owned()
        + &line(&[])
        + &line(&[(1, "BTC-3JAN26-90000-C"), (4, "90000"), (2, "")])
        + &line(&[(1, "BTC-3JAN26-91000-C"), (4, "91000"), (2, "0")])
        + &line(&[(1, "BTC-3JAN26-92000-C"), (4, "92000"), (2, "0.0")]);
    let parsed = read(&deribit(), &body, AT);
    assert_eq!(
        floats(&parsed, "underlying_price"),
        [Some(87_834.3), None, None, None]
    );
    assert_eq!(floats(&parsed, "bid"), [Some(0.0085); 4]);
    assert_eq!(
        rejects(&parsed),
        ["- missing_value warn", "- zero_price warn"]
    );
    let details = super::texts(&parsed.rejects, "detail");
    assert!(
        details[1].contains("`underlying_price` is 0 in 2 rows, first in row 4"),
        "{details:?}"
    );
}

#[test]
fn a_half_empty_chain_is_kept_and_flagged() {
    let mut body = HEADER.to_owned();
    for strike in 80..90 {
        let name = format!("BTC-3JAN26-{strike}000-C");
        let strike_text = format!("{strike}000");
        let quote = if strike < 85 { "" } else { "0.01" };
        body += &line(&[(1, &name), (4, &strike_text), (6, quote), (7, quote)]);
    }
    let parsed = read(&deribit(), &body, AT);
    assert_eq!(parsed.rows.num_rows(), 10);
    assert_eq!(rejects(&parsed), ["- half_empty warn"]);
}

#[test]
fn damaged_documents_give_nothing_but_their_reason() {
    let good = HEADER.to_owned() + &line(&[]);
    let cut = &good[..good.len() - 40];
    let cases: [(&[u8], &str); 8] = [
        (b"", "empty_document"),
        (b" \n\n", "empty_document"),
        (cut.as_bytes(), "truncated"),
        (b"\xff\xfe\x00\x01", "damaged"),
        (b"a,b\0c\n1,2\n", "damaged"),
        (b"<html>504</html>", "unknown_format"),
        (b"{\"error\": 1}", "unknown_format"),
        (b"timestamp,instrument\n2026-01-01,x\n", "missing_column"),
    ];
    for (body, reason) in cases {
        let parsed = parse(&deribit(), &document("x.csv", body, AT), 0, true);
        assert_eq!(rejects(&parsed), [format!("- {reason} reject")]);
        assert_eq!(parsed.rows.num_rows(), 0);
    }
    let unclosed = HEADER.to_owned() + "\"" + &line(&[]) + &line(&[]);
    assert_eq!(
        rejects(&read(&deribit(), &unclosed, AT)),
        ["- damaged reject"]
    );
}

#[test]
fn packed_bodies_are_unpacked_and_cut_ones_refused() {
    let good = HEADER.to_owned() + &line(&[]);
    let zstd = zstd::encode_all(good.as_bytes(), 3).unwrap();
    let parsed = parse(
        &deribit(),
        &document("a.csv.zst", zstd.clone(), AT),
        0,
        true,
    );
    assert_eq!(parsed.rows.num_rows(), 1);
    let cut = zstd[..zstd.len() / 2].to_vec();
    let parsed = parse(&deribit(), &document("a.csv.zst", cut, AT), 0, true);
    assert_eq!(rejects(&parsed), ["- truncated reject"]);
    let parsed = parse(
        &deribit(),
        &document("a.csv.zst", good.clone(), AT),
        0,
        true,
    );
    assert_eq!(rejects(&parsed), ["- damaged reject"]);

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, good.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let parsed = parse(&deribit(), &document("a.csv.gz", gzip.clone(), AT), 0, true);
    assert_eq!(parsed.rows.num_rows(), 1);
    let parsed = parse(
        &deribit(),
        &document("a.csv.gz", gzip[..20].to_vec(), AT),
        0,
        true,
    );
    assert_eq!(rejects(&parsed), ["- truncated reject"]);
}

#[test]
fn ragged_lines_and_missing_line_ends() {
    let body = HEADER.to_owned() + "a,b\n" + &line(&[]);
    assert_eq!(
        rejects(&read(&deribit(), &body, AT)),
        ["2 field_count reject"]
    );
    let open = (HEADER.to_owned() + &line(&[])).trim_end().to_owned();
    assert_eq!(
        rejects(&read(&deribit(), &open, AT)),
        ["- no_final_newline warn"]
    );
    let mut strict = deribit();
    strict.final_newline = true;
    assert_eq!(rejects(&read(&strict, &open, AT)), ["- truncated reject"]);
}

#[test]
fn a_document_without_a_time_in_its_name_is_misnamed() {
    let mut document = document("chain.csv", HEADER.to_owned() + &line(&[]), AT);
    document.document_time = None;
    assert_eq!(
        rejects(&parse(&deribit(), &document, 0, true)),
        ["- misnamed reject"]
    );
}

#[test]
fn a_header_alone_is_an_empty_page() {
    assert_eq!(rejects(&read(&deribit(), HEADER, AT)), ["- no_rows warn"]);
}

#[test]
fn an_optional_column_may_vanish_a_price_may_not() {
    let without = |column: &str| HEADER.replace(column, "renamed") + &line(&[]);
    let parsed = read(&deribit(), &without("vega"), AT);
    assert_eq!(rejects(&parsed), ["- missing_column warn"]);
    assert_eq!(floats(&parsed, "exchange_vega"), [None]);
    let parsed = read(&deribit(), &without("bid_price"), AT);
    assert_eq!(rejects(&parsed), ["- missing_column reject"]);
}

/// A user's own file: other names, percent, milliseconds, USD prices, `;`, a byte order mark, an unnamed index column.
#[test]
fn a_chain_of_another_layout_needs_a_declaration_only() {
    let own = dataset(
        r#"
format = "chain_csv"
feeds = "option_quotes"
lag = "1m"
asset = "eth"
[columns]
event_time = { column = "Zeit", unit = "ms" }
expiry = { column = "Verfall", unit = "%d.%m.%Y" }
strike = "Basis"
option_type = "CP"
bid = { column = "Geld", unit = "usd" }
ask = { column = "Brief", unit = "usd" }
underlying_price = "Termin"
mark_iv = { column = "Vola", unit = "percent" }
open_interest = { column = "OI_USD", unit = "usd" }
"#,
    );
    let body = "\u{feff};Zeit;Verfall;Basis;CP;Geld;Brief;Termin;Vola;OI_USD\n\
                0;1767259115173;16.01.2026;\"3,200\";P;30.0;\"31.5\";3000.0;71.25;9000\n";
    let parsed = read(&own, body, AT);
    assert_eq!(rejects(&parsed), [""; 0]);
    assert_eq!(words(&parsed, "instrument"), ["ETH-16JAN26-3200-P"]);
    assert_eq!(words(&parsed, "asset"), ["ETH"]);
    assert_eq!(
        times(&parsed, "event_time"),
        ["2026-01-01T09:18:35.173000Z"]
    );
    // A bare date of expiry means 08:00.
    assert_eq!(times(&parsed, "expiry"), ["2026-01-16T08:00:00Z"]);
    for (column, want) in [
        ("mark_iv", 0.7125),
        ("bid", 0.01),
        ("ask", 0.0105),
        ("open_interest", 3.0),
    ] {
        assert_eq!(floats(&parsed, column), [Some(want)], "{column}");
    }
}

#[test]
fn tardis_rows_are_known_when_the_recorder_got_them() {
    let tardis = dataset("format = 'tardis_options_csv'\nfeeds = 'option_quotes'\nlag = '0s'");
    let body = "exchange,symbol,timestamp,local_timestamp,type,strike_price,expiration,open_interest,last_price,bid_price,\
                bid_amount,bid_iv,ask_price,ask_amount,ask_iv,mark_price,mark_iv,underlying_index,underlying_price,delta,\
                gamma,vega,theta,rho\n\
                deribit,BTC-9JUN20-9875-P,1591574399413000,1591574400196008,put,9875,1591689600000000,0.1,0.0295,0.0205,\
                15.1,55.91,0.0235,15.2,68.94,0.02210436,62.89,SYN.BTC-9JUN20,9756.36,-0.6,0.001,2.2,-53.05,-0.2\n";
    let parsed = read(&tardis, body, "2020-06-08");
    assert_eq!(rejects(&parsed), [""; 0]);
    assert_eq!(times(&parsed, "known_at"), ["2020-06-08T00:00:00.196008Z"]);
    assert_eq!(floats(&parsed, "mark_iv"), [Some(0.6289)]);
}

#[test]
fn backfill_without_assumed_availability() {
    let body = HEADER.to_owned() + &line(&[]);
    let late: Document = document("x.csv", body, "2026-06-01");
    let parsed = parse(&deribit(), &late, 3, false);
    assert_eq!(words(&parsed, "known_at_basis"), ["backfill"]);
    assert_eq!(times(&parsed, "known_at"), ["2026-06-01T00:00:00Z"]);
    let parsed = parse(&deribit(), &late, 3, true);
    assert_eq!(words(&parsed, "known_at_basis"), ["lag"]);
}

#[test]
fn a_candle_that_closes_after_the_snapshot_is_not_known_before() {
    let futures = dataset(
        "format = 'future_csv'\nfeeds = 'future_quotes'\nlag = '0s'\n[columns]\nevent_time = 't'\nasset = 'coin'\n\
         known_after = { column = 'close_ms', unit = 'ms' }\ninstrument = 'i'\nmark = 'm'\nbid = 'b'\nask = 'a'\nexpiry = 'e'",
    );
    let body = "t,coin,close_ms,i,m,b,a,e\n\
                2026-01-01T09:18:35Z,BTC,1767259140000,BTC-PERPETUAL,88539.0,,,\n\
                2026-01-01T09:18:35Z,BTC,1767259140000,BTC-25DEC26,92000,,,2026-12-25T08:00:00Z\n\
                2026-01-01T09:18:35Z,BTC,1767259140000,BTC-25DEC26,92000,,,\n\
                2026-01-01T09:18:35Z,BTC,1767259140000,BTC-26DEC25,92000,,,\n\
                2026-01-01T09:18:35Z,BTC,1767259140000,ETH-25DEC26,,2,1,\n\
                2026-01-01T09:18:35Z,BTC,1767259140000,ETH-26MAR27,,,,\n\
                2026-01-01T09:18:35Z,BTC,1767259140000,ETH-25DEC26,1,,,2026-12-24\n\
                2026-01-01T09:18:35Z,BTC,1767259140000,WHAT,1,,,\n";
    let parsed = read(&futures, body, AT);
    assert_eq!(
        times(&parsed, "known_at"),
        ["2026-01-01T09:19:00Z", "2026-01-01T09:19:00Z"]
    );
    assert_eq!(times(&parsed, "expiry"), ["null", "2026-12-25T08:00:00Z"]);
    let want = [
        "4 duplicate reject",
        "5 expired reject",
        "6 crossed reject",
        "7 missing_value reject",
        "8 inconsistent reject",
        "9 bad_instrument reject",
    ];
    assert_eq!(rejects(&parsed), want);
}
