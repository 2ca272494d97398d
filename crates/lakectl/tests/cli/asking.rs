//! `lakectl sql` as a person's tool: scripts, parameters, plans, bounds, Ctrl-C.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{Ended, Place};

/// A query that would go on for hours.
const ENDLESS: &str = "SELECT sum(a.value * b.value) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b";

/// A call with these statements on standard input.
fn typed(place: &Place, args: &[&str], text: &str) -> Ended {
    let mut child = place.command(args).stdin(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    Ended::of(child.wait_with_output().unwrap())
}

#[test]
fn statements_come_from_standard_input_or_a_file() {
    let place = Place::published();
    let text = "-- two; statements\nSELECT 1 AS one;\nSELECT ';' AS semicolon,\n  2 AS two\n";
    let expected = " one\n   1\n(1 row)\n semicolon  two\n ;            2\n(1 row)\n";
    assert_eq!(typed(&place, &["sql"], text).code(0).stdout, expected);
    fs::write(place.path().join("two.sql"), text).unwrap();
    assert_eq!(
        place.call(&["sql", "-f", "two.sql"]).code(0).stdout,
        expected
    );
    let json = place
        .call(&["sql", "-f", "two.sql", "--format", "json"])
        .code(0);
    assert_eq!(
        json.stdout,
        "[{\"one\":1}]\n[{\"semicolon\":\";\",\"two\":2}]\n"
    );

    let empty = typed(&place, &["sql"], "-- nothing\n").code(1);
    assert!(
        empty.stderr.contains("holds no statement"),
        "{}",
        empty.stderr
    );
    let missing = place.call(&["sql", "-f", "none.sql"]).code(1);
    assert!(missing.stderr.contains("none.sql"), "{}", missing.stderr);
    let both = place.call(&["sql", "SELECT 1", "-f", "two.sql"]).code(1);
    assert!(
        both.stderr.contains("cannot be used with"),
        "{}",
        both.stderr
    );
    let output = place
        .call(&["sql", "-f", "two.sql", "--output", "rows.csv"])
        .code(1);
    assert!(output.stderr.contains("\\o FILE"), "{}", output.stderr);
}

#[test]
fn scripts_stop_at_the_first_error_and_name_its_line() {
    let place = Place::published();
    let text = "SELECT 1 AS one;\n\nSELECT\n  asst\nFROM forecast.quantiles;\nSELECT 3 AS three;\n";
    fs::write(place.path().join("bad.sql"), text).unwrap();
    let ended = place.call(&["sql", "-f", "bad.sql"]).code(1);
    assert_eq!(ended.stdout, " one\n   1\n(1 row)\n");
    for words in [
        "bad.sql:4",
        "no column `asst`",
        "did you mean `asset`",
        "line 2:   asst\n            ^",
    ] {
        assert!(
            ended.stderr.contains(words),
            "no `{words}` in\n{}",
            ended.stderr
        );
    }
    let ended = typed(&place, &["sql"], "SELECT 1;\n\\nonsense\n").code(1);
    assert!(
        ended.stderr.contains("standard input:2") && ended.stderr.contains("\\nonsense"),
        "{}",
        ended.stderr
    );
    let marked = place
        .call(&["sql", "SELECT * FROM forecast.quantile"])
        .code(1);
    assert!(
        marked
            .stderr
            .contains("line 1: SELECT * FROM forecast.quantile\n                        ^"),
        "{}",
        marked.stderr
    );
}

#[test]
fn commands_of_the_shell_work_in_scripts() {
    let place = Place::published();
    fs::write(place.path().join("inner.sql"), "SELECT $asset AS asset;\n").unwrap();
    let text = "-- a comment\n\\d forecast.quantiles\n\\df implied_vol\n\\param asset=BTC\n\\i inner.sql\n\\x\nSELECT 1 AS a, 2 AS b;\n\\x\n\
                \\o rows.csv\nSELECT 7 AS seven;\n\\at 1\n\\d\n\\timing\nSELECT 1;\n\\q\nnever read";
    let ended = typed(&place, &["sql"], text).code(0);
    for words in [
        "q05",
        "key, partition",
        "8 rows",
        "implied_vol(",
        " BTC\n",
        "-[ row 1 ]\n a | 1\n b | 2\n",
        "forecast.quantiles",
        "version 1,",
        "time: ",
    ] {
        assert!(
            ended.stdout.contains(words),
            "no `{words}` in\n{}\n{}",
            ended.stdout,
            ended.stderr
        );
    }
    assert!(
        ended.stderr.contains("wrote 1 rows to rows.csv"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        fs::read_to_string(place.path().join("rows.csv")).unwrap(),
        "seven\n7\n"
    );
    fs::write(place.path().join("loop.sql"), "\\i loop.sql\n").unwrap();
    let ended = place.call(&["sql", "-f", "loop.sql"]).code(1);
    assert!(
        ended.stderr.contains("must not include itself"),
        "{}",
        ended.stderr
    );
    let wrong = typed(&place, &["sql"], "\\at yesterday\n").code(1);
    assert!(
        wrong.stderr.contains("neither a version nor a time"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn tables_that_no_stage_declares_are_marked() {
    let place = Place::published();
    let listed = |set: &[&str]| {
        let args = [&["sql"], set].concat();
        typed(&place, &args, "\\d\n").code(0).stdout
    };
    assert!(!listed(&[]).contains("no longer declared"));
    place.call(&["init", "mine"]).code(0);
    let declared = place.path().join("mine/configs/demo.toml");
    let text = fs::read_to_string(&declared).unwrap();
    let (before, after) = text
        .split_once("[sources.demo.datasets.santiment_metrics]")
        .unwrap();
    let rest = after.split_once("\n[").map_or("", |(_, rest)| rest);
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!("[{rest}")
    };
    fs::write(&declared, format!("{before}{rest}")).unwrap();
    let lake = place.lake();
    let mut command = place.command(&["--lake", lake.to_str().unwrap(), "sql"]);
    let mut child = command
        .current_dir(place.path().join("mine"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"\\d\nSELECT count(*) > 0 AS there FROM norm.demo_santiment_metrics;\n")
        .unwrap();
    let ended = Ended::of(child.wait_with_output().unwrap()).code(0);
    let line = ended
        .stdout
        .lines()
        .find(|line| line.starts_with(" norm.demo_santiment_metrics"))
        .unwrap();
    assert!(line.ends_with("no longer declared"), "{line}");
    assert!(
        ended.stdout.ends_with(" there\n true\n(1 row)\n"),
        "{}",
        ended.stdout
    );
}

#[test]
fn parameters_have_names_numbers_and_types() {
    let place = Place::published();
    let sql = "SELECT count(*) AS n FROM forecast.quantiles WHERE asset = $asset AND as_of >= $1 AND horizon_hours = $h";
    let args = [
        "sql",
        sql,
        "--format",
        "csv",
        "--param",
        "asset=BTC",
        "--param",
        "1=2026-01-09",
        "--param",
        "h=24",
    ];
    assert_eq!(place.call(&args).code(0).stdout, "n\n3\n");
    let ended = place.call(&args[..8]).code(1);
    assert!(
        ended
            .stderr
            .contains("`$h` has no value; given are: $1, $asset"),
        "{}",
        ended.stderr
    );
    let ended = place
        .call(&["sql", "SELECT 1", "--param", "x:money=1"])
        .code(1);
    assert!(
        ended.stderr.contains("`money` is no type"),
        "{}",
        ended.stderr
    );
}

#[test]
fn plans_are_readable() {
    let place = Place::published();
    let sql = "EXPLAIN SELECT asset, count(*) FROM forecast.quantiles GROUP BY asset";
    let plan = place.call(&["sql", sql]).code(0).stdout;
    assert!(plan.starts_with("logical_plan\n  "), "{plan}");
    assert!(
        plan.contains("\nphysical_plan\n  ") && plan.contains("forecast/quantiles"),
        "{plan}"
    );
    let analysed = place
        .call(&["sql", &sql.replace("EXPLAIN", "EXPLAIN ANALYZE VERBOSE")])
        .code(0)
        .stdout;
    assert!(analysed.contains("output_rows=2"), "{analysed}");
    let json = place.call(&["sql", sql, "--format", "json"]).code(0).json();
    assert_eq!(json[0]["plan_type"], "logical_plan");
}

#[test]
fn bounds_end_a_query_with_code_2() {
    let place = Place::published();
    let ended = place
        .call(&["sql", ENDLESS, "--timeout", "200ms", "--output", "rows.csv"])
        .code(2);
    assert!(
        ended.stderr.contains("longer than 200.0 ms"),
        "{}",
        ended.stderr
    );
    let hungry = "SELECT array_agg(value) AS all FROM generate_series(1, 5000000) AS s(value)";
    let ended = place
        .call(&["sql", hungry, "--memory", "2MiB", "--output", "rows.csv"])
        .code(2);
    assert!(
        ended.stderr.contains("more memory than its 2 MiB")
            && ended.stderr.contains("--memory 4GiB"),
        "{}",
        ended.stderr
    );
    // Twice the memory, so it goes to temporary files.
    let sorted = "SELECT value FROM generate_series(1, 6000000) AS s(value) ORDER BY value DESC";
    let args = ["sql", sorted, "--memory", "24MiB", "--output", "rows.csv"];
    let ended = place.call(&args).code(0);
    assert!(
        ended.stderr.contains("wrote 6,000,000 rows"),
        "{}",
        ended.stderr
    );
    assert_eq!(left_over(&place), ["rows.csv"]);
    for (flag, value) in [
        ("--memory", "much"),
        ("--timeout", "soon"),
        ("--threads", "0"),
    ] {
        let ended = place.call(&["sql", "SELECT 1", flag, value]).code(1);
        assert!(ended.stderr.contains(value), "{}", ended.stderr);
    }
    let set = place
        .call(&["sql", "SELECT 1", "--set", "sql.memory=much"])
        .code(1);
    assert!(set.stderr.contains("sql.memory"), "{}", set.stderr);
}

/// Files of the working folder that a query made, finished or not.
fn left_over(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.path()).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_query_and_leaves_no_half_file() {
    let place = Place::published();
    for (name, query) in [
        ("INT", ENDLESS.to_owned()),
        ("TERM", "SELECT a.value, b.value AS other FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b".to_owned()),
    ] {
        let mut child = place.command(&["sql", &query, "--output", "rows.csv"]).spawn().unwrap();
        // The unfinished file says that the query is under way.
        while left_over(&place).is_empty() {
            assert!(child.try_wait().unwrap().is_none());
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(50));
        let kill = format!("kill -{name} {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let ended = Ended::of(child.wait_with_output().unwrap()).code(130);
        assert!(ended.stderr.contains("interrupted"), "{}", ended.stderr);
        assert_eq!(left_over(&place), [""; 0], "{name}");
    }
}

#[test]
fn rows_come_while_the_query_runs_and_a_closed_pipe_ends_it() {
    let place = Place::published();
    for format in ["csv", "json"] {
        let sql =
            "SELECT a.value FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b";
        let mut child = place
            .command(&["sql", sql, "--format", format])
            .spawn()
            .unwrap();
        let mut beginning = [0; 4096];
        child
            .stdout
            .take()
            .unwrap()
            .read_exact(&mut beginning)
            .unwrap();
        assert!(beginning.starts_with(if format == "csv" {
            &b"value\n"[..]
        } else {
            &b"[{\"value\":"[..]
        }));
        let ended = Ended::of(child.wait_with_output().unwrap()).code(0);
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn a_query_may_begin_with_a_remark() {
    let place = Place::published();
    let query = "-- all of them\nSELECT count(*) AS n FROM market.dvol";
    let found = place
        .call(&["sql", query, "--format", "csv"])
        .code(0)
        .stdout;
    assert!(found.starts_with("n\n"), "{found}");
    let unknown = place.call(&["sql", "--limt", "3", "SELECT 1"]).code(1);
    assert!(unknown.stderr.contains("'--limt'"), "{}", unknown.stderr);
}
