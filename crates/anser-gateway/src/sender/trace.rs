//! What the report of an attempt says beside its answer: how far it came, when, and to which address. Measures only;
//! nothing is decided here.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anser_core::attempt::Timing;
use anser_core::channel::{Exchange, Report, SendError, SendErrorKind};
use anser_core::clock::Clock;

/// How far an attempt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Room,
    Resolve,
    Connect,
    Proxy,
    Tls,
    Answer,
    Body,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Room => "waiting for another connection to close (connections_max is reached)",
            Self::Resolve => "looking up the name",
            Self::Connect => "connecting",
            Self::Proxy => "waiting for the proxy to connect",
            Self::Tls => "in the TLS handshake",
            Self::Answer => "waiting for the answer",
            Self::Body => "reading the body of the answer",
        })
    }
}

/// One attempt under way.
pub(super) struct Trace<'a> {
    clock: &'a dyn Clock,
    started: Duration,
    deadline: Duration,
    /// How far it has come.
    pub(super) phase: Phase,
    /// Whether any byte of the request may have left.
    pub(super) sent: bool,
    /// The shared connection in use, by number.
    pub(super) shared: Option<u64>,
    pub(super) timing: Timing,
    pub(super) peer: Option<SocketAddr>,
}

impl<'a> Trace<'a> {
    pub(super) fn start(clock: &'a dyn Clock, deadline: Duration) -> Self {
        Self {
            clock,
            started: clock.monotonic(),
            deadline,
            phase: Phase::Room,
            sent: false,
            shared: None,
            timing: Timing::default(),
            peer: None,
        }
    }

    /// Time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.started)
    }

    /// Time until the deadline.
    pub(super) fn remaining(&self) -> Duration {
        self.deadline.saturating_sub(self.elapsed())
    }

    /// Microseconds since `mark`, an earlier [`Trace::elapsed`].
    pub(super) fn since(&self, mark: Duration) -> u64 {
        Timing::micros(self.elapsed().saturating_sub(mark))
    }

    /// The head of the answer is here.
    pub(super) fn first_byte(&mut self) {
        self.timing.first_byte_us = Timing::micros(self.elapsed());
        self.phase = Phase::Body;
    }

    /// The error of an attempt whose deadline has passed.
    pub(super) fn timed_out(&self) -> SendError {
        let peer = match self.peer {
            Some(peer) => format!(", {peer}"),
            None => String::new(),
        };
        SendError {
            kind: SendErrorKind::TimedOut,
            sent: self.sent,
            detail: format!("{:?} passed while {}{peer}", self.deadline, self.phase),
        }
    }

    pub(super) fn report(mut self, exchange: Exchange) -> Report {
        self.timing.total_us = Timing::micros(self.elapsed());
        Report {
            exchange,
            timing: self.timing,
            peer: self.peer,
        }
    }
}
