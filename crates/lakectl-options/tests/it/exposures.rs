//! Model-free variance, densities and exposures against the generated oracle files.

use lakectl_options::OptionKind;
use lakectl_options::density::prices::from_calls;
use lakectl_options::exposure::{
    Book, DealerInventory, FlipStatus, Holding, OpenInterest, Scenario, Stickiness, Taker, grid,
    max_pain,
};
use lakectl_options::forward::{ParityQuote, parity_nearest};
use lakectl_options::index::{
    StripOption, Term, VarianceStrip, constant_maturity, interquartile_mean, variance_strip,
};
use serde_json::Value;

use crate::oracles::{cases, float, floats};

fn close(found: f64, wanted: f64, tolerance: f64, what: &str) {
    let error = (found - wanted).abs() / wanted.abs().max(f64::MIN_POSITIVE);
    assert!(error <= tolerance, "{what}: {found} {wanted} {error:e}");
}

fn chain(term: &Value) -> (f64, f64, Vec<StripOption>) {
    let (forward, years) = (float(&term["F"]), float(&term["T"]));
    let strikes = floats(&term["K"]);
    let side = |kind, name: &str| {
        let prices = floats(&term[name]);
        let option = |(strike, coin): (&f64, f64)| StripOption {
            kind,
            strike: *strike,
            price: coin * forward,
        };
        strikes.iter().zip(prices).map(option).collect::<Vec<_>>()
    };
    let mut options = side(OptionKind::Call, "call_coin");
    options.extend(side(OptionKind::Put, "put_coin"));
    (forward, years, options)
}

#[test]
fn variance_strips_and_the_thirty_day_index() {
    for case in cases("varswap_dvol.json") {
        let name = case["name"].as_str().unwrap();
        let mut strips: Vec<(f64, VarianceStrip)> = Vec::new();
        for term in case["terms"].as_array().unwrap() {
            let (forward, years, options) = chain(term);
            let strip = variance_strip(&options, forward, years).unwrap();
            close(strip.variance, float(&term["var"]), 1e-10, name);
            close(strip.vol(), float(&term["vol"]), 1e-10, name);
            assert_eq!(strip.cut_off_strike, float(&term["K0"]), "{name}");
            // The forward is the one that parity gives at the strike where call and put are closest.
            let half = options.len() / 2;
            let pairs: Vec<ParityQuote> = (0..half)
                .map(|i| ParityQuote {
                    strike: options[i].strike,
                    call: options[i].price,
                    put: options[half + i].price,
                })
                .collect();
            close(
                parity_nearest(&pairs, 1.0).unwrap().forward,
                forward,
                1e-10,
                name,
            );
            strips.push((years, strip));
        }
        let term = |i: usize| Term {
            expiry_years: strips[i].0,
            variance: strips[i].1.variance,
        };
        let found = constant_maturity(term(0), term(1), 30.0 / 365.0);
        if case["extrapolates"].as_bool().unwrap() {
            assert!(found.is_err(), "{name}");
        } else {
            let found = found.unwrap();
            close(100.0 * found.vol, float(&case["dvol"]), 1e-10, name);
            close(found.near_weight, float(&case["weight_near"]), 1e-10, name);
        }
    }
}

#[test]
fn the_index_is_smoothed_by_an_interquartile_mean() {
    let cases = cases("overlays_iqm.json");
    let iqm: Vec<&Value> = cases
        .iter()
        .filter(|case| case["kind"] == "iqm120")
        .collect();
    assert!(!iqm.is_empty());
    for case in iqm {
        close(
            interquartile_mean(&floats(&case["x"])).unwrap(),
            float(&case["iqm"]),
            1e-12,
            "iqm",
        );
    }
}

#[test]
fn densities_of_lognormal_mixtures() {
    for case in cases("rnd_bl.json") {
        let name = case["name"].as_str().unwrap();
        let (forward, years) = (float(&case["F"]), float(&case["T"]));
        let [strikes, calls, pdf, cdf] = ["K", "call", "pdf", "cdf"].map(|key| floats(&case[key]));
        let found = from_calls(&strikes, &calls).unwrap();
        let peak = pdf.iter().copied().fold(0.0, f64::max);
        for i in 0..found.strikes.len() {
            assert!(
                (found.density[i] - pdf[i + 1]).abs() <= 0.02 * peak,
                "{name} {}",
                found.strikes[i]
            );
            assert!(
                (found.cumulative[i] - cdf[i + 1]).abs() <= 5e-3,
                "{name} {}",
                found.strikes[i]
            );
        }
        for (moneyness, mass) in case["tail_mass"].as_object().unwrap() {
            let share: f64 = moneyness.parse().unwrap();
            let below = found.below(share * forward).unwrap();
            let tail = if share < 1.0 { below } else { 1.0 - below };
            assert!(
                (tail - float(mass)).abs() <= 5e-3,
                "{name} {moneyness}: {tail}"
            );
        }
        let option = |kind, strike: f64, price: f64| StripOption {
            kind,
            strike,
            price,
        };
        let options: Vec<StripOption> = strikes
            .iter()
            .zip(&calls)
            .flat_map(|(k, c)| {
                let put = (c - forward + k).max(0.0);
                [
                    option(OptionKind::Call, *k, *c),
                    option(OptionKind::Put, *k, put),
                ]
            })
            .collect();
        let vol = variance_strip(&options, forward, years).unwrap().vol();
        assert!(
            (vol - float(&case["varswap_vol"])).abs() <= 2e-3,
            "{name}: {vol}"
        );
    }
}

