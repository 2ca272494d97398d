//! The loop of the shell: a line, what it completes, the next line.

use anyhow::Result;

use super::asker::Asker;
use super::complete::Words;
use super::meta;
use crate::commands::Done;
use crate::render;
use lakectl_pipeline::query::Script;

/// What a person did at the prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line.
    Line(String),
    /// Ctrl-C: not this line.
    Cancelled,
    /// Ctrl-D: no more.
    End,
}

/// Where lines come from: a terminal, or a test.
pub(super) trait LineEditor {
    /// Asks for a line. `pending` is the statement that it goes on with.
    fn read(&mut self, prompt: &str, pending: &str) -> Result<Typed>;
    /// Keeps what was entered for the arrow keys, and for the next session.
    fn remember(&mut self, text: &str);
    /// Takes the words that can be completed.
    fn learn(&mut self, words: Words);
    /// Lines of the screen.
    fn screen(&mut self) -> Option<usize>;
}

/// Reads and runs until the end. Errors are told and the shell goes on.
pub(super) fn run(asker: &mut Asker<'_>, editor: &mut dyn LineEditor) -> Result<Done> {
    render::note("`\\?` lists the commands, `\\d` the tables; a statement ends with `;`");
    let mut script = Script::default();
    let mut learnt = None;
    loop {
        let version = asker.session.version().version;
        if learnt != Some(version) {
            editor.learn(Words::of(&asker.session));
            learnt = Some(version);
        }
        asker.screen = editor.screen();
        let prompt = prompt(version, !script.is_blank());
        let line = match editor.read(&prompt, script.pending())? {
            Typed::Line(line) => line,
            Typed::Cancelled => {
                script.clear();
                continue;
            }
            Typed::End => return Ok(Done::Well),
        };
        if script.is_blank() {
            let word = line.trim().trim_end_matches(';');
            if line.trim_start().starts_with('\\') {
                editor.remember(line.trim());
                match meta::run(asker, &line) {
                    Ok(meta::Next::Quit) => return Ok(Done::Well),
                    Ok(meta::Next::Go(_)) => {}
                    Err(error) => render::error(&error),
                }
                continue;
            }
            match word {
                "quit" | "exit" => return Ok(Done::Well),
                "help" => {
                    meta::run(asker, "\\?")?;
                    continue;
                }
                "" => continue,
                _ => {}
            }
        }
        for statement in script.line(&line) {
            editor.remember(&format!("{};", statement.text));
            asker.ask(&statement.text, None)?;
        }
    }
}

fn prompt(version: u64, goes_on: bool) -> String {
    let prompt = format!("lake@{version}> ");
    match goes_on {
        true => format!("{:>1$}", "-> ", prompt.len()),
        false => prompt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_of_one_width() {
        assert_eq!(prompt(12, false), "lake@12> ");
        assert_eq!(prompt(12, true), "      -> ");
    }
}
