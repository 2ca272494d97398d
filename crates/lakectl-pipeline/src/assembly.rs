//! From declarations, queries and settings to one checked graph with the definition of every stage.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use lakectl_core::{Contract, DayRange, PartitionKey, Parts, TableId};
use lakectl_dag::{
    Coverage, Origin, Pipeline, StageDecl, StageInput, StageKind, Window, check_writers, nearest,
    outline, parse_stages_with,
};
use lakectl_sources::{Dataset, Feed, PARSER_VERSION, rejects_contract, row_contract};
use lakectl_sql::{Literal, Query, SqlEngine, functions};
use toml::Value;

use crate::checks::{self, CheckQueries};
use crate::harvest::RAW_CONTRACT;
use crate::outside::Reach;
use crate::queries::{Planned, idle_queries, read_queries};
use crate::stages::NATIVE_STAGES;
use crate::{PipelineError, Project, Settings};

/// Ends the names of parameters that count days back from a partition.
const DAYS_SUFFIX: &str = "_days";

/// Words that every query may use besides its partition keys and `[params]`.
pub(crate) const PERIOD_PARAMS: [&str; 2] = ["start", "end"];

/// A dataset with the tables generated for it.
pub struct BoundDataset {
    /// The declaration.
    pub dataset: Dataset,
    /// The source that gives its documents.
    pub source: String,
    /// Verbatim documents.
    pub raw: TableId,
    /// Typed rows.
    pub norm: TableId,
    /// Rejected rows.
    pub quarantine: TableId,
    /// Whether a declared lag may stand in for a backfill time.
    pub assumed_availability: bool,
}

/// Everything that is known before the lake is looked at.
pub struct Assembly {
    /// The graph.
    pub pipeline: Pipeline,
    /// Row-affecting parts of every stage.
    pub definitions: BTreeMap<TableId, Parts>,
    /// Queries of the SQL stages.
    pub queries: BTreeMap<TableId, Query>,
    /// Queries of checks.
    pub(crate) checks: CheckQueries,
    /// Datasets by raw table.
    pub datasets: BTreeMap<TableId, BoundDataset>,
    /// Coverages by name.
    pub coverages: BTreeMap<String, Coverage>,
    /// Files of `sql/` that nobody asks, each with the name that was perhaps meant.
    pub idle_queries: Vec<(String, Option<String>)>,
    /// Runs and plans queries. Made by the first one: a command that computes none does without.
    pub(crate) engine: LazyLock<SqlEngine>,
    /// Queries that were planned and are right.
    pub(crate) planned: Planned,
}

