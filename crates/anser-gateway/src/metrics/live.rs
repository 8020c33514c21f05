//! What is counted of connections and live clients. Everything is held by whom it counts, so that a message costs an atomic
//! add and no look-up; the wires are few and fixed, so are the series. Must not know a wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::{Counters, Metrics};

/// Of the sessions of one wire.
#[derive(Debug, Default)]
pub(crate) struct WireCounters {
    /// Sessions now.
    pub(super) sessions: AtomicI64,
    /// Sessions opened.
    pub(super) opened: AtomicU64,
    /// Messages given to clients, again or for the first time.
    pub(super) given: AtomicU64,
    /// Acknowledgements of clients; one may cover many messages.
    pub(super) acknowledgements: AtomicU64,
}

impl WireCounters {
    /// A session began.
    pub(crate) fn began(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    /// A session is gone.
    pub(crate) fn gone(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    /// A client was given a message.
    pub(crate) fn gave(&self) {
        self.given.fetch_add(1, Ordering::Relaxed);
    }

    /// A client acknowledged.
    pub(crate) fn acknowledged(&self) {
        self.acknowledgements.fetch_add(1, Ordering::Relaxed);
    }
}

/// Of the connections of one kind, for whoever gives them their places.
#[derive(Debug, Default)]
pub struct ConnectionGauges {
    pub(super) open: AtomicU64,
    pub(super) half_open: AtomicU64,
    pub(super) refused: AtomicU64,
}

impl ConnectionGauges {
    /// So many are open, and so many of them have not said yet what they want.
    pub fn are(&self, open: usize, half_open: usize) {
        self.open.store(open as u64, Ordering::Relaxed);
        self.half_open.store(half_open as u64, Ordering::Relaxed);
    }

    /// There was no place for one.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// What operators are shown of all live sessions together: what was counted since the start, and how things are now.
#[derive(Debug, Clone, Default)]
pub struct Census {
    /// Sessions that ended, by reason.
    pub(crate) closed: Vec<(&'static str, u64)>,
    /// Questions that came to their end, by outcome.
    pub(crate) questions: Vec<(&'static str, u64)>,
    /// Changes of users' presence.
    pub(crate) presence_changes: u64,
    /// Sessions that are given nothing until they acknowledge, or take what they were given.
    pub(crate) paused: usize,
    /// Bytes that wait to be taken.
    pub(crate) unsent_bytes: usize,
    /// Messages that wait for users who are connected.
    pub(crate) mail_waiting: usize,
    /// Questions that wait for their answer.
    pub(crate) questions_open: usize,
}

/// Everything of live clients that is counted outside their plan.
#[derive(Debug, Default)]
pub(super) struct LiveCounters {
    pub(super) wires: Counters<&'static str, WireCounters>,
    pub(super) connections: Arc<ConnectionGauges>,
    pub(super) credentials_refused: AtomicU64,
    pub(super) mail_acknowledged: AtomicU64,
    pub(super) mail_expired: AtomicU64,
}

impl Metrics {
    /// The counters of a wire; to be kept for the life of a session.
    pub(crate) fn live_wire(&self, wire: &'static str) -> Arc<WireCounters> {
        self.live.wires.of(wire)
    }

    /// What is shown of live connections.
    #[must_use]
    pub fn live_connections(&self) -> Arc<ConnectionGauges> {
        Arc::clone(&self.live.connections)
    }

    /// What is shown of connections to the listener of HTTP.
    #[must_use]
    pub fn http_connections(&self) -> Arc<ConnectionGauges> {
        Arc::clone(&self.http_connections)
    }

    /// The key or token of a live client was not accepted.
    pub(crate) fn live_credential_refused(&self) {
        self.live
            .credentials_refused
            .fetch_add(1, Ordering::Relaxed);
    }

    /// So many messages of mailboxes were acknowledged, and so many ran out of time.
    pub(crate) fn live_mail_ended(&self, acknowledged: usize, expired: usize) {
        let of = &self.live;
        of.mail_acknowledged
            .fetch_add(acknowledged as u64, Ordering::Relaxed);
        of.mail_expired.fetch_add(expired as u64, Ordering::Relaxed);
    }
}
