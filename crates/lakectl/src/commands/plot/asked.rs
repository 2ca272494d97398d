//! What a picture is asked of: one version of the lake, one asset, one snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use lakectl_core::{Day, TableId, UtcTime};
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::query::{LakeSession, Literal};
use lakectl_plot::long_day;
use lakectl_plot::pictures::About;
use tokio::runtime::Runtime;

use super::rows::Table;
use crate::args::PlotArgs;
use crate::context::{Context, runtime};

/// How many neighbours a message names.
const NAMED: usize = 3;

/// An open version of the lake, and the asset.
pub(super) struct Asked<'a> {
    context: &'a Context,
    session: LakeSession,
    runtime: Runtime,
    asset: String,
    expiry: Option<Day>,
    /// The snapshot that was found.
    pub(super) at: UtcTime,
    /// Tables that were read.
    pub(super) tables: BTreeSet<String>,
}

impl<'a> Asked<'a> {
    /// Opens the lake and finds the last snapshot of `table` at or before the time that was asked for.
    pub(super) fn open(context: &'a Context, args: &PlotArgs, table: &str) -> Result<Self> {
        let session = context.bench.session(context.lake()?, None)?;
        let mut asked = Self {
            context,
            session,
            runtime: runtime()?,
            asset: args.asset.clone(),
            expiry: args.expiry,
            at: UtcTime::from_micros(i64::MAX),
            tables: BTreeSet::new(),
        };
        asked.at = asked.snapshot(table, args.at)?;
        Ok(asked)
    }

    fn snapshot(&mut self, table: &str, at: Option<UtcTime>) -> Result<UtcTime> {
        let all = self.rows(
            &[table],
            &format!(
                "SELECT DISTINCT event_time FROM {table} WHERE asset = $asset ORDER BY event_time"
            ),
        )?;
        let times = all.times("event_time")?;
        let Some(first) = times.first() else {
            return Err(self.no_asset(table)?.into());
        };
        match times.iter().rfind(|time| at.is_none_or(|at| **time <= at)) {
            Some(found) => Ok(*found),
            None => {
                let at = at.unwrap_or(*first);
                let message = format!(
                    "`{table}` has no snapshot of {} at or before {at}",
                    self.asset
                );
                let next: Vec<String> = times.iter().take(NAMED).map(ToString::to_string).collect();
                let hint = format!("its first are {}", next.join(", "));
                Err(PipelineError::usage(message, hint).into())
            }
        }
    }

    fn no_asset(&mut self, table: &str) -> Result<PipelineError> {
        let sql = format!("SELECT DISTINCT asset FROM {table} ORDER BY asset");
        let assets = self.rows(&[table], &sql)?.texts("asset")?;
        let message = format!("`{table}` has no rows of `{}`", self.asset);
        Ok(match assets.is_empty() {
            true => self.missing(table),
            false => PipelineError::usage(message, format!("it has {}", assets.join(", "))),
        })
    }

    /// The lake has no such table, or nothing in it.
    fn missing(&self, table: &str) -> PipelineError {
        let pipeline = &self.context.bench.assembly.pipeline;
        let declared = table
            .parse::<TableId>()
            .is_ok_and(|id| pipeline.stage_of(&id).is_some());
        let version = self.session.version().version;
        match declared {
            true => PipelineError::usage(
                format!("version {version} of the lake has nothing in `{table}`"),
                format!(
                    "`{} run --until {table}` computes it",
                    self.context.command(true)
                ),
            ),
            false => PipelineError::usage(
                format!("this project has no table `{table}`"),
                "`lakectl init` in an empty folder writes the declarations that the program ships",
            ),
        }
    }

    /// Asks for rows; `$asset` and `$at` stand for what was asked for. `tables` are those that the query reads.
    pub(super) fn rows(&mut self, tables: &[&str], sql: &str) -> Result<Table> {
        for table in tables {
            let there = self.session.tables().any(|id| id.as_str() == *table);
            if !there {
                return Err(self.missing(table).into());
            }
            self.tables.insert((*table).to_owned());
        }
        let given = [
            ("asset", Literal::Text(self.asset.clone())),
            ("at", Literal::Time(self.at)),
        ];
        // A parameter that a statement does not have is an error.
        let given = given
            .into_iter()
            .filter(|(name, _)| sql.contains(&format!("${name}")));
        let params: BTreeMap<String, Literal> = given
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let (schema, batches) = self.runtime.block_on(async {
            let mut rows = self.session.rows(sql, &params).await?;
            let mut batches: Vec<RecordBatch> = Vec::new();
            while let Some(batch) = rows.next().await {
                batches.push(batch?);
            }
            Ok::<_, PipelineError>((rows.schema(), batches))
        })?;
        Ok(Table(concat_batches(&Arc::clone(&schema), &batches)?))
    }

    /// The expiries of a snapshot that are wanted: all, or the one that was asked for.
    pub(super) fn wanted(&self, expiries: &[UtcTime]) -> Result<BTreeSet<UtcTime>, PipelineError> {
        let Some(day) = self.expiry else {
            return Ok(expiries.iter().copied().collect());
        };
        let found: BTreeSet<UtcTime> = expiries
            .iter()
            .copied()
            .filter(|e| e.day() == day)
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let mut days: Vec<Day> = expiries.iter().map(|expiry| expiry.day()).collect();
        days.sort_by_key(|other| (other.days() - day.days()).abs());
        days.dedup();
        let near: Vec<String> = days.iter().take(NAMED).map(ToString::to_string).collect();
        Err(PipelineError::usage(
            format!(
                "no option of {} in the snapshot {} expires on {day}",
                self.asset, self.at
            ),
            format!("the nearest expiries are {}", near.join(", ")),
        ))
    }

    /// What a picture says of its origin.
    pub(super) fn about(&self) -> About {
        let tables: Vec<&str> = self.tables.iter().map(String::as_str).collect();
        let snapshot = self.shown();
        About {
            asset: self.asset.clone(),
            footnote: format!(
                "Source: lakectl, lake version {} ({}), snapshot {snapshot}, tables {}.",
                self.session.version().version,
                self.context.global.branch,
                tables.join(", ")
            ),
            snapshot,
        }
    }

    fn shown(&self) -> String {
        let text = self.at.to_string();
        let time = text
            .split_once('T')
            .map_or("", |(_, time)| time.trim_end_matches('Z'));
        let minute: String = time.chars().take(5).collect();
        format!("{} {minute} UTC", long_day(self.at.day()))
    }

    /// The version that is read.
    pub(super) fn version(&self) -> u64 {
        self.session.version().version
    }
}
