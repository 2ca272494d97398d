//! The generated oracle files, at the tolerance that each of them demands.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lakectl_options::OptionKind;
use lakectl_options::black::{BlackInput, coin_greeks, greeks};
use lakectl_options::forward::{
    ForwardCurve, ParityQuote, parity_median, parity_nearest, parity_regression,
};
use lakectl_options::implied::{ImpliedError, implied_vol, implied_vol_coin};
use lakectl_options::smile::{JumpWings, RawSvi, Smile, calendar};
use lakectl_options::strike::{
    DeltaConvention, delta_quotes, neutral_k, smile_delta, strike_from_delta,
};
use serde_json::Value;

fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/oracles"
    ))
    .join(name)
}

type Row = BTreeMap<String, String>;

fn rows(name: &str) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path(name)).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

pub(crate) fn cases(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path(name)).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    file["cases"].as_array_mut().unwrap().drain(..).collect()
}

fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap()
}

pub(crate) fn float(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

pub(crate) fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(float).collect()
}

fn kind(letter: &str) -> OptionKind {
    if letter == "C" {
        OptionKind::Call
    } else {
        OptionKind::Put
    }
}

/// Relative error, with the subnormal range counted as zero.
fn relative(found: f64, wanted: f64) -> f64 {
    if wanted.abs() < 1e-290 && found.abs() < 1e-290 {
        0.0
    } else {
        (found / wanted - 1.0).abs()
    }
}

#[test]
fn black_prices_and_greeks() {
    let mut worst: BTreeMap<String, (f64, String)> = BTreeMap::new();
    for row in rows("bs76_greeks.csv") {
        let n = |column: &str| number(&row, column);
        let base = BlackInput::forward(kind(&row["type"]), n("F_or_S"), n("K"), n("T"), n("sigma"));
        let on_forward = row["model"] == "B76";
        let input = if on_forward {
            base.discounted(n("r"))
        } else {
            base.on_spot(n("r"), n("q"))
        };
        let g = greeks(&input).unwrap();
        let mut found = vec![
            ("price", g.price),
            ("delta", g.delta),
            ("gamma", g.gamma),
            ("vega", g.vega),
            ("theta", g.theta),
            ("vanna", g.vanna),
            ("volga", g.volga),
            ("charm", g.charm),
            ("rho", g.rho),
        ];
        if on_forward {
            let c = coin_greeks(&input).unwrap();
            found.extend([
                ("coin_price", c.price),
                ("coin_delta", c.delta),
                ("coin_vega", c.vega),
                ("coin_pa_delta", c.premium_adjusted_delta),
                ("coin_gamma", c.gamma),
                ("coin_theta", c.theta),
                ("coin_vanna", c.vanna),
                ("coin_volga", c.volga),
                ("coin_charm", c.charm),
            ]);
        }
        let tolerance = match row["kind"].as_str() {
            "core" => 1e-11,
            "rates" => 1e-12,
            _ => 1e-9,
        };
        for (name, value) in found {
            let error = relative(value, n(name));
            assert!(
                error <= tolerance,
                "{name} {value} off by {error:e}: {row:?}"
            );
            let entry = worst.entry(row["kind"].clone()).or_default();
            if error > entry.0 {
                *entry = (error, name.to_owned());
            }
        }
    }
    eprintln!("black: largest relative error {worst:?}");
}

#[test]
fn implied_volatilities() {
    let mut solved = 0;
    let mut worst = 0.0_f64;
    for row in rows("implied_vol.csv") {
        let n = |column: &str| number(&row, column);
        let coin = row["quote"] == "coin";
        let solve = if coin { implied_vol_coin } else { implied_vol };
        let found = solve(kind(&row["type"]), n("price"), n("F"), n("K"), n("T"));
        match row["status"].as_str() {
            "ok" => {
                let error = relative(found.unwrap(), n("sigma"));
                let eps = f64::EPSILON;
                let allowed =
                    (4.0 * eps).max(8.0 * n("rel_cond")) + if coin { 4.0 * eps } else { 0.0 };
                assert!(error <= allowed, "{error:e} > {allowed:e}: {row:?}");
                worst = worst.max(error / allowed);
                solved += 1;
            }
            "ill_conditioned" => assert!(
                found.map_or_else(
                    |e| e == ImpliedError::NoTimeValue,
                    |v| v.is_finite() && v >= 0.0
                ),
                "{row:?}"
            ),
            "no_time_value" => assert_eq!(found, Err(ImpliedError::NoTimeValue), "{row:?}"),
            "below_intrinsic" => assert_eq!(found, Err(ImpliedError::BelowIntrinsic), "{row:?}"),
            "above_max" => assert_eq!(found, Err(ImpliedError::AboveMax), "{row:?}"),
            _ => assert_eq!(found, Err(ImpliedError::BadInput), "{row:?}"),
        }
    }
    eprintln!("implied volatility: {solved} solved, largest error {worst:.2} of the allowance");
    assert!(solved > 100);
}

