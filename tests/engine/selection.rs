//! Which tasks a selection names, and what is said of names that name nothing.

use lakectl_pipeline::Selected;
use lakectl_tests::NOW;

use crate::common::{
    assert_tasks, day, demo, go, hashes, published, select, tasks, try_go, until, version,
};

/// What the surface of one day needs: a slice may carry the shape of the day before.
fn surface(assets: &str, before: &str, date: &str) -> Vec<String> {
    let dates = format!("{{{before},{date}}}");
    tasks(&[
        &format!("{{raw,norm}}.demo_deribit_options date={dates}"),
        &format!("market.option_quotes asset={assets}/date={dates}"),
        &format!("options.{{forwards,greeks}} asset={assets}/date={dates}"),
        &format!("options.slices asset={assets}/date={date}"),
        // Futures are kept by the month, rates by the year.
        "{raw,norm}.demo_deribit_futures date={2026-01-01,2026-01-02,2026-01-03}",
        &format!("market.future_quotes asset={assets}/month=2026-01"),
        "{raw,norm}.demo_fred_rates month=MONTHS",
        "market.rates year=YEARS",
    ])
}

#[test]
fn one_asset_and_one_day_build_what_they_need() {
    let bench = demo();
    let one = Selected {
        until: Some("options.slices".to_owned()),
        from: Some(day("2026-01-02")),
        to: Some(day("2026-01-02")),
        asset: Some("BTC".to_owned()),
        ..Selected::default()
    };
    let run = go(&bench, &one);
    assert_tasks(&run.executed(), &surface("BTC", "2026-01-01", "2026-01-02"));
    assert_eq!(run.report.tasks.len(), 24);

    // The other asset: its documents are there already.
    let run = go(
        &bench,
        &Selected {
            asset: Some("ETH".to_owned()),
            ..one.clone()
        },
    );
    let expected: Vec<String> = surface("ETH", "2026-01-01", "2026-01-02")
        .into_iter()
        .filter(|task| task.contains("ETH"))
        .collect();
    assert_tasks(&run.executed(), &expected);
    assert_eq!(run.summary.tasks.reused, 16);

    // A month is selected by any of its days; what it looks back to is built whatever its date.
    let factors = Selected {
        until: Some("features.surface_factors".to_owned()),
        from: Some(day("2026-01-03")),
        asset: Some("BTC".to_owned()),
        ..Selected::default()
    };
    let run = go(&bench, &factors);
    let all = tasks(&[
        "{raw,norm}.demo_deribit_options date=DAYS",
        "market.option_quotes asset=BTC/date=DAYS",
        "{raw,norm}.demo_deribit_futures date=DAYS",
        "market.future_quotes asset=BTC/month=MONTHS",
        "options.{forwards,greeks,slices,surface_nodes} asset=BTC/date=DAYS",
        "options.density asset=BTC/date={2026-01-01,2026-01-02,2026-01-03}",
        "features.{surface_pca,surface_factors} asset=BTC/month=2026-01",
    ]);
    let rest: Vec<String> = all
        .into_iter()
        .filter(|task| !surface("BTC", "2026-01-01", "2026-01-02").contains(task))
        .collect();
    assert_tasks(&run.executed(), &rest);

    // Built in pieces, the lake is the one that was built at once.
    go(&bench, &Selected::default());
    assert_eq!(hashes(&bench), hashes(&published()));
}

