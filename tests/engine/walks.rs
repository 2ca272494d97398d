//! After any sequence of edits, ends and failures the lake is the one that is built at once.

use std::sync::atomic::{AtomicU64, Ordering};

use lakectl_pipeline::engine::{Cancel, RunEvent};
use lakectl_pipeline::{Project, Selected};
use lakectl_tests::Bench;

use crate::common::{demo, edit, edit_stage, full, go, hashes, published, run_in};

type Edit = fn(&mut Bench);

/// Each changes something that the others leave alone, so that any of them can be in force together.
const EDITS: [Edit; 8] = [
    |b| {
        edit(
            b,
            "sql/options/greeks.sql",
            "coalesce(mark_iv,",
            "0.01 + coalesce(mark_iv,",
        )
    },
    |b| edit(b, "sql/options/slices.sql", "/ 0.10 END", "/ 0.20 END"),
    |b| b.set("params.stale_days", "1"),
    |b| b.set("params.hysteresis_band", "0.1"),
    |b| {
        edit(
            b,
            "sql/market/spot_bars.sql",
            "volume, document_id",
            "2 * volume AS volume, document_id",
        )
    },
    |b| {
        edit_stage(
            b,
            "pipelines/options.toml",
            "options.density",
            "description",
            "version = 2\ndescription",
        )
    },
    |b| b.set("calendar.end", "2026-01-02"),
    |b| {
        b.set("sources.demo.market.end", "2026-01-04");
        b.set("calendar.end", "2026-01-04");
    },
];

/// Numbers that are the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Puts the edits in force that the bits of `mask` name.
fn apply(bench: &mut Bench, overrides: &[String], mask: u64) {
    (bench.project, bench.overrides) = (Project::built_in(), overrides.to_vec());
    for (bit, change) in EDITS.iter().enumerate() {
        if mask & (1 << bit) != 0 {
            change(bench);
        }
    }
}

#[test]
fn any_sequence_of_edits_ends_in_the_lake_that_is_built_at_once() {
    let (walks, steps) = if full() { (8, 8) } else { (1, 4) };
    for walk in 0..walks {
        let mut dice = Dice(walk + 11);
        let mut bench = published();
        let overrides = bench.overrides.clone();
        let mut mask = 0;
        for step in 0..steps {
            // The days of the last edit stay in the lake, so they come with the last step only.
            mask = dice.roll(1 << 7);
            apply(&mut bench, &overrides, mask);
            // Half of the runs are stopped somewhere.
            let (cancel, stop) = (Cancel::default(), dice.roll(120));
            let finished = AtomicU64::new(0);
            run_in(
                &bench.open().unwrap(),
                &bench.lake_root(),
                &format!("walk-{step}"),
                &cancel,
                &|event| {
                    let done = matches!(event, RunEvent::Finished { .. });
                    if done && finished.fetch_add(1, Ordering::Relaxed) == stop {
                        cancel.cancel();
                    }
                },
            );
        }
        mask |= 1 << 7;
        apply(&mut bench, &overrides, mask);
        let (summary, _) = run_in(
            &bench.open().unwrap(),
            &bench.lake_root(),
            "walk-end",
            &Cancel::default(),
            &|_| {},
        );
        assert!(summary.is_success(), "{:?}", summary.failures);

        let mut fresh = demo();
        apply(&mut fresh, &overrides, mask);
        go(&fresh, &Selected::default());
        // Raw pages remember what they were.
        let derived = |bench: &Bench| {
            let mut hashes = hashes(bench);
            hashes.retain(|task, _| {
                !["raw.", "norm.", "quarantine."]
                    .iter()
                    .any(|schema| task.starts_with(schema))
            });
            hashes
        };
        let (walked, built) = (derived(&bench), derived(&fresh));
        let differ: Vec<&String> = walked
            .keys()
            .filter(|task| walked.get(*task) != built.get(*task))
            .collect();
        assert!(
            differ.is_empty() && walked.len() == built.len(),
            "walk {walk}, edits {mask:b}: {differ:#?}"
        );
    }
}
