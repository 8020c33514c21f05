//! What sessions read beside the mailbox: topics and rooms. Who has read everything is told from the commit; who has not
//! reads from the store until nothing is behind it, so that there is no gap at the seam and nothing twice.

use std::sync::Arc;

use anser_core::Timestamp;
use anser_core::id::{Num, ResourceId};
use anser_core::live::{Event, IbEvent, Offset, Scheduled, Stream};
use anser_core::store::MessageRow;

use serde_json::json;

use super::outbox::Source;
use super::schedule::{Schedule, times};
use super::telling::{Told, given, message};
use super::{Effect, Plan};

/// Sessions in a room beyond which its comings and goings are not told: each would be told to all.
pub const ROOM_NEWS_MAX: usize = 200;

/// A stream that a session reads.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) topic: ResourceId,
    pub(super) stream: Stream,
    /// Everything up to here was given, apart from what was scheduled.
    pub(super) at: Num,
    /// Everything scheduled up to here was given.
    pub(super) shown: Scheduled,
    /// What was scheduled up to here may have been given before.
    pub(super) doubt: Timestamp,
    /// What was scheduled up to here is to be given next, before what has numbers behind `at`.
    pub(super) turn: Option<Timestamp>,
    /// What is scheduled is known.
    pub(super) ready: bool,
    /// Nothing is behind it: what comes goes straight to the outbox.
    pub(super) live: bool,
}

/// Where a session begins to read a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begin {
    /// Behind this message; `None`: behind all that is known.
    pub(crate) after: Option<Num>,
    /// Behind this scheduled message.
    pub(crate) shown: Scheduled,
    /// What was scheduled up to here may have been given before.
    pub(crate) doubt: Timestamp,
}

impl Begin {
    /// With what comes from now on.
    pub(crate) const fn at(now: Timestamp) -> Self {
        Self {
            after: None,
            shown: Scheduled {
                place: now,
                num: Num(u64::MAX),
            },
            doubt: Timestamp::EPOCH,
        }
    }
}

impl Following {
    /// Whether it is of this stream, whatever the case of its name.
    pub(super) fn is_of(&self, stream: &Stream) -> bool {
        match (&self.stream, stream) {
            (Stream::Topic(one), Stream::Topic(other))
            | (Stream::Room(one), Stream::Room(other)) => one.eq_ignore_ascii_case(other),
            (one, other) => one == other,
        }
    }
}

/// A topic that sessions read.
#[derive(Debug)]
pub(super) struct Followed {
    stream: Stream,
    /// In the order in which they began.
    pub(super) readers: Vec<u64>,
    /// The last message that was told since somebody reads it.
    pub(super) last: Num,
    pub(super) schedule: Schedule,
}

/// Why a stream is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotFollowed {
    /// The session is over.
    Over,
    /// It reads too many.
    TooMany,
}

/// Why a session does not read a stream any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It was deleted.
    Gone,
    /// The session may not any more.
    NotAllowed,
}

impl Plan {
    /// A session reads a topic, which is the topic of a room when `stream` is one; answers behind what, and since when the
    /// store is to be asked for what is scheduled, for [`Plan::know_schedule`]. A stream that it reads already goes on from
    /// there.
    pub(crate) fn follow(
        &mut self,
        number: u64,
        topic: ResourceId,
        stream: Stream,
        begin: Begin,
        now: Timestamp,
    ) -> Result<(Num, Option<Timestamp>), NotFollowed> {
        // What was committed before may have been told of to nobody, as nobody was there.
        let at = begin.after.unwrap_or_else(|| self.sequence.known());
        let live = self.sessions.get_mut(&number).filter(|live| !live.closed);
        let live = live.ok_or(NotFollowed::Over)?;
        let place = live.subs.iter().position(|sub| sub.topic == topic);
        if place.is_none() && live.subs.len() >= self.bounds.subscriptions {
            return Err(NotFollowed::TooMany);
        }
        let followed = self.followed.entry(topic).or_insert_with(|| Followed {
            stream: stream.clone(),
            readers: Vec::new(),
            last: Num(0),
            schedule: Schedule::default(),
        });
        let ready = followed.schedule.covers(begin.shown.place);
        let sub = Following {
            topic,
            stream,
            at,
            shown: begin.shown,
            doubt: begin.doubt,
            turn: None,
            ready,
            live: ready && begin.after.is_none(),
        };
        self.effects.push(Effect::Wake(number));
        if let Some(place) = place {
            live.outbox.give_up(Source::Topic(topic));
            live.subs[place] = sub;
        } else {
            live.subs.push(sub);
            followed.readers.push(number);
            self.came(number, topic, now);
        }
        Ok((at, (!ready).then_some(begin.shown.place)))
    }

    /// A session reads a stream no more; answers whether it did.
    pub(crate) fn stop_following(&mut self, number: u64, stream: &Stream, now: Timestamp) -> bool {
        let Some(live) = self.sessions.get_mut(&number) else {
            return false;
        };
        let Some(place) = live.subs.iter().position(|sub| sub.is_of(stream)) else {
            return false;
        };
        let topic = live.subs.remove(place).topic;
        live.outbox.give_up(Source::Topic(topic));
        self.unfollow(number, topic, now);
        self.effects.push(Effect::Wake(number));
        true
    }

    /// A session may not read a stream any more, and is told why.
    pub(crate) fn put_out(&mut self, number: u64, topic: ResourceId, why: Why, now: Timestamp) {
        let sub = self
            .sessions
            .get(&number)
            .and_then(|live| live.subs.iter().find(|sub| sub.topic == topic));
        let Some(stream) = sub.map(|sub| sub.stream.clone()) else {
            return;
        };
        self.stop_following(number, &stream, now);
        let why = match why {
            Why::Gone => "gone",
            Why::NotAllowed => "not_allowed",
        };
        let event = news("unsubscribed", json!({"stream": stream, "reason": why}));
        self.push(number, event, now);
    }

