//! The life of a live session, as a pure state machine: it is told what happened and when, and says what to do. It connects
//! again, resumes, repeats what may be repeated and gives up what may not; it knows no socket, clock or task.
//!
//! What holds, whatever is cut and when: a request has exactly one reply; a question has exactly one outcome; a message
//! that is in the application's hands is not handed to it again.

mod asking;
mod connecting;
mod hearing;
mod reading;
mod receiving;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anser_core::live::{Offset, PresenceUpdate, Stream};
use anser_core::name::UserId;
use anser_core::random::Random;
use bytes::Bytes;

use super::frame::{Ask, Heard, Iq};
use super::told::{Told, Wanted};
use crate::Error;
use crate::backoff::Backoff;
use reading::{Reading, State};

/// The first wait before the next try to connect, at most.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
/// The longest wait before the next try.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A session that lasted so long was a good one, as is one that was of use: the next wait is the first again.
const STEADY: Duration = Duration::from_secs(10);
/// The server's welcome comes within this of the connection.
const GREETING_WITHIN: Duration = Duration::from_secs(10);
/// A ping is sent so often.
const PING_EVERY: Duration = Duration::from_secs(30);
/// A connection of which nothing is heard for so long is given up, as the server does.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// A request is answered within this, or the connection is given up: the server gives a commit a minute.
const ANSWER_WITHIN: Duration = Duration::from_secs(75);
/// Acknowledgements wait so long for others to go with them: a session may ask 200 times a second.
const ACK_DELAY: Duration = Duration::from_millis(25);
/// Messages after which an acknowledgement waits no longer: a quarter of the server's window.
const ACK_MESSAGES: usize = 64;
/// Bytes after which an acknowledgement waits no longer: a quarter of the server's window.
const ACK_BYTES: usize = 256 * 1024;
/// Messages of all streams that the application may hold unacknowledged. The server's window is 256; more come only when
/// others acknowledge the same mailbox meanwhile.
const IN_HAND_MAX: usize = 1_024;
/// A token is renewed so long before it ends, or in the last quarter of its life when that is shorter.
const RENEW_BEFORE: Duration = Duration::from_secs(60);
/// A token that lives no longer is not renewed: the clock here and there may differ, and the server says when it is over.
const RENEWABLE_MIN: Duration = Duration::from_secs(1);
/// A source of tokens that failed is asked again after this, while the token at hand is good.
const RENEW_AGAIN: Duration = Duration::from_secs(5);
/// What waits for its answer when the client is closed has so long.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);
/// The close handshake has so long (RFC 6455 §7.1.1).
const FAREWELL_WITHIN: Duration = Duration::from_secs(2);

/// How the session is to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) user: Option<UserId>,
    pub(crate) resource: Option<String>,
    pub(crate) presence: Option<PresenceUpdate>,
    /// Where the mailbox goes on.
    pub(crate) after: Option<Offset>,
    /// What is read from the beginning.
    pub(crate) streams: Vec<(Stream, Option<Offset>)>,
    /// The first session is there within this, or never.
    pub(crate) connect_within: Duration,
    /// The server's address, for errors.
    pub(crate) server: String,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// The token to connect with, and how long it lives; or why there is none, in words.
    Token(Result<Pass, String>),
    /// The connection is open.
    Opened,
    /// There is no connection.
    NotOpened(Error),
    /// A frame came.
    Heard(Heard),
    /// Another sign of life came.
    Alive,
    /// The connection ended; in words.
    Cut(String),
    /// The application wants something; the id is rising.
    Wanted(u64, Wanted),
    /// The application is done with a message.
    Acknowledged(Stream, u64),
    /// The application took no question: it has too much to do.
    NotTold(String),
    /// The application ends it.
    Close,
}

/// What the client shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pass {
    /// The key or token; none in developer mode.
    pub(crate) text: Option<String>,
    /// How long it is good for, when that is known.
    pub(crate) lives: Option<Duration>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Do {
    /// Get a token: answered by [`Input::Token`].
    FetchToken,
    /// Open a connection: answered by [`Input::Opened`] or [`Input::NotOpened`].
    Open,
    /// Send a frame.
    Send(Bytes),
    /// Send a ping.
    Ping,
    /// Let go of the connection.
    Drop,
    /// Send what waits and say goodbye: answered by [`Input::Cut`].
    Finish,
    /// Tell the application.
    Tell(Told),
    /// Reply to what it wanted.
    Reply(u64, Result<Reply, Error>),
    /// The first session is there, and reads what it was to read.
    Ready,
    /// It is over; nothing follows.
    End(Result<(), Error>),
}

/// What became of what the application wanted.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The frame that answers it.
    Answer(Bytes),
    /// The outcome of a question.
    Outcome(Iq),
    /// It is done.
    Done,
}

