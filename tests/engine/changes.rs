//! What a change of a query, a parameter or a declaration runs again, and where that stops.

use lakectl_pipeline::{DiffRequest, Project, Selected, diff};
use lakectl_tests::Bench;

use crate::common::{assert_tasks, edit, edit_stage, go, hashes, published, tasks, until, version};

const OPTIONS: &str = "pipelines/options.toml";

struct Case {
    what: &'static str,
    change: fn(&mut Bench),
    /// The tasks that run.
    ran: &'static [&'static str],
    /// A table, and words of the reason why its tasks ran.
    why: (&'static str, &'static str),
}

/// Changes after which the changed stage gives the rows it gave before.
const HARMLESS: [Case; 12] = [
    Case {
        what: "a comment, spacing and the case of keywords",
        change: |bench| {
            let path = "sql/options/greeks.sql";
            edit(
                bench,
                path,
                "WITH quotes AS (",
                "-- Another remark.\nwith   quotes\nas ( /* and one */",
            );
            edit(
                bench,
                "sql/market/option_quotes.sql",
                "WHERE asset = $asset AND",
                "where asset=$asset and -- x\n",
            );
        },
        ran: &[],
        why: ("", ""),
    },
    Case {
        what: "comments, spacing, description, tags and retries of declarations",
        change: |bench| {
            edit(bench, OPTIONS, "[[stage]]", "# A remark.\n\n[[stage]]");
            edit_stage(
                bench,
                OPTIONS,
                "options.density",
                "tags = [\"options\"]",
                "tags = [\"night\"]\nretries = 3",
            );
            edit_stage(
                bench,
                OPTIONS,
                "options.density",
                "description = \"Risk",
                "description = \"The risk",
            );
            edit_stage(
                bench,
                OPTIONS,
                "options.density",
                "left_tail f64?, right_tail",
                "left_tail  f64?,\nright_tail",
            );
        },
        ran: &[],
        why: ("", ""),
    },
    Case {
        what: "a condition that is always true",
        change: |bench| {
            edit(
                bench,
                "sql/market/option_quotes.sql",
                "WHERE",
                "WHERE true AND",
            )
        },
        ran: &["market.option_quotes asset=ASSETS/date=DAYS"],
        why: ("market.option_quotes", "sql changed at line 8"),
    },
    Case {
        what: "an expression of the same value",
        change: |bench| {
            edit(
                bench,
                "sql/options/forwards.sql",
                "expiry_years, forward, forward_parity",
                "expiry_years, forward * 1.0 AS forward, forward_parity",
            )
        },
        ran: &["options.forwards asset=ASSETS/date=DAYS"],
        why: ("options.forwards", "sql changed at line 85"),
    },
    Case {
        what: "a query of a stage with coarse partitions",
        change: |bench| edit(bench, "sql/onchain/metrics.sql", "WHERE", "WHERE 1 = 1 AND"),
        ran: &["onchain.metrics asset=ASSETS/year=YEARS"],
        why: ("onchain.metrics", "sql changed at line 10"),
    },
    Case {
        what: "a parameter that one query uses",
        change: |bench| bench.set("params.hysteresis_band", "0.5"),
        ran: &["features.divergence asset=ASSETS/year=YEARS"],
        why: (
            "features.divergence",
            "parameter hysteresis_band 0.25 -> 0.5",
        ),
    },
    Case {
        what: "a parameter of a native stage",
        change: |bench| bench.set("params.training_window_days", "890"),
        ran: &["models.quantile asset=ASSETS/month=MONTHS"],
        why: (
            "models.quantile",
            "parameter training_window_days 900 -> 890",
        ),
    },
    Case {
        what: "a raised version",
        change: |bench| {
            edit_stage(
                bench,
                OPTIONS,
                "options.density",
                "description",
                "version = 2\ndescription",
            )
        },
        ran: &["options.density asset=ASSETS/date=DAYS"],
        why: ("options.density", "stage version 1 -> 2"),
    },
    Case {
        what: "other values in a column that its readers do not use",
        change: |bench| {
            edit(
                bench,
                "sql/options/forwards.sql",
                "10000 * parity_gap AS basis_bps",
                "20000 * parity_gap AS basis_bps",
            )
        },
        ran: &[
            "options.{forwards,greeks} asset=ASSETS/date=DAYS",
            "features.matrix asset=ASSETS/year=YEARS",
        ],
        why: (
            "options.greeks",
            "input options.forwards asset=BTC/date=2025-12-30: ",
        ),
    },
    Case {
        // Its table stays as it was published. Rows that nobody takes would be quarantined, so they are looked at again.
        what: "a stage that is taken out",
        change: |bench| {
            let path = "pipelines/market.toml";
            let text = bench.project.text(path).unwrap();
            let start = text.find("[[stage]]\ntable = \"market.rates\"").unwrap();
            let end = text[start + 1..]
                .find("[[stage]]")
                .map_or(text.len(), |length| start + 1 + length);
            let text = format!("{}{}", &text[..start], &text[end..]);
            bench.project.set_text(path, text);
            // Its one reader makes do with nulls, which is what it is given anyway while nothing is discounted.
            edit_stage(
                bench,
                OPTIONS,
                "options.forwards",
                "\"market.rates\" = { lookback = \"10d\", until = \"start\" }\n",
                "",
            );
            let path = "sql/options/forwards.sql";
            let text = bench.project.text(path).unwrap();
            let start = text.find("LEFT JOIN market.rates").unwrap();
            let end = start + text[start..].find("QUALIFY").unwrap();
            let nothing = "CROSS JOIN (SELECT CAST(NULL AS DOUBLE) AS value, 0 AS event_time, '' AS venue) r ";
            let text = format!("{}{nothing}{}", &text[..start], &text[end..]);
            bench.project.set_text(path, text);
        },
        ran: &[
            "norm.demo_fred_rates month=MONTHS",
            "options.forwards asset=ASSETS/date=DAYS",
        ],
        why: ("norm.demo_fred_rates", "coverage of its readers "),
    },
    Case {
        what: "a unit's place in the settings of another source",
        change: |bench| {
            edit(
                bench,
                "configs/archive.toml",
                "lag = \"10m\"",
                "lag = \"11m\"",
            )
        },
        ran: &[],
        why: ("", ""),
    },
    Case {
        // The readers see another contract and so other rows; what they compute is the same. The last case, because a
        // column that readers have may not go without a new version.
        what: "a column more",
        change: |bench| {
            edit_stage(
                bench,
                OPTIONS,
                "options.forwards",
                "forward_source utf8",
                "forward_source utf8, one i64?",
            );
            edit(
                bench,
                "sql/options/forwards.sql",
                "forward_source, forward_reason, forward_venue",
                "forward_source, 1 AS one, forward_reason, forward_venue",
            );
        },
        ran: &[
            "options.{forwards,greeks} asset=ASSETS/date=DAYS",
            "features.matrix asset=ASSETS/year=YEARS",
        ],
        why: ("options.forwards", "contract: column `one` added"),
    },
];

