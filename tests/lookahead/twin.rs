//! A lake and its twin that knows less.

use std::fs;
use std::path::Path;
use std::time::Instant;

use lakectl_core::UtcTime;
use lakectl_pipeline::Selected;
use lakectl_pipeline::audit::{self, Findings};
use lakectl_tests::Bench;

/// What the twin begins with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Start {
    /// Nothing.
    Empty,
    /// A copy of the lake with everything: partitions that no later knowledge reaches are reused.
    Copy,
}

/// Reads a time.
pub(crate) fn at(text: &str) -> UtcTime {
    text.parse().unwrap()
}

/// Runs a goal, or everything, and insists that no task failed.
pub(crate) fn run(bench: &Bench, goal: Option<&str>) {
    let clock = Instant::now();
    let selected = Selected {
        until: goal.map(str::to_owned),
        ..Selected::default()
    };
    let (summary, report) = bench.run(&selected).unwrap();
    assert!(summary.failures.is_empty(), "{:?}", summary.failures);
    let known = bench
        .known_until
        .map_or("everything".to_owned(), |t| format!("known by {t}"));
    let (ran, total) = (report.executed().len(), summary.tasks.total);
    eprintln!(
        "{known}: {ran} of {total} tasks in {:.1} s",
        clock.elapsed().as_secs_f64()
    );
}

/// Makes the twin that knows nothing after `known_until`.
pub(crate) fn twin(full: &Bench, goal: Option<&str>, known_until: UtcTime, start: Start) -> Bench {
    let mut twin = Bench::new(&full.profile);
    twin.project = full.project.clone();
    twin.overrides = full.overrides.clone();
    twin.known_until = Some(known_until);
    if start == Start::Copy {
        copy(&full.lake_root(), &twin.lake_root());
    }
    run(&twin, goal);
    twin
}

/// Compares the newest versions of both.
pub(crate) fn compare(full: &Bench, twin: &Bench) -> Findings {
    let assembly = twin.open().unwrap().assembly;
    let known_until = twin.known_until.unwrap();
    audit::compare(&assembly, &full.lake(), &twin.lake(), known_until).unwrap()
}

/// Insists that nothing leaks at any of the instants, and returns what was compared last.
pub(crate) fn assert_tight(
    full: &Bench,
    goal: Option<&str>,
    instants: &[(UtcTime, Start)],
) -> Findings {
    let mut last = Findings::default();
    let mut leaking = Vec::new();
    for (known_until, start) in instants {
        let twin = twin(full, goal, *known_until, *start);
        last = compare(full, &twin);
        let rows: u64 = last.compared.values().sum();
        eprintln!("  {rows} rows of {} tables compared", last.compared.len());
        leaking.extend(
            last.leaks
                .iter()
                .map(|leak| format!("at {known_until}: {leak}")),
        );
    }
    assert!(
        leaking.is_empty(),
        "{} leaks\n{}",
        leaking.len(),
        leaking.join("\n")
    );
    last
}

/// The audited tables of which nothing was compared.
pub(crate) fn unseen(bench: &Bench, findings: &Findings) -> Vec<String> {
    let pipeline = &bench.open().unwrap().assembly.pipeline;
    pipeline
        .stages()
        .iter()
        .filter(|stage| audit::is_audited(stage) && !findings.compared.contains_key(&stage.table))
        .map(|stage| stage.table.to_string())
        .collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