pub(crate) fn raw(params: &Value) -> RawSvi {
    let p = |name: &str| float(&params[name]);
    RawSvi {
        a: p("a"),
        b: p("b"),
        rho: p("rho"),
        m: p("m"),
        sigma: p("sigma"),
    }
}

#[test]
fn svi_slices() {
    let close = |found: f64, wanted: f64, tolerance: f64, what: &str| {
        // A slope at the bottom of the smile is the rounding of its terms.
        let fine = relative(found, wanted) <= tolerance || (found - wanted).abs() <= 1e-16;
        assert!(fine, "{what}: {found} {wanted}");
    };
    let mut worst_g = 0.0_f64;
    let mut worst_min = 0.0_f64;
    for case in cases("svi_cases.json") {
        let svi = raw(&case["params"]);
        let name = case["name"].as_str().unwrap();
        for (i, k) in floats(&case["k"]).into_iter().enumerate() {
            close(svi.total_variance(k), float(&case["w"][i]), 1e-12, name);
            close(svi.slope(k), float(&case["w1"][i]), 1e-12, name);
            close(svi.curvature(k), float(&case["w2"][i]), 1e-12, name);
            if let Some(g) = case["g"][i].as_f64() {
                let error = (svi.density_factor(k) - g).abs();
                assert!(
                    error <= 1e-11 * g.abs().max(1.0),
                    "{name} g({k}) off by {error:e}"
                );
                worst_g = worst_g.max(error);
            }
        }
        close(svi.min_variance(), float(&case["w_min"]), 1e-12, name);
        let found = svi.butterfly();
        assert_eq!(
            found.free,
            case["butterfly_free"].as_bool().unwrap(),
            "{name} {found:?}"
        );
        assert_eq!(found.lee_ok, case["lee_ok"].as_bool().unwrap(), "{name}");
        if let Some(g_min) = case["g_min"].as_f64() {
            let error = (found.g_min.unwrap() - g_min).abs();
            assert!(
                error <= 1e-8,
                "{name}: {found:?} {g_min} at {}",
                case["g_argmin"]
            );
            worst_min = worst_min.max(error);
            let limits = svi.density_factor_limits();
            close(limits.0, float(&case["g_limit_left"]), 1e-12, name);
            close(limits.1, float(&case["g_limit_right"]), 1e-12, name);
        } else {
            assert_eq!(found.g_min, None, "{name}");
        }
        if let Some(jw) = case["jw"].as_object() {
            let t = float(&case["t"]);
            let f = svi.to_jump_wings(t).unwrap();
            let pairs = [
                ("v", f.v),
                ("psi", f.psi),
                ("p", f.p),
                ("c", f.c),
                ("vt", f.vt),
            ];
            for (key, value) in pairs {
                close(value, float(&jw[key]), 1e-12, name);
            }
            let p = |key: &str| float(&jw[key]);
            let wings = JumpWings {
                v: p("v"),
                psi: p("psi"),
                p: p("p"),
                c: p("c"),
                vt: p("vt"),
            };
            if let Ok(back) = wings.to_raw(t) {
                let k = 0.3;
                close(back.total_variance(k), svi.total_variance(k), 1e-7, name);
            } else {
                assert_eq!(svi.b, 0.0, "{name}");
            }
        }
        if let Some(natural) = case["natural"].as_object() {
            let f = svi.to_natural().unwrap();
            let pairs = [
                ("Delta", f.delta),
                ("mu", f.mu),
                ("rho", f.rho),
                ("omega", f.omega),
                ("zeta", f.zeta),
            ];
            for (key, value) in pairs {
                close(value, float(&natural[key]), 1e-11, name);
            }
        }
    }
    eprintln!("svi: g off by at most {worst_g:e}, g_min by {worst_min:e}");
}

