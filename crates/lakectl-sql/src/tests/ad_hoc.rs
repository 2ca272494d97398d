//! A small lake asked by a person.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::util::pretty::pretty_format_batches;
use lakectl_core::{Day, Fingerprint, Grain, PartitionKey, TableId, TaskKey, UtcTime};
use lakectl_store::{CommitRequest, Lake, Open, Snapshot, TableMeta, WriteSpec, schema_of};

use super::{batch, contract, days, floats, texts};
use crate::{LakeSession, Literal, SessionOptions, SqlError, TableKind};

const QUOTES: &str = "asset utf8, event_time ts, x f64?";
const FIRST_DAY: i32 = 20_000;
const DAYS: i32 = 5;

struct Made {
    _folder: tempfile::TempDir,
    lake: Arc<Lake>,
    snapshot: Snapshot,
}

/// Two assets by day, a month table without a row, two norm tables of one feed, two tables of rejects.
fn made() -> Made {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(&folder.path().join("lake"), "test", Open::OrCreate).unwrap();
    let mut cells = Vec::new();
    let mut tables = BTreeMap::new();
    let mut add =
        |table: &str, keys: &[&str], grain: Grain, parts: Vec<(PartitionKey, RecordBatch)>| {
            let id: TableId = table.parse().unwrap();
            let schema = parts[0].1.schema();
            let meta = TableMeta {
                contract: contract(QUOTES),
                keys: keys.iter().map(|k| (*k).to_owned()).collect(),
                grain,
                time_column: Some("event_time".to_owned()),
                primary_key: vec!["asset".to_owned(), "event_time".to_owned()],
            };
            tables.insert(id.clone(), meta);
            for (partition, rows) in parts {
                let spec = WriteSpec {
                    time_column: Some("event_time".to_owned()),
                    ..WriteSpec::default()
                };
                let written = lake
                    .write_rows(&id, &partition, &[rows], &schema, &spec)
                    .unwrap();
                let task = TaskKey {
                    table: id.clone(),
                    partition,
                };
                let fingerprint = Fingerprint::of(task.to_string().as_bytes());
                cells.push(written.into_cell(task, fingerprint, BTreeMap::new(), "run-1", 0.5));
            }
        };
    let rows = |asset: &str, first: i32, count: usize| {
        let x = (0..count).map(|i| Some(f64::from(first) + i as f64));
        batch(
            QUOTES,
            vec![
                texts((0..count).map(|_| Some(asset))),
                days(first.into(), count as i64),
                floats(x),
            ],
        )
    };
    let day = |asset: &str, day: i32| {
        PartitionKey::new([("asset", asset)])
            .unwrap()
            .with_period(Grain::Day, Day::from_days(day))
    };
    let mut quotes = Vec::new();
    for asset in ["BTC", "ETH"] {
        for d in FIRST_DAY..FIRST_DAY + DAYS {
            quotes.push((
                day(asset, d),
                rows(asset, d, usize::from(d != FIRST_DAY + 3)),
            ));
        }
    }
    add("market.option_quotes", &["asset"], Grain::Day, quotes);
    add(
        "options.empty",
        &["asset"],
        Grain::Day,
        vec![(day("BTC", FIRST_DAY), rows("BTC", FIRST_DAY, 0))],
    );
    for (name, asset) in [
        ("norm.a_dvol", "BTC"),
        ("norm.b_dvol", "ETH"),
        ("quarantine.a", "BTC"),
        ("quarantine.b", "ETH"),
    ] {
        add(
            name,
            &[],
            Grain::None,
            vec![(PartitionKey::default(), rows(asset, FIRST_DAY, 3))],
        );
    }
    lake.record("run-1", &cells).unwrap();
    let base = lake.head().unwrap();
    let request = CommitRequest {
        cells,
        tables,
        reads: BTreeSet::new(),
        ..CommitRequest::new(
            &base,
            "run-1",
            UtcTime::from_micros(1_700_000_000_000_000),
            "test",
        )
    };
    let snapshot = lake.commit(request).unwrap();
    Made {
        _folder: folder,
        lake: Arc::new(lake),
        snapshot,
    }
}

