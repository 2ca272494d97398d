//! Damaged files come back bit for bit, by running exactly the tasks that made them; what cannot come back is named.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use lakectl_pipeline::engine::{Cancel, RunEvent, Verdict};
use lakectl_pipeline::lake::{VerifyRequest, VersionRef};
use lakectl_pipeline::{Act, Fix, RepairOptions, RepairSummary, RunOptions, Selected};
use lakectl_tests::{Bench, NOW};

use crate::archive::{Archive, END};
use crate::common::{
    assert_tasks, edit, files_below, go, hashes, published, tasks, until, version,
};

/// Flips one bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// The file of a partition at the newest version, or at an older one.
fn file_of(bench: &Bench, at: Option<u64>, task: &str) -> PathBuf {
    let lake = bench.lake();
    let snapshot = match at {
        Some(version) => lake.at(VersionRef::Number(version)).unwrap(),
        None => lake.head().unwrap(),
    };
    let (table, partition) = task.split_once(' ').unwrap();
    let cell = snapshot.cell(&table.parse().unwrap(), &partition.parse().unwrap());
    lake.path_of(cell.unwrap().file.as_ref().unwrap())
}

fn repair(bench: &Bench, dry_run: bool) -> RepairSummary {
    let options = RepairOptions {
        run: RunOptions {
            run_id: "repair".to_owned(),
            who: "ann@desk".to_owned(),
            now: NOW,
            jobs: 2,
            events: &|_| {},
            cancel: Cancel::default(),
        },
        dry_run,
        progress: &|_| {},
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let opened = bench.open().unwrap();
    runtime
        .block_on(opened.repair(bench.lake(), options))
        .unwrap()
}

fn fixes(summary: &RepairSummary) -> Vec<(Fix, String)> {
    let fixes = summary.damaged.iter();
    fixes
        .map(|one| (one.fix, one.task.clone().unwrap_or_default()))
        .collect()
}

fn sound(bench: &Bench) {
    let deep = VerifyRequest {
        deep: true,
        at: None,
    };
    let found = bench.lake().verify(&deep, &|_| {}).unwrap();
    assert!(found.damages.is_empty(), "{:#?}", found.damages);
}

fn data(bench: &Bench) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = files_below(&bench.lake_root());
    let logs = |path: &Path| path.to_string_lossy().contains("_delta_log");
    files.retain(|(path, _)| path.starts_with("data") && !logs(path));
    files
}

#[test]
fn exactly_the_damaged_partitions_are_computed_again() {
    let bench = published();
    let (before, rows) = (data(&bench), hashes(&bench));
    // One that another damaged one reads, a partition of rejects, simulated documents, and one that is gone.
    let derived = [
        "options.greeks asset=BTC/date=2026-01-02",
        "options.slices asset=BTC/date=2026-01-02",
        "market.spot_bars asset=ETH/year=2026",
    ];
    for task in derived {
        flip(&file_of(&bench, None, task));
    }
    let raw = rows
        .keys()
        .find(|task| task.starts_with("raw.demo_option_chains ") || task.starts_with("raw."))
        .unwrap();
    fs::remove_file(file_of(&bench, None, raw)).unwrap();
    let damaged = files_below(&bench.lake_root());

    let dry = repair(&bench, true);
    assert!(
        files_below(&bench.lake_root()) == damaged,
        "a dry run changes nothing"
    );
    let mut expected: Vec<(Fix, String)> = derived
        .iter()
        .map(|task| (Fix::Computed, (*task).to_owned()))
        .collect();
    expected.push((Fix::Fetched, raw.clone()));
    expected.sort();
    let sorted = |summary: &RepairSummary| {
        let mut found = fixes(summary);
        found.sort();
        found
    };
    assert_eq!(sorted(&dry), expected);
    assert_eq!(dry.executed, [""; 0]);

    let done = repair(&bench, false);
    assert_eq!(sorted(&done), expected);
    let mut executed = done.executed.clone();
    executed.sort();
    let mut tasks: Vec<String> = derived.iter().map(|task| (*task).to_owned()).collect();
    tasks.push(raw.clone());
    tasks.sort();
    assert_tasks(&executed, &tasks);
    assert!(data(&bench) == before, "bit for bit");
    assert_eq!((version(&bench), hashes(&bench)), (1, rows));
    sound(&bench);
    assert!(repair(&bench, false).damaged.is_empty());
    assert_eq!(go(&bench, &Selected::default()).executed(), [""; 0]);
}