#[derive(Debug)]
enum Phase {
    Waiting { until: Duration },
    Fetching,
    Dialling,
    Greeting { until: Duration },
    Joined { since: Duration },
    Parting { until: Duration },
    Over,
}

/// A request that has no answer.
#[derive(Debug)]
struct Pending {
    frame: Bytes,
    sent: Option<Duration>,
    on_cut: OnCut,
}

/// What becomes of a request that was sent, when its connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnCut {
    /// It is sent again: doing it twice does it once.
    Again,
    /// It is not known what became of it.
    Unknown,
    /// The cut does it.
    Done,
}

/// A question that has no outcome.
#[derive(Debug)]
struct Question {
    frame: Bytes,
    sent: bool,
    until: Duration,
}

/// The session, over all its connections.
pub(crate) struct Plan {
    settings: Settings,
    random: Arc<dyn Random>,
    phase: Phase,
    backoff: Backoff,
    pass: Pass,
    readings: Vec<Reading>,
    /// By their marks, in the order in which they were asked.
    requests: BTreeMap<u64, Pending>,
    questions: BTreeMap<u64, Question>,
    /// The mark of the `auth` under way.
    renewal: Option<u64>,
    renew_at: Option<Duration>,
    own_marks: u64,
    tickets: u64,
    heard_at: Duration,
    pinged_at: Duration,
    ack_since: Option<Duration>,
    /// This session did something for the application: a request was answered, or a message came that had not come before.
    useful: bool,
    ready: bool,
    give_up_at: Duration,
    close_by: Option<Duration>,
    /// Why the last try failed.
    cause: String,
    out: VecDeque<Do>,
}

impl Plan {
    /// A session that begins to connect.
    pub(crate) fn new(settings: Settings, random: Arc<dyn Random>, now: Duration) -> Self {
        let mut readings = vec![Reading::new(Stream::Mailbox, settings.after)];
        let streams = settings.streams.iter().cloned();
        readings.extend(streams.map(|(stream, after)| Reading::new(stream, after)));
        let give_up_at = now + settings.connect_within;
        Self {
            settings,
            random,
            phase: Phase::Waiting { until: now },
            backoff: Backoff::new(BACKOFF_MIN, BACKOFF_MAX),
            pass: Pass::default(),
            readings,
            requests: BTreeMap::new(),
            questions: BTreeMap::new(),
            renewal: None,
            renew_at: None,
            own_marks: 0,
            tickets: 0,
            heard_at: now,
            pinged_at: now,
            ack_since: None,
            useful: false,
            ready: false,
            give_up_at,
            close_by: None,
            cause: "there was no time to try".to_owned(),
            out: VecDeque::new(),
        }
    }

    /// Takes what happened.
    pub(crate) fn take(&mut self, input: Input, now: Duration) {
        if matches!(self.phase, Phase::Over) {
            if let Input::Wanted(id, _) = input {
                self.out.push_back(Do::Reply(id, Err(Error::Closed)));
            }
            return;
        }
        match input {
            Input::Token(pass) => self.take_token(pass, now),
            Input::Opened => self.greet(now),
            Input::NotOpened(error) => self.not_opened(error, now),
            Input::Heard(heard) => self.hear(heard, now),
            Input::Alive => self.heard_at = now,
            Input::Cut(cause) => self.cut(cause, now),
            Input::Wanted(id, wanted) => self.want(id, wanted, now),
            Input::Acknowledged(stream, ticket) => self.acknowledged(&stream, ticket, now),
            Input::NotTold(id) => self.refuse_question(id),
            Input::Close => self.close(now),
        }
        self.go_on(now);
    }

    /// The next thing to do.
    pub(crate) fn next(&mut self) -> Option<Do> {
        self.out.pop_front()
    }

