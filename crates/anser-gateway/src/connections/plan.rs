//! What is decided about a channel's connection over all its lives: when it is deaf, when the next one begins, what the journal
//! says and what the operator is told. Told what happened and when; pure. Must not connect, store, wait or know a platform.

mod report;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::connection::{Again, Loss, Recovery};

use super::backoff::Backoff;
use super::entry::{Cause, Gap, JournalEntry, JournalEvent};
use super::rate::Rate;
use super::view::{ConnectionState, LinkView};

pub(crate) use report::Report;

/// How long a connection may take to become live.
pub(crate) const LIVE_WITHIN: Duration = Duration::from_secs(120);
/// How often what the journal counts is brought up to date: what a crash may leave in the dark.
pub(crate) const MARK_EVERY: Duration = Duration::from_secs(30);
/// Characters of a reason in words.
const DETAIL_CHARS_MAX: usize = 500;

/// The time, as both clocks tell it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// For people.
    pub(crate) wall: Timestamp,
    /// For measuring.
    pub(crate) mono: Duration,
}

/// What is to be done, in order.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// Write this to the journal, in the place of the entry of this number if there is one.
    Write(JournalEntry),
    /// Tell the operator.
    Report(Report),
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Why.
    pub(crate) loss: Loss,
    /// More, in words.
    pub(crate) detail: String,
    /// When the next one begins.
    pub(crate) again: Again,
}

/// A connection that is live.
#[derive(Debug)]
struct Live {
    since: Duration,
    /// Its entry, as brought up to date.
    entry: JournalEntry,
    events: u64,
    /// When the journal was brought up to date, and what `events` was then.
    marked: (Duration, u64),
}

/// One channel's connection.
#[derive(Debug)]
pub(crate) struct Plan {
    silence_max: Duration,
    state: ConnectionState,
    since: Timestamp,
    next_try: Option<Timestamp>,
    /// Why it is not live, the last reason of this gap.
    cause: Option<(Loss, String)>,
    began: Duration,
    live: Option<Live>,
    /// Frames are read, and nothing is being stored. Else silence says nothing.
    listening: bool,
    heard: Duration,
    last_heard: Option<Timestamp>,
    last_event: Option<Timestamp>,
    events: u64,
    /// Since when it is not live; `None`: it never was.
    lost_at: Option<Timestamp>,
    /// Attempts in this gap that failed.
    tries: u64,
    /// The entry of those.
    failed: Option<JournalEntry>,
    /// The operator was told of this gap.
    reported: bool,
    /// What this connection could not read, and whether the journal does not say so yet.
    unread: Option<(JournalEntry, bool)>,
    backoff: Backoff,
    rate: Rate,
    next_number: u64,
}

impl Plan {
    /// Of a channel whose journal is not known yet.
    pub(crate) fn new(silence_max: Duration, now: Now) -> Self {
        Self {
            silence_max,
            state: ConnectionState::Connecting,
            since: now.wall,
            next_try: None,
            cause: None,
            began: now.mono,
            live: None,
            listening: true,
            heard: now.mono,
            last_heard: None,
            last_event: None,
            events: 0,
            lost_at: None,
            tries: 0,
            failed: None,
            reported: false,
            unread: None,
            backoff: Backoff::default(),
            rate: Rate::default(),
            next_number: 1,
        }
    }

    /// Goes on where the journal ends. `newest`: its newest entries, the newest first.
    pub(crate) fn recall(&mut self, newest: &[JournalEntry], now: Now) -> Vec<Effect> {
        self.rate = recent_rate(newest);
        self.next_number = newest.first().map_or(1, |entry| entry.number + 1);
        let last = newest
            .iter()
            .find(|entry| !matches!(entry.event, JournalEvent::Unread { .. }));
        let Some(last) = last else {
            return Vec::new();
        };
        match &last.event {
            JournalEvent::Live { seen_at, .. } => {
                // Nobody wrote that it ended: the gateway was gone.
                self.lost_at = Some(*seen_at);
                let away = JournalEvent::Away { until: now.wall };
                return vec![Effect::Write(self.entry(*seen_at, away))];
            }
            JournalEvent::Lost { reported, .. } => {
                self.lost_at = Some(gap_begins(last.at, &last.event));
                self.reported = *reported;
            }
            JournalEvent::Failed {
                tries,
                lost_at,
                reported,
                ..
            } => {
                self.lost_at = *lost_at;
                self.tries = *tries;
                self.reported = *reported;
                self.failed = Some(last.clone());
            }
            JournalEvent::Away { .. } | JournalEvent::Unread { .. } => {
                self.lost_at = Some(last.at);
            }
        }
        Vec::new()
    }