#[test]
fn rows_of_older_versions_come_back_under_their_own_definitions() {
    let mut bench = published();
    let task = "options.greeks asset=BTC/date=2026-01-02";
    edit(
        &mut bench,
        "sql/options/greeks.sql",
        "coalesce(venue_iv,",
        "0.01 + coalesce(venue_iv,",
    );
    go(&bench, &until("options.greeks"));
    let (old, new) = (file_of(&bench, Some(1), task), file_of(&bench, None, task));
    assert_ne!(old, new);
    let good = fs::read(&old).unwrap();
    flip(&old);
    let done = repair(&bench, false);
    assert_eq!(fixes(&done), [(Fix::None, task.to_owned())]);
    let detail = &done.damaged[0].detail;
    assert!(
        detail.contains("older versions") && detail.contains("other definitions"),
        "{detail}"
    );
    assert!(!done.is_success());

    bench.project = lakectl_pipeline::Project::built_in();
    // With the definitions of that version its rows are the same again; the newest version's cannot be.
    flip(&new);
    let done = repair(&bench, false);
    assert_eq!(
        fixes(&done),
        [
            (Fix::Computed, task.to_owned()),
            (Fix::None, task.to_owned())
        ]
    );
    assert!(fs::read(&old).unwrap() == good);
    let detail = &done.damaged[1].detail;
    assert!(detail.contains("a run publishes it anew"), "{detail}");
    // As the advice says.
    let run = go(&bench, &until("options.greeks"));
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    assert!(file_of(&bench, None, task) == old);
}

#[test]
fn damaged_records_of_results_are_set_aside_and_written_anew() {
    let bench = published();
    let rows = hashes(&bench);
    let files = files_below(&bench.lake_root());
    let segments: Vec<&PathBuf> = files
        .iter()
        .map(|(path, _)| path)
        .filter(|path| path.starts_with("_cells"))
        .collect();
    for segment in &segments {
        flip(&bench.lake_root().join(segment));
    }
    let done = repair(&bench, false);
    assert_eq!(done.damaged.len(), segments.len());
    assert!(done.damaged.iter().all(|one| one.fix == Fix::SetAside));
    for segment in &segments {
        assert!(!bench.lake_root().join(segment).exists());
        let aside = format!("_aside/{}.0", segment.display());
        assert!(bench.lake_root().join(aside).is_file());
    }
    sound(&bench);
    let known = bench.lake().cells().unwrap();
    let head = bench.lake().head().unwrap();
    let cells = head.cells.values().flat_map(|cells| cells.values());
    assert!(cells.clone().count() == rows.len());
    assert!(
        cells
            .clone()
            .all(|cell| known.get(&cell.fingerprint).is_some())
    );
    assert_eq!(go(&bench, &Selected::default()).executed(), [""; 0]);
}

#[test]
fn damaged_checks_are_set_aside_and_damaged_projections_made_again() {
    let bench = published();
    let root = bench.lake_root();
    let before = files_below(&root);
    let ends = |of: &str| {
        let paths = before.iter().map(|(path, _)| path);
        let mut paths = paths.filter(|path| path.to_str().unwrap().contains(of));
        let first = paths.next().unwrap();
        (first.clone(), paths.next_back().unwrap_or(first).clone())
    };
    let (checks, _) = ends("_checks/");
    let (written, lost) = ends("_delta_log/");
    flip(&root.join(&checks));
    flip(&root.join(&written));
    fs::remove_file(root.join(&lost)).unwrap();
    let done = repair(&bench, false);
    let mut found: Vec<(Fix, PathBuf)> = done
        .damaged
        .iter()
        .map(|one| (one.fix, one.path.clone().into()))
        .collect();
    found.sort();
    let mut expected = [
        (Fix::Projected, written),
        (Fix::Projected, lost),
        (Fix::SetAside, checks.clone()),
    ];
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(done.executed, [""; 0]);
    sound(&bench);
    let mut after = files_below(&root);
    after.retain(|(path, _)| !path.starts_with("_aside"));
    let kept = before.into_iter().filter(|(path, _)| *path != checks);
    assert!(after == kept.collect::<Vec<_>>());
}

