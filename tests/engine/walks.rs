//! After any sequence of edits, ends and failures the lake is the one that is built at once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use lakectl_pipeline::engine::{Cancel, RunEvent};
use lakectl_pipeline::{Project, Selected};
use lakectl_tests::Bench;

use crate::archive::Archive;
use crate::common::{
    demo, edit, edit_stage, files_below, full, go, hashes, published, run_in, write_files,
};

type Edit = fn(&mut Bench);

/// Each changes something that the others leave alone, so that any of them can be in force together.
const EDITS: [Edit; 10] = [
    |b| {
        edit(
            b,
            "sql/options/greeks.sql",
            "coalesce(venue_iv,",
            "0.01 + coalesce(venue_iv,",
        )
    },
    |b| {
        edit(
            b,
            "sql/features/surface_factors.sql",
            "zscore(surface_change, 10)",
            "zscore(surface_change, 4)",
        )
    },
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
    |b| b.set("coverage.options.asset", "[\"ETH\"]"),
    |b| b.set("params.pca_window_days", "30"),
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
fn apply(bench: &mut Bench, overrides: &[String], edits: &[Edit], mask: u64) {
    (bench.project, bench.overrides) = (Project::built_in(), overrides.to_vec());
    for (bit, change) in edits.iter().enumerate() {
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
            mask = dice.roll(1 << 9);
            apply(&mut bench, &overrides, &EDITS, mask);
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
        mask |= 1 << 9;
        apply(&mut bench, &overrides, &EDITS, mask);
        let (summary, _) = run_in(
            &bench.open().unwrap(),
            &bench.lake_root(),
            "walk-end",
            &Cancel::default(),
            &|_| {},
        );
        assert!(summary.is_success(), "{:?}", summary.failures);

        let mut fresh = demo();
        apply(&mut fresh, &overrides, &EDITS, mask);
        go(&fresh, &Selected::default());
        assert_same(&bench, &fresh, &format!("walk {walk}, edits {mask:b}"));
    }
}

/// Edits of the declarations over recorded files.
const DECLARED: [Edit; 5] = [
    |b| {
        edit(
            b,
            "sql/options/greeks.sql",
            "coalesce(venue_iv,",
            "0.01 + coalesce(venue_iv,",
        )
    },
    // An asset that is not covered any more is dropped, and comes back.
    |b| b.set("coverage.options.asset", "[\"BTC\"]"),
    |b| {
        edit_stage(
            b,
            "pipelines/options.toml",
            "options.forwards",
            "forward_source utf8",
            "forward_source utf8, one i64",
        );
        edit(
            b,
            "sql/options/forwards.sql",
            "forward_source, forward_reason, forward_venue",
            "forward_source, 1 AS one, forward_reason, forward_venue",
        );
    },
    |b| b.set("params.pca_window_days", "30"),
    // Days of chains by another length of partition.
    |b| {
        edit_stage(
            b,
            "pipelines/options.toml",
            "options.density",
            "grain = \"day\"",
            "grain = \"month\"",
        )
    },
];

/// The edits of [`DECLARED`] that reshape a stage, which only a new version of it may.
const RESHAPED: [(u64, &str); 2] = [(1 << 2, "options.forwards"), (1 << 4, "options.density")];

/// Copies every file, over those that are there.
fn copy(from: &Path, to: &Path) {
    write_files(to, &files_below(from));
}

#[test]
fn recorded_files_that_come_late_change_and_go_leave_the_lake_of_a_rebuild() {
    let days = ["2026-01-30", "2026-01-31", "2026-02-01", "2026-02-02"];
    let (walks, steps) = if full() { (6, 8) } else { (1, 4) };
    for walk in 0..walks {
        let mut dice = Dice(walk + 101);
        let mut archive = Archive::new();
        archive.end("2026-02-02");
        let overrides = archive.bench.overrides.clone();
        // What was ever published, as it was fetched last: a document that goes is kept.
        let kept = archive.bench.folder().join("kept");
        let root = archive.root.clone();
        // Versions only rise: another one comes with every change of the shape, back to an earlier one too.
        let (mut shape, mut versions) = (0, [1; RESHAPED.len()]);
        for step in 0..steps {
            for _ in 0..2 {
                let day = days[dice.roll(4) as usize];
                match dice.roll(3) {
                    0 => drop(fs::remove_file(archive.chain_path(day))),
                    vols => archive.chain(day, [0.40 + 0.05 * vols as f64, 0.65]),
                }
            }
            if dice.roll(2) == 0 {
                archive.bars(days[2 + dice.roll(2) as usize]);
            }
            let mask = dice.roll(1 << DECLARED.len());
            apply(&mut archive.bench, &overrides, &DECLARED, mask);
            for ((bit, table), version) in RESHAPED.iter().zip(&mut versions) {
                *version += (mask ^ shape) / bit % 2;
                edit_stage(
                    &mut archive.bench,
                    "pipelines/options.toml",
                    table,
                    "description",
                    &format!("version = {version}\ndescription"),
                );
            }
            shape = mask;
            let last = step + 1 == steps;
            let (cancel, stop) = (Cancel::default(), dice.roll(150));
            let finished = AtomicU64::new(0);
            let (summary, _) = run_in(
                &archive.bench.open().unwrap(),
                &archive.bench.lake_root(),
                &format!("walk-{step}"),
                &cancel,
                &|event| {
                    let done = matches!(event, RunEvent::Finished { .. });
                    if !last && done && finished.fetch_add(1, Ordering::Relaxed) == stop {
                        cancel.cancel();
                    }
                },
            );
            assert!(
                summary.interrupted || summary.is_success(),
                "{:?}",
                summary.failures
            );
            if !summary.interrupted {
                copy(&root, &kept);
            }
        }

        let mut fresh = Archive::new();
        fs::remove_dir_all(&fresh.root).unwrap();
        copy(&kept, &fresh.root);
        fresh.end("2026-02-02");
        let sources = fresh.bench.overrides.clone();
        fresh.bench.project = archive.bench.project.clone();
        fresh.bench.overrides = archive.bench.overrides.clone();
        fresh.bench.overrides.extend(
            sources
                .into_iter()
                .filter(|set| set.contains("sources.archive.root")),
        );
        go(&fresh.bench, &Selected::default());
        assert_same(&archive.bench, &fresh.bench, &format!("walk {walk}"));
    }
}

/// Compares all that is derived. Raw documents remember what they were, and normalised rows the number of their arrival.
#[track_caller]
fn assert_same(walked: &Bench, built: &Bench, what: &str) {
    let derived = |bench: &Bench| {
        let mut hashes = hashes(bench);
        hashes.retain(|task, _| {
            !["raw.", "norm.", "quarantine."]
                .iter()
                .any(|schema| task.starts_with(schema))
        });
        hashes
    };
    let (walked, built) = (derived(walked), derived(built));
    let tasks: BTreeSet<&String> = walked.keys().chain(built.keys()).collect();
    let differ: Vec<&String> = tasks
        .into_iter()
        .filter(|task| walked.get(*task) != built.get(*task))
        .collect();
    assert!(differ.is_empty(), "{what}: {differ:#?}");
}
