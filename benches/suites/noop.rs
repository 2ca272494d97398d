//! Runs that have nothing to do: 1,000 tasks (100 chains of ten queries) in one process and as the program is started, the
//! same as 1,000 stages, and the shipped demo pipeline. With `LAKE_BENCH_LARGE=1` also 100,000 tasks, whose first run takes
//! minutes.
//!
//! `LAKECTL` names the program; without it, the one in the folder of this benchmark's build is taken. The Python in
//! `LAKE_BENCH_PYTHON` (default `python3`) runs the same chains with Snakemake, if it has that.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use lakectl_benches::{Chains, peers, write_project};
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
    let project = Chains::THOUSAND.project();
    let bench = Workbench::open(project.clone(), "demo", &[]).unwrap();
    let all = Selected::default();
    let first = run(&bench, &lake(&bench, folder.path()), &all);
    assert_eq!(
        first.ran,
        Chains::THOUSAND.tasks(),
        "the lake is built once"
    );

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

/// The program: `$LAKECTL`, else the one beside this benchmark's folder.
fn program() -> Option<PathBuf> {
    let beside = || {
        let own = std::env::current_exe().ok()?;
        Some(own.parent()?.parent()?.join("lakectl"))
    };
    let path = std::env::var_os("LAKECTL")
        .map(PathBuf::from)
        .or_else(beside)?;
    path.is_file().then_some(path)
}

/// Runs the program in a project's folder and returns the wall seconds.
fn seconds(program: &Path, folder: &Path, args: &[&str]) -> f64 {
    let start = Instant::now();
    let ended = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let took = start.elapsed().as_secs_f64();
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    took
}

/// Whole processes: first run, nothing to do, one leaf changed. The best of several.
#[allow(clippy::print_stdout, reason = "a benchmark reports on the terminal")]
fn processes(_: &mut Criterion) {
    let Some(program) = program() else {
        println!(
            "whole processes: skipped, no program (build it with `cargo build --release`, or set LAKECTL)"
        );
        return;
    };
    let best = |rounds: usize, work: &mut dyn FnMut() -> f64| {
        (0..rounds).map(|_| work()).fold(f64::INFINITY, f64::min)
    };
    let mut graphs = vec![
        ("1,000 tasks of 10 stages", Chains::THOUSAND),
        ("1,000 tasks of 1,000 stages", Chains::THOUSAND_STAGES),
    ];
    if std::env::var_os("LAKE_BENCH_LARGE").is_some_and(|value| value == "1") {
        graphs.push(("100,000 tasks of 10 stages", Chains::HUNDRED_THOUSAND));
    }
    let mut ours = None;
    for (name, graph) in graphs {
        let folder = tempfile::tempdir().unwrap();
        write_project(&graph.project(), folder.path()).unwrap();
        let run = |args: &[&str]| seconds(&program, folder.path(), args);
        let first = run(&["run", "--quiet"]);
        let rounds = if graph.tasks() > 10_000 { 5 } else { 21 };
        let nothing = best(rounds, &mut || run(&["run"]));
        let plan = best(rounds, &mut || run(&["plan"]));
        println!(
            "whole process, {name}: first run {first:.2} s, nothing to do {:.0} ms, plan {:.0} ms",
            nothing * 1e3,
            plan * 1e3
        );
        ours.get_or_insert((first, nothing));
        if graph.own_stages {
            // The first query of one chain: all ten of it are computed again, and nothing else.
            let path = folder.path().join("sql/step/c0000_s0.sql");
            let text = std::fs::read_to_string(&path).unwrap();
            let mut value = 1;
            let leaf = best(5, &mut || {
                value += 1;
                std::fs::write(&path, text.replace("1 AS x", &format!("{value} AS x"))).unwrap();
                run(&["run"])
            });
            println!(
                "whole process, {name}: one leaf changed, {} tasks: {:.0} ms",
                graph.length,
                leaf * 1e3
            );
        }
    }
    if let Some(ours) = ours {
        snakemake(ours);
    }
    println!(
        "empty process (`lakectl --version`): {:.0} ms",
        1e3 * best(21, &mut || seconds(
            &program,
            Path::new("."),
            &["--version"]
        ))
    );
}

/// The same chains as rules of Snakemake, whole processes too.
#[allow(clippy::print_stdout, reason = "a benchmark reports on the terminal")]
fn snakemake((first, nothing): (f64, f64)) {
    let Chains { chains, length, .. } = Chains::THOUSAND;
    let asked = serde_json::json!({ "chains": chains, "length": length, "rounds": 5, "jobs": 2 });
    let answer = peers::ask("snakemake_peer.py", &asked).unwrap_or_default();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
    let [Some(their_first), Some(theirs)] = ["first", "noop"].map(|key| answer[key].as_f64())
    else {
        println!("whole process, 1,000 tasks: no peer (pip install snakemake)");
        return;
    };
    println!(
        "whole process, 1,000 tasks, snakemake {}: first run {their_first:.1} s, ratio {:.4}; nothing to do {:.0} ms, ratio {:.4}",
        answer["version"].as_str().unwrap_or_default(),
        first / their_first,
        theirs * 1e3,
        nothing / theirs
    );
}

criterion_group!(benches, chains, demo, processes);
criterion_main!(benches);
