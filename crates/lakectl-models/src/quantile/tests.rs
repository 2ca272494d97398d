//! The forecast against the truth of a simulated market, its null, its degradations and its saved form.

use lakectl_stats::special::{normal_quantile, student_t_quantile, student_t_sd};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::*;
use crate::baseline::{self, Window};
use crate::dataset::{DAY_MICROS, Role, return_feature_schema};
use crate::{Artifact, DatasetSpec, Label};

/// Stochastic log volatility: persistence a day, stationary standard deviation, level.
const PERSISTENCE: f64 = 0.97;
const SPREAD: f64 = 0.35;
const LEVEL: f64 = -0.5;

struct Draws(Xoshiro256PlusPlus);

impl Draws {
    fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
    fn normal(&mut self) -> f64 {
        normal_quantile(self.uniform()).unwrap()
    }
    /// Student t(5) of unit variance: a normal over the root of a chi-square.
    fn innovation(&mut self) -> f64 {
        let chi: f64 = (0..5).map(|_| self.normal()).map(|z| z * z).sum();
        self.normal() / (chi / 5.0).sqrt() / student_t_sd(5.0).unwrap()
    }
    fn next_log_vol(&mut self, x: f64) -> f64 {
        PERSISTENCE * x + SPREAD * (1.0 - PERSISTENCE * PERSISTENCE).sqrt() * self.normal()
    }
}

/// Daily standard deviation at the log volatility deviation `x`.
fn daily_sd(x: f64) -> f64 {
    (LEVEL + x).exp() / 365f64.sqrt()
}

/// One simulated asset: closes with a history before day 0, inputs of each day, the true state of each day.
struct Market {
    spec: Vec<Feature>,
    rows: Vec<Vec<Option<f64>>>,
    closes: Vec<f64>,
    states: Vec<f64>,
}

const HISTORY: usize = 60;

fn simulate(days: usize, seed: u64) -> Market {
    let mut d = Draws(Xoshiro256PlusPlus::seed_from_u64(seed));
    let mut spec = vec![
        Feature::new("atm_30d", "options", Role::ImpliedVol),
        Feature::new("atm_7d", "options", Role::ImpliedVol),
        Feature::new("skew", "options", Role::Plain),
    ];
    spec.extend((0..12).map(|i| Feature::new(&format!("noise_{i}"), "onchain", Role::Plain)));
    let (mut x, mut close) = (SPREAD * d.normal(), 100.0);
    let mut slow = [0.0; 12];
    let mut market = Market {
        spec,
        rows: Vec::new(),
        closes: Vec::new(),
        states: Vec::new(),
    };
    for _ in 0..days + HISTORY {
        // The quoted surface sees volatility through its mean reversion, with a premium and an error of its own.
        let quoted = |damping: f64, error: f64| (LEVEL + 0.08 + damping * x + error).exp();
        let mut row = vec![
            Some(quoted(0.65, 0.06 * d.normal())),
            Some(quoted(0.9, 0.10 * d.normal())),
            Some(0.03 + 0.02 * x + 0.02 * d.normal()),
        ];
        for s in &mut slow {
            *s = 0.9 * *s + d.normal();
            row.push(Some(*s));
        }
        market.rows.push(row);
        market.closes.push(close);
        market.states.push(x);
        close *= (daily_sd(x) * d.innovation() + 0.0003).exp();
        x = d.next_log_vol(x);
    }
    market
}

/// The dataset of a market from day 0 on, through the frame interface.
fn dataset(market: &Market, horizon_hours: u32) -> Dataset {
    let time = |i: usize| (i as i64 - HISTORY as i64) * DAY_MICROS;
    let kept = HISTORY..market.rows.len();
    let mut columns = vec![Column::new(
        "as_of".into(),
        kept.clone().map(time).collect::<Vec<_>>(),
    )];
    for (c, feature) in market.spec.iter().enumerate() {
        let values: Vec<Option<f64>> = kept.clone().map(|i| market.rows[i][c]).collect();
        columns.push(Column::new(feature.name.as_str().into(), values));
    }
    let features = DataFrame::new(kept.len(), columns).unwrap();
    let times: Vec<i64> = (0..market.closes.len()).map(time).collect();
    let prices = DataFrame::new(
        times.len(),
        vec![
            Column::new("time".into(), times),
            Column::new("close".into(), market.closes.clone()),
        ],
    )
    .unwrap();
    let spec = DatasetSpec {
        features: market.spec.clone(),
        horizon_hours,
        with_return_features: true,
    };
    Dataset::assemble(&features, &prices, &spec).unwrap()
}