impl Assembly {
    /// Reads and checks the whole project.
    ///
    /// # Errors
    /// [`PipelineError`] naming file, line and what is wrong: unknown keys, tables, functions, parameters, native stages.
    pub fn build(project: &Project, settings: &Settings) -> Result<Self, PipelineError> {
        let datasets = bind_datasets(settings)?;
        let lengths: BTreeMap<String, i64> = settings
            .params
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_integer()?)))
            .collect();
        let mut stages = Vec::new();
        for (path, text) in project.files("pipelines") {
            stages.extend(parse_stages_with(path, text, &lengths)?);
        }
        // Whatever else is wrong with one of two stages of a table, that there are two is what has to be said.
        check_writers(&stages)?;
        let idle_queries = idle_queries(project, &stages);
        check_coverages(&stages, settings)?;
        check_values(project, settings)?;
        let checks = checks::read(project, settings, &mut stages)?;
        let queries = read_queries(project, &stages)?;
        let mut definitions = BTreeMap::new();
        for stage in &stages {
            definitions.insert(
                stage.table.clone(),
                definition(stage, queries.get(&stage.table), settings)?,
            );
        }
        check_params_are_used(&definitions, &checks.params, settings)?;
        check_windows_follow(&stages, &definitions)?;
        let mut unions: BTreeMap<TableId, Vec<TableId>> = BTreeMap::new();
        for feed in Feed::ALL {
            unions.insert(TableId::new("norm", feed.name())?, Vec::new());
        }
        for bound in datasets.values() {
            unions
                .entry(TableId::new("norm", bound.dataset.feeds.name())?)
                .or_default()
                .push(bound.norm.clone());
            let (harvest, normalize) = dataset_stages(bound)?;
            for mut stage in [harvest, normalize] {
                stage.origin = Origin {
                    file: format!("sources.{}.datasets.{}", bound.source, bound.dataset.name),
                    line: 0,
                };
                stages.push(stage);
            }
        }
        let pipeline = Pipeline::build(stages, unions)?;
        verify_checks(&pipeline, &checks, settings)?;
        let coverages = settings.coverage.iter().map(|(name, c)| {
            (
                name.clone(),
                Coverage {
                    keys: c.values.clone(),
                    start: c.start,
                },
            )
        });
        let mut assembly = Self {
            pipeline,
            definitions,
            queries,
            checks,
            datasets,
            coverages: coverages.collect(),
            idle_queries,
            engine: LazyLock::new(SqlEngine::new),
            planned: Planned::default(),
        };
        assembly.define_datasets();
        Ok(assembly)
    }

    /// What decides a dataset's rows; the coverage of its readers is known only now.
    fn define_datasets(&mut self) {
        let parts = self.datasets.values().map(|bound| {
            let mut parts = dataset_parts(bound);
            parts.insert(
                "reach".to_owned(),
                Reach::of(self, bound, DayRange::ALL).definition(),
            );
            (bound.norm.clone(), parts)
        });
        let parts: Vec<(TableId, Parts)> = parts.collect();
        self.definitions.extend(parts);
    }
}

fn bind_datasets(settings: &Settings) -> Result<BTreeMap<TableId, BoundDataset>, PipelineError> {
    let mut bound = BTreeMap::new();
    for (source, source_settings) in &settings.sources {
        for (name, value) in &source_settings.datasets {
            let table = |schema: &str| TableId::new(schema, &format!("{source}_{name}"));
            let raw = table("raw")?;
            bound.insert(
                raw.clone(),
                BoundDataset {
                    dataset: Dataset::from_toml(source, name, value.clone())?,
                    source: source.clone(),
                    raw,
                    norm: table("norm")?,
                    quarantine: table("quarantine")?,
                    assumed_availability: source_settings.assumed_availability,
                },
            );
        }
    }
    Ok(bound)
}

/// The two stages of a dataset: fetch verbatim, then parse.
fn dataset_stages(bound: &BoundDataset) -> Result<(StageDecl, StageDecl), PipelineError> {
    let grain = bound.dataset.partition;
    let mut harvest = StageDecl::new(bound.raw.clone(), StageKind::Harvest);
    harvest.grain = grain;
    harvest.contract = RAW_CONTRACT.parse()?;
    harvest.primary_key = vec!["name".to_owned(), "sequence".to_owned()];
    harvest.tags = vec!["raw".to_owned()];
    harvest.retries = 2;
    harvest.description = format!(
        "Documents of the dataset `{}`, as the source gave them.",
        bound.dataset.name
    );
    let mut normalize = StageDecl::new(bound.norm.clone(), StageKind::Normalize);
    normalize.grain = grain;
    normalize.also = vec![bound.quarantine.clone()];
    normalize.contract = row_contract(bound.dataset.feeds);
    normalize.time_column = Some("event_time".to_owned());
    normalize.tags = vec!["norm".to_owned()];
    normalize.inputs = vec![StageInput::new(bound.raw.clone(), Window::SelfPeriod)];
    normalize.description = format!("Typed rows of the dataset `{}`.", bound.dataset.name);
    Ok((harvest, normalize))
}

fn dataset_parts(bound: &BoundDataset) -> Parts {
    Parts::from([
        ("dataset".to_owned(), bound.dataset.definition().to_owned()),
        ("parser".to_owned(), PARSER_VERSION.to_string()),
        (
            "assumed_availability".to_owned(),
            bound.assumed_availability.to_string(),
        ),
        ("rejects".to_owned(), rejects_contract().to_string()),
    ])
}