    /// A connection begins.
    pub(crate) fn begin(&mut self, now: Now) {
        self.turn(ConnectionState::Connecting, now);
        self.next_try = None;
        self.began = now.mono;
        self.heard = now.mono;
        self.listening = true;
    }

    /// Events can come from now on.
    pub(crate) fn live(
        &mut self,
        session: Option<String>,
        recovery: Recovery,
        now: Now,
    ) -> Vec<Effect> {
        if self.live.is_some() {
            return Vec::new();
        }
        let tries = self.tries + 1;
        let gap = self.lost_at.map(|since| self.gap(since, recovery, now));
        let event = JournalEvent::Live {
            session: session.clone(),
            tries,
            gap,
            seen_at: now.wall,
            events: 0,
        };
        let entry = self.entry(now.wall, event);
        let mut effects = vec![Effect::Write(entry.clone())];
        if self.reported {
            let report = Report::restored(session.as_deref(), tries, gap, now.wall);
            effects.push(Effect::Report(report));
        }
        self.live = Some(Live {
            since: now.mono,
            entry,
            events: 0,
            marked: (now.mono, 0),
        });
        self.turn(ConnectionState::Live, now);
        self.heard(now);
        self.cause = None;
        self.tries = 0;
        self.failed = None;
        self.reported = false;
        effects
    }

    /// Something came: a frame, an answer.
    pub(crate) fn heard(&mut self, now: Now) {
        self.heard = now.mono;
        self.last_heard = Some(now.wall);
    }

    /// Whether silence says something from now on.
    pub(crate) fn listen(&mut self, listening: bool, now: Now) {
        if listening && !self.listening {
            self.heard = now.mono;
        }
        self.listening = listening;
    }

    /// So many events were stored.
    pub(crate) fn stored(&mut self, events: u64, now: Now) {
        self.last_event = Some(now.wall);
        self.events += events;
        if let Some(live) = &mut self.live {
            live.events += events;
        }
    }

    /// Something came that cannot be read.
    pub(crate) fn unread(&mut self, detail: &str, now: Now) -> Vec<Effect> {
        let shown = shortened(detail);
        if let Some((entry, waits)) = &mut self.unread {
            if let JournalEvent::Unread {
                count,
                last_at,
                detail,
            } = &mut entry.event
            {
                (*count, *last_at, *detail) = (*count + 1, now.wall, shown);
            }
            // Written with the next mark: anybody may send many.
            *waits = true;
            return Vec::new();
        }
        let event = JournalEvent::Unread {
            count: 1,
            last_at: now.wall,
            detail: shown,
        };
        let entry = self.entry(now.wall, event);
        self.unread = Some((entry.clone(), false));
        vec![Effect::Write(entry)]
    }

    /// When [`Plan::tick`] has something to say about this connection at the earliest, if nothing happens before.
    pub(crate) fn next_tick(&self, now: Now) -> Duration {
        let due = match &self.live {
            None => self.began + LIVE_WITHIN,
            Some(live) if self.listening => {
                (live.marked.0 + MARK_EVERY).min(self.heard + self.silence_max)
            }
            Some(live) => live.marked.0 + MARK_EVERY,
        };
        due.saturating_sub(now.mono)
    }

