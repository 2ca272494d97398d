//! Making and revoking overrides. Each is one commit that says so; the next run acts on it.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use lakectl_core::{TaskKey, UtcTime};
use lakectl_dag::nearest;
use lakectl_store::{CommitRequest, Lake, Snapshot};

use super::{Act, Override, Overrides, Ruling};
use crate::{PipelineError, Selected, Sources, Workbench, recover};

/// The shortest beginning of a digest that may stand for it.
const DIGEST_CHARS_MIN: usize = 6;

impl Workbench {
    /// Lets a document count as if it had never come. `document` is its name, or the beginning of its digest.
    ///
    /// # Errors
    /// [`PipelineError::Usage`] if no document or more than one is meant; [`PipelineError::Store`] if the lake refuses.
    pub fn exclude_document(
        &self,
        lake: &Lake,
        document: &str,
        act: Act,
    ) -> Result<Override, PipelineError> {
        let head = lake.head()?;
        let documents = self.documents(lake, &head)?;
        let mut found = documents
            .iter()
            .filter(|((id, name), _)| is_meant(document, id, name));
        let (Some(((id, name), places)), None) = (found.next(), found.next()) else {
            return Err(which_document(&documents, document));
        };
        let overrides = Overrides::of(&head)?;
        let is_out = |place: &TaskKey| {
            let excluded = overrides.excluded(&place.table, &place.partition);
            excluded.is_some_and(|excluded| excluded.contains(id))
        };
        if places.iter().all(is_out) {
            return Err(PipelineError::usage(
                format!("the document `{name}` is excluded already"),
                "`lakectl override list` says by whom",
            ));
        }
        let ruling = Ruling::ExcludeDocument {
            document: id.clone(),
            name: name.clone(),
            places: places.clone(),
        };
        commit(lake, &head, Override::new(ruling, act))
    }

    /// Accepts that a partition's rows fail a check: exactly these rows, and this check as it is.
    ///
    /// # Errors
    /// [`PipelineError::Usage`] if no such failure is known; [`PipelineError::Store`] if the lake refuses.
    pub fn accept_check(
        &self,
        lake: &Lake,
        check: &str,
        task: &TaskKey,
        act: Act,
    ) -> Result<Override, PipelineError> {
        self.known_partition(lake, task, act.when)?;
        let head = lake.head()?;
        let selected = Selected {
            select: vec![task.table.to_string()],
            ..Selected::default()
        };
        let sources = self.sources_or_none();
        let plan = self.plan_with(&sources, Some(lake), &selected, act.when)?;
        let of_task = || plan.checks.iter().filter(|report| report.task == *task);
        let Some(failed) = of_task().find(|report| report.check == check) else {
            let others: BTreeSet<&str> = of_task().map(|report| report.check.as_str()).collect();
            let hint = match others.is_empty() {
                true => "no check of that partition is known to fail; `lakectl run` evaluates them"
                    .to_owned(),
                false => format!("what fails there is {}", Vec::from_iter(others).join(", ")),
            };
            let message = format!("{task} does not fail a check `{check}`");
            return Err(PipelineError::usage(message, hint));
        };
        if failed.accepted {
            let message = format!("the failure of `{check}` by {task} is accepted already");
            return Err(PipelineError::usage(
                message,
                "`lakectl override list` says by whom",
            ));
        }
        let ruling = Ruling::AcceptCheck {
            check: check.to_owned(),
            table: task.table.clone(),
            partition: task.partition.clone(),
            digest: failed.digest,
            rows_hash: failed.rows_hash,
        };
        commit(lake, &head, Override::new(ruling, act))
    }

