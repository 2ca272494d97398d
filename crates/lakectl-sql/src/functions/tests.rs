//! Reference page, examples, golden digests and the kernels behind the names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::Float64Type;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{function_version, reference_markdown, registry};
use crate::StageTable;
use crate::tests::{batch, column, floats, noise, run, table, texts};

pub(super) const ROWS: usize = 240;
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/functions/golden.txt");

/// The reference grid: the columns that the examples use, with gaps and values outside every domain.
pub(super) fn grid() -> StageTable {
    let at = |seed: u64, low: f64, high: f64| -> ArrayRef {
        let values = noise(ROWS, seed).into_iter().enumerate();
        floats(values.map(|(i, u)| match i % 29 {
            7 => None,
            13 => Some(-1.0),
            17 => Some(0.0),
            _ => Some(low + (u + 0.5) * (high - low)),
        }))
    };
    let kinds = texts((0..ROWS).map(|i| match i % 13 {
        3 => None,
        5 => Some("straddle"),
        i if i % 2 == 0 => Some("call"),
        _ => Some("put"),
    }));
    let settlements = texts((0..ROWS).map(|i| match i % 11 {
        4 => None,
        i if i % 2 == 0 => Some("inverse"),
        _ => Some("linear"),
    }));
    let names = [
        "BTC-3JAN26-88000-C",
        "ETH_USDC-27MAR26-2400-P",
        "BTC-27MAR26",
        "SOL_USDC-PERPETUAL",
        "SYN.BTC-3JAN26",
        "BTC-3JAN26-88000-X",
    ];
    let instruments = texts((0..ROWS).map(|i| names.get(i % 7).copied()));
    let times = |step: i64, start: i64| -> ArrayRef {
        let micros = (0..ROWS as i64).map(|i| start + i * step);
        Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
    };
    let start = 1_767_604_905_000_000;
    let columns = [
        ("forward", at(1, 50.0, 150.0)),
        ("strike", at(2, 50.0, 150.0)),
        ("expiry_years", at(3, 0.01, 2.0)),
        ("sigma", at(4, 0.1, 1.5)),
        ("price", at(5, 0.1, 60.0)),
        ("delta", at(6, -1.0, 1.0)),
        ("k", at(7, -0.8, 0.8)),
        ("iv", at(8, 0.4, 0.6)),
        ("weight", at(9, 0.1, 2.0)),
        ("svi_a", at(10, 0.01, 0.05)),
        ("svi_b", at(11, 0.05, 0.3)),
        ("svi_rho", at(12, -0.7, 0.3)),
        ("svi_m", at(13, -0.1, 0.1)),
        ("svi_sigma", at(14, 0.05, 0.4)),
        ("share", at(15, 0.02, 0.4)),
        ("tau", at(16, 0.01, 0.99)),
        ("q05", at(17, -0.09, -0.05)),
        ("q25", at(18, -0.04, -0.01)),
        ("q50", at(19, -0.01, 0.01)),
        ("q75", at(20, 0.01, 0.04)),
        ("q95", at(21, 0.05, 0.09)),
        ("x", at(22, -3.0, 3.0)),
        ("y", at(23, -0.1, 0.1)),
    ];
    let mut contract =
        "option_type utf8?, event_time ts, expiry ts, settlement utf8?, instrument utf8?"
            .to_owned();
    let mut arrays = vec![
        kinds,
        times(3_600_000_000, start),
        times(7_200_000_000, start + 86_400_000_000),
        settlements,
        instruments,
    ];
    for (name, array) in columns {
        let _ = write!(contract, ", {name} f64?");
        arrays.push(array);
    }
    table("demo.grid", vec![batch(&contract, arrays)])
}

/// Aggregates of a whole group: their examples give one row.
fn grouped(call: &str) -> bool {
    let name = call.split('(').next().unwrap();
    let ours = super::aggregate_specs().map(|spec| spec.info.name);
    let mut ours = ours.chain(super::lists::AGGREGATES.iter().map(|spec| spec.info.name));
    ours.any(|ours| ours == name) && !call.contains(" OVER ")
}

