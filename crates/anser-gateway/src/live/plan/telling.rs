//! From a commit to the sessions, and from the store to those that are behind: each message once a session, in the order
//! of its stream.

use std::collections::HashMap;
use std::sync::Arc;

use anser_core::Timestamp;
use anser_core::attempt::PossibleDuplicate;
use anser_core::id::{DeliveryId, MessageId, Num, ResourceId};
use anser_core::live::{Event, MessageEvent, Offset, Stream};
use anser_core::name::UserId;
use anser_core::store::{DeliveryRow, MessageRow};
use bytes::Bytes;

use super::departed::Doubt;
use super::mailbox::End;
use super::outbox::{Given, Source, Want};
use super::{Effect, MailEnd, Plan, Timer};

/// Messages read from the store at a time.
const LOAD_MESSAGES: usize = 32;
/// Bytes of messages read from the store at a time, beyond the first message.
const LOAD_BYTES: usize = 256 * 1024;

/// A message that was just committed.
#[derive(Debug, Clone)]
pub(crate) struct Fresh {
    /// Its id.
    pub(crate) id: MessageId,
    /// Its topic.
    pub(crate) topic: ResourceId,
    /// When its time comes, where it was scheduled.
    pub(crate) scheduled: Option<Timestamp>,
    /// As stored.
    pub(crate) document: Bytes,
    /// Its deliveries to mailboxes.
    pub(crate) mail: Vec<DeliveryRow>,
}

/// What a message is, whatever stream it comes in.
pub(super) struct Told<'a> {
    pub(super) num: Num,
    pub(super) id: MessageId,
    pub(super) document: &'a Bytes,
}

impl Plan {
    /// No message above this is known to be committed.
    pub(crate) fn known(&self) -> Num {
        self.sequence.known()
    }

    /// A commit begins; it is to be ended by [`Plan::committed`].
    pub(crate) fn begin_commit(&mut self) -> u64 {
        self.sequence.begin()
    }

    /// A commit ended: these are its messages, those that no session can want without what they say.
    pub(crate) fn committed(
        &mut self,
        commit: u64,
        messages: Vec<(Num, Option<Fresh>)>,
        now: Timestamp,
    ) {
        self.sequence.committed(messages);
        self.sequence.end(commit);
        while let Some((num, fresh)) = self.sequence.next_released() {
            if let Some(fresh) = fresh {
                self.tell(num, &fresh, now);
            }
        }
    }

    fn tell(&mut self, num: Num, fresh: &Fresh, now: Timestamp) {
        let told = Told {
            num,
            id: fresh.id,
            document: &fresh.document,
        };
        for row in &fresh.mail {
            self.tell_user(row, &told, now);
        }
        match fresh.scheduled {
            Some(due) => self.schedule(fresh.topic, num, due, now),
            None => self.tell_followers(fresh.topic, &told, now),
        }
    }

    fn tell_user(&mut self, row: &DeliveryRow, told: &Told<'_>, now: Timestamp) {
        let id = row.target.as_deref().unwrap_or_default();
        let id = id.split_once('/').map_or(id, |(id, _)| id);
        let Some((id, user)) = self.users.get_key_value(id) else {
            return;
        };
        if row.scheduled && row.due > now {
            self.timers.insert((row.due, Timer::Mail(id.clone())));
            return;
        }
        let id = id.clone();
        let sessions = user.sessions.clone();
        let Some(user) = self.users.get_mut(&id) else {
            return;
        };
        let Some(offset) = user.mailbox.arrive(row) else {
            return;
        };
        let mut event = None;
        for number in sessions {
            let Some(live) = self.sessions.get_mut(&number) else {
                continue;
            };
            let Some(mail) = user.mailbox.mail(offset) else {
                continue;
            };
            let wanted = mail.is_for(&live.resource);
            let room = live.outbox.room();
            let Some(cursor) = live.mail.as_mut().filter(|cursor| cursor.live) else {
                continue;
            };
            if wanted && room == 0 {
                cursor.live = false;
                continue;
            }
            cursor.at = offset;
            if wanted {
                let event =
                    event.get_or_insert_with(|| message(Stream::Mailbox, offset, told, None));
                mail.id = Some(told.id);
                let given = given(Source::Mailbox, offset, told);
                live.outbox
                    .give(Event::Message(Arc::clone(event)), given, now);
                self.effects.push(Effect::Wake(number));
            }
        }
    }

    /// What a session that has room is behind with.
    pub(super) fn want(&mut self, number: u64, now: Timestamp) -> Option<Want> {
        let room = self.sessions.get(&number)?.outbox.room();
        if room == 0 {
            return None;
        }
        let most = room.min(LOAD_MESSAGES);
        self.want_mail(number, most, now)
            .or_else(|| self.want_topic(number, most))
    }

