//! From quotes to a certified smile in SQL alone.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float64Type;

use crate::StageTable;
use crate::tests::{batch, floats, run, table};

const YEARS: [f64; 2] = [0.1, 0.3];

/// Two expiries of an exact smile, `w = 0.12 t + 0.1 sqrt(t) (-0.3 k + sqrt(k^2 + 0.04))`.
fn quotes() -> StageTable {
    let rows = YEARS
        .iter()
        .flat_map(|t| (-12..=12).map(move |i| (*t, f64::from(i) * 0.05)));
    let (t, k): (Vec<f64>, Vec<f64>) = rows.unzip();
    let w = t
        .iter()
        .zip(&k)
        .map(|(t, k)| 0.12 * t + 0.1 * t.sqrt() * (-0.3 * k + (k * k + 0.04).sqrt()));
    let w: Vec<f64> = w.collect();
    let iv = w.iter().zip(&t).map(|(w, t)| Some((w / t).sqrt()));
    let columns = vec![
        floats(t.iter().copied().map(Some)),
        floats(k.into_iter().map(Some)),
        floats(w.iter().copied().map(Some)),
        floats(iv),
    ];
    table(
        "demo.quotes",
        vec![batch("t f64?, k f64?, w f64?, iv f64?", columns)],
    )
}

fn query(sql: &str) -> Vec<RecordBatch> {
    run(sql, vec![quotes()], &[]).unwrap().1
}

fn number(sql: &str) -> Option<f64> {
    let rows = query(sql);
    let values = rows[0].column(0).as_primitive::<Float64Type>();
    values.is_valid(0).then(|| values.value(0))
}

fn word(sql: &str) -> String {
    query(sql)[0]
        .column(0)
        .as_string::<i32>()
        .value(0)
        .to_owned()
}

const NEAR: &str = "(SELECT svi_fit(k, iv, 1.0, t) AS p FROM demo.quotes WHERE t < 0.2)";

#[test]
fn a_record_stands_for_its_parameters() {
    let at = |call: &str| number(&format!("SELECT {call} FROM {NEAR}")).unwrap();
    let exact = 0.012 + 0.1 * 0.1_f64.sqrt() * (-0.03 + 0.05_f64.sqrt());
    assert!((at("svi_total_variance(p, 0.1)") / exact - 1.0).abs() < 1e-9);
    let spelled = at("svi_total_variance(p['a'], p['b'], p['rho'], p['m'], p['sigma'], 0.1)");
    assert_eq!(at("svi_total_variance(p, 0.1)"), spelled);
    assert!((at("svi_vol(p, 0.1, 0.1)") - (exact / 0.1).sqrt()).abs() < 1e-9);
    assert!(at("svi_delta_quotes(p, 0.1)['rr25']") < -0.01);
    let missing = "SELECT svi_g(CASE WHEN k > 9 THEN named_struct('a', 1.0, 'b', 0.1, 'rho', 0.0, 'm', 0.0, 'sigma', 0.1) END, 0.1) FROM demo.quotes";
    assert_eq!(number(missing), None);
    let error = |sql: &str| run(sql, vec![quotes()], &[]).unwrap_err().to_string();
    let wrong = error("SELECT svi_g(named_struct('a', 1.0, 'b', 0.1), 0.1) FROM demo.quotes");
    assert!(wrong.contains("no number `rho`"), "{wrong}");
    let short = error(&format!("SELECT svi_g(p) FROM {NEAR}"));
    assert!(short.contains("found 5 arguments"), "{short}");
}

#[test]
fn total_variance_is_fitted_without_an_expiry() {
    let fit = |args: &str| {
        let sql = format!(
            "SELECT svi_total_variance(svi_fit({args}), 0.2) FROM demo.quotes WHERE t > 0.2"
        );
        number(&sql).unwrap()
    };
    assert!((fit("k, w, 1.0") / fit("k, iv, 1.0, t") - 1.0).abs() < 1e-8);
    let status = |args: &str| {
        word(&format!(
            "SELECT svi_fit({args})['status'] FROM demo.quotes"
        ))
    };
    assert_eq!(status("k, -w, 1.0"), "bad_quote");
    assert_eq!(status("k, iv, 1.0, t"), "several_expiries");
    assert_eq!(status("0.1, w, 1.0"), "too_few_quotes");
}

