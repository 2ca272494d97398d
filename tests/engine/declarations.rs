//! What is declared wrongly is said with its file, its line and what was probably meant, before anything runs.

use lakectl_tests::{Bench, NOW};

use crate::common::{demo, edit, edit_stage, go, hashes, published, until};

pub(crate) const OPTIONS: &str = "pipelines/options.toml";

/// The line of the first occurrence of `text` in a file of the shipped project, counted from 1.
pub(crate) fn line(path: &str, text: &str) -> String {
    let bench = demo();
    let whole = bench.project.text(path).unwrap();
    let at = whole.find(text).unwrap();
    format!("{path}:{}", 1 + whole[..at].matches('\n').count())
}

/// The line of a stage's `table`.
pub(crate) fn stage(path: &str, table: &str) -> String {
    line(path, &format!("table = \"{table}\""))
}

/// (what is changed, words of the error and its hint)
pub(crate) type Case = (fn(&mut Bench), Vec<String>);

pub(crate) fn check(cases: Vec<Case>) {
    for (change, words) in cases {
        let mut bench = demo();
        change(&mut bench);
        let Err(error) = bench.open() else {
            panic!("accepted, but expected {words:?}");
        };
        let text = format!("{error}\n{}", error.hint().unwrap_or_default());
        for word in words {
            assert!(text.contains(&word), "`{word}` is not in: {text}");
        }
    }
}

pub(crate) fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn stages_that_are_declared_wrongly() {
    check(vec![
        (
            |b| edit_stage(b, OPTIONS, "options.density", "coverage =", "covrage ="),
            words(&[
                "pipelines/options.toml:",
                "options.density",
                "`covrage`",
                "`coverage`",
            ]),
        ),
        (
            |b| {
                edit_stage(
                    b,
                    OPTIONS,
                    "options.density",
                    "kind = \"native\"",
                    "kind = \"natve\"",
                )
            },
            words(&["pipelines/options.toml:", "`natve`", "`native`"]),
        ),
        (
            |b| {
                edit_stage(
                    b,
                    OPTIONS,
                    "options.density",
                    "native = \"density\"",
                    "native = \"denisty\"",
                )
            },
            words(&[&stage(OPTIONS, "options.density"), "`denisty`", "density"]),
        ),
        (
            |b| {
                edit_stage(
                    b,
                    OPTIONS,
                    "options.density",
                    "coverage = \"options\"",
                    "coverage = \"opions\"",
                )
            },
            words(&[
                &stage(OPTIONS, "options.density"),
                "`opions`",
                "demo",
                "[coverage.opions]",
                "options",
            ]),
        ),
        (
            |b| {
                edit_stage(
                    b,
                    OPTIONS,
                    "options.density",
                    "\"options.slices\" = \"self\"",
                    "\"options.slicse\" = \"self\"",
                )
            },
            words(&[
                &stage(OPTIONS, "options.density"),
                "`options.slicse`",
                "no stage makes",
                "`options.slices`",
            ]),
        ),
        (
            |b| edit_stage(b, OPTIONS, "options.density", "= \"self\"", "= \"selv\""),
            words(&["pipelines/options.toml:", "`selv`", "`self`"]),
        ),
        (
            |b| {
                edit_stage(
                    b,
                    OPTIONS,
                    "options.density",
                    "\"tenor_days\"]",
                    "\"tenor_dais\"]",
                )
            },
            words(&["pipelines/options.toml:", "`tenor_dais`", "`tenor_days`"]),
        ),
        (
            |b| {
                edit_stage(
                    b,
                    OPTIONS,
                    "options.density",
                    "table = \"options.density\"",
                    "table = \"options.slices\"",
                )
            },
            words(&[
                &stage(OPTIONS, "options.density"),
                &stage(OPTIONS, "options.slices"),
                "`options.slices`",
                "already made",
            ]),
        ),
        (
            |b| {
                edit_stage(
                    b,
                    OPTIONS,
                    "features.surface_pca",
                    "\"pca_window_days\"",
                    "\"pca_window_day\"",
                )
            },
            words(&[
                &stage(OPTIONS, "features.surface_pca"),
                "`pca_window_day`",
                "[params]",
                "`pca_window_days`",
            ]),
        ),
        (
            |b| {
                let text = b.project.text(OPTIONS).unwrap().replace(
                    "[[stage]]\ntable = \"options.density\"",
                    "[[stage]\ntable = \"options.density\"",
                );
                b.project.set_text(OPTIONS, text);
            },
            words(&["pipelines/options.toml:"]),
        ),
    ]);
}