#[test]
fn a_change_without_effect_stops_where_rows_are_equal() {
    let mut bench = published();
    let overrides = bench.overrides.clone();
    let mut before: Vec<String> = Vec::new();
    for case in &HARMLESS {
        (bench.project, bench.overrides) = (Project::built_in(), overrides.clone());
        (case.change)(&mut bench);
        let run = go(&bench, &Selected::default());
        eprintln!("{}", case.what);
        assert!(run.summary.is_success(), "{:?}", run.summary.failures);
        assert_tasks(&run.executed(), &tasks(case.ran));
        if !case.ran.is_empty() {
            let (table, words) = case.why;
            let reasons = run.reasons(table);
            assert!(
                reasons.iter().any(|reason| reason.contains(words)),
                "{reasons:?}"
            );
        }
        // What the case before had changed is as it was, from what is remembered.
        before.retain(|task| !run.executed().contains(task));
        assert_tasks(&run.restored(), &before);
        before = run.executed();
        assert_eq!(
            bench.sql("SELECT * FROM market.rates").rows(),
            18,
            "{}",
            case.what
        );
    }
}

/// Everything that looks at a surface. No matrix row of December is known before December began, so that month's models
/// read nothing that could change.
const AFTER_GREEKS: [&str; 11] = [
    "options.{exclusions,skew_fit,skew_report,skew_quotes} asset=ASSETS/date=DAYS",
    "options.{slices,smile_models,surface_nodes,term_structure,density,expiry_density} asset=ASSETS/date=DAYS",
    "options.{variance_index,exposure,exposure_profile,hedge_ladder,max_pain} asset=ASSETS/date=DAYS",
    "options.skew_elasticity asset=ASSETS/month=MONTHS",
    "options.index_comparison asset=ASSETS/year=YEARS",
    "features.{surface_pca,surface_factors} asset=ASSETS/month=MONTHS",
    "features.{divergence,matrix} asset=ASSETS/year=YEARS",
    "models.{regime,quantile} asset=ASSETS/month=2026-01",
    "forecast.{regimes,quantiles} asset=ASSETS/month=MONTHS",
    "backtest.forecast_scores asset=ASSETS/month=MONTHS",
    "options.greeks asset=ASSETS/date=DAYS",
];

