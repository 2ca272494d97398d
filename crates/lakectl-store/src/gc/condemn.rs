//! Condemning: every branch has to agree that it does not use a name, and no later commit may refer to it.

use std::collections::{BTreeMap, BTreeSet};

use lakectl_core::Cell;

use super::{GcRequest, GcStep, Marked};
use crate::commit::{COLLECTION, Commit};
use crate::uses::each;
use crate::{CommitRequest, Lake, Snapshot, StoreError};

impl Lake {
    /// Commits the names to every branch's log, and returns those that all of them have condemned, now or before.
    pub(super) fn condemn_everywhere(
        &self,
        request: &GcRequest<'_>,
        marked: &Marked,
        names: BTreeSet<String>,
    ) -> Result<BTreeSet<String>, StoreError> {
        let mut agreed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        loop {
            // A branch that appeared meanwhile has to agree as well; one that was deleted does not.
            let branches = self.branches()?;
            agreed.retain(|name, _| branches.iter().any(|branch| branch.name == *name));
            let next = branches
                .into_iter()
                .find(|branch| !agreed.contains_key(&branch.name));
            let Some(branch) = next else {
                break;
            };
            match self.beside(&branch.name).condemn(request, marked, &names) {
                Err(StoreError::NoBranch { .. }) => continue,
                all => agreed.insert(branch.name.clone(), all?),
            };
            request.told(GcStep::Condemned(&branch.name))?;
        }
        let mut sets = agreed.values();
        let first = sets.next().cloned().unwrap_or_default();
        let all = sets.fold(first, |all, set| all.intersection(set).cloned().collect());
        for (branch, set) in agreed {
            // Some branch goes on using these; nobody is going to remove them.
            let used: Vec<String> = set.difference(&all).cloned().collect();
            if !used.is_empty() {
                self.beside(&branch)
                    .sign(request, Vec::new(), |_| used.clone())?;
            }
        }
        Ok(all)
    }

    /// Commits the names to this branch's log. Those that its versions after the marked one refer to are left out; if the
    /// branch was not there then, all of its versions count. Returns every name that the branch has condemned.
    fn condemn(
        &self,
        request: &GcRequest<'_>,
        marked: &Marked,
        names: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, StoreError> {
        let mut names = names.clone();
        let log = self.files();
        let mut seen = marked.heads.get(self.branch()).copied();
        loop {
            let head = self.head()?;
            each(&head).for_each(|cell| leave_out(&mut names, cell));
            let span = log.span()?;
            let first = seen.map_or_else(|| span.map_or(1, |span| span.first), |seen| seen + 1);
            for version in first..=span.map_or(0, |span| span.last) {
                let (commit, _) = log.read(version)?;
                let cells = commit.cells(self.door())?;
                cells.iter().for_each(|cell| leave_out(&mut names, cell));
            }
            seen = Some(head.version);
            let new = names
                .iter()
                .filter(|name| !head.condemned.contains_key(*name));
            let new: Vec<String> = new.cloned().collect();
            if new.is_empty() {
                return Ok(head.condemned.keys().cloned().collect());
            }
            let commit = request.commit(&head, new, marked.forgiven(self, &head, &names));
            if log.put(&commit)?.is_some() {
                return Ok(self.head()?.condemned.keys().cloned().collect());
            }
        }
    }

    /// Commits condemned and forgiven names to this branch's log, whatever else is committed meanwhile.
    fn sign(
        &self,
        request: &GcRequest<'_>,
        condemned: Vec<String>,
        forgiven: impl Fn(&Snapshot) -> Vec<String>,
    ) -> Result<(), StoreError> {
        loop {
            let head = self.head()?;
            let commit = request.commit(&head, condemned.clone(), forgiven(&head));
            if self.files().put(&commit)?.is_some() {
                return Ok(());
            }
        }
    }
}

impl GcRequest<'_> {
    fn commit(&self, head: &Snapshot, condemned: Vec<String>, forgiven: Vec<String>) -> Commit {
        let request = CommitRequest {
            who: self.who.clone(),
            message: format!("{} files that nothing needs", condemned.len()),
            ..CommitRequest::new(head, &self.run, self.now, COLLECTION)
        };
        let mut commit = Commit::following(head, &request);
        (commit.condemned, commit.forgiven) = (condemned, forgiven);
        commit
    }
}

fn leave_out(names: &mut BTreeSet<String>, cell: &Cell) {
    if let Some(file) = &cell.file {
        names.remove(&file.path);
    }
}