use polars::prelude::{Column, DataFrame};

/// True quantiles of the horizon return by the state, on a grid of states (simulated beyond one day).
struct Truth {
    grid: Vec<(f64, Vec<f64>)>,
}

impl Truth {
    fn new(days: usize) -> Self {
        let mut d = Draws(Xoshiro256PlusPlus::seed_from_u64(99));
        let unit: Vec<f64> = LEVELS
            .iter()
            .map(|t| student_t_quantile(*t, 5.0).unwrap() / student_t_sd(5.0).unwrap())
            .collect();
        let at = |x: f64, d: &mut Draws| -> Vec<f64> {
            if days == 1 {
                return unit.iter().map(|u| 0.0003 + daily_sd(x) * u).collect();
            }
            let totals: Vec<f64> = (0..4000)
                .map(|_| {
                    let (mut x, mut total) = (x, 0.0);
                    for _ in 0..days {
                        total += daily_sd(x) * d.innovation() + 0.0003;
                        x = d.next_log_vol(x);
                    }
                    total
                })
                .collect();
            LEVELS
                .iter()
                .map(|t| empirical_quantile(&totals, *t).unwrap())
                .collect()
        };
        let grid = (-30..=30)
            .map(|i| f64::from(i) * 0.05)
            .map(|x| (x, at(x, &mut d)))
            .collect();
        Self { grid }
    }

    fn quantiles(&self, x: f64) -> Vec<f64> {
        let i = self
            .grid
            .partition_point(|(g, _)| *g < x)
            .clamp(1, self.grid.len() - 1);
        let ((a, low), (b, high)) = (&self.grid[i - 1], &self.grid[i]);
        let share = (x - a) / (b - a);
        low.iter()
            .zip(high)
            .map(|(l, h)| l + share * (h - l))
            .collect()
    }
}

/// Mean scores over the days after the warm-up, refitted every 30 days on what was known.
#[derive(Debug, Default, Clone, Copy)]
struct Scores {
    model: f64,
    truth: f64,
    climatology: f64,
    vol_scaled: f64,
    har: f64,
    covered_90: f64,
    covered_50: f64,
    days: f64,
}

impl Scores {
    fn skill(&self, score: f64) -> f64 {
        1.0 - score / self.climatology
    }
    fn add(&mut self, other: &Self) {
        self.model += other.model;
        self.truth += other.truth;
        self.climatology += other.climatology;
        self.vol_scaled += other.vol_scaled;
        self.har += other.har;
        self.covered_90 += other.covered_90;
        self.covered_50 += other.covered_50;
        self.days += other.days;
    }
    fn report(&self, what: &str) -> String {
        let skill = |s| 100.0 * self.skill(s);
        format!(
            "{what}: {} days, truth {:.2} %, model {:.2} % (captured {:.0} %), vol scaled {:.2} %, HAR {:.2} %, coverage 50: {:.3}, 90: {:.3}",
            self.days,
            skill(self.truth),
            skill(self.model),
            100.0 * skill(self.model) / skill(self.truth),
            skill(self.vol_scaled),
            skill(self.har),
            self.covered_50 / self.days,
            self.covered_90 / self.days,
        )
    }
}

fn crps(quantiles: &[f64], y: f64) -> f64 {
    QuantileFunction::new(&LEVELS, quantiles)
        .unwrap()
        .crps(y)
        .unwrap()
}

fn walk_forward(data: &Dataset, market: &Market, truth: &Truth, warm_up: usize) -> Scores {
    let mut scores = Scores::default();
    let mut model = None;
    for i in warm_up..data.len() {
        let now = data.as_of(i);
        if (i - warm_up).is_multiple_of(30) {
            model = Some(QuantileModel::fit(&data.known_at(now), &FitConfig::default()).unwrap());
        }
        let Some(label) = data.label(i) else { continue };
        let forecast = model.as_ref().unwrap().predict(data.row(i)).unwrap();
        let q = forecast.quantiles;
        let y = label.total;
        scores.model += crps(&q, y);
        scores.truth += crps(&truth.quantiles(market.states[HISTORY + i]), y);
        scores.climatology += crps(
            &baseline::climatology(data, now, Window::default()).unwrap(),
            y,
        );
        scores.vol_scaled += crps(
            &baseline::vol_scaled(data, now, "ewma_vol", Window::default()).unwrap(),
            y,
        );
        scores.har += crps(
            &baseline::har_ridge(data, now, Window::default()).unwrap(),
            y,
        );
        scores.covered_90 += f64::from(q[0] <= y && y <= q[4]);
        scores.covered_50 += f64::from(q[1] <= y && y <= q[3]);
        scores.days += 1.0;
    }
    scores
}

