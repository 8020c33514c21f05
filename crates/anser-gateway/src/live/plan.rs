//! The decisions about live clients: who gets what and when, what is acknowledged, who is paused and who is closed. Told
//! what happened and asked what to do; knows no clock, store or socket, so that every interleaving can be tried.
//!
//! A session is given events in its outbox. Messages go there straight from their commit while the session keeps up;
//! when it does not, they stay in the store, and the session asks for them again ([`Want`]) when it has room.

mod census;
mod departed;
mod following;
mod lifetime;
mod mailbox;
mod outbox;
mod presence;
mod question;
mod roster;
mod schedule;
mod sequence;
mod telling;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::id::{DeliveryId, Num, ResourceId};
use anser_core::live::{
    Acknowledgements, CloseReason, Closed, Event, Offset, Presence, PresenceUpdate,
};
use anser_core::name::UserId;

use super::{Facts, SessionView};
use census::Counts;
pub(crate) use departed::{Departed, Given};
use following::{Followed, Following};
use mailbox::Mailbox;
use outbox::Outbox;
use presence::Standing;
use question::Open;
use roster::Roster;
pub(crate) use schedule::due;
use sequence::Sequence;

pub use following::ROOM_NEWS_MAX;
pub(crate) use following::{Begin, NotFollowed, Why};
pub(crate) use outbox::{Taken, Want};
pub use outbox::{UNSENT_BYTES_MAX, WINDOW_BYTES, WINDOW_MESSAGES};
pub use presence::GRACE;
pub use question::{ANSWER_WITHIN, QUESTIONS_MAX};
pub(crate) use question::{NoAnswer, NotAsked, outcome};
pub(crate) use roster::Edge;
pub use roster::{CONTACTS_MAX, ROSTER_MAX};
pub(crate) use telling::Fresh;

/// A session whose client takes nothing for so long, although there is something to take, is closed as slow.
pub const STALL_MAX: Duration = Duration::from_secs(90);
/// Between two looks for sessions that take nothing.
const PATROL_EVERY: Duration = Duration::from_secs(15);

/// How many there may be at the same time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) sessions: usize,
    pub(crate) of_user: usize,
    pub(crate) subscriptions: usize,
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// A session has something to take.
    Wake(u64),
    /// A message of a mailbox has come to its end; [`Plan::settled`] is called when the store knows.
    Settle(MailEnd),
    /// Scheduled messages of this user have come due: the store is asked for them, for [`Plan::came_due`].
    Due(UserId),
    /// A user's presence is another than before.
    Transition(UserId, Presence),
}

/// The end of a message of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailEnd {
    pub(crate) user: UserId,
    pub(crate) offset: Offset,
    pub(crate) delivery: DeliveryId,
    /// It ran out of time; otherwise it was acknowledged.
    pub(crate) expired: bool,
}

/// What is to happen at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A scheduled message of the user comes due.
    Mail(UserId),
    /// A scheduled message of a topic comes due.
    Topic(ResourceId),
    /// A session's token is over.
    Expire(u64),
    /// The grace period of a user's session that was cut is over.
    Grace(UserId),
    /// The time for the answer to a question is over.
    Question(u64),
    /// A look for sessions that take nothing.
    Patrol,
}

/// A session to open.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) number: u64,
    pub(crate) user: Option<UserId>,
    pub(crate) resource: String,
    pub(crate) acks: Acknowledgements,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) presence: PresenceUpdate,
}

/// Why a session is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    TooMany,
    TooManyOfUser,
}

/// A session.
#[derive(Debug)]
struct Live {
    user: Option<UserId>,
    resource: Box<str>,
    outbox: Outbox,
    /// How far it has got in the mailbox of its user.
    mail: Option<MailCursor>,
    subs: Vec<Following>,
    presence: PresenceUpdate,
    /// Users that it sees by its own right.
    watches: Vec<UserId>,
    /// It was welcomed.
    begun: bool,
    /// It is over; only the last event is still to be taken.
    closed: bool,
}

