//! Versions: reading them and adding to them.

use std::sync::Arc;

use lakectl_core::{Cell, CellFile, Fingerprint, TaskKey, UtcTime};

use crate::branch::MAIN;
use crate::checkpoint::{self, Changed, Checkpoint};
use crate::commit::Commit;
use crate::log::Span;
use crate::object::lock;
use crate::request::Moved;
use crate::{
    CommitInfo, CommitRequest, Failpoint, Lake, Lease, Place, Snapshot, StoreError, VersionRef,
    versions,
};

/// Each lost race means that another run committed, so only a crowd gets near this.
const COMMIT_ATTEMPTS: u32 = 1_000;

/// The newest version seen of a branch, and how it was come by.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) snapshot: Arc<Snapshot>,
    /// The branch has ended.
    closed: bool,
    /// The checkpoint that it was read from, and what has changed since.
    checkpoint: Option<Checkpoint>,
    changed: Changed,
    /// Commits since then, and the partitions that they set or dropped.
    replayed: u64,
    touched: usize,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            snapshot: Arc::new(Snapshot::empty()),
            closed: false,
            checkpoint: None,
            changed: Changed::default(),
            replayed: 0,
            touched: 0,
        }
    }
}

impl Head {
    fn apply(&mut self, commit: &Commit, id: Fingerprint, cells: Vec<Arc<Cell>>) {
        // Without a checkpoint the next one holds everything anyway.
        if self.checkpoint.is_some() {
            for cell in &cells {
                self.changed.note(&cell.table, &cell.partition);
            }
            for task in &commit.dropped {
                self.changed.note(&task.table, &task.partition);
            }
        }
        self.touched += cells.len() + commit.dropped.len();
        commit.apply(id, cells, Arc::make_mut(&mut self.snapshot));
        self.closed = commit.closes;
        self.replayed += 1;
    }
}

impl Lake {
    /// Returns the newest version.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the file of the log, or the checkpoint, that is; [`StoreError::NoBranch`] if the
    /// branch was deleted.
    pub fn head(&self) -> Result<Snapshot, StoreError> {
        self.newest().map(|head| Snapshot::clone(&head))
    }

    pub(crate) fn newest(&self) -> Result<Arc<Snapshot>, StoreError> {
        let mut head = lock(&self.head);
        let seen = head.snapshot.version;
        match self.files().span()? {
            None if seen > 0 => return Err(self.files().gone(seen)),
            None if self.branch != MAIN => return Err(self.no_branch(&self.branch)?),
            None => {}
            Some(span) if span.last < seen => return Err(self.files().gone(span.last + 1)),
            Some(span) if seen == 0 || span.last > seen + checkpoint::EVERY => {
                *head = self.load(span, span.last)?;
            }
            Some(span) => self.replay(&mut head, span, span.last)?,
        }
        if head.closed {
            return Err(self.no_branch(&self.branch)?);
        }
        Ok(Arc::clone(&head.snapshot))
    }

    /// Reads a version of this log: from the nearest checkpoint before it, else from the log's beginning.
    fn load(&self, span: Span, version: u64) -> Result<Head, StoreError> {
        let mut head = Head::default();
        if let Some((checkpoint, snapshot)) = checkpoint::newest(self.files(), version)? {
            head.snapshot = Arc::new(snapshot);
            head.checkpoint = Some(checkpoint);
        }
        self.replay(&mut head, span, version)?;
        Ok(head)
    }

    fn replay(&self, head: &mut Head, span: Span, until: u64) -> Result<(), StoreError> {
        let log = self.files();
        let next = match head.snapshot.id {
            Some(_) => head.snapshot.version + 1,
            None => span.first,
        };
        for version in next..=until {
            let (commit, id) = log.read(version)?;
            if commit.parent != head.snapshot.id {
                return Err(match head.snapshot.id {
                    Some(_) => log.astray(version),
                    None => log.gone(version - 1),
                });
            }
            let cells = commit.cells(&self.door)?;
            if let Some(origin) = &commit.origin {
                let start = self.version_of(&origin.branch, origin.version)?;
                if start.id != origin.id {
                    let problem = "the version it begins with is not the one of its parent branch";
                    return Err(log.damaged(version, problem));
                }
                *head = Head {
                    snapshot: Arc::new(start),
                    ..Head::default()
                };
            } else if commit.closes {
                *head = Head::default();
            }
            head.apply(&commit, id, cells);
        }
        Ok(())
    }

