//! What changes, appears and goes in a folder of recorded files, and the partitions that this runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use lakectl_core::{Fingerprint, UtcTime};
use lakectl_pipeline::engine::Cancel;
use lakectl_pipeline::{RunOptions, Selected};
use lakectl_sources::archive::FileStamp;
use lakectl_tests::{Bench, NOW};

use crate::archive::{Archive, DAYS, END};
use crate::common::{assert_tasks, files_below, go, hashes, tasks, version, write_files};

/// A lake of the recordings, up to their last day. The first caller computes it, the others get a copy.
pub(crate) fn recorded() -> Archive {
    static LAKE: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    let files = LAKE.get_or_init(|| files_below(&computed().bench.lake_root()));
    let mut archive = Archive::new();
    archive.end(END);
    write_files(&archive.bench.lake_root(), files);
    archive
}

fn computed() -> Archive {
    let mut archive = Archive::new();
    archive.end(END);
    let run = go(&archive.bench, &Selected::default());
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    let chains = tasks(&[
        &format!("{{raw,norm}}.archive_deribit_chains date={DAYS}"),
        &format!("market.option_quotes asset=ASSETS/date={DAYS}"),
        &format!(
            "options.{{forwards,greeks,slices,smile_models,surface_nodes,term_structure,density,expiry_density}} asset=ASSETS/date={DAYS}"
        ),
        "features.{surface_pca,surface_factors} asset=ASSETS/month={2026-01,2026-02}",
        "{raw,norm}.archive_{coinmarketcap_btc,deribit_dvol} all",
    ]);
    let executed = run.executed();
    assert!(
        chains.iter().all(|task| executed.contains(task)),
        "{executed:#?}"
    );
    let rows = |table: &str| bench_rows(&archive.bench, table);
    assert_eq!(rows("market.option_quotes"), 3 * 2 * 4 * 9 * 2);
    assert_eq!(rows("options.slices"), 3 * 2 * 4);
    archive
}

fn bench_rows(bench: &Bench, table: &str) -> u64 {
    bench.lake().head().unwrap().rows(&table.parse().unwrap())
}

#[test]
fn one_changed_document_runs_the_partitions_that_it_reaches() {
    let archive = recorded();
    let bench = &archive.bench;
    let before = hashes(bench);
    // BTC of one day, five points higher; the ETH rows of the document are the same but for its name.
    archive.chain("2026-01-31", [0.55, 0.65]);
    let run = go(bench, &Selected::default());
    let affected = tasks(&[
        "{raw,norm}.archive_deribit_chains date=2026-01-31",
        "market.option_quotes asset=ASSETS/date=2026-01-31",
        // The quotes of ETH name another document, which is where it ends.
        "options.{forwards,greeks} asset=ASSETS/date=2026-01-31",
        "options.{slices,smile_models,surface_nodes,term_structure,density,expiry_density} asset=BTC/date=2026-01-31",
        // Slices of the day after may carry a shape of that day; theirs are their own.
        "options.slices asset=BTC/date=2026-02-01",
        "options.exclusions asset=ASSETS/date=2026-01-31",
        "options.{skew_fit,skew_report,skew_quotes} asset=BTC/date=2026-01-31",
        "options.{exposure,exposure_profile,hedge_ladder} asset=ASSETS/date=2026-01-31",
        "options.{variance_index,max_pain} asset=BTC/date=2026-01-31",
        "options.skew_elasticity asset=BTC/month={2026-01,2026-02}",
        "options.index_comparison asset=BTC/year=2026",
        // Both months look back to that day.
        "features.{surface_pca,surface_factors} asset=BTC/month={2026-01,2026-02}",
        "features.{divergence,matrix} asset=BTC/year=2026",
        // The surface of the evening of the 31st is known on 1 February: nothing of January's rows changes, so the
        // models fitted on them stay; February's rows are filtered and forecast again, and every score looks ahead.
        "forecast.{regimes,quantiles} asset=BTC/month=2026-02",
        "backtest.forecast_scores asset=BTC/month={2026-01,2026-02}",
    ]);
    assert_tasks(&run.executed(), &affected);
    let why = run.reasons("raw.archive_deribit_chains");
    assert!(
        why.iter().all(|reason| reason.starts_with("token ")),
        "{why:?}"
    );
    let changed = run.changed();
    for task in tasks(&[
        "market.option_quotes asset=ASSETS/date=2026-01-31",
        "options.{greeks,slices,smile_models,surface_nodes,term_structure,density,expiry_density} asset=BTC/date=2026-01-31",
        "features.surface_factors asset=BTC/month=2026-01",
        "features.matrix asset=BTC/year=2026",
    ]) {
        assert!(changed.contains(&task), "{task}: {changed:#?}");
    }
    assert_eq!(version(bench), 2);
    // Both states of the document are kept, and the later one counts.
    assert_eq!(bench_rows(bench, "raw.archive_deribit_chains"), 4);
    assert_eq!(bench_rows(bench, "market.option_quotes"), 3 * 2 * 4 * 9 * 2);

    // The document is what it was. It arrives again, after the other one, and from there on everything is remembered.
    archive.chain("2026-01-31", [0.50, 0.65]);
    let run = go(bench, &Selected::default());
    let arrival = tasks(&[
        "{raw,norm}.archive_deribit_chains date=2026-01-31",
        "market.option_quotes asset=ASSETS/date=2026-01-31",
    ]);
    assert_tasks(&run.executed(), &arrival);
    let rest: Vec<String> = affected
        .into_iter()
        .filter(|task| !arrival.contains(task))
        .collect();
    assert_tasks(&run.restored(), &rest);
    assert_eq!(bench_rows(bench, "raw.archive_deribit_chains"), 5);
    let derived = |mut hashes: BTreeMap<String, String>| {
        hashes.retain(|task, _| !task.starts_with("raw.") && !task.starts_with("norm."));
        hashes
    };
    assert_eq!(derived(hashes(bench)), derived(before));
}

