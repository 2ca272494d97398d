//! `lineage` and the picture of the graph.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::common::Place;

fn columns(report: &Value) -> BTreeSet<String> {
    let columns = report["columns"].as_array().unwrap();
    let name = |c: &Value| {
        format!(
            "{}.{}",
            c["table"].as_str().unwrap(),
            c["column"].as_str().unwrap()
        )
    };
    columns.iter().map(name).collect()
}

#[test]
fn a_forecast_is_traced_to_the_documents_and_back() {
    let place = Place::empty();
    let up = place
        .call(&["lineage", "forecast.quantiles.q05", "--format", "json"])
        .code(0)
        .json();
    let found = columns(&up);
    for column in [
        "features.matrix.iv_30d",
        "features.surface_factors.level",
        "options.surface_nodes.iv",
        "options.slices.rho",
        "options.greeks.iv",
        "market.option_quotes.mark_iv",
        "norm.option_quotes.mark_iv",
        "norm.demo_deribit_options.mark_iv",
        "raw.demo_deribit_options.body",
        "models.quantile.artifact",
    ] {
        assert!(found.contains(column), "no {column} in {found:?}");
    }
    // What only chooses rows is not followed unless it is asked for.
    assert!(!found.contains("features.matrix.as_of"), "{found:?}");
    assert!(
        up["edges"]
            .as_array()
            .unwrap()
            .iter()
            .all(|edge| edge["kind"] == "value")
    );
    let all = place
        .call(&[
            "lineage",
            "forecast.quantiles.q05",
            "--conditions",
            "--format",
            "json",
        ])
        .code(0)
        .json();
    assert!(columns(&all).is_superset(&found) && columns(&all).len() > found.len());

    let down = place
        .call(&[
            "lineage",
            "raw.demo_deribit_options.body",
            "--down",
            "--format",
            "json",
        ])
        .code(0)
        .json();
    assert_eq!(down["direction"], "down");
    assert!(columns(&down).contains("forecast.quantiles.q05"));
    let one = place
        .call(&[
            "lineage",
            "options.greeks.delta",
            "--depth",
            "1",
            "--format",
            "json",
        ])
        .code(0)
        .json();
    assert!(
        columns(&one).iter().all(|c| !c.starts_with("norm.")),
        "{one}"
    );
}

#[test]
fn people_read_a_tree_and_other_tools_their_notation() {
    let place = Place::empty();
    let text = place
        .call(&["lineage", "options.greeks.bid_iv"])
        .code(0)
        .stdout;
    assert!(
        text.starts_with("options.greeks  sql/options/greeks.sql"),
        "{text}"
    );
    assert!(
        text.contains("bid_iv = ") && text.contains("implied_vol("),
        "{text}"
    );
    assert!(text.contains("raw.demo_deribit_options"), "{text}");
    let table = place.call(&["lineage", "options.greeks"]).code(0).stdout;
    assert!(table.contains("options.forwards  "), "{table}");
    let mermaid = place
        .call(&["lineage", "options.greeks.iv", "--format", "mermaid"])
        .code(0)
        .stdout;
    assert!(
        mermaid.starts_with("flowchart LR\n") && mermaid.contains("subgraph"),
        "{mermaid}"
    );
    let dot = place
        .call(&["lineage", "options.greeks", "--format", "dot"])
        .code(0)
        .stdout;
    assert!(
        dot.starts_with("digraph lineage {\n") && dot.ends_with("}\n"),
        "{dot}"
    );
}

#[test]
fn an_unknown_column_is_refused_with_the_nearest() {
    let place = Place::empty();
    let ended = place.call(&["lineage", "options.greeks.delt"]).code(1);
    assert!(
        ended.stderr.contains("did you mean `delta`"),
        "{}",
        ended.stderr
    );
    let ended = place.call(&["lineage", "options.greekz.delta"]).code(1);
    assert!(ended.stderr.contains("options.greeks"), "{}", ended.stderr);
}

#[test]
fn lineage_is_a_table_too() {
    let place = Place::published();
    let rows = place.rows(
        "SELECT input_table, input_column, kind FROM system.lineage \
         WHERE \"table\" = 'market.option_quotes' AND \"column\" = 'bid' ORDER BY kind DESC, input_column",
    );
    let first = &rows[0];
    assert_eq!(
        (
            &first["input_table"],
            &first["input_column"],
            &first["kind"]
        ),
        (&"norm.option_quotes".into(), &"bid".into(), &"value".into())
    );
    assert!(
        rows.as_array()
            .unwrap()
            .iter()
            .any(|row| row["input_column"] == "known_at")
    );
}

#[test]
fn the_graph_is_a_picture() {
    let place = Place::empty();
    let svg = place.call(&["graph", "--format", "svg"]).code(0).stdout;
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    let stages = place.call(&["stages", "--format", "json"]).code(0).json();
    for stage in stages.as_array().unwrap() {
        let name = stage["table"].as_str().unwrap();
        assert_eq!(svg.matches(&format!(">{name}</text>")).count(), 1, "{name}");
    }
}
