//! Runs that have nothing to do: a lake of 1,000 tasks (100 chains of ten queries), and the shipped demo pipeline.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use lakectl_benches::{CHAINS, LENGTH, chains_project};
use lakectl_core::UtcTime;
use lakectl_pipeline::engine::Cancel;
use lakectl_pipeline::lake::{Lake, Open};
use lakectl_pipeline::{Project, RunOptions, Selected, TaskCounts, Workbench};

const NOW: UtcTime = UtcTime::from_micros(1_782_900_000_000_000);

fn lake(bench: &Workbench, root: &Path) -> Arc<Lake> {
    Arc::new(bench.lake(root, Open::OrCreate).unwrap())
}

/// One run, as the command does it after the project is read.
fn run(bench: &Workbench, lake: &Arc<Lake>, selected: &Selected) -> TaskCounts {
    let options = RunOptions {
        run_id: "bench".to_owned(),
        who: String::new(),
        now: NOW,
        jobs: 2,
        events: &|_| {},
        cancel: Cancel::default(),
        known_until: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let (summary, _) = runtime
        .block_on(bench.run(Arc::clone(lake), selected, options))
        .unwrap();
    summary.tasks
}

fn chains(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let project = chains_project();
    let bench = Workbench::open(project.clone(), "demo", &[]).unwrap();
    let all = Selected::default();
    let first = run(&bench, &lake(&bench, folder.path()), &all);
    assert_eq!(first.ran, CHAINS * LENGTH, "the lake is built once");

    let mut group = c.benchmark_group("noop");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    group.bench_function("1,000 tasks: read project and lake, plan, run", |b| {
        b.iter(|| {
            let bench = Workbench::open(project.clone(), "demo", &[]).unwrap();
            let counts = run(&bench, &lake(&bench, folder.path()), &all);
            assert_eq!(counts.ran, 0);
            black_box(counts)
        });
    });
    let opened = lake(&bench, folder.path());
    group.bench_function("1,000 tasks: plan only", |b| {
        b.iter(|| black_box(bench.plan(Some(&opened), &all, NOW).unwrap()));
    });
    group.finish();
}

/// Sixty days of the shipped pipeline are enough to plan over; its full year takes as long as a demo run.
fn demo(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let short: Vec<String> = [
        "sources.demo.market.start=2026-01-20",
        "sources.demo.market.dense_from=2026-03-20",
        "coverage.options.start=2026-01-20",
        "coverage.daily.start=2026-01-20",
        "coverage.history.start=2026-01-20",
        "coverage.forecast.start=2026-03-10",
    ]
    .map(str::to_owned)
    .to_vec();
    let bench = Workbench::open(Project::built_in(), "demo", &short).unwrap();
    let forecast = Selected {
        until: Some("forecast".to_owned()),
        ..Selected::default()
    };
    let opened = lake(&bench, folder.path());
    let first = run(&bench, &opened, &forecast);
    assert_eq!(first.failed + first.blocked, 0);

    let mut group = c.benchmark_group("noop");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    let name = format!("shipped pipeline, {} tasks: plan only", first.total);
    group.bench_function(name, |b| {
        b.iter(|| black_box(bench.plan(Some(&opened), &forecast, NOW).unwrap()));
    });
    let name = format!("shipped pipeline, {} tasks: plan and run", first.total);
    group.bench_function(name, |b| {
        b.iter(|| {
            let counts = run(&bench, &opened, &forecast);
            assert_eq!(counts.ran, 0);
            black_box(counts)
        });
    });
    group.finish();
}

criterion_group!(benches, chains, demo);
criterion_main!(benches);