    pub(super) fn unfollow(&mut self, number: u64, topic: ResourceId, now: Timestamp) {
        let Some(followed) = self.followed.get_mut(&topic) else {
            return;
        };
        followed.readers.retain(|reader| *reader != number);
        let (stream, readers) = (followed.stream.clone(), followed.readers.clone());
        if readers.is_empty() {
            self.followed.remove(&topic);
        } else if let Stream::Room(room) = stream {
            self.tell_room(&room, "room.left", number, &readers, now);
        }
    }

    /// A session reads a stream: in a room the others are told, and it is told who they are.
    fn came(&mut self, number: u64, topic: ResourceId, now: Timestamp) {
        let Some(followed) = self.followed.get(&topic) else {
            return;
        };
        let Stream::Room(room) = followed.stream.clone() else {
            return;
        };
        let readers = followed.readers.clone();
        if readers.len() > ROOM_NEWS_MAX {
            return;
        }
        let there: Vec<serde_json::Value> = readers
            .iter()
            .filter_map(|reader| self.who(*reader))
            .collect();
        let data = json!({"room": room, "there": there});
        self.push(number, news("room.joined.self", data), now);
        let others: Vec<u64> = readers
            .into_iter()
            .filter(|reader| *reader != number)
            .collect();
        self.tell_room(&room, "room.joined", number, &others, now);
    }

    fn tell_room(&mut self, room: &str, kind: &str, number: u64, to: &[u64], now: Timestamp) {
        if to.len() > ROOM_NEWS_MAX {
            return;
        }
        let Some(who) = self.who(number) else {
            return;
        };
        let event = news(kind, json!({"room": room, "who": who}));
        for reader in to {
            self.push(*reader, event.clone(), now);
        }
    }

    fn who(&self, number: u64) -> Option<serde_json::Value> {
        let live = self.sessions.get(&number)?;
        Some(json!({"user": live.user, "resource": live.resource}))
    }

    /// Whether anybody reads the topic.
    pub(crate) fn is_followed(&self, topic: ResourceId) -> bool {
        self.followed.contains_key(&topic)
    }

    /// Who reads the topic.
    pub(crate) fn readers(&self, topic: ResourceId) -> Vec<u64> {
        let followed = self.followed.get(&topic);
        followed.map_or_else(Vec::new, |followed| followed.readers.clone())
    }

    /// A message of a topic, to those who have read all before it.
    pub(super) fn tell_followers(&mut self, topic: ResourceId, told: &Told<'_>, now: Timestamp) {
        let Some(followed) = self.followed.get_mut(&topic) else {
            return;
        };
        followed.last = followed.last.max(told.num);
        let (source, offset) = (Source::Topic(topic), Offset::at(told.num));
        let event = message(followed.stream.clone(), offset, told, None);
        for number in &followed.readers {
            let Some(live) = self.sessions.get_mut(number) else {
                continue;
            };
            let room = live.outbox.room();
            let Some(sub) = live.subs.iter_mut().find(|sub| sub.topic == topic) else {
                continue;
            };
            if !sub.live || told.num <= sub.at {
                continue;
            }
            // What was scheduled and is due comes first, and is in the store.
            let due = followed.schedule.is_due(sub.shown, now);
            sub.turn = due.then_some(now);
            if due || room == 0 {
                sub.live = false;
                self.effects.push(Effect::Wake(*number));
                continue;
            }
            sub.at = told.num;
            let event = if sub.stream == followed.stream {
                Event::Message(Arc::clone(&event))
            } else {
                Event::Message(message(sub.stream.clone(), offset, told, None))
            };
            live.outbox.give(event, given(source, offset, told), now);
            self.effects.push(Effect::Wake(*number));
        }
    }

    /// What a session wanted of a topic behind `after`; `all`: there was nothing more in the store.
    pub(crate) fn loaded_topic(
        &mut self,
        number: u64,
        topic: ResourceId,
        after: Num,
        rows: &[MessageRow],
        all: bool,
        now: Timestamp,
    ) {
        let Some(live) = self.sessions.get_mut(&number) else {
            return;
        };
        let Some(sub) = live.subs.iter_mut().find(|sub| sub.topic == topic) else {
            return;
        };
        if sub.live || sub.at != after {
            return;
        }
        let Some(followed) = self.followed.get(&topic) else {
            return;
        };
        let (schedule, mut met) = (&followed.schedule, Vec::new());
        for row in rows {
            let told = Told {
                num: row.num,
                id: row.id,
                document: &row.document,
            };
            let times = times(row);
            if let Some(due) = times.not_before.filter(|due| *due > row.time) {
                met.push((row.num, due));
                sub.at = row.num;
                continue;
            }
            if schedule.is_due(sub.shown, row.time) {
                sub.turn = Some(row.time);
                break;
            }
            let offset = Offset::at(row.num);
            sub.at = row.num;
            if times.are_over(now) {
                continue;
            }
            let event = message(sub.stream.clone(), offset, &told, None);
            let given = given(Source::Topic(topic), offset, &told);
            live.outbox.give(Event::Message(event), given, now);
        }
        if sub.turn.is_none() && all && followed.last <= sub.at {
            let due = schedule.is_due(sub.shown, now);
            (sub.live, sub.turn) = (!due, due.then_some(now));
        }
        self.meet_scheduled(topic, &met, now);
    }
}

fn news(kind: &str, data: serde_json::Value) -> Event {
    Event::Ib(Arc::new(IbEvent {
        kind: kind.to_owned(),
        data,
    }))
}
