//! Overrides: what people decided against the machine, as records of the lake's log with who, when and why.
//!
//! Excluding a document or dropping a partition acts on what is planned, and so on fingerprints: revoking it finds the
//! former results again. Accepting a failed check holds for exactly the rows that failed it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lakectl_core::{Fingerprint, FingerprintBuilder, PartitionKey, TableId, TaskKey, UtcTime};
use lakectl_store::Snapshot;
use serde::{Deserialize, Serialize};

use crate::PipelineError;
use crate::harvest::StoredDocument;

mod make;

/// Where the records stand.
const PREFIX: &str = "override/";

/// What an override does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Ruling {
    /// A document counts as if it had never come.
    ExcludeDocument {
        /// The document's digest.
        document: String,
        /// Its name.
        name: String,
        /// The raw partitions that hold it.
        places: Vec<TaskKey>,
    },
    /// Rows may be published although they fail a check.
    AcceptCheck {
        /// The check's name.
        check: String,
        /// The table.
        table: TableId,
        /// The partition.
        partition: PartitionKey,
        /// The digest of what the check asks.
        digest: Fingerprint,
        /// The digest of the rows that failed it.
        rows_hash: Fingerprint,
    },
    /// A partition is taken out of the plan, and so out of its table.
    DropPartition {
        /// The table.
        table: TableId,
        /// The partition.
        partition: PartitionKey,
    },
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExcludeDocument { document, name, .. } => {
                let short = document.get(..8).unwrap_or(document);
                write!(f, "exclude-document {name} ({short})")
            }
            Self::AcceptCheck {
                check,
                table,
                partition,
                rows_hash,
                ..
            } => write!(
                f,
                "accept-check {check} {table} {partition} (rows {})",
                rows_hash.short()
            ),
            Self::DropPartition { table, partition } => {
                write!(f, "drop-partition {table} {partition}")
            }
        }
    }
}

/// Who did something, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Who, as `user@host`.
    pub who: String,
    /// When.
    pub when: UtcTime,
    /// Why.
    pub why: String,
}

/// One override.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Its name.
    pub id: String,
    /// What it does.
    #[serde(flatten)]
    pub ruling: Ruling,
    /// Who made it.
    pub made: Act,
    /// Who revoked it; it does nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Act>,
}

impl Override {
    fn new(ruling: Ruling, made: Act) -> Self {
        let digest = FingerprintBuilder::new("override")
            .field("ruling", ruling.to_string())
            .field("who", &made.who)
            .field("when", made.when.to_string())
            .finish();
        Self {
            id: digest.short(),
            ruling,
            made,
            revoked: None,
        }
    }

    fn record(&self) -> String {
        format!("{PREFIX}{}", self.id)
    }
}

/// The overrides of one version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    all: Vec<Override>,
    /// Digests of documents by raw partition.
    excluded: BTreeMap<TaskKey, BTreeSet<String>>,
    dropped: BTreeMap<TableId, BTreeSet<PartitionKey>>,
    accepted: BTreeSet<(TaskKey, Fingerprint, Fingerprint)>,
}

impl Overrides {
    /// Reads the overrides of a version, oldest first.
    ///
    /// # Errors
    /// [`PipelineError::Stage`] for a record that this program does not understand: it must not be passed over.
    pub(crate) fn of(snapshot: &Snapshot) -> Result<Self, PipelineError> {
        let mut overrides = Self::default();
        let records = snapshot.records.iter();
        for (name, value) in records.filter(|(name, _)| name.starts_with(PREFIX)) {
            let one: Override = serde_json::from_value(value.clone()).map_err(|error| {
                PipelineError::stage(format!(
                    "version {} of the lake has the record `{name}`, which this program does not understand ({error}); \
                     it was made by a newer one",
                    snapshot.version
                ))
            })?;
            overrides.apply(one);
        }
        overrides.all.sort_by_key(|one| one.made.when);
        Ok(overrides)
    }

    fn apply(&mut self, one: Override) {
        match &one.ruling {
            _ if one.revoked.is_some() => {}
            Ruling::ExcludeDocument {
                document, places, ..
            } => {
                for place in places {
                    let documents = self.excluded.entry(place.clone()).or_default();
                    documents.insert(document.clone());
                }
            }
            Ruling::DropPartition { table, partition } => {
                let dropped = self.dropped.entry(table.clone()).or_default();
                dropped.insert(partition.clone());
            }
            Ruling::AcceptCheck {
                table,
                partition,
                digest,
                rows_hash,
                ..
            } => {
                let (table, partition) = (table.clone(), partition.clone());
                let task = TaskKey { table, partition };
                self.accepted.insert((task, *digest, *rows_hash));
            }
        }
        self.all.push(one);
    }

    /// Returns all overrides, revoked ones too, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Override> {
        self.all.iter()
    }

    /// Returns the documents of a raw partition that count as if they had never come.
    pub(crate) fn excluded(
        &self,
        raw: &TableId,
        partition: &PartitionKey,
    ) -> Option<&BTreeSet<String>> {
        if self.excluded.is_empty() {
            return None;
        }
        self.excluded.get(&TaskKey {
            table: raw.clone(),
            partition: partition.clone(),
        })
    }

    /// Leaves out the documents of a raw partition that count as if they had never come.
    pub(crate) fn leave_out(
        &self,
        raw: &TableId,
        partition: &PartitionKey,
        documents: &mut Vec<StoredDocument>,
    ) {
        if let Some(excluded) = self.excluded(raw, partition) {
            documents.retain(|one| !excluded.contains(&one.document.id.to_string()));
        }
    }

    /// Says what is left out of a normalising task's documents, for its fingerprint.
    pub(crate) fn amended(&self, task: &TaskKey) -> Option<String> {
        if self.excluded.is_empty() || task.table.schema() != "norm" {
            return None;
        }
        let raw = TableId::new("raw", task.table.name()).ok()?;
        let documents = self.excluded(&raw, &task.partition)?;
        let short = documents.iter().map(|id| id.get(..16).unwrap_or(id));
        Some(format!("without {}", short.collect::<Vec<_>>().join(" ")))
    }

    pub(crate) fn is_dropped(&self, table: &TableId, partition: &PartitionKey) -> bool {
        let dropped = self.dropped.get(table);
        dropped.is_some_and(|dropped| dropped.contains(partition))
    }

    pub(crate) fn accepts(&self, task: &TaskKey, check: &Fingerprint, rows: &Fingerprint) -> bool {
        !self.accepted.is_empty() && self.accepted.contains(&(task.clone(), *check, *rows))
    }
}