fn session(made: &Made) -> LakeSession {
    let unions = BTreeMap::from([(
        "norm.dvol".parse().unwrap(),
        vec![
            "norm.a_dvol".parse().unwrap(),
            "norm.absent".parse().unwrap(),
            "norm.b_dvol".parse().unwrap(),
        ],
    )]);
    LakeSession::new(Arc::clone(&made.lake), made.snapshot.clone(), unions).unwrap()
}

fn ask(session: &LakeSession, sql: &str) -> Vec<RecordBatch> {
    session
        .collect_blocking(sql)
        .unwrap_or_else(|e| panic!("{sql}: {e}"))
        .1
}

fn count(session: &LakeSession, sql: &str) -> i64 {
    ask(session, sql)[0]
        .column(0)
        .as_primitive::<Int64Type>()
        .value(0)
}

/// Files that the physical plan opens.
fn files(session: &LakeSession, sql: &str) -> usize {
    let plan = pretty_format_batches(&ask(session, &format!("EXPLAIN {sql}")))
        .unwrap()
        .to_string();
    plan.matches(".parquet").count()
}

#[test]
fn cells_are_pruned_by_key_and_by_time() {
    let made = made();
    let session = session(&made);
    let from = "SELECT x FROM market.option_quotes WHERE";
    let cases = [
        ("x > -1e9", 8, 8),
        ("asset = 'BTC'", 4, 4),
        ("asset IN ('ETH', 'SOL')", 4, 4),
        ("'BTC' < asset", 4, 4),
        ("asset = 'SOL'", 0, 0),
        ("event_time = TIMESTAMP '2024-10-05T00:00:00Z'", 2, 2),
        ("event_time >= '2024-10-06' AND asset = 'ETH'", 2, 2),
        ("event_time < TIMESTAMP '2024-10-05'", 2, 2),
        ("event_time BETWEEN '2024-10-05' AND '2024-10-06'", 4, 4),
        ("event_time > '2024-10-06' OR asset = 'BTC'", 5, 5),
        ("CAST(event_time AS date) = DATE '2024-10-05'", 2, 2),
        ("event_time > '2031-01-01'", 0, 0),
    ];
    for (filter, opened, rows) in cases {
        let sql = format!("{from} {filter}");
        assert_eq!(files(&session, &sql), opened, "{filter}");
        assert_eq!(
            count(&session, &format!("SELECT count(*) FROM ({sql})")),
            rows,
            "{filter}"
        );
    }
}

#[test]
fn counting_opens_no_file() {
    let made = made();
    let session = session(&made);
    assert_eq!(
        files(&session, "SELECT count(*) FROM market.option_quotes"),
        0
    );
    assert_eq!(
        count(&session, "SELECT count(*) FROM market.option_quotes"),
        8
    );
}

#[test]
fn tables_without_rows_have_their_columns() {
    let made = made();
    let session = session(&made);
    let (schema, rows) = session
        .collect_blocking("SELECT * FROM options.empty")
        .unwrap();
    assert_eq!(schema.fields(), schema_of(&contract(QUOTES)).fields());
    assert!(rows.is_empty());
    assert_eq!(
        count(
            &session,
            "SELECT count(*) FROM options.empty WHERE asset = 'BTC'"
        ),
        0
    );
}

#[test]
fn unions_and_system_tables_are_there() {
    let made = made();
    let session = session(&made);
    assert_eq!(count(&session, "SELECT count(*) FROM norm.dvol"), 6);
    assert_eq!(
        count(
            &session,
            "SELECT count(*) FROM norm.dvol WHERE asset = 'ETH'"
        ),
        3
    );
    assert_eq!(
        count(
            &session,
            "SELECT count(*) FROM system.quarantine WHERE \"table\" = 'quarantine.b' AND asset = 'ETH'"
        ),
        3
    );
    assert_eq!(
        count(&session, "SELECT count(*) FROM system.cells"),
        made.snapshot
            .cells
            .values()
            .map(|cells| cells.len())
            .sum::<usize>() as i64
    );
    assert_eq!(
        count(
            &session,
            "SELECT rows FROM system.tables WHERE name = 'option_quotes'"
        ),
        8
    );
    assert_eq!(count(&session, "SELECT version FROM system.commits"), 1);
    assert_eq!(
        count(
            &session,
            "SELECT sum(rows) FROM system.cells WHERE table = 'market.option_quotes' AND file IS NOT NULL"
        ),
        8
    );
    let described = ask(&session, "DESCRIBE market.option_quotes");
    assert_eq!(described[0].num_rows(), 3);
    assert!(
        ask(&session, "SHOW TABLES")
            .iter()
            .map(RecordBatch::num_rows)
            .sum::<usize>()
            >= 10
    );
}

