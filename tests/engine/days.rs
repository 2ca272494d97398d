//! A day more: new partitions, the month and the year that the day is in, and nothing else.

use lakectl_pipeline::Selected;
use lakectl_tests::Bench;

use crate::common::{END, assert_tasks, demo, go, hashes, published, tasks};

const NEXT: &str = "2026-01-04";

fn grow(bench: &mut Bench) {
    bench.set("sources.demo.market.end", NEXT);
    bench.set("calendar.end", NEXT);
}

#[test]
fn a_new_day_runs_its_partitions_and_those_that_hold_it() {
    let mut bench = published();
    grow(&mut bench);
    let run = go(&bench, &Selected::default());
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    let expected = tasks(&[
        &format!(
            "{{raw,norm}}.demo_{{deribit_options,deribit_futures,deribit_trades}} date={NEXT}"
        ),
        "{raw,norm}.demo_{santiment_metrics,glassnode_metrics,fred_rates,deribit_funding,deribit_dvol,\
         defillama_stablecoins,coinmetrics_assets,coinbase_candles,alternative_fear_greed} month=2026-01",
        &format!("market.option_quotes asset=ASSETS/date={NEXT}"),
        &format!(
            "options.{{forwards,greeks,slices,smile_models,surface_nodes,term_structure,density,expiry_density}} asset=ASSETS/date={NEXT}"
        ),
        &format!("options.{{exclusions,skew_report,skew_quotes}} asset=ASSETS/date={NEXT}"),
        // The month's page of bars is another document now, which days that look back into it see.
        &format!("options.skew_fit asset=ASSETS/date={{2026-01-02,2026-01-03,{NEXT}}}"),
        "options.skew_policy asset=ASSETS/month=2026-01",
        &format!(
            "options.{{variance_index,exposure,exposure_profile,hedge_ladder,max_pain}} asset=ASSETS/date={NEXT}"
        ),
        // The day before looked at the whole month of trades, of which there is more now: its window is a cut from it.
        "options.{exposure,exposure_profile,hedge_ladder} asset=ASSETS/date=2026-01-03",
        "options.skew_elasticity asset=ASSETS/month=2026-01",
        "options.index_comparison asset=ASSETS/year=2026",
        "market.{future_quotes,option_trades} asset=ASSETS/month=2026-01",
        "market.{spot_bars,dvol,funding} asset=ASSETS/year=2026",
        "{market.rates,onchain.global_metrics,sentiment.daily} year=2026",
        "onchain.{metrics,daily,indices} asset=ASSETS/year=2026",
        "features.{surface_pca,surface_factors} asset=ASSETS/month=2026-01",
        "features.{mdia,whales,mvrv,sentiment,flows,onchain_signals,divergence,matrix} asset=ASSETS/year=2026",
        "signals.market_state asset=ASSETS/year=2026",
        "models.{regime,quantile} asset=ASSETS/month=2026-01",
        "forecast.{regimes,quantiles} asset=ASSETS/month=2026-01",
        // A score looks up what came after its forecast: December's look at all prices.
        "backtest.forecast_scores asset=ASSETS/month=MONTHS",
    ]);
    assert_tasks(&run.executed(), &expected);
    let days = run.reasons("features.matrix");
    assert!(
        days.iter()
            .all(|reason| reason
                .contains("days 2026-01-01 to 2026-01-03 -> 2026-01-01 to 2026-01-04")),
        "{days:?}"
    );

    // The rows are those of a lake that had the day from the beginning; only its raw pages remember less.
    let mut fresh = demo();
    grow(&mut fresh);
    go(&fresh, &Selected::default());
    let derived = |bench: &Bench| {
        let mut hashes = hashes(bench);
        hashes.retain(|task, _| {
            !["raw.", "norm.", "quarantine."]
                .iter()
                .any(|schema| task.starts_with(schema))
        });
        hashes
    };
    let (then, now) = (derived(&bench), derived(&fresh));
    let differ: Vec<&String> = then
        .keys()
        .filter(|task| now.get(*task) != then.get(*task))
        .collect();
    assert!(differ.is_empty() && then.len() == now.len(), "{differ:#?}");
}

#[test]
fn an_earlier_end_keeps_what_is_there() {
    let mut bench = published();
    let before = hashes(&bench);
    // The last planned day is the profile's; an earlier `--to` only selects.
    let selected = Selected {
        to: Some(crate::common::day("2026-01-01")),
        ..Selected::default()
    };
    let run = go(&bench, &selected);
    assert_eq!(run.executed(), [""; 0]);
    // With an earlier end of the calendar the months and years end earlier, and later days are not touched.
    bench.set("calendar.end", "2026-01-02");
    let run = go(&bench, &Selected::default());
    assert!(
        run.executed().iter().all(|task| !task.contains(END)),
        "{:?}",
        run.executed()
    );
    let after = hashes(&bench);
    assert_eq!(after.len(), before.len());
    assert!(
        before
            .iter()
            .filter(|(task, _)| task.contains("date="))
            .all(|(task, hash)| after.get(task) == Some(hash))
    );
    // And back again: everything is remembered.
    bench.set("calendar.end", END);
    let run = go(&bench, &Selected::default());
    assert_eq!(run.executed(), [""; 0]);
    assert_eq!(hashes(&bench), before);
}

#[test]
fn a_calendar_that_ends_before_it_begins_is_refused() {
    let mut bench = published();
    bench.set("calendar.end", "2025-11-30");
    let error = crate::common::try_go(&bench, &Selected::default())
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("holds no partition") && error.hint().is_some(),
        "{error}"
    );
    assert_eq!(crate::common::version(&bench), 1);
}