#[test]
fn a_touched_a_lost_and_a_found_file_run_nothing() {
    let archive = recorded();
    let bench = &archive.bench;
    let before = hashes(bench);
    // Another time and another inode with the same content.
    let path = archive.chain_path("2026-01-30");
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(path.with_extension("copy"), &bytes).unwrap();
    fs::rename(path.with_extension("copy"), &path).unwrap();
    let run = go(bench, &Selected::default());
    assert_eq!(run.executed(), [""; 0]);

    // A file that is gone leaves its partition, which is named.
    fs::remove_file(&path).unwrap();
    let run = go(bench, &Selected::default());
    assert_eq!(run.executed(), [""; 0]);
    let gone = ["raw.archive_deribit_chains date=2026-01-30"];
    assert_eq!(run.summary.vanished, gone);
    assert_eq!(
        run.plan
            .vanished
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        gone
    );
    assert!(run.summary.is_success());
    assert_eq!((version(bench), hashes(bench)), (1, before.clone()));

    // Its readers can still be computed again.
    let force = Selected {
        force: vec!["norm.archive_deribit_chains".to_owned()],
        ..Selected::default()
    };
    let run = go(bench, &force);
    assert_tasks(
        &run.executed(),
        &tasks(&[&format!("norm.archive_deribit_chains date={DAYS}")]),
    );
    assert_eq!(run.changed(), [""; 0]);

    // Back again.
    fs::write(&path, &bytes).unwrap();
    let run = go(bench, &Selected::default());
    assert_eq!(run.executed(), [""; 0]);
    assert_eq!(run.summary.vanished, [""; 0]);
    assert_eq!((version(bench), hashes(bench)), (1, before));
}

#[test]
fn a_lost_member_of_a_partition_stays_in_it() {
    let archive = recorded();
    let bench = &archive.bench;
    let before = hashes(bench);
    fs::remove_file(archive.root.join("deribit/dvol/eth_dvol.csv")).unwrap();
    let run = go(bench, &Selected::default());
    // The listing is another one, the documents that are stored are the same.
    assert_tasks(&run.executed(), &tasks(&["raw.archive_deribit_dvol all"]));
    assert_eq!(run.changed(), [""; 0]);
    assert_eq!(hashes(bench), before);
}

#[test]
fn a_damaged_replacement_is_quarantined_and_what_was_known_stays() {
    let archive = recorded();
    let bench = &archive.bench;
    let before = hashes(bench);
    let path = archive.chain_path("2026-01-31");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let run = go(bench, &Selected::default());
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    assert_tasks(
        &run.executed(),
        &tasks(&["{raw,norm}.archive_deribit_chains date=2026-01-31"]),
    );
    assert!(run.summary.quarantined > 0);
    let rejects = bench.sql("SELECT reason, document FROM quarantine.archive_deribit_chains");
    let documents = rejects.texts("document").unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(
        documents
            .iter()
            .flatten()
            .any(|document| document.ends_with(name)),
        "{documents:?}"
    );
    let after = hashes(bench);
    let market = |task: &&String| !task.starts_with("raw.") && !task.starts_with("quarantine.");
    assert!(
        before
            .keys()
            .filter(market)
            .all(|task| before.get(task) == after.get(task))
    );
}

