//! Settings: `configs/base.toml`, under the profile's file, under `--set`; merged and checked before anything runs.

use std::collections::BTreeMap;

use lakectl_core::Day;
use lakectl_dag::nearest;
use serde::Deserialize;
use toml::{Table, Value};

use crate::{PipelineError, Project};

/// The checked settings of one invocation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The profile's name; it is not read from a file.
    #[serde(skip)]
    pub profile: String,
    /// How to execute.
    #[serde(default)]
    pub run: RunSettings,
    /// Bounds of ad-hoc queries.
    #[serde(default)]
    pub sql: SqlSettings,
    /// Up to which day.
    #[serde(default)]
    pub calendar: CalendarSettings,
    /// What collection keeps.
    #[serde(default)]
    pub retention: RetentionSettings,
    /// What is kept for other engines.
    #[serde(default)]
    pub projections: ProjectionSettings,
    /// Parameters of stages.
    #[serde(default)]
    pub params: BTreeMap<String, Value>,
    /// What tables cover, by name.
    #[serde(default)]
    pub coverage: BTreeMap<String, CoverageSettings>,
    /// Where documents come from.
    #[serde(default)]
    pub sources: BTreeMap<String, SourceSettings>,
    /// Every setting that `--set` takes, by its path, as it is now; datasets are left out.
    #[serde(skip)]
    pub effective: BTreeMap<String, Value>,
}

/// How to execute.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSettings {
    /// Tasks at the same time; 0 takes two more than there are processors.
    #[serde(default)]
    pub jobs: usize,
}

/// What is kept for other engines.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectionSettings {
    /// A Delta log beside each table's files, brought up to date after every commit.
    pub delta: bool,
}

impl Default for ProjectionSettings {
    fn default() -> Self {
        Self { delta: true }
    }
}

/// Bounds of ad-hoc queries.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlSettings {
    /// Memory that queries may use, as a size (`2GiB`) or a share of the machine's (`50%`); without it, half.
    pub memory: Option<String>,
}

/// The calendar's end.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarSettings {
    /// The last day to plan for; without it, the last complete UTC day.
    pub end: Option<Day>,
}

/// What collection keeps.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// At least so many of the newest versions of each branch.
    pub versions: u64,
    /// All versions of the last days.
    pub days: u32,
    /// Results of the last days that no version holds.
    pub cache_days: u32,
}

impl Default for RetentionSettings {
    /// Ten versions, and thirty days.
    fn default() -> Self {
        Self {
            versions: 10,
            days: 30,
            cache_days: 30,
        }
    }
}

/// The partition values and the first day of a set of tables.
#[derive(Clone, Debug, Deserialize)]
pub struct CoverageSettings {
    /// The first day.
    pub start: Day,
    /// Values of every partition column but time (`asset = ["BTC", "ETH"]`).
    #[serde(flatten)]
    pub values: BTreeMap<String, Vec<String>>,
}

/// One source.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// Folder of recorded files, for sources that read files.
    pub root: Option<String>,
    /// Whether a declared publication lag may stand in where a document was recorded long after its rows' times.
    #[serde(default)]
    pub assumed_availability: bool,
    /// The simulated market's settings, for the source `demo`.
    pub market: Option<lakectl_market::MarketConfig>,
    /// The datasets, by name.
    #[serde(default)]
    pub datasets: BTreeMap<String, Value>,
}

impl Settings {
    /// Reads and checks the settings of `profile` with the overrides `key=value`.
    ///
    /// # Errors
    /// [`PipelineError::Config`] or [`PipelineError::Usage`] for an unknown profile, key or malformed value, naming the
    /// file or flag.
    pub fn load(
        project: &Project,
        profile: &str,
        overrides: &[String],
    ) -> Result<Self, PipelineError> {
        let mut merged = read(project, "configs/base.toml")?;
        merge(&mut merged, read_profile(project, profile)?);
        for text in overrides {
            set(&mut merged, text)?;
        }
        let mut effective = BTreeMap::new();
        flatten("", &merged, &mut effective);
        effective.retain(|path, _| !path.contains(".datasets."));
        let mut settings: Self =
            Value::Table(merged)
                .try_into()
                .map_err(|error: toml::de::Error| {
                    PipelineError::config(
                        format!("configs/{profile}.toml over configs/base.toml"),
                        error.message().to_owned(),
                    )
                })?;
        settings.profile = profile.to_owned();
        settings.effective = effective;
        Ok(settings)
    }
}

fn read(project: &Project, path: &str) -> Result<Table, PipelineError> {
    let text = project
        .text(path)
        .ok_or_else(|| PipelineError::config(path, "there is no such file in the project"))?;
    text.parse::<Table>()
        .map_err(|error| PipelineError::config(path, error.to_string().trim().to_owned()))
}

fn read_profile(project: &Project, profile: &str) -> Result<Table, PipelineError> {
    let path = format!("configs/{profile}.toml");
    if project.text(&path).is_some() && profile != "base" {
        return read(project, &path);
    }
    let known: Vec<&str> = project
        .files("configs")
        .filter_map(|(path, _)| path.strip_prefix("configs/")?.strip_suffix(".toml"))
        .filter(|name| *name != "base")
        .collect();
    if profile == "live" {
        return Err(PipelineError::usage(
            "the profile `live` is not there yet: this version reads no venue over the network",
            "`--profile demo` simulates a market, `--profile archive` reads recorded files",
        ));
    }
    let listed = format!("profiles are files in `configs/`: {}", known.join(", "));
    Err(PipelineError::usage(
        format!("there is no profile `{profile}`"),
        match nearest(profile, known).first() {
            Some(close) => format!("did you mean `{close}`? {listed}"),
            None => listed,
        },
    ))
}

