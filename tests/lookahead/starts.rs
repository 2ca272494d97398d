//! A warm-up that is shorter than what the query looks back over.

use lakectl_core::UtcTime;
use lakectl_pipeline::audit::Claim;
use lakectl_tests::Bench;

use crate::twin::{Start, audit};

const FILE: &str = "pipelines/onchain.toml";
/// The window of `onchain.indices`; others are written alike.
const RIGHT: &str =
    "share of weights present.\"\n[stage.inputs]\n\"onchain.daily\" = { lookback = \"200d\" }";

/// Shortens the warm-up of a table of thirty-day scores to twenty days: what its rows say then depends on where partitions
/// begin, and every column that looks back has to be named.
pub(crate) fn assert_short_warm_up_found(full: &mut Bench, at: UtcTime) {
    let right = full.project.text(FILE).unwrap().to_owned();
    assert_eq!(right.matches(RIGHT).count(), 1);
    let short = right.replace(RIGHT, &RIGHT.replace("200d", "20d"));
    full.project.set_text(FILE, short);
    let report = audit(full, Some("onchain.indices"), at, Start::Cut);
    full.project.set_text(FILE, right);
    let found: Vec<_> = report
        .leaks
        .iter()
        .map(|leak| (leak.claim, leak.table.as_str(), leak.column.as_deref()))
        .collect();
    for column in ["z_dormancy", "z_inflow"] {
        let expected = (Claim::EarlierStart, "onchain.indices", Some(column));
        assert!(found.contains(&expected), "{column} is not in {found:?}");
    }
    // It is the warm-up alone: nothing depends on later knowledge.
    assert!(
        found
            .iter()
            .all(|(claim, ..)| *claim == Claim::EarlierStart),
        "{found:?}"
    );
    let first = &report.leaks[0];
    assert!(
        first.key.contains(&at.day().to_string()),
        "the first day that remains is the first to differ: {first}"
    );
    eprintln!("  a warm-up too short: {first}");
}