fn check_coverages(stages: &[StageDecl], settings: &Settings) -> Result<(), PipelineError> {
    for stage in stages {
        let Some(name) = &stage.coverage else {
            continue;
        };
        if !settings.coverage.contains_key(name) {
            let known: Vec<&str> = settings.coverage.keys().map(String::as_str).collect();
            return Err(PipelineError::Config {
                place: stage.origin.to_string(),
                message: format!(
                    "`{}` has the coverage `{name}`, which profile `{}` does not declare",
                    stage.table, settings.profile
                ),
                hint: Some(format!(
                    "declare `[coverage.{name}]` in configs/{}.toml; it has {}",
                    settings.profile,
                    known.join(", ")
                )),
            });
        }
    }
    Ok(())
}

/// A value that could not be the name of a folder is found here, where its place is known.
fn check_values(project: &Project, settings: &Settings) -> Result<(), PipelineError> {
    for (name, coverage) in &settings.coverage {
        for (key, values) in &coverage.values {
            for (i, value) in values.iter().enumerate() {
                let problem = match PartitionKey::new([(key.clone(), value.clone())]) {
                    Err(error) => error.to_string(),
                    Ok(_) if values[..i].contains(value) => format!("`{value}` stands twice"),
                    Ok(_) => continue,
                };
                return Err(PipelineError::Config {
                    place: format!("{}, coverage.{name}.{key}", place_of(project, settings, value)),
                    message: problem,
                    hint: Some(
                        "values of partition keys are names of folders: letters, digits, `-` and `_`"
                            .to_owned(),
                    ),
                });
            }
        }
    }
    Ok(())
}

/// Returns the line of the settings that holds a quoted value.
fn place_of(project: &Project, settings: &Settings, value: &str) -> String {
    let quoted = format!("{value:?}");
    let files = [
        format!("configs/{}.toml", settings.profile),
        "configs/base.toml".to_owned(),
    ];
    let place = files.iter().find_map(|path| {
        let text = project.text(path)?;
        let line = text.lines().position(|line| line.contains(&quoted))?;
        Some(format!("{path}:{}", line + 1))
    });
    place.unwrap_or_else(|| "--set".to_owned())
}

/// A parameter that counts days back, in a stage whose windows do not follow it, would be cut off by them in silence.
fn check_windows_follow(
    stages: &[StageDecl],
    definitions: &BTreeMap<TableId, Parts>,
) -> Result<(), PipelineError> {
    for stage in stages {
        let parts = definitions.get(&stage.table).into_iter().flatten();
        let params = parts.filter_map(|(part, _)| part.strip_prefix("param."));
        for param in params.filter(|param| param.ends_with(DAYS_SUFFIX)) {
            let reaches = |input: &StageInput| {
                let unbounded = matches!(input.window, Window::All | Window::AllBefore);
                unbounded || input.follows.iter().any(|name| name == param)
            };
            if !stage.inputs.iter().any(reaches) {
                return Err(PipelineError::Config {
                    place: stage.origin.to_string(),
                    message: format!(
                        "`{}` uses the parameter `{param}`, a number of days, but none of its windows follows it: rows \
                         further back than a window would be missing in silence",
                        stage.table
                    ),
                    hint: Some(format!(
                        "write the window of the input as {{ lookback = \"{param}\" }}, or \"{param} + 14d\" with some days more"
                    )),
                });
            }
        }
    }
    Ok(())
}

/// Holds what checks say of other tables against these.
fn verify_checks(
    pipeline: &Pipeline,
    queries: &CheckQueries,
    settings: &Settings,
) -> Result<(), PipelineError> {
    let contract_of = |table: &TableId| match pipeline.stage_of(table) {
        Some(stage) if stage.table == *table => Some(stage.contract.clone()),
        Some(_) => Some(rejects_contract()),
        None => union_contract(table),
    };
    checks::verify(pipeline.stages(), &contract_of, queries, settings)
}

