//! How long planning takes. The numbers are printed, never asserted.
#![allow(clippy::print_stderr)]

use std::time::{Duration, Instant};

use super::*;

const ROUNDS: u32 = 7;

fn time(what: &str, project: &mut Project) {
    let start = Instant::now();
    project.run();
    let first = start.elapsed();
    // The best of several, because other tests run beside this one.
    let (mut planned, mut both) = (Duration::MAX, Duration::MAX);
    let mut tasks = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let plan = project.plan().unwrap();
        planned = planned.min(start.elapsed());
        let report = project.execute(&plan);
        both = both.min(start.elapsed());
        assert!(report.executed().is_empty());
        tasks = plan.tasks.len();
    }
    eprintln!(
        "{what}: {tasks} tasks, first run {first:.1?}, nothing to do: plan {planned:.1?}, plan and run {both:.1?}"
    );
}

#[test]
fn a_thousand_tasks_in_chains() {
    let values: Vec<String> = (0..100).map(|i| format!("A{i}")).collect();
    let mut text = stage("s.t0", "sql", "none", "asset", "");
    for i in 1..10 {
        text += &stage(
            &format!("s.t{i}"),
            "sql",
            "none",
            "asset",
            &format!("\"s.t{}\" = \"self\"", i - 1),
        );
    }
    let mut project = Project::new(&text);
    project
        .coverages
        .get_mut("c")
        .unwrap()
        .keys
        .insert("asset".to_owned(), values);
    time("10 stages x 100 keys", &mut project);

    let mut text = String::new();
    for chain in 0..100 {
        text += &stage(&format!("s.c{chain}t0"), "sql", "none", "", "");
        for i in 1..10 {
            let input = format!("\"s.c{chain}t{}\" = \"self\"", i - 1);
            text += &stage(&format!("s.c{chain}t{i}"), "sql", "none", "", &input);
        }
    }
    time("1000 stages", &mut Project::new(&text));
}

/// Plans that are mostly read from the lake: 1,000 chains of ten stages over ten days.
#[test]
fn a_hundred_thousand_tasks() {
    if !full() {
        return;
    }
    let values: Vec<String> = (0..1_000).map(|i| format!("A{i:04}")).collect();
    let mut text = stage("s.t0", "sql", "day", "asset", "");
    for i in 1..10 {
        let input = format!("\"s.t{}\" = \"self\"", i - 1);
        text += &stage(&format!("s.t{i}"), "sql", "day", "asset", &input);
    }
    let mut project = Project::new(&text);
    project.end = day("2026-02-09");
    let keys = &mut project.coverages.get_mut("c").unwrap().keys;
    keys.insert("asset".to_owned(), values);
    time("10 stages x 1,000 keys x 10 days", &mut project);
}

#[test]
fn five_thousand_tasks_with_long_windows() {
    let text = [
        stage("s.t0", "sql", "day", "asset", ""),
        stage(
            "s.t1",
            "sql",
            "day",
            "asset",
            "\"s.t0\" = { lookback = \"180d\" }",
        ),
        stage(
            "s.t2",
            "sql",
            "day",
            "asset",
            "\"s.t1\" = { lookback = \"180d\", until = \"start\" }",
        ),
        stage("s.y", "sql", "year", "asset", "\"s.t2\" = \"self\""),
        stage(
            "s.t3",
            "sql",
            "day",
            "asset",
            "\"s.y\" = { lookback = \"90d\" }",
        ),
    ];
    let mut project = Project::new(&text.concat());
    project.end = day("2026-01-30").plus(600);
    time("lookback 180d over 600 days x 2 assets", &mut project);
}