/// Lists the values of a table and the tables in it by their paths.
fn flatten(prefix: &str, table: &Table, into: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        let path = match prefix {
            "" => key.clone(),
            _ => format!("{prefix}.{key}"),
        };
        match value {
            Value::Table(inner) => flatten(&path, inner, into),
            value => {
                into.insert(path, value.clone());
            }
        }
    }
}

/// Lays `over` on `under`: tables merge, everything else replaces.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// Keys that may be set although no file gives them a value.
const OPTIONAL_KEYS: [&str; 4] = [
    "calendar.end",
    "sources.archive.root",
    "run.jobs",
    "projections.delta",
];

fn set(table: &mut Table, text: &str) -> Result<(), PipelineError> {
    let Some((path, raw)) = text.split_once('=') else {
        return Err(PipelineError::usage(
            format!("`--set {text}` is not understood"),
            "write `--set key=value`, for example `--set sources.archive.root=../data`",
        ));
    };
    let path = path.trim();
    let value = parse_value(raw.trim());
    let mut known = BTreeMap::new();
    flatten("", table, &mut known);
    let unknown = || unknown_key(path, &known);
    let mut here = table;
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().unwrap_or_default();
    for key in keys {
        let entry = here.entry(key.to_owned());
        let next = if OPTIONAL_KEYS.contains(&path) {
            entry.or_insert_with(|| Value::Table(Table::new()))
        } else {
            match entry {
                toml::map::Entry::Occupied(found) => found.into_mut(),
                toml::map::Entry::Vacant(_) => return Err(unknown()),
            }
        };
        here = next.as_table_mut().ok_or_else(unknown)?;
    }
    if !here.contains_key(last) && !OPTIONAL_KEYS.contains(&path) {
        return Err(unknown());
    }
    let value = match here.get(last) {
        Some(old) => same_type(path, old, value, raw.trim())?,
        None => value,
    };
    here.insert(last.to_owned(), value);
    Ok(())
}

/// Holds a new value against the type of the one it replaces. What looks like a number may be meant as text.
fn same_type(path: &str, old: &Value, new: Value, raw: &str) -> Result<Value, PipelineError> {
    match (old, new) {
        (Value::String(_), Value::String(text)) => Ok(Value::String(text)),
        (Value::String(_), _) => Ok(Value::String(raw.to_owned())),
        (Value::Float(_), Value::Integer(number)) => Ok(Value::Float(number as f64)),
        (old, new) if old.same_type(&new) => Ok(new),
        (old, _) => Err(PipelineError::usage(
            format!(
                "`--set {path}={raw}`: expected {} `{}`",
                match old.type_str() {
                    "integer" => "a whole number such as",
                    "float" => "a number such as",
                    "boolean" => "true or false, now",
                    "array" => "a list such as",
                    _ => "a table, not",
                },
                match old {
                    Value::Table(_) => raw.to_owned(),
                    old => old.to_string(),
                }
            ),
            "`lakectl doctor` lists the settings of the profile",
        )),
    }
}

fn unknown_key(path: &str, known: &BTreeMap<String, Value>) -> PipelineError {
    // A setting without its table (`stale_days` for `params.stale_days`) is near enough.
    let ends = |known: &&String| known.rsplit('.').next() == Some(path);
    let mut close: Vec<&str> = known.keys().filter(ends).map(String::as_str).collect();
    if close.is_empty() {
        close = nearest(path, known.keys().map(String::as_str));
    }
    PipelineError::usage(
        format!("`--set {path}=...`: there is no setting `{path}`"),
        match close.is_empty() {
            true => "`lakectl doctor` lists the settings of the profile".to_owned(),
            false => format!("did you mean `{}`?", close.join("`, `")),
        },
    )
}

/// Reads a TOML value; text that is none is taken as a string, so that paths and dates need no quotes.
fn parse_value(raw: &str) -> Value {
    match format!("v = {raw}")
        .parse::<Table>()
        .ok()
        .and_then(|mut t| t.remove("v"))
    {
        Some(Value::Datetime(_)) | None => Value::String(raw.to_owned()),
        Some(value) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> Project {
        let mut project = Project::built_in();
        project.set_text(
            "configs/base.toml",
            "[params]\nz_window = 90\n[run]\njobs = 1\n",
        );
        project.set_text("configs/demo.toml", "[run]\njobs = 3\n");
        project
    }

    #[test]
    fn profile_lies_over_base_and_flags_over_both() {
        let settings =
            Settings::load(&project(), "demo", &["params.z_window=60".to_owned()]).unwrap();
        assert_eq!(settings.effective["params.z_window"].as_integer(), Some(60));
        assert_eq!(settings.run.jobs, 3);
        assert_eq!(settings.params["z_window"].as_integer(), Some(60));
        let dated =
            Settings::load(&project(), "demo", &["calendar.end=2026-03-20".to_owned()]).unwrap();
        assert_eq!(dated.calendar.end.unwrap().to_string(), "2026-03-20");
    }

    #[test]
    fn unknown_things_are_named() {
        for (profile, sets, word) in [
            ("nope", vec![], "nope"),
            ("demo", vec!["params.z_windw=60"], "z_windw"),
            ("demo", vec!["no equals sign"], "not understood"),
            ("demo", vec!["calendar.end=soon"], "soon"),
            ("base", vec![], "base"),
        ] {
            let sets: Vec<String> = sets.into_iter().map(str::to_owned).collect();
            let error = Settings::load(&project(), profile, &sets).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
