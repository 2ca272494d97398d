//! Which documents there are, when each could be had, and their bodies on demand.

use std::ops::RangeInclusive;

use lakectl_core::{Day, Grain, UtcTime};

use crate::bodies::{
    GLASSNODE, GLASSNODE_MINERS, GLASSNODE_STABLE, Page, SANTIMENT, candles, coin_metrics,
    completion_delay, fear_and_greed, funding, glassnode, rates, santiment, stablecoins,
    volatility_index,
};
use crate::calendar::{SECONDS_PER_DAY, civil, month_start};
use crate::chain::{DirtyKind, DirtyRow, Snapshot, futures_body, options_body, planted};
use crate::config::{Asset, MarketError};
use crate::market::Market;
use crate::request::request;
use crate::rng::{fnv, mix_all, unit};
use crate::trades::trades;
use crate::write::iso_date;

/// Part of every token: raised when the simulation changes, so that bodies are harvested again.
const MODEL_VERSION: u64 = 1;
/// Snapshot times of a dense day, seconds after midnight: 04:05, 09:10, 15:05 and 21:10 UTC.
const SNAPSHOTS: [i64; 4] = [14_700, 33_000, 54_300, 76_200];
/// Days from the start to the month whose exchange flows are restated.
const RESTATED_AFTER_DAYS: i32 = 200;
/// Days between a month's first publication and its restatement.
const RESTATED_LATER_DAYS: i64 = 7;

/// One kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatasetInfo {
    /// Name, `<venue>_<what>`.
    pub name: &'static str,
    /// Media type of the bodies.
    pub media_type: &'static str,
    /// What one listing partition spans: a day of snapshots, or a month's pages.
    pub grain: Grain,
    /// Seconds from a row's own time to when it could be known, for rows that do not say it themselves. Bars and daily
    /// values carry the time at which they begin.
    pub lag_seconds: i64,
    /// What the rows are.
    pub description: &'static str,
}

const fn dataset(
    name: &'static str,
    grain: Grain,
    lag_seconds: i64,
    description: &'static str,
) -> DatasetInfo {
    DatasetInfo {
        name,
        media_type: "application/json",
        grain,
        lag_seconds,
        description,
    }
}

/// Everything the market publishes.
pub const DATASETS: [DatasetInfo; 12] = [
    dataset(
        "deribit_options",
        Grain::Day,
        10,
        "option chain snapshots, get_book_summary_by_currency",
    ),
    dataset(
        "deribit_futures",
        Grain::Day,
        10,
        "perpetual and dated futures at the snapshot times, get_book_summary_by_currency",
    ),
    dataset(
        "deribit_dvol",
        Grain::Month,
        SECONDS_PER_DAY,
        "daily candles of the volatility index in percent, get_volatility_index_data",
    ),
    dataset(
        "deribit_funding",
        Grain::Month,
        60,
        "hourly funding of the perpetual, get_funding_rate_history",
    ),
    dataset(
        "deribit_trades",
        Grain::Day,
        10,
        "trades of options with the taker's side, get_last_trades_by_currency_and_time",
    ),
    dataset(
        "coinbase_candles",
        Grain::Month,
        3_600,
        "hourly spot candles, three pages a month, newest first",
    ),
    dataset(
        "coinmetrics_assets",
        Grain::Month,
        28 * 3_600,
        "daily asset metrics with their completion time; one month is restated",
    ),
    dataset(
        "glassnode_metrics",
        Grain::Month,
        26 * 3_600,
        "daily supply by holding time, dormancy, spent-output profit, miner and dollar-token flows",
    ),
    dataset(
        "santiment_metrics",
        Grain::Month,
        26 * 3_600,
        "daily invested age, time-bound MVRV, holders by band, weighted sentiment",
    ),
    dataset(
        "defillama_stablecoins",
        Grain::Month,
        26 * 3_600,
        "daily circulating dollar tokens",
    ),
    dataset(
        "alternative_fear_greed",
        Grain::Month,
        3_600,
        "daily fear and greed index, newest first",
    ),
    DatasetInfo {
        name: "fred_rates",
        media_type: "text/csv",
        grain: Grain::Month,
        lag_seconds: 84 * 3_600,
        description: "Treasury yields and SOFR on business days, percent",
    },
];

