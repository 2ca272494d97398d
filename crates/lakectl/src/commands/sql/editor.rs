//! The line editor of a terminal.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Editor, Helper};

use super::complete::Words;
use super::shell::{LineEditor, Typed};
use super::target::has_pager;
use crate::render;

/// Entries that are kept.
const HISTORY_MAX: usize = 2_000;

/// A terminal with history and completion.
pub(super) struct TerminalEditor {
    editor: Editor<Completing, FileHistory>,
    history: Option<PathBuf>,
}

impl TerminalEditor {
    pub(super) fn new() -> Result<Self> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .history_ignore_space(true)
            .max_history_size(HISTORY_MAX)
            .context("cannot keep a history")?
            .build();
        let mut editor = Editor::with_config(config).context("cannot open the terminal")?;
        editor.set_helper(Some(Completing::default()));
        let history = history_file();
        if let Some(file) = &history {
            // The first session has none yet.
            let _ = editor.load_history(file);
        }
        Ok(Self { editor, history })
    }
}

impl LineEditor for TerminalEditor {
    fn read(&mut self, prompt: &str, pending: &str) -> Result<Typed> {
        if let Some(helper) = self.editor.helper_mut() {
            helper.pending = pending.to_owned();
        }
        match self.editor.readline(prompt) {
            Ok(line) => Ok(Typed::Line(line)),
            Err(ReadlineError::Interrupted) => Ok(Typed::Cancelled),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(error) => Err(error).context("cannot read from the terminal"),
        }
    }

    fn remember(&mut self, text: &str) {
        let kept = self.editor.add_history_entry(text);
        let Some(file) = self.history.as_ref().filter(|_| matches!(kept, Ok(true))) else {
            return;
        };
        let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        let saved = folder
            .map_err(ReadlineError::from)
            .and_then(|()| self.editor.append_history(file));
        if let Err(error) = saved {
            render::note(&format!(
                "the history is not kept: cannot write `{}`: {error}",
                file.display()
            ));
            self.history = None;
        }
    }

    fn learn(&mut self, words: Words) {
        if let Some(helper) = self.editor.helper_mut() {
            helper.words = words;
        }
    }

    fn screen(&mut self) -> Option<usize> {
        let (_, rows) = self.editor.dimensions()?;
        // One line is the next prompt's.
        has_pager().then(|| usize::from(rows).saturating_sub(1).max(2))
    }
}

/// `$XDG_STATE_HOME/lakectl-lake/history`, or below `~/.local/state`.
fn history_file() -> Option<PathBuf> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("lakectl-lake/history"))
}

#[derive(Default)]
struct Completing {
    words: Words,
    /// The lines of the statement before this one.
    pending: String,
}

impl Completer for Completing {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.words.complete(&self.pending, line, at))
    }
}

impl Hinter for Completing {
    type Hint = String;
}

impl Highlighter for Completing {}
impl Validator for Completing {}
impl Helper for Completing {}