    /// Takes a partition out of the plan. A raw one keeps its documents, and nothing reads them any more.
    ///
    /// # Errors
    /// [`PipelineError::Usage`] if there is no such partition; [`PipelineError::Store`] if the lake refuses.
    pub fn drop_partition(
        &self,
        lake: &Lake,
        task: &TaskKey,
        act: Act,
    ) -> Result<Override, PipelineError> {
        let head = lake.head()?;
        if Overrides::of(&head)?.is_dropped(&task.table, &task.partition) {
            let message = format!("{task} is dropped already");
            return Err(PipelineError::usage(
                message,
                "`lakectl override list` says by whom",
            ));
        }
        self.known_partition(lake, task, act.when)?;
        let ruling = Ruling::DropPartition {
            table: task.table.clone(),
            partition: task.partition.clone(),
        };
        commit(lake, &head, Override::new(ruling, act))
    }

    /// Refuses a table or partition that there is not.
    fn known_partition(
        &self,
        lake: &Lake,
        task: &TaskKey,
        now: UtcTime,
    ) -> Result<(), PipelineError> {
        let pipeline = &self.assembly.pipeline;
        let stages = || pipeline.stages().iter();
        if stages().all(|stage| stage.table != task.table) {
            let close = nearest(
                task.table.as_str(),
                stages().map(|stage| stage.table.as_str()),
            );
            let hint = match (pipeline.stage_of(&task.table), close.first()) {
                (Some(stage), _) => {
                    format!("it is made together with `{}`; name that", stage.table)
                }
                (None, Some(close)) => format!("did you mean `{close}`?"),
                (None, None) => "`lakectl stages` lists the tables".to_owned(),
            };
            let message = format!("no stage is called `{}`", task.table);
            return Err(PipelineError::usage(message, hint));
        }
        let plan = self.plan_with(
            &self.sources_or_none(),
            Some(lake),
            &Selected::default(),
            now,
        )?;
        let known = plan.partitions(&task.table);
        let known = known.is_some_and(|known| known.find(&task.partition).is_some());
        if known || lake.head()?.cell(&task.table, &task.partition).is_some() {
            return Ok(());
        }
        let shown = format!("`lakectl show {}` lists its partitions", task.table);
        Err(PipelineError::usage(
            format!("`{}` has no partition `{}`", task.table, task.partition),
            shown,
        ))
    }

