//! Stage queries.

use lakectl_core::{ErrorKind, MICROS_PER_DAY, UtcTime};

use super::{bars, batch, column, days, floats, noise, run, table, texts};
use crate::{Literal, SqlEngine, SqlError, analyse};

fn series(count: usize) -> crate::StageTable {
    let x: Vec<Option<f64>> = noise(count, 1).into_iter().map(Some).collect();
    bars(&x, &x, 7)
}

#[test]
fn a_stage_sees_its_tables_and_its_parameters() {
    let sql = "WITH recent AS (SELECT * FROM m.bars WHERE event_time >= $start AND event_time < $end) \
               SELECT asset, event_time, avg(x) OVER (ORDER BY event_time ROWS BETWEEN $n PRECEDING AND CURRENT ROW) AS level \
               FROM recent WHERE asset = $asset ORDER BY event_time";
    let at = |day: i64| Literal::Time(UtcTime::from_micros(day * MICROS_PER_DAY));
    let params = [
        ("start", at(20_010)),
        ("end", at(20_014)),
        ("asset", Literal::Text("BTC".to_owned())),
        ("n", Literal::Int(1)),
    ];
    let (schema, rows) = run(sql, vec![series(30)], &params).unwrap();
    let x = noise(30, 1);
    let expected: Vec<Option<f64>> = (10..14)
        .map(|i| {
            Some(if i == 10 {
                x[i]
            } else {
                (x[i - 1] + x[i]) / 2.0
            })
        })
        .collect();
    assert_eq!(column(&rows, "level"), expected);
    assert_eq!(schema.field(2).name(), "level");
}

#[test]
fn an_empty_result_keeps_its_columns() {
    let (schema, rows) = run(
        "SELECT asset, x FROM m.bars WHERE x > 99",
        vec![series(10)],
        &[],
    )
    .unwrap();
    assert_eq!((schema.fields().len(), rows.len()), (2, 0));
}

#[test]
fn errors_name_what_was_probably_meant() {
    let cases = [
        (
            "SELECT * FROM m.bar",
            "there is no table `m.bar`; did you mean `m.bars`?",
        ),
        ("SELECT lvl, ast FROM m.bars", "there is no column `lvl`"),
        (
            "SELECT asse FROM m.bars",
            "there is no column `asse`; did you mean `asset`?",
        ),
        ("SELECT zscor(x) FROM m.bars", "zscor"),
        (
            "SELECT black76_price(x, x, x, x, x) FROM m.bars",
            "black76_price(option_type, forward",
        ),
        (
            "SELECT black76_price(asset, x) FROM m.bars",
            "found 2 arguments",
        ),
        (
            "SELECT ema(x) OVER (ORDER BY event_time) FROM m.bars",
            "found 1 arguments",
        ),
        (
            "SELECT * FROM m.bars WHERE x > $cut",
            "parameter `$cut` has no value",
        ),
        ("SELECT now() FROM m.bars", "now"),
        ("SELECT current_date FROM m.bars", "current_date"),
        ("SELECT random() FROM m.bars", "random"),
        ("SELECT uuid() FROM m.bars", "uuid"),
    ];
    for (sql, expected) in cases {
        let error = run(sql, vec![series(3)], &[]).unwrap_err();
        assert!(error.to_string().contains(expected), "{sql}: {error}");
        assert_eq!(error.kind(), ErrorKind::Input);
    }
    let failed = run(
        "SELECT 1 / CAST(x AS bigint) FROM m.bars",
        vec![series(3)],
        &[],
    )
    .unwrap_err();
    assert!(matches!(failed, SqlError::Execute(_)), "{failed}");
}

#[test]
fn a_query_that_needs_too_much_memory_says_so() {
    let sql = "SELECT count(*) FROM generate_series(1, 300000) a JOIN generate_series(1, 300000) b ON a.value = b.value";
    let error = SqlEngine::with_memory(1 << 20)
        .run_stage(sql, vec![], &Default::default())
        .unwrap_err();
    assert!(
        matches!(
            error,
            SqlError::Memory {
                limit_bytes: 1_048_576,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        SqlEngine::new()
            .run_stage(sql, vec![], &Default::default())
            .is_ok()
    );
}

#[test]
fn equal_rows_give_equal_bits_whatever_the_batches() {
    let x: Vec<Option<f64>> = noise(400, 3)
        .into_iter()
        .enumerate()
        .map(|(i, v)| (i % 11 != 3).then_some(v * 1e6))
        .collect();
    let y: Vec<Option<f64>> = noise(400, 4).into_iter().map(Some).collect();
    let sql = "SELECT event_time, avg(x) OVER w AS a, stddev(x) OVER w AS b, corr(x, y) OVER w AS c, zscore(x) OVER w AS d, \
               ema(x, 0.1) OVER w AS e, regr_slope(y, x) OVER w AS f, sum(x) OVER (ORDER BY event_time) AS g \
               FROM m.bars WINDOW w AS (ORDER BY event_time ROWS BETWEEN 29 PRECEDING AND CURRENT ROW) ORDER BY event_time";
    let bits = |size: usize| {
        let (_, rows) = run(sql, vec![bars(&x, &y, size)], &[]).unwrap();
        ["a", "b", "c", "d", "e", "f", "g"].map(|name| column(&rows, name))
    };
    let whole = bits(400);
    assert_eq!(whole, bits(1));
    assert_eq!(whole, bits(37));
}

#[test]
fn asof_joins_and_structs_work_in_plain_sql() {
    let quotes = batch(
        "asset utf8, event_time ts, x f64?, y f64?",
        vec![
            texts([Some("A"); 4]),
            days(10, 4),
            floats((0..4).map(|i| Some(f64::from(i)))),
            floats([None; 4]),
        ],
    );
    let rates = batch(
        "asset utf8, event_time ts, x f64?, y f64?",
        vec![
            texts([Some("A"); 2]),
            days(9, 2),
            floats([Some(0.1), Some(0.2)]),
            floats([None; 2]),
        ],
    );
    let sql =
        "SELECT black76_greeks('call', 100.0, 100.0 + x, 0.5, 0.6)['gamma'] AS gamma FROM m.quotes";
    let (_, rows) = run(sql, vec![table("m.quotes", vec![quotes.clone()])], &[]).unwrap();
    assert!(
        column(&rows, "gamma")
            .iter()
            .all(|g| g.is_some_and(|g| g > 0.0))
    );
    let latest = "SELECT event_time, rate FROM (SELECT q.event_time, r.x AS rate, row_number() OVER \
                  (PARTITION BY q.event_time ORDER BY r.event_time DESC) AS n FROM m.quotes q JOIN m.rates r \
                  ON r.asset = q.asset AND r.event_time <= q.event_time) WHERE n = 1 ORDER BY event_time";
    let (_, rows) = run(
        latest,
        vec![
            table("m.quotes", vec![quotes]),
            table("m.rates", vec![rates]),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(column(&rows, "rate"), vec![Some(0.2); 4]);
}

#[test]
fn a_parsed_query_can_be_run_again_and_again() {
    let engine = SqlEngine::new();
    let query = analyse("SELECT count(*) AS n FROM m.bars").unwrap();
    for count in [3, 9] {
        let (_, rows) = engine
            .run_query(&query, vec![series(count)], &Default::default())
            .unwrap();
        assert_eq!(
            crate::conform::integers(&rows[0], "n"),
            vec![Some(count as i64)]
        );
    }
}

#[test]
fn the_engines_version_is_part_of_ours() {
    assert!(crate::ENGINE_VERSION.ends_with(datafusion::DATAFUSION_VERSION));
}
