use crate::chain::{METRICS, Stated, base, days, lab, norm, surfaces, world};
use crate::lab::{DAY, HOUR, Lab, Value, day, number, text, value};

/// Everything for the two years that the tests look at.
fn run(rows: &[Stated]) -> Lab {
    let mut lab = lab(rows, surfaces(days()));
    lab.run_chain("BTC", 2024..=2025);
    lab
}

/// No further than the indices.
fn run_indices(rows: &[Stated]) -> Lab {
    let mut lab = lab(rows, surfaces(0..0));
    for table in [
        "onchain.metrics",
        "onchain.global_metrics",
        "sentiment.daily",
        "onchain.daily",
        "onchain.indices",
    ] {
        lab.run(table, "BTC", 2025..=2025);
    }
    lab
}

fn row_of(lab: &Lab, table: &str, date: &str) -> usize {
    let batch = lab.get(table);
    (0..batch.num_rows())
        .find(|&row| value(batch, "date", row) == Value::Int(day(date)))
        .unwrap()
}

fn flag(lab: &Lab, table: &str, column: &str, row: usize) -> Option<bool> {
    match value(lab.get(table), column, row) {
        Value::Flag(on) => Some(on),
        _ => None,
    }
}

#[test]
fn a_decision_reads_the_newest_known_day_until_it_is_stale() {
    let first = day("2025-03-10");
    let mut rows: Vec<Stated> = (0..3)
        .map(|i| Stated::new("mvrv", first + i, 1.0 + i as f64))
        .collect();
    // Said again later: of the oldest day, which moves nothing, and of the newest one, which does.
    for (offset, value) in [(0, 50.0), (2, 60.0)] {
        rows.push(Stated {
            document_time: (first + 5) * DAY + HOUR,
            ..Stated::new("mvrv", first + offset, value)
        });
    }
    let mut lab = Lab::default();
    lab.put("norm.metrics", "event_time", norm(&rows));
    lab.put("norm.sentiment", "event_time", norm(&[]));
    for table in [
        "onchain.metrics",
        "onchain.global_metrics",
        "sentiment.daily",
        "onchain.daily",
    ] {
        lab.run(table, "BTC", 2025..=2025);
    }
    let daily = lab.get("onchain.daily");
    let found: Vec<(i64, f64, f64)> = (0..daily.num_rows())
        .map(|row| {
            let Value::Int(date) = value(daily, "date", row) else {
                panic!()
            };
            (
                date - first,
                number(daily, "value", row).unwrap(),
                number(daily, "age_days", row).unwrap(),
            )
        })
        .collect();
    // Known 28 hours after the day began: a day is read two midnights later.
    let expected = [
        (2, 1.0, 2.0),
        (3, 2.0, 2.0),
        (4, 3.0, 2.0),
        (5, 3.0, 3.0),
        (6, 60.0, 4.0),
        (7, 60.0, 5.0),
    ];
    assert_eq!(found, expected);
}

#[test]
fn components_have_the_right_sign_and_only_a_rise_is_a_spike() {
    let at = day("2025-09-01");
    let bump = |metric: &'static str, factor: f64| {
        let mut rows = world(days());
        for row in rows
            .iter_mut()
            .filter(|row| row.metric == metric && row.day == at)
        {
            row.value *= factor;
        }
        run_indices(&rows)
    };
    let base = run_indices(&world(days()));
    let decision = "2025-09-03";
    let index = |lab: &Lab, name: &str| {
        number(
            lab.get("onchain.indices"),
            name,
            row_of(lab, "onchain.indices", decision),
        )
        .unwrap()
    };
    // Old coins that move are supply that responds.
    assert!(index(&bump("dormancy", 3.0), "supply_elasticity") > index(&base, "supply_elasticity"));
    assert!(
        index(&bump("lth_supply", 1.2), "supply_elasticity") < index(&base, "supply_elasticity")
    );
    assert!(index(&bump("sth_sopr", 0.7), "forced_flow") > index(&base, "forced_flow"));
    assert!(
        index(&bump("stablecoin_supply_usd", 1.1), "liquidity_impulse")
            > index(&base, "liquidity_impulse")
    );
    assert_eq!(index(&bump("exchange_inflow", 4.0), "inflow_spike"), 1.0);
    assert_eq!(index(&bump("exchange_inflow", 0.01), "inflow_spike"), 0.0);
}

#[test]
fn an_index_is_the_weighted_mean_of_its_components() {
    let lab = base();
    let indices = lab.get("onchain.indices");
    let get = |name: &str, row: usize| number(indices, name, row).unwrap();
    let rows =
        row_of(lab, "onchain.indices", "2025-06-01")..row_of(lab, "onchain.indices", "2025-12-31");
    let raw = |row: usize| {
        (0.35 * get("inflow_spike", row) - 0.25 * get("z_sth_change", row)
            + 0.2
                * (get("z_netflow_change", row)
                    + get("z_miner_outflow", row)
                    + get("loss_selling", row)))
            / 1.2
    };
    for row in rows {
        // The average's recursion holds but for what lies beyond its sixty rows.
        let expected = 0.3 * raw(row) + 0.7 * get("forced_flow", row - 1);
        assert!((get("forced_flow", row) - expected).abs() < 1e-6);
        assert!((get("coverage", row) - 1.0).abs() < 1e-12);
    }
}

