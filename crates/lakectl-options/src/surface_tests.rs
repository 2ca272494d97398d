use super::*;

fn flat(days: f64, vol: f64) -> Slice {
    let years = days / 365.0;
    let svi = RawSvi {
        a: vol * vol * years,
        b: 0.0,
        rho: 0.0,
        m: 0.0,
        sigma: 0.1,
    };
    Slice {
        expiry_years: years,
        forward: 100.0 + days,
        svi,
        quoted: Range::WHOLE,
    }
}

#[test]
fn total_variance_is_linear_and_volatility_flat_outside() {
    let surface = Surface::new(vec![flat(40.0, 0.6), flat(20.0, 0.4)]).unwrap();
    let at = |days: f64| surface.smile_at(days / 365.0).unwrap();
    let middle = 0.5 * (0.16 * 20.0 + 0.36 * 40.0) / 365.0;
    assert!((at(30.0).total_variance(0.3) - middle).abs() < 1e-15);
    assert!(!at(30.0).extrapolated && !at(20.0).extrapolated && !at(40.0).extrapolated);
    assert!((at(10.0).vol_at(0.1).unwrap() - 0.4).abs() < 1e-15 && at(10.0).extrapolated);
    assert!((at(80.0).vol_at(0.1).unwrap() - 0.6).abs() < 1e-15 && at(80.0).extrapolated);
    let forward = surface.forward_at(30.0 / 365.0).unwrap();
    assert!((forward - (120.0_f64 * 140.0).sqrt()).abs() < 1e-12);
    assert_eq!(surface.smile_at(f64::NAN), Err(SurfaceError::BadTime));
}

#[test]
fn nodes_say_why_they_are_missing() {
    let surface = Surface::new(vec![flat(16.0, 0.5), flat(35.0, 0.5)]).unwrap();
    let grid = surface.nodes();
    assert_eq!(grid.reason[D7], [Some(NodeReason::OutOfReach); 7]);
    assert_eq!(grid.reason[1], [Some(NodeReason::Extrapolated); 7]);
    assert_eq!(grid.reason[D30], [None; 7]);
    assert_eq!(grid.reason[D90], [Some(NodeReason::OutOfReach); 7]);
    for vol in grid.vol[D30] {
        assert!((vol.unwrap() - 0.5).abs() < 1e-12);
    }
    assert!(grid.term_structure().is_none() && grid.skew().unwrap().abs() < 1e-12);
}

#[test]
fn factors_have_the_signs_of_their_names() {
    let slice = |days: f64, rho: f64| {
        let years = days / 365.0;
        let svi = RawSvi {
            a: 0.1 * years,
            b: 0.1,
            rho,
            m: 0.0,
            sigma: 0.1,
        };
        Slice {
            expiry_years: years,
            forward: 100.0,
            svi,
            quoted: Range::WHOLE,
        }
    };
    let all = |rho| {
        Surface::new(
            [7.0, 14.0, 30.0, 60.0, 90.0]
                .map(|d| slice(d, rho))
                .to_vec(),
        )
    };
    let puts = all(-0.4).unwrap().nodes();
    assert!(puts.skew().unwrap() > 0.01 && puts.curvature().unwrap() > 0.0);
    assert!(puts.wing_asymmetry().unwrap() < 0.0 && puts.term_structure().unwrap() < 0.0);
    assert!(all(0.4).unwrap().nodes().skew().unwrap() < -0.01);
    assert!((puts.level().unwrap() - puts.vol[D30][ATM].unwrap()).abs() < 1e-15);
    assert!(puts.term_slope().unwrap() < 0.0);
}

#[test]
fn forward_volatility_needs_rising_variance() {
    let vol = forward_vol(0.4, 0.1, 0.5, 0.3).unwrap();
    assert!((vol * vol * 0.2 - (0.25 * 0.3 - 0.16 * 0.1)).abs() < 1e-15);
    assert_eq!(forward_vol(0.5, 0.2, 0.5, 0.2), None);
    assert_eq!(forward_vol(0.9, 0.1, 0.3, 0.2), None);
    assert_eq!(forward_vol(f64::NAN, 0.1, 0.3, 0.2), None);
    assert_eq!(forward_vol(0.5, 0.1, f64::INFINITY, 0.2), None);
}

#[test]
fn bad_slices_make_no_surface() {
    assert_eq!(Surface::new(vec![]), Err(SurfaceError::Empty));
    let twice = vec![flat(7.0, 0.5), flat(7.0, 0.6)];
    assert_eq!(Surface::new(twice), Err(SurfaceError::DuplicateExpiry));
    let bad = vec![Slice {
        forward: f64::NAN,
        ..flat(7.0, 0.5)
    }];
    assert_eq!(Surface::new(bad), Err(SurfaceError::BadSlice));
    let falling = Surface::new(vec![flat(7.0, 0.9), flat(14.0, 0.5)]).unwrap();
    assert!(
        falling.calendar(1.0)[0]
            .as_ref()
            .is_some_and(|c| !c.free && c.min_gap < 0.0)
    );
}

#[test]
fn nodes_beyond_the_quotes_say_so_and_keep_their_value() {
    let quoted = |days, low, high| Slice {
        quoted: Range::new(low, high).unwrap(),
        ..flat(days, 0.5)
    };
    // At 30 days ten delta lies at about 0.19, five delta at 0.25.
    let surface = Surface::new(vec![quoted(20.0, -0.1, 0.1), quoted(40.0, -0.3, 0.2)]).unwrap();
    let grid = surface.nodes();
    let beyond = Some(NodeReason::BeyondQuotes);
    assert_eq!(
        grid.reason[D30],
        [None, None, None, None, None, None, beyond]
    );
    assert!((grid.vol[D30][6].unwrap() - 0.5).abs() < 1e-12);
    // Between the expiries both count, outside of them the nearest alone.
    assert_eq!(grid.reason[3][0], beyond);
    assert_eq!(grid.reason[3][ATM], Some(NodeReason::Extrapolated));
    assert_eq!(
        grid.reason[1],
        [beyond, beyond, None, None, None, beyond, beyond]
            .map(|r| r.or(Some(NodeReason::Extrapolated)))
    );
}
