//! What the readers of a stream are to be shown later: messages that were accepted and whose time has yet to come, and those
//! whose time came, for readers who were away. Numbers and times; the messages stay in the store.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::id::{Num, ResourceId};
use anser_core::live::{Event, Offset, Scheduled};
use anser_core::store::MessageRow;

use super::departed::Doubt;
use super::outbox::{Source, Want};
use super::telling::{Told, given, message, possible_duplicate};
use super::{Effect, Plan, Timer};

/// Scheduled messages of one topic that are held; past it those whose time came first go, and readers who were away for so
/// many of them are not shown them.
const SCHEDULED_MAX: usize = 100_000;

/// The scheduled messages of a topic that somebody reads.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// Everything is here whose time comes after this; `None`: only what was accepted since somebody reads the topic.
    since: Option<Timestamp>,
    order: BTreeSet<Scheduled>,
    places: HashMap<Num, Timestamp>,
}

impl Schedule {
    /// Whether everything is here whose time comes after `since`.
    pub(super) fn covers(&self, since: Timestamp) -> bool {
        self.since.is_some_and(|known| known <= since)
    }

    /// Adds a message, unless it is here.
    fn add(&mut self, num: Num, place: Timestamp) {
        if self.places.contains_key(&num) {
            return;
        }
        self.places.insert(num, place);
        self.order.insert(Scheduled { place, num });
        if self.order.len() > SCHEDULED_MAX
            && let Some(first) = self.order.pop_first()
        {
            self.places.remove(&first.num);
        }
    }

    /// It is not there any more.
    fn remove(&mut self, scheduled: Scheduled) {
        self.order.remove(&scheduled);
        self.places.remove(&scheduled.num);
    }

    /// Those behind `shown`, in order.
    fn behind(&self, shown: Scheduled) -> impl Iterator<Item = Scheduled> {
        let behind = (Bound::Excluded(shown), Bound::Unbounded);
        self.order.range(behind).copied()
    }

    /// Whether the time of one behind `shown` has come at `until`.
    pub(super) fn is_due(&self, shown: Scheduled, until: Timestamp) -> bool {
        let next = self.behind(shown).next();
        next.is_some_and(|next| next.place <= until)
    }

    /// When the next time comes after `now`.
    fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let shown = Scheduled {
            place: now,
            num: Num(u64::MAX),
        };
        self.behind(shown).next().map(|next| next.place)
    }
}

impl Plan {
    /// A message of a topic was told of that is to be shown later.
    pub(super) fn schedule(&mut self, topic: ResourceId, num: Num, due: Timestamp, now: Timestamp) {
        let Some(followed) = self.followed.get_mut(&topic) else {
            return;
        };
        // Who reads along was shown what came due until now.
        let place = if due > now {
            due
        } else {
            now.plus(Duration::from_millis(1))
        };
        followed.schedule.add(num, place);
        followed.last = followed.last.max(num);
        self.timers.insert((place, Timer::Topic(topic)));
        for number in &followed.readers {
            let live = self.sessions.get_mut(number);
            let sub = live.and_then(|live| live.subs.iter_mut().find(|sub| sub.topic == topic));
            if let Some(sub) = sub.filter(|sub| sub.live) {
                sub.at = sub.at.max(num);
            }
        }
    }

    /// The store was asked for the scheduled messages of a topic whose time comes after `since`; the session may begin to
    /// read it.
    pub(crate) fn know_schedule(
        &mut self,
        number: u64,
        topic: ResourceId,
        since: Timestamp,
        known: &[(Num, Timestamp)],
        now: Timestamp,
    ) {
        let Some(followed) = self.followed.get_mut(&topic) else {
            return;
        };
        let schedule = &mut followed.schedule;
        for (num, due) in known {
            schedule.add(*num, *due);
        }
        schedule.since = Some(schedule.since.map_or(since, |before| before.min(since)));
        if let Some(next) = schedule.next_after(now) {
            self.timers.insert((next, Timer::Topic(topic)));
        }
        let live = self.sessions.get_mut(&number);
        let sub = live.and_then(|live| live.subs.iter_mut().find(|sub| sub.topic == topic));
        if let Some(sub) = sub {
            sub.ready = true;
            self.effects.push(Effect::Wake(number));
        }
    }