/// One expiry with calls and puts at even strikes under the names of the grid, for examples that need a chain.
fn chain() -> StageTable {
    use lakectl_options::OptionKind;
    use lakectl_options::black::{BlackInput, price};
    let strikes = || (0..62).map(|i| 50.0 + f64::from(i / 2) * 4.0);
    let kinds = || (0..62).map(|i| if i % 2 == 0 { "call" } else { "put" });
    let sigma = |strike: f64| 0.5 + 0.1 * ((strike - 100.0) / 100.0) * ((strike - 100.0) / 100.0);
    let premium = |(strike, kind): (f64, &str)| {
        let kind = if kind == "call" {
            OptionKind::Call
        } else {
            OptionKind::Put
        };
        price(&BlackInput::forward(
            kind,
            101.0,
            strike,
            0.25,
            sigma(strike),
        ))
        .ok()
    };
    let open = || noise(62, 31).into_iter().map(|u| 10.0 * (u + 0.5));
    let signed = open()
        .zip(kinds())
        .map(|(open, kind)| Some(if kind == "call" { open } else { -open }));
    let same = |x: f64| floats(std::iter::repeat_n(Some(x), 62));
    let arrays = vec![
        texts(kinds().map(Some)),
        floats(strikes().map(Some)),
        floats(strikes().zip(kinds()).map(premium)),
        same(101.0),
        same(0.25),
        floats(strikes().map(|strike| Some(sigma(strike)))),
        same(100.0),
        floats(open().map(Some)),
        floats(signed),
    ];
    let contract = "option_type utf8?, strike f64?, price f64?, forward f64?, expiry_years f64?, sigma f64?, spot f64?, \
                    open_interest f64?, position f64?";
    table("demo.grid", vec![batch(contract, arrays)])
}

fn example(call: &str) -> Vec<RecordBatch> {
    let of_chain = [
        "chain_forward",
        "model_free_variance",
        "gamma_exposure",
        "gamma_walls",
        "hedge_demand",
        "zero_gamma",
        "max_pain",
    ];
    let rows = if of_chain.iter().any(|name| call.starts_with(name)) {
        chain()
    } else {
        self::grid()
    };
    let grid = if grouped(call) && call.contains("_fit(") {
        "(SELECT * FROM demo.grid WHERE iv > 0.3)"
    } else {
        "demo.grid"
    };
    let sorted = if grouped(call) {
        ""
    } else {
        " ORDER BY event_time"
    };
    run(
        &format!("SELECT {call} AS v FROM {grid}{sorted}"),
        vec![rows],
        &[],
    )
    .unwrap()
    .1
}

