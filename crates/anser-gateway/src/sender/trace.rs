//! What the report of an attempt says beside its answer: how far it came, when, and to which address. Measures only;
//! nothing is decided here.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anser_core::attempt::Timing;
use anser_core::channel::{Exchange, Report, SendError, SendErrorKind};
use anser_core::clock::Clock;
use anser_core::limits::RESPONSE_BYTES_MAX;

use super::body::Progress;

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
    /// Bytes that are read of the answer's body.
    pub(super) answer_max: usize,
    /// How far it has come.
    pub(super) phase: Phase,
    /// Whether any byte of the request may have left.
    pub(super) sent: bool,
    /// The shared connection in use, by number.
    pub(super) shared: Option<u64>,
    pub(super) timing: Timing,
    pub(super) peer: Option<SocketAddr>,
    /// How far a streamed body has come.
    pub(super) progress: Option<Arc<Progress>>,
}

impl<'a> Trace<'a> {
    pub(super) fn start(clock: &'a dyn Clock, deadline: Duration) -> Self {
        Self {
            clock,
            started: clock.monotonic(),
            deadline,
            answer_max: RESPONSE_BYTES_MAX,
            phase: Phase::Room,
            sent: false,
            shared: None,
            timing: Timing::default(),
            peer: None,
            progress: None,
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

    /// The request goes out over a connection to `peer`.
    pub(super) fn begin_answer(&mut self, peer: SocketAddr) {
        self.peer = Some(peer);
        self.phase = Phase::Answer;
        self.sent = true;
    }

    /// Nothing of a body is left to be sent.
    pub(super) fn body_is_sent(&self) -> bool {
        let progress = self.progress.as_ref();
        progress.is_none_or(|progress| progress.is_complete())
    }

    /// The head of the answer is here.
    pub(super) fn first_byte(&mut self) {
        if let Some(progress) = &self.progress {
            progress.note_answer();
        }
        self.timing.first_byte_us = Timing::micros(self.elapsed());
        self.phase = Phase::Body;
    }

    /// The error of an attempt whose deadline has passed.
    pub(super) fn timed_out(&self) -> SendError {
        self.given_up(&format!("{:?} passed", self.deadline))
    }

    /// The error of an attempt that is given up because of `why`.
    pub(super) fn given_up(&self, why: &str) -> SendError {
        let peer = match self.peer {
            Some(peer) => format!(", {peer}"),
            None => String::new(),
        };
        let phase = match &self.progress {
            Some(progress) if self.phase == Phase::Answer && !self.body_is_sent() => format!(
                "sending the body, of which {} of {} bytes went out",
                progress.taken(),
                progress.length()
            ),
            _ => self.phase.to_string(),
        };
        SendError {
            kind: SendErrorKind::TimedOut,
            sent: self.sent,
            detail: format!("{why} while {phase}{peer}"),
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