/// How far a session has got in a mailbox.
#[derive(Debug, Clone, Copy)]
struct MailCursor {
    at: Offset,
    /// Nothing is behind it: what comes goes straight to the outbox.
    live: bool,
    /// What had ended up to here before the session began is not for it.
    began: Offset,
}

/// A user who is connected.
#[derive(Debug)]
struct User {
    /// In the order in which they began.
    sessions: Vec<u64>,
    mailbox: Mailbox,
    standing: Standing,
    /// Tells this stay from earlier ones.
    stay: u64,
}

/// Everything that is known of live clients.
#[derive(Debug)]
pub(crate) struct Plan {
    bounds: Bounds,
    sessions: HashMap<u64, Live>,
    /// Sessions that are not over.
    count: usize,
    users: HashMap<UserId, User>,
    departed: Departed,
    followed: HashMap<ResourceId, Followed>,
    roster: Roster,
    /// Sessions that see a user by their own right.
    watching: HashMap<UserId, Vec<u64>>,
    questions: HashMap<u64, Open>,
    last_question: u64,
    sequence: Sequence<Option<Fresh>>,
    timers: BTreeSet<(Timestamp, Timer)>,
    effects: Vec<Effect>,
    stays: u64,
    patrolling: bool,
    counts: Counts,
}

impl Plan {
    /// Nobody is connected; the next message has a number above `highest`.
    pub(crate) fn new(bounds: Bounds, highest: Num) -> Self {
        Self {
            bounds,
            sessions: HashMap::new(),
            count: 0,
            users: HashMap::new(),
            departed: Departed::default(),
            followed: HashMap::new(),
            roster: Roster::default(),
            watching: HashMap::new(),
            questions: HashMap::new(),
            last_question: 0,
            sequence: Sequence::above(highest),
            timers: BTreeSet::new(),
            effects: Vec::new(),
            stays: 0,
            patrolling: false,
            counts: Counts::default(),
        }
    }

    /// What is to be done since it was asked last.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Whether the user is connected, or was a moment ago.
    pub(crate) fn knows(&self, user: &UserId) -> bool {
        self.users.contains_key(user)
    }

    /// Whether nobody could miss a message that is not told of: without sessions there may still be users whose mailbox
    /// is held.
    pub(crate) fn is_deaf(&self) -> bool {
        self.count == 0 && self.users.is_empty()
    }

    /// Admits a session. It is given nothing before [`Plan::begin`]. Answers the stay of its user when the mailbox is to
    /// be read first, for [`Plan::load_mail`].
    pub(crate) fn admit(
        &mut self,
        admission: Admission,
        now: Timestamp,
    ) -> Result<Option<u64>, Refused> {
        if self.count >= self.bounds.sessions {
            return Err(Refused::TooMany);
        }
        let Admission { number, user, .. } = &admission;
        let mut stay = None;
        if let Some(user) = user {
            self.replace(user, &admission.resource, now);
            let known = self.users.entry(user.clone()).or_insert_with(|| {
                self.stays += 1;
                User {
                    sessions: Vec::new(),
                    mailbox: Mailbox::default(),
                    standing: Standing::default(),
                    stay: self.stays,
                }
            });
            if known.sessions.len() >= self.bounds.of_user {
                return Err(Refused::TooManyOfUser);
            }
            known.sessions.push(*number);
            stay = (!known.mailbox.is_loaded()).then_some(known.stay);
        }
        if let Some(at) = admission.expires_at {
            self.timers.insert((at, Timer::Expire(*number)));
        }
        if !self.patrolling {
            self.patrolling = true;
            self.timers.insert((now.plus(PATROL_EVERY), Timer::Patrol));
        }
        self.count += 1;
        self.sessions.insert(
            admission.number,
            Live {
                user: admission.user,
                resource: admission.resource.into(),
                outbox: Outbox::new(admission.acks, now),
                mail: None,
                subs: Vec::new(),
                presence: admission.presence,
                watches: Vec::new(),
                begun: false,
                closed: false,
            },
        );
        Ok(stay)
    }

