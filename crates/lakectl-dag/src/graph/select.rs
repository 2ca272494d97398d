//! Names of stages as people type them.

use std::collections::BTreeSet;

use lakectl_core::TableId;
use thiserror::Error;

use super::Pipeline;
use crate::nearest::hint;

/// A name that does not say which stages are meant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelectError {
    /// No stage, schema or tag has the name.
    #[error("`{name}` is no table, schema or tag{}", hint.as_ref().map(|h| format!("\n  hint: {h}")).unwrap_or_default())]
    Unknown {
        /// What was given.
        name: String,
        /// What was perhaps meant.
        hint: Option<String>,
    },
    /// Several tables have the name.
    #[error("`{name}` may be any of {}\n  hint: write the schema as well", tables.iter().map(|t| format!("`{t}`")).collect::<Vec<_>>().join(", "))]
    Ambiguous {
        /// What was given.
        name: String,
        /// The tables.
        tables: Vec<TableId>,
    },
}

impl Pipeline {
    /// Returns the stages of the selectors: `schema.table` (a union stands for its members), `table` if only one schema has it, `schema.*`, `*`, `tag:x`;
    /// with a leading `+` also all ancestors, with a trailing `+` also all descendants.
    ///
    /// # Errors
    /// [`SelectError`] if a selector names nothing, or a table without its schema that several schemas have.
    pub fn select(&self, selectors: &[String]) -> Result<BTreeSet<usize>, SelectError> {
        let mut selected = BTreeSet::new();
        for selector in selectors {
            let (core, before) = strip(selector.trim().strip_prefix('+'), selector.trim());
            let (core, after) = strip(core.strip_suffix('+'), core);
            let stages = self.core(core)?;
            if before {
                selected.extend(self.ancestors(&stages));
            }
            if after {
                selected.extend(self.descendants(&stages));
            }
            selected.extend(stages);
        }
        Ok(selected)
    }

    /// Returns the stages that a goal names: an exact table, else a schema, else a tag, else a table without its schema.
    ///
    /// # Errors
    /// [`SelectError`] if it names nothing, or a table without its schema that several schemas have.
    pub fn until(&self, name: &str) -> Result<BTreeSet<usize>, SelectError> {
        let name = name.trim();
        let by_schema = |stage: &usize| self.stages[*stage].table.schema() == name;
        let by_tag = |stage: &usize| self.stages[*stage].tags.iter().any(|tag| tag == name);
        let all = 0..self.stages.len();
        let found: BTreeSet<usize> = match self.exactly(name) {
            Some(stages) => stages,
            None => all.clone().filter(by_schema).collect(),
        };
        if !found.is_empty() {
            return Ok(found);
        }
        let tagged: BTreeSet<usize> = all.filter(by_tag).collect();
        if !tagged.is_empty() {
            return Ok(tagged);
        }
        self.bare(name)
    }

    /// Returns the stage of a table, or the stages of a union's members.
    fn exactly(&self, name: &str) -> Option<BTreeSet<usize>> {
        let name: TableId = name.parse().ok()?;
        let stage_of = |table: &TableId| Some(self.tables[self.table(table)?].1);
        if let Some(stage) = stage_of(&name) {
            return Some(BTreeSet::from([stage]));
        }
        let members = self.unions.get(&name)?.iter();
        let members: BTreeSet<usize> = members.filter_map(stage_of).collect();
        (!members.is_empty()).then_some(members)
    }

    fn core(&self, core: &str) -> Result<BTreeSet<usize>, SelectError> {
        let every = 0..self.stages.len();
        let found: BTreeSet<usize> = if core == "*" {
            every.collect()
        } else if let Some(tag) = core.strip_prefix("tag:") {
            let tagged = |i: &usize| self.stages[*i].tags.iter().any(|t| t == tag);
            every.filter(tagged).collect()
        } else if let Some(schema) = core.strip_suffix(".*") {
            let inside = |(table, _): &&(TableId, usize)| table.schema() == schema;
            self.tables.iter().filter(inside).map(|(_, i)| *i).collect()
        } else {
            match self.exactly(core) {
                Some(stages) => stages,
                None => return self.bare(core),
            }
        };
        if found.is_empty() && core != "*" {
            return Err(self.unknown(core));
        }
        Ok(found)
    }

    fn bare(&self, name: &str) -> Result<BTreeSet<usize>, SelectError> {
        let mut named: Vec<&(TableId, usize)> = self
            .tables
            .iter()
            .filter(|(table, _)| table.name() == name)
            .collect();
        named.sort();
        match named.as_slice() {
            [] => Err(self.unknown(name)),
            [(_, stage)] => Ok(BTreeSet::from([*stage])),
            several => Err(SelectError::Ambiguous {
                name: name.to_owned(),
                tables: several.iter().map(|(table, _)| table.clone()).collect(),
            }),
        }
    }

    fn unknown(&self, name: &str) -> SelectError {
        let mut known: BTreeSet<String> = BTreeSet::new();
        for (table, stage) in &self.tables {
            known.insert(table.to_string());
            known.insert(table.schema().to_owned());
            known.insert(format!("{}.*", table.schema()));
            for tag in &self.stages[*stage].tags {
                known.insert(tag.clone());
                known.insert(format!("tag:{tag}"));
            }
        }
        let filled = self
            .unions
            .iter()
            .filter(|(_, members)| !members.is_empty());
        known.extend(filled.map(|(union, _)| union.to_string()));
        SelectError::Unknown {
            name: name.to_owned(),
            hint: hint(name, known.iter().map(String::as_str)),
        }
    }
}

fn strip<'a>(stripped: Option<&'a str>, whole: &'a str) -> (&'a str, bool) {
    (stripped.unwrap_or(whole), stripped.is_some())
}
