//! The first run does everything once, the second one nothing.

use lakectl_pipeline::Selected;
use lakectl_pipeline::engine::Verdict;
use lakectl_tests::NOW;

use crate::common::{assert_tasks, demo, go, hashes, published, tasks, version};

/// Datasets whose documents are a month's pages.
const MONTHLY: &str = "{santiment_metrics,glassnode_metrics,fred_rates,deribit_funding,deribit_dvol,\
                       defillama_stablecoins,coinmetrics_assets,coinbase_candles,alternative_fear_greed}";

fn everything() -> Vec<String> {
    tasks(&[
        "{raw,norm}.demo_{deribit_options,deribit_futures,deribit_trades} date=DAYS",
        &format!("{{raw,norm}}.demo_{MONTHLY} month=MONTHS"),
        "market.option_quotes asset=ASSETS/date=DAYS",
        "market.{future_quotes,option_trades} asset=ASSETS/month=MONTHS",
        "market.{spot_bars,dvol,funding} asset=ASSETS/year=YEARS",
        "market.rates year=YEARS",
        "{onchain.global_metrics,sentiment.daily} year=YEARS",
        "onchain.{metrics,daily,indices} asset=ASSETS/year=YEARS",
        "options.{forwards,greeks,slices,smile_models,surface_nodes,term_structure,density,expiry_density} asset=ASSETS/date=DAYS",
        "options.{exclusions,skew_fit,skew_report,skew_quotes} asset=ASSETS/date=DAYS",
        "options.skew_policy asset=ASSETS/month=MONTHS",
        "options.{variance_index,exposure,exposure_profile,hedge_ladder,max_pain} asset=ASSETS/date=DAYS",
        "options.skew_elasticity asset=ASSETS/month=MONTHS",
        "options.index_comparison asset=ASSETS/year=YEARS",
        "features.{surface_pca,surface_factors} asset=ASSETS/month=MONTHS",
        "features.{mdia,whales,mvrv,sentiment,flows,onchain_signals,divergence,matrix} asset=ASSETS/year=YEARS",
        "signals.market_state asset=ASSETS/year=YEARS",
        "models.{regime,quantile} asset=ASSETS/month=MONTHS",
        "forecast.{regimes,quantiles} asset=ASSETS/month=MONTHS",
        "backtest.forecast_scores asset=ASSETS/month=MONTHS",
    ])
}

#[test]
fn the_first_run_does_every_task_once_and_the_second_none() {
    let bench = demo();
    let first = go(&bench, &Selected::default());
    assert!(first.summary.is_success(), "{:?}", first.summary.failures);
    assert_tasks(&first.executed(), &everything());
    assert_eq!(first.summary.version, 1);
    assert_eq!(
        first
            .reasons("options.greeks")
            .into_iter()
            .collect::<Vec<_>>(),
        ["never run"]
    );
    let hashes_then = hashes(&bench);

    let second = go(&bench, &Selected::default());
    assert_eq!(second.executed(), [""; 0]);
    assert_eq!(second.summary.tasks.reused, first.summary.tasks.ran);
    assert_eq!((second.summary.version, version(&bench)), (1, 1));
    assert_eq!(hashes(&bench), hashes_then);
    assert!(
        second
            .summary
            .stages
            .iter()
            .all(|stage| stage.reason.is_none() && stage.ran == 0)
    );
}

#[test]
fn a_plan_of_a_published_lake_reuses_all_and_writes_nothing() {
    let bench = published();
    let lake = bench.lake();
    let files = crate::common::files_below(&bench.lake_root());
    let plan = bench
        .open()
        .unwrap()
        .plan(Some(&lake), &Selected::default(), NOW)
        .unwrap();
    assert!(plan.tasks.iter().all(|task| task.verdict == Verdict::Reuse));
    assert_eq!(plan.tasks.len(), everything().len());
    assert!(crate::common::files_below(&bench.lake_root()) == files);

    // Without a lake everything would have to run.
    let plan = bench
        .open()
        .unwrap()
        .plan(None, &Selected::default(), NOW)
        .unwrap();
    let totals = plan.totals();
    assert_eq!(
        (totals.total, totals.ran),
        (everything().len(), everything().len())
    );
}

#[test]
fn a_goal_first_and_the_rest_later_is_the_same_as_all_at_once() {
    let bench = demo();
    let forecast = go(&bench, &crate::common::until("forecast"));
    // Scores look at forecasts; no forecast looks at what was left out, at other models, or at dealers.
    let others = tasks(&[
        "{raw,norm}.demo_deribit_trades date=DAYS",
        "market.option_trades asset=ASSETS/month=MONTHS",
        "backtest.forecast_scores asset=ASSETS/month=MONTHS",
        "options.{exclusions,skew_fit,skew_report,skew_quotes} asset=ASSETS/date=DAYS",
        "options.skew_policy asset=ASSETS/month=MONTHS",
        "options.{smile_models,term_structure,expiry_density} asset=ASSETS/date=DAYS",
        "options.{variance_index,exposure,exposure_profile,hedge_ladder,max_pain} asset=ASSETS/date=DAYS",
        "options.skew_elasticity asset=ASSETS/month=MONTHS",
        "options.index_comparison asset=ASSETS/year=YEARS",
    ]);
    let needed: Vec<String> = everything()
        .into_iter()
        .filter(|task| !others.contains(task))
        .collect();
    assert_tasks(&forecast.executed(), &needed);
    let rest = go(&bench, &Selected::default());
    assert_tasks(&rest.executed(), &others);
    assert_eq!(rest.summary.version, 2);
    assert_eq!(hashes(&bench), hashes(&published()));
}