    /// The time of a scheduled message has come.
    pub(super) fn topic_due(&mut self, topic: ResourceId, now: Timestamp) {
        let Some(followed) = self.followed.get(&topic) else {
            return;
        };
        for number in &followed.readers {
            let live = self.sessions.get_mut(number);
            let sub = live.and_then(|live| live.subs.iter_mut().find(|sub| sub.topic == topic));
            let Some(sub) = sub.filter(|sub| sub.live) else {
                continue;
            };
            if followed.schedule.is_due(sub.shown, now) {
                (sub.live, sub.turn) = (false, Some(now));
                self.effects.push(Effect::Wake(*number));
            }
        }
        if let Some(next) = followed.schedule.next_after(now) {
            self.timers.insert((next, Timer::Topic(topic)));
        }
    }

    /// What a session that has room wants of the topics that it reads.
    pub(super) fn want_topic(&mut self, number: u64, most: usize) -> Option<Want> {
        let live = self.sessions.get_mut(&number)?;
        let sub = live.subs.iter_mut().find(|sub| !sub.live && sub.ready)?;
        let schedule = self
            .followed
            .get(&sub.topic)
            .map(|followed| &followed.schedule);
        if let (Some(until), Some(schedule)) = (sub.turn, schedule) {
            let due = schedule.behind(sub.shown);
            let due = due.take_while(|next| next.place <= until).take(most);
            let places: Vec<Scheduled> = due.collect();
            if !places.is_empty() {
                return Some(Want::Scheduled {
                    topic: sub.topic,
                    places,
                });
            }
            sub.turn = None;
        }
        Some(Want::Topic {
            topic: sub.topic,
            after: sub.at,
            limit: most,
        })
    }

    /// What a session wanted of a topic's scheduled messages; those that are not among `rows` are not to be shown.
    pub(crate) fn loaded_scheduled(
        &mut self,
        number: u64,
        topic: ResourceId,
        places: &[Scheduled],
        rows: &[MessageRow],
        now: Timestamp,
    ) {
        let Some(live) = self.sessions.get_mut(&number) else {
            return;
        };
        let Some(sub) = live.subs.iter_mut().find(|sub| sub.topic == topic) else {
            return;
        };
        for &place in places {
            if sub.turn.is_none_or(|until| place.place > until) || place <= sub.shown {
                continue;
            }
            sub.shown = place;
            let Some(row) = rows.iter().find(|row| row.num == place.num) else {
                if let Some(followed) = self.followed.get_mut(&topic) {
                    followed.schedule.remove(place);
                }
                continue;
            };
            if is_over(row, now) {
                continue;
            }
            let told = Told {
                num: row.num,
                id: row.id,
                document: &row.document,
            };
            let offset = Offset {
                num: sub.at,
                scheduled: Some(place),
            };
            let doubt = place.place <= sub.doubt;
            let doubt = doubt.then(|| possible_duplicate(Doubt::Session));
            let event = message(sub.stream.clone(), offset, &told, doubt);
            let given = given(Source::Topic(topic), offset, &told);
            live.outbox.give(Event::Message(event), given, now);
        }
    }

    /// A scheduled message was met in the store, in the order of the numbers.
    pub(super) fn meet_scheduled(
        &mut self,
        topic: ResourceId,
        met: &[(Num, Timestamp)],
        now: Timestamp,
    ) {
        let Some(followed) = self.followed.get_mut(&topic) else {
            return;
        };
        for (num, due) in met {
            followed.schedule.add(*num, *due);
        }
        if let Some(next) = followed.schedule.next_after(now) {
            self.timers.insert((next, Timer::Topic(topic)));
        }
    }
}

/// The times of a message that readers go by.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Times {
    pub(super) not_before: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

impl Times {
    /// Whether the message is for nobody any more.
    pub(super) fn are_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// Those of a stored message.
pub(super) fn times(row: &MessageRow) -> Times {
    #[derive(serde::Deserialize)]
    struct Head {
        header: Times,
    }
    let head: Option<Head> = serde_json::from_slice(&row.document).ok();
    head.map(|head| head.header).unwrap_or_default()
}

/// When a stored message is to be shown, if it was scheduled.
pub(crate) fn due(row: &MessageRow) -> Option<Timestamp> {
    times(row).not_before
}

/// Whether a message's own time is over.
fn is_over(row: &MessageRow, now: Timestamp) -> bool {
    times(row).are_over(now)
}
