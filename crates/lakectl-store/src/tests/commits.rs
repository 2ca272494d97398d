use std::collections::BTreeSet;
use std::fs;

use lakectl_core::{CoreError, ErrorKind, TaskKey};

use super::{hours, key, lake, made, meta, publish, request, table};
use crate::{CommitRequest, StoreError, VersionRef};

#[test]
fn a_commit_publishes_cells_together() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let empty = lake.head().unwrap();
    assert_eq!((empty.version, empty.cells.len()), (0, 0));
    let cells = vec![
        made(&lake, "a.b", "date=1970-01-02", "r1", "1", &hours(3)),
        made(&lake, "a.b", "date=1970-01-01", "r1", "1", &hours(4)),
        made(&lake, "a.c", "all", "r1", "1", &hours(5)),
    ];
    lake.record("r1", &cells).unwrap();
    assert_eq!(lake.head().unwrap().version, 0, "recorded is not published");
    let head = lake
        .commit(request(&empty, "r1", 1, cells.clone()))
        .unwrap();
    assert_eq!(head.version, 1);
    assert_eq!((head.rows(&table("a.b")), head.rows(&table("a.c"))), (7, 5));
    assert_eq!(head.tables[&table("a.c")], meta());
    assert_eq!(**head.cell(&table("a.c"), &key("all")).unwrap(), cells[2]);
    let again = super::lake(dir.path()).head().unwrap();
    assert_eq!(
        (again.version, again.id, &again.cells),
        (1, head.id, &head.cells)
    );

    let none = lake.commit(request(&head, "r2", 2, cells)).unwrap();
    assert_eq!(
        none.version, 1,
        "what is published already is not published again"
    );
    assert_eq!(
        fs::read_dir(dir.path().join("_log/main")).unwrap().count(),
        1
    );
}

#[test]
fn old_versions_by_number_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let error = lake.at(VersionRef::Number(1)).unwrap_err();
    assert!(
        error.to_string().contains("nothing was committed yet"),
        "{error}"
    );
    for n in 1..=3 {
        publish(&lake, "a.b", "all", &format!("r{n}"), &hours(n));
    }
    let rows = |text: &str| {
        let version = lake.at(text.parse().unwrap())?;
        Ok::<_, StoreError>((version.version, version.rows(&table("a.b"))))
    };
    for (text, expected) in [
        ("0", (0, 0)),
        ("2", (2, 2)),
        ("3", (3, 3)),
        ("1970-01-01T02:00:00Z", (2, 2)),
        ("1970-01-01T02:59:59Z", (2, 2)),
        ("2026-01-01", (3, 3)),
    ] {
        assert_eq!(rows(text).unwrap(), expected, "{text}");
    }
    let known =
        "it has versions 1 to 3, committed from 1970-01-01T01:00:00Z to 1970-01-01T03:00:00Z";
    for text in ["4", "1970-01-01T00:59:59Z"] {
        let error = rows(text).unwrap_err();
        assert!(error.to_string().ends_with(known), "{error}");
    }
    assert!(matches!(
        "x".parse::<VersionRef>(),
        Err(CoreError::Time { .. })
    ));
    let log = lake.log().unwrap();
    assert_eq!(log.len(), 3);
    assert_eq!(
        (log[2].parent, log[2].run.as_str(), log[2].rows),
        (Some(log[1].id), "r3", 3)
    );
    assert_eq!(log[2].changed[&table("a.b")], 1);
}

#[test]
fn partitions_can_be_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    publish(&lake, "a.b", "year=1970", "r1", &hours(3));
    let head = publish(&lake, "a.b", "month=1970-01", "r2", &hours(3));
    let task = TaskKey {
        table: table("a.b"),
        partition: key("year=1970"),
    };
    let mut drop = request(&head, "r3", 3, Vec::new());
    drop.dropped.insert(task.clone());
    let next = lake.commit(drop.clone()).unwrap();
    assert_eq!((next.version, next.rows(&table("a.b"))), (3, 3));
    assert_eq!(lake.commit(drop).unwrap().version, 3, "it is gone already");
    let mut twice = request(
        &next,
        "r4",
        4,
        vec![made(&lake, "a.b", "year=1970", "r4", "1", &[])],
    );
    twice.dropped.insert(task);
    assert!(matches!(lake.commit(twice), Err(StoreError::Twice { .. })));
}