    /// Returns a version of a branch by the numbers of that branch.
    pub(crate) fn version_of(&self, branch: &str, version: u64) -> Result<Snapshot, StoreError> {
        let lake = self.beside(branch);
        match lake.files().span()? {
            Some(span) if (span.first..=span.last).contains(&version) => {
                let head = lake.load(span, version)?;
                Ok(Arc::unwrap_or_clone(head.snapshot))
            }
            Some(span) if span.last < version => Err(lake.files().gone(version)),
            None if version > 0 => Err(lake.files().gone(version)),
            _ => lake.before(version),
        }
    }

    /// Returns a version from before this log began.
    fn before(&self, version: u64) -> Result<Snapshot, StoreError> {
        if version == 0 {
            return Ok(Snapshot::empty());
        }
        let log = self.files();
        let first = log.span()?.map_or(1, |span| span.first);
        match log.read(first)?.0.origin {
            Some(origin) if version <= origin.version => self.version_of(&origin.branch, version),
            _ => Err(log.gone(version)),
        }
    }

    /// Returns an older version of this branch, or of the one that it began at.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`] with the range there is; [`StoreError::Damaged`] as [`Lake::head`].
    pub fn at(&self, version: VersionRef) -> Result<Snapshot, StoreError> {
        let number = match version {
            VersionRef::Number(number) => Some(number),
            VersionRef::Time(time) => self.newest_by(time)?,
        };
        let last = self.files().span()?.map_or(0, |span| span.last);
        match number.filter(|number| *number <= last) {
            Some(number) => {
                self.check_kept(number, last)?;
                self.version_of(&self.branch, number)
            }
            None => Err(StoreError::NoVersion {
                asked: version.to_string(),
                known: known_versions(&self.log()?),
            }),
        }
    }

    /// Refuses a version whose rows were collected.
    fn check_kept(&self, version: u64, last: u64) -> Result<(), StoreError> {
        let stretches = self.lineage(last)?;
        let stretch = stretches
            .iter()
            .find(|stretch| (stretch.first..=stretch.last).contains(&version));
        let oldest = match stretch {
            Some(stretch) => versions::oldest(&self.door, &stretch.branch)?,
            None => 0,
        };
        match version > 0 && version < oldest {
            true => Err(StoreError::Expired { version, oldest }),
            false => Ok(()),
        }
    }

    /// Returns a version of any branch.
    ///
    /// # Errors
    /// [`StoreError::NoBranch`], and as [`Lake::at`] and [`Lake::head`].
    pub fn look(&self, place: &Place) -> Result<Snapshot, StoreError> {
        let other = place.branch.as_deref();
        let other = other.map(|name| self.on_branch(name)).transpose()?;
        let lake = other.as_ref().unwrap_or(self);
        match place.version {
            Some(version) => lake.at(version),
            None => lake.head(),
        }
    }