    /// When [`Plan::tick`] is to be called at the latest; `None`: nothing is due before something happens.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let joined = match &self.phase {
            Phase::Over => return None,
            Phase::Waiting { until } | Phase::Greeting { until } | Phase::Parting { until } => {
                Some(*until)
            }
            Phase::Fetching | Phase::Dialling => None,
            Phase::Joined { .. } => Some(self.due_while_joined()),
        };
        let give_up = (!self.ready).then_some(self.give_up_at);
        let questions = self.questions.values().map(|question| question.until);
        let times = [joined, give_up, self.close_by];
        times.into_iter().flatten().chain(questions).min()
    }

    fn due_while_joined(&self) -> Duration {
        let oldest = self.requests.values().find_map(|request| request.sent);
        let times = [
            Some(self.pinged_at + PING_EVERY),
            Some(self.heard_at + SILENCE_MAX),
            oldest.map(|sent| sent + ANSWER_WITHIN),
            self.ack_since.map(|since| since + ACK_DELAY),
            self.renew_at,
        ];
        let earliest = times.into_iter().flatten().min();
        earliest.unwrap_or(self.pinged_at + PING_EVERY)
    }

    /// Time went on.
    pub(crate) fn tick(&mut self, now: Duration) {
        self.end_questions(now);
        match self.phase {
            Phase::Over => return,
            Phase::Waiting { until } if until <= now => {
                self.phase = Phase::Fetching;
                self.out.push_back(Do::FetchToken);
            }
            Phase::Greeting { until } if until <= now => {
                let cause = "the server did not greet in time";
                self.lost(cause.to_owned(), now);
            }
            Phase::Parting { until } if until <= now => self.end(Ok(())),
            Phase::Joined { .. } => self.tick_joined(now),
            Phase::Waiting { .. }
            | Phase::Greeting { .. }
            | Phase::Parting { .. }
            | Phase::Fetching
            | Phase::Dialling => {}
        }
        if !self.ready && self.give_up_at <= now {
            self.end(Err(Error::Unreachable {
                server: self.settings.server.clone(),
                cause: self.cause.clone(),
            }));
        }
        if self.close_by.is_some_and(|by| by <= now) {
            self.end(Ok(()));
        }
        self.go_on(now);
    }

    fn tick_joined(&mut self, now: Duration) {
        if self.heard_at + SILENCE_MAX <= now {
            return self.lost("the server was silent for too long".to_owned(), now);
        }
        let oldest = self.requests.values().find_map(|request| request.sent);
        if oldest.is_some_and(|sent| sent + ANSWER_WITHIN <= now) {
            return self.lost("the server did not answer a request".to_owned(), now);
        }
        if self.pinged_at + PING_EVERY <= now {
            self.pinged_at = now;
            self.out.push_back(Do::Ping);
        }
        if self.ack_since.is_some_and(|since| since + ACK_DELAY <= now) {
            self.say_acknowledged();
        }
        if self.renew_at.is_some_and(|at| at <= now) {
            self.renew_at = None;
            self.out.push_back(Do::FetchToken);
        }
    }

    /// What follows from where it is, whatever happened: it is ready, or everything is done and it may close.
    fn go_on(&mut self, now: Duration) {
        let joined = matches!(self.phase, Phase::Joined { .. });
        let waits =
            |reading: &Reading| reading.stream != Stream::Mailbox && reading.state != State::Given;
        if joined && !self.ready && !self.readings.iter().any(waits) {
            self.ready = true;
            self.out.push_back(Do::Ready);
        }
        let waited_for = self.readings.iter().any(|reading| reading.asker.is_some())
            || !self.requests.is_empty()
            || !self.questions.is_empty();
        if self.close_by.is_none() || waited_for {
            return;
        }
        match self.phase {
            Phase::Joined { .. } => {
                self.say_acknowledged();
                self.out.push_back(Do::Finish);
                let until = now + FAREWELL_WITHIN;
                self.phase = Phase::Parting { until };
            }
            Phase::Parting { .. } | Phase::Over => {}
            Phase::Waiting { .. } | Phase::Fetching | Phase::Dialling | Phase::Greeting { .. } => {
                self.end(Ok(()));
            }
        }
    }

    fn close(&mut self, now: Duration) {
        if self.close_by.is_none() {
            self.close_by = Some(now + CLOSE_WITHIN);
        }
    }

    /// It is over.
    fn end(&mut self, how: Result<(), Error>) {
        if matches!(self.phase, Phase::Over) {
            return;
        }
        self.phase = Phase::Over;
        self.out.push_back(Do::Drop);
        let error = how.clone().err().unwrap_or(Error::Closed);
        let requests = std::mem::take(&mut self.requests).into_keys();
        let questions = std::mem::take(&mut self.questions).into_keys();
        let readings = self.readings.iter_mut();
        let askers = readings.filter_map(|reading| reading.asker.take());
        for mark in requests.chain(questions).chain(askers) {
            let reply = Do::Reply(app_id(mark), Err(error.clone()));
            self.out.push_back(reply);
        }
        self.out.push_back(Do::End(how));
    }

    fn send(&mut self, ask: &Ask, mark: Option<u64>) {
        self.out.push_back(Do::Send(ask.frame(mark)));
    }

    /// A mark of the client's own; those of the application's requests are even.
    const fn own_mark(&mut self) -> u64 {
        self.own_marks += 1;
        self.own_marks * 2 + 1
    }
}

/// The application's id of a mark.
const fn app_id(mark: u64) -> u64 {
    mark / 2
}

/// The mark of the application's id.
const fn mark_of(id: u64) -> u64 {
    id * 2
}
