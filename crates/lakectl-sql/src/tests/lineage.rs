//! Column lineage of queries with known answers.

use std::collections::BTreeMap;

use lakectl_core::{Contract, TableId};

use crate::{Influence, Literal, OutputColumn, SqlEngine, SqlError, analyse};

use super::contract;

fn tables() -> BTreeMap<TableId, Contract> {
    [
        ("m.t", "k utf8, t ts, x f64?, y f64?"),
        ("m.u", "k utf8, t ts, v f64?, w i64?"),
    ]
    .map(|(name, columns)| (name.parse().unwrap(), contract(columns)))
    .into()
}

fn columns(sql: &str) -> Vec<OutputColumn> {
    let params = BTreeMap::from([("n".to_owned(), Literal::Int(2))]);
    let query = analyse(sql).unwrap();
    SqlEngine::new()
        .lineage(&query, &tables(), &params)
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Each column as `name <- values | conditions`.
#[track_caller]
fn check(sql: &str, expected: &[&str]) {
    let found: Vec<String> = columns(sql)
        .into_iter()
        .map(|column| {
            let of = |kind: Influence| {
                let refs = column.inputs.iter().filter(|(_, found)| **found == kind);
                refs.map(|(input, _)| input.to_string())
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let (values, conditions) = (of(Influence::Value), of(Influence::Condition));
            format!("{} <- {values} | {conditions}", column.name)
                .trim()
                .to_owned()
        })
        .collect();
    let found: Vec<&str> = found
        .iter()
        .map(|line| line.trim_end_matches(" |"))
        .collect();
    let expected: Vec<&str> = expected
        .iter()
        .map(|line| line.trim_end_matches(" |"))
        .collect();
    assert_eq!(found, expected, "{sql}");
}

#[test]
fn stars_names_and_filters() {
    check(
        "SELECT * FROM m.t",
        &["k <- m.t.k", "t <- m.t.t", "x <- m.t.x", "y <- m.t.y"],
    );
    check(
        "SELECT * EXCLUDE (k, t), x + y AS s FROM m.t WHERE k = 'a'",
        &[
            "x <- m.t.x | m.t.k",
            "y <- m.t.y | m.t.k",
            "s <- m.t.x m.t.y | m.t.k",
        ],
    );
    check(
        "WITH a AS (SELECT x * 2 AS z, t FROM m.t), b AS (SELECT z + 1 AS q, t FROM a) SELECT b.q FROM b WHERE b.t > '2026-01-01'",
        &["q <- m.t.x | m.t.t"],
    );
    check(
        "SELECT 1 AS one, 'x' AS name FROM m.t",
        &["one <- ", "name <- "],
    );
    check(
        "SELECT CASE WHEN y > 0 THEN x ELSE -x END AS z FROM m.t",
        &["z <- m.t.x | m.t.y"],
    );
}

#[test]
fn joins_and_unions() {
    check(
        "SELECT a.x, b.v FROM m.t a JOIN m.u b ON a.k = b.k AND a.t >= b.t",
        &[
            "x <- m.t.x | m.t.k m.t.t m.u.k m.u.t",
            "v <- m.u.v | m.t.k m.t.t m.u.k m.u.t",
        ],
    );
    check(
        "SELECT x FROM m.t LEFT SEMI JOIN m.u ON m.t.k = m.u.k",
        &["x <- m.t.x | m.t.k m.u.k"],
    );
    check(
        "SELECT x AS z FROM m.t WHERE y > 0 UNION ALL SELECT v FROM m.u",
        &["z <- m.t.x m.u.v | m.t.y"],
    );
    check(
        "SELECT l.x, r.v FROM m.t l, LATERAL (SELECT v FROM m.u WHERE m.u.k = l.k) r",
        &["x <- m.t.x | m.t.k m.u.k", "v <- m.u.v | m.t.k m.u.k"],
    );
}

#[test]
fn groups_windows_and_order() {
    check(
        "SELECT k, sum(x) AS s, max(y) FILTER (WHERE t > '2026-01-01') AS m FROM m.t GROUP BY k HAVING count(*) > 2",
        &[
            "k <- m.t.k",
            "s <- m.t.x | m.t.k",
            "m <- m.t.y | m.t.k m.t.t",
        ],
    );
    check(
        "SELECT x - avg(x) OVER (PARTITION BY k ORDER BY t ROWS BETWEEN $n PRECEDING AND CURRENT ROW) AS d FROM m.t",
        &["d <- m.t.x | m.t.k m.t.t"],
    );
    check(
        "SELECT x FROM m.t QUALIFY row_number() OVER (PARTITION BY k ORDER BY t DESC) = 1",
        &["x <- m.t.x | m.t.k m.t.t"],
    );
    check("SELECT x FROM m.t ORDER BY t", &["x <- m.t.x"]);
    check(
        "SELECT x FROM m.t ORDER BY t LIMIT 1",
        &["x <- m.t.x | m.t.t"],
    );
    check(
        "SELECT k, y, count(*) AS n FROM m.t GROUP BY GROUPING SETS ((k), (k, y))",
        &[
            "k <- m.t.k | m.t.y",
            "y <- m.t.y | m.t.k",
            "n <-  | m.t.k m.t.y",
        ],
    );
    check(
        "SELECT DISTINCT ON (k) k, x FROM m.t ORDER BY k, t DESC",
        &["k <- m.t.k | m.t.t", "x <- m.t.x | m.t.k m.t.t"],
    );
}

#[test]
fn subqueries() {
    check(
        "SELECT x, (SELECT max(v) FROM m.u WHERE m.u.k = m.t.k) AS top FROM m.t",
        &["x <- m.t.x", "top <- m.u.v | m.t.k m.u.k"],
    );
    check(
        "SELECT x FROM m.t WHERE EXISTS (SELECT 1 FROM m.u WHERE m.u.k = m.t.k AND v > 0)",
        &["x <- m.t.x | m.t.k m.u.k m.u.v"],
    );
    check(
        "SELECT x FROM m.t WHERE k IN (SELECT k FROM m.u WHERE w > 1)",
        &["x <- m.t.x | m.t.k m.u.k m.u.w"],
    );
}

#[test]
fn functions_of_ours_lists_and_recursion() {
    check(
        "SELECT black76_price('call', x, y, 0.5, 0.6) AS p FROM m.t",
        &["p <- m.t.x m.t.y"],
    );
    check(
        "SELECT svi_fit(x, y, 1.0, 0.1)['a'] AS a FROM m.t GROUP BY k",
        &["a <- m.t.x m.t.y | m.t.k"],
    );
    check(
        "SELECT k, unnest(generate_series(1, w)) AS i FROM m.u",
        &["k <- m.u.k", "i <- m.u.w"],
    );
    check(
        "WITH RECURSIVE r AS (SELECT k, x FROM m.t UNION ALL SELECT r.k, r.x + u.v FROM r JOIN m.u u ON u.k = r.k WHERE r.x < 9) SELECT x FROM r",
        &["x <- m.t.x m.u.v | m.t.k m.u.k"],
    );
}

#[test]
fn expressions_are_those_that_made_the_column() {
    let text = |sql: &str| columns(sql)[0].expression.clone();
    assert_eq!(text("SELECT x FROM m.t"), None);
    // A column that is only passed on keeps the words of whoever made it.
    let made =
        text("WITH a AS (SELECT x * 2 AS z FROM m.t), b AS (SELECT * FROM a) SELECT q.z FROM b q");
    assert_eq!(made.as_deref(), Some("(t.x * 2)"));
    // Names that the planner gave are replaced by what stands behind them.
    let made = text("SELECT x - avg(x) OVER (PARTITION BY k ORDER BY t) AS d FROM m.t").unwrap();
    assert!(
        made.contains("avg(") && made.contains("PARTITION BY"),
        "{made}"
    );
    let made = text("SELECT sum(x) / count(*) AS mean FROM m.t GROUP BY k").unwrap();
    assert!(made.contains("sum(") && made.contains("count("), "{made}");
}

#[test]
fn what_cannot_be_planned_says_why() {
    let query = analyse("SELECT z FROM m.t").unwrap();
    let error = SqlEngine::new()
        .lineage(&query, &tables(), &BTreeMap::new())
        .unwrap_err();
    assert!(matches!(error, SqlError::UnknownColumn { .. }), "{error}");
}
