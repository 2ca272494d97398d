//! Many writers at the same time: versions without a gap, nobody's partition lost.

use std::process::{Child, Command, Stdio};

use lakectl_store::LakeAddress;
use lakectl_tests::s3::{Ask, Fault, Rule, S3Server};

use crate::common::{full, open, publish, table, tell};

/// Commits `commits` partitions of its own, each on the version it began with.
fn writer(address: &LakeAddress, number: usize, commits: usize) {
    let lake = open(address).unwrap();
    let base = lake.head().unwrap();
    for n in 0..commits {
        let (partition, run) = (format!("writer={number}/n={n}"), format!("r{number}-{n}"));
        publish(&lake, &base, &partition, &run, 2).unwrap();
    }
}

/// Checks that every commit of every writer is a version of its own.
fn check(address: &LakeAddress, writers: usize, commits: usize) {
    let lake = open(address).unwrap();
    let log = lake.log().unwrap();
    let versions: Vec<u64> = log.iter().map(|info| info.version).collect();
    assert_eq!(
        versions,
        (1..=(writers * commits) as u64).collect::<Vec<_>>()
    );
    let mut runs: Vec<&str> = log.iter().map(|info| info.run.as_str()).collect();
    runs.sort_unstable();
    runs.dedup();
    assert_eq!(runs.len(), writers * commits);
    let head = lake.head().unwrap();
    assert_eq!(head.partitions(&table()).count(), writers * commits);
    for (_, cell) in head.partitions(&table()) {
        assert_eq!(lake.read(cell, None).unwrap()[0].num_rows(), 2);
    }
    assert_eq!(lake.cells().unwrap().len(), writers * commits);
}

#[test]
fn writers_of_one_bucket() {
    let server = S3Server::start();
    let address = server.lake("lake");
    open(&address).unwrap();
    for n in 0..10 {
        let fault = [Fault::Conflict, Fault::DoneButCut, Fault::SlowDown][n as usize % 3];
        server.inject(Rule {
            after: n * 4,
            ..Rule::first(1, Ask::Create, "_log/", fault)
        });
    }
    let commits = if full() { 12 } else { 4 };
    std::thread::scope(|scope| {
        for number in 0..6 {
            let address = &address;
            scope.spawn(move || writer(address, number, commits));
        }
    });
    assert!(server.failed() > 3);
    server.heal();
    check(&address, 6, commits);
}

const LAKE: &str = "LAKE_TEST_WRITER_LAKE";
const NUMBER: &str = "LAKE_TEST_WRITER_NUMBER";
const COMMITS: &str = "LAKE_TEST_WRITER_COMMITS";

/// What the test below starts as processes of their own; alone it does nothing.
#[test]
fn writing_process() {
    let Ok(lake) = std::env::var(LAKE) else {
        return;
    };
    let number = |name: &str| std::env::var(name).unwrap().parse().unwrap();
    let address = LakeAddress::parse(&lake).unwrap();
    writer(&address, number(NUMBER), number(COMMITS));
}

fn spawn(lake: &str, number: usize, commits: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writers::writing_process", "--test-threads=1"])
        .env(LAKE, lake)
        .env(NUMBER, number.to_string())
        .env(COMMITS, commits.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn sixteen_processes_write_gapless_versions() {
    let commits = if full() { 50 } else { 8 };
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake").display().to_string();
    let address = LakeAddress::parse(&lake).unwrap();
    open(&address).unwrap();
    let children: Vec<Child> = (0..16).map(|n| spawn(&lake, n, commits)).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
    }
    check(&address, 16, commits);
    let told = format!("{} versions without a gap, no partition lost", 16 * commits);
    tell(
        "16 processes committing at the same time",
        16 * commits,
        &told,
    );
}
