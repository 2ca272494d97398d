//! Parsing, lineage and binding.

use std::collections::BTreeMap;

use lakectl_core::UtcTime;

use crate::{Literal, SqlError, analyse, bind};

#[test]
fn references_of_queries() {
    let cases: [(&str, &str, &str, &str); 9] = [
        ("SELECT * FROM market.dvol", "market.dvol", "", ""),
        (
            "SELECT AVG(x) FROM Market.DVOL d JOIN norm.rates USING (t)",
            "market.dvol norm.rates",
            "avg",
            "",
        ),
        (
            "WITH a AS (SELECT 1 AS x FROM m.t), b AS (SELECT * FROM a) SELECT * FROM b WHERE x IN (SELECT y FROM n.u)",
            "m.t n.u",
            "",
            "",
        ),
        (
            "SELECT (SELECT max(v) FROM m.u WHERE m.u.k = t.k) FROM m.t AS t",
            "m.t m.u",
            "max",
            "",
        ),
        (
            "SELECT x FROM m.t UNION ALL SELECT y FROM m.u WHERE EXISTS (SELECT 1 FROM m.w)",
            "m.t m.u m.w",
            "",
            "",
        ),
        (
            "SELECT zscore(x, $least) OVER (ORDER BY t ROWS BETWEEN $n PRECEDING AND CURRENT ROW) FROM m.t WHERE a = $asset LIMIT $top",
            "m.t",
            "zscore",
            "asset least n top",
        ),
        (
            "SELECT * FROM generate_series(1, 3)",
            "",
            "generate_series",
            "",
        ),
        (
            "SELECT l.* FROM m.t l, LATERAL (SELECT * FROM m.u WHERE k = l.k) r",
            "m.t m.u",
            "",
            "",
        ),
        (
            "SELECT extract(day FROM t), count(*) FILTER (WHERE sqrt(x) > 1) FROM m.t",
            "m.t",
            "count sqrt",
            "",
        ),
    ];
    let join = |names: Vec<String>| names.join(" ");
    for (sql, tables, functions, params) in cases {
        let query = analyse(sql).unwrap();
        assert_eq!(
            join(query.tables.iter().map(ToString::to_string).collect()),
            tables,
            "{sql}"
        );
        assert_eq!(
            join(query.functions.iter().cloned().collect()),
            functions,
            "{sql}"
        );
        assert_eq!(
            join(query.params.iter().cloned().collect()),
            params,
            "{sql}"
        );
    }
}

#[test]
fn comments_and_spacing_do_not_count() {
    let a = analyse("select x,  y -- two\nfrom m.t /* all */ where x>1;").unwrap();
    let b = analyse("SELECT x, y FROM m.t WHERE x > 1").unwrap();
    let c = analyse("SELECT x, y FROM m.t WHERE x > 2").unwrap();
    assert_eq!(a.canonical, b.canonical);
    assert_ne!(b.canonical, c.canonical);
}

#[test]
fn what_is_refused_says_where() {
    let place = |sql: &str| match analyse(sql).unwrap_err() {
        SqlError::Syntax { line, column, .. } => ("syntax", line, column),
        SqlError::NotAQuery { line, column, .. } => ("query", line, column),
        SqlError::TableName { line, column, .. } => ("table", line, column),
        other => panic!("{sql}: {other}"),
    };
    let cases = [
        ("SELECT *\nFROM", ("syntax", 0, 0)),
        ("SELECT *\nFROM m.t WHERE )", ("syntax", 2, 16)),
        ("", ("query", 0, 0)),
        ("SELECT 1; SELECT 2", ("query", 1, 11)),
        ("INSERT INTO m.t VALUES (1)", ("query", 1, 1)),
        ("SELECT * INTO m.x FROM m.t", ("query", 0, 0)),
        ("SELECT *\nFROM quotes", ("table", 2, 6)),
        ("SELECT * FROM a.b.c", ("table", 1, 15)),
        ("SELECT * FROM 'file.parquet'", ("table", 0, 0)),
        ("SELECT ?", ("syntax", 1, 8)),
    ];
    for (sql, expected) in cases {
        assert_eq!(place(sql), expected, "{sql}");
    }
}

#[test]
fn literals_replace_placeholders_anywhere() {
    let sql = "SELECT sum(x) OVER (ORDER BY t ROWS BETWEEN $n PRECEDING AND CURRENT ROW) FROM m.t \
               WHERE a = $asset AND x > -$cut AND t < $end AND d = $day AND b = $flag LIMIT $n";
    let params: BTreeMap<String, Literal> = [
        ("n", Literal::Int(20)),
        ("asset", Literal::Text("O'Neil $end".to_owned())),
        ("cut", Literal::Float(-1.5e-9)),
        (
            "end",
            Literal::Time(UtcTime::from_micros(1_767_604_905_000_000)),
        ),
        ("day", Literal::Day("2026-01-05".parse().unwrap())),
        ("flag", Literal::Bool(true)),
        ("unused", Literal::Int(1)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let query = analyse(sql).unwrap();
    assert_eq!(
        bind(&query, &params).unwrap().to_string(),
        "SELECT sum(x) OVER (ORDER BY t ROWS BETWEEN 20 PRECEDING AND CURRENT ROW) FROM m.t \
         WHERE a = 'O''Neil $end' AND x > -(-1.5e-9) AND t < arrow_cast(1767604905000000, 'Timestamp(Microsecond, Some(\"UTC\"))') \
         AND d = DATE '2026-01-05' AND b = true LIMIT 20"
    );
    let few: BTreeMap<String, Literal> = [("n".to_owned(), Literal::Int(1))].into();
    let error = bind(&query, &few).unwrap_err().to_string();
    assert_eq!(error, "parameter `$asset` has no value; given are: $n");
    let mut wrong = params;
    wrong.insert("cut".to_owned(), Literal::Float(f64::NAN));
    assert!(matches!(
        bind(&query, &wrong),
        Err(SqlError::ParamValue { .. })
    ));
}
