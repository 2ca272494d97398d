//! Option functions on small tables.

use arrow::array::AsArray;

use crate::tests::{batch, column, floats, run, table, texts};

/// Inverse and linear options in one table: each is priced in its own unit, each null has its reason.
#[test]
fn inverse_and_linear_options_mix_in_one_call() {
    let rows = batch(
        "settlement utf8, option_type utf8, forward f64?, strike f64, price f64",
        vec![
            texts([
                Some("inverse"),
                Some("linear"),
                Some("inverse"),
                Some("linear"),
            ]),
            texts([Some("call"), Some("put"), Some("put"), Some("call")]),
            floats([Some(60_000.0), Some(2_500.0), None, Some(2_500.0)]),
            floats([
                Some(60_000.0),
                Some(2_400.0),
                Some(60_000.0),
                Some(1_000_000.0),
            ]),
            floats([Some(0.05), Some(100.0), Some(0.05), Some(0.0)]),
        ],
    );
    let sql = "SELECT implied_vol(option_type, forward, strike, 0.1, usd) AS iv,
                      implied_vol_status(option_type, forward, strike, 0.1, usd) AS status FROM
               (SELECT *, CASE WHEN settlement = 'inverse' THEN price * forward ELSE price END AS usd FROM demo.mixed)";
    let found = run(sql, vec![table("demo.mixed", vec![rows])], &[])
        .unwrap()
        .1;
    let iv = column(&found, "iv");
    // QuantLib's numbers.
    assert!((iv[0].unwrap() - 0.396_592_486).abs() < 1e-9, "{iv:?}");
    assert!((iv[1].unwrap() - 0.468_095_634).abs() < 1e-9, "{iv:?}");
    assert_eq!(iv[2..], [None, None]);
    let status = found[0].column_by_name("status").unwrap();
    let words: Vec<Option<&str>> = status.as_string::<i32>().iter().collect();
    let expected = ["ok", "ok", "missing_input", "no_time_value"];
    assert_eq!(words, expected.map(Some));
}

/// Premiums of a forward of 100 and a discount factor of 0.98, in dollars and in coin; and the curve of two futures.
#[test]
fn forwards_come_from_quotes_and_from_futures() {
    let strikes = [80.0, 90.0, 100.0, 110.0, 120.0];
    let rows = batch(
        "strike f64, call f64?, put f64",
        vec![
            floats(strikes.map(Some)),
            floats(strikes.map(|k| (k < 115.0).then_some(30.0 + 0.98 * (100.0 - k)))),
            floats(strikes.map(|_| Some(30.0))),
        ],
    );
    let sql = "SELECT u['forward'] AS uf, u['discount'] AS ud, c['forward'] AS cf, c['discount'] AS cd,
                      CAST(u['quotes'] AS DOUBLE) AS quotes FROM
               (SELECT parity_forward(strike, call, put) AS u, parity_forward_coin(strike, call / 100, put / 100) AS c
                FROM demo.pairs)";
    let found = run(sql, vec![table("demo.pairs", vec![rows])], &[])
        .unwrap()
        .1;
    for (name, expected) in [
        ("uf", 100.0),
        ("ud", 0.98),
        ("cf", 100.0),
        ("cd", 0.98),
        ("quotes", 4.0),
    ] {
        let value = column(&found, name)[0].unwrap();
        assert!((value / expected - 1.0).abs() < 1e-12, "{name}: {value}");
    }
    let futures = batch(
        "years f64, price f64",
        vec![
            floats([Some(0.25), Some(0.0), Some(0.5), Some(0.25)]),
            floats([Some(100.5), Some(100.0), Some(103.0), Some(101.5)]),
        ],
    );
    let sql = "SELECT forward_curve(years, price, 0.125) AS near, forward_curve(years, price, 0.375) AS middle,
                      forward_curve(years, price, -1.0) AS never FROM demo.futures";
    let found = run(sql, vec![table("demo.futures", vec![futures])], &[])
        .unwrap()
        .1;
    let near = column(&found, "near")[0].unwrap();
    assert!((near - 101.0_f64.sqrt() * 10.0).abs() < 1e-10, "{near}");
    let middle = column(&found, "middle")[0].unwrap();
    assert!(
        (middle - (101.0_f64 * 103.0).sqrt()).abs() < 1e-10,
        "{middle}"
    );
    assert_eq!(column(&found, "never"), [None]);
}
