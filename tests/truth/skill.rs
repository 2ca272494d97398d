//! How much of the skill that is there to be had does the forecast get?
//!
//! The simulated market knows the law that each return is drawn from. Its CRPS is the least that any forecast can reach on
//! average; the climatology of the trailing window is what one gets for nothing. Three scores of the same days:
//! climatology, the pipeline's forecast, the truth. The share captured is (climatology - forecast) / (climatology - truth).
//! The same model refitted on features that were shuffled in time must get next to nothing.

mod refit;

use std::collections::BTreeMap;

use lakectl_core::UtcTime;
use lakectl_market::{Asset, Market};
use lakectl_pipeline::stages::Columns;
use lakectl_stats::scores::QuantileFunction;
use lakectl_tests::Bench;

pub(crate) const LEVELS: [f64; 5] = [0.05, 0.25, 0.50, 0.75, 0.95];
pub(crate) const HORIZONS: [u32; 2] = [24, 168];
/// Outcomes that stand for the true law in the expected scores.
const OUTCOMES: usize = 101;

/// A forecast that was scored, beside its rivals on the same day.
pub(crate) struct Day {
    pub as_of: i64,
    pub realised: f64,
    pub quantiles: BTreeMap<&'static str, [f64; 5]>,
    outcomes: Vec<f64>,
}

impl Day {
    /// CRPS on what happened.
    pub(crate) fn crps(&self, who: &str) -> f64 {
        score(&self.quantiles[who], self.realised)
    }

    /// CRPS expected under the true law: without the luck of one outcome.
    pub(crate) fn expected_crps(&self, who: &str) -> f64 {
        let sum: f64 = self
            .outcomes
            .iter()
            .map(|y| score(&self.quantiles[who], *y))
            .sum();
        sum / self.outcomes.len() as f64
    }

    /// Log of the distance between the outer quantiles.
    fn log_width(&self, who: &str) -> f64 {
        (self.quantiles[who][4] - self.quantiles[who][0]).ln()
    }
}

fn score(quantiles: &[f64; 5], outcome: f64) -> f64 {
    let function = QuantileFunction::new(&LEVELS, quantiles).unwrap();
    function.crps(outcome).unwrap()
}

/// The scored days of one market, by (asset, horizon).
pub(crate) type Days = BTreeMap<(String, u32), Vec<Day>>;

/// Reads the days on which both the forecast and climatology were scored, and asks the market for its truth.
fn scored_days(sql: &dyn Fn(&str) -> Columns, market: &Market) -> Days {
    let mut days = Days::new();
    let table = sql(
        "SELECT f.asset, f.as_of, f.horizon_hours, f.realised, f.q05 AS f0, f.q25 AS f1, f.q50 AS f2, f.q75 AS f3, f.q95 AS f4,
                c.q05 AS c0, c.q25 AS c1, c.q50 AS c2, c.q75 AS c3, c.q95 AS c4
         FROM backtest.forecast_scores f
         JOIN backtest.forecast_scores c ON c.asset = f.asset AND c.as_of = f.as_of AND c.horizon_hours = f.horizon_hours
         WHERE f.model = 'lakectl' AND c.model = 'climatology'
         ORDER BY f.asset, f.horizon_hours, f.as_of",
    );
    let five = |prefix: &str| -> Vec<Vec<Option<f64>>> {
        (0..5)
            .map(|i| table.f64s(&format!("{prefix}{i}")).unwrap())
            .collect()
    };
    let (forecast, climatology) = (five("f"), five("c"));
    let at = |columns: &[Vec<Option<f64>>], row: usize| -> [f64; 5] {
        std::array::from_fn(|i| columns[i][row].unwrap())
    };
    let (assets, times) = (
        table.texts("asset").unwrap(),
        table.micros("as_of").unwrap(),
    );
    let (horizons, realised) = (
        table.i64s("horizon_hours").unwrap(),
        table.f64s("realised").unwrap(),
    );
    let inner: Vec<f64> = (0..OUTCOMES)
        .map(|i| (i as f64 + 0.5) / OUTCOMES as f64)
        .collect();
    for row in 0..table.rows() {
        let (name, horizon) = (assets[row].clone().unwrap(), horizons[row].unwrap() as u32);
        let asset: Asset = name.parse().unwrap();
        let as_of = UtcTime::from_micros(times[row]);
        let levels: Vec<f64> = LEVELS.iter().chain(&inner).copied().collect();
        let truth = market
            .truth_quantiles(asset, as_of, horizon, &levels)
            .unwrap();
        days.entry((name, horizon)).or_default().push(Day {
            as_of: times[row],
            realised: realised[row].unwrap(),
            quantiles: BTreeMap::from([
                ("forecast", at(&forecast, row)),
                ("climatology", at(&climatology, row)),
                ("truth", std::array::from_fn(|i| truth[i])),
            ]),
            outcomes: truth[5..].to_vec(),
        });
    }
    days
}