fn kind(value: &Value) -> OptionKind {
    if value["type"] == "C" {
        OptionKind::Call
    } else {
        OptionKind::Put
    }
}

fn holding(option: &Value, spot: f64, position: f64) -> Holding<1> {
    Holding {
        kind: kind(option),
        strike: float(&option["K"]),
        expiry_years: float(&option["T"]),
        forward: spot,
        vol: float(&option["iv"]),
        smile: None,
        positions: [position],
    }
}

#[test]
fn exposures_profiles_walls_and_pain() {
    for case in cases("gex.json") {
        let spot = float(&case["S"]);
        let options = case["options"].as_array().unwrap();
        let signed = |o: &Value| Scenario::Naive.position(kind(o), float(&o["oi"])).unwrap();
        let holdings: Vec<Holding<1>> = options
            .iter()
            .map(|o| holding(o, spot, signed(o)))
            .collect();
        let book = Book::new(spot, &holdings).unwrap();
        let [at] = book.at(1.0, Stickiness::Strike).unwrap();
        close(
            at.gamma_usd,
            float(&case["gex_usd_per_1pct"]),
            1e-9,
            "gamma",
        );
        close(
            at.vanna_usd,
            float(&case["vanna_usd_per_1volpt"]),
            1e-9,
            "vanna",
        );
        close(
            at.charm_usd,
            float(&case["charm_usd_per_day"]),
            1e-9,
            "charm",
        );
        let gross = book.gross_gamma_usd().unwrap()[0];
        close(
            gross,
            float(&case["gross_gamma_usd_per_1pct"]),
            1e-9,
            "gross",
        );
        for (level, gamma) in floats(&case["profile_S"])
            .iter()
            .zip(floats(&case["profile_gex"]))
        {
            let [at] = book.at(level / spot, Stickiness::Strike).unwrap();
            close(at.gamma_usd, gamma, 1e-9, "profile");
        }
        let shape = book
            .profile(grid(240), Stickiness::Strike)
            .unwrap()
            .shape(0)
            .unwrap();
        let roots = floats(&case["zero_gamma"]);
        assert_eq!(shape.zero_gamma.len(), roots.len());
        for (found, wanted) in shape.zero_gamma.iter().zip(&roots) {
            close(*found, *wanted, 1e-9, "root");
        }
        let flip = [FlipStatus::None, FlipStatus::Found, FlipStatus::Several][roots.len().min(2)];
        assert_eq!(shape.flip, flip);
        let strikes = book.gamma_by_strike().unwrap();
        assert_eq!(
            strikes.len(),
            case["gex_by_strike"].as_object().unwrap().len()
        );
        for (strike, gamma) in &strikes {
            close(
                gamma[0],
                float(&case["gex_by_strike"][format!("{strike:.1}")]),
                1e-9,
                "strike",
            );
        }
        let walls = book.walls(0).unwrap();
        assert_eq!(walls.call_wall, Some(float(&case["call_wall"])));
        assert_eq!(walls.put_wall, Some(float(&case["put_wall"])));
        let open: Vec<OpenInterest> = options
            .iter()
            .map(|o| OpenInterest {
                kind: kind(o),
                strike: float(&o["K"]),
                contracts: float(&o["oi"]),
            })
            .collect();
        assert_eq!(max_pain(&open), Some(float(&case["max_pain"])));
    }
}

#[test]
fn dealers_hold_what_takers_sold() {
    for case in cases("gex_takerflow.json") {
        let spot = float(&case["S"]);
        let mut inventory = DealerInventory::default();
        for trade in case["trades"].as_array().unwrap() {
            let taker = if trade["direction"] == "buy" {
                Taker::Buy
            } else {
                Taker::Sell
            };
            assert!(inventory.trade(
                trade["instrument"].as_str().unwrap(),
                taker,
                float(&trade["amount"])
            ));
        }
        for (name, contracts) in case["dealer_inventory"].as_object().unwrap() {
            assert!(
                (inventory.contracts(name) - float(contracts)).abs() <= 1e-9,
                "{name}"
            );
        }
        let instruments = case["instruments"].as_object().unwrap();
        let holdings: Vec<Holding<1>> = instruments
            .iter()
            .map(|(name, o)| holding(o, spot, inventory.contracts(name)))
            .collect();
        let book = Book::new(spot, &holdings).unwrap();
        let [at] = book.at(1.0, Stickiness::Strike).unwrap();
        close(
            at.gamma_usd,
            float(&case["gex_usd_per_1pct"]),
            1e-9,
            "gamma",
        );
        close(
            at.vanna_usd,
            float(&case["vanna_usd_per_1volpt"]),
            1e-9,
            "vanna",
        );
        close(
            at.charm_usd,
            float(&case["charm_usd_per_day"]),
            1e-9,
            "charm",
        );
        close(
            book.delta_usd().unwrap()[0],
            float(&case["dealer_delta_usd"]),
            1e-9,
            "delta",
        );
    }
}