#[test]
fn a_certificate_and_what_it_finds() {
    let vogt = "named_struct('a', -0.041, 'b', 0.1331, 'rho', 0.306, 'm', 0.3586, 'sigma', 0.4153)";
    let verdict = |of: &str, high: f64| word(&format!("SELECT svi_arbitrage({of}, -1.0, {high})"));
    assert_eq!(verdict(vogt, 1.0), "butterfly");
    assert_eq!(verdict(vogt, 0.5), "wings");
    assert_eq!(verdict(vogt, -2.0), "range");
    let lowest = number(&format!(
        "SELECT svi_certificate({vogt}, -1.0, 1.0)['g_min_range']"
    ))
    .unwrap();
    assert!((lowest + 0.032_863_573).abs() < 1e-8);
    let repaired = format!("svi_repair({vogt}, 1.0, -1.5, 1.5)");
    assert_ne!(verdict(&repaired, 1.0), "butterfly");
    assert!(number(&format!("SELECT {repaired}['distance_vol']")).unwrap() > 1e-4);
    let both = "(SELECT svi_fit(k, iv, 1.0, t) FILTER (WHERE t < 0.2) AS near, svi_fit(k, iv, 1.0, t) FILTER (WHERE t > 0.2) AS far FROM demo.quotes)";
    let gap = |pair: &str| {
        number(&format!(
            "SELECT svi_calendar({pair}, -0.6, 0.6)['gap_min'] FROM {both}"
        ))
        .unwrap()
    };
    assert!(gap("near, far") > 0.02 && gap("far, near") < -0.02);
}

#[test]
fn models_are_fitted_and_read_back() {
    let sabr =
        "(SELECT sabr_fit(k, iv, 1.0, t) AS p FROM demo.quotes WHERE t < 0.2 AND abs(k) < 0.3)";
    let level = number(&format!("SELECT sabr_vol(1, 1, 0.1, p) FROM {sabr}")).unwrap();
    let exact = number("SELECT iv FROM demo.quotes WHERE t < 0.2 AND abs(k) < 1e-9").unwrap();
    assert!((level - exact).abs() < 0.02, "{level} {exact}");
    let ssvi = "(SELECT ssvi_fit(k, iv, 1.0, t) AS p FROM demo.quotes)";
    assert_eq!(word(&format!("SELECT p['status'] FROM {ssvi}")), "ok");
    for (i, t) in YEARS.iter().enumerate() {
        let sql =
            |what: &str| format!("SELECT {what} FROM {ssvi}").replace('#', &(i + 1).to_string());
        assert_eq!(number(&sql("p['expiries'][#]")), Some(*t));
        let vol = number(&sql(&format!(
            "sqrt(ssvi_total_variance(p['thetas'][#], p, 0.0) / {t})"
        )))
        .unwrap();
        let exact = number(&format!(
            "SELECT iv FROM demo.quotes WHERE t = {t} AND abs(k) < 1e-9"
        ))
        .unwrap();
        assert!((vol - exact).abs() < 0.03, "{vol} {exact}");
        assert_eq!(word(&sql("ssvi_arbitrage(p['thetas'][#], p)")), "none");
        assert_eq!(
            word(&sql(
                "svi_arbitrage(ssvi_svi(p['thetas'][#], p), -1.0, 1.0)"
            )),
            "none"
        );
    }
    let forward = number("SELECT forward_vol(0.4, 0.1, 0.5, 0.3)").unwrap();
    assert!((forward * forward * 0.2 - 0.059).abs() < 1e-12);
}
