use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lakectl_core::{ErrorKind, UtcTime};

use super::{hours, key, lake, made, publish, request, table};
use crate::{Lake, MergeConflict, Origin, Signed, Snapshot, StoreError, VersionRef};

fn signed(hour: i64, why: &str) -> Signed {
    Signed {
        run: format!("hand-{hour}"),
        who: "ann@desk".to_owned(),
        time: UtcTime::from_micros(hour * 3_600_000_000),
        why: why.to_owned(),
    }
}

fn number(version: u64) -> Option<VersionRef> {
    Some(VersionRef::Number(version))
}

/// Rows of each partition of `a.b`.
fn rows(snapshot: &Snapshot) -> BTreeMap<String, u64> {
    let table = table("a.b");
    let cells = snapshot.partitions(&table);
    cells
        .map(|(key, cell)| (key.to_string(), cell.rows))
        .collect()
}

fn is(found: &Snapshot, expected: &[(&str, u64)]) {
    let expected = expected
        .iter()
        .map(|(key, rows)| ((*key).to_owned(), *rows));
    assert_eq!(rows(found), expected.collect());
}

/// Every file of the lake's data.
fn data(root: &Path) -> usize {
    fs::read_dir(root.join("data/a/b"))
        .unwrap()
        .map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count())
        .sum()
}

#[test]
fn a_branch_shares_everything_and_changes_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let main = lake(dir.path());
    publish(&main, "a.b", "n=1", "r1", &hours(1));
    let second = publish(&main, "a.b", "n=2", "r2", &hours(2));
    publish(&main, "a.b", "n=3", "r3", &hours(3));
    let files = data(dir.path());
    let info = main
        .create_branch("dev", number(2), &signed(9, "to try"))
        .unwrap();
    assert_eq!(data(dir.path()), files, "nothing is copied");
    let origin = Origin {
        branch: "main".to_owned(),
        version: 2,
        id: second.id,
    };
    assert_eq!((info.version, info.origin.as_ref()), (3, Some(&origin)));
    assert_eq!(
        (info.who.as_str(), info.why.as_str()),
        ("ann@desk", "to try")
    );

    let dev = main.on_branch("dev").unwrap();
    assert_eq!((main.branch(), dev.branch()), ("main", "dev"));
    is(&dev.head().unwrap(), &[("n=1", 1), ("n=2", 2)]);
    let changed = publish(&dev, "a.b", "n=2", "d1", &hours(20));
    is(&changed, &[("n=1", 1), ("n=2", 20)]);
    publish(&dev, "a.b", "n=4", "d2", &hours(4));
    is(&main.head().unwrap(), &[("n=1", 1), ("n=2", 2), ("n=3", 3)]);
    // Another process sees the same, and a branch of a branch begins where it says.
    let dev = lake(dir.path()).on_branch("dev").unwrap();
    is(&dev.head().unwrap(), &[("n=1", 1), ("n=2", 20), ("n=4", 4)]);
    dev.create_branch("deeper", number(4), &signed(10, ""))
        .unwrap();
    let deeper = dev.on_branch("deeper").unwrap();
    is(&deeper.head().unwrap(), &[("n=1", 1), ("n=2", 20)]);
    // Older numbers are those of the parent; so are older times.
    let at = |lake: &Lake, text: &str| lake.at(text.parse().unwrap()).map(|s| rows(&s).len());
    assert_eq!(at(&deeper, "1").unwrap(), 1);
    assert_eq!(at(&deeper, "4").unwrap(), 2);
    assert_eq!(at(&deeper, "1970-01-01T01:30:00Z").unwrap(), 1);
    assert_eq!(
        at(&deeper, "1970-01-01T03:30:00Z").unwrap(),
        2,
        "version 3 of main is not part of it"
    );
    assert_eq!(at(&deeper, "0").unwrap(), 0);
    let error = at(&deeper, "9").unwrap_err().to_string();
    assert!(error.contains("versions 1 to 5"), "{error}");

    let log = deeper.log().unwrap();
    let stood: Vec<(u64, &str)> = log.iter().map(|c| (c.version, c.branch.as_str())).collect();
    assert_eq!(
        stood,
        [
            (1, "main"),
            (2, "main"),
            (3, "dev"),
            (4, "dev"),
            (5, "deeper")
        ]
    );
    let names: Vec<String> = main
        .branches()
        .unwrap()
        .into_iter()
        .map(|b| b.name)
        .collect();
    assert_eq!(names, ["main", "deeper", "dev"]);
}