#[test]
fn selectors_name_tables_schemas_tags_and_their_neighbours() {
    let bench = published();
    let opened = bench.open().unwrap();
    let lake = bench.lake();
    let selected = |selected: &Selected| -> Vec<String> {
        let plan = opened.plan(Some(&lake), selected, NOW).unwrap();
        let mut tables: Vec<String> = plan
            .tasks
            .iter()
            .filter(|task| task.selected)
            .map(|task| task.task.table.to_string())
            .collect();
        tables.sort();
        tables.dedup();
        tables
    };
    let needed = |goal: &str| {
        opened
            .plan(Some(&lake), &until(goal), NOW)
            .unwrap()
            .tasks
            .len()
    };
    let options = [
        "options.density",
        "options.exclusions",
        "options.expiry_density",
        "options.exposure",
        "options.exposure_profile",
        "options.forwards",
        "options.greeks",
        "options.hedge_ladder",
        "options.index_comparison",
        "options.max_pain",
        "options.skew_elasticity",
        "options.skew_fit",
        "options.skew_policy",
        "options.skew_quotes",
        "options.skew_report",
        "options.slices",
        "options.smile_models",
        "options.surface_nodes",
        "options.term_structure",
        "options.variance_index",
    ];
    assert_eq!(selected(&select(&["options.*"])), options);
    assert_eq!(selected(&until("options")), options);
    assert_eq!(selected(&select(&["options.slices"])), ["options.slices"]);
    assert_eq!(selected(&select(&["slices"])), ["options.slices"]);
    assert_eq!(selected(&until("slices")), ["options.slices"]);
    assert_eq!(
        selected(&select(&["options.greeks", "market_state"])),
        ["options.greeks", "signals.market_state"]
    );
    assert_eq!(
        selected(&select(&["tag:scores"])),
        ["backtest.forecast_scores"]
    );
    // A schema comes before a tag of the same name, a tag alone is taken.
    assert_eq!(selected(&until("features")).len(), 10);
    assert_eq!(selected(&select(&["tag:features"])).len(), 12);
    assert_eq!(selected(&until("research")), ["features.matrix"]);
    assert_eq!(
        selected(&select(&["+options.forwards"])),
        [
            "market.future_quotes",
            "market.option_quotes",
            "market.rates",
            "norm.demo_deribit_futures",
            "norm.demo_deribit_options",
            "norm.demo_fred_rates",
            "options.forwards",
            "raw.demo_deribit_futures",
            "raw.demo_deribit_options",
            "raw.demo_fred_rates"
        ]
    );
    assert_eq!(
        selected(&select(&["forecast.quantiles+"])),
        ["backtest.forecast_scores", "forecast.quantiles"]
    );
    // A quarantine table is made by the stage that normalises.
    assert_eq!(
        selected(&until("quarantine.demo_deribit_dvol")),
        ["norm.demo_deribit_dvol"]
    );
    // `--until` narrows `--select`.
    let both = Selected {
        until: Some("options.greeks".to_owned()),
        ..select(&["options.*"])
    };
    assert_eq!(selected(&both), ["options.forwards", "options.greeks"]);
    assert!(
        needed("options.greeks") < needed("features.matrix")
            && needed("features.matrix") < needed("backtest")
    );
}

#[test]
fn wrong_names_are_refused_with_the_nearest() {
    let bench = published();
    let with = |change: &dyn Fn(&mut Selected)| {
        let mut selected = Selected::default();
        change(&mut selected);
        match try_go(&bench, &selected) {
            Ok(_) => panic!("accepted: {selected:?}"),
            Err(error) => format!("{error}\n{}", error.hint().unwrap_or_default()),
        }
    };
    let text = |text: &str| text.to_owned();
    let list = |text: &str| vec![text.to_owned()];
    for (error, words) in [
        (
            with(&|s| s.until = Some(text("forcast"))),
            vec!["`forcast`", "did you mean", "`forecast`"],
        ),
        (
            with(&|s| s.until = Some(text("options.slice"))),
            vec!["`options.slice`", "`options.slices`"],
        ),
        (
            with(&|s| s.until = Some(text("daily"))),
            vec![
                "`daily` may be any of",
                "`onchain.daily`",
                "`sentiment.daily`",
            ],
        ),
        (
            with(&|s| s.select = list("tag:option")),
            vec!["`tag:option`", "`tag:options`"],
        ),
        (
            with(&|s| s.select = list("option.*")),
            vec!["`option.*`", "`options.*`"],
        ),
        (
            with(&|s| s.select = list("greks+")),
            vec!["`greks`", "`options.greeks`"],
        ),
        (
            with(&|s| s.asset = Some(text("BTX"))),
            vec!["asset", "`BTX`", "`BTC`"],
        ),
        (
            with(&|s| s.force = list("options.grek")),
            vec!["`options.grek`", "`options.greeks`"],
        ),
        (
            with(&|s| s.refresh = list("raw.demo_deribit_option")),
            vec!["`raw.demo_deribit_options`"],
        ),
        (
            with(&|s| s.refresh = list("options.greeks")),
            vec!["`options.greeks`", "harvested", "force"],
        ),
        (
            with(&|s| {
                s.until = Some(text("options.forwards"));
                s.select = list("features.*");
            }),
            vec!["nothing selected", "features.*", "options.forwards"],
        ),
    ] {
        for word in words {
            assert!(error.contains(word), "`{word}` is not in: {error}");
        }
    }
    assert_eq!(version(&bench), 1);
}

