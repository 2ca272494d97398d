//! Every query of the market, the surface, the matrix and the scores on tiny tables with known answers.
//!
//! A case is text (see `cases/`): the stage, the partition to compute, the rows of its inputs, and the rows that must
//! come out. Inputs are cut to the windows that the stage declares, so a query that needs more than it is granted fails
//! here too. Columns that a case leaves out are null, or the default of the file, or empty where null is not allowed.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod cells;
mod script;

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::RecordBatch;
use lakectl_core::{Contract, Day, DayRange, TableId};
use lakectl_pipeline::{Project, Workbench};
use lakectl_sources::{Feed, row_contract};
use lakectl_sql::{Literal, SqlEngine, StageTable, conform, sort_unique};
use lakectl_store::schema_of;

use script::{Case, Script};

struct Lab {
    bench: Workbench,
    engine: SqlEngine,
}

impl Lab {
    fn contract(&self, table: &TableId) -> Contract {
        let feed = Feed::ALL
            .into_iter()
            .find(|feed| table.schema() == "norm" && feed.name() == table.name());
        if let Some(feed) = feed {
            return row_contract(feed);
        }
        let stage = self.bench.assembly.pipeline.stage_of(table);
        stage
            .unwrap_or_else(|| panic!("no stage makes {table}"))
            .contract
            .clone()
    }

    fn time_column(&self, table: &TableId) -> Option<String> {
        if table.schema() == "norm" {
            return Some("event_time".to_owned());
        }
        self.bench
            .assembly
            .pipeline
            .stage_of(table)
            .unwrap()
            .time_column
            .clone()
    }

    /// Runs the case's partition over the granted rows.
    fn run(&self, script: &Script, case: &Case) -> Result<RecordBatch, String> {
        let table: TableId = script.stage.parse().unwrap();
        let stage = self.bench.assembly.pipeline.stage_of(&table).unwrap();
        let period = DayRange::new(case.start, case.end);
        let mut granted = Vec::new();
        for input in &stage.inputs {
            let contract = self.contract(&input.table);
            let rows = case.inputs.get(input.table.as_str());
            let empty = Vec::new();
            let defaults = script.defaults.get(input.table.as_str());
            let batch = cells::table(&contract, rows.unwrap_or(&empty), defaults);
            let batch = match self.time_column(&input.table) {
                Some(column) => cells::cut(&batch, &column, input.window.days(period)),
                None => batch,
            };
            granted.push(StageTable {
                id: input.table.clone(),
                schema: batch.schema(),
                batches: vec![batch],
            });
        }
        for name in case.inputs.keys() {
            let declared = stage.inputs.iter().any(|i| i.table.as_str() == name);
            assert!(declared, "{} does not read {name}", script.stage);
        }
        let query = &self.bench.assembly.queries[&table];
        let (schema, batches) = self
            .engine
            .run_query(query, granted, &self.params(script, case))
            .map_err(|e| e.to_string())?;
        let batches = conform(&schema, &batches, &stage.contract).map_err(|e| e.to_string())?;
        let schema = schema_of(&stage.contract);
        sort_unique(&schema, &batches, &stage.primary_key).map_err(|e| e.to_string())
    }

    fn params(&self, script: &Script, case: &Case) -> BTreeMap<String, Literal> {
        let mut params = BTreeMap::new();
        for (name, value) in &self.bench.settings.params {
            let literal = match (value.as_str(), value.as_integer(), value.as_float()) {
                (Some(text), _, _) => Literal::Text(text.to_owned()),
                (_, Some(number), _) => Literal::Int(number),
                (_, _, Some(number)) => Literal::Float(number),
                _ => continue,
            };
            params.insert(name.clone(), literal);
        }
        for (name, value) in &script.params {
            let text = || Literal::Text(value.clone());
            params.insert(
                name.clone(),
                value.parse().map_or_else(|_| text(), Literal::Int),
            );
        }
        if let Some(asset) = &script.asset {
            params.insert("asset".to_owned(), Literal::Text(asset.clone()));
        }
        let at = |day: Day| Literal::Time(day.start());
        params.insert("start".to_owned(), at(case.start));
        params.insert("end".to_owned(), at(case.end));
        params
    }

    /// Returns what is wrong with a case.
    fn check(&self, script: &Script, case: &Case) -> Option<String> {
        match (self.run(script, case), &case.error) {
            (Ok(found), None) => cells::differences(&found, case.expected.as_ref()),
            (Ok(_), Some(text)) => Some(format!("went well, expected an error with `{text}`")),
            (Err(error), Some(text)) if error.contains(text) => None,
            (Err(error), _) => Some(error),
        }
    }
}

#[test]
fn every_case_gives_its_known_answer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("slt/cases");
    let lab = Lab {
        bench: Workbench::open(Project::built_in(), "demo", &[]).unwrap(),
        engine: SqlEngine::new(),
    };
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let (mut failures, mut cases, mut stages) = (Vec::new(), 0, Vec::new());
    for path in files {
        let script = Script::parse(
            &path.display().to_string(),
            &std::fs::read_to_string(&path).unwrap(),
        );
        for case in &script.cases {
            cases += 1;
            if let Some(problem) = lab.check(&script, case) {
                failures.push(format!("{}: {}\n{problem}", script.stage, case.name));
            }
        }
        stages.push(script.stage);
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
    assert!(cases >= 40, "{cases} cases were found");
    for schema in ["market", "options", "backtest"] {
        for stage in lab
            .bench
            .assembly
            .queries
            .keys()
            .filter(|t| t.schema() == schema)
        {
            let covered = stages.iter().any(|name| name == stage.as_str());
            assert!(covered, "{stage} has no cases");
        }
    }
}
