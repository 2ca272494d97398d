//! The shipped pipeline in a bucket gives what it gives in a folder.

use std::collections::BTreeSet;

use lakectl_pipeline::Selected;
use lakectl_pipeline::stages::Columns;
use lakectl_tests::s3::{Ask, BUCKET, Fault, Rule, S3Server};
use lakectl_tests::{Bench, executed};

/// A few simulated days.
fn demo() -> Bench {
    let mut bench = Bench::demo("2025-12-30", "2026-01-03", "2025-12-30");
    bench.set("sources.demo.market.dense_from", "2026-12-31");
    bench
}

/// Every published partition with the digest of its rows.
fn hashes(bench: &Bench) -> Vec<[Option<String>; 3]> {
    let sql = "SELECT \"table\", partition, rows_hash FROM system.cells ORDER BY 1, 2";
    let rows: Columns = bench.sql(sql);
    let column = |name: &str| rows.texts(name).unwrap();
    let (tables, partitions, digests) = (column("table"), column("partition"), column("rows_hash"));
    (0..rows.rows())
        .map(|i| [&tables[i], &partitions[i], &digests[i]].map(Clone::clone))
        .collect()
}

fn data_files(names: impl Iterator<Item = String>) -> BTreeSet<String> {
    names.filter(|name| name.starts_with("data/")).collect()
}

#[test]
fn a_bucket_holds_what_a_folder_holds() {
    let local = demo();
    let (summary, _) = local.run(&Selected::default()).unwrap();
    assert!(summary.is_success(), "{:?}", summary.failures.first());

    let server = S3Server::start();
    let mut remote = demo();
    remote.address = Some(server.lake("lakes/demo"));
    let (summary, report) = remote.run(&Selected::default()).unwrap();
    assert!(summary.is_success(), "{:?}", summary.failures.first());
    assert_eq!(summary.lake, format!("s3://{BUCKET}/lakes/demo"));
    assert!(!report.executed().is_empty());
    let expected = hashes(&local);
    assert!(expected.len() > 100, "{}", expected.len());
    assert_eq!(hashes(&remote), expected);

    // The same files under the same names: equal rows give equal bytes.
    let root = local.lake_root();
    let mut names = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => names.push(path.strip_prefix(&root).unwrap().display().to_string()),
            }
        }
    }
    let objects = server.objects().into_keys();
    let objects = objects.map(|name| name.trim_start_matches("lakes/demo/").to_owned());
    assert_eq!(data_files(objects), data_files(names.into_iter()));

    let puts = || server.asked(Ask::Put) + server.asked(Ask::Create);
    let before = puts();
    let (summary, report) = remote.run(&Selected::default()).unwrap();
    assert_eq!((summary.version, executed(&report).len()), (1, 0));
    assert_eq!(puts(), before, "nothing to do, nothing written");
}

#[test]
fn a_run_through_a_storm_of_faults() {
    let calm = demo();
    calm.run(&Selected::default()).unwrap();
    let server = S3Server::start();
    let kinds = [
        (Ask::Put, Fault::SlowDown),
        (Ask::Put, Fault::DoneButCut),
        (Ask::Create, Fault::DoneButCut),
        (Ask::Create, Fault::Conflict),
        (Ask::Get, Fault::CutBody),
        (Ask::Get, Fault::ShortBody),
        (Ask::Get, Fault::Internal),
        (Ask::List, Fault::Internal),
        (Ask::Head, Fault::SlowDown),
    ];
    for (n, (ask, fault)) in (0..).zip(kinds.iter().cycle().take(kinds.len() * 4)) {
        server.inject(Rule {
            ask: *ask,
            name: "",
            after: n * 3,
            times: 1,
            fault: *fault,
        });
    }
    let mut stormy = demo();
    stormy.address = Some(server.lake("x"));
    let (summary, _) = stormy.run(&Selected::default()).unwrap();
    assert!(summary.is_success(), "{:?}", summary.failures.first());
    assert!(server.failed() > 10, "{}", server.failed());
    server.heal();
    assert_eq!(hashes(&stormy), hashes(&calm));
    assert_eq!(stormy.lake().log().unwrap().len(), 1);
}
