//! Runs statements one after the other and writes their rows; a signal or the clock stops the one that runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::lake::Lake;
use lakectl_pipeline::query::{
    LakeSession, Literal, Rows, Script, ScriptStatement, SqlError, locate, placeholders,
};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::sink::{Look, Sink, sink};
use super::stop::{Running, Stop};
use super::target::{NewFile, Target};
use super::{format_of, lines, meta};
use crate::args::Format;
use crate::commands::Done;
use crate::context::{Context, runtime};
use crate::render;

/// Files that include one another go no deeper.
const DEPTH_MAX: usize = 16;
/// Batches that a query may compute ahead of its writer.
const BATCHES_AHEAD: usize = 2;
/// How soon a signal or the end of its time stops a query.
const LISTEN_EVERY: Duration = Duration::from_millis(20);

/// One session with all that a person has set.
pub(super) struct Asker<'a> {
    pub(super) context: &'a Context,
    pub(super) lake: Arc<Lake>,
    pub(super) session: LakeSession,
    runtime: Runtime,
    pub(super) stop: Stop,
    /// How rows are written where no file says it.
    pub(super) format: Format,
    /// Rows of a table.
    pub(super) limit: usize,
    pub(super) timeout: Option<Duration>,
    pub(super) params: BTreeMap<String, Literal>,
    pub(super) expanded: bool,
    pub(super) timing: bool,
    /// Where the next rows go.
    pub(super) once: Option<String>,
    /// Lines of the screen, where a pager shows what is longer.
    pub(super) screen: Option<usize>,
    pub(super) depth: usize,
}