#[test]
fn calendar_crossings() {
    for case in cases("calendar_svi.json") {
        let slice = |key: &str| {
            let p = floats(&case[key]);
            RawSvi {
                a: p[0],
                b: p[1],
                m: p[2],
                rho: p[3],
                sigma: p[4],
            }
        };
        let found = calendar(&slice("near"), &slice("far"), 5.0).unwrap();
        assert_eq!(
            found.free,
            case["calendar_free_pm5"].as_bool().unwrap(),
            "{case}"
        );
        // The file has the smallest value on a grid of 0.025, at most a little above the true one.
        let slack = float(&case["min_diff"]) - found.min_gap;
        assert!((-1e-8..1e-4).contains(&slack), "{found:?} {case}");
        let wanted = floats(&case["crossings_k_in_pm5"]);
        assert_eq!(found.crossings.len(), wanted.len(), "{found:?} {case}");
        for (k, exact) in found.crossings.iter().zip(wanted) {
            assert!((k - exact).abs() < 1e-7, "{found:?} {case}");
        }
    }
}

#[test]
fn forwards_from_parity_and_futures() {
    for case in cases("forward_curve.json") {
        let near = |found: f64, wanted: &Value| {
            assert!(
                relative(found, float(wanted)) < 1e-9,
                "{found} {wanted} in {case}"
            );
        };
        if case["kind"] == "parity" {
            let quotes: Vec<ParityQuote> = case["rows"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| {
                    let row = floats(row);
                    ParityQuote {
                        strike: row[0],
                        call: row[1],
                        put: row[2],
                    }
                })
                .collect();
            let fit = parity_regression(&quotes).unwrap();
            near(fit.forward, &case["ols_F"]);
            near(fit.discount, &case["ols_D"]);
            near(
                parity_median(&quotes, 1.0).unwrap().forward,
                &case["median_F_r0"],
            );
            near(
                parity_nearest(&quotes, 1.0).unwrap().forward,
                &case["vix_F_r0"],
            );
        } else {
            let nodes: Vec<(f64, f64)> = floats(&case["T"])
                .into_iter()
                .zip(floats(&case["F"]))
                .collect();
            let curve = ForwardCurve::new(float(&case["S"]), &nodes).unwrap();
            for (i, t) in floats(&case["query_T"]).into_iter().enumerate() {
                near(curve.at(t).unwrap(), &case["F_query"][i]);
            }
        }
    }
}

#[test]
fn strikes_from_deltas() {
    for case in cases("delta_rr_bf.json") {
        let n = |key: &str| float(&case[key]);
        if case["kind"] == "strike_from_delta" {
            let convention = if case["convention"] == "premium_adjusted" {
                DeltaConvention::PremiumAdjusted
            } else {
                DeltaConvention::Forward
            };
            let kind = kind(case["type"].as_str().unwrap());
            let found = strike_from_delta(kind, n("delta"), n("F"), n("T"), n("sigma"), convention);
            if case["status"] == "ok" {
                assert!(
                    found.is_ok_and(|k| relative(k, n("K")) < 1e-9),
                    "{found:?} {case}"
                );
            } else {
                assert!(found.is_err(), "{found:?} {case}");
            }
        } else {
            let svi = raw(&case["params"]);
            let node = |kind, size| {
                let k = smile_delta(&svi, kind, size).unwrap();
                (k, svi.vol(k, n("T")).unwrap())
            };
            let cases = [
                (OptionKind::Call, 0.25, "25C"),
                (OptionKind::Put, 0.25, "25P"),
                (OptionKind::Call, 0.10, "10C"),
                (OptionKind::Put, 0.10, "10P"),
            ];
            let found = delta_quotes(&svi, n("T"), DeltaConvention::Forward).unwrap();
            let neutral = neutral_k(&svi, DeltaConvention::Forward).unwrap();
            let quoted = [
                ("atm_fwd", Some(found.atm_forward)),
                ("k_dns", Some(neutral)),
                ("atm_dns", found.atm_neutral),
                ("rr25", found.rr25),
                ("bf25", found.bf25),
                ("rr10", found.rr10),
                ("bf10", found.bf10),
            ];
            for (word, value) in quoted {
                // Differences of volatilities keep the digits that the volatilities have.
                let error = (value.unwrap() - n(word)).abs();
                assert!(
                    error < 1e-9 * n(word).abs().max(1e-4),
                    "{word} {error:e} {case}"
                );
            }
            for (kind, size, word) in cases {
                let (k, vol) = node(kind, size);
                assert!(relative(k, n(&format!("k_{word}"))) < 1e-9, "{k} {case}");
                assert!(
                    relative(vol, n(&format!("iv_{word}"))) < 1e-9,
                    "{vol} {case}"
                );
            }
        }
    }
}