    /// Time has passed: what is to be written, and whether the connection is at its end.
    pub(crate) fn tick(&mut self, now: Now) -> (Vec<Effect>, Option<Ending>) {
        let Some(live) = &self.live else {
            let late = now.mono >= self.began + LIVE_WITHIN;
            let detail = format!("it was not live within {} s", LIVE_WITHIN.as_secs());
            let ending = late.then(|| Ending::network(detail));
            return (Vec::new(), ending);
        };
        if self.listening && now.mono >= self.heard + self.silence_max {
            let silent = now.mono.saturating_sub(self.heard).as_secs();
            let ending = Ending {
                loss: Loss::Deaf,
                detail: format!(
                    "nothing came for {silent} s; something must come every {} s",
                    self.silence_max.as_secs()
                ),
                again: Again::AtOnce,
            };
            return (Vec::new(), Some(ending));
        }
        if now.mono >= live.marked.0 + MARK_EVERY {
            return (self.mark(now), None);
        }
        (Vec::new(), None)
    }

    /// The connection ended. Answers how long to wait before the next one; `unit` is a random number from 0 up to 1.
    pub(crate) fn lost(&mut self, ending: Ending, unit: f64, now: Now) -> (Vec<Effect>, Duration) {
        let Ending {
            loss,
            detail,
            again,
        } = ending;
        let detail = shortened(&detail);
        let lived = self
            .live
            .as_ref()
            .map(|live| now.mono.saturating_sub(live.since));
        let wait = self.backoff.wait(again, lived, unit);
        let next_try = now.wall.plus(wait);
        let mut effects = self.mark(now);
        let told = match self.live.take() {
            Some(live) => self.note_lost(&live, loss, &detail, now, &mut effects),
            None => self.note_failed(loss, &detail, now, &mut effects),
        };
        if told {
            let at = self.lost_at.unwrap_or(now.wall);
            let report = Report::lost(loss, &detail, at, self.tries, next_try);
            effects.push(Effect::Report(report));
        }
        self.unread = None;
        let state = match loss {
            Loss::Refused => ConnectionState::Refused,
            _ => ConnectionState::Waiting,
        };
        self.turn(state, now);
        self.next_try = Some(next_try);
        self.cause = Some((loss, detail));
        (effects, wait)
    }

    /// The connection is ended from this side, as `why` says: by a change, an operator or the gateway's end.
    pub(crate) fn stopped(&mut self, why: &str, now: Now) -> Vec<Effect> {
        let mut effects = self.mark(now);
        if let Some(live) = self.live.take() {
            self.note_lost(&live, Loss::Stopped, why, now, &mut effects);
        }
        self.unread = None;
        effects
    }

    /// As an operator sees it.
    pub(crate) fn view(&self) -> LinkView {
        let session = self.live.as_ref().and_then(|live| match &live.entry.event {
            JournalEvent::Live { session, .. } => session.clone(),
            _ => None,
        });
        LinkView {
            state: self.state,
            since: self.since,
            session,
            last_heard: self.last_heard,
            last_event: self.last_event,
            events: self.events,
            lost_at: self.lost_at.filter(|_| self.live.is_none()),
            tries: self.tries,
            next_try: self.next_try,
            reason: self.cause.as_ref().map(|(loss, _)| *loss),
            detail: self.cause.as_ref().map(|(_, detail)| detail.clone()),
        }
    }

    fn turn(&mut self, state: ConnectionState, now: Now) {
        self.state = state;
        self.since = now.wall;
    }

    fn entry(&mut self, at: Timestamp, event: JournalEvent) -> JournalEntry {
        let number = self.next_number;
        self.next_number += 1;
        JournalEntry { number, at, event }
    }

    fn gap(&self, since: Timestamp, recovery: Recovery, now: Now) -> Gap {
        let lasted = now.wall.since(since);
        Gap {
            since,
            ms: millis(lasted),
            recovery,
            missed_estimate: match recovery {
                Recovery::Resumed => 0,
                Recovery::Redelivered | Recovery::Missed => self.rate.expected(lasted),
            },
        }
    }