    fn want_mail(&mut self, number: u64, most: usize, now: Timestamp) -> Option<Want> {
        let live = self.sessions.get_mut(&number)?;
        let cursor = live.mail.as_mut().filter(|cursor| !cursor.live)?;
        let id = live.user.clone()?;
        let user = self.users.get_mut(&id)?;
        let (mut wanted, mut bytes) = (Vec::new(), 0);
        let mut expired = Vec::new();
        let mut passed = cursor.at;
        for (offset, mail) in user.mailbox.behind(cursor.at) {
            let skipped =
                !mail.is_for(&live.resource) || (mail.end != End::Open && offset <= cursor.began);
            if mail.end == End::Open && mail.expires_at.is_some_and(|at| at <= now) {
                expired.push((offset, mail.delivery));
            } else if !skipped {
                bytes += mail.bytes as usize;
                if !wanted.is_empty() && (wanted.len() >= most || bytes > LOAD_BYTES) {
                    break;
                }
                wanted.push(offset);
            }
            if wanted.is_empty() {
                passed = offset;
            }
        }
        cursor.at = passed;
        cursor.live = wanted.is_empty();
        for (offset, delivery) in expired {
            user.mailbox.end(offset);
            self.effects.push(Effect::Settle(MailEnd {
                user: id.clone(),
                offset,
                delivery,
                expired: true,
            }));
        }
        self.seen_further(&id);
        (!wanted.is_empty()).then_some(Want::Mail(wanted))
    }

    /// The number of the message at an offset of a mailbox.
    pub(crate) fn message_at(offset: Offset) -> Num {
        offset.scheduled.map_or(offset.num, |place| place.num)
    }

    /// What a session wanted of its user's mailbox; messages that are not among `rows` are gone.
    pub(crate) fn loaded_mail(
        &mut self,
        number: u64,
        wanted: &[Offset],
        rows: Vec<MessageRow>,
        now: Timestamp,
    ) {
        let rows: HashMap<Num, MessageRow> = rows.into_iter().map(|row| (row.num, row)).collect();
        let Some(live) = self.sessions.get_mut(&number) else {
            return;
        };
        let (Some(id), Some(cursor)) = (live.user.clone(), live.mail.as_mut()) else {
            return;
        };
        let Some(user) = self.users.get_mut(&id) else {
            return;
        };
        for &offset in wanted {
            if offset <= cursor.at {
                continue;
            }
            cursor.at = offset;
            let Some(mail) = user.mailbox.mail(offset) else {
                continue;
            };
            let Some(row) = rows.get(&Self::message_at(offset)) else {
                let gone = mail.delivery;
                user.mailbox.remove(&[gone]);
                continue;
            };
            let told = Told {
                num: row.num,
                id: row.id,
                document: &row.document,
            };
            let doubt = mail.doubtful.map(possible_duplicate);
            mail.id = Some(row.id);
            let event = message(Stream::Mailbox, offset, &told, doubt);
            let given = given(Source::Mailbox, offset, &told);
            live.outbox.give(Event::Message(event), given, now);
        }
        cursor.live = user.mailbox.behind(cursor.at).next().is_none();
        self.seen_further(&id);
    }

    /// What waited in the store for a user whose first session opens.
    pub(crate) fn load_mail(
        &mut self,
        user: &UserId,
        stay: u64,
        rows: &[DeliveryRow],
        next_due: Option<Timestamp>,
    ) {
        let released = self.sequence.released();
        let known = self.users.get_mut(user);
        let Some(known) = known.filter(|user| user.stay == stay && !user.mailbox.is_loaded())
        else {
            return;
        };
        let given = self.departed.recall(user);
        let departed = &self.departed;
        let doubt = |row: &DeliveryRow| departed.doubt(given, row);
        known.mailbox.load(rows, doubt, released);
        self.arm(user, next_due);
    }

    /// Messages of a user that were scheduled and are due now, or that are to be given once more.
    pub(crate) fn came_due(
        &mut self,
        user: &UserId,
        rows: &[DeliveryRow],
        next_due: Option<Timestamp>,
    ) {
        let released = self.sequence.released();
        let Some(known) = self.users.get_mut(user) else {
            return;
        };
        let mut any = false;
        for row in rows {
            any |= known.mailbox.come_due(row, None, released);
        }
        let sessions = known.sessions.clone();
        for number in sessions.into_iter().filter(|_| any) {
            let live = self.sessions.get_mut(&number);
            if let Some(cursor) = live.and_then(|live| live.mail.as_mut()) {
                cursor.live = false;
                self.effects.push(Effect::Wake(number));
            }
        }
        self.arm(user, next_due);
    }

    fn arm(&mut self, user: &UserId, due: Option<Timestamp>) {
        if let Some(due) = due {
            self.timers.insert((due, Timer::Mail(user.clone())));
        }
    }

