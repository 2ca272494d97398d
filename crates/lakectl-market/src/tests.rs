//! Tests of the whole market: calendar, documents, chains.

mod law;
mod series;

use std::collections::{BTreeMap, BTreeSet};

use lakectl_core::Day;
use serde_json::Value;

use crate::calendar::{civil, expiries, expiry_name, from_civil, weekday};
use crate::{Asset, DATASETS, DirtyKind, Document, Market, MarketConfig, MarketError};

fn market(seed: u64) -> Market {
    Market::new(MarketConfig {
        seed,
        ..MarketConfig::default()
    })
    .unwrap()
}

fn short(seed: u64, days: i32) -> MarketConfig {
    let start = Day::from_ymd(2025, 6, 10).unwrap();
    MarketConfig {
        seed,
        start,
        end: start.plus(days - 1),
        dense_from: start.plus(days / 2),
        assets: Asset::ALL.to_vec(),
    }
}

fn all(market: &Market) -> BTreeMap<(String, String), Document> {
    let mut documents = BTreeMap::new();
    for info in market.datasets() {
        for entry in market.list(info.name).unwrap() {
            let document = market.document(info.name, &entry.name).unwrap();
            assert_eq!(document.entry, entry);
            let old = documents.insert((info.name.to_owned(), entry.name.clone()), document);
            assert!(old.is_none(), "{} {} twice", info.name, entry.name);
        }
    }
    documents
}

fn json(document: &Document) -> Value {
    serde_json::from_slice(&document.body).unwrap()
}

#[test]
fn calendar_agrees_with_core_and_the_venue() {
    for days in (-1_000..40_000).step_by(13) {
        let day = Day::from_days(days);
        assert_eq!(civil(days), day.ymd());
        let (year, month, date) = civil(days);
        assert_eq!(from_civil(year, month, date), days);
        assert_eq!(weekday(days) as u32, day.weekday());
    }
    assert_eq!(MarketConfig::default().end.to_string(), "2026-03-20");
    assert_eq!(MarketConfig::default().start.to_string(), "2025-01-25");
    // The expiries of 2026-02-10 09:54 as they were listed (near ones at least).
    let at = Day::from_ymd(2026, 2, 10).unwrap().days();
    let names: Vec<String> = expiries(i64::from(at) * 86_400 + 9 * 3_600 + 54 * 60)
        .iter()
        .map(|expiry| expiry_name(expiry.day))
        .collect();
    let expected = [
        "11FEB26", "12FEB26", "13FEB26", "20FEB26", "27FEB26", "6MAR26", "27MAR26", "24APR26",
        "26JUN26", "25SEP26",
    ];
    assert_eq!(names, expected);
}

#[test]
fn same_configuration_same_bodies_in_any_order_and_thread() {
    let (a, b) = (
        Market::new(short(3, 70)).unwrap(),
        Market::new(short(3, 70)).unwrap(),
    );
    let forward = all(&a);
    let keys: Vec<_> = forward.keys().cloned().collect();
    std::thread::scope(|scope| {
        for part in 0..2 {
            let (b, keys, forward) = (&b, &keys, &forward);
            scope.spawn(move || {
                for key in keys.iter().rev().skip(part).step_by(2) {
                    assert_eq!(b.document(&key.0, &key.1).unwrap(), forward[key], "{key:?}");
                }
            });
        }
    });
    let other = all(&Market::new(short(4, 70)).unwrap());
    let same = forward
        .iter()
        .filter(|(key, document)| {
            other
                .get(*key)
                .is_some_and(|o| o.body == document.body || o.entry.token == document.entry.token)
        })
        .count();
    assert_eq!(same, 0, "another seed is another market");
}

#[test]
fn one_coin_alone_has_the_same_documents() {
    let both = all(&Market::new(short(3, 40)).unwrap());
    let config = MarketConfig {
        assets: vec![Asset::Eth],
        ..short(3, 40)
    };
    for (key, document) in all(&Market::new(config).unwrap()) {
        assert_eq!(both[&key].body, document.body, "{key:?}");
    }
}

#[test]
fn a_later_end_only_adds() {
    let short_config = short(5, 204);
    let long_config = MarketConfig {
        end: short_config.end.plus(40),
        ..short_config.clone()
    };
    let (early, late) = (
        all(&Market::new(short_config.clone()).unwrap()),
        all(&Market::new(long_config).unwrap()),
    );
    let mut open = 0;
    for (key, document) in &early {
        let later = &late[key];
        if document.entry.sealed {
            assert_eq!(later, document, "{key:?}");
        } else {
            open += 1;
            assert_ne!(later.entry.token, document.entry.token, "{key:?}");
            assert_eq!(later.request, document.request);
            assert_eq!(document.entry.last, short_config.end);
        }
    }
    assert!(open > 0 && late.len() > early.len());
    let restated = |documents: &BTreeMap<(String, String), Document>| {
        documents
            .keys()
            .filter(|key| key.1.contains("restated"))
            .count()
    };
    assert_eq!(
        (restated(&early), restated(&late)),
        (0, 2),
        "restated only after a month has passed"
    );
}

