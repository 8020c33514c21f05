//! Who watches a producer: interceptors, the hook of failures, and the counters. Must not know how messages are sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;
use crate::live::Confirm;
use crate::outgoing::Outgoing;

/// What sees every message of a producer, in the order in which interceptors were added.
pub trait Interceptor: Send + Sync {
    /// Before a message is taken: may change it, or refuse it with a reason.
    ///
    /// # Errors
    /// In words, why it is not sent: its sender gets [`Error::Intercepted`].
    fn before(&self, message: Outgoing) -> Result<Outgoing, String> {
        Ok(message)
    }

    /// What became of a message. Called by the producer's task: must not block.
    fn after(&self, sent: &Sent, outcome: &Result<Confirm, Error>) {
        let _ = (sent, outcome);
    }
}

/// What a message is known by once it is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its topic, if it has one.
    pub topic: Option<String>,
    /// Its dedupe key, its own or a random one.
    pub dedupe_key: String,
}

/// What became of the messages of a producer so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted.
    pub accepted: u64,
    /// Of those, accepted before under the same dedupe key.
    pub duplicates: u64,
    /// Refused or given up.
    pub failed: u64,
    /// Requests that were sent again.
    pub retried: u64,
}

/// What is told of failures.
pub(super) type Hook = Arc<dyn Fn(&Sent, &Error) + Send + Sync>;

/// What the task and the producers share.
#[derive(Default)]
pub(super) struct Shared {
    accepted: AtomicU64,
    duplicates: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    interceptors: Vec<Arc<dyn Interceptor>>,
    on_error: Option<Hook>,
}

impl Shared {
    pub(super) fn new(interceptors: Vec<Arc<dyn Interceptor>>, on_error: Option<Hook>) -> Self {
        Self {
            interceptors,
            on_error,
            ..Self::default()
        }
    }

    pub(super) fn interceptors(&self) -> &[Arc<dyn Interceptor>] {
        &self.interceptors
    }

    pub(super) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            accepted: read(&self.accepted),
            duplicates: read(&self.duplicates),
            failed: read(&self.failed),
            retried: read(&self.retried),
        }
    }

    pub(super) fn outcome(&self, sent: &Sent, outcome: &Result<Confirm, Error>) {
        match outcome {
            Ok(confirm) => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                let again = u64::from(confirm.duplicate);
                self.duplicates.fetch_add(again, Ordering::Relaxed);
            }
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                if let Some(hook) = &self.on_error {
                    hook(sent, error);
                }
            }
        }
        for interceptor in &self.interceptors {
            interceptor.after(sent, outcome);
        }
    }

    pub(super) fn retried(&self, requests: u64) {
        self.retried.store(requests, Ordering::Relaxed);
    }
}
