//! The project folder: declarations, queries and settings, from disk or as shipped with the program.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use crate::PipelineError;

static PIPELINES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../pipelines");
static SQL: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sql");
static CONFIGS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../configs");

/// The text files that say what to compute, by their path in the project (`sql/options/greeks.sql`).
#[derive(Clone, Debug)]
pub struct Project {
    root: Option<PathBuf>,
    files: BTreeMap<String, String>,
}

impl Project {
    /// Finds the project that holds `folder`: the nearest folder upward with `pipelines/` and `configs/`. Where there is
    /// none, the files shipped with the program are used.
    ///
    /// # Errors
    /// [`PipelineError::Io`] if a file of the project cannot be read.
    pub fn find(folder: &Path) -> Result<Self, PipelineError> {
        match folder
            .ancestors()
            .find(|f| f.join("pipelines").is_dir() && f.join("configs").is_dir())
        {
            Some(root) => Self::read(root),
            None => Ok(Self::built_in()),
        }
    }

    /// Reads the project in `root`.
    ///
    /// # Errors
    /// [`PipelineError::Io`] if a file cannot be read.
    pub fn read(root: &Path) -> Result<Self, PipelineError> {
        let mut files = BTreeMap::new();
        for (folder, ending) in [("pipelines", "toml"), ("sql", "sql"), ("configs", "toml")] {
            read_folder(root, &root.join(folder), ending, &mut files)?;
        }
        Ok(Self {
            root: Some(root.to_owned()),
            files,
        })
    }

    /// Returns the project shipped with the program.
    pub fn built_in() -> Self {
        let mut files = BTreeMap::new();
        for (folder, dir) in [
            ("pipelines", &PIPELINES),
            ("sql", &SQL),
            ("configs", &CONFIGS),
        ] {
            collect(folder, dir, &mut files);
        }
        Self { root: None, files }
    }

    /// Returns the project's folder, or `None` for the shipped files.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Returns the text of one file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Replaces the text of one file, for experiments and tests that must not touch the disk.
    pub fn set_text(&mut self, path: &str, text: impl Into<String>) {
        self.files.insert(path.to_owned(), text.into());
    }

    /// Returns the files below `folder` as (path, text), in order of their paths.
    pub fn files(&self, folder: &str) -> impl Iterator<Item = (&str, &str)> {
        let prefix = format!("{folder}/");
        self.files
            .iter()
            .filter(move |(path, _)| path.starts_with(&prefix))
            .map(|(p, t)| (p.as_str(), t.as_str()))
    }

    /// Writes the shipped files into `root`, which must not hold a project.
    ///
    /// # Errors
    /// [`PipelineError::Usage`] if one of the files exists, [`PipelineError::Io`] if a write fails.
    pub fn write_new(root: &Path) -> Result<Vec<String>, PipelineError> {
        let files = Self::built_in().files;
        if let Some(path) = files.keys().find(|path| root.join(path).exists()) {
            return Err(PipelineError::usage(
                format!(
                    "`{}` exists already; nothing was written",
                    root.join(path).display()
                ),
                "name a new or empty folder",
            ));
        }
        for (path, text) in &files {
            let target = root.join(path);
            let folder = target.parent().unwrap_or(root);
            fs::create_dir_all(folder).map_err(|source| io("create", folder, source))?;
            fs::write(&target, text).map_err(|source| io("write", &target, source))?;
        }
        Ok(files.into_keys().collect())
    }
}

fn read_folder(
    root: &Path,
    folder: &Path,
    ending: &str,
    files: &mut BTreeMap<String, String>,
) -> Result<(), PipelineError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(io("read", folder, source)),
    };
    for entry in entries {
        let path = entry.map_err(|source| io("read", folder, source))?.path();
        if path.is_dir() {
            read_folder(root, &path, ending, files)?;
        } else if path.extension().is_some_and(|e| e == ending) {
            let text = fs::read_to_string(&path).map_err(|source| io("read", &path, source))?;
            let name = path.strip_prefix(root).unwrap_or(&path);
            files.insert(name.to_string_lossy().replace('\\', "/"), text);
        }
    }
    Ok(())
}

fn collect(folder: &str, dir: &Dir<'_>, files: &mut BTreeMap<String, String>) {
    for file in dir.files() {
        if let Some(text) = file.contents_utf8() {
            files.insert(
                format!(
                    "{folder}/{}",
                    file.path().to_string_lossy().replace('\\', "/")
                ),
                text.to_owned(),
            );
        }
    }
    for inner in dir.dirs() {
        collect(folder, inner, files);
    }
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> PipelineError {
    PipelineError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
