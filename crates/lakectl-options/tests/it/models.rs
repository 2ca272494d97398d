//! SABR and surface SVI against the oracle files.

use lakectl_options::smile::{Phi, Sabr, SabrFormula, Ssvi};

use crate::oracles::{cases, float, floats};

#[test]
fn sabr_volatilities() {
    let mut worst = 0.0_f64;
    for case in cases("sabr.json") {
        let n = |key: &str| float(&case[key]);
        let sabr = Sabr {
            alpha: n("alpha"),
            beta: n("beta"),
            rho: n("rho"),
            nu: n("nu"),
        };
        for (formula, key) in [(SabrFormula::Hagan, "hagan"), (SabrFormula::Obloj, "obloj")] {
            let found = sabr.vol(n("F"), n("K"), n("T"), formula).unwrap();
            let error = (found / n(key) - 1.0).abs();
            assert!(error <= 1e-10, "{key} off by {error:e}: {case}");
            worst = worst.max(error);
        }
    }
    eprintln!("sabr: largest relative error {worst:e}");
}

#[test]
fn ssvi_surfaces() {
    let close = |found: f64, wanted: f64, what: &str| {
        let error = (found / wanted - 1.0).abs();
        assert!(error <= 1e-12, "{what}: {found} {wanted} {error:e}");
    };
    for case in cases("ssvi_cases.json") {
        let p = |key: &str| float(&case["params"][key]);
        let phi = match case["kind"].as_str().unwrap() {
            "power" => Phi::Power {
                eta: p("eta"),
                gamma: p("gamma"),
            },
            "power_simple" => Phi::SimplePower {
                eta: p("eta"),
                gamma: p("gamma"),
            },
            _ => Phi::Heston {
                lambda: p("lambda"),
            },
        };
        let surface = Ssvi {
            rho: float(&case["rho"]),
            phi,
        };
        let (mut sufficient, mut calendar, mut free) = (true, true, true);
        for slice in case["slices"].as_array().unwrap() {
            let theta = float(&slice["theta"]);
            close(phi.at(theta), float(&slice["phi"]), "phi");
            for (k, w) in floats(&slice["k"]).into_iter().zip(floats(&slice["w"])) {
                close(surface.total_variance(theta, k).unwrap(), w, "w");
            }
            let found = surface.conditions(theta).unwrap();
            close(found.wings, float(&slice["cond1"]), "first condition");
            close(found.curvature, float(&slice["cond2"]), "second condition");
            sufficient &= found.butterfly_free;
            calendar &= found.calendar_free;
            let raw = surface.slice(theta).unwrap();
            let wanted = crate::oracles::raw(&slice["raw"]);
            for (found, wanted) in [
                (raw.a, wanted.a),
                (raw.b, wanted.b),
                (raw.rho, wanted.rho),
                (raw.m, wanted.m),
                (raw.sigma, wanted.sigma),
            ] {
                close(found, wanted, "raw image");
            }
            let lowest = raw.butterfly();
            // The search that made the file stops a little above some minima (by up to 2e-6).
            let above = float(&slice["g_min"]) - lowest.g_min.unwrap();
            assert!(
                (-1e-9..5e-6).contains(&above),
                "g_min off by {above:e}: {case}"
            );
            free &= lowest.free;
        }
        let flag = |key: &str| case[key].as_bool().unwrap();
        assert_eq!(sufficient, flag("gj_sufficient_ok"), "{case}");
        assert_eq!(calendar, flag("calendar_ok_thm41"), "{case}");
        assert_eq!(free, flag("true_butterfly_free"), "{case}");
    }
}
