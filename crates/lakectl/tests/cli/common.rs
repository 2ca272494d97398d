//! A working folder, and the program started in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// Ten simulated days: a run takes a second or two.
pub(crate) const SHORT: [&str; 16] = [
    "--set",
    "sources.demo.market.start=2026-01-01",
    "--set",
    "sources.demo.market.end=2026-01-10",
    "--set",
    "sources.demo.market.dense_from=2026-01-10",
    "--set",
    "calendar.end=2026-01-11",
    "--set",
    "coverage.options.start=2026-01-01",
    "--set",
    "coverage.daily.start=2026-01-01",
    "--set",
    "coverage.history.start=2026-01-01",
    "--set",
    "coverage.forecast.start=2026-01-08",
];

/// Three simulated days: a run takes a fraction of a second.
pub(crate) const TINY: [&str; 12] = [
    "--set",
    "sources.demo.market.start=2026-01-01",
    "--set",
    "sources.demo.market.end=2026-01-03",
    "--set",
    "calendar.end=2026-01-03",
    "--set",
    "coverage.options.start=2026-01-01",
    "--set",
    "coverage.daily.start=2026-01-01",
    "--set",
    "coverage.history.start=2026-01-01",
];

/// The program's path.
pub(crate) const LAKECTL: &str = env!("CARGO_BIN_EXE_lakectl");

/// What came of one call.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Checks the exit code, and tells all when it is another.
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        let Self {
            code,
            stdout,
            stderr,
        } = &self;
        assert_eq!(
            *code,
            Some(expected),
            "stdout:\n{stdout}\nstderr:\n{stderr}"
        );
        self
    }

    /// Reads the whole of standard output as one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.stdout, self.stderr))
    }
}

/// A folder to work in; it goes when this goes.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A folder with a lake of the short demo up to the forecasts. The first caller computes it.
    pub(crate) fn published() -> Self {
        static FILES: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
        let files = FILES.get_or_init(|| {
            let place = Self::empty();
            place.short(&["run", "--until", "forecast"]).code(0);
            files_below(place.path())
        });
        let place = Self::empty();
        for (path, bytes) in files {
            let path = place.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn lake(&self) -> PathBuf {
        self.path().join("lake/demo")
    }

    /// The program in this folder, without any setting of whoever runs the tests.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(LAKECTL);
        for (name, _) in std::env::vars_os() {
            let known = name.to_string_lossy();
            if known.starts_with("LAKE") || known.starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command.env_remove("NO_COLOR");
        command
            .args(args)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn call(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }

    /// A call with the settings of the short demo.
    pub(crate) fn short(&self, args: &[&str]) -> Ended {
        self.call(&[&SHORT, args].concat())
    }

    /// The rows of a query, whatever the settings.
    #[track_caller]
    pub(crate) fn rows(&self, query: &str) -> Value {
        self.call(&["sql", query, "--format", "json"])
            .code(0)
            .json()
    }

    /// Every published partition with the digest of its rows.
    #[track_caller]
    pub(crate) fn hashes(&self) -> Value {
        self.rows("SELECT \"table\", partition, rows_hash FROM system.cells ORDER BY 1, 2")
    }
}

/// The path below `folder` and the bytes of every file in it.
pub(crate) fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                files.push((path.strip_prefix(folder).unwrap().to_owned(), bytes));
            }
        }
    }
    files.sort();
    files
}

/// The keys of an object in their order.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// Whether the long forms are wanted.
pub(crate) fn full() -> bool {
    std::env::var_os("LAKE_TEST_FULL").is_some_and(|value| value == "1")
}