    /// Returns the newest version committed at or before a time. The times of a log grow, so few are looked at.
    fn newest_by(&self, time: UtcTime) -> Result<Option<u64>, StoreError> {
        let log = self.files();
        let Some(span) = log.span()? else {
            return Ok(None);
        };
        let (mut low, mut high) = (span.first, span.last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match log.read(middle)?.0.time <= time {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        if low > span.first {
            return Ok(Some(low - 1));
        }
        let Some(origin) = log.read(span.first)?.0.origin else {
            return Ok(None);
        };
        let earlier = self.beside(&origin.branch).newest_by(time)?;
        Ok(earlier.map(|version| version.min(origin.version)))
    }

    /// Returns what the log says, oldest version first, from the beginning of the branch that this one began at.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] as [`Lake::head`].
    pub fn log(&self) -> Result<Vec<CommitInfo>, StoreError> {
        let Some(span) = self.files().span()? else {
            return Ok(Vec::new());
        };
        let mut infos = Vec::new();
        for stretch in self.lineage(span.last)?.into_iter().rev() {
            let lake = self.beside(&stretch.branch);
            infos.extend(lake.infos(stretch.first, stretch.last)?);
        }
        Ok(infos)
    }

    /// Returns what the log says of the newest versions, newest first, and what is wrong with the one before them if that
    /// ended the walk.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the log cannot be listed; [`StoreError::Damaged`] if it is unknown where a branch begins.
    pub fn recent(&self, most: usize) -> Result<(Vec<CommitInfo>, Option<StoreError>), StoreError> {
        let mut infos = Vec::new();
        let Some(span) = self.files().span()? else {
            return Ok((infos, None));
        };
        for stretch in self.lineage(span.last)? {
            let lake = self.beside(&stretch.branch);
            let begin = lake.files().span()?.map_or(1, |span| span.first);
            let mut child: Option<CommitInfo> = None;
            for version in (stretch.first.max(begin)..=stretch.last).rev() {
                if infos.len() == most {
                    return Ok((infos, None));
                }
                // Of each it is made sure that the one after it follows, and of the first that nothing is missing before.
                let alone = match version == begin {
                    true => lake.infos(version, version).map(|mut one| one.pop()),
                    false => lake.commit_at(version).map(Some),
                };
                let info = match (alone, &child) {
                    (Ok(Some(info)), Some(child)) if child.parent != Some(info.id) => {
                        return Ok((infos, Some(lake.files().astray(child.version))));
                    }
                    (Ok(Some(info)), _) => info,
                    (Ok(None), _) => break,
                    (Err(error), _) => return Ok((infos, Some(error))),
                };
                child = Some(info.clone());
                infos.push(info);
            }
        }
        Ok((infos, None))
    }

    /// Returns what the log says of one version of this branch's own.
    pub(crate) fn commit_at(&self, version: u64) -> Result<CommitInfo, StoreError> {
        let (commit, id) = self.files().read(version)?;
        Ok(commit.info(&self.branch, id))
    }

    /// Returns what this log says of versions from `first` to `last`, after making sure that each follows the other.
    pub(crate) fn infos(&self, first: u64, last: u64) -> Result<Vec<CommitInfo>, StoreError> {
        let log = self.files();
        let begin = log.span()?.map_or(1, |span| span.first);
        let mut infos: Vec<CommitInfo> = Vec::new();
        for version in first.max(begin)..=last {
            let (commit, id) = match infos.last() {
                Some(before) => log.read_after(version, Some(before.id))?,
                None => log.read(version)?,
            };
            // The first one may follow another only if a branch began anew, or older versions were collected.
            let cut_off = version == begin && commit.parent.is_some() && commit.origin.is_none();
            if cut_off && !checkpoint::covers(log, version - 1)? {
                return Err(log.gone(version - 1));
            }
            infos.push(commit.info(&self.branch, id));
        }
        Ok(infos)
    }

    /// Publishes results as the next version and returns it; the head if all of them are published already.
    ///
    /// If other runs committed since `base`, the request is moved onto the head, provided that nothing it read or
    /// writes has changed.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::RecordConflict`] or [`StoreError::HeadMoved`] naming the other run if
    /// something has; [`StoreError::Damaged`] if a cell's file is missing; [`StoreError::Io`] or
    /// [`StoreError::FlushFailed`] if the disk refuses.
    pub fn commit(&self, request: CommitRequest<'_>) -> Result<Snapshot, StoreError> {
        request.check()?;
        for _ in 0..COMMIT_ATTEMPTS {
            let head = self.newest()?;
            if let Some(moved) = request.conflict(&head) {
                return Err(self.conflict(&request, moved)?);
            }
            let Some((commit, cells)) = request.after(&head, &self.door)? else {
                // Whoever published it may have died, or failed, before its name was durable.
                self.files().settle()?;
                return Ok(Snapshot::clone(&head));
            };
            if let Some(cell) = request.condemned(&head, &cells) {
                return Err(StoreError::Condemned {
                    run: request.run,
                    table: cell.table.clone(),
                    partition: cell.partition.clone(),
                });
            }
            self.check_files(&cells)?;
            request.lease.map_or(Ok(()), Lease::renew)?;
            Failpoint::BeforeCommit.reached();
            if let Some(id) = self.files().put(&commit)? {
                Failpoint::Committed.reached();
                return Ok(self.committed(head, &commit, id, cells));
            }
        }
        Err(StoreError::Busy {
            run: request.run,
            attempts: COMMIT_ATTEMPTS,
        })
    }

    /// Returns the version that a commit made of `parent`, and writes a checkpoint of it if one is due.
    fn committed(
        &self,
        parent: Arc<Snapshot>,
        commit: &Commit,
        id: Fingerprint,
        cells: Vec<Cell>,
    ) -> Snapshot {
        let cells = cells.into_iter().map(Arc::new).collect();
        let mut head = lock(&self.head);
        if head.snapshot.id != commit.parent {
            // Another thread has read further already.
            drop(head);
            let mut snapshot = Arc::unwrap_or_clone(parent);
            commit.apply(id, cells, &mut snapshot);
            return snapshot;
        }
        drop(parent);
        head.apply(commit, id, cells);
        if head.replayed >= checkpoint::EVERY || head.touched >= checkpoint::MANY {
            self.write_checkpoint(&mut head);
        }
        Snapshot::clone(&head.snapshot)
    }

    /// The commit is made, so a checkpoint that cannot be written is only worth a word: the next commit tries again.
    fn write_checkpoint(&self, head: &mut Head) {
        let earlier = head.checkpoint.as_ref();
        match checkpoint::write(self.files(), &head.snapshot, earlier, &head.changed) {
            Ok(checkpoint) => {
                head.checkpoint = checkpoint;
                head.changed = Changed::default();
                (head.replayed, head.touched) = (0, 0);
            }
            Err(error) => tracing::warn!(
                "no checkpoint of version {}: {error}",
                head.snapshot.version
            ),
        }
    }

    /// Returns the last run that set or dropped a partition after a version of this branch.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] as [`Lake::head`].
    pub fn run_that_changed(
        &self,
        task: &TaskKey,
        since: u64,
    ) -> Result<Option<String>, StoreError> {
        self.last_run(since, &|commit| commit.touches(&self.door, task))
    }

    fn last_run(
        &self,
        since: u64,
        touches: &dyn Fn(&Commit) -> Result<bool, StoreError>,
    ) -> Result<Option<String>, StoreError> {
        let last = self.files().span()?.map_or(0, |span| span.last);
        for version in (since + 1..=last).rev() {
            let (commit, _) = self.files().read(version)?;
            if touches(&commit)? {
                return Ok(Some(commit.run().to_owned()));
            }
        }
        Ok(None)
    }

    /// Names the run that changed what this one depends on.
    fn conflict(
        &self,
        request: &CommitRequest<'_>,
        moved: Moved,
    ) -> Result<StoreError, StoreError> {
        let ours = request.run.clone();
        let theirs = self.last_run(request.base.version, &|commit| match &moved {
            Moved::Task(task) => commit.touches(&self.door, task),
            Moved::Record(record) => {
                Ok(commit.origin.is_some() || commit.records.contains_key(record))
            }
            Moved::Version => Ok(true),
        });
        let theirs_run = theirs?.unwrap_or_default();
        Ok(match moved {
            Moved::Task(TaskKey { table, partition }) => StoreError::Conflict {
                ours,
                theirs_run,
                table,
                partition,
            },
            Moved::Record(record) => StoreError::RecordConflict {
                ours,
                theirs_run,
                record,
            },
            Moved::Version => StoreError::HeadMoved { ours, theirs_run },
        })
    }

    /// Refuses to publish what nobody could read.
    fn check_files(&self, cells: &[Cell]) -> Result<(), StoreError> {
        let files: Vec<&CellFile> = cells.iter().filter_map(|cell| cell.file.as_ref()).collect();
        let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
        for (file, size) in files.into_iter().zip(self.door.sizes(&paths)?) {
            match size {
                Some(bytes) if bytes == file.bytes => {}
                Some(_) => return Err(self.missing(file, "it has another size than recorded")),
                None => return Err(self.missing(file, "it is missing")),
            }
        }
        Ok(())
    }
}

fn known_versions(log: &[CommitInfo]) -> String {
    match (log.first(), log.last()) {
        (Some(first), Some(last)) => format!(
            "it has versions {} to {}, committed from {} to {}",
            first.version, last.version, first.time, last.time
        ),
        _ => "nothing was committed yet, there is only version 0".to_owned(),
    }
}
