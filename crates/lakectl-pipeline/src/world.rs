//! The lake as the engine asks it: one pinned version, and every result there is.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use lakectl_core::{Cell, CheckResult, Fingerprint, PartitionKey, Parts, TableId, TaskKey};
use lakectl_dag::World;
use lakectl_store::{CellIndex, CheckIndex, Lake, Snapshot, StoreError};

use crate::PipelineError;
use crate::overrides::Overrides;

/// A pinned version with every result that was ever computed, which is looked up only when somebody asks.
pub(crate) struct LakeWorld<'a> {
    lake: Option<&'a Lake>,
    /// The version, with what this run has joined to it already.
    pub(crate) snapshot: Snapshot,
    /// Raw partitions that this run has fetched in an earlier attempt; they are in the snapshot too.
    pub(crate) fetched: Vec<Arc<Cell>>,
    /// The version that the asking run began with, and its name.
    began: Option<(&'a Snapshot, &'a str)>,
    cells: OnceLock<CellIndex>,
    checks: OnceLock<CheckIndex>,
    /// What people decided, as of that version.
    pub(crate) overrides: Arc<Overrides>,
    /// The first thing that could not be read: the engine's questions have no place for it.
    failure: Mutex<Option<StoreError>>,
}

impl<'a> LakeWorld<'a> {
    /// The newest version of a lake; the empty one without a lake.
    pub(crate) fn newest(lake: Option<&'a Lake>) -> Result<Self, PipelineError> {
        let snapshot = lake.map(Lake::head).transpose()?;
        Self::of(lake, snapshot.unwrap_or_else(Snapshot::empty))
    }

    fn of(lake: Option<&'a Lake>, snapshot: Snapshot) -> Result<Self, PipelineError> {
        Ok(Self {
            lake,
            overrides: Arc::new(Overrides::of(&snapshot)?),
            snapshot,
            fetched: Vec::new(),
            began: None,
            cells: OnceLock::new(),
            checks: OnceLock::new(),
            failure: Mutex::default(),
        })
    }

    /// Any version of a lake.
    pub(crate) fn at(lake: &'a Lake, snapshot: Snapshot) -> Result<Self, PipelineError> {
        Self::of(Some(lake), snapshot)
    }

    /// The newest version for a run, the version that it began with, and raw partitions that it has fetched meanwhile.
    pub(crate) fn of_run(
        lake: &'a Lake,
        head: &Snapshot,
        fetched: Vec<Arc<Cell>>,
        began: (&'a Snapshot, &'a str),
    ) -> Result<Self, PipelineError> {
        Ok(Self {
            fetched: fetched.clone(),
            began: Some(began),
            ..Self::of(Some(lake), head.with(&fetched))?
        })
    }

    /// Returns what every check found so far.
    pub(crate) fn checks(&self) -> &CheckIndex {
        self.checks.get_or_init(|| match self.lake {
            Some(lake) => self.read(lake.checks()),
            None => CheckIndex::default(),
        })
    }

    /// Returns what could not be read when the engine asked.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take().map_or(Ok(()), Err)
    }

    /// Tells whether another run has set this partition since this one began.
    pub(crate) fn is_newer(&self, task: &TaskKey) -> bool {
        let now = self.snapshot.cell(&task.table, &task.partition);
        self.began.is_some_and(|(began, run)| {
            let before = began.cell(&task.table, &task.partition);
            let rows = |cell: &Arc<Cell>| (cell.fingerprint, cell.rows_hash);
            now.is_some_and(|now| now.run != run) && now.map(rows) != before.map(rows)
        })
    }

    fn read<T: Default>(&self, answer: Result<T, StoreError>) -> T {
        answer.unwrap_or_else(|error| {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(error);
            T::default()
        })
    }
}

impl World for LakeWorld<'_> {
    fn published(&self, table: &TableId) -> Vec<(PartitionKey, Arc<Cell>)> {
        self.snapshot
            .partitions(table)
            .map(|(key, cell)| (key.clone(), cell.clone()))
            .collect()
    }

    fn cached(&self, fingerprint: &Fingerprint) -> Option<Arc<Cell>> {
        let lake = self.lake?;
        let cells = self.cells.get_or_init(|| self.read(lake.cells()));
        cells.get(fingerprint).cloned()
    }

    fn parts(&self, cell: &Cell) -> Parts {
        match self.lake {
            Some(lake) => self.read(lake.parts(cell)),
            None => cell.parts.clone(),
        }
    }

    fn checked(&self, key: &Fingerprint) -> Option<CheckResult> {
        self.checks().get(key).map(|record| record.result.clone())
    }

    fn accepted(&self, task: &TaskKey, check: &Fingerprint, rows: &Fingerprint) -> bool {
        self.overrides.accepts(task, check, rows)
    }

    fn is_dropped(&self, table: &TableId, partition: &PartitionKey) -> bool {
        self.overrides.is_dropped(table, partition)
    }

    fn amended(&self, task: &TaskKey) -> Option<String> {
        self.overrides.amended(task)
    }

    fn overtaken_by(&self, published: &Cell) -> Option<String> {
        let task = published.task();
        if !self.is_newer(&task) {
            return None;
        }
        let since = self.began.map_or(0, |(began, _)| began.version);
        let lake = self.lake?;
        let run = self.read(lake.run_that_changed(&task, since).map(Some));
        Some(run.flatten().unwrap_or_else(|| published.run.clone()))
    }
}
