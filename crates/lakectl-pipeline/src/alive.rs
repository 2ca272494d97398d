//! A run's sign of life, renewed while it lasts.

use std::sync::Arc;

use lakectl_store::{Lake, Lease};
use tokio::task::JoinHandle;

use crate::PipelineError;

/// Holds a lease and renews it until it is dropped.
pub(crate) struct Alive {
    lease: Arc<Lease>,
    renewing: JoinHandle<()>,
}

impl Alive {
    /// Announces a run.
    pub(crate) fn begin(lake: &Arc<Lake>, run: &str) -> Result<Self, PipelineError> {
        let lease = Arc::new(Lease::take(Arc::clone(lake), run)?);
        let held = Arc::downgrade(&lease);
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Lease::RENEWAL).await;
                let Some(lease) = held.upgrade() else {
                    return;
                };
                // A sign that did not get through is noticed when the run commits.
                let _ = tokio::task::spawn_blocking(move || lease.renew()).await;
            }
        });
        Ok(Self { lease, renewing })
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}
