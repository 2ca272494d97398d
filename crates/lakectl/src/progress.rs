//! Progress of a run on standard error: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lakectl_pipeline::engine::RunEvent;

use crate::render;

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows what a run does.
pub(crate) struct Progress {
    bar: ProgressBar,
    quiet: bool,
    plain: bool,
    last: Mutex<Instant>,
    verbose: bool,
}

impl Progress {
    pub(crate) fn new(quiet: bool, verbose: bool) -> Self {
        let plain = !std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if quiet || plain {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} tasks  {per_sec}  left {eta}  {wide_msg}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self { bar, quiet, plain, last: Mutex::new(Instant::now()), verbose }
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
            RunEvent::Retrying { task, attempt, message } => {
                self.say(&format!("{task}: failed ({message}), trying again ({attempt})"));
            }
            RunEvent::Finished { .. } | RunEvent::Reused { .. } | RunEvent::Restored { .. } => self.advance(),
            RunEvent::Failed { task, failure } => {
                self.say(&format!("failed: {task}: {failure}"));
                self.advance();
            }
            RunEvent::Blocked { .. } => self.advance(),
            RunEvent::Flushed { .. } => {}
        }
    }

    fn advance(&self) {
        self.bar.inc(1);
        let Ok(mut last) = self.last.lock() else { return };
        if self.plain && !self.quiet && last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
            render::note(&format!("{done}/{all} tasks, about {:.0} s left", self.bar.eta().as_secs_f64()));
        }
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            self.bar.suspend(|| render::note(line));
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