#[test]
fn damaged_results_that_no_version_holds_are_forgotten() {
    let mut bench = published();
    let lake = bench.lake_root();
    edit(
        &mut bench,
        "sql/options/greeks.sql",
        "coalesce(venue_iv,",
        "0.01 + coalesce(venue_iv,",
    );
    let before: Vec<PathBuf> = data(&bench).into_iter().map(|(path, _)| path).collect();
    // A run that dies before it publishes leaves results.
    let head = lake.join(format!("_log/main/{:020}.json", 2));
    go(&bench, &until("options.greeks"));
    fs::remove_file(head).unwrap();
    fs::remove_file(lake.join("_projections/delta.json")).unwrap();
    bench.project = lakectl_pipeline::Project::built_in();
    let cached = data(&bench).into_iter().map(|(path, _)| path);
    let cached: Vec<PathBuf> = cached.filter(|path| !before.contains(path)).collect();
    flip(&lake.join(&cached[0]));
    let done = repair(&bench, false);
    assert_eq!(done.damaged.len(), 1);
    assert_eq!(done.damaged[0].fix, Fix::Forgotten);
    assert_eq!(done.executed, [""; 0]);
    sound(&bench);
    let again = repair(&bench, false);
    assert!(again.damaged.is_empty(), "{:?}", again.damaged);
}

#[test]
fn a_damaged_log_is_named_and_left_alone() {
    let bench = published();
    let task = "options.greeks asset=BTC/date=2026-01-02";
    let path = file_of(&bench, None, task);
    flip(&path);
    let log = bench.lake_root().join(format!("_log/main/{:020}.json", 1));
    let good = fs::read(&log).unwrap();
    flip(&log);
    let done = repair(&bench, false);
    assert!(!done.is_success());
    let log_damage = done.damaged.iter().find(|one| one.path.starts_with("_log"));
    let detail = &log_damage.unwrap().detail;
    assert!(detail.contains("restore the file from a copy"), "{detail}");
    fs::write(&log, good).unwrap();
    assert_eq!(
        fixes(&repair(&bench, false)),
        [(Fix::Computed, task.to_owned())]
    );
}

const RAW: &str = "raw.archive_deribit_chains date=2026-01-31";

fn recorded() -> Archive {
    let mut archive = Archive::new();
    archive.end(END);
    let run = go(&archive.bench, &until("norm"));
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    archive
}

fn refresh() -> Selected {
    Selected {
        refresh: vec!["raw.archive_deribit_chains".to_owned()],
        ..until("raw.archive_deribit_chains")
    }
}

