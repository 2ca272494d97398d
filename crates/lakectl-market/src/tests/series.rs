//! Daily and hourly series.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{json, market};
use crate::{Asset, DATASETS};

/// Every number of a JSON value by its path without array positions.
fn numbers(value: &Value, path: &str, out: &mut BTreeMap<String, Vec<f64>>) {
    match value {
        Value::Number(number) => out
            .entry(path.to_owned())
            .or_default()
            .push(number.as_f64().unwrap()),
        Value::String(text) => {
            if let Ok(number) = text.parse::<f64>() {
                out.entry(path.to_owned()).or_default().push(number);
            }
        }
        Value::Array(items) if items.iter().all(Value::is_number) => {
            for (i, item) in items.iter().enumerate() {
                numbers(item, &format!("{path}[{i}]"), out);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| numbers(item, path, out)),
        Value::Object(fields) => {
            for (name, item) in fields {
                numbers(item, &format!("{path}.{name}"), out);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

#[test]
fn every_series_is_finite_and_varies() {
    let market = market(7);
    let mut series = BTreeMap::new();
    for info in DATASETS
        .iter()
        .filter(|info| info.media_type == "application/json")
    {
        for entry in market.list(info.name).unwrap() {
            if info.name == "deribit_options" && entry.first.days() % 10 != 0 {
                continue;
            }
            let document = market.document(info.name, &entry.name).unwrap();
            let label = format!(
                "{} {} {}",
                info.name,
                entry.asset.map_or("", Asset::ticker),
                entry.metric.unwrap_or("")
            );
            numbers(&json(&document), &label, &mut series);
        }
    }
    for (name, values) in &series {
        let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), v| {
            (low.min(*v), high.max(*v))
        });
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        eprintln!(
            "{name}: {} values, {low:.6} to {high:.6}, mean {mean:.6}",
            values.len()
        );
        let fixed = ["interest_rate", "usDiff", "jsonrpc"]
            .iter()
            .any(|field| name.ends_with(field));
        assert!(values.iter().all(|value| value.is_finite()));
        assert!(fixed || low < high, "{name} never changes");
    }
}

#[test]
fn rates_are_business_days_with_gaps() {
    let market = market(7);
    let mut text = String::new();
    for entry in market.list("fred_rates").unwrap() {
        let document = market.document("fred_rates", &entry.name).unwrap();
        text.push_str(std::str::from_utf8(&document.body).unwrap());
    }
    assert!(text.contains("2025-12-25,.,.,.,.,.,."));
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("observation"))
        .collect();
    assert!(rows.len() > 290 && rows.iter().all(|row| row.split(',').count() == 7));
}

#[test]
fn one_vendor_is_out_of_service_at_times() {
    let market = market(7);
    let mut days = Vec::new();
    for entry in market.list("glassnode_metrics").unwrap() {
        if entry.name.contains("lth") && entry.asset == Some(Asset::Btc) {
            let rows = json(&market.document("glassnode_metrics", &entry.name).unwrap());
            let times = rows
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["t"].as_i64().unwrap() / 86_400);
            days.extend(times);
        }
    }
    let gaps: Vec<i64> = days
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|gap| *gap > 1)
        .collect();
    assert_eq!(gaps, [9; 6], "of {} days", days.len());
}

#[test]
fn chain_series_agree_with_each_other() {
    let market = market(8);
    for asset in Asset::ALL {
        let days = market.chain(asset);
        assert_eq!(days.len(), 420);
        for pair in days.windows(2) {
            let (last, now) = (pair[0], pair[1]);
            let cap = now.price * now.supply;
            assert!((now.mvrv - cap / now.realised_cap).abs() < 1e-9);
            assert!((now.supply - last.supply - now.issuance).abs() < 1e-3);
            let balance = last.exchange_supply + now.inflow - now.outflow;
            assert!((now.exchange_supply - balance).abs() < 1e-3);
            assert!((now.long_term_supply + now.short_term_supply - now.supply).abs() < 1e-3);
            assert!((0.3..6.0).contains(&now.mvrv), "{}", now.mvrv);
        }
        let last = days[419];
        eprintln!("{asset}: {last:?}");
    }
}

#[test]
fn a_month_of_flows_is_restated_later() {
    let market = market(1);
    let restated: Vec<_> = market
        .list("coinmetrics_assets")
        .unwrap()
        .into_iter()
        .filter(|entry| entry.name.contains("restated"))
        .collect();
    assert_eq!(restated.len(), 2);
    for entry in restated {
        let second = market.document("coinmetrics_assets", &entry.name).unwrap();
        let name = entry.name.replace("-restated", "");
        let first = market.document("coinmetrics_assets", &name).unwrap();
        assert_eq!(first.request, second.request);
        assert_eq!(
            second.entry.recorded_at.micros() - first.entry.recorded_at.micros(),
            7 * 86_400_000_000
        );
        let (a, b) = (json(&first), json(&second));
        let rows = a["data"]
            .as_array()
            .unwrap()
            .iter()
            .zip(b["data"].as_array().unwrap());
        for (old, new) in rows {
            assert_ne!(old["FlowInExNtv"], new["FlowInExNtv"]);
            for same in ["time", "PriceUSD", "CapMVRVCur", "AssetEODCompletionTime"] {
                assert_eq!(old[same], new[same]);
            }
        }
    }
}