#[test]
fn a_refresh_fetches_again_and_stops_at_equal_documents() {
    let bench = published();
    let refresh = Selected {
        refresh: vec!["raw.demo_deribit_options".to_owned()],
        ..Selected::default()
    };
    let run = go(&bench, &refresh);
    assert_tasks(
        &run.executed(),
        &tasks(&["raw.demo_deribit_options date=DAYS"]),
    );
    assert_eq!(run.changed(), [""; 0]);
    assert_eq!(
        run.reasons("raw.demo_deribit_options")
            .into_iter()
            .collect::<Vec<_>>(),
        ["refresh"]
    );
    assert_eq!(version(&bench), 1);
    // One day of it.
    let one = Selected {
        from: Some(day("2025-12-31")),
        to: Some(day("2025-12-31")),
        until: Some("raw.demo_deribit_options".to_owned()),
        ..refresh
    };
    let run = go(&bench, &one);
    assert_tasks(
        &run.executed(),
        &tasks(&["raw.demo_deribit_options date=2025-12-31"]),
    );
}

#[test]
fn days_beyond_the_documents_are_empty_and_days_beyond_the_calendar_refused() {
    let mut bench = published();
    let selected = Selected {
        from: Some(day("2026-01-04")),
        to: Some(day("2026-01-05")),
        until: Some("options.slices".to_owned()),
        ..Selected::default()
    };
    // The rows of a partition may not depend on what was asked for, so `--to` moves no end.
    let error = try_go(&bench, &selected).err().unwrap();
    assert!(error.to_string().contains("2026-01-05"), "{error}");
    assert!(error.hint().unwrap().contains("calendar.end"), "{error}");

    bench.set("calendar.end", "2026-01-05");
    let run = go(&bench, &selected);
    let expected = tasks(&[
        "market.option_quotes asset=ASSETS/date={2026-01-04,2026-01-05}",
        "options.{forwards,greeks,slices} asset=ASSETS/date={2026-01-04,2026-01-05}",
    ]);
    let longer = tasks(&[
        "market.future_quotes asset=ASSETS/month=2026-01",
        "market.rates year=2026",
    ]);
    assert_tasks(&run.executed(), &[&expected[..], &longer[..]].concat());
    assert!(
        run.report
            .tasks
            .iter()
            .filter(|task| expected.contains(&task.task.to_string()))
            .all(|task| task.rows == 0)
    );
    let head = bench.lake().head().unwrap();
    let table = "options.slices".parse().unwrap();
    let cell = head
        .cell(&table, &"asset=BTC/date=2026-01-05".parse().unwrap())
        .unwrap();
    assert_eq!((cell.rows, &cell.file), (0, &None));
    assert!(
        head.cell(&table, &"asset=BTC/date=2026-01-06".parse().unwrap())
            .is_none()
    );

    // A range in which there is nothing.
    let nothing = Selected {
        from: Some(day("2026-01-05")),
        to: Some(day("2026-01-04")),
        ..Selected::default()
    };
    assert!(
        try_go(&bench, &nothing)
            .err()
            .unwrap()
            .to_string()
            .contains("no partition")
    );
}