    /// A session of the same user has this resource already: it is closed.
    fn replace(&mut self, user: &UserId, resource: &str, now: Timestamp) {
        let sessions = self.users.get(user).map(|user| user.sessions.clone());
        for number in sessions.into_iter().flatten() {
            let same = self.sessions.get(&number);
            if same.is_some_and(|live| *live.resource == *resource) {
                self.close(number, CloseReason::Replaced, None, now);
            }
        }
    }

    /// A session begins: `welcome` is its first event, and what was acknowledged by `after` is done.
    pub(crate) fn begin(
        &mut self,
        number: u64,
        after: Option<Offset>,
        welcome: Event,
        now: Timestamp,
    ) {
        let released = self.sequence.released();
        let Some(live) = self.sessions.get_mut(&number).filter(|live| !live.closed) else {
            return;
        };
        live.begun = true;
        live.outbox.push(welcome, now);
        self.effects.push(Effect::Wake(number));
        let Some(id) = live.user.clone() else {
            return;
        };
        let Some(user) = self.users.get_mut(&id) else {
            return;
        };
        user.standing.back(&live.resource);
        let high = user.mailbox.highest(released, now);
        // An offset of other data would keep everything from the client.
        let at = after.unwrap_or(Offset::START).min(high);
        user.mailbox.go_on_behind(at);
        let ended = user.mailbox.end_up_to(at, &live.resource);
        live.mail = Some(MailCursor {
            at,
            live: user.mailbox.behind(at).next().is_none(),
            began: Offset::at(high.num),
        });
        self.settle_acknowledged(number, ended);
        self.announce(&id, Some(number), now);
        self.greet(number, &id, now);
    }

    /// How many messages wait for a session that goes on behind `after`, which acknowledges those before it.
    pub(crate) fn waiting(&self, number: u64, after: Option<Offset>) -> usize {
        let Some(live) = self.sessions.get(&number) else {
            return 0;
        };
        let user = live.user.as_ref().and_then(|user| self.users.get(user));
        let after = after.unwrap_or(Offset::START);
        user.map_or(0, |user| user.mailbox.waiting_behind(after, &live.resource))
    }

    /// A session as operators see it.
    pub(crate) fn view(
        &self,
        number: u64,
        facts: &Facts,
        last_seen: Timestamp,
    ) -> Option<SessionView> {
        let live = self.sessions.get(&number).filter(|live| !live.closed)?;
        let (unacknowledged, unsent_bytes) = live.outbox.held();
        Some(SessionView {
            id: facts.id,
            user: live.user.clone(),
            resource: facts.resource.clone(),
            principal: facts.principal.clone(),
            transport: facts.transport,
            peer: facts.peer.clone(),
            since: facts.since,
            last_seen,
            presence: live.presence.clone(),
            subscriptions: live.subs.iter().map(|sub| sub.stream.to_string()).collect(),
            unacknowledged,
            unsent_bytes,
        })
    }

    /// Whether the session is there and not over.
    pub(crate) fn is_open(&self, number: u64) -> bool {
        self.sessions.get(&number).is_some_and(|live| !live.closed)
    }

    /// Ends a session; answers whether it was there and not over.
    pub(crate) fn close(
        &mut self,
        number: u64,
        reason: CloseReason,
        detail: Option<String>,
        now: Timestamp,
    ) -> bool {
        let Some(live) = self.sessions.get_mut(&number).filter(|live| !live.closed) else {
            return false;
        };
        live.closed = true;
        self.counts.closed(reason);
        live.outbox
            .finish(Event::Closed(Closed { reason, detail }), now);
        self.effects.push(Effect::Wake(number));
        self.count -= 1;
        let (subs, watches) = (
            std::mem::take(&mut live.subs),
            std::mem::take(&mut live.watches),
        );
        let (mail, user) = (live.mail.take(), live.user.clone());
        let haunting = reason.is_ungraceful() && live.begun;
        let (resource, said) = (live.resource.clone(), live.presence.clone());
        for sub in subs {
            self.unfollow(number, sub.topic, now);
        }
        for watched in watches {
            self.unwatch(number, &watched);
        }
        self.forget_questions(number, now);
        if let Some(id) = user {
            if let Some(user) = self.users.get_mut(&id) {
                user.sessions.retain(|other| *other != number);
                if let Some(cursor) = mail {
                    user.mailbox.doubt(cursor.at);
                }
            }
            if haunting {
                self.haunt(&id, resource, said, now);
            }
            self.announce(&id, None, now);
            self.seen_further(&id);
        }
        true
    }

