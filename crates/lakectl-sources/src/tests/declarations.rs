use super::{dataset, try_dataset};
use crate::{Feed, Unit, datasets_from_toml, rejects_schema, row_schema};

const CHAIN: &str = "format = 'chain_csv'\nfeeds = 'option_quotes'\nlag = '10m'\n";

#[test]
fn wrong_declarations_name_the_key_and_what_is_known() {
    let columns = "[columns]\nunderlying_price = 'u'\ninstrument = 'i'\n";
    let cases: [(String, &[&str]); 19] = [
        (
            format!("{CHAIN}colour = 1\n{columns}"),
            &["colour", "expected one of", "separator"],
        ),
        (
            format!("format = 'xls'\nfeeds = 'dvol'\nlag = '1d'\n{columns}"),
            &["xls", "chain_csv"],
        ),
        (
            format!("{CHAIN}partition = 'week'\n{columns}"),
            &["week", "month"],
        ),
        (
            "format = 'chain_csv'\nfeeds = 'chains'".into(),
            &["chains", "option_quotes"],
        ),
        (
            "format = 'chain_csv'\nfeeds = 'dvol'\nlag = '1d'".into(),
            &["feeds", "dvol"],
        ),
        (CHAIN.into(), &["columns", "underlying_price"]),
        (
            format!("{CHAIN}[columns]\nunderlying_price = 'u'"),
            &["instrument", "strike"],
        ),
        (
            format!("{CHAIN}{columns}mark_iv = 'iv'"),
            &["columns.mark_iv", "percent", "fraction"],
        ),
        (
            format!("{CHAIN}{columns}bid = {{ column = 'b', unit = 'percent' }}"),
            &["columns.bid", "coin, usd"],
        ),
        (
            format!("{CHAIN}width = '1h'\n{columns}"),
            &["width", "instant"],
        ),
        (
            format!("{CHAIN}{columns}delta = 'd'"),
            &["columns.delta", "exchange_delta"],
        ),
        (
            format!("{CHAIN}{columns}event_time = {{ column = 't', unit = 'hours' }}"),
            &["hours", "ms"],
        ),
        (
            format!("{CHAIN}{columns}bid = {{ colum = 'b' }}"),
            &["colum", "column, unit, scale"],
        ),
        (
            format!("{CHAIN}glob = '../x/*'\ndocument_time = '2026-01-01'\n{columns}"),
            &["glob", "below the root"],
        ),
        (
            format!("{CHAIN}glob = 'x/*'\n{columns}"),
            &["document_time", "name:"],
        ),
        (
            format!("{CHAIN}document_time = 'modified'\n{columns}"),
            &["document_time", "modified"],
        ),
        (
            "format = 'chain_csv'\nfeeds = 'option_quotes'".into(),
            &["lag", "required"],
        ),
        (
            "format = 'chain_csv'\nfeeds = 'option_quotes'\nlag = '3w'".into(),
            &["lag", "3w"],
        ),
        (
            "format = 'candle_csv'\nfeeds = 'dvol'\nlag = '1d'\nvenue = 'x'".into(),
            &["width", "required"],
        ),
    ];
    for (text, wanted) in cases {
        let message = try_dataset(&text).unwrap_err().to_string();
        assert!(
            message.starts_with("sources.archive.datasets.x: "),
            "{message}"
        );
        for part in wanted {
            assert!(message.contains(part), "`{part}` not in: {message}");
        }
    }
}

#[test]
fn names_are_table_names() {
    let table: toml::Table = "[Bad-name]\nformat = 'fred_csv'\nfeeds = 'rates'\nlag = '1d'"
        .parse()
        .unwrap();
    assert!(datasets_from_toml("archive", &table).is_err());
}

#[test]
fn the_definition_ignores_where_files_are_and_the_order_of_keys() {
    let a = dataset(
        "format = 'fred_csv'\nfeeds = 'rates'\nlag = '1d'\nglob = 'a/*'\ndocument_time = '2026-01-01'",
    );
    let b = dataset(
        "lag = '1d'\ndocument_time = '2026-01-01'\nfeeds = 'rates'\nformat = 'fred_csv'\nglob = 'b/*'\npartition = 'day'",
    );
    assert_eq!(a.definition(), b.definition());
    let c =
        dataset("format = 'fred_csv'\nfeeds = 'rates'\nlag = '2d'\ndocument_time = '2026-01-01'");
    assert_ne!(a.definition(), c.definition());
}

#[test]
fn schemas_follow_the_contracts() {
    for feed in Feed::ALL {
        let schema = row_schema(feed);
        assert_eq!(schema.field(0).name(), "asset");
        assert_eq!(schema.field(9).name(), "replacement");
    }
    assert_eq!(rejects_schema().fields().len(), 8);
    for unit in Unit::ALL {
        assert_eq!(Unit::of_name(unit.name()), Some(unit));
        assert_eq!(unit.stored().stored(), unit.stored());
    }
}
