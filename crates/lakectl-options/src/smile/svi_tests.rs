use super::*;

const VOGT: RawSvi = RawSvi {
    a: -0.041,
    b: 0.1331,
    rho: 0.306,
    m: 0.3586,
    sigma: 0.4153,
};

#[test]
fn vogt_is_flagged_and_repaired() {
    let before = VOGT.butterfly();
    assert!(!before.free && before.lee_ok);
    assert!((before.g_min.unwrap() + 0.032_863_573_453_6).abs() < 1e-12);
    let after = VOGT.repaired(1.0).unwrap();
    assert!(after.butterfly().free);
    assert!((after.total_variance(0.0) - VOGT.total_variance(0.0)).abs() < 1e-15);
    assert!((after.rho + 0.334_04).abs() < 1e-4 && (after.b - 0.069_24).abs() < 1e-4);
}

#[test]
fn search_points_are_ascending_and_reach_both_ends() {
    for svi in [
        VOGT,
        RawSvi {
            sigma: 1e-3,
            m: -2.0,
            ..VOGT
        },
        RawSvi {
            b: 0.0,
            a: 0.1,
            ..VOGT
        },
    ] {
        let points = svi.search_points();
        assert!(points.windows(2).all(|p| p[0] <= p[1]));
        assert_eq!(points[0], -MAX_LOG_MONEYNESS);
        assert_eq!(points.last(), Some(&MAX_LOG_MONEYNESS));
    }
}

#[test]
fn bad_parameters_are_typed_errors() {
    let bad = RawSvi { sigma: 0.0, ..VOGT };
    assert_eq!(bad.validate(), Err(SviError::Domain));
    assert!(!bad.butterfly().free);
    assert_eq!(bad.to_natural(), Err(SviError::Domain));
    let below = RawSvi { a: -1.0, ..VOGT };
    assert_eq!(below.to_jump_wings(1.0), Err(SviError::NoVariance));
    assert_eq!(below.butterfly().g_min, None);
    assert_eq!(VOGT.to_jump_wings(0.0), Err(SviError::Domain));
    let flat = JumpWings {
        v: 0.04,
        psi: 0.0,
        p: 0.0,
        c: 0.0,
        vt: 0.04,
    };
    assert_eq!(flat.to_raw(1.0), Err(SviError::Flat));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn forms_convert_both_ways(
        a in 0.001_f64..0.1, b in 0.01_f64..0.8, rho in -0.95_f64..0.95, m in -0.3_f64..0.3, sigma in 0.02_f64..0.6
    ) {
        let raw = RawSvi { a, b, rho, m, sigma };
        let forms = [
            raw.to_natural().unwrap().to_raw().unwrap(),
            raw.to_jump_wings(0.3).unwrap().to_raw(0.3).unwrap(),
        ];
        for back in forms {
            for k in [-1.0, -0.1, 0.0, 0.2, 1.5] {
                let (x, y) = (raw.total_variance(k), back.total_variance(k));
                proptest::prop_assert!((x / y - 1.0).abs() < 1e-8, "{:?} {:?}", raw, back);
            }
        }
    }

    #[test]
    fn slopes_are_derivatives(k in -1.0_f64..1.0) {
        let h = 1e-5;
        let first = (VOGT.total_variance(k + h) - VOGT.total_variance(k - h)) / (2.0 * h);
        let second = (VOGT.slope(k + h) - VOGT.slope(k - h)) / (2.0 * h);
        proptest::prop_assert!((first - VOGT.slope(k)).abs() < 1e-9);
        proptest::prop_assert!((second - VOGT.curvature(k)).abs() < 1e-9);
    }
}
