//! Synthetic normalised rows: smooth series with known shapes and a small deterministic noise.

use std::sync::OnceLock;

use arrow::array::RecordBatch;

use crate::lab::{DAY, HOUR, Lab, NORM_METRICS, Value, day, declared, table};

/// One normalised row of a metric.
#[derive(Clone, Debug)]
pub(crate) struct Stated {
    pub(crate) asset: Option<&'static str>,
    pub(crate) metric: &'static str,
    pub(crate) venue: &'static str,
    /// Day number of the event.
    pub(crate) day: i64,
    pub(crate) value: f64,
    /// Microseconds.
    pub(crate) known_at: i64,
    pub(crate) document_time: i64,
    pub(crate) sequence: i64,
    pub(crate) replacement: &'static str,
    /// Named after the venue unless given.
    pub(crate) dataset: Option<&'static str>,
}

impl Stated {
    /// A value known 28 hours after its day begins, in a document made then.
    pub(crate) fn new(metric: &'static str, day: i64, value: f64) -> Self {
        let known_at = day * DAY + 28 * HOUR;
        Self {
            asset: Some("BTC"),
            metric,
            venue: "coinmetrics",
            day,
            value,
            known_at,
            document_time: known_at,
            sequence: 0,
            replacement: "restatement",
            dataset: None,
        }
    }

    fn row(&self) -> Vec<Value> {
        let text = |t: &str| Value::Text(t.to_owned());
        vec![
            self.asset.map_or(Value::Null, text),
            Value::Int(self.day * DAY),
            Value::Int(self.known_at),
            text("lag"),
            Value::Null,
            Value::Int(self.document_time),
            text(&format!("document-{}", self.document_time)),
            Value::Int(self.sequence),
            text(&self.dataset.map_or_else(
                || format!("{}_{}", self.venue, self.replacement),
                str::to_owned,
            )),
            text(self.replacement),
            text(self.metric),
            if self.value.is_nan() {
                Value::Null
            } else {
                Value::Number(self.value)
            },
            text("unit"),
            text(self.venue),
        ]
    }
}

/// The normalised rows as a table.
pub(crate) fn norm(rows: &[Stated]) -> RecordBatch {
    table(
        NORM_METRICS,
        &rows.iter().map(Stated::row).collect::<Vec<_>>(),
    )
}

/// A number in [-1, 1) from a name and a day, the same on every machine.
pub(crate) fn noise(name: &str, day: i64) -> f64 {
    let mut hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
    });
    hash ^= (day as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..3 {
        hash = (hash ^ (hash >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    (hash >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

pub(crate) const METRICS: [(&str, f64, f64); 26] = [
    ("lth_supply", 14.0e6, 2.0e4),
    ("sth_supply", 5.0e6, 2.0e4),
    ("exchange_balance", 2.4e6, 1.0e4),
    ("dormancy", 60.0, 20.0),
    ("exchange_inflow", 4.0e4, 1.0e4),
    ("exchange_outflow", 4.0e4, 1.0e4),
    ("miner_outflow", 450.0, 50.0),
    ("sth_sopr", 1.0, 0.02),
    ("market_cap_usd", 1.2e12, 3.0e10),
    ("mvrv", 2.0, 0.1),
    ("mdia", 500.0, 3.0),
    ("mvrv_long_short_diff", 0.2, 0.05),
    ("mvrv_usd_1d", 1.0, 0.01),
    ("mvrv_usd_7d", 1.0, 0.03),
    ("mvrv_usd_30d", 1.02, 0.05),
    ("mvrv_usd_60d", 1.05, 0.08),
    ("mvrv_usd_90d", 1.08, 0.1),
    ("mvrv_usd_180d", 1.15, 0.1),
    ("mvrv_usd_365d", 1.3, 0.1),
    ("holders_1_10", 2.1e6, 3.0e3),
    ("holders_10_100", 4.3e6, 3.0e3),
    ("holders_100_1k", 4.7e6, 3.0e3),
    ("holders_1k_10k", 4.6e6, 3.0e3),
    ("stablecoin_supply_usd", 1.6e11, 5.0e8),
    ("stablecoin_exchange_netflow_usd", 0.0, 1.0e8),
    ("social_sentiment", 0.0, 1.0),
];

/// A slow wave and noise around a level.
pub(crate) fn path(metric: &str, level: f64, swing: f64, day: i64) -> f64 {
    let phase = noise(metric, 0) * 3.0;
    let wave = (day as f64 / 23.0 + phase).sin() + 0.6 * (day as f64 / 5.3 + 2.0 * phase).sin();
    level + swing * (wave + 0.5 * noise(metric, day))
}

/// Every metric on every day of the range.
pub(crate) fn world(days: std::ops::Range<i64>) -> Vec<Stated> {
    let mut rows = Vec::new();
    for day in days {
        for (metric, level, swing) in METRICS {
            let mut row = Stated::new(metric, day, path(metric, level, swing, day));
            if metric.starts_with("stable") {
                row.asset = None;
            }
            rows.push(row);
        }
    }
    rows
}

/// Three surfaces a day.
pub(crate) fn surfaces(days: std::ops::Range<i64>) -> RecordBatch {
    let contract = declared("features.surface_factors").contract;
    let rows: Vec<Vec<Value>> = days
        .flat_map(|day| [4, 12, 20].map(|hour| day * DAY + hour * HOUR))
        .map(|at| {
            contract
                .columns()
                .iter()
                .map(|column| match column.name.as_str() {
                    "asset" => Value::Text("BTC".to_owned()),
                    "event_time" => Value::Int(at),
                    "known_at" => Value::Int(at + 60_000_000),
                    "slices" => Value::Int(11),
                    "reason" => Value::Null,
                    name => Value::Number(
                        path(name, 0.1, 0.02, at / DAY) + 0.001 * noise(name, at / HOUR),
                    ),
                })
                .collect()
        })
        .collect();
    table(&contract.to_string(), &rows)
}

/// A lab with these normalised rows, sentiment apart, and surfaces.
pub(crate) fn lab(rows: &[Stated], surfaces: RecordBatch) -> Lab {
    let mood = |row: &&Stated| row.metric == "social_sentiment" || row.metric == "fear_greed";
    let moods: Vec<Stated> = rows.iter().filter(mood).cloned().collect();
    let others: Vec<Stated> = rows.iter().filter(|row| !mood(row)).cloned().collect();
    let mut lab = Lab::default();
    lab.put("norm.metrics", "event_time", norm(&others));
    lab.put("norm.sentiment", "event_time", norm(&moods));
    lab.put("features.surface_factors", "event_time", surfaces);
    lab
}

/// The days of the usual world.
pub(crate) fn days() -> std::ops::Range<i64> {
    day("2024-06-01")..day("2026-01-20")
}

/// The usual world with all its stages, computed once.
pub(crate) fn base() -> &'static Lab {
    static BASE: OnceLock<Lab> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut lab = lab(&world(days()), surfaces(days()));
        lab.run_chain("BTC", 2024..=2026);
        lab
    })
}
