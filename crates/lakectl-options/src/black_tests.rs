use super::*;

const BASE: BlackInput = BlackInput::forward(OptionKind::Call, 60_000.0, 65_000.0, 0.25, 0.6);

/// Five-point central difference.
fn slope(f: impl Fn(f64) -> f64, x: f64) -> f64 {
    let h = 1e-3 * x.abs().max(1e-3);
    (8.0 * (f(x + h) - f(x - h)) - (f(x + 2.0 * h) - f(x - 2.0 * h))) / (12.0 * h)
}

fn near(found: f64, wanted: f64, what: &str) {
    assert!(
        (found / wanted - 1.0).abs() < 1e-6,
        "{what}: {found} {wanted}"
    );
}

#[test]
fn greeks_are_the_derivatives_of_the_price() {
    for kind in [OptionKind::Call, OptionKind::Put] {
        let base = BlackInput { kind, ..BASE };
        for x in [base, base.discounted(0.05), base.on_spot(0.05, 0.02)] {
            let g = |x: BlackInput| greeks(&x).unwrap();
            let at = g(x);
            let by_f = |v: f64| BlackInput { underlying: v, ..x };
            let by_k = |v: f64| BlackInput { strike: v, ..x };
            let by_s = |v: f64| BlackInput { vol: v, ..x };
            let by_t = |v: f64| BlackInput {
                expiry_years: v,
                ..x
            };
            near(slope(|v| g(by_f(v)).price, x.underlying), at.delta, "delta");
            near(slope(|v| g(by_f(v)).delta, x.underlying), at.gamma, "gamma");
            near(slope(|v| g(by_f(v)).gamma, x.underlying), at.speed, "speed");
            near(slope(|v| g(by_k(v)).price, x.strike), at.dual_delta, "dual");
            let by_r = |v: f64| BlackInput { rate: v, ..x };
            near(slope(|v| g(by_r(v)).price, x.rate), at.rho, "rho");
            near(slope(|v| g(by_s(v)).price, x.vol), at.vega, "vega");
            near(slope(|v| g(by_s(v)).delta, x.vol), at.vanna, "vanna");
            near(slope(|v| g(by_s(v)).vega, x.vol), at.volga, "volga");
            near(
                -slope(|v| g(by_t(v)).price, x.expiry_years),
                at.theta,
                "theta",
            );
            near(
                -slope(|v| g(by_t(v)).delta, x.expiry_years),
                at.charm,
                "charm",
            );
        }
    }
}

#[test]
fn what_has_no_price_is_a_typed_error() {
    let cases = [
        (
            BlackInput {
                underlying: 0.0,
                ..BASE
            },
            BlackError::Underlying,
        ),
        (
            BlackInput {
                underlying: f64::INFINITY,
                ..BASE
            },
            BlackError::Underlying,
        ),
        (
            BlackInput {
                strike: f64::NAN,
                ..BASE
            },
            BlackError::Strike,
        ),
        (
            BlackInput {
                expiry_years: 0.0,
                ..BASE
            },
            BlackError::Expiry,
        ),
        (BlackInput { vol: -0.1, ..BASE }, BlackError::Volatility),
        (
            BlackInput {
                vol: 1e-320,
                expiry_years: 1e-300,
                ..BASE
            },
            BlackError::Volatility,
        ),
        (BASE.discounted(f64::NAN), BlackError::Rate),
    ];
    for (input, error) in cases {
        assert_eq!(price(&input), Err(error));
        assert_eq!(greeks(&input).map(|g| g.price), Err(error));
        assert_eq!(coin_greeks(&input).map(|g| g.price), Err(error));
    }
    let narrow = BlackInput {
        vol: 1e-200,
        strike: 60_000.0,
        ..BASE
    };
    assert!(greeks(&narrow).is_ok_and(|g| g.price >= 0.0 && g.vega > 0.0));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn parity_holds_and_nothing_is_nan(
        f in 1e-3_f64..1e6, moneyness in -3.0_f64..3.0, t in 1e-6_f64..5.0, vol in 1e-3_f64..5.0
    ) {
        let call = BlackInput::forward(OptionKind::Call, f, f * moneyness.exp(), t, vol);
        let put = BlackInput { kind: OptionKind::Put, ..call };
        let (c, p) = (greeks(&call).unwrap(), greeks(&put).unwrap());
        proptest::prop_assert!((c.price - p.price - (f - call.strike)).abs() <= 1e-13 * (f + call.strike));
        proptest::prop_assert!((c.delta - p.delta - 1.0).abs() < 1e-14);
        proptest::prop_assert_eq!(c.gamma, p.gamma);
        let coin = coin_greeks(&put).unwrap();
        proptest::prop_assert!(coin.premium_adjusted_delta <= 0.0);
        proptest::prop_assert!(c.price >= 0.0 && p.price >= 0.0);
    }
}
