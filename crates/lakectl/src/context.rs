//! What every command needs: the project, the settings, the lake's address, the clock.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use lakectl_core::UtcTime;
use lakectl_pipeline::lake::{Lake, LakeAddress, MAIN, Open, StoreError};
use lakectl_pipeline::{PipelineError, Project, Workbench};
use tokio::runtime::Runtime;

use crate::args::{Format, Global};

/// The profile that needs no flag.
pub(crate) const DEFAULT_PROFILE: &str = "demo";

/// One invocation.
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) bench: Workbench,
}

impl Context {
    pub(crate) fn open(global: Global) -> Result<Self> {
        let folder = std::env::current_dir().context("cannot find the working folder")?;
        let project = Project::find(&folder)?;
        let bench = Workbench::open(project, &global.profile, &global.set)?;
        Ok(Self { global, bench })
    }

    /// What is there and does nothing; a misspelt name would else be passed over in silence.
    pub(crate) fn idle_queries(&self) -> Option<String> {
        let idle = &self.bench.assembly.idle_queries;
        let (path, near) = idle.first()?;
        let mut text = format!("no stage and no check asks {path}");
        if let Some(near) = near {
            text.push_str(&format!(" (did you mean {near}?)"));
        }
        if idle.len() > 1 {
            text.push_str(&format!(", nor {} more files of sql/", idle.len() - 1));
        }
        Some(text)
    }

    /// The beginning of a command line that speaks of the same lake, and with the same settings if these matter, to be
    /// copied into a shell.
    pub(crate) fn command(&self, settings: bool) -> String {
        self.command_on(Some(&self.global.branch), settings)
    }

    /// As [`Context::command`], for another branch or, without one, for a branch that the reader adds.
    pub(crate) fn command_on(&self, branch: Option<&str>, settings: bool) -> String {
        let mut words = vec![program()];
        if self.global.profile != DEFAULT_PROFILE {
            words.extend(["--profile".to_owned(), self.global.profile.clone()]);
        }
        if let Some(branch) = branch.filter(|branch| *branch != MAIN) {
            words.extend(["--branch".to_owned(), branch.to_owned()]);
        }
        for set in self.global.set.iter().filter(|_| settings) {
            words.extend(["--set".to_owned(), set.clone()]);
        }
        if let Some(lake) = &self.global.lake {
            words.extend(["--lake".to_owned(), lake.clone()]);
        }
        words
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(" ")
    }

    pub(crate) fn json(&self) -> bool {
        self.global.format == Format::Json
    }

    /// Where the lake is: the flag's address, else `lake/<profile>` in the project, else in the working folder.
    pub(crate) fn lake_address(&self) -> Result<LakeAddress> {
        match &self.global.lake {
            Some(text) => Ok(LakeAddress::parse(text).map_err(PipelineError::from)?),
            None => {
                let base = self.bench.project.root().unwrap_or(Path::new("."));
                let folder = base.join("lake").join(&self.global.profile);
                Ok(LakeAddress::Folder(folder))
            }
        }
    }

    /// The lake's address as it holds in every working folder, for people.
    pub(crate) fn shown_address(&self) -> Result<String> {
        let address = self.lake_address()?.absolute();
        Ok(address.map_err(PipelineError::from)?.to_string())
    }

    /// Opens the lake, making it if it is not there.
    pub(crate) fn lake_for_writing(&self) -> Result<Arc<Lake>> {
        // A lake is made with its main branch only.
        if self.global.branch != MAIN {
            return self.lake();
        }
        let address = self.lake_address()?;
        let parent = address.folder().and_then(Path::parent);
        if let (None, Some(parent)) = (&self.global.lake, parent) {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("cannot make the folder `{}`", parent.display()))?;
        }
        Ok(Arc::new(self.bench.lake(&address, Open::OrCreate)?))
    }

    /// Opens a lake that is there.
    pub(crate) fn lake(&self) -> Result<Arc<Lake>> {
        let lake = self.bench.lake(&self.lake_address()?, Open::Existing)?;
        Ok(Arc::new(self.on_branch(lake)?))
    }

    fn on_branch(&self, lake: Lake) -> Result<Lake> {
        match self.global.branch == MAIN {
            true => Ok(lake),
            false => Ok(lake
                .on_branch(&self.global.branch)
                .map_err(PipelineError::from)?),
        }
    }

    /// Opens the lake if there is one.
    pub(crate) fn lake_if_any(&self) -> Result<Option<Lake>> {
        match self.bench.lake(&self.lake_address()?, Open::Existing) {
            Ok(lake) => Ok(Some(self.on_branch(lake)?)),
            Err(PipelineError::Store(StoreError::NoLake { .. })) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Tasks at the same time: the flag's, else the settings', else one for each processor.
    pub(crate) fn jobs(&self, flag: Option<usize>) -> usize {
        let configured = Some(self.bench.settings.run.jobs).filter(|jobs| *jobs > 0);
        // While some tasks wait for the disk, others compute.
        let more = || 2 + std::thread::available_parallelism().map_or(1, usize::from);
        flag.filter(|jobs| *jobs > 0)
            .or(configured)
            .unwrap_or_else(more)
    }
}

/// How this program was called: by its name, or by its path where it is not found by name.
pub(crate) fn program() -> String {
    let called = std::env::args().next().filter(|name| name.contains('/'));
    called.unwrap_or_else(|| "lakectl".to_owned())
}

/// Writes a word so that a shell reads it as one.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// Reads the clock: the only place that does, so that everything below takes time as a value.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub(crate) fn now() -> UtcTime {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UtcTime::from_micros(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
}

/// Who runs this program, as `user@host`: the environment's words, and the system's where it has none.
pub(crate) fn who() -> String {
    let said = |name: &str| std::env::var(name).ok().filter(|word| !word.is_empty());
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let user = said("USER").or_else(|| said("LOGNAME"));
    let host = said("HOSTNAME").or_else(|| read("/proc/sys/kernel/hostname"));
    let host = host.or_else(|| read("/etc/hostname"));
    let user = user.or_else(|| {
        let id = user_id(&read("/proc/self/status")?)?;
        let name = read("/etc/passwd").and_then(|users| user_name(&users, &id));
        Some(name.unwrap_or_else(|| format!("uid-{id}")))
    });
    let user = user.unwrap_or_else(|| "unknown".to_owned());
    match host.map(|host| host.trim().to_owned()) {
        Some(host) if !host.is_empty() => format!("{user}@{host}"),
        _ => user,
    }
}

/// The effective user, as the system tells it of this process.
fn user_id(status: &str) -> Option<String> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1).map(str::to_owned)
}

/// The name that a list of users such as `/etc/passwd` has for an id.
fn user_name(users: &str, id: &str) -> Option<String> {
    let name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1) == Some(id)).then(|| name.to_owned())
    };
    users.lines().find_map(name)
}

/// A runtime for one command.
pub(crate) fn runtime() -> Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.context("cannot start the runtime")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_a_name_in_the_environment_is_found() {
        let status = "Name:\tlakectl\nUid:\t1000\t65534\t65534\t65534\nGid:\t7\t7\t7\t7\n";
        assert_eq!(user_id(status).as_deref(), Some("65534"));
        let users = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n";
        assert_eq!(user_name(users, "65534").as_deref(), Some("nobody"));
        assert_eq!(user_name(users, "65533"), None);
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(
            quoted("sources.archive.root=/data/x"),
            "sources.archive.root=/data/x"
        );
        assert_eq!(quoted("my lake"), "'my lake'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