#[test]
fn who_comes_second() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    publish(&lake, "a.b", "all", "r0", &hours(1));
    let base = lake.head().unwrap();
    publish(&lake, "a.b", "date=1970-01-01", "theirs", &hours(2));
    let reads = BTreeSet::from([table("a.b")]);

    let other = made(&lake, "x.y", "all", "ours", "1", &hours(3));
    let rebased = lake
        .commit(request(&base, "ours", 3, vec![other.clone()]))
        .unwrap();
    assert_eq!(rebased.version, 3);
    assert_eq!(rebased.rows(&table("a.b")), 3, "their rows are kept");

    let reader = CommitRequest {
        reads: reads.clone(),
        ..request(
            &base,
            "ours",
            4,
            vec![made(&lake, "x.z", "all", "ours", "1", &hours(3))],
        )
    };
    let error = lake.commit(reader).unwrap_err();
    let expected = "run ours cannot be published: run theirs changed a.b date=1970-01-01 meanwhile";
    assert_eq!(
        (error.to_string().as_str(), error.kind()),
        (expected, ErrorKind::Conflict)
    );

    let same_rows = made(&lake, "a.b", "date=1970-01-01", "ours", "theirs", &hours(2));
    let agreed = lake
        .commit(request(&base, "ours", 5, vec![same_rows]))
        .unwrap();
    assert_eq!(
        agreed.version, 3,
        "both did the same work: nothing is left to publish"
    );

    let different = made(&lake, "a.b", "date=1970-01-01", "ours", "mine", &hours(5));
    let error = lake
        .commit(request(&base, "ours", 6, vec![different]))
        .unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");

    let mut wider = meta();
    wider.keys.push("asset".to_owned());
    let mut redefine = request(&base, "ours", 7, Vec::new());
    redefine.tables.insert(table("x.y"), wider);
    assert!(matches!(
        lake.commit(redefine),
        Err(StoreError::Conflict { .. })
    ));
    assert_eq!(lake.head().unwrap().version, 3);
}

#[test]
fn eighty_commits_by_eight_writers_are_gapless() {
    let dir = tempfile::tempdir().unwrap();
    lake(dir.path());
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let root = dir.path();
            scope.spawn(move || {
                let lake = lake(root);
                let base = lake.head().unwrap();
                for n in 0..10 {
                    let run = format!("r{writer}-{n}");
                    let partition = format!("writer={writer}/n={n}");
                    let cell = made(&lake, "a.b", &partition, &run, "1", &hours(2));
                    lake.record(&run, std::slice::from_ref(&cell)).unwrap();
                    lake.commit(request(&base, &run, n, vec![cell])).unwrap();
                }
            });
        }
    });
    let lake = lake(dir.path());
    let log = lake.log().unwrap();
    let versions: Vec<u64> = log.iter().map(|info| info.version).collect();
    assert_eq!(versions, (1..=80).collect::<Vec<_>>());
    assert_eq!(lake.head().unwrap().cells[&table("a.b")].len(), 80);
    assert_eq!(lake.cells().unwrap().len(), 80);
}

#[test]
fn of_writers_of_one_partition_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let base = lake(dir.path()).head().unwrap();
    let outcomes: Vec<Result<u64, StoreError>> = std::thread::scope(|scope| {
        let start = |writer: i64| {
            let (root, base) = (dir.path(), &base);
            scope.spawn(move || {
                let (lake, run) = (lake(root), format!("r{writer}"));
                let cell = made(&lake, "a.b", "all", &run, &run, &hours(writer + 1));
                lake.commit(request(base, &run, 1, vec![cell]))
                    .map(|s| s.version)
            })
        };
        let writers: Vec<_> = (0..8).map(start).collect();
        writers.into_iter().map(|w| w.join().unwrap()).collect()
    });
    let winners = outcomes.iter().filter(|o| matches!(o, Ok(1))).count();
    let losers = outcomes
        .iter()
        .filter(|o| matches!(o, Err(StoreError::Conflict { .. })))
        .count();
    assert_eq!((winners, losers), (1, 7));
    let winner = &lake(dir.path()).log().unwrap()[0].run;
    for error in outcomes.iter().filter_map(|o| o.as_ref().err()) {
        assert!(
            error.to_string().contains(&format!("run {winner} changed")),
            "{error}"
        );
    }
}

#[test]
fn notes_are_versioned_with_the_lake() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let base = publish(&lake, "a.b", "all", "r1", &hours(1));
    let set = |base, run: &str, hour, name: &str, value| {
        let mut request = request(base, run, hour, Vec::new());
        request.who = "ann@desk".to_owned();
        request.records.insert(name.to_owned(), value);
        lake.commit(request)
    };
    let one = Some(serde_json::json!({"why": "one"}));
    let two = Some(serde_json::json!({"why": "two"}));
    let next = set(&base, "r2", 2, "override/1", one.clone()).unwrap();
    assert_eq!(
        (next.version, next.records.get("override/1")),
        (2, one.as_ref())
    );
    assert_eq!(
        super::lake(dir.path()).head().unwrap().records,
        next.records
    );
    let same = set(&base, "r3", 3, "override/1", one).unwrap();
    assert_eq!(same.version, 2, "it is noted already");
    let error = set(&base, "r4", 4, "override/1", two.clone()).unwrap_err();
    let expected = "run r4 cannot be published: run r2 changed `override/1` meanwhile";
    assert_eq!(error.to_string(), expected);
    assert_eq!(set(&base, "r5", 5, "override/2", two).unwrap().version, 3);
    let gone = set(&next, "r6", 6, "override/1", None).unwrap();
    assert_eq!(gone.records.keys().collect::<Vec<_>>(), ["override/2"]);
    assert_eq!(lake.at(VersionRef::Number(2)).unwrap().records.len(), 1);
    let log = lake.log().unwrap();
    assert_eq!((log[1].who.as_str(), log[1].records.len()), ("ann@desk", 1));
    assert_eq!(log[3].records["override/1"], None);
}