#[test]
fn our_functions_are_there_and_run_in_parallel() {
    let made = made();
    let session = session(&made);
    let rows = ask(
        &session,
        "SELECT asset, ols_slope(x, date_part('epoch', event_time) / 86400.0) AS slope, max(implied_vol('call', 100.0, 100.0, 1.0, 8.0)) AS v \
         FROM market.option_quotes GROUP BY asset ORDER BY asset",
    );
    assert_eq!(super::column(&rows, "slope"), vec![Some(1.0), Some(1.0)]);
    let z = ask(
        &session,
        "SELECT zscore(x) OVER (PARTITION BY asset ORDER BY event_time ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS z \
         FROM market.option_quotes ORDER BY asset, event_time",
    );
    assert_eq!(
        super::column(&z, "z")
            .iter()
            .filter(|z| z.is_none())
            .count(),
        2
    );
}

#[test]
fn people_are_told_what_they_meant_and_may_not_write() {
    let made = made();
    let session = session(&made);
    let cases = [
        (
            "SELECT * FROM market.option_quote",
            "did you mean `market.option_quotes`?",
        ),
        (
            "SELECT * FROM option_quotes",
            "did you mean `market.option_quotes`?",
        ),
        (
            "SELECT asst FROM market.option_quotes",
            "did you mean `asset`?",
        ),
        (
            "EXPLAIN SELECT * FROM market.quotes",
            "there is no table `market.quotes`",
        ),
        (
            "SELECT * FROM system.experiments",
            "there is no table `system.experiments`; there are system.cells, system.checks, system.commits",
        ),
        (
            "SELECT sqr(x) FROM market.option_quotes",
            "no function `sqr`; did you mean `sqrt`?",
        ),
        ("SELEC 1", "line 1"),
        (
            "DROP TABLE market.option_quotes",
            "expected one SELECT or WITH query",
        ),
        (
            "INSERT INTO market.option_quotes SELECT * FROM market.option_quotes",
            "expected one SELECT or WITH query",
        ),
        (
            "SET datafusion.execution.batch_size = 1",
            "expected one SELECT or WITH query",
        ),
        (
            "COPY market.option_quotes TO '/tmp/x.csv'",
            "expected one SELECT or WITH query",
        ),
        (
            "CREATE EXTERNAL TABLE a.b STORED AS CSV LOCATION '/etc/passwd'",
            "expected one SELECT or WITH query",
        ),
    ];
    for (sql, expected) in cases {
        let error = session.collect_blocking(sql).unwrap_err();
        assert!(error.to_string().contains(expected), "{sql}: {error}");
        assert!(!matches!(error, SqlError::Lake(_)));
    }
    assert!(session.tables().any(|id| id.as_str() == "system.commits"));
}

#[test]
fn a_version_without_tables_can_be_opened() {
    let made = made();
    let session =
        LakeSession::new(Arc::clone(&made.lake), Snapshot::empty(), BTreeMap::new()).unwrap();
    let (_, rows) = session
        .collect_blocking("SELECT * FROM system.commits")
        .unwrap();
    assert!(rows.is_empty());
    assert!(ask(&session, "SELECT 1 AS x")[0].column(0).is_valid(0));
}

/// The rows of one statement, taken batch by batch.
fn streamed(
    session: &LakeSession,
    sql: &str,
    params: &[(&str, Literal)],
) -> Result<usize, SqlError> {
    let params: BTreeMap<String, Literal> = params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut rows = session.rows(sql, &params).await?;
        let mut count = 0;
        while let Some(batch) = rows.next().await {
            count += batch?.num_rows();
        }
        Ok(count)
    })
}

#[test]
fn parameters_are_values_of_the_query() {
    let made = made();
    let session = session(&made);
    let sql = "SELECT x FROM market.option_quotes WHERE asset = $asset AND event_time >= $1";
    let since = Literal::Day(Day::from_days(FIRST_DAY + 2));
    let eth = Literal::Text("ETH".to_owned());
    assert_eq!(
        streamed(&session, sql, &[("asset", eth.clone()), ("1", since)]).unwrap(),
        2
    );
    let error = streamed(&session, sql, &[("asset", eth)]).unwrap_err();
    assert!(error.to_string().contains("`$1` has no value"), "{error}");
}