#[test]
fn two_stages_of_one_table_are_said_whatever_else_is_wrong() {
    // The second one has no keys, so that its query would lack a parameter.
    let second = "\n[[stage]]\ntable = \"options.greeks\"\nkind = \"sql\"\nprimary_key = [\"asset\"]\n\
                  columns = \"asset utf8\"\n[stage.inputs]\n\"market.dvol\" = \"all\"\n";
    let native = "\n[[stage]]\ntable = \"options.greeks\"\nkind = \"native\"\nnative = \"densty\"\n\
                  primary_key = [\"asset\"]\ncolumns = \"asset utf8\"\n[stage.inputs]\n\"market.dvol\" = \"all\"\n";
    for text in [second, native] {
        for path in [OPTIONS, "pipelines/zz.toml"] {
            let mut bench = demo();
            let before = bench.project.text(path).unwrap_or_default().to_owned();
            bench.project.set_text(path, before.clone() + text);
            let error = bench.open().err().unwrap().to_string();
            let place = format!("{path}:{}", before.matches('\n').count() + 3);
            assert_eq!(
                error,
                format!(
                    "{place}: table `options.greeks` is already made by the stage at {}",
                    stage(OPTIONS, "options.greeks")
                )
            );
        }
    }
}

#[test]
fn a_loop_names_its_stages() {
    let mut bench = demo();
    edit_stage(
        &mut bench,
        OPTIONS,
        "options.surface_nodes",
        "\"options.slices\" = \"self\"",
        "\"options.density\" = \"self\"",
    );
    edit_stage(
        &mut bench,
        OPTIONS,
        "options.density",
        "\"options.slices\" = \"self\"",
        "\"options.surface_nodes\" = \"self\"",
    );
    let error = bench.open().err().unwrap().to_string();
    assert!(error.contains("need each other"), "{error}");
    assert!(
        error.contains("options.density -> options.surface_nodes")
            || error.contains("options.surface_nodes -> options.density"),
        "{error}"
    );
    for table in ["options.density", "options.surface_nodes"] {
        let place = format!("{}: `{table}`", stage(OPTIONS, table));
        assert!(error.contains(&place), "{place} is not in: {error}");
    }
}

#[test]
fn queries_that_do_not_fit_their_declaration() {
    let greeks = "sql/options/greeks.sql";
    check(vec![
        // Another table than is declared.
        (
            |b| {
                edit(
                    b,
                    "sql/options/greeks.sql",
                    "JOIN options.forwards f",
                    "JOIN options.density f",
                )
            },
            words(&[
                &line("sql/options/greeks.sql", "JOIN options.forwards f"),
                greeks,
                "`options.density`",
                "does not declare",
                &stage(OPTIONS, "options.greeks"),
            ]),
        ),
        // A declared one that is not read.
        (
            |b| {
                edit_stage(
                    b,
                    OPTIONS,
                    "options.greeks",
                    "\"options.forwards\" = \"self\"",
                    "\"options.forwards\" = \"self\"\n\"market.dvol\" = \"self\"",
                )
            },
            words(&[
                &stage(OPTIONS, "options.greeks"),
                "`market.dvol`",
                "does not read",
            ]),
        ),
        // A parameter that is not there.
        (
            |b| {
                edit(
                    b,
                    "sql/onchain/daily.sql",
                    "+ $stale_days +",
                    "+ $stale_dayz +",
                )
            },
            words(&[
                "onchain.daily",
                "`stale_dayz`",
                "`stale_days`",
                "pipelines/onchain.toml:",
            ]),
        ),
        // No query at all.
        (
            |b| {
                b.project
                    .set_text("sql/options/greeks.sql", "-- later\n;\n")
            },
            words(&[greeks]),
        ),
        (
            |b| edit(b, "sql/options/greeks.sql", "SELECT", "SELEKT"),
            words(&[greeks]),
        ),
        (
            |b| {
                b.project
                    .set_text("sql/options/greeks.sql", "DELETE FROM options.forwards")
            },
            words(&[greeks]),
        ),
        (
            |b| {
                edit_stage(
                    b,
                    OPTIONS,
                    "options.density",
                    "kind = \"native\"\nnative = \"density\"",
                    "kind = \"sql\"",
                );
            },
            words(&[
                &stage(OPTIONS, "options.density"),
                "there is no `sql/options/density.sql`",
            ]),
        ),
    ]);
}

