//! Mistakes that people make, each planted with the smallest change of a query.

use lakectl_core::UtcTime;
use lakectl_pipeline::audit::{Claim, Leak};
use lakectl_tests::Bench;

use crate::twin::{Start, audit};

/// A planted mistake and the column that the audit has to name.
pub(crate) struct Plant {
    /// What the mistake is.
    pub(crate) name: &'static str,
    /// The query.
    pub(crate) file: &'static str,
    /// Its right words.
    pub(crate) right: &'static str,
    /// The wrong ones.
    pub(crate) wrong: &'static str,
    /// The claim that it breaks.
    pub(crate) claim: Claim,
    /// The table in which it shows first.
    pub(crate) table: &'static str,
    /// The column.
    pub(crate) column: &'static str,
}

/// Found in the warm-up of the short market.
const PLANTS: [Plant; 4] = [
    Plant {
        name: "joined on the day that a value describes",
        file: "sql/features/matrix.sql",
        right: "date_trunc('day', known_at - INTERVAL '1' MICROSECOND) + INTERVAL '1' DAY AS as_of\n        FROM market.dvol",
        wrong: "date_trunc('day', event_time) AS as_of\n        FROM market.dvol",
        claim: Claim::LaterKnowledge,
        table: "features.matrix",
        column: "dvol",
    },
    Plant {
        name: "a centred window",
        file: "sql/features/matrix.sql",
        right: "WINDOW w7 AS (ORDER BY as_of ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)",
        wrong: "WINDOW w7 AS (ORDER BY as_of ROWS BETWEEN 3 PRECEDING AND 3 FOLLOWING)",
        claim: Claim::LaterKnowledge,
        table: "features.matrix",
        column: "rv_7d",
    },
    Plant {
        name: "scaled by the whole sample",
        file: "sql/onchain/indices.sql",
        right: "clip(zscore(dormancy, 15) OVER w30, -4.0, 4.0) AS z_dormancy",
        wrong: "clip((dormancy - avg(dormancy) OVER ()) / stddev(dormancy) OVER (), -4.0, 4.0) AS z_dormancy",
        claim: Claim::LaterKnowledge,
        table: "onchain.indices",
        column: "z_dormancy",
    },
    Plant {
        name: "holes filled backward",
        file: "sql/features/matrix.sql",
        right: "b.rv_1d, b.rv_7d, b.rv_30d,",
        wrong: "b.rv_1d, b.rv_7d, coalesce(b.rv_30d, first_value(b.rv_30d) IGNORE NULLS OVER (\n       \
                ORDER BY b.as_of ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)) AS rv_30d,",
        claim: Claim::LaterKnowledge,
        table: "features.matrix",
        column: "rv_30d",
    },
];

/// Insists that each planted mistake is found and named.
pub(crate) fn assert_plants_found(full: &mut Bench, at: UtcTime) {
    for plant in &PLANTS {
        let first = planted(full, plant, at, "features.matrix");
        eprintln!("  {}: {first}", plant.name);
    }
}

/// Plants a mistake, audits it without having run it, and returns the first leak, which must be the planted one.
pub(crate) fn planted(full: &mut Bench, plant: &Plant, at: UtcTime, goal: &str) -> Leak {
    let right = full.project.text(plant.file).unwrap().to_owned();
    assert_eq!(
        right.matches(plant.right).count(),
        1,
        "`{}` is not in {}",
        plant.right,
        plant.file
    );
    let wrong = right.replace(plant.right, plant.wrong);
    full.project.set_text(plant.file, wrong);
    let leaks = audit(full, Some(goal), at, Start::Cut).leaks;
    full.project.set_text(plant.file, right);
    let first = leaks.first().cloned();
    let first = first.unwrap_or_else(|| panic!("{}: nothing was noticed", plant.name));
    let named: Vec<_> = leaks
        .iter()
        .map(|leak| (leak.claim, leak.table.as_str(), leak.column.as_deref()))
        .collect();
    assert_eq!(
        named[0],
        (plant.claim, plant.table, Some(plant.column)),
        "{}: {named:?}",
        plant.name
    );
    // A row is named by its key, and the two computations say different things of it.
    assert!(
        first.key.contains("asset=BTC") && first.before != first.after,
        "{first}"
    );
    first
}
