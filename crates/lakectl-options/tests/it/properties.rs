//! What holds for every option, whatever its numbers: parity, bounds, order, convexity, scale, round trips,
//! and typed answers to any double at all.

use lakectl_options::black::{BlackInput, coin_greeks, greeks, price};
use lakectl_options::clean::{CleaningRules, QuoteFacts, exclusions};
use lakectl_options::display::deribit_greeks;
use lakectl_options::forward::{
    ForwardCurve, ParityQuote, continuous_rate, parity_coin, parity_median, parity_nearest,
    parity_regression, parity_regression_coin,
};
use lakectl_options::implied::{implied_vol, implied_vol_coin, quote_vol};
use lakectl_options::synthetic::{Comparison, Skew, Synthetic, atm_vol, realised_vol, score};
use lakectl_options::{OptionKind, Settlement};
use proptest::prelude::*;

const KINDS: [OptionKind; 2] = [OptionKind::Call, OptionKind::Put];

fn premium(kind: OptionKind, f: f64, k: f64, t: f64, vol: f64) -> f64 {
    price(&BlackInput::forward(kind, f, k, t, vol)).unwrap()
}

/// Any double: ordinary ones, the edges of the format, and what is no number.
fn anything() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => any::<f64>(),
        3 => (-1e6_f64..1e6).boxed(),
        2 => (-12.0_f64..12.0).prop_map(f64::exp),
        1 => prop::sample::select(vec![
            0.0, -0.0, 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324,
            f64::MAX, f64::MIN, f64::EPSILON, 1e-300, 1e300, 1e6, 1.0 / 525_600.0,
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn parity_and_bounds(
        f in 1e-3_f64..1e6, x in -2.0_f64..2.0, t in 1e-5_f64..3.0, vol in 0.01_f64..4.0, r in -0.2_f64..0.2
    ) {
        let k = f * x.exp();
        let discount = (-r * t).exp();
        let bound = discount * (1.0 + 1e-15);
        let of = |kind| greeks(&BlackInput::forward(kind, f, k, t, vol).discounted(r)).unwrap();
        let (call, put) = (of(OptionKind::Call), of(OptionKind::Put));
        let slack = 1e-13 * (f + k) * discount.max(1.0);
        prop_assert!((call.price - put.price - discount * (f - k)).abs() <= slack);
        prop_assert!(call.price <= discount * f + slack && put.price <= discount * k + slack);
        prop_assert!(call.price >= discount * (f - k).max(0.0) - slack);
        prop_assert!(put.price >= discount * (k - f).max(0.0) - slack);
        prop_assert!((0.0..=bound).contains(&call.delta) && (-bound..=0.0).contains(&put.delta));
        prop_assert!(call.gamma >= 0.0 && call.vega >= 0.0);
        prop_assert!((call.vanna - put.vanna).abs() <= 1e-12 * call.vanna.abs());
        prop_assert_eq!(call.volga, call.vomma());
        let coin = coin_greeks(&BlackInput::forward(OptionKind::Put, f, k, t, vol).discounted(r)).unwrap();
        prop_assert!((coin.price * f - put.price).abs() <= 1e-13 * put.price + 1e-290);
        prop_assert!((coin.premium_adjusted_delta - (put.delta - coin.price)).abs() < 1e-13 * (1.0 + k / f));
    }

    #[test]
    fn order_and_convexity(
        x in -1.0_f64..1.0, t in 0.001_f64..2.0, vol in 0.05_f64..3.0, step in 0.001_f64..0.3
    ) {
        let (f, k) = (60_000.0, 60_000.0 * x.exp());
        let slack = 1e-12 * (f + k);
        for kind in KINDS {
            let at = premium(kind, f, k, t, vol);
            let (lower, higher) = (premium(kind, f, k * (1.0 - step), t, vol), premium(kind, f, k * (1.0 + step), t, vol));
            let falls = kind.sign() * (lower - higher);
            prop_assert!(falls >= -slack, "a call falls with the strike, a put rises");
            prop_assert!(lower + higher - 2.0 * at >= -slack, "convex in the strike");
            let (down, up) = (premium(kind, f * (1.0 - step), k, t, vol), premium(kind, f * (1.0 + step), k, t, vol));
            prop_assert!(kind.sign() * (up - down) >= -slack, "a call rises with the forward");
            prop_assert!(up + down - 2.0 * at >= -slack, "convex in the forward");
            prop_assert!(premium(kind, f, k, t, vol * (1.0 + step)) >= at - slack, "rises with volatility");
            prop_assert!(premium(kind, f, k, t * (1.0 + step), vol) >= at - slack, "rises with time");
        }
    }

    #[test]
    fn scale_and_symmetry(
        x in -1.0_f64..1.0, t in 0.001_f64..2.0, vol in 0.05_f64..3.0, size in 1e-6_f64..1e6
    ) {
        let k = x.exp();
        for kind in KINDS {
            let one = greeks(&BlackInput::forward(kind, 1.0, k, t, vol)).unwrap();
            let many = greeks(&BlackInput::forward(kind, size, size * k, t, vol)).unwrap();
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs() + 1e-15;
            prop_assert!(near(many.price / size, one.price) && near(many.delta, one.delta));
            prop_assert!(near(many.gamma * size, one.gamma) && near(many.vega / size, one.vega));
            // Total variance is all that time and volatility do to the price.
            let other = premium(kind, 1.0, k, 4.0 * t, 0.5 * vol);
            prop_assert!((other - one.price).abs() <= 1e-12 * one.price + 1e-15);
        }
        // A call at k is a put at -k, in units of the strike.
        let call = premium(OptionKind::Call, 1.0, k, t, vol);
        let put = premium(OptionKind::Put, 1.0, 1.0 / k, t, vol) * k;
        prop_assert!((call - put).abs() <= 1e-12 * call + 1e-15);
    }

    #[test]
    fn a_price_has_the_volatility_it_was_made_with(
        d in -3.0_f64..3.0, t in 1e-5_f64..3.0, vol in 0.02_f64..4.0, spread in 0.001_f64..0.2
    ) {
        let f = 2_500.0;
        let k = f * (d * vol * t.sqrt()).exp();
        let kind = if k >= f { OptionKind::Call } else { OptionKind::Put };
        let usd = premium(kind, f, k, t, vol);
        let found = implied_vol(kind, usd, f, k, t).unwrap();
        prop_assert!((found / vol - 1.0).abs() < 1e-10, "{found} {vol}");
        let coin = implied_vol_coin(kind, usd / f, f, k, t).unwrap();
        prop_assert!((coin / vol - 1.0).abs() < 1e-10);
        let (bid, ask) = (premium(kind, f, k, t, vol * (1.0 - spread)), premium(kind, f, k, t, vol * (1.0 + spread)));
        let q = quote_vol(kind, bid, ask, f, k, t).unwrap();
        prop_assert!((q.half_width - vol * spread).abs() < 1e-9);
        prop_assert!(q.bid <= q.mid && q.mid <= q.ask);
        // More money is more volatility.
        let more = usd + 0.001 * (f.min(k) - usd);
        prop_assert!(implied_vol(kind, more, f, k, t).is_ok_and(|v| v > found));
    }

    #[test]
    fn forwards_survive_their_own_quotes(
        f in 1.0_f64..1e6, discount in 0.5_f64..1.2, steps in 3_u32..30, width in 0.01_f64..0.9
    ) {
        let quotes: Vec<ParityQuote> = (0..steps)
            .map(|i| f * (1.0 + width * (f64::from(i) / f64::from(steps) - 0.5)))
            .map(|strike| ParityQuote { strike, call: f + discount * (f - strike), put: f })
            .collect();
        let line = parity_regression(&quotes).unwrap();
        prop_assert!((line.forward / f - 1.0).abs() < 1e-9 && (line.discount / discount - 1.0).abs() < 1e-9);
        prop_assert!((parity_median(&quotes, discount).unwrap().forward / f - 1.0).abs() < 1e-12);
        prop_assert!((parity_nearest(&quotes, discount).unwrap().forward / f - 1.0).abs() < 1e-12);
        let coin: Vec<ParityQuote> = quotes
            .iter()
            .map(|q| ParityQuote { call: q.call / f, put: q.put / f, ..*q })
            .collect();
        let line = parity_regression_coin(&coin).unwrap();
        prop_assert!((line.forward / f - 1.0).abs() < 1e-9 && (line.discount / discount - 1.0).abs() < 1e-9);
    }

    #[test]
    fn no_double_leads_to_nan_or_a_panic(
        x in prop::array::uniform8(anything()), call in any::<bool>(), linear in any::<bool>(), spot in any::<bool>()
    ) {
        let kind = if call { OptionKind::Call } else { OptionKind::Put };
        let settlement = if linear { Settlement::Linear } else { Settlement::Inverse };
        let base = BlackInput::forward(kind, x[0], x[1], x[2], x[3]);
        let input = if spot { base.on_spot(x[4], x[5]) } else { base.discounted(x[4]) };
        let finite = |values: &[f64]| values.iter().all(|v| v.is_finite());
        if let Ok(p) = price(&input) {
            prop_assert!(p.is_finite() && p >= 0.0);
        }
        if let Ok(g) = greeks(&input) {
            prop_assert!(finite(&[g.price, g.delta, g.gamma, g.vega, g.theta, g.rho]), "{:?}", g);
            prop_assert!(finite(&[g.vanna, g.volga, g.charm, g.speed, g.dual_delta]), "{:?}", g);
        }
        if let Ok(g) = coin_greeks(&input) {
            prop_assert!(finite(&[g.price, g.delta, g.premium_adjusted_delta, g.gamma, g.vega, g.theta]));
            prop_assert!(finite(&[g.vanna, g.volga, g.charm]));
        }
        if let Ok(g) = deribit_greeks(kind, settlement, x[0], x[1], x[2], x[3]) {
            prop_assert!(finite(&[g.mark_price, g.delta, g.net_delta, g.gamma, g.vega, g.theta, g.rho]), "{:?}", g);
        }
        for found in [implied_vol(kind, x[4], x[0], x[1], x[2]), implied_vol_coin(kind, x[4], x[0], x[1], x[2])] {
            prop_assert!(found.is_err() || found.is_ok_and(|v| v > 0.0 && v.is_finite()));
        }
        if let Ok(q) = quote_vol(kind, x[4], x[5], x[0], x[1], x[2]) {
            prop_assert!(finite(&[q.bid, q.ask, q.mid, q.half_width]));
        }
        let quotes: Vec<ParityQuote> = (0..3)
            .map(|i| ParityQuote { strike: x[i], call: x[i + 2], put: x[i + 4] })
            .collect();
        let fits = [
            parity_regression(&quotes), parity_regression_coin(&quotes), parity_median(&quotes, x[7]),
            parity_nearest(&quotes, x[7]), parity_coin(&quotes, 2),
        ];
        for fit in fits.into_iter().flatten() {
            prop_assert!(finite(&[fit.forward, fit.discount]) && fit.forward > 0.0);
        }
        if let Ok(curve) = ForwardCurve::new(x[0], &[(x[1], x[2]), (x[3], x[4])]) {
            prop_assert!(curve.at(x[5]).is_err() || curve.at(x[5]).is_ok_and(|f| f > 0.0 && f.is_finite()));
        }
        prop_assert!(continuous_rate(x[0], x[1], x[2]).map_or(true, f64::is_finite));
        let some = |v: f64| Some(v).filter(|_| call);
        let facts = QuoteFacts { expiry_years: x[0], bid: some(x[1]), ask: Some(x[2]), iv: Some(x[3]), open_interest: Some(x[4]), age_s: some(x[5]) };
        let rules = CleaningRules { spread_max: x[6], ..CleaningRules::default() };
        prop_assert!(exclusions(&facts, &rules).iter().count() <= 9);
        let skew = Skew::fit(&[(x[0], x[1]), (x[2], x[3]), (x[4], x[5])]);
        prop_assert!(finite(&skew.ratios));
        let model = Synthetic { realised: x[0], multiplier: x[1], calls: skew, puts: skew };
        prop_assert!(model.vol(kind, x[2], x[3], x[4]).is_none_or(|v| v > 0.0 && v.is_finite()));
        prop_assert!(realised_vol(&x).is_none_or(f64::is_finite));
        prop_assert!(atm_vol(&[(x[0], x[1]), (x[2], x[3])]).is_none_or(f64::is_finite));
        let one = Comparison { model: (x[0], x[1]), market: (x[2], x[3]), vega: x[4], sides: Some((x[5], x[6])) };
        if let Some(s) = score(&[one, one]) {
            prop_assert!(finite(&[s.mae_vol, s.bias_vol, s.mae_share, s.bias_share, s.vega]), "{:?}", s);
        }
    }
}

/// The awkward options that venues do list, and those that only mistakes make.
#[test]
fn awkward_options_have_answers() {
    use lakectl_options::black::BlackError;
    use lakectl_options::implied::ImpliedError;
    let minute = 1.0 / 525_600.0;
    for kind in KINDS {
        let ok = |f, k, t, vol| greeks(&BlackInput::forward(kind, f, k, t, vol));
        // Minutes to expiry, at, in and out of the money.
        for k in [59_000.0, 60_000.0, 61_000.0] {
            assert!(ok(60_000.0, k, minute, 0.6).is_ok());
        }
        let far = ok(60_000.0, 1e6, 0.2, 0.6).unwrap();
        assert!(far.price.is_finite() && far.gamma >= 0.0);
        // Expired on the hour: no time is left.
        assert_eq!(ok(60_000.0, 60_000.0, 0.0, 0.6), Err(BlackError::Expiry));
        assert_eq!(ok(0.0, 60_000.0, 0.1, 0.6), Err(BlackError::Underlying));
        assert_eq!(ok(60_000.0, -1.0, 0.1, 0.6), Err(BlackError::Strike));
        assert_eq!(
            ok(60_000.0, 60_000.0, 0.1, 0.0),
            Err(BlackError::Volatility)
        );
        let iv = |price, k, t| implied_vol(kind, price, 60_000.0, k, t);
        assert_eq!(iv(0.0, 60_000.0, 0.1), Err(ImpliedError::NoTimeValue));
        assert_eq!(iv(-1.0, 60_000.0, 0.1), Err(ImpliedError::BelowIntrinsic));
        assert_eq!(iv(100.0, 60_000.0, 0.0), Err(ImpliedError::BadInput));
        assert_eq!(iv(f64::NAN, 60_000.0, 0.1), Err(ImpliedError::BadInput));
        let in_the_money = 60_000.0 - 5_000.0 * kind.sign();
        assert_eq!(
            iv(4_999.0, in_the_money, 0.1),
            Err(ImpliedError::BelowIntrinsic)
        );
        assert_eq!(
            iv(5_000.0, in_the_money, 0.1),
            Err(ImpliedError::NoTimeValue)
        );
        assert_eq!(iv(2e6, 1e6, 0.1), Err(ImpliedError::AboveMax));
        assert!(iv(100.0, 60_000.0, minute).is_ok());
    }
    let million = implied_vol(OptionKind::Call, 6.0, 60_000.0, 1e6, 0.2).unwrap();
    assert!((1.0..4.0).contains(&million), "{million}");
}

/// A coin-settled and a dollar-settled option side by side: each in its own unit, the same volatility.
#[test]
fn inverse_and_linear_options_mix() {
    let btc = BlackInput::forward(OptionKind::Call, 60_000.0, 65_000.0, 0.1, 0.6);
    let eth = BlackInput::forward(OptionKind::Put, 2_500.0, 2_400.0, 0.1, 0.8);
    let coin = coin_greeks(&btc).unwrap();
    let usd = greeks(&eth).unwrap();
    assert!(coin.price < 0.1 && usd.price > 10.0);
    let (b, e) = (
        implied_vol_coin(btc.kind, coin.price, btc.underlying, btc.strike, 0.1).unwrap(),
        implied_vol(eth.kind, usd.price, eth.underlying, eth.strike, 0.1).unwrap(),
    );
    assert!((b - 0.6).abs() < 1e-12 && (e - 0.8).abs() < 1e-12);
    // The dollar price of the one read as the coin price of the other is above any price.
    assert!(implied_vol_coin(eth.kind, usd.price, eth.underlying, eth.strike, 0.1).is_err());
}