/// Summed scores of some days.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sums {
    climatology: f64,
    forecast: f64,
    permuted: f64,
    truth: f64,
    days: usize,
}

impl Sums {
    fn add(&mut self, day: &Day, of: impl Fn(&Day, &str) -> f64) {
        self.climatology += of(day, "climatology");
        self.forecast += of(day, "forecast");
        self.permuted += of(day, "permuted");
        self.truth += of(day, "truth");
        self.days += 1;
    }

    fn plus(mut self, other: Self) -> Self {
        self.climatology += other.climatology;
        self.forecast += other.forecast;
        self.permuted += other.permuted;
        self.truth += other.truth;
        self.days += other.days;
        self
    }

    fn truth_skill(&self) -> f64 {
        1.0 - self.truth / self.climatology
    }

    fn captured(&self) -> f64 {
        (self.climatology - self.forecast) / (self.climatology - self.truth)
    }

    fn captured_permuted(&self) -> f64 {
        (self.climatology - self.permuted) / (self.climatology - self.truth)
    }

    fn report(&self, name: &str) {
        eprintln!(
            "{name}: {} days, truth skill {:.2} %, captured {:.1} %, permuted {:.1} %",
            self.days,
            100.0 * self.truth_skill(),
            100.0 * self.captured(),
            100.0 * self.captured_permuted()
        );
    }
}

/// Realised and expected sums of one horizon.
fn sums(days: &Days, horizon: u32) -> (Sums, Sums) {
    let (mut realised, mut expected) = (Sums::default(), Sums::default());
    for ((_, _), days) in days.iter().filter(|((_, h), _)| *h == horizon) {
        for day in days {
            realised.add(day, Day::crps);
            expected.add(day, Day::expected_crps);
        }
    }
    (realised, expected)
}

/// Correlation of the log widths of a forecast and of the truth.
fn width_correlation(days: &[Day], who: &str) -> f64 {
    let pairs: Vec<(f64, f64)> = days
        .iter()
        .map(|day| (day.log_width(who), day.log_width("truth")))
        .collect();
    let n = pairs.len() as f64;
    let (mx, my) = (
        pairs.iter().map(|p| p.0).sum::<f64>() / n,
        pairs.iter().map(|p| p.1).sum::<f64>() / n,
    );
    let of = |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|p| f(p.0 - mx, p.1 - my)).sum::<f64>();
    of(&|x, y| x * y) / (of(&|x, _| x * x) * of(&|_, y| y * y)).sqrt()
}

/// Reads the scores of a lake, and refits the model on permuted features.
pub(crate) fn measure(
    sql: &dyn Fn(&str) -> Columns,
    market: &Market,
    rows_min: usize,
    seed: u64,
) -> Days {
    let mut days = scored_days(sql, market);
    refit::check(sql, rows_min, &days);
    refit::permute(sql, rows_min, seed, &mut days);
    days
}

/// Runs a bench to its scores and measures them.
fn measured(bench: &Bench, seed: u64) -> Days {
    bench.run_until("backtest.forecast_scores");
    let workbench = bench.open().unwrap();
    let settings = &workbench.settings;
    let market = Market::new(settings.sources["demo"].market.clone().unwrap()).unwrap();
    let rows_min = settings.params["training_rows_min"].as_integer().unwrap() as usize;
    measure(&|query| bench.sql(query), &market, rows_min, seed)
}

fn seeded(mut bench: Bench, seed: u64) -> Bench {
    bench.set("sources.demo.market.seed", &seed.to_string());
    bench
}