#[test]
fn a_real_ticker_follows_the_stated_conventions() {
    for case in cases("deribit_conventions.json") {
        let n = |key: &str| float(&case[key]);
        let expiry: lakectl_core::UtcTime = case["expiry_utc"].as_str().unwrap().parse().unwrap();
        let now = (n("timestamp_ms") * 1000.0) as i64;
        let years = lakectl_options::contract::year_fraction(now, expiry.micros());
        let name = case["instrument"].as_str().unwrap();
        let option = lakectl_options::contract::parse_instrument(name).unwrap();
        assert_eq!(option.expiry, expiry);
        let forward = n("underlying_price");
        let input = BlackInput::forward(
            option.kind,
            forward,
            option.strike,
            years,
            n("mark_iv") / 100.0,
        );
        let g = greeks(&input).unwrap();
        let quoted = &case["greeks"];
        assert!((g.price / forward - n("mark_price")).abs() < 1e-4);
        assert!((g.delta - float(&quoted["delta"])).abs() < 2e-4);
        assert!(relative(g.vega / 100.0, float(&quoted["vega"])) < 2e-3);
        assert!(relative(g.theta / 365.0, float(&quoted["theta"])) < 2e-3);
        let shown = lakectl_options::display::deribit_greeks(
            option.kind,
            option.settlement,
            forward,
            option.strike,
            years,
            n("mark_iv") / 100.0,
        )
        .unwrap();
        assert!((shown.mark_price - n("mark_price")).abs() < 1e-4);
        assert!((shown.delta - float(&quoted["delta"])).abs() < 2e-4);
        // The ticker's gamma has five decimals.
        assert!((shown.gamma - float(&quoted["gamma"])).abs() < 5e-6);
        assert!(relative(shown.vega, float(&quoted["vega"])) < 2e-3);
        assert!(relative(shown.theta, float(&quoted["theta"])) < 2e-3);
        assert!(relative(shown.rho, float(&quoted["rho"])) < 3e-3);
        let spot_rho = greeks(&input.on_spot(0.0, 0.0)).unwrap().rho;
        assert!(relative(spot_rho / 100.0, float(&quoted["rho"])) < 3e-3);
    }
}

#[test]
fn synthetic_volatilities() {
    use lakectl_options::synthetic::{Skew, Synthetic, realised_vol};
    for case in cases("covered_call.json") {
        let n = |key: &str| float(&case[key]);
        if case["kind"] == "skew_anchor" {
            let ratios = ["0.15", "0.25", "0.35", "0.5"].map(|key| float(&case["anchors"][key]));
            let skew = Skew {
                ratios,
                ..Skew::FLAT
            };
            let model = Synthetic {
                realised: n("rv7"),
                multiplier: n("iv_multiplier"),
                calls: skew,
                puts: Skew::FLAT,
            };
            for (i, delta) in floats(&case["query_abs_delta"]).into_iter().enumerate() {
                assert!(relative(skew.at(delta), float(&case["skew"][i])) < 1e-9);
                let vol = model.vol_at_delta(OptionKind::Call, delta);
                assert!(relative(vol, float(&case["sigma"][i])) < 1e-9, "{case}");
            }
        } else if case["kind"] == "realised_vol" {
            let closes = floats(&case["close"]);
            for (days, key) in [(7, "rv7_std_ddof1"), (30, "rv30_std_ddof1")] {
                let found = realised_vol(&closes[closes.len() - days - 1..]).unwrap();
                assert!(relative(found, n(key)) < 1e-9, "{found} {case}");
            }
        }
    }
}