#[test]
fn a_new_day_of_recordings_runs_only_what_holds_it() {
    let mut archive = recorded();
    let next = "2026-02-02";
    archive.chain(next, [0.52, 0.66]);
    archive.bars(next);
    // Before its day is planned a document waits.
    let run = go(&archive.bench, &Selected::default());
    let executed = run.executed();
    assert!(
        !executed.iter().any(|task| task.contains(next)),
        "{executed:#?}"
    );
    assert!(
        executed.contains(&"raw.archive_deribit_dvol all".to_owned()),
        "{executed:#?}"
    );

    archive.end(next);
    let run = go(&archive.bench, &Selected::default());
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    let expected = tasks(&[
        &format!("{{raw,norm}}.archive_deribit_chains date={next}"),
        &format!("market.option_quotes asset=ASSETS/date={next}"),
        &format!(
            "options.{{forwards,greeks,slices,smile_models,surface_nodes,term_structure,density,expiry_density}} asset=ASSETS/date={next}"
        ),
        &format!(
            "options.{{exclusions,skew_fit,skew_report,skew_quotes}} asset=ASSETS/date={next}"
        ),
        "options.skew_policy asset=ASSETS/month=2026-02",
        &format!(
            "options.{{variance_index,exposure,exposure_profile,hedge_ladder,max_pain}} asset=ASSETS/date={next}"
        ),
        "options.skew_elasticity asset=ASSETS/month=2026-02",
        "options.index_comparison asset=ASSETS/year=2026",
        "market.{future_quotes,option_trades} asset=ASSETS/month=2026-02",
        "market.{spot_bars,dvol,funding} asset=ASSETS/year=2026",
        "{market.rates,onchain.global_metrics,sentiment.daily} year=2026",
        "onchain.{metrics,daily,indices} asset=ASSETS/year=2026",
        "features.{mdia,whales,mvrv,sentiment,flows,onchain_signals,divergence,matrix} asset=ASSETS/year=2026",
        "signals.market_state asset=ASSETS/year=2026",
        "features.{surface_pca,surface_factors} asset=ASSETS/month=2026-02",
        "models.{regime,quantile} asset=ASSETS/month=2026-02",
        "forecast.{regimes,quantiles} asset=ASSETS/month=2026-02",
        // January's scores look ahead.
        "backtest.forecast_scores asset=ASSETS/month={2026-01,2026-02}",
    ]);
    assert_tasks(&run.executed(), &expected);
    assert_eq!(
        bench_rows(&archive.bench, "market.option_quotes"),
        4 * 2 * 4 * 9 * 2
    );
}