#[test]
fn a_missing_input_lowers_coverage_and_then_says_so() {
    let without = |gone: &[&str]| {
        let rows: Vec<Stated> = world(days())
            .into_iter()
            .filter(|row| !gone.contains(&row.metric))
            .collect();
        run(&rows)
    };
    let lab = without(&["dormancy", "stablecoin_exchange_netflow_usd"]);
    let row = row_of(&lab, "onchain.indices", "2025-12-01");
    let indices = lab.get("onchain.indices");
    assert!(number(indices, "supply_elasticity", row).is_some());
    assert!((number(indices, "coverage_supply_elasticity", row).unwrap() - 0.7).abs() < 1e-12);
    assert!(
        number(indices, "liquidity_impulse", row).is_some(),
        "0.4 + 0.2 is enough"
    );

    let lab = without(&["dormancy", "lth_supply", "mdia", "holders_1_10"]);
    let indices = lab.get("onchain.indices");
    assert_eq!(number(indices, "supply_elasticity", row), None);
    assert_eq!(
        text(indices, "reason", row),
        "supply_elasticity: missing lth_supply, dormancy"
    );
    let state = lab.get("signals.market_state");
    assert_eq!(
        (
            text(state, "state", row).as_str(),
            number(state, "score", row)
        ),
        ("no_trade", None)
    );
    assert_eq!(
        text(state, "reason", row),
        "missing: mdia; missing: holder balances"
    );
    assert_eq!(
        flag(&lab, "features.onchain_signals", "whale_ready", row),
        Some(false)
    );
    assert_eq!(
        flag(&lab, "features.onchain_signals", "mvrv_ls_ready", row),
        Some(true)
    );
}

#[test]
fn constants_invent_nothing() {
    let mut rows = world(days());
    for row in &mut rows {
        row.value = METRICS
            .iter()
            .find(|(metric, ..)| *metric == row.metric)
            .unwrap()
            .1;
    }
    let lab = run(&rows);
    let row = row_of(&lab, "onchain.indices", "2025-12-01");
    for name in ["supply_elasticity", "forced_flow", "liquidity_impulse"] {
        assert!(
            number(lab.get("onchain.indices"), name, row).unwrap().abs() < 1e-6,
            "{name}"
        );
    }
    let signals = lab.get("features.onchain_signals");
    assert_eq!(text(signals, "mdia_regime", row), "neutral");
    assert_eq!(text(signals, "whale_regime", row), "mixed");
    assert_eq!(
        text(lab.get("signals.market_state"), "state", row),
        "no_trade"
    );
}

#[test]
fn falling_age_is_inflow_and_accumulation_is_seen() {
    let turn = day("2025-11-20");
    let mut rows = world(days());
    for row in rows.iter_mut().filter(|row| row.day > turn) {
        let age = (row.day - turn) as f64;
        match row.metric {
            "mdia" => row.value -= 3.0 * age * age,
            "holders_100_1k" | "holders_1_10" => row.value += 4.0e3 * age * age,
            _ => {}
        }
    }
    let lab = run(&rows);
    let signals = lab.get("features.onchain_signals");
    let row = row_of(&lab, "features.onchain_signals", "2025-11-26");
    assert!(["strong_inflow", "inflow"].contains(&text(signals, "mdia_regime", row).as_str()));
    assert_eq!(text(signals, "mdia_v2_regime", row), "strong_inflow");
    assert_eq!(text(signals, "whale_regime", row), "broad_accum");
}

#[test]
fn flags_are_nested_and_states_move() {
    let lab = base();
    let table = "features.onchain_signals";
    let implied = [
        ("mvrv_ls_call_confirm_recovery", "mvrv_ls_call_confirm"),
        ("mvrv_ls_call_confirm_trend", "mvrv_ls_call_confirm"),
        ("mvrv_ls_bear_continuation", "mvrv_ls_put_confirm"),
        ("mvrv_ls_early_rollover", "mvrv_ls_early_rollover_any"),
        ("whale_strong_distribution", "whale_distribution"),
        ("whale_retail_trap", "whale_retail_rally"),
        ("mdia_breadth_inflow", "mdia_breadth_inflow_3of4"),
        ("mvrv_comp_near_bottom_90", "mvrv_comp_near_bottom_any"),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for row in row_of(lab, table, "2025-03-01")..row_of(lab, table, "2026-01-15") {
        for (narrow, wide) in implied {
            if flag(lab, table, narrow, row) == Some(true) {
                assert_eq!(
                    flag(lab, table, wide, row),
                    Some(true),
                    "{narrow} without {wide}"
                );
            }
        }
        for family in [
            "mdia", "whale", "mvrv_ls", "sent", "flow", "mvrv60", "mvrv_all",
        ] {
            assert_eq!(
                flag(lab, table, &format!("{family}_ready"), row),
                Some(true),
                "{family} {row}"
            );
        }
        seen.insert(text(lab.get("signals.market_state"), "state", row));
    }
    assert!(seen.len() >= 3, "{seen:?}");
}

#[test]
fn numbers_of_the_wide_table_vary() {
    let lab = base();
    let signals = lab.get("features.onchain_signals");
    let rows = row_of(lab, "features.onchain_signals", "2025-08-01")..signals.num_rows();
    let still: Vec<String> = signals
        .schema()
        .fields()
        .iter()
        .filter(|field| field.data_type().is_numeric())
        .filter(|field| {
            let mut values: Vec<f64> = rows
                .clone()
                .filter_map(|row| number(signals, field.name(), row))
                .collect();
            values.sort_by(f64::total_cmp);
            values.dedup();
            values.len() < 2
        })
        .map(|field| field.name().clone())
        .collect();
    // The fear and greed index is not part of this world.
    assert!(
        still
            .iter()
            .all(|name| name == "sent_fear_greed" || name.starts_with("sent_m")),
        "{still:?}"
    );
}
