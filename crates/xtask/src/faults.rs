//! The full set of fault tests, and the table of what was tried that `docs/reliability.md` shows.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Seeds of each simulation.
    pub seeds: u64,
    /// Kills of the program at random times.
    pub kills: u64,
    /// Random edit sequences held against a rebuild of everything.
    pub sequences: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            seeds: 1_000,
            kills: 2_500,
            sequences: 10_000,
        }
    }
}

/// The suites: arguments of `cargo test --release --workspace --locked`, then those of the test program.
const SUITES: [(&[&str], &[&str]); 4] = [
    (
        &["--lib"],
        &["tests::simulate", "tests::racing", "random_edits_agree"],
    ),
    (&["--test", "stores"], &[]),
    (
        &["--test", "cli"],
        &["kills", "buckets", "keeping::a_collection"],
    ),
    (&["--test", "engine"], &["kill::"]),
];

/// A test tells what it tried in a line `FAULTS|what|how often|what came of it` on standard error.
const MARK: &str = "FAULTS|";

/// Reads `--seeds N`, `--kills N` and `--sequences N`.
///
/// # Errors
/// For any other word, and for a number that is none.
pub fn counts(mut words: impl Iterator<Item = String>) -> Result<Counts> {
    let mut counts = Counts::default();
    while let Some(word) = words.next() {
        let number = words
            .next()
            .with_context(|| format!("{word} needs a number"))?;
        let number = number.parse().with_context(|| format!("{word} {number}"))?;
        match word.as_str() {
            "--seeds" => counts.seeds = number,
            "--kills" => counts.kills = number,
            "--sequences" => counts.sequences = number,
            _ => bail!("{word} is none of --seeds, --kills and --sequences"),
        }
    }
    Ok(counts)
}

/// Runs every suite and returns the rows of the table; an error if a test failed.
///
/// # Errors
/// If cargo cannot be started, or a suite fails.
#[allow(
    clippy::print_stderr,
    reason = "what the tests say while they run is for whoever waits for them"
)]
pub fn run(root: &Path, counts: Counts) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    for (targets, filters) in SUITES {
        let mut command = Command::new("cargo");
        command
            .args(["test", "--release", "--workspace", "--locked"])
            .args(targets)
            .arg("--")
            .args(filters)
            .current_dir(root)
            .env("LAKE_TEST_FULL", "1")
            .env("LAKE_FAULTS", counts.seeds.to_string())
            .env("LAKE_TEST_KILLS", counts.kills.to_string())
            .env("LAKE_TEST_SEQUENCES", counts.sequences.to_string())
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("starting cargo")?;
        let told = child.stderr.take().context("cargo has no standard error")?;
        for line in BufReader::new(told).lines() {
            let line = line.context("reading what the tests say")?;
            match line.find(MARK) {
                Some(at) => rows.push(row(&line[at + MARK.len()..])),
                None => eprintln!("{line}"),
            }
        }
        let status = child.wait().context("waiting for cargo")?;
        if !status.success() {
            bail!("a fault was not survived: cargo test {}", targets.join(" "));
        }
    }
    rows.sort();
    Ok(rows)
}

/// The Markdown table of rows.
pub fn table(rows: &[String]) -> String {
    let head = "| fault | tried | what came of it |\n|---|---|---|\n";
    head.to_owned() + &rows.concat()
}

fn row(told: &str) -> String {
    let cells: Vec<&str> = told.trim().splitn(3, '|').collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> impl Iterator<Item = String> {
        text.split_whitespace().map(str::to_owned)
    }

    #[test]
    fn counts_are_read() {
        let some = counts(words("--kills 7 --seeds 9")).unwrap();
        assert_eq!((some.seeds, some.kills, some.sequences), (9, 7, 10_000));
        assert_eq!(counts(words("--sequences 5")).unwrap().sequences, 5);
        for wrong in ["--kills", "--kills many", "--tries 3"] {
            assert!(counts(words(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_told_becomes_a_table() {
        let rows = [row("power loss|60|rerun equal")];
        let table = table(&rows);
        assert!(
            table.ends_with("| power loss | 60 | rerun equal |\n"),
            "{table}"
        );
    }
}