/// Runs at a time.
fn run_at(bench: &Bench, run: &str, now: UtcTime) {
    let options = RunOptions {
        who: String::new(),
        run_id: run.to_owned(),
        now,
        jobs: 1,
        events: &|_| {},
        cancel: Cancel::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let opened = bench.open().unwrap();
    runtime
        .block_on(opened.run(bench.lake(), &Selected::default(), options))
        .unwrap();
}

/// What the lake remembers of recorded files.
fn remembered(bench: &Bench) -> Vec<(FileStamp, Fingerprint)> {
    bench.lake().recall("files").unwrap().unwrap_or_default()
}

#[test]
fn files_that_did_not_change_are_not_read_again() {
    let archive = recorded();
    let bench = &archive.bench;
    let chain = archive.chain_path("2026-01-31");
    // All of them were written a moment ago, or are changed while the run looks at them.
    let modified = fs::metadata(&chain).unwrap().modified().unwrap();
    let modified = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    let after =
        |seconds: i64| UtcTime::from_micros(modified.as_micros() as i64 + seconds * 1_000_000);
    run_at(bench, "at-once", after(-1));
    assert_eq!(remembered(bench), []);
    run_at(bench, "later", after(3_600));
    let mut known = remembered(bench);
    assert_eq!(known.len(), 3 + 3);

    // What is remembered is believed: were it wrong, the plan would be.
    let stale = || {
        let plan = bench
            .open()
            .unwrap()
            .plan(Some(&bench.lake()), &Selected::default(), NOW)
            .unwrap();
        plan.totals().total - plan.totals().reused
    };
    assert_eq!(stale(), 0);
    let place = known
        .iter()
        .position(|(stamp, _)| stamp.path.ends_with(chain.file_name().unwrap()));
    known[place.unwrap()].1 = Fingerprint::of(b"another content");
    bench.lake().remember("files", &known).unwrap();
    assert!(stale() > 0);
    // But not of a file that was touched since.
    let bytes = fs::read(&chain).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(&chain, bytes).unwrap();
    assert_eq!(stale(), 0);

    // A damaged memo is none.
    let path = bench.lake_root().join("_memo/files.json");
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(remembered(bench), []);
    assert_eq!(stale(), 0);
}

/// What nobody can read, whoever asks: the tests may run as root.
#[cfg(unix)]
fn make_unreadable(path: &std::path::Path) {
    std::os::unix::fs::symlink(path, path).unwrap();
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_fails_its_partition_and_is_never_stored() {
    let archive = recorded();
    let bench = &archive.bench;
    let raw = |bench: &Bench| bench_rows(bench, "raw.archive_deribit_chains");
    let (before, documents) = (hashes(bench), raw(bench));
    let other = |hashes: BTreeMap<String, String>| -> BTreeMap<String, String> {
        let mine = |task: &String| !task.contains("2026-01-31");
        hashes.into_iter().filter(|(task, _)| mine(task)).collect()
    };
    let path = archive.chain_path("2026-01-31");
    fs::remove_file(&path).unwrap();
    make_unreadable(&path);
    let run = go(bench, &Selected::default());
    let task = "raw.archive_deribit_chains date=2026-01-31";
    assert_tasks(&run.failed(), &tasks(&[task]));
    assert!(!run.summary.is_success());
    let failure = &run.summary.failures[0];
    let told = format!("{} {:?}", failure.message, failure.hint);
    for word in [path.to_str().unwrap(), "symbolic links", "run again"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let note = run
        .plan
        .tasks
        .iter()
        .find(|planned| planned.task.to_string() == task);
    assert!(note.unwrap().note.as_ref().unwrap().contains("cannot read"));
    assert_eq!(hashes(bench), before, "what is published stays");

    // It is tried again, and the others go on.
    archive.chain("2026-01-30", [0.52, 0.65]);
    let run = go(bench, &Selected::default());
    assert_tasks(&run.failed(), &tasks(&[task]));
    assert!(run.executed().contains(&task.replace("-31", "-30")));
    fs::remove_file(&path).unwrap();
    archive.chain("2026-01-30", [0.50, 0.65]);
    archive.chain("2026-01-31", [0.50, 0.65]);
    let run = go(bench, &Selected::default());
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    // Two more bodies of the 30th, and nothing of the 31st that nobody ever read.
    assert_eq!(raw(bench), documents + 2);
    let quarantined = bench_rows(bench, "quarantine.archive_deribit_chains");
    assert_eq!(quarantined, 0);
    assert_eq!(other(hashes(bench)).len(), other(before).len());
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_entered_fails_the_run_and_makes_no_partition() {
    let archive = recorded();
    let bench = &archive.bench;
    let before = hashes(bench);
    let folder = archive.root.join("deribit/chains");
    let aside = archive.root.join("aside");
    fs::rename(&folder, &aside).unwrap();
    make_unreadable(&folder);
    for _ in 0..2 {
        let run = go(bench, &Selected::default());
        assert!(!run.summary.is_success());
        assert_eq!(run.executed(), [""; 0]);
        let failures = &run.summary.failures;
        let of_chains: Vec<_> = failures
            .iter()
            .filter(|failure| failure.task == "raw.archive_deribit_chains")
            .collect();
        assert_eq!(of_chains.len(), 1, "{failures:?}");
        assert!(of_chains[0].message.contains(folder.to_str().unwrap()));
        assert_eq!(hashes(bench), before);
    }
    // Who needs nothing of it is not disturbed.
    let run = go(bench, &crate::common::until("market.dvol"));
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    let run = go(bench, &Selected::default());
    assert!(run.summary.is_success(), "{:?}", run.summary.failures);
    assert_eq!((run.executed(), hashes(bench)), (Vec::new(), before));
}
