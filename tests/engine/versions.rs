//! Older versions stay readable, by number and by time.

use lakectl_pipeline::Selected;
use lakectl_pipeline::lake::VersionRef;
use lakectl_pipeline::stages::Columns;
use lakectl_tests::Bench;

use crate::common::{edit, go, published};

/// The largest volatility of the greeks at a version.
fn largest_iv(bench: &Bench, at: Option<VersionRef>) -> f64 {
    let session = bench.open().unwrap().session(bench.lake(), at).unwrap();
    let (schema, batches) = session
        .collect_blocking("SELECT max(iv) AS iv FROM options.greeks")
        .unwrap();
    Columns::new(&schema, &batches).unwrap().f64s("iv").unwrap()[0].unwrap()
}

#[test]
fn every_version_can_be_read_by_number_and_by_time() {
    let mut bench = published();
    let mut ivs = vec![largest_iv(&bench, None)];
    for points in ["0.01", "0.03"] {
        bench.project = lakectl_pipeline::Project::built_in();
        edit(
            &mut bench,
            "sql/options/greeks.sql",
            "coalesce(venue_iv,",
            &format!("{points} + coalesce(venue_iv,"),
        );
        // The first change is committed at another time than the base.
        go(&bench, &crate::common::until("options.greeks"));
        ivs.push(largest_iv(&bench, None));
    }
    let log = bench.lake().log().unwrap();
    assert_eq!(
        log.iter().map(|info| info.version).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(log[1].changed.values().sum::<u64>(), 10);
    for (iv, info) in ivs.iter().zip(&log) {
        let number: VersionRef = info.version.to_string().parse().unwrap();
        assert_eq!(largest_iv(&bench, Some(number)).to_bits(), iv.to_bits());
    }
    assert!(
        (ivs[1] - ivs[0] - 0.01).abs() < 1e-9 && (ivs[2] - ivs[0] - 0.03).abs() < 1e-9,
        "{ivs:?}"
    );
    // At a time: the newest version that was committed by then.
    let at = |text: String| largest_iv(&bench, Some(text.parse().unwrap()));
    assert_eq!(at(log[2].time.to_string()).to_bits(), ivs[2].to_bits());
    let between = lakectl_core::UtcTime::from_micros(log[2].time.micros() - 1);
    assert_eq!(at(between.to_string()).to_bits(), ivs[1].to_bits());

    // What is not there is said with what is.
    let opened = bench.open().unwrap();
    for (asked, words) in [("4", "1 to 3"), ("2001-01-01T00:00:00Z", "1 to 3")] {
        let error = opened
            .session(bench.lake(), Some(asked.parse().unwrap()))
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
    // Version 0 is the empty lake.
    let empty = opened
        .session(bench.lake(), Some(VersionRef::Number(0)))
        .unwrap();
    assert!(empty.tables().all(|table| table.schema() == "system"));
    // A run continues the newest version, whatever was looked at.
    bench.project = lakectl_pipeline::Project::built_in();
    let run = go(&bench, &Selected::default());
    assert_eq!((run.executed().len(), run.summary.version), (0, 4));
    assert_eq!(largest_iv(&bench, None).to_bits(), ivs[0].to_bits());
}
