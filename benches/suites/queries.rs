//! Ten named queries over a lake (`benches/queries/*.sql`), beside DuckDB on the same files in the same minute.
//!
//! `LAKE_BENCH_LAKE` names the lake; without it, one of the simulated market is made in a temporary folder. DuckDB runs in
//! `LAKE_BENCH_PYTHON` (default `python3`), which needs the packages `duckdb` and `pyarrow`. Both use two threads, answer
//! by turns, and have to give the same rows.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark reports on the terminal"
)]

use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use lakectl_benches::queries::{Named, json_rows, named_queries, same_rows};
use lakectl_core::UtcTime;
use lakectl_pipeline::engine::Cancel;
use lakectl_pipeline::lake::{Lake, LakeAddress, Open, Snapshot};
use lakectl_pipeline::query::{LakeSession, SessionOptions};
use lakectl_pipeline::{Project, RunOptions, Selected, Workbench};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const THREADS: usize = 2;
/// Answers that count, after one that warms up.
const ROUNDS: usize = 15;
/// Whole processes that count.
const PROCESSES: usize = 5;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let (root, profile) = match std::env::var_os("LAKE_BENCH_LAKE") {
        Some(root) => (PathBuf::from(root), None),
        None => (simulated(folder.path()), Some("demo")),
    };
    let profile = profile.map_or_else(|| profile_of(&root), str::to_owned);
    let address = LakeAddress::parse(root.to_str().unwrap()).unwrap();
    let bench = Workbench::open(Project::built_in(), &profile, &[]).unwrap();
    let lake = Arc::new(bench.lake(address, Open::Existing).unwrap());
    let snapshot = lake.head().unwrap();
    let options = SessionOptions {
        threads: NonZeroUsize::new(THREADS),
        ..SessionOptions::default()
    };
    let session = bench
        .session_within(Arc::clone(&lake), None, options)
        .unwrap();
    let queries = named_queries();
    let mut peer = Peer::start(&tables(&lake, &snapshot, &queries));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .unwrap();

    println!(
        "queries: {} files, lake version {}",
        files(&snapshot),
        snapshot.version
    );
    println!(
        "{:<22} {:>9} {:>10} {:>10} {:>7}",
        "query", "rows", "ours ms", "duckdb ms", "ratio"
    );
    let mut ratios = Vec::new();
    for query in &queries {
        if let Some(ratio) = warm(&runtime, &session, query, peer.as_mut()) {
            ratios.push(ratio);
        }
    }
    geometric("warm session", &ratios);
    processes(
        &root,
        &profile,
        &queries,
        &tables(&lake, &snapshot, &queries),
    );
}

/// Both answer by turns in processes that live on. Returns the ratio of the medians.
fn warm(
    runtime: &Runtime,
    session: &LakeSession,
    query: &Named,
    peer: Option<&mut Peer>,
) -> Option<f64> {
    let ours = || {
        let clock = Instant::now();
        let answer = runtime.block_on(session.collect(&query.sql)).unwrap();
        (clock.elapsed().as_secs_f64(), answer)
    };
    let (schema, batches) = ours().1;
    let rows = json_rows(&schema, &batches);
    let Some(peer) = peer else {
        let mut times: Vec<f64> = (0..ROUNDS).map(|_| ours().0).collect();
        println!(
            "{:<22} {:>9} {:>10.2} {:>10} {:>7}",
            query.name,
            rows.len(),
            median(&mut times) * 1e3,
            "-",
            "-"
        );
        return None;
    };
    let theirs = peer.ask(&query.sql, false)["rows"]
        .as_array()
        .unwrap()
        .clone();
    if let Err(problem) = same_rows(&rows, &theirs) {
        panic!("{}: the answers differ: {problem}", query.name);
    }
    let (mut mine, mut other) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        mine.push(ours().0);
        other.push(peer.ask(&query.sql, true)["seconds"].as_f64().unwrap());
    }
    let (mine, other) = (median(&mut mine), median(&mut other));
    println!(
        "{:<22} {:>9} {:>10.2} {:>10.2} {:>7.2}",
        query.name,
        rows.len(),
        mine * 1e3,
        other * 1e3,
        mine / other
    );
    Some(mine / other)
}

