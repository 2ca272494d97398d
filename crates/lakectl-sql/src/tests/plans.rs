//! Plans that are used again give what a new one gives.

use std::collections::BTreeMap;
use std::thread;

use arrow::array::RecordBatch;

use super::{bars, noise};
use crate::{SqlEngine, StageTable};

/// Of each kind of step one whose state must not outlive a run: sums of all rows, a subquery's value, both sides of joins, windows,
/// sorts, limits and what becomes a constant when the number of rows is known.
const QUERIES: [&str; 9] = [
    "SELECT count(*) AS n FROM m.bars",
    "SELECT max(event_time) AS last, sum(x) AS x FROM m.bars",
    "SELECT x FROM m.bars WHERE x > (SELECT avg(x) FROM m.bars) ORDER BY x",
    "SELECT a.x, b.y FROM m.bars a JOIN m.bars b ON a.event_time = b.event_time ORDER BY a.x",
    "SELECT a.x FROM m.bars a LEFT JOIN m.bars b ON a.x < b.x - 0.4 WHERE b.x IS NULL ORDER BY a.x",
    "SELECT count(*) AS pairs FROM m.bars a CROSS JOIN m.bars b",
    "SELECT x, sum(x) OVER (ORDER BY event_time ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s FROM m.bars ORDER BY event_time",
    "SELECT x FROM m.bars ORDER BY x DESC LIMIT 3",
    "SELECT x FROM m.bars UNION ALL SELECT y FROM m.bars ORDER BY 1",
];

fn table(seed: u64) -> StageTable {
    let x: Vec<Option<f64>> = noise(5 + 7 * seed as usize % 31, seed)
        .into_iter()
        .map(Some)
        .collect();
    bars(&x, &x, 4)
}

fn ask(engine: &SqlEngine, sql: &str, seed: u64) -> Vec<RecordBatch> {
    let asked = engine.run_stage(sql, vec![table(seed)], &BTreeMap::new());
    asked.unwrap_or_else(|error| panic!("{sql}: {error}")).1
}

#[test]
fn a_plan_serves_the_next_partition() {
    let engine = SqlEngine::new();
    for sql in QUERIES {
        for seed in [1, 2, 9, 1] {
            let anew = ask(&SqlEngine::new(), sql, seed);
            assert_eq!(ask(&engine, sql, seed), anew, "{sql} {seed}");
        }
    }
}

#[test]
fn tasks_that_ask_the_same_at_once_do_not_meet() {
    let engine = SqlEngine::new();
    thread::scope(|scope| {
        for seed in 0..4 {
            let engine = &engine;
            scope.spawn(move || {
                for sql in QUERIES {
                    let anew = ask(&SqlEngine::new(), sql, seed);
                    for _ in 0..5 {
                        assert_eq!(ask(engine, sql, seed), anew, "{sql} {seed}");
                    }
                }
            });
        }
    });
}

#[test]
fn a_query_that_failed_is_asked_anew() {
    let engine = SqlEngine::new();
    let sql = "SELECT 1 / CAST(count(*) - 12 AS BIGINT) AS n FROM m.bars";
    for _ in 0..2 {
        let failed = engine.run_stage(sql, vec![table(1)], &BTreeMap::new());
        assert!(failed.is_err(), "{failed:?}");
        assert_eq!(ask(&engine, sql, 2).len(), 1);
    }
}