/// Runs, and returns what failed with its message, and how often something was tried again.
fn tried(bench: &Bench, selected: &Selected) -> (Vec<(String, String)>, usize) {
    let retries = Mutex::new(0);
    let options = RunOptions {
        run_id: "tried".to_owned(),
        who: String::new(),
        now: NOW,
        jobs: 1,
        events: &|event| {
            if matches!(event, RunEvent::Retrying { .. }) {
                *retries.lock().unwrap() += 1;
            }
        },
        cancel: Cancel::default(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let opened = bench.open().unwrap();
    let run = opened.run(bench.lake(), selected, options);
    let (summary, _) = runtime.block_on(run).unwrap();
    let failures = summary.failures.iter();
    let failures = failures.map(|failure| {
        let hint = failure.hint.clone().unwrap_or_default();
        (failure.task.clone(), format!("{} {hint}", failure.message))
    });
    let retries = *retries.lock().unwrap();
    (failures.collect(), retries)
}

#[test]
fn a_damaged_raw_file_is_fetched_again() {
    let archive = recorded();
    let bench = &archive.bench;
    let (before, rows) = (data(bench), hashes(bench));
    let path = file_of(bench, None, RAW);
    for damage in [flip as fn(&Path), |path: &Path| {
        fs::remove_file(path).unwrap()
    }] {
        // By a run that fetches it again.
        damage(&path);
        assert_eq!(tried(bench, &refresh()), (Vec::new(), 0));
        assert!(data(bench) == before);
        assert_eq!(hashes(bench), rows);
        // And by repair, which runs that task only.
        damage(&path);
        let done = repair(bench, false);
        assert_eq!(fixes(&done), [(Fix::Fetched, RAW.to_owned())]);
        assert_eq!(done.executed, [RAW]);
        assert!(data(bench) == before);
    }
    sound(bench);
}

#[test]
fn new_documents_beside_a_damaged_file_do_not_hide_the_old_ones() {
    let archive = recorded();
    let bench = &archive.bench;
    let before = data(bench);
    let first = file_of(bench, None, RAW);
    flip(&first);
    // Another snapshot of that day has come.
    let path = archive.chain_path("2026-01-31");
    let later = path.to_str().unwrap().replace("T210000Z", "T220000Z");
    fs::copy(&path, later).unwrap();
    let run = go(bench, &until("raw.archive_deribit_chains"));
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    assert_tasks(&run.executed(), &tasks(&[RAW]));
    assert_eq!(
        bench
            .lake()
            .head()
            .unwrap()
            .rows(&"raw.archive_deribit_chains".parse().unwrap()),
        4
    );
    let after = data(bench);
    assert!(
        before.iter().all(|file| after.contains(file)),
        "the old file is mended too"
    );
    sound(bench);
}

#[test]
fn documents_that_nobody_has_any_more_are_named() {
    let archive = recorded();
    let bench = &archive.bench;
    let rows = hashes(bench);
    let path = file_of(bench, None, RAW);
    let name = "deribit_options_snapshot_20260131T210000Z.csv.zst";
    // The source says something else by now, and the stored document is damaged.
    archive.chain("2026-01-31", [0.55, 0.65]);
    flip(&path);
    let (failures, retries) = tried(bench, &until("raw.archive_deribit_chains"));
    assert_eq!((failures.len(), retries), (1, 0), "{failures:?}");
    let (task, text) = &failures[0];
    assert_eq!(task, RAW);
    for word in [
        name,
        "1 of its 1 documents",
        "lakectl copy",
        "stays published",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert_eq!(hashes(bench), rows, "what was computed from it stays");
    let done = repair(bench, false);
    assert_eq!(fixes(&done), [(Fix::None, RAW.to_owned())]);
    assert!(done.damaged[0].detail.contains(name), "{:?}", done.damaged);
    // Without the file, the typed rows still know their documents.
    fs::remove_file(&path).unwrap();
    let (failures, _) = tried(bench, &until("raw.archive_deribit_chains"));
    assert!(
        failures[0].1.contains("1 of its 1 documents"),
        "{failures:?}"
    );
    // The document is back, and with it the file.
    archive.chain("2026-01-31", [0.50, 0.65]);
    let done = repair(bench, false);
    assert_eq!(fixes(&done), [(Fix::Fetched, RAW.to_owned())]);
    sound(bench);
    // A source that offers nothing any more.
    flip(&path);
    fs::remove_file(archive.chain_path("2026-01-31")).unwrap();
    let done = repair(bench, false);
    assert!(
        done.damaged[0].detail.contains("does not offer it"),
        "{:?}",
        done.damaged
    );
}

#[test]
fn every_reader_of_a_damaged_file_fails_at_once() {
    let archive = recorded();
    let bench = &archive.bench;
    flip(&file_of(bench, None, RAW));
    let force = Selected {
        force: vec!["norm.archive_deribit_chains".to_owned()],
        ..until("norm.archive_deribit_chains")
    };
    let (failures, retries) = tried(bench, &force);
    assert_eq!((failures.len(), retries), (1, 0), "{failures:?}");
    assert!(failures[0].1.contains("lakectl repair"), "{failures:?}");
}

#[test]
fn a_document_that_nobody_has_can_be_given_up() {
    for whole_file in [false, true] {
        let (archive, goal) = (recorded(), until("norm"));
        let bench = &archive.bench;
        let path = file_of(bench, None, RAW);
        // Another document of that day has come; the stored one is lost here and at its source.
        let chain = archive.chain_path("2026-01-31");
        let later = chain.to_str().unwrap().replace("T210000Z", "T220000Z");
        fs::rename(&chain, &later).unwrap();
        match whole_file {
            true => fs::remove_file(&path).unwrap(),
            false => flip(&path),
        }
        let (failures, _) = tried(bench, &goal);
        let (_, text) = failures.iter().find(|(task, _)| task == RAW).unwrap();
        assert!(text.contains("override exclude-document"), "{text}");
        // A damaged file still names it; without one its rows know the digest.
        let lost = text.split("cannot be had again: ").nth(1).unwrap();
        let lost = lost.split(' ').next().unwrap();
        assert_eq!(lost.contains('/'), !whole_file, "{text}");
        let opened = bench.open().unwrap();
        let act = || Act {
            who: "ann@desk".to_owned(),
            when: NOW,
            why: "the disk ate it".to_owned(),
        };
        opened.exclude_document(&bench.lake(), lost, act()).unwrap();
        let twice = opened
            .exclude_document(&bench.lake(), lost, act())
            .unwrap_err();
        assert!(twice.to_string().contains("excluded already"), "{twice}");
        // Recovery goes on with what is left.
        assert_eq!(tried(bench, &goal), (Vec::new(), 0));
        let head = bench.lake().head().unwrap();
        let raw = "raw.archive_deribit_chains".parse().unwrap();
        assert_eq!(head.rows(&raw), 3, "one of each day");
        let plan = bench.open().unwrap();
        let plan = plan.plan(Some(&bench.lake()), &goal, NOW).unwrap();
        let stale: Vec<_> = plan
            .tasks
            .iter()
            .filter(|t| t.verdict != Verdict::Reuse)
            .collect();
        assert!(stale.is_empty(), "{stale:?}");
        assert_eq!(tried(bench, &refresh()), (Vec::new(), 0));
    }
}

#[test]
fn a_chunk_or_a_note_that_is_damaged_is_set_aside_and_nothing_else() {
    let bench = published();
    let note = bench.lake_root().join("_runs/test-0001.json");
    let text = fs::read_to_string(&note).unwrap();
    fs::write(&note, text.replacen("\"seconds\":", "\"seconds\":1", 1)).unwrap();
    let error = bench.open().unwrap().session(bench.lake(), None).unwrap();
    let error = error
        .collect_blocking("SELECT * FROM system.runs")
        .unwrap_err();
    assert!(error.to_string().contains("test-0001.json"), "{error}");
    let done = repair(&bench, false);
    assert_eq!(fixes(&done), [(Fix::SetAside, String::new())]);
    assert_eq!(done.damaged[0].path, "_runs/test-0001.json");
    sound(&bench);
    let session = bench.open().unwrap().session(bench.lake(), None).unwrap();
    session
        .collect_blocking("SELECT * FROM system.runs")
        .unwrap();
}

#[test]
fn the_loss_of_the_newest_version_is_told_by_who_goes_on() {
    let mut bench = published();
    let before = hashes(&bench);
    edit(
        &mut bench,
        "sql/options/greeks.sql",
        "FROM priced",
        "FROM priced WHERE strike <> 90000",
    );
    assert!(go(&bench, &Selected::default()).summary.is_success());
    let after = hashes(&bench);
    assert_ne!(after, before);
    fs::remove_file(bench.lake_root().join(format!("_log/main/{:020}.json", 2))).unwrap();
    let found = bench
        .lake()
        .verify(&VerifyRequest::default(), &|_| {})
        .unwrap();
    assert_eq!(found.damages.len(), 1, "{:#?}", found.damages);
    let done = repair(&bench, false);
    assert_eq!(fixes(&done), [(Fix::None, String::new())]);
    assert!(
        done.damaged[0]
            .problem
            .contains("version 2, and the log ends with version 1"),
        "{:?}",
        done.damaged
    );
    // The next run publishes it anew from what was recorded, and does so aloud.
    let run = go(&bench, &Selected::default());
    assert!(run.summary.is_success());
    assert_eq!(run.executed(), [""; 0]);
    let warnings = run.summary.warnings.join("\n");
    assert!(warnings.contains("it is missing"), "{warnings}");
    assert_eq!((version(&bench), hashes(&bench)), (2, after));
    sound(&bench);
}