#[test]
#[allow(clippy::print_stderr)]
fn most_of_the_true_skill_is_captured_and_a_permutation_removes_it() {
    for horizon_hours in [24, 168] {
        let truth = Truth::new(horizon_hours as usize / 24);
        let (mut real, mut null) = (Scores::default(), Scores::default());
        for seed in 1..=10 {
            let market = simulate(400, seed);
            let data = dataset(&market, horizon_hours);
            real.add(&walk_forward(&data, &market, &truth, 110));
            null.add(&walk_forward(&data.permuted(seed), &market, &truth, 110));
        }
        eprintln!("{}", real.report(&format!("{horizon_hours} h")));
        eprintln!("{}", null.report(&format!("{horizon_hours} h permuted")));
        let possible = real.skill(real.truth);
        assert!(
            (0.01..0.10).contains(&possible),
            "the market is not realistic: {possible}"
        );
        let captured = real.skill(real.model) / possible;
        assert!(captured >= 0.6, "captured {captured} at {horizon_hours} h");
        // Over a week the climatology rests on some 25 independent outcomes, so that any smoothed distribution beats it
        // a little; what must vanish is the skill that comes from the inputs.
        let left = null.skill(null.model) / possible;
        assert!(
            left < if horizon_hours == 24 { 0.1 } else { 0.4 },
            "permuted inputs keep {left} at {horizon_hours} h"
        );
        assert!(
            captured - left > 0.45,
            "the inputs add {} at {horizon_hours} h",
            captured - left
        );
        if horizon_hours == 24 {
            assert!((real.covered_90 / real.days - 0.9).abs() < 0.03);
            assert!((real.covered_50 / real.days - 0.5).abs() < 0.04);
        }
    }
}

#[test]
fn a_higher_implied_volatility_widens_the_interval() {
    for seed in 1..=5 {
        let market = simulate(200, seed);
        let data = dataset(&market, 24);
        for days in [20_i64, 60, 190] {
            let model =
                QuantileModel::fit(&data.known_at(days * DAY_MICROS), &FitConfig::default())
                    .unwrap();
            assert!(model.elasticities().0 >= FitConfig::default().implied_floor);
            let row = data.row(days as usize).to_vec();
            let mut raised = row.clone();
            raised[0] = raised[0].map(|v| v + 0.1);
            raised[1] = raised[1].map(|v| v + 0.1);
            let width = |r: &[Option<f64>]| {
                let q = model.predict(r).unwrap().quantiles;
                q[4] - q[0]
            };
            assert!(
                width(&raised) > 1.02 * width(&row),
                "seed {seed}, day {days}"
            );
        }
    }
}

#[test]
fn missing_families_degrade_the_forecast_and_say_so() {
    let market = simulate(150, 4);
    let data = dataset(&market, 24);
    let model =
        QuantileModel::fit(&data.known_at(140 * DAY_MICROS), &FitConfig::default()).unwrap();
    let full = model.predict(data.row(140)).unwrap();
    assert_eq!(
        (full.basis().as_str(), full.degraded.len()),
        ("onchain+options+returns", 0)
    );
    let mut row = data.row(140).to_vec();
    row[..3].fill(None);
    row[5] = None;
    let partial = model.predict(&row).unwrap();
    assert_eq!(
        partial.basis(),
        "onchain+returns;absent:options;partial:onchain"
    );
    let nothing = model.predict(&vec![None; row.len()]).unwrap();
    assert_eq!(
        nothing.basis(),
        "history;absent:onchain;absent:options;absent:returns;no_anchor"
    );
    for f in [&full, &partial, &nothing] {
        assert!(f.quantiles.windows(2).all(|q| q[0] <= q[1]) && f.scale > 0.0);
        let ratio = f.scale / full.scale;
        assert!(
            (0.3..3.0).contains(&ratio),
            "an absent family must not change the scale wildly: {ratio}"
        );
    }
    assert!(matches!(
        model.predict(&row[1..]),
        Err(ModelError::WrongWidth { .. })
    ));
    row[0] = Some(f64::NAN);
    assert_eq!(model.predict(&row).unwrap(), partial);
}