#[test]
fn other_values_run_the_readers_and_a_reverted_change_runs_nothing() {
    let mut bench = published();
    let (before, shipped) = (hashes(&bench), bench.project.clone());
    let path = "sql/options/greeks.sql";
    // A volatility point more in every quote.
    edit(
        &mut bench,
        path,
        "coalesce(venue_iv,",
        "0.01 + coalesce(venue_iv,",
    );
    let run = go(&bench, &Selected::default());
    let expected = tasks(&AFTER_GREEKS);
    assert_tasks(&run.executed(), &expected);
    let moved = tasks(&[
        "options.{greeks,slices,smile_models,surface_nodes,term_structure,density,expiry_density,variance_index,exposure} asset=ASSETS/date=DAYS",
        "features.surface_factors asset=ASSETS/month=MONTHS",
        "features.matrix asset=ASSETS/year=YEARS",
    ]);
    let changed = run.changed();
    assert!(
        moved.iter().all(|task| changed.contains(task)),
        "{changed:#?}"
    );
    assert!(
        run.reasons("options.slices")
            .iter()
            .all(|reason| reason.starts_with("input options.greeks asset="))
    );
    assert_eq!(version(&bench), 2);
    assert_ne!(hashes(&bench), before);

    bench.project = shipped;
    let run = go(&bench, &Selected::default());
    assert_eq!(run.executed(), [""; 0]);
    assert_tasks(&run.restored(), &expected);
    assert_eq!(run.summary.tasks.restored, expected.len());
    assert_eq!(hashes(&bench), before);
    assert_eq!(version(&bench), 3);
}

#[test]
fn a_parameter_that_changes_values_runs_all_that_reads_them() {
    let mut bench = published();
    // Values are known on the day after their own at the earliest, so that all of them are stale.
    bench.set("params.stale_days", "0");
    let run = go(&bench, &Selected::default());
    let expected = tasks(&[
        "onchain.{daily,indices} asset=ASSETS/year=YEARS",
        "features.{mdia,whales,mvrv,sentiment,flows,onchain_signals} asset=ASSETS/year=YEARS",
        "signals.market_state asset=ASSETS/year=YEARS",
        "features.{divergence,matrix} asset=ASSETS/year=YEARS",
        "models.{regime,quantile} asset=ASSETS/month=2026-01",
        "forecast.{regimes,quantiles} asset=ASSETS/month=MONTHS",
        "backtest.forecast_scores asset=ASSETS/month=MONTHS",
    ]);
    assert_tasks(&run.executed(), &expected);
    let reasons = run.reasons("onchain.daily");
    assert_eq!(
        reasons.into_iter().collect::<Vec<_>>(),
        ["parameter stale_days 5 -> 0"]
    );
    let told = run
        .summary
        .stages
        .iter()
        .find(|stage| stage.table == "onchain.daily")
        .unwrap();
    assert_eq!(told.reason.as_deref(), Some("parameter stale_days 5 -> 0"));

    // The plan of the way back says that nothing has to be computed.
    let position = bench
        .overrides
        .iter()
        .position(|text| text.starts_with("params.stale_days"))
        .unwrap();
    bench.overrides.remove(position);
    let run = go(&bench, &Selected::default());
    assert_eq!(run.executed(), [""; 0]);
    assert_tasks(&run.restored(), &expected);
}

#[test]
fn what_has_no_place_any_more_is_dropped_aloud() {
    let mut bench = published();
    bench.set("coverage.options.asset", "[\"BTC\"]");
    let goal = until("options.slices");
    let run = go(&bench, &goal);
    let gone = tasks(&["options.{forwards,greeks,slices} asset=ETH/date=DAYS"]);
    let planned: Vec<String> = run.plan.abandoned.iter().map(ToString::to_string).collect();
    for list in [&planned, &run.summary.dropped] {
        for task in &gone {
            assert!(list.contains(task), "{task} is not in {list:?}");
        }
        assert!(
            list.iter().all(|task| task.contains("asset=ETH/")),
            "{list:?}"
        );
    }
    assert_eq!(planned, run.summary.dropped);
    assert!(gone.iter().all(|task| !hashes(&bench).contains_key(task)));
    assert_eq!(go(&bench, &goal).summary.dropped, [""; 0]);
}

/// Days that become months are other partitions of the same rows.
#[test]
fn a_table_that_is_cut_otherwise_has_the_same_rows() {
    let mut bench = published();
    let before = bench.lake().head().unwrap();
    edit_stage(
        &mut bench,
        "pipelines/options.toml",
        "options.density",
        "grain = \"day\"",
        "grain = \"month\"\nversion = 2",
    );
    let run = go(&bench, &until("options.density"));
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    let (lake, after) = (bench.lake(), bench.lake().head().unwrap());
    let request = DiffRequest {
        table: Some("options.density".parse().unwrap()),
        examples: 3,
    };
    let found = diff(&lake, &before, &after, &request).unwrap();
    let [table] = found.tables.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((table.removed, table.added), (2 * 5, 2 * 2));
    assert_eq!(
        (table.rows_removed, table.rows_added, table.rows_changed),
        (0, 0, 0)
    );
    assert_eq!(table.examples, []);
}
