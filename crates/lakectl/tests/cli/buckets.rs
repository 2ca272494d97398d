//! The program with its lake in a bucket: every command, and deaths between a request and its answer.

use std::process::Command;

use lakectl_pipeline::lake::Failpoint;
use lakectl_tests::s3::{Ask, Fault, Rule, S3Server};

use crate::common::{Ended, Place, TINY};

const LAKE: [&str; 2] = ["--lake", "s3://lakes/nightly"];

/// The program with the lake in the server's bucket.
fn command(place: &Place, server: &S3Server, args: &[&str]) -> Command {
    let mut command = place.command(&[&LAKE[..], &TINY[..], args].concat());
    command.envs(server.variables());
    // Not for this machine's own ports.
    command.env("HTTP_PROXY", "http://127.0.0.1:1");
    command
}

fn call(place: &Place, server: &S3Server, args: &[&str]) -> Ended {
    Ended::of(command(place, server, args).output().unwrap())
}

const HASHES: &str = "SELECT \"table\", partition, rows_hash FROM system.cells ORDER BY 1, 2";

fn hashes(place: &Place, server: &S3Server) -> serde_json::Value {
    let asked = call(place, server, &["sql", HASHES, "--format", "json"]);
    asked.code(0).json()
}

/// What a run in a folder publishes.
fn local() -> serde_json::Value {
    let place = Place::empty();
    let run = [&TINY[..], &["run", "--until", "options"]].concat();
    place.call(&run).code(0);
    place.hashes()
}

#[test]
fn every_command() {
    let (place, server) = (Place::empty(), S3Server::start());
    let missing = call(&place, &server, &["status"]).code(1);
    assert!(
        missing
            .stderr
            .contains("there is no lake at s3://lakes/nightly"),
        "{}",
        missing.stderr
    );
    let plan = call(&place, &server, &["plan", "--format", "json"]).code(0);
    assert_eq!(plan.json()["lake"], "s3://lakes/nightly");
    assert!(server.objects().is_empty(), "looking writes nothing");

    let first = call(&place, &server, &["run", "--until", "options"]).code(0);
    assert!(
        first.stdout.contains("s3://lakes/nightly"),
        "{}",
        first.stdout
    );
    let second = call(
        &place,
        &server,
        &["run", "--until", "options", "--format", "json"],
    );
    assert_eq!(second.code(0).json()["tasks"]["ran"], 0);
    assert_eq!(hashes(&place, &server), local());
    for args in [
        &["status"][..],
        &["log"],
        &["doctor"],
        &["show", "options.slices"],
        &["plan", "--until", "options"],
        &[
            "sql",
            "SELECT asset, count(*) AS n FROM options.slices GROUP BY asset",
        ],
    ] {
        let ended = call(&place, &server, args).code(0);
        assert!(!ended.stdout.contains("test-secret"), "{args:?}");
    }
    let doctor = call(&place, &server, &["doctor"]).code(0);
    assert!(
        doctor.stdout.contains("s3://lakes/nightly, version 1"),
        "{}",
        doctor.stdout
    );
    assert!(!place.lake().exists(), "nothing is kept here");
}

#[test]
fn a_store_that_refuses() {
    let (place, server) = (Place::empty(), S3Server::start());
    server.inject(Rule::first(u64::MAX / 2, Ask::Put, "data/", Fault::Denied));
    let ended = call(&place, &server, &["run", "--until", "market"]).code(2);
    let told = ended.stdout + &ended.stderr;
    assert!(
        told.contains("AccessDenied") && told.contains("AWS_ACCESS_KEY_ID"),
        "{told}"
    );
    server.heal();
    call(&place, &server, &["run", "--until", "market"]).code(0);
}

#[test]
fn death_between_a_request_and_what_follows() {
    let expected = local();
    for point in [
        Failpoint::FileWritten,
        Failpoint::NameLinked,
        Failpoint::CellsRecorded,
        Failpoint::Committed,
    ] {
        for nth in [1, 2] {
            let (place, server) = (Place::empty(), S3Server::start());
            let told = format!("{}:{nth}", point.word());
            let mut dying = command(&place, &server, &["run", "--until", "options"]);
            let ended = dying.env("LAKE_FAILPOINT", &told).output().unwrap();
            assert!(ended.status.code().is_none() || nth > 1, "{told}");
            call(&place, &server, &["run", "--until", "options"]).code(0);
            assert_eq!(hashes(&place, &server), expected, "{told}");
            let log = call(&place, &server, &["log", "--format", "json"]).code(0);
            assert_eq!(log.stdout.matches("\"version\"").count(), 1, "{told}");
        }
    }
}