    /// All documents of raw tables. Bodies are not read, and of a partition whose file is damaged those count that it is known to
    /// have had: they may be the ones to be given up.
    fn documents(&self, lake: &Lake, head: &Snapshot) -> Result<Documents, PipelineError> {
        let mut found = Documents::new();
        let columns = ["name".to_owned(), "document_id".to_owned()];
        let raw = head.tables.keys().filter(|table| table.schema() == "raw");
        for (table, (partition, cell)) in
            raw.flat_map(|table| head.partitions(table).map(move |held| (table, held)))
        {
            let mut note = |name: &str, id: &str| {
                let places = found.entry((id.to_owned(), name.to_owned())).or_default();
                places.push(TaskKey {
                    table: table.clone(),
                    partition: partition.clone(),
                });
            };
            let bound = self.assembly.datasets.get(table);
            match (lake.read(cell, Some(&columns)), bound) {
                (Ok(batches), _) => {
                    for batch in batches {
                        let text = |i: usize| batch.column(i).as_string::<i32>().clone();
                        let (names, ids) = (text(0), text(1));
                        for row in 0..batch.num_rows() {
                            note(names.value(row), ids.value(row));
                        }
                    }
                }
                (Err(error), Some(bound)) if error.is_damage() => {
                    for one in recover::remembered(lake, head, bound, cell)? {
                        note(one.name.as_deref().unwrap_or(&one.id), &one.id);
                    }
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// What the sources offer; where they cannot be looked at, raw tables are as published.
    fn sources_or_none(&self) -> Sources {
        Sources::list(&self.settings, &self.assembly.datasets)
            .unwrap_or_else(|_| Sources::unlisted())
    }

    /// Takes an override back. It stays in the list, with who took it back and why.
    ///
    /// # Errors
    /// [`PipelineError::Usage`] if there is no such override, or it is revoked already.
    pub fn revoke(&self, lake: &Lake, id: &str, act: Act) -> Result<Override, PipelineError> {
        let head = lake.head()?;
        let all = Overrides::of(&head)?;
        let Some(one) = all.iter().find(|one| one.id == id) else {
            let known: Vec<&str> = all.iter().map(|one| one.id.as_str()).collect();
            let hint = match nearest(id, known.iter().copied()).first() {
                Some(close) => format!("did you mean `{close}`?"),
                None => "`lakectl override list` lists them".to_owned(),
            };
            let message = format!("there is no override `{id}`");
            return Err(PipelineError::usage(message, hint));
        };
        if let Some(by) = &one.revoked {
            let message = format!("`{id}` was revoked already, by {} on {}", by.who, by.when);
            return Err(PipelineError::usage(message, "it does nothing any more"));
        }
        let mut one = one.clone();
        one.revoked = Some(act);
        commit(lake, &head, one)
    }

    /// Returns the overrides of the newest version, revoked ones too.
    ///
    /// # Errors
    /// [`PipelineError`] if the lake cannot be read.
    pub fn overrides(&self, lake: &Lake) -> Result<Vec<Override>, PipelineError> {
        Ok(Overrides::of(&lake.head()?)?.iter().cloned().collect())
    }
}

/// (digest, name) of documents -> the raw partitions that hold them.
type Documents = BTreeMap<(String, String), Vec<TaskKey>>;

/// Tells whether a name or the beginning of a digest stands for a document.
fn is_meant(wanted: &str, id: &str, name: &str) -> bool {
    name == wanted || (wanted.len() >= DIGEST_CHARS_MIN && id.starts_with(wanted))
}

/// Why it is not clear which document a name stands for.
fn which_document(documents: &Documents, wanted: &str) -> PipelineError {
    let found: Vec<_> = documents
        .keys()
        .filter(|(id, name)| is_meant(wanted, id, name))
        .collect();
    if found.is_empty() {
        let list = "`lakectl sql \"SELECT name, document_id FROM raw.<dataset>\"` lists them; give a whole name, or the first \
                    digits of a digest";
        return PipelineError::usage(
            format!("no raw table has the document `{wanted}`"),
            match near_name(documents, wanted) {
                Some(near) => format!("did you mean `{near}`?"),
                None => list.to_owned(),
            },
        );
    }
    let each = found.iter().take(5).map(|(id, name)| {
        let short = id.get(..12).unwrap_or(id);
        format!("{short} ({name})")
    });
    let each = each.collect::<Vec<_>>().join(", ");
    PipelineError::usage(
        format!("`{wanted}` stands for {} documents", found.len()),
        format!("name one by its digest: {each}"),
    )
}

/// The name that was perhaps meant: most often a file's without its folder.
fn near_name<'d>(documents: &'d Documents, wanted: &str) -> Option<&'d str> {
    let names = || documents.keys().map(|(_, name)| name.as_str());
    let mut files = names().filter(|name| name.rsplit('/').next() == Some(wanted));
    files
        .next()
        .or_else(|| nearest(wanted, names()).first().copied())
}

/// Commits an override, made or revoked.
fn commit(lake: &Lake, head: &Snapshot, one: Override) -> Result<Override, PipelineError> {
    let (act, word) = match &one.revoked {
        Some(act) => (act, "revoke "),
        None => (&one.made, ""),
    };
    if act.why.trim().is_empty() {
        return Err(PipelineError::usage(
            "an override needs a reason",
            "say why with `--why \"...\"`; it is kept with the override",
        ));
    }
    let run = format!(
        "override-{}{}",
        one.id,
        if one.revoked.is_some() {
            "-revoked"
        } else {
            ""
        }
    );
    let time = UtcTime::from_micros(act.when.micros().max(head.time.micros() + 1));
    let mut request = CommitRequest::new(head, &run, time, "override");
    request.who.clone_from(&act.who);
    request.message = format!("{word}{}: {}", one.ruling, act.why);
    let value = serde_json::to_value(&one)
        .map_err(|error| PipelineError::stage(format!("an override cannot be written: {error}")))?;
    request.records.insert(one.record(), Some(value));
    lake.commit(request)?;
    Ok(one)
}
