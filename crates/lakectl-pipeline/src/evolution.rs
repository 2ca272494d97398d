//! Contracts that change: a nullable column may come at any time, anything else needs a new `version` of the stage.

use lakectl_core::{Contract, TableId};
use lakectl_dag::{Pipeline, Plan, StageDecl, StageKind, World, nearest};
use lakectl_store::{Snapshot, TableMeta};

use crate::PipelineError;

/// Refuses a plan whose stages break what their published tables promise to readers, at an unchanged version.
///
/// # Errors
/// [`PipelineError::Config`] naming the stage, the column and what to do.
pub(crate) fn check(
    pipeline: &Pipeline,
    world: &dyn World,
    published: &Snapshot,
    plan: &Plan,
) -> Result<(), PipelineError> {
    let mut planned = vec![false; pipeline.stages().len()];
    plan.tasks
        .iter()
        .for_each(|task| planned[task.stage] = true);
    let stages = pipeline.stages().iter().zip(planned);
    for stage in stages
        .filter(|(_, planned)| *planned)
        .map(|(stage, _)| stage)
    {
        // Contracts of documents and their parsers are the program's own.
        if matches!(stage.kind, StageKind::Harvest | StageKind::Normalize) {
            continue;
        }
        let meta = published.tables.get(&stage.table);
        // The version is looked up only where it matters.
        let Some((problem, hint)) = meta.and_then(|meta| breach(meta, stage)) else {
            continue;
        };
        let version = version_of(world, &stage.table, stage.version);
        if let Some(version) = version.filter(|version| stage.version <= *version) {
            let raise = format!("raise `version` of the stage to {}", version + 1);
            let message = format!(
                "`{}` {problem}, but its `version` is still {version}",
                stage.table
            );
            return Err(PipelineError::Config {
                place: stage.origin.to_string(),
                message,
                hint: Some(match hint {
                    Some(hint) => format!("{raise}; {hint}"),
                    None => format!("{raise}, so that its readers know"),
                }),
            });
        }
    }
    Ok(())
}

/// Returns the newest version of the stage that made a published partition of the table, or the first that is not below
/// `declared`.
fn version_of(world: &dyn World, table: &TableId, declared: u32) -> Option<u32> {
    let mut newest = None;
    for (_, cell) in world.published(table) {
        let version: Option<u32> = world
            .parts(&cell)
            .get("version")
            .and_then(|v| v.parse().ok());
        newest = newest.max(version);
        if newest >= Some(declared) {
            break;
        }
    }
    newest
}

/// Says what a declaration takes away from readers of the published table.
fn breach(meta: &TableMeta, stage: &StageDecl) -> Option<(String, Option<String>)> {
    if let Some(found) = columns(&meta.contract, &stage.contract) {
        return Some(found);
    }
    let changed = |what: &str, old: String, new: String| {
        (old != new).then(|| (format!("changes its {what} from {old} to {new}"), None))
    };
    let list = |names: &[String]| format!("({})", names.join(", "));
    changed(
        "primary key",
        list(&meta.primary_key),
        list(&stage.primary_key),
    )
    .or_else(|| changed("partition keys", list(&meta.keys), list(&stage.keys)))
    .or_else(|| {
        let word = |grain: lakectl_core::Grain| grain.column().unwrap_or("none").to_owned();
        changed("grain", word(meta.grain), word(stage.grain))
    })
}

fn columns(old: &Contract, new: &Contract) -> Option<(String, Option<String>)> {
    for column in old.columns() {
        let name = &column.name;
        let Some(now) = new.get(name) else {
            let added = new.columns().iter().map(|column| column.name.as_str());
            let added = added.filter(|name| old.get(name).is_none());
            let renamed = nearest(name, added);
            let hint = renamed
                .first()
                .map(|now| format!("`{now}` looks like a new name for it"));
            return Some((format!("drops the column `{name}`"), hint));
        };
        if now.kind != column.kind {
            let (old, new) = (column.kind.word(), now.kind.word());
            return Some((
                format!("changes the column `{name}` from {old} to {new}"),
                None,
            ));
        }
        if column.nullable && !now.nullable {
            return Some((format!("makes the column `{name}` required"), None));
        }
    }
    let required =
        |column: &&lakectl_core::Column| !column.nullable && old.get(&column.name).is_none();
    let column = new.columns().iter().find(required)?;
    let hint = format!(
        "or write `{} {}?`: a nullable column may be added at any time",
        column.name,
        column.kind.word()
    );
    Some((
        format!("adds the required column `{}`", column.name),
        Some(hint),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(old: &str, new: &str) -> Option<String> {
        columns(&old.parse().unwrap(), &new.parse().unwrap()).map(|(problem, _)| problem)
    }

    #[test]
    fn only_what_readers_lose_is_a_breach() {
        let old = "a utf8, x f64?, n i64";
        for fine in [
            old,
            "a utf8, x f64?, n i64, y f64?",
            "a utf8, y utf8?, n i64, x f64?",
            "a utf8, x f64?, n i64?",
        ] {
            assert_eq!(told(old, fine), None, "{fine}");
        }
        for (new, problem) in [
            ("a utf8, n i64", "drops the column `x`"),
            (
                "a utf8, x i64?, n i64",
                "changes the column `x` from f64 to i64",
            ),
            ("a utf8, x f64, n i64", "makes the column `x` required"),
            (
                "a utf8, x f64?, n i64, y f64",
                "adds the required column `y`",
            ),
        ] {
            assert_eq!(told(old, new).as_deref(), Some(problem), "{new}");
        }
        let hint = columns(
            &old.parse().unwrap(),
            &"a utf8, xx f64?, n i64".parse().unwrap(),
        );
        assert!(hint.unwrap().1.unwrap().contains("`xx`"));
    }
}