/// Two short markets. One outcome a day says little in so few days, so this looks at what needs no luck: scores expected
/// under the true law, and whether the intervals widen and narrow with it.
#[test]
fn forecasts_follow_the_true_law() {
    let mut pooled = Sums::default();
    for seed in [1, 2] {
        let bench = seeded(Bench::demo("2025-08-01", "2026-02-28", "2025-11-01"), seed);
        let days = measured(&bench, seed);
        for ((asset, horizon), days) in &days {
            let (forecast, permuted) = (
                width_correlation(days, "forecast"),
                width_correlation(days, "permuted"),
            );
            eprintln!(
                "seed {seed} {asset} {horizon} h: width correlation {forecast:.3}, permuted {permuted:.3}"
            );
            if *horizon == 24 {
                assert!(days.len() > 90, "{} days", days.len());
                assert!(forecast > 0.6, "seed {seed} {asset}: {forecast}");
                assert!(permuted.abs() < 0.4, "seed {seed} {asset}: {permuted}");
            }
        }
        let (realised, expected) = sums(&days, 24);
        realised.report(&format!("seed {seed} 24 h realised"));
        expected.report(&format!("seed {seed} 24 h expected"));
        pooled = pooled.plus(expected);
    }
    pooled.report("24 h expected, pooled");
    assert!(
        (0.005..0.2).contains(&pooled.truth_skill()),
        "{}",
        pooled.truth_skill()
    );
    assert!(pooled.captured() > 0.5, "{}", pooled.captured());
    assert!(
        pooled.captured_permuted() < pooled.captured() - 0.4,
        "{}",
        pooled.captured_permuted()
    );
}

/// Ten markets under the shipped settings, pooled.
#[test]
fn forecasts_capture_most_of_the_skill_there_is() {
    if !crate::full() {
        lakectl_tests::say_skipped(
            "forecasts_capture_most_of_the_skill_there_is: set LAKE_TEST_FULL=1",
        );
        return;
    }
    let markets: Vec<(u64, Days)> = (1..=10)
        .map(|seed| (seed, measured(&seeded(Bench::new("demo"), seed), seed)))
        .collect();
    let pooled = report_all(&markets);
    for (seed, days) in &markets {
        for ((asset, horizon), days) in days {
            assert!(
                days.len() >= 200,
                "seed {seed} {asset} {horizon} h: {} scored days",
                days.len()
            );
        }
    }
    let (realised, expected) = pooled[&24];
    for sums in [realised, expected] {
        assert!(
            (0.01..=0.10).contains(&sums.truth_skill()),
            "{}",
            sums.truth_skill()
        );
        assert!(sums.captured() >= 0.60, "{}", sums.captured());
        assert!(
            sums.captured_permuted() <= 0.15,
            "{}",
            sums.captured_permuted()
        );
    }
    assert!(
        pooled[&168].0.captured() > 0.0,
        "{}",
        pooled[&168].0.captured()
    );
}

/// Says what was measured, seed by seed; returns the realised and the expected sums of each horizon.
pub(crate) fn report_all(markets: &[(u64, Days)]) -> BTreeMap<u32, (Sums, Sums)> {
    let mut pooled: BTreeMap<u32, (Sums, Sums)> = BTreeMap::new();
    for (seed, days) in markets {
        for horizon in HORIZONS {
            let (realised, expected) = sums(days, horizon);
            realised.report(&format!("seed {seed} {horizon} h realised"));
            expected.report(&format!("seed {seed} {horizon} h expected"));
            let entry = pooled.entry(horizon).or_default();
            *entry = (entry.0.plus(realised), entry.1.plus(expected));
        }
        for ((asset, horizon), days) in days {
            let (forecast, permuted) = (
                width_correlation(days, "forecast"),
                width_correlation(days, "permuted"),
            );
            eprintln!(
                "seed {seed} {asset} {horizon} h: width correlation {forecast:.3}, permuted {permuted:.3}"
            );
        }
    }
    for (horizon, (realised, expected)) in &pooled {
        realised.report(&format!("pooled {horizon} h realised"));
        expected.report(&format!("pooled {horizon} h expected"));
    }
    pooled
}
