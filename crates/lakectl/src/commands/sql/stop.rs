//! Signals while statements run: the first stops the query, the next one the program.
//!
//! They are heard on a thread of their own: those of the runtime may all be busy with the query that is to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};

use crate::signals::{Signal, Signals};

/// Hears signals for as long as the process lives.
#[derive(Clone, Debug)]
pub(super) struct Stop(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// A query runs.
    running: AtomicBool,
    /// It has been asked to stop.
    asked: AtomicBool,
    /// A person is at the prompt: Ctrl-C stops queries only.
    shell: AtomicBool,
}

impl Stop {
    pub(super) fn listen() -> Result<Self> {
        let state = Arc::new(State::default());
        let heard = Arc::clone(&state);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot listen to signals")?;
        let mut signals = {
            let _inside = runtime.enter();
            Signals::new().context("cannot listen to signals")?
        };
        std::thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    heard.take(signals.next().await);
                }
            });
        });
        Ok(Self(state))
    }

    /// Tells whose prompt it is.
    pub(super) fn at_prompt(&self) {
        self.0.shell.store(true, Ordering::Relaxed);
    }

    /// A query begins; it ends when this goes.
    pub(super) fn running(&self) -> Running {
        self.0.asked.store(false, Ordering::Relaxed);
        self.0.running.store(true, Ordering::Relaxed);
        Running(Arc::clone(&self.0))
    }
}

impl State {
    fn take(&self, signal: Signal) {
        let running = self.running.load(Ordering::Relaxed);
        if running && !self.asked.swap(true, Ordering::Relaxed) {
            return;
        }
        let stays = !running && signal == Signal::Interrupt && self.shell.load(Ordering::Relaxed);
        if !stays {
            std::process::exit(i32::from(crate::EXIT_INTERRUPTED));
        }
    }
}

/// One query under way.
pub(super) struct Running(Arc<State>);

impl Running {
    /// Whether it was asked to stop.
    pub(super) fn stopped(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Relaxed);
    }
}
