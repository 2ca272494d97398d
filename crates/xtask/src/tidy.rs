//! Checks of the project: what may depend on what, how long a file may be, what must not be left behind, whether
//! declarations and queries belong together, whether links lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result};
use toml::{Table, Value};

mod links;

/// The longest source file, in lines, tests included.
pub const LINES_MAX: usize = 700;

/// Which crates of the workspace a crate may use, and why. Every other edge is an error: it deserves a thought and a line
/// here. A `*` stands for all.
pub const EDGES: [(&str, &[&str], &str); 16] = [
    ("lakectl-core", &[], "words that all share know nobody"),
    ("lakectl-stats", &[], "plain numbers in, plain numbers out"),
    ("lakectl-onchain", &["lakectl-core"], "pure domain"),
    ("lakectl-options", &["lakectl-core"], "pure domain"),
    (
        "lakectl-market",
        &["lakectl-core"],
        "the simulator knows no parser, so its truth stays independent of what reads it",
    ),
    (
        "lakectl-models",
        &["lakectl-core", "lakectl-stats"],
        "scores and distributions have one home",
    ),
    (
        "lakectl-plot",
        &["lakectl-core"],
        "numbers in, pictures out: it knows no lake and no pricing",
    ),
    ("lakectl-sources", &["lakectl-core"], "parsers know no lake"),
    (
        "lakectl-store",
        &["lakectl-core"],
        "the lake knows no engine and no finance",
    ),
    (
        "lakectl-dag",
        &["lakectl-core"],
        "the engine knows no lake and no finance",
    ),
    (
        "lakectl-sql",
        &[
            "lakectl-core",
            "lakectl-store",
            "lakectl-options",
            "lakectl-onchain",
            "lakectl-stats",
        ],
        "opens versions of the lake, and offers the kernels as functions",
    ),
    (
        "lakectl-pipeline",
        &[
            "lakectl-core",
            "lakectl-dag",
            "lakectl-store",
            "lakectl-sql",
            "lakectl-sources",
            "lakectl-market",
            "lakectl-options",
            "lakectl-onchain",
            "lakectl-stats",
            "lakectl-models",
        ],
        "the one place where engine, lake and domain meet",
    ),
    (
        "lakectl",
        &[
            "lakectl-core",
            "lakectl-pipeline",
            "lakectl-plot",
            "lakectl-tests",
        ],
        "the terminal sees the pipeline, and pictures; its tests need a store to talk to",
    ),
    ("lakectl-tests", &["*"], "tests look at everything"),
    ("lakectl-benches", &["*"], "benchmarks measure everything"),
    (
        "xtask",
        &["lakectl-core", "lakectl-pipeline", "lakectl-sources"],
        "reference pages are made from the checked declarations and the row schemas of parsers",
    ),
];

/// Macros that mark unfinished work. Written in halves, so that this file passes its own check.
const LEFTOVERS: [&str; 3] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
];

/// Runs every check on the project in `root` and returns what is wrong, one sentence each.
///
/// # Errors
/// If a file cannot be read or a manifest is no TOML.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let mut problems = manifests(root)?;
    problems.extend(sources(root)?);
    problems.extend(queries(root)?);
    problems.extend(links::check(root)?);
    Ok(problems)
}