#[test]
fn branches_that_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let main = lake(dir.path());
    publish(&main, "a.b", "n=1", "r1", &hours(1));
    for name in [
        "",
        "9",
        "Dev",
        "a/b",
        "../x",
        "a b",
        &"x".repeat(65),
        "_log",
    ] {
        let made = main.create_branch(name, None, &signed(2, ""));
        assert!(matches!(made, Err(StoreError::BranchName { .. })), "{name}");
        assert!(
            matches!(main.on_branch(name), Err(StoreError::BranchName { .. })),
            "{name}"
        );
    }
    let error = main.on_branch("dev").unwrap_err();
    assert_eq!(error.to_string(), "there is no branch `dev`; there is main");
    assert_eq!(
        error.hint().unwrap(),
        "`lakectl branch create dev` makes one"
    );
    main.create_branch("dev", None, &signed(2, "")).unwrap();
    for name in ["dev", "main"] {
        let made = main.create_branch(name, None, &signed(2, ""));
        assert!(
            matches!(made, Err(StoreError::BranchExists { .. })),
            "{name}"
        );
    }
    let made = main.create_branch("late", number(7), &signed(2, ""));
    assert!(matches!(made, Err(StoreError::NoVersion { .. })));
    let deleted = main.delete_branch("main", &signed(2, ""));
    assert!(matches!(deleted, Err(StoreError::MainBranch)));
    let deleted = main.delete_branch("nothing", &signed(2, ""));
    assert!(matches!(deleted, Err(StoreError::NoBranch { .. })));
}

#[test]
fn a_deleted_branch_can_begin_anew() {
    let dir = tempfile::tempdir().unwrap();
    let main = lake(dir.path());
    let base = publish(&main, "a.b", "n=1", "r1", &hours(1));
    main.create_branch("dev", None, &signed(2, "")).unwrap();
    let dev = main.on_branch("dev").unwrap();
    let old = publish(&dev, "a.b", "n=2", "d1", &hours(2));
    dev.create_branch("child", None, &signed(4, "")).unwrap();
    main.delete_branch("dev", &signed(5, "done")).unwrap();
    for gone in [dev.head().map(drop), main.on_branch("dev").map(drop)] {
        assert!(matches!(gone, Err(StoreError::NoBranch { .. })));
    }
    // A writer that stood still while the branch was deleted.
    let late = made(&dev, "a.b", "n=3", "late", "1", &hours(3));
    let error = dev
        .commit(request(&old, "late", 6, vec![late]))
        .unwrap_err();
    assert!(matches!(error, StoreError::NoBranch { .. }), "{error}");
    let child = main.on_branch("child").unwrap();
    is(&child.head().unwrap(), &[("n=1", 1), ("n=2", 2)]);

    main.create_branch("dev", None, &signed(7, "again"))
        .unwrap();
    let anew = main.on_branch("dev").unwrap();
    is(&anew.head().unwrap(), &[("n=1", 1)]);
    let late = made(&dev, "a.b", "n=2", "late", "1", &hours(9));
    let error = dev
        .commit(request(&old, "late", 8, vec![late]))
        .unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    is(
        &publish(&anew, "a.b", "n=5", "d2", &hours(5)),
        &[("n=1", 1), ("n=5", 5)],
    );
    is(
        &lake(dir.path()).on_branch("dev").unwrap().head().unwrap(),
        &[("n=1", 1), ("n=5", 5)],
    );
    is(&child.head().unwrap(), &[("n=1", 1), ("n=2", 2)]);
    assert_eq!(
        anew.log().unwrap().len(),
        3,
        "what was before the deletion is no part of it"
    );
    assert_eq!(base.version, 1);
}

