//! What people write: parameters, scripts, places of errors.

use std::collections::BTreeMap;

use crate::ask::ask;
use crate::{Literal, Script, ScriptStatement, SqlError, locate, parse_param};

fn params(texts: &[&str]) -> BTreeMap<String, Literal> {
    texts
        .iter()
        .map(|text| parse_param(text).unwrap())
        .collect()
}

#[test]
fn values_say_their_type() {
    for (text, name, value) in [
        ("n=7", "n", Literal::Int(7)),
        ("n=-7", "n", Literal::Int(-7)),
        ("1=2.5e3", "1", Literal::Float(2500.0)),
        ("$x=.5", "x", Literal::Float(0.5)),
        ("n:float=7", "n", Literal::Float(7.0)),
        (
            "d=2026-01-05",
            "d",
            Literal::Day("2026-01-05".parse().unwrap()),
        ),
        (
            "t=2026-01-05T09:21:45Z",
            "t",
            Literal::Time("2026-01-05T09:21:45Z".parse().unwrap()),
        ),
        (
            "t:timestamp=2026-01-05",
            "t",
            Literal::Time("2026-01-05".parse().unwrap()),
        ),
        ("b=true", "b", Literal::Bool(true)),
        ("a=BTC", "a", Literal::Text("BTC".to_owned())),
        ("a:text=7", "a", Literal::Text("7".to_owned())),
        ("a=x=y", "a", Literal::Text("x=y".to_owned())),
        ("a=", "a", Literal::Text(String::new())),
        ("a=inf", "a", Literal::Text("inf".to_owned())),
    ] {
        assert_eq!(parse_param(text), Ok((name.to_owned(), value)), "{text}");
    }
    for (text, word) in [
        ("asset", "no `=`"),
        ("=1", "neither a name"),
        ("2a=1", "neither a name"),
        ("a b=1", "neither a name"),
        ("a:money=1", "`money` is no type"),
        ("a:int=1.5", "`1.5` is no int"),
        ("a:date=soon", "`soon` is no date"),
        ("a:float=nan", "`nan` is no float"),
    ] {
        let error = parse_param(text).unwrap_err();
        assert!(error.to_string().contains(word), "{text}: {error}");
    }
}

#[test]
fn parameters_are_put_in_beneath_explain_too() {
    let params = params(&["asset=BTC", "1=3"]);
    let asked = ask(
        "EXPLAIN ANALYZE SELECT * FROM m.t WHERE a = $asset LIMIT $1;",
        &params,
    )
    .unwrap();
    assert!(asked.explains);
    let text = asked.statement.to_string();
    assert!(text.contains("a = 'BTC' LIMIT 3"), "{text}");
    assert_eq!(asked.tables[0].as_str(), "m.t");
    assert!(!ask("SELECT 1", &params).unwrap().explains);
    let error = ask("SELECT $other", &params).err().unwrap();
    assert_eq!(
        error.to_string(),
        "parameter `$other` has no value; given are: $1, $asset"
    );
}

#[test]
fn errors_know_their_place() {
    let none = BTreeMap::new();
    for (sql, place) in [
        ("SELECT *\nFROM m.t WHERE )", Some((2, 16))),
        ("EXPLAIN SELECT *\nFROM m.t WHERE )", Some((2, 16))),
        ("SELECT 1;\n  SELECT 2", Some((2, 3))),
        ("SELECT *\n FROM quotes", Some((2, 7))),
        ("SELECT 'x',\n $asset", Some((2, 2))),
        ("", Some((1, 1))),
    ] {
        let error = ask(sql, &none).err().unwrap();
        assert_eq!(locate(sql, &error), place, "{sql}: {error}");
    }
    let column = |name: &str| SqlError::UnknownColumn {
        name: name.to_owned(),
        hint: String::new(),
    };
    let sql = "SELECT 'asst', -- asst\n  q.Asst FROM m.t AS q";
    assert_eq!(locate(sql, &column("q.asst")), Some((2, 3)));
    assert_eq!(locate(sql, &column("m.t.asst")), Some((2, 5)));
    assert_eq!(locate(sql, &column("other")), None);
    assert_eq!(locate("SELECT (", &SqlError::Execute("x".to_owned())), None);
}

/// A statement with the line that it begins on.
type Placed<T> = (T, u64);

fn taken(lines: &[&str]) -> (Vec<Placed<String>>, Option<Placed<String>>) {
    let plain = |statement: ScriptStatement| (statement.text, statement.line);
    let mut script = Script::default();
    let found = lines
        .iter()
        .flat_map(|line| script.line(line))
        .map(plain)
        .collect();
    (found, script.rest().map(plain))
}

#[test]
fn semicolons_end_statements_where_they_are_meant_to() {
    let one = |text: &str, line: u64| (text.to_owned(), line);
    type Case = (
        &'static [&'static str],
        &'static [Placed<&'static str>],
        Option<Placed<&'static str>>,
    );
    let cases: [Case; 9] = [
        (&["SELECT 1;"], &[("SELECT 1", 1)], None),
        (
            &["SELECT 1; SELECT 2;", "SELECT 3"],
            &[("SELECT 1", 1), ("SELECT 2", 1)],
            Some(("SELECT 3", 3 - 1)),
        ),
        (
            &["SELECT", " 1", ";", "", "SELECT 2;"],
            &[("SELECT\n 1", 1), ("SELECT 2", 5)],
            None,
        ),
        (
            &["SELECT ';' AS \"a;b\"; -- one; two"],
            &[("SELECT ';' AS \"a;b\"", 1)],
            None,
        ),
        (
            &["-- only; a comment", "SELECT 'é'; SELECT 2;"],
            &[("-- only; a comment\nSELECT 'é'", 1), ("SELECT 2", 2)],
            None,
        ),
        (
            &["/* one; */ SELECT 1;"],
            &[("/* one; */ SELECT 1", 1)],
            None,
        ),
        (
            &["SELECT 'open;", "still';"],
            &[("SELECT 'open;\nstill'", 1)],
            None,
        ),
        (&[";;", "SELECT 1;;"], &[("SELECT 1", 2)], None),
        (&["", "-- nothing", "/* here; */"], &[], None),
    ];
    for (lines, statements, rest) in cases {
        let expected: Vec<_> = statements
            .iter()
            .map(|(text, line)| one(text, *line))
            .collect();
        let rest = rest.map(|(text, line)| one(text, line));
        assert_eq!(taken(lines), (expected, rest), "{lines:?}");
    }
}

#[test]
fn scripts_go_on_after_lines_of_others() {
    let mut script = Script::default();
    assert!(script.is_blank());
    assert!(script.line("SELECT 1").is_empty());
    assert!(!script.is_blank());
    assert_eq!(script.pending(), "SELECT 1\n");
    script.clear();
    assert_eq!(script.skip_line(), 2);
    assert_eq!(script.line("SELECT 2;")[0].line, 3);
    assert_eq!(script.rest(), None);
}
