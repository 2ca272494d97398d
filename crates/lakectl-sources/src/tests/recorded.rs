//! The shipped declarations against recorded files, where there are any.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{rejects, words};
use crate::{Dataset, archive, datasets_from_toml, parse};

fn root() -> Option<PathBuf> {
    let root = match std::env::var_os("LAKE_TEST_DATA") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    if root.is_dir() {
        return Some(root);
    }
    // Past the capture of test output, so that it is read.
    let _ = std::io::Write::write_fmt(
        &mut std::io::stderr(),
        format_args!("SKIPPED: no recorded data; set LAKE_TEST_DATA to its folder\n"),
    );
    None
}

fn shipped(source: &str) -> BTreeMap<String, Dataset> {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let text = std::fs::read_to_string(configs.join(format!("{source}.toml"))).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let datasets = table["sources"][source]["datasets"].as_table().unwrap();
    datasets_from_toml(source, datasets).unwrap()
}

#[derive(Default)]
struct Summary {
    documents: usize,
    rows: usize,
    rejects: BTreeMap<String, usize>,
    assets: BTreeMap<String, usize>,
}

fn summary(root: &Path, dataset: &Dataset) -> Summary {
    let mut summary = Summary::default();
    for (i, listed) in archive::list(root, dataset)
        .unwrap()
        .files
        .iter()
        .enumerate()
    {
        let document = archive::fetch(listed).unwrap();
        let parsed = parse(dataset, &document, i as i64, true);
        summary.documents += 1;
        summary.rows += parsed.rows.num_rows();
        for reject in rejects(&parsed) {
            let reason = reject.split_once(' ').unwrap().1.to_owned();
            *summary.rejects.entry(reason).or_default() += 1;
        }
        for asset in words(&parsed, "asset") {
            *summary.assets.entry(asset).or_default() += 1;
        }
    }
    summary
}

#[test]
fn the_shipped_declarations_are_valid() {
    assert!(shipped("archive").len() > 15);
    assert!(shipped("demo").len() > 5);
}

#[test]
fn every_declared_dataset_gives_rows() {
    let Some(root) = root() else { return };
    let expected: BTreeMap<&str, (usize, usize)> =
        EXPECTED.iter().map(|(n, d, r)| (*n, (*d, *r))).collect();
    for (name, dataset) in shipped("archive") {
        let started = Instant::now();
        let summary = summary(&root, &dataset);
        eprintln!(
            "{name}: {} documents, {} rows, {:?}, rejects {:?}, {:.2} s",
            summary.documents,
            summary.rows,
            summary.assets,
            summary.rejects,
            started.elapsed().as_secs_f64()
        );
        assert!(summary.documents > 0 && summary.rows > 0, "{name}");
        if let Some(want) = expected.get(name.as_str()) {
            assert_eq!((summary.documents, summary.rows), *want, "{name}");
        }
        if name == "deribit_chains" {
            let half = BTreeMap::from([("half_empty warn".to_owned(), 1)]);
            assert_eq!(summary.rejects, half);
        }
    }
}

/// Dataset, documents, rows.
const EXPECTED: [(&str, usize, usize); 8] = [
    ("deribit_chains", 450, 719_996),
    ("deribit_dvol", 2, 2 * 1_839),
    ("deribit_perpetuals", 1, 838),
    ("deribit_term_futures", 1, 5_854),
    ("binance_1h", 2, 2 * 28_309),
    ("binance_funding_daily", 1, 2_387),
    ("fear_greed", 1, 2_639),
    ("stablecoins", 1, 419),
];

#[test]
fn a_real_answer_of_the_venue() {
    let Some(root) = root() else { return };
    let declaration = "glob = 'deribit/api_samples/deribit_btc_options.json.zst'\nformat = 'deribit_json'\nfeeds = 'option_quotes'\n\
                       lag = '10s'\ndocument_time = '2023-12-23T12:10:11Z'";
    let book = summary(&root, &super::dataset(declaration));
    assert_eq!((book.rows, book.rejects), (1_032, BTreeMap::new()));
    let declaration = "glob = 'deribit/api_samples/deribit_options.csv'\nformat = 'chain_csv'\nfeeds = 'option_quotes'\nlag = '10s'\n\
                       document_time = '2024-01-08T11:19:41Z'\n[columns]\nevent_time = { column = 'creation_timestamp', unit = 'ms' }\n\
                       instrument = 'instrument_name'\nstrike = 'strike_price'\noption_type = 'option_type'\nbid = 'bid_price'\n\
                       ask = 'ask_price'\nmark = 'mark_price'\nunderlying_price = 'underlying_price'\nopen_interest = 'open_interest'";
    let table = summary(&root, &super::dataset(declaration));
    assert_eq!((table.rows, table.rejects), (684, BTreeMap::new()));
    let declaration = "glob = 'tardis/options_chain.csv'\nformat = 'tardis_options_csv'\nfeeds = 'option_quotes'\nlag = '0s'\n\
                       document_time = '2020-06-08T00:05:00Z'";
    let tardis = summary(&root, &super::dataset(declaration));
    assert_eq!((tardis.rows, tardis.rejects), (7, BTreeMap::new()));
    let declaration = "glob = 'coinbase/api_samples/http_candles.json'\nformat = 'coinbase_candles_json'\nfeeds = 'spot_bars'\n\
                       width = '1h'\nlag = '0s'\nasset = 'BTC'\ndocument_time = '2024-04-05'";
    assert_eq!(summary(&root, &super::dataset(declaration)).rows, 2);
}