/// One document in a listing; its body has not been made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentEntry {
    /// Name, unique in its dataset.
    pub name: String,
    /// The coin, for documents about one.
    pub asset: Option<Asset>,
    /// The venue's name of the metric, for documents with one.
    pub metric: Option<&'static str>,
    /// First day covered.
    pub first: Day,
    /// Last day covered, included.
    pub last: Day,
    /// When the body could be had.
    pub recorded_at: UtcTime,
    /// Changes exactly when the body does.
    pub token: u64,
    /// Whether a later end of the history leaves the body as it is.
    pub sealed: bool,
}

/// One response body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What the listing says of it.
    pub entry: DocumentEntry,
    /// Address of the request, without a key; a request with a body has it after a space.
    pub request: String,
    /// Media type of the body.
    pub media_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// What a document is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub dataset: usize,
    pub asset: Option<Asset>,
    pub metric: Option<&'static str>,
    pub first: i32,
    pub last: i32,
    /// Last day of the page once its period is over.
    pub full: i32,
    /// Moment of a snapshot, seconds since 1970.
    pub snapshot: Option<i64>,
    pub revision: u8,
}

impl Market {
    /// Returns what is published.
    pub fn datasets(&self) -> &'static [DatasetInfo] {
        &DATASETS
    }

    /// Lists a dataset's documents in time order, without making a body.
    ///
    /// # Errors
    /// [`MarketError::Dataset`] if there is no such dataset.
    pub fn list(&self, dataset: &str) -> Result<Vec<DocumentEntry>, MarketError> {
        let index = dataset_index(dataset)?;
        let days = self.config.start.days()..=self.config.end.days();
        let specs = self.specs(index, days);
        Ok(specs.iter().map(|spec| self.entry(spec)).collect())
    }

    /// Returns the documents that cover `day`; none outside the history.
    ///
    /// # Errors
    /// [`MarketError::Dataset`] if there is no such dataset.
    pub fn documents(&self, dataset: &str, day: Day) -> Result<Vec<Document>, MarketError> {
        let index = dataset_index(dataset)?;
        let day = day.days();
        let specs = self.specs(index, day..=day);
        let covering = specs
            .iter()
            .filter(|spec| (spec.first..=spec.last).contains(&day));
        Ok(covering.map(|spec| self.render(spec)).collect())
    }

    /// Returns one document by its name in the listing.
    ///
    /// # Errors
    /// [`MarketError::Dataset`] or [`MarketError::Document`] if there is no such dataset or document.
    pub fn document(&self, dataset: &str, name: &str) -> Result<Document, MarketError> {
        let index = dataset_index(dataset)?;
        // Every name begins with its month, so that only the month's names have to be made.
        let month = name.get(..7).map(|month| format!("{month}-01"));
        let first = month.and_then(|month| month.parse::<Day>().ok());
        let specs = first.map_or_else(Vec::new, |first| {
            let first = first.days();
            self.specs(index, first..=month_start(first, 1) - 1)
        });
        specs
            .iter()
            .find(|spec| self.name(spec) == name)
            .map(|spec| self.render(spec))
            .ok_or_else(|| MarketError::Document {
                dataset: DATASETS[index].name,
                found: name.to_owned(),
            })
    }

    /// Returns the rows that are wrong on purpose.
    pub fn dirty_rows(&self) -> Vec<DirtyRow> {
        let days = self.config.start.days()..=self.config.end.days();
        let specs = self.specs(0, days);
        specs
            .iter()
            .filter_map(|spec| {
                let snapshot = self.snapshot(spec)?;
                let kind = snapshot.fault?;
                let instrument = options_body(self, snapshot).1?;
                Some(DirtyRow {
                    dataset: DATASETS[0].name,
                    document: self.name(spec),
                    instrument,
                    kind,
                })
            })
            .collect()
    }

    /// The documents of all periods that touch `days`.
    fn specs(&self, dataset: usize, days: RangeInclusive<i32>) -> Vec<Spec> {
        let from = (*days.start()).max(self.config.start.days());
        let to = (*days.end()).min(self.config.end.days());
        if from > to {
            return Vec::new();
        }
        if DATASETS[dataset].name == "deribit_trades" {
            return (from..=to)
                .flat_map(|day| self.day_specs(dataset, day))
                .collect();
        }
        if DATASETS[dataset].grain == Grain::Day {
            return (from..=to)
                .flat_map(|day| self.snapshot_specs(dataset, day))
                .collect();
        }
        let mut specs = Vec::new();
        let mut month = month_start(from, 0);
        while month <= to {
            self.month_specs(dataset, month, &mut specs);
            month = month_start(month, 1);
        }
        specs
    }

    /// One page a coin, for the whole day.
    fn day_specs(&self, dataset: usize, day: i32) -> impl Iterator<Item = Spec> + '_ {
        self.assets().map(move |asset| Spec {
            dataset,
            asset: Some(asset),
            metric: None,
            first: day,
            last: day,
            full: day,
            snapshot: None,
            revision: 0,
        })
    }

    fn snapshot_specs(&self, dataset: usize, day: i32) -> Vec<Spec> {
        let dense = day >= self.config.dense_from.days();
        let skip = if dense { 0 } else { SNAPSHOTS.len() - 1 };
        SNAPSHOTS[skip..]
            .iter()
            .flat_map(|time| self.assets().map(move |asset| (time, asset)))
            .map(|(time, asset)| {
                // A few seconds of jitter, as a scheduler has.
                let key = [self.seed(), day as u64, *time as u64];
                let jitter = (40.0 * unit(mix_all(&key))) as i64;
                Spec {
                    dataset,
                    asset: Some(asset),
                    metric: None,
                    first: day,
                    last: day,
                    full: day,
                    snapshot: Some(i64::from(day) * SECONDS_PER_DAY + time + jitter),
                    revision: 0,
                }
            })
            .collect()
    }

    fn assets(&self) -> impl Iterator<Item = Asset> + '_ {
        Asset::ALL
            .into_iter()
            .filter(|asset| self.config.assets.contains(asset))
    }

    fn month_specs(&self, dataset: usize, month: i32, specs: &mut Vec<Spec>) {
        let month_end = month_start(month, 1) - 1;
        let blank = Spec {
            dataset,
            asset: None,
            metric: None,
            first: month.max(self.config.start.days()),
            last: month_end.min(self.config.end.days()),
            full: month_end,
            snapshot: None,
            revision: 0,
        };
        let of = |asset: Asset| Spec {
            asset: Some(asset),
            ..blank
        };
        match DATASETS[dataset].name {
            "coinbase_candles" => {
                let starts = [month, month + 10, month + 20];
                let ends = [month + 9, month + 19, month_end];
                for (start, end) in starts.into_iter().zip(ends) {
                    let (first, last) = (blank.first.max(start), blank.last.min(end));
                    if first <= last {
                        specs.extend(self.assets().map(|asset| Spec {
                            first,
                            last,
                            full: end,
                            ..of(asset)
                        }));
                    }
                }
            }
            "coinmetrics_assets" => {
                specs.extend(self.assets().map(of));
                let restated = self.config.start.days() + RESTATED_AFTER_DAYS;
                // Not before the month is over and the history has come a week further.
                if month == month_start(restated, 0) && blank.last == month_end {
                    specs.extend(
                        self.assets()
                            .map(|asset| Spec {
                                revision: 1,
                                ..of(asset)
                            })
                            .filter(|spec| self.recorded_at(spec).day() <= self.config.end.plus(1)),
                    );
                }
            }
            "glassnode_metrics" => {
                for asset in self.assets() {
                    let miners = (asset == Asset::Btc).then_some(GLASSNODE_MINERS);
                    specs.extend(GLASSNODE.into_iter().chain(miners).map(|metric| Spec {
                        metric: Some(metric),
                        ..of(asset)
                    }));
                }
                specs.push(Spec {
                    metric: Some(GLASSNODE_STABLE),
                    ..blank
                });
            }
            "santiment_metrics" => {
                for asset in self.assets() {
                    specs.extend(SANTIMENT.into_iter().map(|metric| Spec {
                        metric: Some(metric),
                        ..of(asset)
                    }));
                }
            }
            "deribit_dvol" | "deribit_funding" => specs.extend(self.assets().map(of)),
            _ => specs.push(blank),
        }
    }

    fn snapshot(&self, spec: &Spec) -> Option<Snapshot> {
        let seconds = spec.snapshot?;
        let day = Day::from_days(spec.first);
        let last_of_day = seconds.rem_euclid(SECONDS_PER_DAY) >= SNAPSHOTS[SNAPSHOTS.len() - 1];
        Some(Snapshot {
            asset: spec.asset?,
            seconds,
            fault: planted(day).filter(|_: &DirtyKind| last_of_day),
        })
    }

    fn name(&self, spec: &Spec) -> String {
        let date = iso_date(spec.first);
        let extension = match DATASETS[spec.dataset].media_type {
            "text/csv" => "csv",
            _ => "json",
        };
        let mut name = match (spec.snapshot, DATASETS[spec.dataset].name) {
            (Some(seconds), _) => {
                let time = seconds.rem_euclid(SECONDS_PER_DAY);
                let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
                format!("{date}T{hour:02}{minute:02}{second:02}Z")
            }
            (None, "coinbase_candles") => {
                let third = ((civil(spec.full).2 - 1) / 10).min(2) + 1;
                format!("{}-{third}of3", &date[..7])
            }
            (None, "deribit_trades") => date,
            _ => date[..7].to_owned(),
        };
        if let Some(asset) = spec.asset {
            name.push('-');
            name.push_str(asset.ticker());
        }
        if let Some(metric) = spec.metric {
            name.push('-');
            name.push_str(&metric.replace('/', "."));
        }
        if spec.revision > 0 {
            name.push_str("-restated");
        }
        format!("{name}.{extension}")
    }

    fn entry(&self, spec: &Spec) -> DocumentEntry {
        let name = self.name(spec);
        let token = mix_all(&[
            MODEL_VERSION,
            self.seed(),
            self.config.start.days() as u64,
            fnv(DATASETS[spec.dataset].name.as_bytes()),
            fnv(name.as_bytes()),
            spec.last as u64,
        ]);
        DocumentEntry {
            name,
            asset: spec.asset,
            metric: spec.metric,
            first: Day::from_days(spec.first),
            last: Day::from_days(spec.last),
            recorded_at: self.recorded_at(spec),
            token,
            sealed: spec.last == spec.full,
        }
    }

    fn recorded_at(&self, spec: &Spec) -> UtcTime {
        let seconds = match (spec.snapshot, spec.asset) {
            (Some(seconds), _) => seconds + 4,
            (None, Some(asset)) if DATASETS[spec.dataset].name == "coinmetrics_assets" => {
                // Some day before the last may be complete later than the last.
                let complete = |day: i32| {
                    i64::from(day) * SECONDS_PER_DAY + completion_delay(self, asset, day)
                };
                let all = (spec.first..=spec.last).map(complete).max().unwrap_or(0);
                all + 60 + i64::from(spec.revision) * RESTATED_LATER_DAYS * SECONDS_PER_DAY
            }
            // An hourly page is complete an hour after its last row, a daily one its lag after it, trades with their last day.
            _ => {
                let begins = i64::from(spec.last) * SECONDS_PER_DAY;
                let info = &DATASETS[spec.dataset];
                let last_row = match info.name {
                    "deribit_funding" | "coinbase_candles" => 23 * 3_600,
                    "deribit_trades" => SECONDS_PER_DAY,
                    _ => 0,
                };
                begins + last_row + info.lag_seconds + 5
            }
        };
        UtcTime::from_micros(seconds * 1_000_000)
    }

    fn render(&self, spec: &Spec) -> Document {
        let page = Page {
            asset: spec.asset.unwrap_or(Asset::Btc),
            first: spec.first,
            last: spec.last,
        };
        let metric = spec.metric.unwrap_or_default();
        let body = match (DATASETS[spec.dataset].name, self.snapshot(spec)) {
            ("deribit_options", Some(snapshot)) => options_body(self, snapshot).0,
            (_, Some(snapshot)) => futures_body(self, snapshot),
            ("deribit_dvol", _) => volatility_index(self, page),
            ("deribit_funding", _) => funding(self, page),
            ("deribit_trades", _) => trades(self, page),
            ("coinbase_candles", _) => candles(self, page),
            ("coinmetrics_assets", _) => coin_metrics(self, page, spec.revision),
            ("glassnode_metrics", _) => glassnode(self, page, metric),
            ("santiment_metrics", _) => santiment(self, page, metric),
            ("defillama_stablecoins", _) => stablecoins(self, page),
            ("alternative_fear_greed", _) => fear_and_greed(self, page),
            _ => rates(self, page),
        };
        Document {
            entry: self.entry(spec),
            request: request(spec, page),
            media_type: DATASETS[spec.dataset].media_type,
            body,
        }
    }
}

fn dataset_index(name: &str) -> Result<usize, MarketError> {
    DATASETS
        .iter()
        .position(|info| info.name == name)
        .ok_or_else(|| MarketError::Dataset {
            found: name.to_owned(),
            known: DATASETS.map(|info| info.name).join(", "),
        })
}
