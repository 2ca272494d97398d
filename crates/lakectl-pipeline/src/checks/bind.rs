//! Declared checks against the rest of the project: queries, tables, columns, parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use lakectl_core::{Contract, FingerprintBuilder, TableId, UtcTime};
use lakectl_dag::{CheckDecl, CheckRule, Missing, SqlText, StageDecl, StageInput, Window, nearest};
use lakectl_sql::{Literal, Query, SqlEngine, StageTable, analyse, functions};
use lakectl_store::schema_of;

use super::CheckQueries;
use crate::assembly::{PERIOD_PARAMS, literal};
use crate::{PipelineError, Project, Settings};

/// Reads the queries of all checks. What they read becomes their inputs, and decides their digests.
///
/// # Errors
/// [`PipelineError::Config`] for a query that is not there, is none, or uses an unknown parameter.
pub(crate) fn read(
    project: &Project,
    settings: &Settings,
    stages: &mut [StageDecl],
) -> Result<CheckQueries, PipelineError> {
    let mut found = CheckQueries::default();
    for stage in stages {
        let (table, keys) = (stage.table.clone(), stage.keys.clone());
        for check in &mut stage.checks {
            let CheckRule::Sql(source) = &check.rule else {
                continue;
            };
            let (place, text) = match source {
                SqlText::Inline(text) => (check.origin.to_string(), text.as_str()),
                SqlText::File(path) => {
                    let text = project.text(path).ok_or_else(|| {
                        let message = format!(
                            "the check `{}` is a query, but there is no `{path}`",
                            check.name
                        );
                        PipelineError::config(check.origin.to_string(), message)
                    })?;
                    (path.clone(), text)
                }
            };
            let query = analyse(text).map_err(|e| PipelineError::config(place, e.to_string()))?;
            let params = params(&query, &keys, check, settings)?;
            check.digest = digest(&query, &params);
            found.params.extend(params.into_keys());
            add_inputs(check, &table, &query)?;
            found
                .queries
                .insert((table.clone(), check.name.clone()), query);
        }
    }
    Ok(found)
}

/// Returns the settings' values of the parameters that a query uses.
fn params(
    query: &Query,
    keys: &[String],
    check: &CheckDecl,
    settings: &Settings,
) -> Result<BTreeMap<String, String>, PipelineError> {
    let own = |name: &&String| !PERIOD_PARAMS.contains(&name.as_str()) && !keys.contains(name);
    let mut params = BTreeMap::new();
    for name in query.params.iter().filter(own) {
        let Some(value) = settings.params.get(name) else {
            let close = nearest(name, settings.params.keys().map(String::as_str));
            return Err(PipelineError::Config {
                place: check.origin.to_string(),
                message: format!(
                    "the check `{}` uses the parameter `{name}`, which `[params]` does not have",
                    check.name
                ),
                hint: close
                    .first()
                    .map(|close| format!("did you mean `{close}`?")),
            });
        };
        literal(name, value)?;
        params.insert(name.clone(), value.to_string());
    }
    Ok(params)
}

fn digest(query: &Query, params: &BTreeMap<String, String>) -> lakectl_core::Fingerprint {
    let mut digest = FingerprintBuilder::new("check query")
        .field("sql", &query.canonical)
        .field("engine", lakectl_sql::ENGINE_VERSION);
    for name in &query.functions {
        if let Some(version) = functions::function_version(name) {
            digest.push(name, version.to_le_bytes());
        }
    }
    for (name, value) in params {
        digest.push(name, value);
    }
    digest.finish()
}

/// A table that the query reads and the declaration gives no window is read in the same period.
fn add_inputs(check: &mut CheckDecl, own: &TableId, query: &Query) -> Result<(), PipelineError> {
    for table in &query.tables {
        if table != own && check.inputs.iter().all(|input| input.table != *table) {
            let mut input = StageInput::new(table.clone(), Window::SelfPeriod);
            input.missing = Missing::Accept;
            check.inputs.push(input);
        }
    }
    check.inputs.sort_by(|a, b| a.table.cmp(&b.table));
    let idle = check
        .inputs
        .iter()
        .find(|i| !query.tables.contains(&i.table));
    match idle {
        None => Ok(()),
        Some(input) => Err(PipelineError::config(
            check.origin.to_string(),
            format!(
                "the check `{}` declares the input `{}`, which its query does not read",
                check.name, input.table
            ),
        )),
    }
}

