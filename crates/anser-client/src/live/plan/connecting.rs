//! How connections come and go: the token, the first frame, the wait for the next try, what a cut does.

use std::time::Duration;

use anser_core::live::{Hello, Offset, Stream};

use super::super::frame::Ask;
use super::super::told::Told;
use super::reading::Reading;
use super::{
    Do, GREETING_WITHIN, Pass, Phase, Plan, RENEW_AGAIN, RENEW_BEFORE, RENEWABLE_MIN, STEADY,
};
use crate::Error;

impl Plan {
    pub(super) fn take_token(&mut self, pass: Result<Pass, String>, now: Duration) {
        let joined = matches!(self.phase, Phase::Joined { .. });
        match pass {
            Ok(pass) if joined => {
                let hello = Hello {
                    token: pass.text.clone(),
                    ..Hello::default()
                };
                self.pass = pass;
                let mark = self.own_mark();
                self.renewal = Some(mark);
                self.send(&Ask::Auth(Box::new(hello)), Some(mark));
                self.renew_at = self.renewal_of(now);
            }
            Ok(pass) if matches!(self.phase, Phase::Fetching) => {
                self.pass = pass;
                self.phase = Phase::Dialling;
                self.out.push_back(Do::Open);
            }
            Err(_) if joined => self.renew_at = Some(now + RENEW_AGAIN),
            Err(cause) if matches!(self.phase, Phase::Fetching) => {
                let cause = format!("there is no token to connect with: {cause}");
                self.lost(cause, now);
            }
            // It was asked for a connection that is gone.
            Ok(_) | Err(_) => {}
        }
    }

    /// When the token at hand is to be renewed; one whose source does not say when it ends is not.
    pub(super) fn renewal_of(&self, now: Duration) -> Option<Duration> {
        let lives = self.pass.lives.filter(|lives| *lives >= RENEWABLE_MIN)?;
        Some(now + lives - RENEW_BEFORE.min(lives / 4))
    }

    pub(super) fn greet(&mut self, now: Duration) {
        if !matches!(self.phase, Phase::Dialling) {
            self.out.push_back(Do::Drop);
            return;
        }
        let until = now + GREETING_WITHIN;
        self.phase = Phase::Greeting { until };
        self.heard_at = now;
        let asked = self.questions.iter().filter(|(_, question)| question.sent);
        let hello = Hello {
            token: self.pass.text.clone(),
            user: self.settings.user.clone(),
            resource: self.settings.resource.clone(),
            after: self.readings.iter().find_map(mailbox_position),
            presence: self.settings.presence.clone(),
            questions: asked.map(|(mark, _)| mark.to_string()).collect(),
            ..Hello::default()
        };
        self.send(&Ask::Auth(Box::new(hello)), None);
    }

    pub(super) fn not_opened(&mut self, error: Error, now: Duration) {
        if !matches!(self.phase, Phase::Dialling) {
            return;
        }
        match error {
            Error::Refused(refusal) if !refusal.may_pass() => {
                self.end(Err(Error::Refused(refusal)));
            }
            error => self.lost(error.to_string(), now),
        }
    }

    pub(super) fn cut(&mut self, cause: String, now: Duration) {
        match self.phase {
            Phase::Parting { .. } => self.end(Ok(())),
            Phase::Greeting { .. } | Phase::Joined { .. } => self.lost(cause, now),
            Phase::Waiting { .. } | Phase::Fetching | Phase::Dialling | Phase::Over => {}
        }
    }

    /// The connection is of no use: the next one is tried after a while.
    pub(super) fn lost(&mut self, cause: String, now: Duration) {
        self.out.push_back(Do::Drop);
        if let Phase::Joined { since } = self.phase {
            if self.useful || now.saturating_sub(since) >= STEADY {
                self.backoff.reset();
            }
            let cause = cause.clone();
            self.out.push_back(Do::Tell(Told::Disconnected(cause)));
        }
        self.cause = cause;
        let until = now + self.backoff.failed(self.random.unit());
        self.phase = Phase::Waiting { until };
        (self.renewal, self.renew_at, self.ack_since) = (None, None, None);
        for reading in &mut self.readings {
            reading.cut();
        }
        self.cut_requests();
    }
}

fn mailbox_position(reading: &Reading) -> Option<Offset> {
    (reading.stream == Stream::Mailbox)
        .then(|| reading.position())
        .flatten()
}