/// Why a statement gave no result.
enum Halt {
    Interrupted,
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Halt {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<PipelineError> for Halt {
    fn from(error: PipelineError) -> Self {
        Self::Failed(error.into())
    }
}

impl<'a> Asker<'a> {
    pub(super) fn new(context: &'a Context, lake: Arc<Lake>, session: LakeSession) -> Result<Self> {
        Ok(Self {
            context,
            lake,
            session,
            runtime: runtime()?,
            stop: Stop::listen()?,
            format: Format::Text,
            limit: usize::MAX,
            timeout: None,
            params: BTreeMap::new(),
            expanded: false,
            timing: false,
            once: None,
            screen: None,
            depth: 0,
        })
    }

    /// A misspelt parameter would otherwise change nothing and say nothing.
    pub(super) fn refuse_unused(&self, sql: &str) -> Result<(), PipelineError> {
        // What is no query has its own error when it is asked.
        let Ok(used) = placeholders(sql) else {
            return Ok(());
        };
        let unused = self.params.keys().find(|name| !used.contains(*name));
        let Some(name) = unused else { return Ok(()) };
        let used: Vec<String> = used.iter().map(|name| format!("`${name}`")).collect();
        Err(PipelineError::usage(
            format!("`--param {name}=...`: the query has no `${name}`"),
            match used.is_empty() {
                true => "it has no parameter".to_owned(),
                false => format!("it has {}", used.join(", ")),
            },
        ))
    }

    /// Does the last of a command's work. A stopped query may still compute somewhere; nobody waits for it.
    pub(super) fn finish(mut self, work: impl FnOnce(&mut Self) -> Result<Done>) -> Result<Done> {
        let done = work(&mut self);
        self.runtime.shutdown_background();
        done
    }

    /// Runs the statements and commands of a file, up to the first that fails.
    pub(super) fn file(&mut self, name: &str) -> Result<Done> {
        if self.depth == DEPTH_MAX {
            let message = format!("`{name}` is included {DEPTH_MAX} files deep");
            return Err(PipelineError::usage(message, "a file must not include itself").into());
        }
        let file = File::open(name).with_context(|| format!("cannot read `{name}`"))?;
        self.depth += 1;
        let done = self.script(name, lines(BufReader::new(file)));
        self.depth -= 1;
        done
    }

    /// Runs the statements and commands of a text, up to the first that fails.
    pub(super) fn script(
        &mut self,
        name: &str,
        lines: impl Iterator<Item = Result<String>>,
    ) -> Result<Done> {
        let mut script = Script::default();
        let mut asked = false;
        for line in lines {
            let line = line?;
            if line.starts_with('\\') && script.is_blank() {
                asked = true;
                let place = format!("{name}:{}", script.skip_line());
                let done = meta::run(self, &line).with_context(|| place)?;
                match done {
                    meta::Next::Go(Done::Well) => continue,
                    meta::Next::Go(other) => return Ok(other),
                    meta::Next::Quit => return Ok(Done::Well),
                }
            }
            for statement in script.line(&line) {
                asked = true;
                let done = self.statement(name, &statement)?;
                if done != Done::Well {
                    return Ok(done);
                }
            }
        }
        match script.rest() {
            Some(statement) => self.statement(name, &statement),
            None if asked => Ok(Done::Well),
            None => Err(PipelineError::usage(
                format!("{name} holds no statement"),
                "give a query on the command line, a file with `-f`, or start `lakectl sql` on a terminal",
            )
            .into()),
        }
    }

    fn statement(&mut self, name: &str, statement: &ScriptStatement) -> Result<Done> {
        self.ask(&statement.text, Some((name, statement.line)))
    }

    /// Runs one statement and writes its rows. An error is told here, with its place in the text.
    pub(super) fn ask(&mut self, sql: &str, place: Option<(&str, u64)>) -> Result<Done> {
        let clock = Instant::now();
        let halt = match self.answer(sql) {
            Ok(()) => {
                if self.timing {
                    render::out(&format!("time: {}", elapsed(clock.elapsed())));
                }
                return Ok(Done::Well);
            }
            Err(halt) => halt,
        };
        Ok(match halt {
            Halt::Interrupted => {
                render::alarm("interrupted");
                Done::Interrupted
            }
            Halt::Failed(error) => tell(error, sql, place),
        })
    }

    fn answer(&mut self, sql: &str) -> Result<(), Halt> {
        let once = self.once.take();
        let (target, format) = match (&once, self.screen) {
            (Some(name), _) => (
                Target::File(NewFile::create(name)?),
                format_of(name, self.file_format())?,
            ),
            (None, Some(lines)) if self.format == Format::Text => {
                (Target::Screen { lines }, Format::Text)
            }
            (None, _) => (Target::Out, self.format),
        };
        let rows = self.stream(sql, &target, format)?;
        let Some(rows) = rows else { return Ok(()) };
        target.finish()?;
        if let Some(name) = once {
            render::note(&format!("wrote {} rows to {name}", render::count(rows)));
        }
        Ok(())
    }

    /// What a flag says of files: that of the command line, unless it is for the screen.
    fn file_format(&self) -> Format {
        match self.screen {
            Some(_) => Format::Text,
            None => self.format,
        }
    }

    /// Writes the rows of a statement and returns their number, or `None` if nobody wanted them all.
    fn stream(&self, sql: &str, target: &Target, format: Format) -> Result<Option<u64>, Halt> {
        let running = self.stop.running();
        let started = self.session.rows(sql, &self.params);
        let rows: Rows = self
            .runtime
            .block_on(started)
            .map_err(PipelineError::from)?;
        let look = Look {
            limit: self.limit,
            expanded: self.expanded,
            plan: rows.explains(),
        };
        let closed = Arc::new(AtomicBool::new(false));
        let sink = sink(target.stream(&closed)?, format, &rows.schema(), look)?;
        let batches = Batches::start(&self.runtime, rows, self.timeout);
        match written(batches, sink, &running) {
            // Whoever stopped reading has what they wanted.
            Err(Halt::Failed(_)) if closed.load(Ordering::Relaxed) => Ok(None),
            written => written.map(Some),
        }
    }
}

fn written(mut batches: Batches, mut sink: Box<dyn Sink>, running: &Running) -> Result<u64, Halt> {
    while let Some(batch) = batches.next(running)? {
        sink.batch(&batch)?;
    }
    Ok(sink.finish()?)
}

/// The batches of a query that computes on other threads: this one stays free to hear that it is to stop.
struct Batches {
    task: JoinHandle<()>,
    receiver: Receiver<Option<Result<RecordBatch, SqlError>>>,
    timeout: Option<Duration>,
    /// Time in which this waited. Writing does not count, because a pager waits for its reader.
    waited: Duration,
}

impl Batches {
    fn start(runtime: &Runtime, mut rows: Rows, timeout: Option<Duration>) -> Self {
        let (sender, receiver) = sync_channel(BATCHES_AHEAD);
        let task = runtime.spawn(async move {
            while let Some(batch) = rows.next().await {
                // Nobody waits for it any more.
                if sender.send(Some(batch)).is_err() {
                    return;
                }
            }
            let _ = sender.send(None);
        });
        Self {
            task,
            receiver,
            timeout,
            waited: Duration::ZERO,
        }
    }

    fn next(&mut self, running: &Running) -> Result<Option<RecordBatch>, Halt> {
        loop {
            if running.stopped() {
                return Err(Halt::Interrupted);
            }
            let clock = Instant::now();
            let received = self.receiver.recv_timeout(LISTEN_EVERY);
            self.waited += clock.elapsed();
            match (received, self.timeout) {
                (Ok(None), _) => return Ok(None),
                (Ok(Some(batch)), _) => {
                    return Ok(Some(batch.map_err(PipelineError::from)?));
                }
                (Err(RecvTimeoutError::Disconnected), _) => {
                    let lost =
                        "the query ended without saying how: this is a defect of the program";
                    return Err(anyhow::anyhow!(lost).into());
                }
                (Err(RecvTimeoutError::Timeout), Some(most)) if self.waited >= most => {
                    return Err(anyhow::Error::from(TimedOut(most)).into());
                }
                (Err(RecvTimeoutError::Timeout), _) => {}
            }
        }
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A query that took longer than it may.
#[derive(Debug)]
struct TimedOut(Duration);

impl std::fmt::Display for TimedOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the query was stopped: it took longer than {} (`--timeout`)",
            elapsed(self.0)
        )
    }
}

impl std::error::Error for TimedOut {}

/// Tells an error with its place, marks the place in the text, and returns how the command ends: 1 for what is wrong with
/// the query or the lake, 2 for a query that could not be brought to its end.
fn tell(error: anyhow::Error, sql: &str, place: Option<(&str, u64)>) -> Done {
    let of_sql = error.chain().find_map(|cause| {
        let pipeline = cause.downcast_ref::<PipelineError>()?;
        match pipeline {
            PipelineError::Sql(error) => Some(error.clone()),
            _ => None,
        }
    });
    let found = of_sql.as_ref().and_then(|error| locate(sql, error));
    let beyond_memory = matches!(of_sql, Some(SqlError::Memory { .. }));
    let done = match beyond_memory || error.is::<TimedOut>() {
        true => Done::WithFailures,
        false => Done::Unwell,
    };
    match place {
        Some((name, first)) => {
            let line = found.map_or(first, |(line, _)| first + line - 1);
            render::error(&error.context(format!("{name}:{line}")));
        }
        None => render::error(&error),
    }
    if beyond_memory {
        render::alarm("  hint: `--memory 4GiB` gives it more; fewer columns or a filter need less");
    }
    if let Some(mark) = found.and_then(|(line, column)| mark(sql, line, column)) {
        render::alarm(&mark);
    }
    done
}

/// The line of the text, and a caret below the column.
fn mark(sql: &str, line: u64, column: u64) -> Option<String> {
    let text = sql
        .lines()
        .nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
    let before = text
        .chars()
        .take(usize::try_from(column).ok()?.saturating_sub(1));
    let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let lead = format!("line {line}: ");
    Some(format!(
        "  {lead}{text}\n  {}{indent}^",
        " ".repeat(lead.len())
    ))
}

/// Writes a length of time for people.
pub(super) fn elapsed(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        seconds if seconds < 60.0 => format!("{seconds:.2} s"),
        seconds => format!(
            "{:.0} min {:02.0} s",
            (seconds / 60.0).floor(),
            seconds % 60.0
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_marked() {
        assert_eq!(
            mark("SELECT *\nFROM x.y", 2, 6).unwrap(),
            "  line 2: FROM x.y\n               ^"
        );
        assert_eq!(mark("SELECT", 2, 1), None);
        assert_eq!(mark("a", 1, 0).unwrap(), "  line 1: a\n          ^");
    }

    #[test]
    fn lengths_of_time_for_people() {
        for (millis, text) in [(3, "3.0 ms"), (1_250, "1.25 s"), (61_000, "1 min 01 s")] {
            assert_eq!(elapsed(Duration::from_millis(millis)), text);
        }
    }
}