#[test]
fn a_merge_takes_what_only_one_side_changed() {
    let dir = tempfile::tempdir().unwrap();
    let main = lake(dir.path());
    for n in 1..=4 {
        publish(&main, "a.b", &format!("n={n}"), &format!("r{n}"), &hours(1));
    }
    main.create_branch("dev", None, &signed(5, "")).unwrap();
    let dev = main.on_branch("dev").unwrap();
    publish(&dev, "a.b", "n=2", "d1", &hours(20));
    let head = publish(&dev, "a.b", "n=5", "d2", &hours(5));
    let mut drop = request(&head, "d3", 8, Vec::new());
    drop.dropped.insert(lakectl_core::TaskKey {
        table: table("a.b"),
        partition: key("n=4"),
    });
    drop.records.insert("override/1".to_owned(), Some(1.into()));
    dev.commit(drop).unwrap();
    publish(&main, "a.b", "n=3", "m1", &hours(30));
    // Both did the same work.
    publish(&main, "a.b", "n=5", "d2", &hours(5));

    let merge = main.plan_merge("dev").unwrap();
    assert_eq!(
        (
            merge.cells.len(),
            merge.dropped.len(),
            merge.conflicts.len()
        ),
        (1, 1, 0)
    );
    assert_eq!(
        (merge.base.branch.as_str(), merge.base.version),
        ("main", 4)
    );
    let merged = main.merge(&merge, &signed(10, "good")).unwrap();
    is(&merged, &[("n=1", 1), ("n=2", 20), ("n=3", 30), ("n=5", 5)]);
    assert_eq!(merged.records["override/1"], 1);
    let info = main.log().unwrap().pop().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.message.as_str()),
        ("merge", "good")
    );
    assert_eq!(info.merged.unwrap().branch, "dev");

    // A second merge builds on the first: what main changed of it since is not undone.
    publish(&main, "a.b", "n=2", "m2", &hours(21));
    publish(&dev, "a.b", "n=1", "d4", &hours(11));
    let merge = main.plan_merge("dev").unwrap();
    assert_eq!((merge.base.branch.as_str(), merge.base.version), ("dev", 8));
    let merged = main.merge(&merge, &signed(20, "")).unwrap();
    is(
        &merged,
        &[("n=1", 11), ("n=2", 21), ("n=3", 30), ("n=5", 5)],
    );
    // The other way, and then there is nothing left on either side.
    let merge = dev.plan_merge("main").unwrap();
    assert_eq!(merge.base.branch, "dev", "all of dev is in main");
    let merged = dev.merge(&merge, &signed(21, "")).unwrap();
    assert_eq!(rows(&merged), rows(&main.head().unwrap()));
    let again = main.plan_merge("dev").unwrap();
    assert!(again.cells.is_empty() && again.dropped.is_empty() && again.conflicts.is_empty());
    main.merge(&again, &signed(22, "")).unwrap();
    let version = dev.head().unwrap().version;
    assert_eq!(
        dev.merge(&dev.plan_merge("dev").unwrap(), &signed(23, ""))
            .unwrap()
            .version,
        version
    );
}