    /// Brings what the journal counts up to date.
    fn mark(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(live) = &mut self.live {
            let (marked, before) = live.marked;
            self.rate
                .note(live.events - before, now.mono.saturating_sub(marked));
            live.marked = (now.mono, live.events);
            if let JournalEvent::Live {
                seen_at, events, ..
            } = &mut live.entry.event
            {
                (*seen_at, *events) = (now.wall, live.events);
            }
            effects.push(Effect::Write(live.entry.clone()));
        }
        if let Some((entry, waits)) = &mut self.unread
            && std::mem::take(waits)
        {
            effects.push(Effect::Write(entry.clone()));
        }
        effects
    }

    /// Whether the operator is to be told.
    fn note_lost(
        &mut self,
        live: &Live,
        loss: Loss,
        detail: &str,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> bool {
        // What the platform or the operator asks for is no trouble, unless nothing comes after it.
        let reported = !matches!(loss, Loss::Asked | Loss::Stopped);
        let event = JournalEvent::Lost {
            reason: loss,
            detail: detail.to_owned(),
            live_ms: millis(now.mono.saturating_sub(live.since)),
            events: live.events,
            last_heard: self.last_heard,
            reported,
        };
        self.lost_at = Some(gap_begins(now.wall, &event));
        self.tries = 0;
        self.reported = reported;
        effects.push(Effect::Write(self.entry(now.wall, event)));
        reported
    }

    /// Whether the operator is to be told.
    fn note_failed(
        &mut self,
        loss: Loss,
        detail: &str,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> bool {
        self.tries += 1;
        let cause = Cause {
            reason: loss,
            tries: 1,
            last_at: now.wall,
            detail: detail.to_owned(),
        };
        let told = !std::mem::replace(&mut self.reported, true);
        match &mut self.failed {
            Some(entry) => add_failure(entry, cause),
            None => {
                let event = JournalEvent::Failed {
                    tries: 1,
                    last_at: now.wall,
                    causes: vec![cause],
                    lost_at: self.lost_at,
                    reported: true,
                };
                self.failed = Some(self.entry(now.wall, event));
            }
        }
        effects.extend(self.failed.clone().map(Effect::Write));
        told
    }
}

impl Ending {
    /// The network broke it, or it could not be made.
    pub(crate) fn network(detail: impl Into<String>) -> Self {
        Self {
            loss: Loss::Network,
            detail: detail.into(),
            again: Again::Backoff,
        }
    }

    /// What was asked of the gateway breaks its bounds.
    pub(crate) fn protocol(detail: impl Into<String>) -> Self {
        Self {
            loss: Loss::Protocol,
            detail: detail.into(),
            again: Again::Backoff,
        }
    }
}

/// One more failure in the entry of a gap.
fn add_failure(entry: &mut JournalEntry, cause: Cause) {
    let JournalEvent::Failed {
        tries,
        last_at,
        causes,
        reported,
        ..
    } = &mut entry.event
    else {
        return;
    };
    *tries += 1;
    *last_at = cause.last_at;
    *reported = true;
    match causes.iter_mut().find(|known| known.reason == cause.reason) {
        Some(known) => {
            known.tries += 1;
            known.last_at = cause.last_at;
            known.detail = cause.detail;
        }
        None => causes.push(cause),
    }
}

/// A deaf connection was gone before that was noticed.
fn gap_begins(at: Timestamp, lost: &JournalEvent) -> Timestamp {
    match lost {
        JournalEvent::Lost {
            reason: Loss::Deaf,
            last_heard,
            ..
        } => last_heard.unwrap_or(at),
        _ => at,
    }
}

/// The rate of events by what the journal says of earlier connections.
fn recent_rate(newest: &[JournalEntry]) -> Rate {
    let mut rate = Rate::default();
    for entry in newest.iter().rev() {
        if let JournalEvent::Live {
            seen_at, events, ..
        } = &entry.event
        {
            rate.note(*events, seen_at.since(entry.at));
        }
    }
    rate
}

fn shortened(words: &str) -> String {
    words.chars().take(DETAIL_CHARS_MAX).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
