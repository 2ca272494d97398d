use super::*;

fn build(toml: &str) -> Result<Pipeline, GraphError> {
    Pipeline::build(stages(toml), BTreeMap::new())
}

#[test]
fn stages_stand_after_what_they_read() {
    let pipeline = build(&chain()).unwrap();
    let place = |name: &str| {
        let stages = pipeline.stages().iter();
        stages.map(|s| s.table.as_str()).position(|t| t == name)
    };
    assert!(place("a.daily") < place("a.smooth"));
    assert!(place("a.yearly") < place("b.report"));
}

#[test]
fn a_loop_is_named() {
    let text = [
        stage("a.x", "sql", "none", "", "\"a.z\" = \"all\""),
        stage("a.y", "sql", "none", "", "\"a.x\" = \"all\""),
        stage(
            "a.z",
            "sql",
            "none",
            "",
            "\"a.y\" = \"all\"\n\"a.w\" = \"all\"",
        ),
        stage("a.w", "sql", "none", "", ""),
    ];
    let error = build(&text.concat()).unwrap_err().to_string();
    for table in ["a.x", "a.y", "a.z", " -> ", "test.toml:2: `a.x`"] {
        assert!(error.contains(table), "{error}");
    }
    assert!(!error.contains("a.w"), "{error}");
    let itself = build(&stage("a.x", "sql", "none", "", "\"a.x\" = \"all\"")).unwrap_err();
    assert_eq!(
        itself.to_string(),
        "stages need each other: a.x -> a.x\n  test.toml:2: `a.x`\n  \
         hint: take one of these inputs away, or read what stands before the loop"
    );
}

#[test]
fn two_writers_unknown_inputs_and_windows_without_time_are_refused() {
    let twice = [
        stage("a.x", "sql", "none", "", ""),
        stage("a.x", "sql", "none", "", ""),
    ];
    let error = build(&twice.concat()).unwrap_err().to_string();
    assert!(
        error.contains("already made by the stage at test.toml:2"),
        "{error}"
    );

    let typo = [
        stage("a.daily", "sql", "day", "asset", ""),
        stage("a.x", "sql", "none", "", "\"a.dayly\" = \"all\""),
    ];
    let error = build(&typo.concat()).unwrap_err().to_string();
    assert!(error.contains("did you mean `a.daily`?"), "{error}");

    let timeless = stage("a.static", "sql", "none", "", "").replace("time_column = \"t\"\n", "");
    for (window, good) in [
        ("\"self\"", true),
        ("\"all\"", true),
        ("\"all_before\"", false),
        ("{ lookback = \"2d\" }", false),
    ] {
        let reader = stage(
            "a.x",
            "sql",
            "day",
            "asset",
            &format!("\"a.static\" = {window}"),
        );
        let result = build(&[timeless.clone(), reader].concat());
        assert_eq!(result.is_ok(), good, "{window}: {result:?}");
    }
}

#[test]
fn unions_stand_for_their_members() {
    let text = [
        stage("norm.a", "sql", "day", "asset", ""),
        stage("norm.b", "sql", "none", "", ""),
        stage(
            "m.x",
            "sql",
            "day",
            "asset",
            "\"norm.feed\" = \"self\"\n\"norm.none\" = \"self\"",
        ),
    ];
    let members = vec![table("norm.b"), table("norm.a")];
    let unions = BTreeMap::from([
        (table("norm.feed"), members),
        (table("norm.none"), Vec::new()),
    ]);
    let pipeline = Pipeline::build(stages(&text.concat()), unions.clone()).unwrap();
    let reader = pipeline.stages().len() - 1;
    let inputs = pipeline.inputs(reader);
    let names: Vec<&str> = inputs[0]
        .tables
        .iter()
        .map(|t| pipeline.tables()[*t].0.as_str())
        .collect();
    assert_eq!(names, ["norm.a", "norm.b"]);
    assert!(inputs[1].tables.is_empty());
    let named = |found: BTreeSet<usize>| -> Vec<String> {
        let stages = found.into_iter().map(|stage| &pipeline.stages()[stage]);
        let mut names: Vec<String> = stages.map(|stage| stage.table.to_string()).collect();
        names.sort();
        names
    };
    let select = |name: &str| pipeline.select(&[name.to_owned()]);
    assert_eq!(named(select("norm.feed").unwrap()), ["norm.a", "norm.b"]);
    assert_eq!(
        named(pipeline.until("norm.feed").unwrap()),
        ["norm.a", "norm.b"]
    );
    let reader = named(select("norm.feed+").unwrap());
    assert_eq!(reader, ["m.x", "norm.a", "norm.b"]);
    assert!(select("norm.none").is_err());
    let near = select("norm.fed").unwrap_err().to_string();
    assert!(near.contains("`norm.feed`"), "{near}");

    let stray = BTreeMap::from([(table("norm.feed"), vec![table("norm.c")])]);
    let error = Pipeline::build(stages(&text[..2].concat()), stray).unwrap_err();
    assert!(matches!(error, GraphError::UnknownInput { .. }));
}

#[test]
fn the_graph_is_drawn() {
    let pipeline = build(&chain()).unwrap();
    let dot = render_dot(&pipeline);
    assert!(dot.contains("\"a.daily\" -> \"a.smooth\";") && dot.starts_with("digraph"));
    assert!(render_mermaid(&pipeline).starts_with("flowchart LR\n  s0[\"raw.ticks\"]\n"));
    assert!(
        render_text(&pipeline)
            .contains("a.smooth (sql, by asset, date)\n  <- a.daily (lookback 2d)\n")
    );
    let json: serde_json::Value = serde_json::from_str(&render_json(&pipeline)).unwrap();
    assert_eq!(json["stages"].as_array().unwrap().len(), 6);
}

#[test]
fn selectors_and_goals() {
    let text = [
        chain(),
        stage("c.daily", "sql", "none", "", "")
            .replace("[stage.inputs]", "tags = [\"t1\"]\n[stage.inputs]"),
    ];
    let pipeline = build(&text.concat()).unwrap();
    let names = |found: BTreeSet<usize>| {
        let mut names: Vec<&str> = found
            .iter()
            .map(|i| pipeline.stages()[*i].table.as_str())
            .collect();
        names.sort_unstable();
        names.join(" ")
    };
    for (selector, expected) in [
        ("a.daily", "a.daily"),
        ("smooth", "a.smooth"),
        ("a.*", "a.daily a.smooth a.yearly"),
        ("tag:t1", "c.daily"),
        ("+a.daily", "a.daily norm.ticks raw.ticks"),
        ("a.smooth+", "a.smooth a.yearly b.report"),
        (
            "+a.daily+",
            "a.daily a.smooth a.yearly b.report norm.ticks raw.ticks",
        ),
    ] {
        assert_eq!(
            names(pipeline.select(&[selector.to_owned()]).unwrap()),
            expected
        );
    }
    for (goal, expected) in [
        ("a.smooth", "a.smooth"),
        ("a", "a.daily a.smooth a.yearly"),
        ("t1", "c.daily"),
        ("report", "b.report"),
    ] {
        assert_eq!(names(pipeline.until(goal).unwrap()), expected);
    }
    let error = pipeline.until("daily").unwrap_err().to_string();
    assert!(error.contains("`a.daily`, `c.daily`"), "{error}");
    let error = pipeline.until("a.smoth").unwrap_err().to_string();
    assert!(error.contains("did you mean `a.smooth`"), "{error}");
    let error = pipeline
        .select(&["tag:t2".to_owned()])
        .unwrap_err()
        .to_string();
    assert!(error.contains("`tag:t1`"), "{error}");
}