/// What decides a stage's rows beside its declaration, part by part.
fn definition(
    stage: &StageDecl,
    query: Option<&Query>,
    settings: &Settings,
) -> Result<Parts, PipelineError> {
    let mut parts = Parts::new();
    let mut params: BTreeSet<&str> = stage.params.iter().map(String::as_str).collect();
    if let Some(query) = query {
        parts.insert("sql".to_owned(), query.canonical.clone());
        parts.insert("note sql".to_owned(), outline(query.lines()));
        for name in &query.functions {
            if let Some(version) = functions::function_version(name) {
                parts.insert(format!("function {name}"), version.to_string());
            }
        }
        parts.insert(
            "query engine".to_owned(),
            lakectl_sql::ENGINE_VERSION.to_owned(),
        );
        let own = |name: &&str| {
            !PERIOD_PARAMS.contains(name) && !stage.keys.iter().any(|key| key == *name)
        };
        params.extend(query.params.iter().map(String::as_str).filter(own));
    }
    if let StageKind::Native(name) = &stage.kind {
        let native = NATIVE_STAGES
            .iter()
            .find(|native| native.name == name)
            .ok_or_else(|| {
                let known: Vec<&str> = NATIVE_STAGES.iter().map(|native| native.name).collect();
                PipelineError::Config {
                    place: stage.origin.to_string(),
                    message: format!("there is no native stage `{name}`"),
                    hint: Some(format!("there are {}", known.join(", "))),
                }
            })?;
        parts.insert("native version".to_owned(), native.version.to_string());
    }
    for name in params {
        let value = settings
            .params
            .get(name)
            .ok_or_else(|| unknown_param(stage, name, settings))?;
        if query.is_some() {
            literal(name, value)?;
        }
        parts.insert(format!("param.{name}"), value.to_string());
    }
    Ok(parts)
}

/// A misspelt parameter would otherwise change nothing and say nothing.
fn check_params_are_used(
    definitions: &BTreeMap<TableId, Parts>,
    by_checks: &BTreeSet<String>,
    settings: &Settings,
) -> Result<(), PipelineError> {
    let used: BTreeSet<&str> = definitions
        .values()
        .flat_map(Parts::keys)
        .filter_map(|part| part.strip_prefix("param."))
        .chain(by_checks.iter().map(String::as_str))
        .collect();
    match settings
        .params
        .keys()
        .find(|name| !used.contains(name.as_str()))
    {
        None => Ok(()),
        Some(name) => Err(PipelineError::Config {
            place: format!("params.{name}"),
            message: "no stage uses this parameter".to_owned(),
            hint: nearest(name, used)
                .first()
                .map(|close| format!("did you mean `{close}`?")),
        }),
    }
}

fn unknown_param(stage: &StageDecl, name: &str, settings: &Settings) -> PipelineError {
    let close = nearest(name, settings.params.keys().map(String::as_str));
    PipelineError::Config {
        place: stage.origin.to_string(),
        message: format!(
            "`{}` uses the parameter `{name}`, which `[params]` does not have",
            stage.table
        ),
        hint: Some(match close.first() {
            Some(close) => format!("did you mean `{close}`?"),
            None => "declare it in configs/base.toml".to_owned(),
        }),
    }
}

/// Turns a parameter into a literal of the query language.
///
/// # Errors
/// [`PipelineError::Config`] for arrays and tables.
pub(crate) fn literal(name: &str, value: &Value) -> Result<Literal, PipelineError> {
    match value {
        Value::String(text) => Ok(Literal::Text(text.clone())),
        Value::Integer(number) => Ok(Literal::Int(*number)),
        Value::Float(number) => Ok(Literal::Float(*number)),
        Value::Boolean(truth) => Ok(Literal::Bool(*truth)),
        other => Err(PipelineError::config(
            format!("params.{name}"),
            format!(
                "a parameter of a query is text, a number or a truth value, found {}",
                other.type_str()
            ),
        )),
    }
}

/// Returns the columns of a union of normalised tables.
pub(crate) fn union_contract(table: &TableId) -> Option<Contract> {
    let feed = Feed::ALL
        .into_iter()
        .find(|feed| table.schema() == "norm" && feed.name() == table.name())?;
    Some(row_contract(feed))
}