    /// The session acknowledged one message of the mailbox.
    pub(super) fn end_mail(&mut self, number: u64, offset: Offset) {
        let Some(user) = self.mailbox_user(number) else {
            return;
        };
        let mailbox = &mut user.mailbox;
        let delivery = mailbox.mail(offset).map(|mail| mail.delivery);
        let ended = mailbox.end(offset);
        let ended = delivery
            .filter(|_| ended)
            .map(|delivery| (offset, delivery));
        self.settle_acknowledged(number, ended);
    }

    pub(super) fn end_mail_by_id(&mut self, number: u64, id: MessageId) -> bool {
        let ended = self
            .mailbox_user(number)
            .and_then(|user| user.mailbox.end_id(id));
        self.settle_acknowledged(number, ended);
        ended.is_some()
    }

    /// The session acknowledged what it was given of the mailbox up to `offset`.
    pub(super) fn end_mail_up_to(&mut self, number: u64, offset: Offset) -> bool {
        let Some(live) = self.sessions.get(&number) else {
            return false;
        };
        let Some(cursor) = live.mail else {
            return false;
        };
        let offset = offset.min(cursor.at);
        let user = live.user.as_ref().and_then(|id| self.users.get_mut(id));
        let ended = user.map(|user| user.mailbox.end_up_to(offset, &live.resource));
        let ended = ended.unwrap_or_default();
        let any = !ended.is_empty();
        self.settle_acknowledged(number, ended);
        any
    }

    /// A message to a user is taken back: what was given of it counts as delivered, so that the recall is given too.
    pub(crate) fn end_given(&mut self, user: &UserId, message: Num) -> Vec<MailEnd> {
        let known = self.users.get_mut(user);
        let ended = known.map(|known| known.mailbox.end_given(message));
        let ended = ended.into_iter().flatten();
        let end = |(offset, delivery)| MailEnd {
            user: user.clone(),
            offset,
            delivery,
            expired: false,
        };
        ended.map(end).collect()
    }

    /// Deliveries to a user that were cancelled are given to nobody.
    pub(crate) fn cancelled(&mut self, user: &UserId, deliveries: &[DeliveryId]) {
        if let Some(user) = self.users.get_mut(user) {
            user.mailbox.remove(deliveries);
        }
    }

    /// The store knows the end of a message.
    pub(crate) fn settled(&mut self, end: &MailEnd) {
        let seen = self.least_seen(&end.user);
        if let Some(user) = self.users.get_mut(&end.user) {
            user.mailbox.ended(end.offset, seen);
        }
        self.forget_idle(&end.user);
    }

    fn mailbox_user(&mut self, number: u64) -> Option<&mut super::User> {
        let live = self.sessions.get(&number)?;
        self.users.get_mut(live.user.as_ref()?)
    }

    pub(super) fn settle_acknowledged(
        &mut self,
        number: u64,
        ended: impl IntoIterator<Item = (Offset, DeliveryId)>,
    ) {
        let user = self
            .sessions
            .get(&number)
            .and_then(|live| live.user.as_ref());
        let Some(user) = user else {
            return;
        };
        for (offset, delivery) in ended {
            self.effects.push(Effect::Settle(MailEnd {
                user: user.clone(),
                offset,
                delivery,
                expired: false,
            }));
        }
    }

    /// The least that every session of a user has got.
    fn least_seen(&self, user: &UserId) -> Option<Offset> {
        let sessions = &self.users.get(user)?.sessions;
        let cursor = |number: &u64| {
            let live = self.sessions.get(number)?;
            Some(live.mail.map_or(Offset::START, |cursor| cursor.at))
        };
        sessions.iter().filter_map(cursor).min()
    }

    /// A session of the user got further, or ended.
    pub(super) fn seen_further(&mut self, user: &UserId) {
        let seen = self.least_seen(user);
        if let Some(known) = self.users.get_mut(user) {
            known.mailbox.forget(seen);
        }
        self.forget_idle(user);
    }

    pub(super) fn forget_idle(&mut self, user: &UserId) {
        let idle = |user: &super::User| {
            user.sessions.is_empty() && user.mailbox.is_idle() && user.standing.is_idle()
        };
        let gone = self.users.get(user).filter(|user| idle(user));
        if let Some(given) = gone.map(|user| user.mailbox.given()) {
            self.users.remove(user);
            self.departed.remember(user, given);
        }
    }
}

pub(super) fn message(
    stream: Stream,
    offset: Offset,
    told: &Told<'_>,
    doubt: Option<PossibleDuplicate>,
) -> Arc<MessageEvent> {
    let document = told.document.clone();
    Arc::new(MessageEvent::new(
        stream,
        Some(offset),
        told.id,
        doubt,
        document,
    ))
}

pub(super) fn given(source: Source, offset: Offset, told: &Told<'_>) -> Given {
    Given {
        source,
        offset,
        id: told.id,
        bytes: told.document.len(),
    }
}

pub(super) const fn possible_duplicate(doubt: Doubt) -> PossibleDuplicate {
    match doubt {
        Doubt::Restart => PossibleDuplicate::Restart,
        Doubt::Session => PossibleDuplicate::Unknown,
    }
}
