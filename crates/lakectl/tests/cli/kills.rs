//! The program dies: between any two steps that make a result durable, and at any time. What was told to be done is
//! there, nothing is half there, and the next run ends where an undisturbed one does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use lakectl_pipeline::lake::Failpoint;
use serde_json::Value;

use crate::common::{Ended, Place, TINY, files_below, full};

/// What the runs of these tests make.
const GOAL: [&str; 3] = ["run", "--until", "options"];

fn run(place: &Place, goal: &[&str]) -> Command {
    place.command(&[&TINY[..], goal, &["--format", "json"]].concat())
}

fn finish(place: &Place, goal: &[&str]) -> Value {
    let output = run(place, goal).output().unwrap();
    Ended::of(output).code(0).json()
}

/// What an undisturbed run leaves.
fn expected() -> &'static Value {
    static HASHES: OnceLock<Value> = OnceLock::new();
    HASHES.get_or_init(|| {
        let place = Place::empty();
        finish(&place, &GOAL);
        place.hashes()
    })
}

/// The published partitions, none if there is no lake yet. A lake that cannot be read fails the test.
#[track_caller]
fn readable(place: &Place) -> Vec<Value> {
    let listed = place.call(&["log", "--format", "json"]);
    if listed.code == Some(1) && listed.stderr.contains("there is no lake") {
        return Vec::new();
    }
    listed.code(0);
    place.hashes().as_array().unwrap().clone()
}

#[test]
fn death_between_any_two_steps() {
    for point in Failpoint::ALL {
        let mut died = 0;
        let times: &[u64] = if full() {
            &[1, 2, 3, 5, 8, 13]
        } else {
            &[1, 3]
        };
        for nth in times {
            let place = Place::empty();
            let told = format!("{}:{nth}", point.word());
            let mut command = run(&place, &GOAL);
            let ended = command.env("LAKE_FAILPOINT", &told).output().unwrap();
            // A point that is not passed so often kills nobody.
            assert!(ended.status.code().is_none() || *nth > 1, "{told}");
            died += u64::from(ended.status.code().is_none());
            let published = readable(&place);
            let after = matches!(point, Failpoint::Committed | Failpoint::Projecting);
            if after && ended.status.code().is_none() {
                assert_eq!(Value::from(published), *expected(), "{told}");
            }
            let again = finish(&place, &GOAL);
            assert_eq!(again["version"], 1, "{told}");
            assert_eq!(place.hashes(), *expected(), "{told}");
            assert_projected(&place, &told);
            if point == Failpoint::CellsRecorded {
                let restored = again["tasks"]["restored"].as_u64().unwrap();
                assert!(restored > 0 || ended.status.success(), "{told}: {again}");
            }
        }
        let what = format!("death of the program at `{}`", point.word());
        tell(
            &what,
            died,
            "readable after it; the rerun equal to an undisturbed run",
        );
    }
}

/// Checks that what other engines read is what they get when all of it is made anew.
#[track_caller]
fn assert_projected(place: &Place, after: &str) {
    let files = || {
        let all = files_below(&place.lake()).into_iter();
        all.filter(|(path, _)| {
            let path = path.to_string_lossy();
            path.contains("_delta_log/") || path.starts_with("_projections/")
        })
        .collect::<Vec<_>>()
    };
    let found = files();
    let hashes = place.hashes();
    let published = hashes.as_array().unwrap().iter();
    let tables: BTreeSet<&str> = published
        .map(|cell| cell["table"].as_str().unwrap())
        .collect();
    assert!(tables.len() > 5, "{after}: {tables:?}");
    for table in tables {
        let log = format!("data/{}/_delta_log/", table.replace('.', "/"));
        let logged = |(path, _): &(PathBuf, _)| path.to_string_lossy().starts_with(&log);
        assert!(found.iter().any(logged), "{after}: no {log}");
    }
    place.call(&["project", "--rebuild"]).code(0);
    let anew = files();
    let names = |files: &[(PathBuf, Vec<u8>)]| {
        let names = files.iter().map(|(path, _)| path.clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&anew), names(&found), "{after}");
    assert!(anew == found, "{after}");
}

/// Numbers that are the same in every run of a test.
fn number(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 27)
}

/// Kills at once, as the kernel does: nothing in the process hears of it.
fn kill_after(mut child: Child, pause: Duration) -> bool {
    thread::sleep(pause);
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    running
}

/// As many as `LAKE_TEST_KILLS` says; `cargo xtask faults` asks for the full count.
fn kills() -> u64 {
    let asked = std::env::var("LAKE_TEST_KILLS").ok();
    let asked = asked.and_then(|count| count.parse().ok());
    asked.unwrap_or(if full() { 40 } else { 10 })
}

#[test]
fn death_at_any_time() {
    let whole = expected();
    let clock = Instant::now();
    finish(&Place::empty(), &GOAL);
    let longest = clock.elapsed().as_micros() as u64;
    let (mut place, mut acknowledged) = (Place::empty(), Vec::new());
    let (mut killed, mut completed) = (0, 0);
    for n in 0..kills() {
        let child = run(&place, &GOAL).spawn().unwrap();
        let pause = Duration::from_micros(number(n) % longest);
        killed += u64::from(kill_after(child, pause));
        let published = readable(&place);
        for cell in &acknowledged {
            assert!(published.contains(cell), "kill {n} lost {cell}");
        }
        match n % 8 {
            // A part is published, and told to be.
            1 => {
                finish(&place, &["run", "--until", "market.option_quotes"]);
                acknowledged = readable(&place);
                assert!(!acknowledged.is_empty());
            }
            7 => {
                finish(&place, &GOAL);
                assert_eq!(place.hashes(), *whole, "after kill {n}");
                (place, acknowledged) = (Place::empty(), Vec::new());
                completed += 1;
            }
            _ => {}
        }
    }
    assert!(killed > 0);
    finish(&place, &GOAL);
    assert_eq!(place.hashes(), *whole);
    assert_projected(&place, "all kills");
    completed += 1;
    let told = format!("{completed} reruns to the end, all with the hashes of an undisturbed run");
    tell("SIGKILL of the program at a random time", killed, &told);
}

/// A line for `cargo xtask faults`, past the capture of test output.
pub(crate) fn tell(what: &str, count: u64, result: &str) {
    if std::env::var_os("LAKE_FAULTS").is_some() {
        let line = format!("FAULTS|{what}|{count}|{result}\n");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    }
}