/// Holds the manifests of the workspace against [`EDGES`].
///
/// # Errors
/// If a manifest cannot be read.
pub fn manifests(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for path in manifest_files(root)? {
        let manifest = read_toml(&path)?;
        let package = manifest.get("package").and_then(Value::as_table);
        let name = package
            .and_then(|p| p.get("name"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !is_ours(name) {
            continue;
        }
        let shown = relative(root, &path);
        let Some((_, allowed, why)) = EDGES.iter().find(|(from, _, _)| *from == name) else {
            problems.push(format!(
                "{shown}: `{name}` is not in the list of crates in xtask/src/tidy.rs"
            ));
            continue;
        };
        for used in dependencies(&manifest).iter().filter(|used| is_ours(used)) {
            if !allowed.contains(&used.as_str()) && !allowed.contains(&"*") {
                problems.push(format!("{shown}: `{name}` may not use `{used}` ({why})"));
            }
        }
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(Value::as_bool);
        if lints != Some(true) {
            problems.push(format!(
                "{shown}: `{name}` does not take the lints of the workspace"
            ));
        }
    }
    Ok(problems)
}

fn is_ours(name: &str) -> bool {
    name == "xtask" || name == "lakectl" || name.starts_with("lakectl-")
}

fn manifest_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = ["tests", "benches"]
        .iter()
        .map(|folder| root.join(folder).join("Cargo.toml"))
        .filter(|p| p.is_file())
        .collect();
    let crates = root.join("crates");
    if crates.is_dir() {
        for entry in
            fs::read_dir(&crates).with_context(|| format!("reading {}", crates.display()))?
        {
            let manifest = entry?.path().join("Cargo.toml");
            if manifest.is_file() {
                found.push(manifest);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The packages that a manifest names, of every kind and platform.
fn dependencies(manifest: &Table) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let platforms = manifest.get("target").and_then(Value::as_table);
    let scopes = platforms
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    for scope in scopes.chain([manifest]) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in scope
                .get(kind)
                .and_then(Value::as_table)
                .into_iter()
                .flatten()
            {
                let renamed = value.get("package").and_then(Value::as_str);
                found.insert(renamed.unwrap_or(name).to_owned());
            }
        }
    }
    found
}

/// Looks at the length of source files and for what must not stay in them.
///
/// # Errors
/// If a file cannot be read.
pub fn sources(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for folder in ["crates", "tests", "benches"] {
        for path in files_below(&root.join(folder), "rs")? {
            let text = read(&path)?;
            let shown = relative(root, &path);
            let lines = text.lines().count();
            if lines > LINES_MAX {
                problems.push(format!(
                    "{shown}: {lines} lines, at most {LINES_MAX}; split it by topic"
                ));
            }
            for (number, line) in text.lines().enumerate() {
                if let Some(found) = LEFTOVERS
                    .iter()
                    .find(|macro_name| line.contains(*macro_name))
                {
                    problems.push(format!(
                        "{shown}:{}: `{found}...)` is left over",
                        number + 1
                    ));
                }
            }
        }
    }
    Ok(problems)
}

/// Holds `pipelines/*.toml` and `sql/` against each other: each query belongs to a stage, each SQL stage has its query, each
/// stage says what it is.
///
/// # Errors
/// If a file cannot be read.
pub fn queries(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut declared = BTreeMap::new();
    for path in files_below(&root.join("pipelines"), "toml")? {
        let file = read_toml(&path)?;
        let shown = relative(root, &path);
        for stage in file
            .get("stage")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let word = |key: &str| {
                stage
                    .get(key)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .trim()
            };
            let table = word("table");
            if !word("description").ends_with('.') {
                problems.push(format!(
                    "{shown}: `{table}` needs a description, a sentence with its full stop"
                ));
            }
            if word("kind") == "sql" {
                declared.insert(
                    format!("sql/{}.sql", table.replacen('.', "/", 1)),
                    format!("{shown}: `{table}`"),
                );
            }
            let checks = stage.get("check").and_then(Value::as_array);
            for check in checks.into_iter().flatten() {
                let text = check.get("sql").and_then(Value::as_str).unwrap_or_default();
                if text.ends_with(".sql") {
                    declared.insert(
                        format!("sql/checks/{text}"),
                        format!("{shown}: a check of `{table}`"),
                    );
                }
            }
        }
    }
    let found = files_below(&root.join("sql"), "sql")?;
    let found: BTreeSet<String> = found.iter().map(|path| relative(root, path)).collect();
    for (path, stage) in declared.iter().filter(|(path, _)| !found.contains(*path)) {
        problems.push(format!("{stage} has no `{path}`"));
    }
    for path in found.iter().filter(|path| !declared.contains_key(*path)) {
        problems.push(format!("{path} belongs to no declared stage"));
    }
    Ok(problems)
}

/// The files below a folder with an ending, sorted; none if there is no such folder.
pub(crate) fn files_below(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries.with_context(|| format!("reading {}", folder.display()))?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                found.extend(files_below(&path, ending)?);
            }
        } else if path.extension().is_some_and(|found| found == ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

fn read_toml(path: &Path) -> Result<Table> {
    read(path)?
        .parse()
        .with_context(|| format!("in {}", path.display()))
}

pub(crate) fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}
