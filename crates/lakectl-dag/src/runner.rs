//! What execution is given from outside: a runner for the tasks, a way to wait, a way to be stopped.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use lakectl_core::{Cell, CheckResult};
use serde::Serialize;
use thiserror::Error;
use tokio::sync::watch;

use crate::{CheckSpec, TaskSpec};

/// Why a task failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Error)]
#[error("{message}{}", hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default())]
pub struct TaskFailure {
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether trying again may help.
    pub transient: bool,
}

/// Computes tasks.
pub trait Runner: Send + Sync {
    /// Computes one task and returns a cell for each of the stage's outputs, in their order; the first cell's `seconds`
    /// are the task's. Fingerprint and parts are stamped on the cells afterwards. Blocking work belongs on a thread of the runner's own.
    fn run(&self, task: TaskSpec) -> impl Future<Output = Result<Vec<Cell>, TaskFailure>> + Send;

    /// Evaluates checks, and returns what each found in the order of `asks`; an error is one of the check, and counts as
    /// its failure. Blocking work belongs on a thread of the runner's own.
    fn check(
        &self,
        spec: CheckSpec,
    ) -> impl Future<Output = Vec<Result<CheckResult, TaskFailure>>> + Send {
        let none = TaskFailure {
            message: "this runner evaluates no checks".to_owned(),
            hint: None,
            transient: false,
        };
        std::future::ready(vec![Err(none); spec.asks.len()])
    }

    /// Makes finished cells durable and findable by their fingerprint.
    ///
    /// # Errors
    /// A [`TaskFailure`] ends the run.
    fn flush(&self, cells: &[Cell]) -> Result<(), TaskFailure>;
}

/// Waits; injected, because the engine has no clock.
pub type Sleep = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// Which of the ready tasks is started first. The rows do not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// In the plan's order.
    #[default]
    Forward,
    /// Against the plan's order, so that the last day of the last stage that can run is next.
    Backward,
}

/// How to run.
#[derive(Clone)]
pub struct Options {
    /// Tasks at a time, at least 1.
    pub jobs: usize,
    /// Which ready task is next.
    pub order: Order,
    /// How to wait between two attempts.
    pub sleep: Sleep,
}

impl Default for Options {
    /// One job, forward, with tokio's timer.
    fn default() -> Self {
        Self {
            jobs: 1,
            order: Order::Forward,
            sleep: Arc::new(|pause| tokio::time::sleep(pause).boxed()),
        }
    }
}

/// Asks a run to end; clones ask the same run.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Sender<bool>);

impl Default for Cancel {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Cancel {
    /// Asks the run to end. Tasks under way are dropped, finished ones are kept.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Tells whether the run was asked to end.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    pub(crate) async fn cancelled(&self) {
        let mut receiver = self.0.subscribe();
        if receiver.wait_for(|cancelled| *cancelled).await.is_err() {
            // The sender lives in `self`.
            std::future::pending::<()>().await;
        }
    }
}