#[test]
fn documents_by_day_are_the_listed_ones() {
    let market = Market::new(short(3, 45)).unwrap();
    let day = market.config().end;
    for info in DATASETS {
        let of_day = market.documents(info.name, day).unwrap();
        assert!(!of_day.is_empty(), "{}", info.name);
        let listed = market.list(info.name).unwrap();
        for document in of_day {
            assert!(listed.contains(&document.entry));
            assert!(document.entry.first <= day && day <= document.entry.last);
        }
        assert!(market.documents(info.name, day.plus(1)).unwrap().is_empty());
    }
    assert_eq!(market.documents("deribit_options", day).unwrap().len(), 8);
    assert_eq!(
        market
            .documents("deribit_options", market.config().start)
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn takers_trade_listed_options_in_order_and_lean() {
    let market = Market::new(short(3, 45)).unwrap();
    let (mut bought, mut known, mut count) = ([0.0; 2], 0, 0);
    for asset in Asset::ALL {
        let mut before = 0;
        let pages = market.list("deribit_trades").unwrap();
        for entry in pages.iter().filter(|entry| entry.asset == Some(asset)) {
            let page = json(&market.document("deribit_trades", &entry.name).unwrap());
            for trade in page["result"]["trades"].as_array().unwrap() {
                let millis = trade["timestamp"].as_i64().unwrap();
                assert!(before <= millis, "trades are in order");
                before = millis;
                let day = Day::from_days(millis.div_euclid(86_400_000) as i32);
                assert!((entry.first..=entry.last).contains(&day));
                assert!(millis < entry.recorded_at.micros() / 1_000);
                let name = trade["instrument_name"].as_str().unwrap();
                let sign = if trade["direction"] == "buy" {
                    1.0
                } else {
                    -1.0
                };
                assert!(
                    trade["price"].as_f64().unwrap() > 0.0 && trade["iv"].as_f64().unwrap() > 1.0
                );
                let amount = trade["amount"].as_f64().unwrap();
                bought[usize::from(name.ends_with("-P"))] += sign * amount.min(5.0);
                count += 1;
                if count % 50 == 0 {
                    let chains = market.documents("deribit_options", day).unwrap();
                    let lists = |chain| {
                        let listed = rows(chain);
                        listed.iter().any(|row| row.3["instrument_name"] == name)
                    };
                    known += usize::from(chains.iter().any(lists));
                }
            }
        }
    }
    assert_eq!(count, 2 * 45 * 30);
    assert!(bought[0] < 0.0 && bought[1] > 0.0, "{bought:?}");
    assert!(known > count / 50 / 2, "{known} of {}", count / 50);
}

#[test]
fn wrong_requests_are_errors() {
    let base = MarketConfig::default();
    let (start, end) = (base.start, base.end);
    let bad = [
        MarketConfig {
            start: end,
            end: start,
            ..base.clone()
        },
        MarketConfig {
            start: Day::from_days(-5),
            ..base.clone()
        },
        MarketConfig {
            end: Day::from_days(i32::MAX),
            ..base.clone()
        },
        MarketConfig {
            assets: Vec::new(),
            ..base
        },
    ];
    for config in bad {
        assert!(Market::new(config).is_err());
    }
    let market = Market::new(short(1, 3)).unwrap();
    assert!(matches!(
        market.list("deribit"),
        Err(MarketError::Dataset { .. })
    ));
    for name in [
        "",
        "x",
        "2025-06",
        "2025-06-BTC.xml",
        "é-07-01",
        "2025-99-x",
    ] {
        let error = market.document("deribit_dvol", name);
        assert!(matches!(error, Err(MarketError::Document { .. })), "{name}");
    }
    let as_of = market.config().start.start();
    for (hours, p) in [(0, 0.5), (1_441, 0.5), (24, 0.0), (24, f64::NAN)] {
        assert!(
            market
                .truth_quantiles(Asset::Btc, as_of, hours, &[p])
                .is_err()
        );
    }
    assert!("DOGE".parse::<Asset>().is_err());
}

/// Option rows of a chain: (expiry name, strike, type, row).
fn rows(document: &Document) -> Vec<(String, i64, String, Value)> {
    let body = json(document);
    body["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let name = row["instrument_name"].as_str().unwrap();
            let parts: Vec<&str> = name.split('-').collect();
            assert_eq!(parts.len(), 4, "{name}");
            (
                parts[1].to_owned(),
                parts[2].parse().unwrap(),
                parts[3].to_owned(),
                row.clone(),
            )
        })
        .collect()
}

#[test]
fn every_chain_has_its_shape_and_parity() {
    let market = market(2);
    let dirty: BTreeSet<(String, String)> = market
        .dirty_rows()
        .into_iter()
        .map(|row| (row.document, row.instrument))
        .collect();
    let (mut count, mut nulls) = (0, 0);
    for entry in market.list("deribit_options").unwrap().iter().step_by(11) {
        let document = market.document("deribit_options", &entry.name).unwrap();
        let mut slices: BTreeMap<String, BTreeMap<i64, BTreeMap<String, Value>>> = BTreeMap::new();
        for (expiry, strike, kind, row) in rows(&document) {
            let name = row["instrument_name"].as_str().unwrap().to_owned();
            if dirty.contains(&(entry.name.clone(), name)) {
                continue;
            }
            let number = |field: &str| row[field].as_f64();
            assert!(number("mark_price").unwrap() > 0.0);
            assert!((5.0..400.0).contains(&number("mark_iv").unwrap()), "{row}");
            if let (Some(bid), Some(ask)) = (number("bid_price"), number("ask_price")) {
                assert!(0.0 < bid && bid < ask, "{row}");
                let mark = number("mark_price").unwrap();
                assert!(bid <= mark + 1e-3 && mark <= ask + 1e-3, "{row}");
            } else {
                nulls += 1;
            }
            count += 1;
            slices
                .entry(expiry)
                .or_default()
                .entry(strike)
                .or_default()
                .insert(kind, row);
        }
        let full = slices
            .values()
            .filter(|strikes| strikes.values().filter(|pair| pair.len() == 2).count() >= 15)
            .count();
        assert!(full >= 8, "{}: {full} full expiries", entry.name);
        for strikes in slices.values() {
            for (strike, pair) in strikes.iter().filter(|(_, pair)| pair.len() == 2) {
                let of = |kind: &str, field: &str| pair[kind][field].as_f64().unwrap();
                let parity = of("C", "mark_price") - of("P", "mark_price");
                let forward = 1.0 - *strike as f64 / of("C", "underlying_price");
                assert!((parity - forward).abs() < 3e-8, "{} {strike}", entry.name);
                assert_eq!(of("C", "mark_iv"), of("P", "mark_iv"));
            }
        }
    }
    let share = f64::from(nulls) / f64::from(count);
    assert!(
        (0.03..0.3).contains(&share),
        "{share} of the quotes are one-sided"
    );
}

#[test]
fn planted_rows_are_where_they_are_said_to_be() {
    let market = market(6);
    let dirty = market.dirty_rows();
    assert_eq!(dirty.len(), 3 * 21 * 2);
    for row in dirty.iter().step_by(5) {
        let document = market.document(row.dataset, &row.document).unwrap();
        let found: Vec<Value> = rows(&document)
            .into_iter()
            .map(|(.., value)| value)
            .filter(|value| value["instrument_name"] == row.instrument.as_str())
            .collect();
        let number = |field: &str| found[0][field].as_f64().unwrap();
        match row.kind {
            DirtyKind::Crossed => assert!(number("bid_price") > number("ask_price")),
            DirtyKind::Negative => assert!(number("mark_price") < 0.0),
            DirtyKind::Duplicate => assert_eq!(found[0], found[1]),
        }
        assert_eq!(
            found.len(),
            1 + usize::from(row.kind == DirtyKind::Duplicate)
        );
    }
}

fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let sum =
        |f: &dyn Fn(f64, f64) -> f64| x.iter().zip(y).map(|(a, b)| f(a - mx, b - my)).sum::<f64>();
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

#[test]
fn sizes_and_speed_of_the_default_market() {
    let begin = std::time::Instant::now();
    let market = market(1);
    let drawn = begin.elapsed();
    let listed: usize = DATASETS
        .iter()
        .map(|info| market.list(info.name).unwrap().len())
        .sum();
    let after_list = begin.elapsed();
    let mut sizes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for info in DATASETS {
        for entry in market.list(info.name).unwrap() {
            let document = market.document(info.name, &entry.name).unwrap();
            let size = sizes.entry(info.name).or_default();
            size.0 += 1;
            size.1 += document.body.len();
        }
    }
    eprintln!(
        "drawn {drawn:?}, {listed} documents listed {:?}, all bodies {:?}: {sizes:?}",
        after_list - drawn,
        begin.elapsed() - after_list
    );
    assert!(listed > 1_000);
}
