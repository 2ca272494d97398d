//! Progress of a long walk over files on standard error: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lakectl_pipeline::lake::Progress;

use crate::render;

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows how far a walk has come.
pub(crate) struct Meter {
    bar: ProgressBar,
    plain: bool,
    last: Mutex<Instant>,
}

impl Meter {
    pub(crate) fn new(quiet: bool) -> Self {
        let plain = !std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if quiet || plain {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self {
            bar,
            plain: plain && !quiet,
            last: Mutex::new(Instant::now()),
        }
    }

    /// Takes one step.
    pub(crate) fn step(&self, progress: Progress) {
        self.bar.set_length(progress.bytes_total);
        self.bar.set_position(progress.bytes);
        let Ok(mut last) = self.last.lock() else {
            return;
        };
        if self.plain && last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            render::note(&format!(
                "{}/{} files, {} of {}, about {:.0} s left",
                render::count(progress.files),
                render::count(progress.files_total),
                render::bytes(progress.bytes),
                render::bytes(progress.bytes_total),
                self.bar.eta().as_secs_f64()
            ));
        }
    }

    /// Takes the bar away; the result has the numbers.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