    /// Nobody holds the session any more.
    pub(crate) fn drop_session(&mut self, number: u64, now: Timestamp) {
        self.close(number, CloseReason::Lost, None, now);
        self.sessions.remove(&number);
    }

    /// Every session that is not over.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let open = self.sessions.iter().filter(|(_, live)| !live.closed);
        open.map(|(number, _)| *number).collect()
    }

    /// The sessions of a user, in the order in which they began.
    pub(crate) fn sessions_of(&self, user: &str) -> Vec<u64> {
        self.users
            .get(user)
            .map_or_else(Vec::new, |user| user.sessions.clone())
    }

    /// How it stands between the one who sees and the one who is seen.
    pub(crate) fn edge(&self, watcher: &UserId, watched: &UserId) -> Option<Edge> {
        self.roster.edge(watcher, watched)
    }

    /// Whether another edge fits in.
    pub(crate) fn has_room_for_edge(&self, watcher: &UserId, watched: &UserId) -> bool {
        self.roster.has_room(watcher, watched)
    }

    /// The store knows how it stands between the two; `None`: not at all.
    pub(crate) fn set_edge(&mut self, watcher: &UserId, watched: &UserId, edge: Option<Edge>) {
        self.roster.set(watcher, watched, edge);
    }

    /// The sessions of a user that have begun, or the one of that resource.
    pub(crate) fn begun_of(&self, user: &str, resource: Option<&str>) -> Vec<u64> {
        let begun = |number: &u64| {
            let live = self.sessions.get(number);
            live.is_some_and(|live| {
                live.begun && resource.is_none_or(|only| *live.resource == *only)
            })
        };
        let mut sessions = self.sessions_of(user);
        sessions.retain(begun);
        sessions
    }

    /// When the time is to be told next.
    pub(crate) fn next_alarm(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The time now.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.timers.first()
            && *at <= now
        {
            let Some((_, timer)) = self.timers.pop_first() else {
                return;
            };
            match timer {
                Timer::Mail(user) => {
                    if self.users.contains_key(&user) {
                        self.effects.push(Effect::Due(user));
                    }
                }
                Timer::Topic(topic) => self.topic_due(topic, now),
                Timer::Expire(number) => {
                    let detail = "the token's time is over; connect again with a new one";
                    self.close(number, CloseReason::Expired, Some(detail.to_owned()), now);
                }
                Timer::Grace(user) => self.exorcise(&user, now),
                Timer::Question(key) => self.question_over(key, now),
                Timer::Patrol => self.patrol(now),
            }
        }
    }

    /// Closes sessions whose clients take nothing.
    fn patrol(&mut self, now: Timestamp) {
        let stalled: Vec<u64> = self
            .sessions
            .iter()
            .filter(|(_, live)| !live.closed && live.outbox.waits_since(now) >= STALL_MAX)
            .map(|(number, _)| *number)
            .collect();
        for number in stalled {
            let detail = format!(
                "the client took nothing for {} seconds; connect again and go on from the last offset",
                STALL_MAX.as_secs()
            );
            self.close(number, CloseReason::Slow, Some(detail), now);
        }
        self.patrolling = self.count > 0;
        if self.patrolling {
            self.timers.insert((now.plus(PATROL_EVERY), Timer::Patrol));
        }
    }
}