#[test]
fn what_both_sides_changed_is_named_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let main = lake(dir.path());
    publish(&main, "a.b", "n=1", "r1", &hours(1));
    main.create_branch("dev", None, &signed(2, "")).unwrap();
    let dev = main.on_branch("dev").unwrap();
    publish(&dev, "a.b", "n=1", "d1", &hours(2));
    publish(&dev, "a.b", "n=2", "d2", &hours(2));
    let head = publish(&main, "a.b", "n=1", "m1", &hours(3));
    let merge = main.plan_merge("dev").unwrap();
    assert!(matches!(
        &merge.conflicts[..],
        [MergeConflict::Partition { .. }]
    ));
    let error = main.merge(&merge, &signed(9, "")).unwrap_err();
    let expected = "`dev` cannot be merged into `main`: both changed a.b n=1";
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().unwrap().starts_with("nothing was written"));
    assert_eq!(main.head().unwrap().id, head.id);

    // A merge that was planned before somebody committed is not carried out.
    main.create_branch("calm", None, &signed(10, "")).unwrap();
    publish(
        &main.on_branch("calm").unwrap(),
        "a.b",
        "n=7",
        "c1",
        &hours(7),
    );
    let merge = main.plan_merge("calm").unwrap();
    publish(&main, "a.b", "n=8", "m2", &hours(8));
    let error = main.merge(&merge, &signed(12, "")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error.to_string().contains("run m2 committed meanwhile"),
        "{error}"
    );
    let merge = main.plan_merge("calm").unwrap();
    is(
        &main.merge(&merge, &signed(12, "")).unwrap(),
        &[("n=1", 3), ("n=7", 7), ("n=8", 8)],
    );
}

#[test]
fn a_rollback_is_a_new_version_and_leaves_what_stays() {
    let dir = tempfile::tempdir().unwrap();
    let main = lake(dir.path());
    publish(&main, "a.b", "n=1", "r1", &hours(1));
    publish(&main, "raw.x", "n=1", "r2", &hours(1));
    publish(&main, "a.b", "n=1", "r3", &hours(10));
    publish(&main, "a.b", "n=2", "r4", &hours(2));
    publish(&main, "a.c", "all", "r5", &hours(2));
    let last = publish(&main, "raw.x", "n=2", "r6", &hours(2));
    let raw = |table: &lakectl_core::TableId| table.schema() == "raw";
    let back = main
        .rollback(VersionRef::Number(2), &raw, &signed(9, "wrong"))
        .unwrap();
    assert_eq!(back.version, 7);
    is(&back, &[("n=1", 1)]);
    assert!(!back.tables.contains_key(&table("a.c")));
    assert_eq!(back.cells[&table("raw.x")], last.cells[&table("raw.x")]);
    let info = main.log().unwrap().pop().unwrap();
    assert_eq!(
        (
            info.reason.as_str(),
            info.message.as_str(),
            info.who.as_str()
        ),
        ("rollback", "wrong", "ann@desk")
    );
    let again = main
        .rollback(VersionRef::Number(2), &raw, &signed(10, "wrong"))
        .unwrap();
    assert_eq!(again.version, 7, "nothing is left to go back to");
    let forth = main
        .rollback(VersionRef::Number(6), &raw, &signed(11, "right after all"))
        .unwrap();
    assert_eq!(forth.cells, last.cells);
    assert_eq!(forth.tables, last.tables);
}

#[test]
fn a_parent_that_was_cut_back_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let main = lake(dir.path());
    publish(&main, "a.b", "n=1", "r1", &hours(1));
    publish(&main, "a.b", "n=2", "r2", &hours(2));
    main.create_branch("dev", None, &signed(5, "")).unwrap();
    fs::remove_file(dir.path().join(format!("_log/main/{:020}.json", 2))).unwrap();
    let error = lake(dir.path())
        .on_branch("dev")
        .unwrap()
        .head()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("main/00000000000000000002.json: it is missing"),
        "{error}"
    );
    publish(&lake(dir.path()), "a.b", "n=2", "r3", &hours(3));
    let error = lake(dir.path())
        .on_branch("dev")
        .unwrap()
        .head()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("begins with is not the one of its parent"),
        "{error}"
    );
}