#[test]
fn memory_is_bounded_and_what_is_too_much_says_so() {
    let made = made();
    let options = SessionOptions {
        memory_bytes: 1 << 20,
        threads: None,
    };
    let bounded = LakeSession::with_options(
        Arc::clone(&made.lake),
        made.snapshot.clone(),
        BTreeMap::new(),
        Vec::new(),
        options,
    )
    .unwrap();
    assert_eq!(
        streamed(&bounded, "SELECT x FROM market.option_quotes", &[]).unwrap(),
        8
    );
    let sql = "SELECT array_agg(value) FROM generate_series(1, 2000000) AS s(value)";
    match streamed(&bounded, sql, &[]).unwrap_err() {
        SqlError::Memory { limit_bytes, .. } => assert_eq!(limit_bytes, 1 << 20),
        other => panic!("{other}"),
    }
    let larger = session(&made);
    assert_eq!(streamed(&larger, sql, &[]).unwrap(), 1);
}

#[test]
fn damage_is_found_before_a_row_is_seen() {
    let made = made();
    let fine = session(&made);
    let sql = "SELECT max(x) FROM market.option_quotes WHERE asset = 'BTC'";
    assert_eq!(streamed(&fine, sql, &[]).unwrap(), 1);
    let table: TableId = "market.option_quotes".parse().unwrap();
    for (_, cell) in made.snapshot.partitions(&table) {
        let Some(file) = &cell.file else { continue };
        let path = made.lake.path_of(file);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[5] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(matches!(
        streamed(&session(&made), sql, &[]),
        Err(SqlError::Lake(_))
    ));
    // What was read and verified before is still what was written.
    assert_eq!(streamed(&fine, sql, &[]).unwrap(), 1);
    let again = fine.at(made.snapshot.clone()).unwrap();
    assert_eq!(streamed(&again, sql, &[]).unwrap(), 1);
}

#[test]
fn sessions_describe_what_they_have() {
    let made = made();
    let session = session(&made);
    let of = |name: &str| session.describe(&name.parse().unwrap()).unwrap();
    let quotes = of("market.option_quotes");
    assert_eq!(
        (quotes.kind, quotes.rows, quotes.partitions),
        (TableKind::Table, Some(8), 10)
    );
    assert_eq!(
        (quotes.keys.join(","), quotes.primary_key.join(",")),
        ("asset,date".to_owned(), "asset,event_time".to_owned())
    );
    let columns: Vec<_> = quotes
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.kind.as_str(), c.nullable))
        .collect();
    assert_eq!(
        columns,
        [
            ("asset", "text", false),
            ("event_time", "timestamp UTC", false),
            ("x", "double", true)
        ]
    );
    let (first, last) = quotes.times.unwrap();
    assert_eq!(
        (first.day(), last.day()),
        (Day::from_days(FIRST_DAY), Day::from_days(FIRST_DAY + 4))
    );
    let union = of("norm.dvol");
    assert_eq!(
        (union.kind, union.rows, union.members.len()),
        (TableKind::View, Some(6), 2)
    );
    assert_eq!(
        (of("system.cells").kind, of("system.cells").rows),
        (TableKind::System, None)
    );
    assert!(
        session
            .describe(&"market.nothing".parse().unwrap())
            .is_none()
    );

    let functions = session.functions();
    let of = |name: &str| functions.iter().find(|f| f.name == name).unwrap();
    assert!(of("implied_vol").ours && !of("date_bin").ours);
    assert!(of("implied_vol").signature.starts_with("implied_vol("));
    assert!(functions.windows(2).all(|pair| pair[0].name < pair[1].name));
}

/// Without it one poll of the sum would go through all pairs of one batch, which takes hours.
#[test]
fn a_join_without_end_can_be_stopped() {
    let made = made();
    let session = session(&made);
    let sql = "SELECT sum(a.value * b.value) FROM generate_series(1, 100000) a, generate_series(1, 100000000) b";
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let stopped = runtime.block_on(async {
        let mut rows = session.rows(sql, &BTreeMap::new()).await.unwrap();
        let task = tokio::spawn(async move { rows.next().await.is_some() });
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        task.abort();
        task.await
    });
    assert!(stopped.unwrap_err().is_cancelled());
}
