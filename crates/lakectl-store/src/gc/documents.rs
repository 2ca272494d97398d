//! Documents are kept as long as nobody else has them: a raw file goes only when a newest version has all of its rows.

use std::collections::{BTreeMap, BTreeSet};

use lakectl_core::{Fingerprint, PartitionKey, TableId};

use super::{GcRequest, Marked};
use crate::object::Stored;
use crate::{Lake, Snapshot, StoreError, parquet};

/// The rows of tables that cannot be computed again.
pub(super) struct Documents<'a> {
    lake: &'a Lake,
    request: &'a GcRequest<'a>,
    branches: Vec<String>,
    /// What the newest versions have, by table and partition.
    kept: BTreeMap<(TableId, PartitionKey), BTreeSet<Vec<String>>>,
    heads: Option<Vec<Snapshot>>,
}

impl<'a> Documents<'a> {
    pub(super) fn new(lake: &'a Lake, request: &'a GcRequest<'a>, marked: &Marked) -> Self {
        Self {
            lake,
            request,
            branches: marked.heads.keys().cloned().collect(),
            kept: BTreeMap::new(),
            heads: None,
        }
    }

    /// Returns why a file may not go: rows of it that no newest version has.
    pub(super) fn missing(
        &mut self,
        table: &TableId,
        partition: &PartitionKey,
        file: &Stored,
    ) -> Result<Option<String>, StoreError> {
        let Some(bytes) = self.lake.door().get(&file.path)? else {
            return Ok(None);
        };
        if !named_by(&file.path, &bytes) {
            return Ok(Some("it is damaged; `verify --deep` says more".to_owned()));
        }
        let Ok(found) = parquet::texts(table, bytes, &self.request.identity) else {
            return Ok(Some("its documents cannot be read".to_owned()));
        };
        let key = (table.clone(), partition.clone());
        if !self.kept.contains_key(&key) {
            let kept = self.of_heads(table, partition)?;
            self.kept.insert(key.clone(), kept);
        }
        let kept = self.kept.get(&key);
        let lost = found
            .iter()
            .filter(|row| kept.is_none_or(|kept| !kept.contains(*row)))
            .count();
        Ok((lost > 0).then(|| {
            format!("{lost} of its documents are in no newest version, and nobody may have them any more")
        }))
    }

    fn of_heads(
        &mut self,
        table: &TableId,
        partition: &PartitionKey,
    ) -> Result<BTreeSet<Vec<String>>, StoreError> {
        if self.heads.is_none() {
            let heads = self.branches.iter();
            let heads = heads.map(|branch| self.lake.beside(branch).head());
            self.heads = Some(heads.collect::<Result<_, _>>()?);
        }
        let mut kept = BTreeSet::new();
        for head in self.heads.iter().flatten() {
            let file = head
                .cell(table, partition)
                .and_then(|cell| cell.file.as_ref());
            if let Some(file) = file {
                let bytes = self.lake.read_file(file)?;
                kept.extend(parquet::texts(table, bytes, &self.request.identity)?);
            }
        }
        Ok(kept)
    }
}

/// Tells whether a data file's name is the digest of its bytes.
fn named_by(path: &str, bytes: &[u8]) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = name.strip_suffix(".parquet").unwrap_or(name);
    name.split('-').next() == Some(Fingerprint::of(bytes).to_string().as_str())
}