/// Digest of a result: exact decimal texts of all values.
fn digest(rows: &[RecordBatch]) -> String {
    let options = FormatOptions::default().with_null("null");
    let mut hasher = blake3::Hasher::new();
    for array in rows.iter().flat_map(RecordBatch::columns) {
        let formatter = ArrayFormatter::try_new(array, &options).unwrap();
        for row in 0..array.len() {
            hasher.update(formatter.value(row).to_string().as_bytes());
            hasher.update(b"\n");
        }
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

#[test]
fn every_function_is_documented_and_its_example_runs() {
    let page = reference_markdown();
    let all = registry();
    assert!(all.len() > 30);
    for pair in all.windows(2) {
        assert!(
            pair[0].name < pair[1].name,
            "{} is there twice",
            pair[0].name
        );
    }
    for info in all {
        assert!(
            info.doc.len() > 20 && info.signature.starts_with(info.name),
            "{}",
            info.name
        );
        assert!(info.example.contains(info.name), "{}", info.name);
        assert!(page.contains(&format!("## `{}`", info.name)));
        assert_eq!(function_version(info.name), Some(info.version));
        let rows = example(info.example);
        let values = rows[0].column(0);
        assert!(
            values.null_count() < values.len(),
            "{}: the example is always null",
            info.name
        );
        assert_eq!(values.len(), if grouped(info.example) { 1 } else { ROWS });
    }
    assert_eq!(function_version("avg"), None);
}

#[test]
fn output_changes_only_with_the_version() {
    let mut found = String::new();
    for info in registry() {
        let _ = writeln!(
            found,
            "{} {} {}",
            info.name,
            info.version,
            digest(&example(info.example))
        );
    }
    if std::env::var_os("LAKE_BLESS").is_some() {
        std::fs::write(GOLDEN, &found).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    let known: BTreeMap<(&str, &str), &str> = golden.lines().filter_map(words).collect();
    for (key, digest) in found.lines().filter_map(words) {
        match known.get(&key) {
            Some(old) if *old == digest => {}
            Some(_) => panic!(
                "the output of {} changed: raise its version (and run with LAKE_BLESS=1)",
                key.0
            ),
            None => panic!(
                "{} version {} has no digest yet: run with LAKE_BLESS=1",
                key.0, key.1
            ),
        }
    }
}

fn words(line: &str) -> Option<((&str, &str), &str)> {
    let mut words = line.split(' ');
    Some(((words.next()?, words.next()?), words.next()?))
}

fn value(call: &str) -> Option<f64> {
    let rows = run(&format!("SELECT {call} AS v"), vec![], &[]).unwrap().1;
    let array = rows[0].column(0).as_primitive::<Float64Type>();
    array.is_valid(0).then(|| array.value(0))
}

fn word(call: &str) -> String {
    let rows = run(&format!("SELECT {call} AS v"), vec![], &[]).unwrap().1;
    rows[0].column(0).as_string::<i32>().value(0).to_owned()
}

#[test]
fn names_lead_to_their_kernels() {
    let cases = [
        (
            "black76_price('call', 100, 100, 1, 0.2)",
            7.965_567_455_405_804,
        ),
        (
            "black76_price('P', 100, 100, 1, 0.2)",
            7.965_567_455_405_804,
        ),
        (
            "black76_price('call', 100, 100, 1, 0.2, 0.05)",
            7.965_567_455_405_804 * (-0.05_f64).exp(),
        ),
        ("implied_vol('call', 100, 100, 1, 7.965567455405804)", 0.2),
        (
            "black76_delta('put', 100, 100, 1, 0.2)",
            -0.460_172_162_722_971,
        ),
        (
            "black76_greeks('call', 100, 100, 1, 0.2)['vega']",
            39.695_254_747_701_18,
        ),
        (
            "strike_from_delta('call', 0.5398278372770290, 100, 1, 0.2)",
            100.0,
        ),
        (
            "year_fraction(TIMESTAMP '2026-01-01', TIMESTAMP '2027-01-01')",
            1.0,
        ),
        (
            "year_fraction(DATE '2026-01-02', DATE '2026-01-01')",
            -1.0 / 365.0,
        ),
        ("svi_total_variance(0.04, 0.1, 0.0, 0.0, 0.1, 0.0)", 0.05),
        (
            "svi_vol(0.04, 0.1, 0.0, 0.0, 0.1, 0.0, 0.5)",
            0.1_f64.sqrt(),
        ),
        (
            "black76_vomma('call', 100, 100, 1, 0.2)",
            -1.984_762_737_385_059,
        ),
        (
            "black_scholes_greeks('call', 100, 100, 1, 0.2, 0.05, 0.05)['price']",
            7.965_567_455_405_804 * (-0.05_f64).exp(),
        ),
        (
            "coin_greeks('put', 100, 100, 1, 0.2)['price']",
            0.079_655_674_554_058_04,
        ),
        (
            "premium_adjusted_delta('put', 100, 100, 1, 0.2)",
            -0.460_172_162_722_971 - 0.079_655_674_554_058_04,
        ),
        (
            "deribit_greeks('call', 'inverse', 100, 100, 1, 0.2)['mark_price']",
            0.079_655_674_554_058_04,
        ),
        (
            "deribit_greeks('call', 'linear', 100, 100, 1, 0.2)['vega']",
            0.396_952_547_477_011_8,
        ),
        (
            "implied_vol_coin('call', 100, 100, 1, 0.07965567455405804)",
            0.2,
        ),
        (
            "quote_iv('call', 100, 100, 1, 7.965567455405804, 7.965567455405804)['half_width']",
            0.0,
        ),
        ("continuous_rate(0.036, 1)", (1.0_f64 + 0.0365).ln()),
        ("skew_ratio(-0.2, 1.2, 1.0, 1.0, 1.0)", 1.1),
        (
            "synthetic_vol('put', 100, 70, 0.1, 0.5, 1.2, 1.1, 1.05, 1.0)",
            0.6,
        ),
        ("contract('XRP_USDC-30JUN23-0d5-C')['strike']", 0.5),
        (
            "contract('BTC-USD-260103-88000-C', 'okx')['strike']",
            88_000.0,
        ),
        ("pinball(0.9, 1.0, 3.0)", 1.8),
        ("crps_quantiles(1, 1, 1, 1, 1, 3)", 2.0),
        ("quantile_cdf(-2, -1, 0, 1, 2, 0)", 0.5),
        ("quantile_at(-2, -1, 0, 1, 2, 0.95)", 2.0),
        ("clip(3, -1, 1)", 1.0),
        ("normal_cdf(0)", 0.5),
        ("normal_quantile(0.5)", 0.0),
    ];
    for (call, expected) in cases {
        let found = value(call).unwrap_or_else(|| panic!("{call} is null"));
        assert!(
            (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
            "{call}: {found}"
        );
    }
}

#[test]
fn what_has_no_value_is_null_with_a_reason() {
    for call in [
        "black76_price('call', 100, NULL, 1, 0.2)",
        "black76_price('call', 100, 100, 1, 0)",
        "black76_price('straddle', 100, 100, 1, 0.2)",
        "black76_gamma('call', 'NaN'::double, 100, 1, 0.2)",
        "implied_vol('call', 100, 90, 1, 9)",
        "clip(1, 2, 0)",
        "svi_vol(-1, 0.1, 0, 0, 0.1, 0, 1)",
        "svi_g(0.1, 0.1, 2, 0, 0.1, 0)",
        "normal_quantile(1)",
    ] {
        assert_eq!(value(call), None, "{call}");
    }
    for (call, expected) in [
        (
            "implied_vol_status('call', 100, 90, 1, 9)",
            "below_intrinsic",
        ),
        (
            "implied_vol_status('call', 100, 90, 1, 10)",
            "no_time_value",
        ),
        ("implied_vol_status('call', 100, 90, 1, 100)", "above_max"),
        ("implied_vol_status('call', 100, 90, 1, 11)", "ok"),
        (
            "implied_vol_status('call', 100, 90, 1, NULL)",
            "missing_input",
        ),
        ("implied_vol_status('x', 100, 90, 1, 11)", "option_type"),
        ("black76_status('call', 100, 90, -1, 0.5)", "expiry_years"),
        ("black_scholes_status('call', 0, 90, 1, 0.5)", "spot"),
        ("quote_iv_status('call', 100, 90, 1, 12, 11)", "bad_input"),
        (
            "quote_iv_status('call', 100, 90, 1, 10, 11)",
            "no_time_value",
        ),
        ("quote_exclusions(0.1, 1.0, 1.04, 0.5, 3, NULL)", "kept"),
        ("quote_exclusions(0.1, 1.0, 1.04, 0.5, 3, 11)", "stale"),
        (
            "quote_exclusions(0.1, 1.0, 1.04, 0.5, 3, 11, 0.03, 60)",
            "wide_spread",
        ),
        (
            "quote_exclusions(0.1, NULL, 1.04, 4.5, 0, NULL)",
            "no_bid+no_open_interest+extreme_iv",
        ),
        ("contract('BTC-PERPETUAL')['contract_type']", "perpetual"),
        ("contract('BTC-PERPETUAL')['settlement']", "inverse"),
        ("contract('BTC_EURC-PERPETUAL')['status']", "settlement"),
        ("contract('BTC-3JAN26', 'kraken')['status']", "venue"),
        ("contract(NULL)['status']", "missing_input"),
    ] {
        assert_eq!(word(call), expected, "{call}");
    }
}

#[test]
fn a_slice_is_fitted_in_sql() {
    let k: Vec<Option<f64>> = (-12..=12).map(|i| Some(f64::from(i) * 0.05)).collect();
    let w = |k: f64| 0.02 + 0.1 * (-0.3 * (k - 0.05) + ((k - 0.05) * (k - 0.05) + 0.04).sqrt());
    let iv: Vec<Option<f64>> = k.iter().map(|k| k.map(|k| (w(k) / 0.25).sqrt())).collect();
    let rows = batch("k f64?, iv f64?", vec![floats(k), floats(iv)]);
    let sql = |expiry: &str| {
        format!(
            "SELECT f['a'] AS a, f['b'] AS b, f['rho'] AS rho, f['m'] AS m, f['sigma'] AS sigma, f['rmse_vol'] AS rmse, \
             f['status'] AS status, f['butterfly_free'] AS free, f['quotes'] AS quotes FROM \
             (SELECT svi_fit(k, iv, 1.0, {expiry}) AS f FROM demo.slice)"
        )
    };
    let fitted = run(
        &sql("0.25"),
        vec![table("demo.slice", vec![rows.clone()])],
        &[],
    )
    .unwrap()
    .1;
    for (name, expected) in [
        ("a", 0.02),
        ("b", 0.1),
        ("rho", -0.3),
        ("m", 0.05),
        ("sigma", 0.2),
    ] {
        let found = column(&fitted, name)[0].unwrap();
        assert!((found - expected).abs() < 1e-5, "{name}: {found}");
    }
    assert!(column(&fitted, "rmse")[0].unwrap() < 1e-7);
    let status = |expiry: &str, rows: RecordBatch| {
        let fitted = run(&sql(expiry), vec![table("demo.slice", vec![rows])], &[])
            .unwrap()
            .1;
        let a = Arc::clone(fitted[0].column(0));
        (
            fitted[0]
                .column_by_name("status")
                .unwrap()
                .as_string::<i32>()
                .value(0)
                .to_owned(),
            a.is_null(0),
        )
    };
    assert_eq!(
        status("0.25", rows.slice(0, 4)),
        ("too_few_quotes".to_owned(), true)
    );
    assert_eq!(
        status("0.25", rows.slice(0, 0)),
        ("too_few_quotes".to_owned(), true)
    );
    assert_eq!(
        status("0.25 + abs(k)", rows.clone()),
        ("several_expiries".to_owned(), true)
    );
    assert_eq!(status("0.0", rows), ("bad_expiry".to_owned(), true));
}

/// The only row of a query as text by column.
fn row(sql: &str, tables: Vec<StageTable>) -> BTreeMap<String, String> {
    let rows = run(sql, tables, &[]).unwrap().1;
    let options = FormatOptions::default().with_null("null");
    let schema = rows[0].schema();
    let cells = schema.fields().iter().zip(rows[0].columns());
    cells
        .map(|(field, array)| {
            let formatter = ArrayFormatter::try_new(array, &options).unwrap();
            (field.name().clone(), formatter.value(0).to_string())
        })
        .collect()
}

#[test]
fn a_chain_has_a_variance_without_a_smile() {
    let sql = |price: &str, forward: &str| {
        format!(
            "SELECT v['vol'] AS vol, v['cut_off_strike'] AS cut_off, v['strikes'] AS strikes, v['status'] AS status FROM \
             (SELECT model_free_variance(option_type, strike, {price}, {forward}, 0.25) AS v FROM demo.grid)"
        )
    };
    let found = row(&sql("price", "forward"), vec![chain()]);
    let vol: f64 = found["vol"].parse().unwrap();
    assert!((0.5..0.52).contains(&vol), "{found:?}");
    assert_eq!(
        (found["cut_off"].as_str(), found["strikes"].as_str()),
        ("98.0", "31")
    );
    let status =
        |price: &str, forward: &str| row(&sql(price, forward), vec![chain()])["status"].clone();
    assert_eq!(status("NULL", "forward"), "no_rows");
    assert_eq!(status("price", "forward + strike"), "several_forwards");
    assert_eq!(status("price - 30", "forward"), "bad_input");
    assert_eq!(status("price", "40.0"), "no_cut_off");
    assert_eq!(status("0.0", "forward"), "no_cut_off");
    let mixed = "SELECT model_free_variance('straddle', strike, price, forward, 0.25)['status'] AS status FROM demo.grid";
    assert_eq!(row(mixed, vec![chain()])["status"], "option_type");
    let smoothed = row(
        "SELECT interquartile_mean(x) AS m FROM (VALUES (1.0), (NULL), (9.0), (2.0), (4.0)) AS t(x)",
        vec![],
    );
    assert_eq!(smoothed["m"], "3.0");
}

#[test]
fn positions_have_exposures() {
    let found = row(
        "SELECT sum(position * dollar_greeks(forward, strike, expiry_years, sigma)['gamma_usd_per_pct']) AS by_row, \
                gamma_exposure(position, forward, strike, expiry_years, sigma)['gamma_usd_per_pct'] AS gamma, \
                gamma_exposure(position, forward, strike, expiry_years, sigma)['options'] AS options, \
                zero_gamma(position, spot, forward, strike, expiry_years, sigma)['level'] AS level, \
                zero_gamma(-open_interest, spot, forward, strike, expiry_years, sigma)['flip_status'] AS short, \
                zero_gamma(-open_interest, spot, forward, strike, expiry_years, sigma)['acceleration'] AS acceleration, \
                zero_gamma(position, strike, forward, strike, expiry_years, sigma)['status'] AS several, \
                gamma_exposure(position, forward, strike, -1.0, sigma)['status'] AS expired, \
                max_pain(option_type, strike, open_interest) AS pain, max_pain(option_type, strike, -open_interest) AS no_pain \
         FROM demo.grid",
        vec![chain()],
    );
    let number = |name: &str| {
        found[name]
            .parse::<f64>()
            .unwrap_or_else(|_| panic!("{name}: {found:?}"))
    };
    assert!((number("by_row") / number("gamma") - 1.0).abs() < 1e-12);
    assert!((70.0..130.0).contains(&number("level")) && (50.0..170.0).contains(&number("pain")));
    assert_eq!(
        (found["short"].as_str(), number("acceleration")),
        ("none", 1.0)
    );
    assert_eq!(found["options"], "62");
    assert_eq!(
        (found["several"].as_str(), found["expired"].as_str()),
        ("several_spots", "bad_input")
    );
    assert_eq!(found["no_pain"], "null");
}

/// A profile is zero where the level says, a ladder trades what the gamma promises, walls are the strikes of extreme gamma.
#[test]
fn profiles_ladders_and_walls() {
    let level = "zero_gamma(position, spot, forward, strike, expiry_years, sigma)['level'] / 100";
    let found = row(
        &format!(
            "SELECT level, gamma_exposure(position, forward, strike, expiry_years, sigma, level)['gamma_usd_per_pct'] AS at_level, \
                    gamma_exposure(position, forward, strike, expiry_years, sigma)['gross_gamma_usd_per_pct'] AS gross, \
                    gamma_exposure(position, forward, strike, expiry_years, sigma)['gamma_usd_per_pct'] AS gamma, \
                    hedge_demand(position, option_type, spot, forward, strike, expiry_years, sigma, 1.0001, 0, 0)['hedge_usd'] AS hedge, \
                    hedge_demand(position, option_type, spot, forward, strike, expiry_years, sigma, 1, 0, 0)['hedge_coin'] AS still, \
                    hedge_demand(position, option_type, spot, forward, strike, expiry_years, sigma, spot / strike, 0, 0)['status'] AS moves, \
                    hedge_demand(position, option_type, spot, forward, strike, expiry_years, sigma, -1, 0, 0)['status'] AS bad, \
                    gamma_walls(position, forward, strike, expiry_years, sigma)['call_wall'] AS call_wall, \
                    gamma_walls(-open_interest, forward, strike, expiry_years, sigma)['call_wall'] AS none, \
                    max(gain) AS gain, first_value(strike ORDER BY gain DESC) AS wall, \
                    zero_gamma(position, spot, forward, strike, expiry_years, sigma)['all_levels'] AS all_levels \
             FROM (SELECT *, (SELECT {level} FROM demo.grid) AS level, \
                          sum(position * dollar_greeks(forward, strike, expiry_years, sigma)['gamma_usd_per_pct']) \
                              OVER (PARTITION BY strike) AS gain FROM demo.grid) GROUP BY level"
        ),
        vec![chain()],
    );
    let number = |name: &str| {
        found[name]
            .parse::<f64>()
            .unwrap_or_else(|_| panic!("{name}: {found:?}"))
    };
    assert!(number("at_level").abs() < 1e-9 * number("gross"));
    // A hundredth of a per cent moves the delta by a hundredth of the gamma per cent, and a dealer sells it.
    assert!(
        (-100.0 * number("hedge") / number("gamma") - 1.0).abs() < 1e-2,
        "{found:?}"
    );
    assert_eq!(number("still"), 0.0);
    assert_eq!(
        (found["moves"].as_str(), found["bad"].as_str()),
        ("several_moves", "bad_argument")
    );
    assert_eq!(number("call_wall"), number("wall"));
    assert_eq!(found["none"], "null");
    assert!(found["all_levels"].starts_with('['), "{found:?}");
}

#[test]
fn densities_in_dollars() {
    // A flat smile of volatility 0.6 over a quarter of a year: s = 0.3.
    for (call, expected) in [
        (
            "density_cdf(0.09, 0, 0, 0, 0.1, 100, 100 * exp(-0.045))",
            0.5,
        ),
        (
            "density_quantile(0.09, 0, 0, 0, 0.1, 100, 0.5)",
            100.0 * (-0.045_f64).exp(),
        ),
        (
            "density_pdf(0.09, 0, 0, 0, 0.1, 100, 100 * exp(-0.045))",
            0.398_942_280_401_432_7 / (0.3 * 100.0 * (-0.045_f64).exp()),
        ),
        ("variance_swap_vol(0.09, 0, 0, 0, 0.1, 0.25)", 0.6),
        ("density_moments(0.09, 0, 0, 0, 0.1)['variance']", 0.09),
        // Positive variance everywhere, a density that is not: an answer, and what is wrong with it.
        (
            "round(density_moments(-0.0229006, 0.1893695, -0.3206602, -0.0221984, 0.1295435)['negative_mass'], 4)",
            0.0634,
        ),
        // A wing beyond Lee's bound has a mass and no moments.
        (
            "round(density_mass(0.01, 1.5, -0.6, 0, 0.1)['mass'], 1)",
            0.4,
        ),
        // An expiry of which a hundredth of the mass lies below exp(-12) of the forward: the strip over all strikes.
        (
            "round(variance_swap_vol(-2.6833876850623044, 0.8843165831791735, -0.2175954654638329, -0.3258964878061107, \
             3.3243878859214164, 0.7470334097099506), 9)",
            0.981_693_238,
        ),
        (
            "density_tails(0.09, 0, 0, 0, 0.1, 0.1, 2, 0.1)['left_deviations']",
            0.032_156_774_795_613_7,
        ),
        ("constant_maturity_vol(0.05, 0.5, 0.10, 0.5, 0.08)", 0.5),
    ] {
        let found = value(call).unwrap_or_else(|| panic!("{call} is null"));
        assert!((found - expected).abs() <= 1e-9, "{call}: {found}");
    }
    for call in [
        "density_quantile(0.09, 0, 0, 0, 0.1, -100, 0.5)",
        "density_pdf(0.09, 0, 0, 0, 0.1, 100, 0)",
        "constant_maturity_vol(0.05, 0.5, 0.10, 0.5, 0.2)",
        "constant_maturity_vol(0.05, -0.5, 0.10, 0.5, 0.08)",
        "variance_swap_vol(0.09, 0, 0, 0, 0.1, 0)",
        "variance_swap_vol(0.01, 1.5, -0.6, 0, 0.1, 1)",
        "density_moments(0.01, 1.5, -0.6, 0, 0.1)['variance']",
    ] {
        assert_eq!(value(call), None, "{call}");
    }
}