#[test]
fn short_histories_rest_on_the_anchor_and_the_prior_shape() {
    let market = simulate(80, 2);
    let data = dataset(&market, 24);
    let model = QuantileModel::fit(&data.known_at(15 * DAY_MICROS), &FitConfig::default()).unwrap();
    assert_eq!(model.rows(), 15);
    let forecast = model.predict(data.row(15)).unwrap();
    assert_eq!(
        forecast.basis(),
        "options+returns;partial:options;partial:returns;short_history;untrained:onchain"
    );
    let implied_daily = data.row(15)[0].unwrap() / 365f64.sqrt();
    let width = (forecast.quantiles[4] - forecast.quantiles[0]) / (2.0 * 1.56 * implied_daily);
    assert!(
        (0.5..1.6).contains(&width),
        "width against the implied one: {width}"
    );
    let none = QuantileModel::fit(&data.known_at(DAY_MICROS), &FitConfig::default());
    assert!(matches!(
        none,
        Err(ModelError::TooFewRows {
            found: 1,
            needed: 2
        })
    ));
}

#[test]
fn options_that_start_late_are_used_from_their_first_day() {
    // 100 days of returns before the first quotes, as in an archive whose chains begin later than its prices.
    let mut market = simulate(140, 6);
    for row in market.rows.iter_mut().take(HISTORY + 130) {
        row[..3].fill(None);
    }
    let data = dataset(&market, 24);
    let model =
        QuantileModel::fit(&data.known_at(132 * DAY_MICROS), &FitConfig::default()).unwrap();
    let row = data.row(132).to_vec();
    let calm: Vec<Option<f64>> = row
        .iter()
        .enumerate()
        .map(|(i, v)| if i < 2 { v.map(|v| 0.7 * v) } else { *v })
        .collect();
    let (wide, narrow) = (model.predict(&row).unwrap(), model.predict(&calm).unwrap());
    assert!(wide.present.contains(&"options".to_string()));
    assert!(narrow.scale < 0.9 * wide.scale);
}

#[test]
fn a_saved_model_predicts_the_same_bits() {
    let market = simulate(160, 9);
    let data = dataset(&market, 168);
    let model =
        QuantileModel::fit(&data.known_at(150 * DAY_MICROS), &FitConfig::default()).unwrap();
    let expected = model.predict(data.row(155)).unwrap();
    let text = model.into_artifact(0).to_json().unwrap();
    let read: Artifact<QuantileModel> = Artifact::from_json(&text).unwrap();
    assert_eq!(read.features.len(), 15 + return_feature_schema().len());
    assert_eq!(read.trained_to, 150 * DAY_MICROS);
    assert_eq!(read.model.predict(data.row(155)).unwrap(), expected);
    assert_eq!(read.to_json().unwrap(), text);
    assert!(Artifact::<QuantileModel>::from_json("{}").is_err());
}

#[test]
fn a_flat_market_gives_a_finite_forecast() {
    let features = vec![
        Feature::new("rv", "returns", Role::RealisedVol),
        Feature::new("x", "other", Role::Plain),
    ];
    let rows = (0..50)
        .map(|i| {
            let t = i * DAY_MICROS;
            (
                t,
                vec![None, Some(1.0)],
                Some(Label {
                    known_at: t + DAY_MICROS,
                    total: 0.0,
                    path: vec![0.0],
                }),
            )
        })
        .collect();
    let data = Dataset::from_rows(features, 24, rows).unwrap();
    let forecast = QuantileModel::fit(&data, &FitConfig::default())
        .unwrap()
        .predict(data.row(49))
        .unwrap();
    assert!(
        forecast
            .quantiles
            .iter()
            .all(|q| q.is_finite() && q.abs() < 0.01)
    );
    assert_eq!(
        forecast.basis(),
        "history;absent:returns;no_anchor;untrained:other"
    );
}