/// Each answer in a process of its own, started, asked and ended.
fn processes(root: &Path, profile: &str, queries: &[Named], tables: &Value) {
    let Some(program) = program() else {
        println!(
            "whole process: no `lakectl` beside this benchmark; `cargo build --release` makes it"
        );
        return;
    };
    let mut ratios = Vec::new();
    println!(
        "{:<22} {:>9} {:>10} {:>10} {:>7}",
        "whole process", "", "ours ms", "duckdb ms", "ratio"
    );
    for query in queries {
        let (mut mine, mut other) = (Vec::new(), Vec::new());
        for _ in 0..PROCESSES {
            let clock = Instant::now();
            let output = Command::new(&program)
                .args(["--profile", profile, "--lake"])
                .arg(root)
                .args(["sql", "--threads", "2", "--format", "csv", "-f"])
                .arg(
                    Path::new(env!("CARGO_MANIFEST_DIR"))
                        .join(format!("queries/{}.sql", query.name)),
                )
                .current_dir(std::env::temp_dir())
                .output()
                .unwrap();
            mine.push(clock.elapsed().as_secs_f64());
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let clock = Instant::now();
            if let Some(mut peer) = Peer::start(tables) {
                peer.ask(&query.sql, true);
                drop(peer);
                other.push(clock.elapsed().as_secs_f64());
            }
        }
        let mine = median(&mut mine);
        if other.is_empty() {
            println!("{:<22} {:>9} {:>10.0}", query.name, "", mine * 1e3);
            continue;
        }
        let other = median(&mut other);
        ratios.push(mine / other);
        println!(
            "{:<22} {:>9} {:>10.0} {:>10.0} {:>7.2}",
            query.name,
            "",
            mine * 1e3,
            other * 1e3,
            mine / other
        );
    }
    geometric("whole process", &ratios);
}

fn geometric(what: &str, ratios: &[f64]) {
    if ratios.is_empty() {
        println!("{what}: no peer to compare with");
        return;
    }
    let mean = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64;
    println!(
        "{what}: geometric mean of {} ratios {:.2}\n",
        ratios.len(),
        mean.exp()
    );
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The program, built beside this benchmark.
fn program() -> Option<PathBuf> {
    let here = std::env::current_exe().ok()?;
    let folder = here.parent()?.parent()?;
    Some(folder.join("lakectl")).filter(|program| program.is_file())
}

/// The head's files of every table that a query reads.
fn tables(lake: &Lake, snapshot: &Snapshot, queries: &[Named]) -> Value {
    let mut tables = serde_json::Map::new();
    for id in queries.iter().flat_map(|query| &query.tables) {
        let files: Vec<String> = snapshot
            .partitions(id)
            .filter_map(|(_, cell)| cell.file.as_ref())
            .map(|file| lake.path_of(file).display().to_string())
            .collect();
        tables.insert(id.to_string(), json!(files));
    }
    Value::Object(tables)
}

fn files(snapshot: &Snapshot) -> usize {
    let cells = snapshot.cells.values().flat_map(|cells| cells.values());
    cells.filter(|cell| cell.file.is_some()).count()
}

/// The profile that a lake records.
fn profile_of(root: &Path) -> String {
    let text = std::fs::read_to_string(root.join("lake.json")).unwrap();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    first["profile"].as_str().unwrap().to_owned()
}

/// A lake of the simulated market.
fn simulated(folder: &Path) -> PathBuf {
    let bench = Workbench::open(Project::built_in(), "demo", &[]).unwrap();
    let root = folder.join("lake");
    let lake = Arc::new(bench.lake(&root, Open::OrCreate).unwrap());
    let selected = Selected {
        until: Some("forecast".to_owned()),
        ..Selected::default()
    };
    let options = RunOptions {
        who: String::new(),
        run_id: "bench".to_owned(),
        now: UtcTime::from_micros(1_782_900_000_000_000),
        jobs: THREADS,
        events: &|_| {},
        cancel: Cancel::default(),
    };
    let runtime = Runtime::new().unwrap();
    let (summary, _) = runtime
        .block_on(bench.run(lake, &selected, options))
        .unwrap();
    assert_eq!(summary.tasks.failed + summary.tasks.blocked, 0);
    root
}

/// DuckDB in a Python process that answers line by line.
struct Peer {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    fn start(tables: &Value) -> Option<Self> {
        let python = std::env::var("LAKE_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries/duckdb_peer.py");
        let child = Command::new(&python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.ok()?;
        let mut peer = Self {
            requests: child.stdin.take(),
            answers: BufReader::new(child.stdout.take()?),
            child,
        };
        // A Python without the packages ends at once, and the request meets a closed pipe.
        let setup = json!({ "tables": tables, "threads": THREADS });
        let _ = writeln!(peer.requests.as_mut()?, "{setup}");
        let mut greeting = String::new();
        let read = peer.answers.read_line(&mut greeting);
        if !matches!(read, Ok(bytes) if bytes > 0) {
            println!(
                "no peer: `{python}` cannot import duckdb and pyarrow (pip install duckdb pyarrow)"
            );
            return None;
        }
        Some(peer)
    }

    fn ask(&mut self, sql: &str, timed: bool) -> Value {
        writeln!(
            self.requests.as_mut().unwrap(),
            "{}",
            json!({ "sql": sql, "arrow": timed })
        )
        .unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line)
            .expect("the peer answers in JSON; run queries/duckdb_peer.py by hand to see why not")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.requests = None;
        let _ = self.child.wait();
    }
}