/// Holds the columns that checks name in other tables, and those in their queries, against the tables.
///
/// # Errors
/// [`PipelineError::Config`] for an unknown column.
pub(crate) fn verify(
    stages: &[Arc<StageDecl>],
    contract_of: &dyn Fn(&TableId) -> Option<Contract>,
    queries: &CheckQueries,
    settings: &Settings,
) -> Result<(), PipelineError> {
    let mut engine: Option<SqlEngine> = None;
    for stage in stages {
        for check in &stage.checks {
            if let CheckRule::ForeignKey {
                columns,
                table,
                references,
            } = &check.rule
            {
                let theirs = contract_of(table).unwrap_or_default();
                for pair in columns.iter().zip(references) {
                    reference(stage, check, table, &theirs, pair)?;
                }
            }
            let name = (stage.table.clone(), check.name.clone());
            if let Some(query) = queries.queries.get(&name) {
                let engine = engine.get_or_insert_with(SqlEngine::new);
                try_query(engine, stage, check, query, contract_of, settings)?;
            }
        }
    }
    Ok(())
}

fn reference(
    stage: &StageDecl,
    check: &CheckDecl,
    table: &TableId,
    theirs: &Contract,
    (column, reference): (&String, &String),
) -> Result<(), PipelineError> {
    let wrong = |message: String, hint: Option<String>| PipelineError::Config {
        place: check.origin.to_string(),
        message: format!("the check `{}`: {message}", check.name),
        hint,
    };
    let Some(found) = theirs.get(reference) else {
        let names = theirs.columns().iter().map(|c| c.name.as_str());
        let close = nearest(reference, names);
        return Err(wrong(
            format!("`{table}` has no column `{reference}`"),
            close
                .first()
                .map(|close| format!("did you mean `{close}`?")),
        ));
    };
    match stage.contract.get(column) {
        Some(ours) if ours.kind != found.kind => Err(wrong(
            format!(
                "`{column}` is {} and `{table}.{reference}` {}",
                ours.kind.word(),
                found.kind.word()
            ),
            Some("a foreign key needs columns of the same type".to_owned()),
        )),
        _ => Ok(()),
    }
}

/// Runs the query over tables without rows: a wrong column is found before anything runs.
fn try_query(
    engine: &SqlEngine,
    stage: &StageDecl,
    check: &CheckDecl,
    query: &Query,
    contract_of: &dyn Fn(&TableId) -> Option<Contract>,
    settings: &Settings,
) -> Result<(), PipelineError> {
    let tables = query.tables.iter().filter_map(|table| {
        let contract = match *table == stage.table {
            true => stage.contract.clone(),
            false => contract_of(table)?,
        };
        Some(StageTable {
            id: table.clone(),
            schema: schema_of(&contract),
            batches: Vec::new(),
        })
    });
    let mut literals = BTreeMap::new();
    for name in &query.params {
        let value = match settings.params.get(name) {
            Some(value) => literal(name, value)?,
            None if PERIOD_PARAMS.contains(&name.as_str()) => {
                Literal::Time(UtcTime::from_micros(0))
            }
            None => Literal::Text(String::new()),
        };
        literals.insert(name.clone(), value);
    }
    let place = match &check.rule {
        CheckRule::Sql(SqlText::File(path)) => path.clone(),
        _ => check.origin.to_string(),
    };
    engine
        .run_query(query, tables.collect(), &literals)
        .map(|_| ())
        .map_err(|error| {
            let message = format!("the check `{}` of `{}`: {error}", check.name, stage.table);
            PipelineError::config(place, message)
        })
}
