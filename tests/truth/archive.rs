//! Recorded markets: Deribit chains and volatility index, exchange bars, on-chain series in two states.
//!
//! One lake serves all checks, so they are steps of one test; each says what it measured.

mod chains;
mod coverage;
mod forecasts;
mod index;
mod vintages;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use lakectl_pipeline::stages::Columns;
use lakectl_tests::{Bench, recorded_data};

/// A check of the finished lake; the last one may change the recordings (in a copy) and run again.
type Check = fn(&mut Bench, &Path);

const CHECKS: [(&str, Check); 18] = [
    (
        "half_of_a_chain_is_flagged_and_kept",
        chains::half_of_a_chain_is_flagged_and_kept,
    ),
    (
        "our_numbers_are_the_exchanges",
        chains::our_numbers_are_the_exchanges,
    ),
    (
        "the_price_at_the_money_is_the_markets",
        chains::the_price_at_the_money_is_the_markets,
    ),
    ("forwards_agree", chains::forwards_agree),
    (
        "every_quote_is_kept_or_has_a_reason",
        chains::every_quote_is_kept_or_has_a_reason,
    ),
    (
        "the_synthetic_skew_is_scored_later_in_the_day",
        chains::the_synthetic_skew_is_scored_later_in_the_day,
    ),
    (
        "smiles_fit_what_they_were_fitted_to",
        chains::smiles_fit_what_they_were_fitted_to,
    ),
    (
        "the_level_moves_with_the_volatility_index",
        chains::the_level_moves_with_the_volatility_index,
    ),
    (
        "the_replicated_index_is_the_venues",
        index::the_replicated_index_is_the_venues,
    ),
    (
        "every_snapshot_lies_in_the_days_range",
        index::every_snapshot_lies_in_the_days_range,
    ),
    ("densities_hold_together", index::densities_hold_together),
    (
        "every_snapshot_has_exposures",
        index::every_snapshot_has_exposures,
    ),
    (
        "restatements_are_kept_as_revisions",
        vintages::restatements_are_kept_as_revisions,
    ),
    (
        "no_decision_reads_what_was_restated_later",
        vintages::no_decision_reads_what_was_restated_later,
    ),
    (
        "every_day_has_forecasts",
        forecasts::every_day_has_forecasts,
    ),
    (
        "options_are_in_the_basis",
        forecasts::options_are_in_the_basis,
    ),
    (
        "the_page_on_coverage_is_current",
        coverage::the_page_on_coverage_is_current,
    ),
    (
        "dearer_options_widen_the_forecast",
        forecasts::dearer_options_widen_the_forecast,
    ),
];

#[test]
fn recorded_markets() {
    let Some(root) = recorded_data("recorded_markets") else {
        return;
    };
    let mut bench = Bench::archive(&root);
    let (summary, _) = bench.run_until("forecast");
    assert_eq!(
        summary.tasks.failed + summary.tasks.blocked,
        0,
        "missing inputs must stop nothing"
    );
    // Tables that no forecast reads.
    let (summary, _) = bench.run_until("options");
    assert_eq!(summary.tasks.failed + summary.tasks.blocked, 0);
    let failed: Vec<&str> = CHECKS
        .iter()
        .filter(|(name, check)| {
            eprintln!("-- {name}");
            catch_unwind(AssertUnwindSafe(|| check(&mut bench, &root))).is_err()
        })
        .map(|(name, _)| *name)
        .collect();
    assert!(failed.is_empty(), "failed: {}", failed.join(", "));
}

/// The only row of a column of numbers.
fn number(table: &Columns, name: &str) -> f64 {
    table.f64s(name).unwrap()[0].unwrap_or_else(|| panic!("`{name}` is null"))
}
