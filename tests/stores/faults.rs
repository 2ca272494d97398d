//! Every way in which a store can misbehave, on every kind of request.

use bytes::Bytes;
use lakectl_core::ErrorKind;
use lakectl_store::StoreError;
use lakectl_tests::s3::{Ask, Fault, Rule, S3Server};

use crate::common::{check, open, publish, table, tell, work};

const VERSIONS: u64 = 3;

/// Runs the workload while `rule` holds, and checks that it was not noticed.
#[track_caller]
fn unnoticed(rule: Rule) {
    let server = S3Server::start();
    let address = server.lake("lake");
    server.inject(rule.clone());
    let told = format!("{rule:?}");
    let done = work(&address, VERSIONS);
    done.unwrap_or_else(|error| panic!("{told}: {error}"));
    let checked = check(&address, VERSIONS);
    checked.unwrap_or_else(|error| panic!("{told}: {error}"));
    assert_eq!(server.failed(), rule.times, "{told} was never met");
    let what = format!("S3: {:?} of `{}`: {:?}", rule.ask, rule.name, rule.fault);
    tell(
        &what,
        rule.times as usize,
        "not noticed; the same versions and rows",
    );
}

#[test]
fn names_that_must_be_new() {
    for name in ["lake.json", "_cells/", "_log/"] {
        for fault in [
            Fault::Internal,
            Fault::SlowDown,
            Fault::Conflict,
            Fault::Precondition,
            Fault::DoneButInternal,
            Fault::DoneButCut,
        ] {
            unnoticed(Rule::first(1, Ask::Create, name, fault));
        }
    }
    unnoticed(Rule::first(3, Ask::Create, "_log/", Fault::SlowDown));
    unnoticed(Rule::first(2, Ask::Create, "_log/", Fault::Conflict));
    unnoticed(Rule {
        after: 1,
        ..Rule::first(1, Ask::Create, "_log/", Fault::DoneButCut)
    });
    unnoticed(Rule::first(
        1,
        Ask::Create,
        "_runs/",
        Fault::DoneButInternal,
    ));
}

#[test]
fn answers_that_never_come() {
    for (ask, name, fault) in [
        (Ask::Create, "_log/", Fault::DoneButSilent),
        (Ask::Create, "_log/", Fault::Silent),
        (Ask::Create, "_cells/", Fault::DoneButSilent),
        (Ask::Put, "data/", Fault::Silent),
        (Ask::Get, "data/", Fault::Silent),
        (Ask::List, "", Fault::Silent),
    ] {
        unnoticed(Rule::first(1, ask, name, fault));
    }
}

#[test]
fn data_files() {
    for fault in [
        Fault::Internal,
        Fault::SlowDown,
        Fault::DoneButInternal,
        Fault::DoneButCut,
    ] {
        unnoticed(Rule::first(2, Ask::Put, "data/", fault));
    }
}

#[test]
fn reading() {
    for name in ["data/", "_log/", "_cells/", "lake.json"] {
        for fault in [
            Fault::Internal,
            Fault::SlowDown,
            Fault::CutBody,
            Fault::ShortBody,
            Fault::FlippedBody,
        ] {
            // lake.json has no digest: a flipped bit in a blank or a name is another lake.
            if name != "lake.json" || fault != Fault::FlippedBody {
                unnoticed(Rule::first(1, Ask::Get, name, fault));
            }
        }
    }
    for ask in [Ask::List, Ask::Head] {
        for fault in [Fault::Internal, Fault::SlowDown] {
            unnoticed(Rule::first(2, ask, "", fault));
        }
    }
}

#[test]
fn damage_that_stays_is_loud() {
    let server = S3Server::start();
    let address = server.lake("lake");
    work(&address, VERSIONS).unwrap();
    let good = server.objects();
    let mut damaged = 0;
    for (name, bytes) in &good {
        let short = name.trim_start_matches("lake/");
        // Notes are for people and have no digest; nothing is computed from them.
        if short.starts_with("_runs/") {
            continue;
        }
        let mut flipped = bytes.to_vec();
        flipped[bytes.len() / 2] ^= 4;
        let mut cases = vec![Some(bytes.slice(..bytes.len() / 2)), Some(Bytes::new())];
        if short != "lake.json" {
            cases.push(Some(flipped.into()));
        }
        // Without the last version the lake is the one before it.
        if short.starts_with("data/") || short.ends_with("1.json") && short.starts_with("_log/") {
            cases.push(None);
        }
        for case in cases {
            server.replace(name, case);
            let error = check(&address, VERSIONS).expect_err(name);
            let text = error.to_string();
            let file = name.rsplit('/').next().unwrap();
            assert!(
                text.contains("s3://lakes/lake/") && text.contains(file),
                "{text}"
            );
            assert!(error.hint().is_some(), "{text}");
            damaged += 1;
        }
        server.replace(name, Some(bytes.clone()));
    }
    assert!(damaged > 20, "{damaged}");
    check(&address, VERSIONS).unwrap();
    tell(
        "S3: an object cut off, emptied, changed or removed",
        damaged,
        "loud error each time",
    );
}

#[test]
fn a_store_that_takes_nothing() {
    let server = S3Server::start();
    let address = server.lake("lake");
    work(&address, 1).unwrap();
    for (ask, name) in [
        (Ask::Put, "data/"),
        (Ask::Create, "_cells/"),
        (Ask::Create, "_log/"),
    ] {
        server.inject(Rule::first(u64::MAX / 2, ask, name, Fault::Denied));
        let lake = open(&address).unwrap();
        let head = lake.head().unwrap();
        let error = publish(&lake, &head, "n=2", "run-2", 3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Environment, "{error}");
        let text = error.to_string();
        assert!(
            text.contains("AccessDenied") && text.contains(name),
            "{text}"
        );
        assert!(error.hint().unwrap().contains("AWS_ACCESS_KEY_ID"));
        assert_eq!(open(&address).unwrap().head().unwrap().version, 1);
        server.heal();
        // What could not be sent before is sent now: the same handle goes on.
        if ask == Ask::Put {
            lake.record("run-2", &[]).unwrap();
        }
    }
    let lake = open(&address).unwrap();
    let head = lake.head().unwrap();
    publish(&lake, &head, "n=2", "run-2", 3).unwrap();
    assert_eq!(lake.head().unwrap().partitions(&table()).count(), 2);
}

#[test]
fn nothing_is_recorded_whose_file_did_not_arrive() {
    let server = S3Server::start();
    let address = server.lake("lake");
    let lake = open(&address).unwrap();
    server.inject(Rule::first(u64::MAX / 2, Ask::Put, "data/", Fault::Denied));
    let cell = crate::common::write(&lake, "n=1", "run-1", 2).unwrap();
    let rows = lake.read(&cell, None).unwrap();
    assert_eq!(
        rows[0].num_rows(),
        2,
        "its writer can read it before it has arrived"
    );
    for _ in 0..2 {
        let error = lake
            .record("run-1", std::slice::from_ref(&cell))
            .unwrap_err();
        assert!(matches!(error, StoreError::Remote { .. }), "{error}");
    }
    assert!(open(&address).unwrap().cells().unwrap().is_empty());
    server.heal();
    lake.record("run-1", std::slice::from_ref(&cell)).unwrap();
    let other = open(&address).unwrap();
    assert_eq!(other.cells().unwrap().len(), 1);
    assert_eq!(other.read(&cell, None).unwrap()[0].num_rows(), 2);
}
