//! Golden digests of native stages: rows that change without a higher version would be taken for the old ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::util::pretty::pretty_format_batches;
use lakectl_core::{Contract, Day, DayRange, Fingerprint, PartitionKey, TaskKey};
use lakectl_store::schema_of;
use toml::Value;

use super::{Columns, Made, NATIVE_STAGES, NativeStage, NativeTask, Out, batch};
use crate::Project;

mod slices;

const HOUR: i64 = 3_600_000_000;

/// A number between -1 and 1 that looks random and is the same everywhere.
fn wobble(seed: u64) -> f64 {
    let mixed = Fingerprint::of(&seed.to_le_bytes()).seed();
    (mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// What the stages and the windows of the shipped declarations ask for.
const PARAMS: [(&str, i64); 8] = [
    ("pca_window_days", 180),
    ("pca_snapshots_min", 20),
    ("regime_rows_min", 60),
    ("regime_window_days", 500),
    ("stale_days", 5),
    ("taker_flow_days", 30),
    ("training_rows_min", 30),
    ("training_window_days", 900),
];

/// The contract that the shipped declarations give a table.
fn contract(table: &str) -> Contract {
    let stages = Project::built_in();
    let stages = stages.files("pipelines").flat_map(|(path, text)| {
        let lengths = PARAMS.map(|(name, value)| (name.to_owned(), value));
        lakectl_dag::parse_stages_with(path, text, &lengths.into())
            .expect("the shipped declarations parse")
    });
    let found = stages
        .into_iter()
        .find(|stage| stage.table.as_str() == table);
    found.expect("the table is declared").contract
}

/// Rows of a table: columns that `fill` knows hold its values, others are null (or zero where null is not allowed).
fn rows(table: &str, count: usize, fill: &dyn Fn(&str, usize) -> Option<Cell>) -> RecordBatch {
    use lakectl_core::ColumnType as T;
    let contract = contract(table);
    let columns = contract.columns().iter().map(|column| {
        let value = |row| fill(&column.name, row);
        let number = |row| match value(row) {
            Some(Cell::Number(x)) => Some(x),
            _ => (!column.nullable).then_some(0.0),
        };
        let whole = |row| match value(row) {
            Some(Cell::Whole(x)) => Some(x),
            _ => (!column.nullable).then_some(0),
        };
        let truth = |row| match value(row) {
            Some(Cell::Truth(x)) => Some(x),
            _ => (!column.nullable).then_some(false),
        };
        let text = |row| match value(row) {
            Some(Cell::Text(x)) => Some(x),
            _ => (!column.nullable).then(String::new),
        };
        match column.kind {
            T::F64 => Out::F64((0..count).map(number).collect()),
            T::I64 => Out::I64((0..count).map(whole).collect()),
            T::Ts => Out::Ts((0..count).map(whole).collect()),
            T::Bool => Out::Bool((0..count).map(truth).collect()),
            _ => Out::Utf8((0..count).map(text).collect()),
        }
    });
    batch(&schema_of(&contract), columns.collect()).unwrap()
}

enum Cell {
    Number(f64),
    Whole(i64),
    Text(String),
    Truth(bool),
}

/// Calls and puts of three expiries in a morning and an afternoon, on a smile that is not the model's.
fn greeks() -> RecordBatch {
    use lakectl_options::OptionKind;
    use lakectl_options::black::{BlackInput, greeks};
    const STRIKES: usize = 41;
    rows("options.greeks", 2 * 3 * 2 * STRIKES, &|column, row| {
        let (snapshot, rest) = (row / (6 * STRIKES), row % (6 * STRIKES));
        let (expiry, rest) = (rest / (2 * STRIKES), rest % (2 * STRIKES));
        let (call, strike) = (rest < STRIKES, 60_000.0 + 1_500.0 * (rest % STRIKES) as f64);
        let years = [9.0, 12.0, 120.0][expiry] / 365.0;
        let time = Day::from_days(20_000).start().micros() + (8 + snapshot as i64 * 6) * HOUR;
        let forward = 90_000.0 + 200.0 * expiry as f64;
        let k = (strike / forward).ln();
        let vol = 0.5 + 0.01 * snapshot as f64 - 0.1 * k + 0.4 * k * k;
        let kind = if call {
            OptionKind::Call
        } else {
            OptionKind::Put
        };
        let priced = greeks(&BlackInput::forward(kind, forward, strike, years, vol)).unwrap();
        Some(match column {
            "asset" => Cell::Text("BTC".to_owned()),
            "event_time" => Cell::Whole(time),
            "known_at" => Cell::Whole(time + HOUR),
            "expiry" => Cell::Whole(time + (years * 365.0 * 24.0) as i64 * HOUR),
            "settlement" => Cell::Text("inverse".to_owned()),
            "instrument" => Cell::Text(format!("{expiry}-{strike}-{}", kind.letter())),
            "option_type" => Cell::Text(kind.word().to_owned()),
            "strike" => Cell::Number(strike),
            "expiry_years" => Cell::Number(years),
            "forward" => Cell::Number(forward),
            "log_moneyness" => Cell::Number(k),
            "iv" => Cell::Number(vol),
            "bid_iv" => Cell::Number(vol - 0.01 - 0.01 * wobble(row as u64).abs()),
            "ask_iv" => Cell::Number(vol + 0.01),
            "price_usd" => Cell::Number(priced.price),
            "delta" => Cell::Number(priced.delta),
            "vega" => Cell::Number(priced.vega),
            "two_sided" => Cell::Truth(row % 9 != 0),
            "out_of_the_money" => Cell::Truth(call == (strike >= forward)),
            "open_interest" => Cell::Number((10.0 * wobble(row as u64)).max(0.0)),
            _ => return None,
        })
    })
}

/// Hourly bars of the days before the chains of [`greeks`].
fn bars() -> RecordBatch {
    rows("market.spot_bars", 10 * 24, &|column, row| {
        let time = Day::from_days(19_990).start().micros() + row as i64 * HOUR;
        Some(match column {
            "asset" => Cell::Text("BTC".to_owned()),
            "series" => Cell::Text("perpetual".to_owned()),
            "venue" => Cell::Text("binance".to_owned()),
            "width_s" => Cell::Whole(3_600),
            "event_time" => Cell::Whole(time),
            "known_at" => Cell::Whole(time + HOUR + HOUR / 60),
            "close" => Cell::Number(90_000.0 * (1.0 + 0.03 * wobble(row as u64 / 24))),
            _ => return None,
        })
    })
}

fn slices() -> RecordBatch {
    rows("options.slices", 6, &|column, row| {
        let expiry = row % 3;
        let years = [9.0, 30.0, 120.0][expiry] / 365.0;
        let time = Day::from_days(20_000).start().micros() + (8 + (row / 3) as i64 * 6) * HOUR;
        Some(match column {
            "asset" => Cell::Text("BTC".to_owned()),
            "event_time" => Cell::Whole(time),
            "known_at" => Cell::Whole(time + HOUR),
            "expiry" => Cell::Whole(time + (years * 365.0 * 24.0) as i64 * HOUR),
            "expiry_years" => Cell::Number(years),
            "forward" => Cell::Number(90_000.0 + 100.0 * expiry as f64),
            "a" => Cell::Number(0.15 * years),
            "b" => Cell::Number(0.12 * years.sqrt()),
            "rho" => Cell::Number(-0.2 + 0.05 * row as f64),
            "m" => Cell::Number(0.01),
            "sigma" => Cell::Number(0.2),
            // The month's puts are quoted up to a tenth away only.
            "k_min" => Cell::Number(if expiry == 2 { -0.6 } else { -0.1 }),
            "k_max" => Cell::Number(0.5),
            "status" => Cell::Text(["carried", "ok", "ok"][expiry].to_owned()),
            _ => return None,
        })
    })
}

/// Index prices beside the quotes of [`greeks`].
fn quotes() -> RecordBatch {
    rows("market.option_quotes", 4, &|column, row| {
        let time = Day::from_days(20_000).start().micros() + (8 + (row / 2) as i64 * 6) * HOUR;
        Some(match column {
            "asset" => Cell::Text("BTC".to_owned()),
            "event_time" => Cell::Whole(time),
            "known_at" => Cell::Whole(time + HOUR),
            "index_price" => Cell::Number(89_900.0 + 10.0 * row as f64),
            _ => return None,
        })
    })
}

/// Trades of the day before the chains of [`greeks`], and a few of the day itself.
fn trades() -> RecordBatch {
    rows("market.option_trades", 200, &|column, row| {
        let time = Day::from_days(19_999).start().micros() + row as i64 * HOUR / 5;
        let letter = if row % 3 == 0 { "C" } else { "P" };
        let strike = 70_500 + 1_500 * (row % 23);
        Some(match column {
            "asset" => Cell::Text("BTC".to_owned()),
            "event_time" => Cell::Whole(time),
            "known_at" => Cell::Whole(time + HOUR / 360),
            "instrument" => Cell::Text(format!("{}-{strike}-{letter}", row % 2)),
            "taker_side" => Cell::Text(if row % 5 < 3 { "buy" } else { "sell" }.to_owned()),
            "contracts" => Cell::Number(1.0 + wobble(row as u64).abs()),
            _ => return None,
        })
    })
}

fn nodes() -> RecordBatch {
    use lakectl_options::surface::{DELTA_NODES, MATURITY_DAYS};
    rows("options.surface_nodes", 25 * 80, &|column, row| {
        let (snapshot, node) = (row / 25, row % 25);
        let time = Day::from_days(19_990).start().micros() + snapshot as i64 * 6 * HOUR;
        let level = 0.5 + 0.1 * wobble(snapshot as u64);
        let tilt = 0.05 * wobble(1_000 + snapshot as u64) * (node % 5) as f64;
        Some(match column {
            "asset" => Cell::Text("BTC".to_owned()),
            "event_time" => Cell::Whole(time),
            "known_at" => Cell::Whole(time + HOUR),
            "tenor_days" => Cell::Whole(MATURITY_DAYS[node / 5] as i64),
            "node" => Cell::Text(DELTA_NODES[node % 5].to_owned()),
            "iv" => Cell::Number(level + tilt + 0.01 * wobble(5_000 + row as u64)),
            _ => return None,
        })
    })
}

fn matrix() -> RecordBatch {
    rows("features.matrix", 260, &|column, row| {
        let time = Day::from_days(19_750 + row as i32).start().micros();
        let calm = 0.5 + 0.25 * wobble(row as u64 / 20);
        let shock = |k: u64| wobble(k * 10_000 + row as u64);
        Some(match column {
            "asset" => Cell::Text("BTC".to_owned()),
            "as_of" | "known_at" => Cell::Whole(time),
            "price" => Cell::Number(90_000.0 * (1.0 + 0.05 * calm * shock(1))),
            "iv_7d" | "iv_30d" | "ewma_vol" | "rv_7d" => {
                Cell::Number(calm * (1.0 + 0.1 * shock(2)))
            }
            "skew" => Cell::Number(0.05 * shock(3)),
            "term_structure" => Cell::Number(0.1 * (0.5 - calm) + 0.01 * shock(4)),
            "ret_1d" => Cell::Number(0.03 * calm * shock(5)),
            _ => return None,
        })
    })
}

fn run(name: &str, table: &str, inputs: &BTreeMap<String, RecordBatch>) -> RecordBatch {
    let native = NATIVE_STAGES
        .iter()
        .find(|native| native.name == name)
        .unwrap();
    let start = Day::from_ymd(2024, 10, 1).unwrap();
    let task = NativeTask {
        key: TaskKey {
            table: table.parse().unwrap(),
            partition: PartitionKey::new([("asset", "BTC")]).unwrap(),
        },
        period: DayRange::new(start, Day::from_ymd(2024, 11, 1).unwrap()),
        schema: schema_of(&contract(table)),
        params: PARAMS
            .map(|(name, value)| (name.to_owned(), Value::Integer(value)))
            .into(),
        seed: 7,
        inputs: inputs
            .iter()
            .filter(|(name, _)| !native.granted(name).is_empty())
            .map(|(name, rows)| {
                (
                    name.parse().unwrap(),
                    Columns::of(
                        &rows.schema(),
                        std::slice::from_ref(rows),
                        &native.granted(name),
                    )
                    .unwrap(),
                )
            })
            .collect(),
    };
    (native.run)(&task).unwrap()
}

/// Native stages with their tables, each after those that it reads.
const STAGES: [(&str, &str); 17] = [
    ("slices", "options.slices"),
    ("smile_models", "options.smile_models"),
    ("skew_fit", "options.skew_fit"),
    ("skew_report", "options.skew_report"),
    ("variance_index", "options.variance_index"),
    ("surface_nodes", "options.surface_nodes"),
    ("term_structure", "options.term_structure"),
    ("density", "options.density"),
    ("expiry_density", "options.expiry_density"),
    ("exposure", "options.exposure"),
    ("exposure_profile", "options.exposure_profile"),
    ("hedge_ladder", "options.hedge_ladder"),
    ("surface_pca", "features.surface_pca"),
    ("regime_fit", "models.regime"),
    ("regime_filter", "forecast.regimes"),
    ("quantile_fit", "models.quantile"),
    ("quantile_predict", "forecast.quantiles"),
];

/// Inputs that no stage makes here; the hand-made nodes stay, for they cover more snapshots than one would give.
fn inputs() -> BTreeMap<String, RecordBatch> {
    BTreeMap::from([
        ("market.spot_bars".to_owned(), bars()),
        ("market.option_quotes".to_owned(), quotes()),
        ("market.option_trades".to_owned(), trades()),
        ("options.greeks".to_owned(), greeks()),
        ("options.slices".to_owned(), slices()),
        ("options.surface_nodes".to_owned(), nodes()),
        ("features.matrix".to_owned(), matrix()),
    ])
}

#[test]
fn rows_of_native_stages_change_only_with_their_version() {
    let mut tables = inputs();
    let mut found = String::new();
    for (name, table) in STAGES {
        let rows = run(name, table, &tables);
        assert!(rows.num_rows() > 0, "{name} gave no rows");
        let text = pretty_format_batches(std::slice::from_ref(&rows))
            .unwrap()
            .to_string();
        let version = NATIVE_STAGES
            .iter()
            .find(|native| native.name == name)
            .unwrap()
            .version;
        writeln!(
            found,
            "{name} {version} {}",
            Fingerprint::of(text.as_bytes()).short()
        )
        .unwrap();
        // Later stages read what earlier ones made.
        tables.entry(table.to_owned()).or_insert(rows);
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/stages/golden.txt");
    if std::env::var_os("LAKE_BLESS").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    assert_eq!(
        found, expected,
        "raise the version of the stage that changed, then run again with LAKE_BLESS=1"
    );
}

/// Changes the values of a column a little, and all of them.
fn disturbed(rows: &RecordBatch, column: usize) -> Option<RecordBatch> {
    let values = rows.column(column);
    let changed: ArrayRef = match values.data_type() {
        DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>();
            Arc::new(values.unary::<_, Float64Type>(|x| x * 1.03 + 0.001))
        }
        DataType::Timestamp(..) => {
            let values = values.as_primitive::<TimestampMicrosecondType>();
            let later = values.unary::<_, TimestampMicrosecondType>(|t| t + HOUR / 60);
            Arc::new(later.with_timezone("UTC"))
        }
        DataType::Int64 => {
            let values = values.as_primitive::<Int64Type>();
            Arc::new(values.unary::<_, Int64Type>(|n| n + 1))
        }
        _ => return None,
    };
    let mut columns = rows.columns().to_vec();
    columns[column] = changed;
    Some(RecordBatch::try_new(rows.schema(), columns).unwrap())
}

#[test]
fn columns_of_native_stages_depend_only_on_what_they_declare() {
    let mut tables = inputs();
    let (mut tried, mut moved) = (0, 0);
    for (name, table) in STAGES {
        let native = NativeStage::find(name).unwrap();
        let before = run(name, table, &tables);
        for (input, rows) in tables.clone() {
            let schema = rows.schema();
            for column in native.granted(&input) {
                let index = schema.index_of(column).unwrap();
                let Some(other) = disturbed(&rows, index) else {
                    continue;
                };
                let mut disturbed = tables.clone();
                disturbed.insert(input.clone(), other);
                let after = run(name, table, &disturbed);
                tried += 1;
                for (field, (a, b)) in before
                    .schema()
                    .fields()
                    .iter()
                    .zip(before.columns().iter().zip(after.columns()))
                {
                    let uses = |made: &&Made| {
                        let mut uses = made.values.iter().chain(made.conditions);
                        made.columns.contains(&field.name().as_str())
                            && uses.any(|(t, columns)| *t == input && columns.contains(&column))
                    };
                    let declared = native.made.iter().any(|made| uses(&made));
                    assert!(
                        declared || a == b,
                        "{name}: {} changes with {input}.{column}, which it does not declare",
                        field.name()
                    );
                    moved += usize::from(a != b);
                }
            }
        }
        tables.entry(table.to_owned()).or_insert(before);
    }
    // Disturbances that move nothing would show nothing.
    assert!(
        tried > 60 && moved > 100,
        "{tried} columns disturbed, {moved} moved"
    );
}

#[test]
fn native_stages_declare_columns_that_there_are() {
    for (name, table) in STAGES {
        let native = NativeStage::find(name).unwrap();
        for made in native.made {
            for column in made.columns {
                assert!(
                    contract(table).get(column).is_some(),
                    "{name}: {table}.{column}"
                );
            }
            for (input, columns) in made.values.iter().chain(made.conditions) {
                for column in *columns {
                    assert!(
                        contract(input).get(column).is_some(),
                        "{name}: {input}.{column}"
                    );
                }
            }
        }
    }
    assert_eq!(STAGES.len(), NATIVE_STAGES.len());
}

fn numbers(rows: &RecordBatch, column: &str) -> Vec<Option<f64>> {
    let array = rows.column_by_name(column).unwrap();
    array.as_primitive::<Float64Type>().iter().collect()
}

/// The morning of [`greeks`] gives the model; the afternoon, a point of volatility higher, is scored by it.
#[test]
fn a_morning_is_fitted_and_the_afternoon_scored() {
    let mut tables = inputs();
    let fit = run("skew_fit", "options.skew_fit", &tables);
    assert_eq!(fit.num_rows(), 1, "the afternoon is no morning");
    let one = |rows: &RecordBatch, column: &str| numbers(rows, column)[0].unwrap();
    let (level, realised) = (one(&fit, "atm_iv"), one(&fit, "realised_vol"));
    assert!((level - 0.5).abs() < 1e-3, "{level}");
    assert_eq!(one(&fit, "multiplier"), level / realised);
    // Puts are dear on this smile, the money costs what it costs.
    assert!(one(&fit, "put_15") > 1.02 && one(&fit, "put_50") < 1.02);
    tables.insert("options.skew_fit".to_owned(), fit);
    let report = run("skew_report", "options.skew_report", &tables);
    let labels = |column: &str| {
        let array = report.column_by_name(column).unwrap();
        let words = array.as_string::<i32>().iter();
        words
            .map(|word| word.unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (samples, models, deltas) = (labels("sample"), labels("model"), labels("delta_band"));
    let bias = numbers(&report, "bias_vol");
    for row in
        (0..report.num_rows()).filter(|&row| models[row] == "skewed" && deltas[row] == "45-55")
    {
        let expected = if samples[row] == "morning" {
            0.0
        } else {
            -0.01
        };
        assert!(
            (bias[row].unwrap() - expected).abs() < 0.004,
            "{row}: {:?}",
            bias[row]
        );
    }
    assert!(samples.iter().any(|sample| sample == "later"));
    // No closes, no model, and the reason for it.
    tables.insert("market.spot_bars".to_owned(), bars().slice(0, 48));
    let fit = run("skew_fit", "options.skew_fit", &tables);
    assert_eq!(numbers(&fit, "multiplier"), [None]);
    let reason = fit.column_by_name("reason").unwrap();
    assert_eq!(reason.as_string::<i32>().value(0), "no_closes");
    tables.insert("options.skew_fit".to_owned(), fit);
    assert_eq!(
        run("skew_report", "options.skew_report", &tables).num_rows(),
        0
    );
}

/// Takers' buying makes dealers short, within what is open; what happened or was known after the snapshot does not count.
#[test]
fn taker_flow_is_the_other_side_of_trades_known_with_the_snapshot() {
    let day = Day::from_days(20_000).start().micros();
    let one = |time: i64, known: i64, side: &'static str, size: f64| {
        rows("market.option_trades", 1, &move |column, _| {
            Some(match column {
                "event_time" => Cell::Whole(time),
                "known_at" => Cell::Whole(known),
                "instrument" => Cell::Text("0-90000-C".to_owned()),
                "taker_side" => Cell::Text(side.to_owned()),
                "contracts" => Cell::Number(size),
                _ => return None,
            })
        })
    };
    // The greeks of the morning's snapshot, 08:00, are known an hour later; its option is open in 5 contracts.
    let flow = |trade: RecordBatch| {
        let mut tables = inputs();
        let greeks = rows("options.greeks", 1, &|column, _| {
            Some(match column {
                "event_time" => Cell::Whole(day + 8 * HOUR),
                "known_at" => Cell::Whole(day + 9 * HOUR),
                "instrument" => Cell::Text("0-90000-C".to_owned()),
                "option_type" => Cell::Text("call".to_owned()),
                "strike" | "forward" => Cell::Number(90_000.0),
                "expiry_years" => Cell::Number(0.1),
                "iv" => Cell::Number(0.5),
                "open_interest" => Cell::Number(5.0),
                _ => return None,
            })
        });
        tables.insert("options.greeks".to_owned(), greeks);
        tables.insert("market.option_trades".to_owned(), trade);
        let found = run("exposure", "options.exposure", &tables);
        let of = |name: &str| {
            found
                .column_by_name(name)
                .unwrap()
                .as_string::<i32>()
                .clone()
        };
        let (scenarios, reasons) = (of("scenario"), of("reason"));
        let gamma = numbers(&found, "gamma_usd_per_pct");
        let at = |scenario: &str| {
            let row = (0..found.num_rows()).find(|row| scenarios.value(*row) == scenario);
            row.unwrap()
        };
        let reason = reasons
            .is_valid(at("taker_flow"))
            .then(|| reasons.value(at("taker_flow")));
        let ladder = run("hedge_ladder", "options.hedge_ladder", &tables);
        let share =
            gamma[at("taker_flow")].map(|gamma_flow| gamma_flow / gamma[at("all_short")].unwrap());
        (share, reason.map(str::to_owned), ladder.num_rows())
    };
    let (early, known) = (day + 7 * HOUR, day + 9 * HOUR);
    let (share, reason, rungs) = flow(one(early, known, "buy", 2.0));
    assert!((share.unwrap() - 0.4).abs() < 1e-12 && reason.is_none());
    let (share, ..) = flow(one(early, known, "sell", 2.0));
    assert!((share.unwrap() + 0.4).abs() < 1e-12);
    let (share, ..) = flow(one(early, known, "buy", 50.0));
    assert!((share.unwrap() - 1.0).abs() < 1e-12);
    for (time, known) in [
        (early, known + 1),
        (day + 8 * HOUR + 1, known),
        (day + 8 * HOUR - 30 * 24 * HOUR, known),
    ] {
        let (share, reason, fewer) = flow(one(time, known, "buy", 2.0));
        assert_eq!((share, reason.as_deref()), (None, Some("no_trades")));
        assert_eq!(fewer * 3, rungs * 2);
    }
}
