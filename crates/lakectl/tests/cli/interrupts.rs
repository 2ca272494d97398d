//! Runs that are stopped: by a person, by a scheduler, by the kernel.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use crate::common::{Ended, Place, SHORT, full};

fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success(),
        "{kill}"
    );
}

/// Starts a run, sends the signal after so many tasks have begun, and waits for its end.
fn stopped_by(place: &Place, name: &str, tasks: usize) -> Ended {
    let args = [
        &SHORT[..],
        &[
            "run", "--until", "forecast", "--jobs", "2", "-v", "--format", "json",
        ],
    ]
    .concat();
    let mut child = place.command(&args).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let begun = lines
        .by_ref()
        .filter(|line| line.ends_with("never run"))
        .take(tasks)
        .count();
    assert_eq!(begun, tasks, "the run ended too early");
    signal(&child, name);
    let rest = thread::spawn(move || lines.collect::<Vec<_>>().join("\n"));
    let mut ended = Ended::of(child.wait_with_output().unwrap());
    ended.stderr = rest.join().unwrap();
    ended
}

#[test]
fn ctrl_c_and_sigterm_keep_what_is_done() {
    let expected = Place::published().hashes();
    for (name, tasks) in [("INT", 60), ("TERM", 100)] {
        let place = Place::empty();
        let stopped = stopped_by(&place, name, tasks).code(130);
        assert!(
            stopped.stderr.contains("finished tasks are kept"),
            "{}",
            stopped.stderr
        );
        let run = stopped.json();
        assert_eq!(run["interrupted"], true);
        assert_eq!(run["version"], 0, "an interrupted run publishes nothing");
        let done = run["tasks"]["ran"].as_u64().unwrap();
        assert!(
            done > 0 && done < run["tasks"]["total"].as_u64().unwrap(),
            "{run}"
        );
        assert_eq!(
            place
                .call(&["log", "--format", "json"])
                .code(0)
                .stdout
                .trim(),
            "[]"
        );

        let next = place
            .short(&["run", "--until", "forecast", "--format", "json"])
            .code(0)
            .json();
        assert_eq!(
            next["tasks"]["restored"], done,
            "what was finished is not computed again"
        );
        assert_eq!(next["version"], 1);
        assert_eq!(place.hashes(), expected, "{name}");
    }
}

#[test]
fn interrupted_runs_say_so_to_people() {
    let place = Place::empty();
    let args = [&SHORT[..], &["run", "--until", "forecast", "-v"]].concat();
    let mut child = place.command(&args).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    lines
        .by_ref()
        .find(|line| line.ends_with("never run"))
        .unwrap();
    signal(&child, "INT");
    let rest = thread::spawn(move || lines.count());
    let ended = Ended::of(child.wait_with_output().unwrap()).code(130);
    rest.join().unwrap();
    assert!(
        ended.stdout.starts_with("interrupted: ") && ended.stdout.contains("goes on"),
        "{}",
        ended.stdout
    );
}

/// The steps of a fixed xorshift, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

#[test]
fn killed_runs_leave_a_whole_lake() {
    let expected = Place::published().hashes();
    let (lakes, kills) = if full() { (20, 12) } else { (2, 4) };
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for lake in 0..lakes {
        let place = Place::empty();
        let mut published = false;
        for _ in 0..kills {
            let args = [&SHORT[..], &["run", "--until", "forecast", "--quiet"]].concat();
            let mut child = place.command(&args).spawn().unwrap();
            thread::sleep(Duration::from_millis(5 + dice.roll(700)));
            child.kill().unwrap();
            child.wait().unwrap();
            published = check_whole(&place, published, &expected);
        }
        place.short(&["run", "--until", "forecast"]).code(0);
        assert_eq!(place.hashes(), expected, "lake {lake}");
        let again = place
            .short(&["run", "--until", "forecast", "--format", "json"])
            .code(0)
            .json();
        assert_eq!(again["tasks"]["ran"], 0);
    }
}

/// Between two kills: readers see no lake, an empty one, or all of the run; and never less than before.
fn check_whole(place: &Place, published: bool, expected: &serde_json::Value) -> bool {
    let log = place.call(&["log", "--format", "json"]);
    if log.code == Some(1) {
        assert!(
            !published && log.stderr.contains("no lake"),
            "{}",
            log.stderr
        );
        return false;
    }
    match log.code(0).json().as_array().unwrap().len() {
        0 => {
            assert!(!published, "a published version was lost");
            false
        }
        versions => {
            assert_eq!(versions, 1, "the second run had nothing to publish");
            assert_eq!(place.hashes(), *expected);
            let rows =
                place.rows("SELECT count(*) AS n FROM forecast.quantiles WHERE q50 IS NOT NULL");
            assert_eq!(rows[0]["n"], 8);
            true
        }
    }
}