/// What a query over rows would find out is found before the first of them, once, with its line.
#[test]
fn queries_that_cannot_give_the_declared_rows() {
    const DVOL: &str = "sql/market/dvol.sql";
    let contract = stage("pipelines/market.toml", "market.dvol");
    let at = |text: &str| line(DVOL, text);
    let cases: [(&str, &str, Vec<String>); 7] = [
        (
            "open, high",
            "opn AS open, high",
            words(&[&at("open, high"), "no column `opn`", "did you mean `open`?"]),
        ),
        (
            "open, high",
            "sqr(open) AS open, high",
            words(&[&at("open, high"), "no function `sqr`", "`sqrt`"]),
        ),
        (
            "open, high",
            "random() AS open, high",
            words(&[&at("open, high"), "`random`", "`$start`"]),
        ),
        (
            "open, high",
            "extract(year FROM now()) AS open, high",
            words(&[
                &at("open, high"),
                "`now`",
                "not a function of its arguments",
            ]),
        ),
        (
            "open, high",
            "'much' AS open, high",
            words(&[&at("open, high"), "`open` is Utf8", "f64", &contract]),
        ),
        (
            "open, high",
            "open AS opening, high",
            words(&[&at("open, high"), "missing [open]", "[opening]", &contract]),
        ),
        (
            "open, high",
            "avg(open) AS open, high",
            words(&[DVOL, "cannot be planned", "GROUP BY"]),
        ),
    ];
    for (old, new, words) in cases {
        let mut bench = demo();
        edit(&mut bench, DVOL, old, new);
        // Said by what plans and by what runs, and nothing is published.
        let opened = bench.open().unwrap();
        let selected = until("market.dvol");
        let plan = opened.plan(None, &selected, NOW).err().unwrap();
        let run = bench.run(&selected).err().unwrap();
        let every = opened.check_every_query().err().unwrap();
        assert_eq!(crate::common::version(&bench), 0);
        for error in [plan, run, every] {
            let text = format!("{error}\n{}", error.hint().unwrap_or_default());
            for word in &words {
                assert!(text.contains(word), "`{word}` is not in: {text}");
            }
        }
        // Who asks for something else is not held up by it.
        opened.plan(None, &until("sentiment"), NOW).unwrap();
    }
}

#[test]
fn a_query_that_nobody_asks_is_named() {
    let mut bench = demo();
    assert_eq!(bench.open().unwrap().assembly.idle_queries, []);
    bench.project.set_text("sql/market/dvl.sql", "SELECT 1");
    let meant = Some("sql/market/dvol.sql".to_owned());
    let idle = [("sql/market/dvl.sql".to_owned(), meant)];
    assert_eq!(bench.open().unwrap().assembly.idle_queries, idle);
}

#[test]
fn an_empty_query_has_no_place() {
    for text in ["", "\n\n", "-- to be written\n"] {
        let mut bench = demo();
        bench.project.set_text("sql/options/greeks.sql", text);
        let error = bench.open().err().unwrap().to_string();
        assert_eq!(
            error,
            "sql/options/greeks.sql: expected one SELECT or WITH query, found nothing but space and remarks"
        );
    }
}

#[test]
fn a_key_that_is_not_unique_fails_its_tasks_alone() {
    let mut bench = published();
    let path = "sql/options/forwards.sql";
    let text = bench.project.text(path).unwrap();
    let twice =
        format!("SELECT once.* FROM (\n{text}\n) once CROSS JOIN (VALUES (1), (2)) AS two(n)");
    bench.project.set_text(path, twice);
    let before = hashes(&bench);
    let run = go(&bench, &until("options.forwards"));
    let failure = &run.summary.failures[0];
    let hint = failure.hint.as_deref().unwrap_or_default();
    assert!(failure.message.contains("occurs twice"), "{failure:?}");
    for word in [
        "sql/options/forwards.sql",
        "`primary_key`",
        &stage(OPTIONS, "options.forwards"),
    ] {
        assert!(hint.contains(word), "`{word}` is not in: {hint}");
    }
    assert_eq!(hashes(&bench), before);
}

#[test]
fn settings_that_are_wrong() {
    check(vec![
        (
            |b| b.profile = "dmeo".to_owned(),
            words(&["`dmeo`", "archive, demo"]),
        ),
        (
            |b| b.set("params.stale_dayz", "3"),
            words(&["params.stale_dayz", "params.stale_days"]),
        ),
        (
            |b| b.set("calendar.end", "2026-13-01"),
            words(&["2026-13-01"]),
        ),
        (
            |b| edit(b, "configs/demo.toml", "[calendar]", "[calender]"),
            words(&["configs/demo.toml", "calender"]),
        ),
        (
            |b| {
                edit(
                    b,
                    "configs/demo.toml",
                    "feeds = \"dvol\"",
                    "feeds = \"dvool\"",
                )
            },
            words(&["deribit_dvol", "dvool"]),
        ),
        (
            |b| {
                edit(
                    b,
                    "configs/demo.toml",
                    "[sources.demo]\n",
                    "[sources.demo\n",
                )
            },
            words(&["configs/demo.toml"]),
        ),
    ]);
    // A source without its folder is found when documents are asked for.
    let bench = Bench::new("archive");
    let error = crate::common::try_go(&bench, &lakectl_pipeline::Selected::default())
        .err()
        .unwrap();
    let text = format!("{error}\n{}", error.hint().unwrap_or_default());
    assert!(text.contains("sources.archive.root"), "{text}");
    let mut bench = Bench::new("archive");
    bench.set("sources.archive.root", "/nowhere/at/all");
    let error = crate::common::try_go(&bench, &lakectl_pipeline::Selected::default())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("/nowhere/at/all"), "{error}");
}
