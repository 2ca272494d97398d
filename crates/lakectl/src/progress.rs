//! Progress of a run on standard error: a bar on a terminal, plain lines elsewhere.

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use lakectl_pipeline::engine::RunEvent;

use crate::render;

/// So many failures are told as they happen; the summary has them all.
const FAILURES_TOLD: usize = 5;

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows what a run does.
pub(crate) struct Progress {
    bar: ProgressBar,
    quiet: bool,
    plain: bool,
    last: Mutex<Instant>,
    verbose: bool,
    troubles: AtomicUsize,
}

impl Progress {
    pub(crate) fn new(quiet: bool, verbose: bool) -> Self {
        let plain = !std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if quiet || plain {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template(
            "{bar:30} {human_pos}/{human_len} tasks  {rate}  {eta} left  {wide_msg}",
        );
        if let Ok(style) = style {
            bar.set_style(
                style.with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
                    // A line that cannot be written is drawn without it.
                    let _ = write!(text, "{:.0}/s", state.per_sec());
                }),
            );
        }
        if !quiet && !plain {
            // So that the time left goes on while a long task computes.
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Self {
            bar,
            quiet,
            plain,
            last: Mutex::new(Instant::now()),
            verbose,
            troubles: AtomicUsize::new(0),
        }
    }

    /// Takes one event of the engine.
    pub(crate) fn event(&self, event: &RunEvent) {
        match event {
            RunEvent::Planned { totals } => self.bar.set_length(totals.total as u64),
            RunEvent::Started { task, reason } => {
                self.bar.set_message(task.to_string());
                if self.verbose {
                    self.say(&format!("{task}: {reason}"));
                }
            }
            RunEvent::Retrying {
                task,
                attempt,
                message,
            } => {
                self.trouble(&format!(
                    "{task}: failed ({message}), trying again ({attempt})"
                ));
            }
            RunEvent::Finished { .. } | RunEvent::Reused { .. } | RunEvent::Restored { .. } => {
                self.advance()
            }
            RunEvent::Failed { task, failure } => {
                // Here it says that waiting may not be worth it.
                self.trouble(&format!("failed: {task}: {failure}"));
                self.advance();
            }
            RunEvent::Blocked { .. } => self.advance(),
            RunEvent::Flushed { .. } | RunEvent::Committed { .. } => {}
        }
    }

    fn advance(&self) {
        self.bar.inc(1);
        let Ok(mut last) = self.last.lock() else {
            return;
        };
        if self.plain && !self.quiet && last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
            render::note(&format!(
                "{done}/{all} tasks, about {:.0} s left",
                self.bar.eta().as_secs_f64()
            ));
        }
    }

    fn trouble(&self, line: &str) {
        match self.troubles.fetch_add(1, Ordering::Relaxed) {
            count if count < FAILURES_TOLD || self.verbose => self.say(line),
            FAILURES_TOLD => self.say("more tasks fail or are tried again (-v tells each)"),
            _ => {}
        }
    }

    /// Prints a line above the bar.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet {
            self.bar.suspend(|| render::note(line));
        }
    }

    /// Begins again, for another plan.
    pub(crate) fn restart(&self) {
        self.bar.reset();
    }

    /// Takes the bar away; the summary has the numbers.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
