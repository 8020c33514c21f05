//! The mailbox of a user who is connected: what waits for an acknowledgement, in the order in which it is given. Knows
//! numbers and offsets, no message; what nobody is connected for is in the store alone.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::id::{DeliveryId, MessageId, Num};
use anser_core::live::{Offset, Scheduled};
use anser_core::store::DeliveryRow;

use super::departed::{Doubt, Given};

/// What was acknowledged and is kept for sessions that have yet to get it; beyond it they go without.
const LEFT_MAX: usize = 10_000;

/// One message in the mailbox.
#[derive(Debug, Clone)]
pub(super) struct Mail {
    /// The delivery.
    pub(super) delivery: DeliveryId,
    /// The message's id, once it was given to somebody.
    pub(super) id: Option<MessageId>,
    /// Only for the session of this resource.
    pub(super) resource: Option<Box<str>>,
    /// When it ends as expired.
    pub(super) expires_at: Option<Timestamp>,
    /// Bytes of the message.
    pub(super) bytes: u32,
    /// It may have been given before: by an earlier run, or to a session that ended without a word.
    pub(super) doubtful: Option<Doubt>,
    /// How far its end has come.
    pub(super) end: End,
}

/// How far the end of a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It waits.
    Open,
    /// It is acknowledged or expired, and the store does not know yet.
    Ending,
    /// The store knows.
    Ended,
}

impl Mail {
    /// Of a stored delivery, and the time at which it may be given.
    pub(super) fn of(row: &DeliveryRow) -> Self {
        let resource = row
            .target
            .as_deref()
            .and_then(|target| target.split_once('/'));
        Self {
            delivery: row.id,
            id: None,
            resource: resource.map(|(_, resource)| resource.into()),
            expires_at: row.expires_at,
            bytes: row.bytes,
            doubtful: None,
            end: End::Open,
        }
    }

    /// Whether the session of this resource is to have it.
    pub(super) fn is_for(&self, resource: &str) -> bool {
        self.resource.as_deref().is_none_or(|only| only == resource)
    }
}

/// The mailbox of one user.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// What waited before the first session is here too.
    loaded: bool,
    /// Everything up to this was there when it was loaded.
    loaded_to: Num,
    mails: BTreeMap<Offset, Mail>,
    /// Nothing was given a number above this one's.
    high: Num,
    /// No scheduled message was given a place behind this one.
    placed: Timestamp,
    /// Those that have ended and are kept for sessions.
    left: usize,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            loaded: false,
            loaded_to: Num(0),
            mails: BTreeMap::new(),
            high: Num(0),
            placed: Timestamp::EPOCH,
            left: 0,
        }
    }
}

impl Mailbox {
    /// Whether it holds what waited before the first session.
    pub(super) const fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Nothing of it is of use when nobody is connected.
    pub(super) fn is_idle(&self) -> bool {
        !self.mails.values().any(|mail| mail.end == End::Ending)
    }

    /// What waited before the first session; `released` is what sessions were told of so far.
    pub(super) fn load(
        &mut self,
        rows: &[DeliveryRow],
        doubt: impl Fn(&DeliveryRow) -> Option<Doubt>,
        released: Num,
    ) {
        self.loaded = true;
        for row in rows.iter().filter(|row| !row.scheduled) {
            let num = row.id.num();
            self.loaded_to = self.loaded_to.max(num);
            self.high = self.high.max(num);
            let mail = self
                .mails
                .entry(Offset::at(num))
                .or_insert_with(|| Mail::of(row));
            mail.doubtful = doubt(row);
        }
        for row in rows.iter().filter(|row| row.scheduled) {
            self.come_due(row, doubt(row), released);
        }
    }

    /// A new message; answers its place, `None` when it is here already.
    pub(super) fn arrive(&mut self, row: &DeliveryRow) -> Option<Offset> {
        let num = row.id.num();
        let offset = Offset::at(num);
        if num <= self.loaded_to || self.mails.contains_key(&offset) {
            return None;
        }
        self.high = self.high.max(num);
        self.mails.insert(offset, Mail::of(row));
        Some(offset)
    }

    /// The time of a scheduled message has come: it is placed behind all that was given so far. Answers whether it is
    /// new.
    pub(super) fn come_due(
        &mut self,
        row: &DeliveryRow,
        doubtful: Option<Doubt>,
        released: Num,
    ) -> bool {
        if self.mails.values().any(|mail| mail.delivery == row.id) {
            return false;
        }
        self.high = self.high.max(released);
        // One of a lower number may come due later, and one may be given once more.
        let place = row.due.max(self.placed.plus(Duration::from_millis(1)));
        self.placed = place;
        let offset = Offset {
            num: self.high,
            scheduled: Some(Scheduled {
                place,
                num: row.id.num(),
            }),
        };
        let mail = Mail {
            doubtful,
            ..Mail::of(row)
        };
        self.mails.insert(offset, mail);
        true
    }

    /// Those behind `after`, in order.
    pub(super) fn behind(&self, after: Offset) -> impl Iterator<Item = (Offset, &Mail)> {
        let from = (Bound::Excluded(after), Bound::Unbounded);
        self.mails.range(from).map(|(offset, mail)| (*offset, mail))
    }

    /// One of them.
    pub(super) fn mail(&mut self, offset: Offset) -> Option<&mut Mail> {
        self.mails.get_mut(&offset)
    }

    /// No offset that was given out is beyond this.
    pub(super) fn highest(&self, released: Num, now: Timestamp) -> Offset {
        Offset {
            num: self.high.max(released),
            scheduled: Some(Scheduled {
                place: self.placed.max(now),
                num: Num::END,
            }),
        }
    }

    /// A session goes on from here: what comes due is placed behind it.
    pub(super) fn go_on_behind(&mut self, at: Offset) {
        if let Some(scheduled) = at.scheduled {
            self.placed = self.placed.max(scheduled.place);
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        let open = |mail: &&Mail| mail.end == End::Open;
        self.mails.values().filter(open).count()
    }

    /// How many wait behind `after` for the session of this resource.
    pub(super) fn waiting_behind(&self, after: Offset, resource: &str) -> usize {
        let open = |(_, mail): &(Offset, &Mail)| mail.end == End::Open && mail.is_for(resource);
        self.behind(after).filter(open).count()
    }

    /// Ends those that wait up to `offset` and that the session of this resource has seen; answers them.
    pub(super) fn end_up_to(
        &mut self,
        offset: Offset,
        resource: &str,
    ) -> Vec<(Offset, DeliveryId)> {
        let covered = self.mails.range_mut(..=offset);
        let mut ended = Vec::new();
        for (offset, mail) in covered {
            if mail.end == End::Open && mail.is_for(resource) {
                mail.end = End::Ending;
                ended.push((*offset, mail.delivery));
            }
        }
        ended
    }

    /// Ends the message of this id; answers it.
    pub(super) fn end_id(&mut self, id: MessageId) -> Option<(Offset, DeliveryId)> {
        let open = |mail: &Mail| mail.end == End::Open && mail.id == Some(id);
        let (offset, mail) = self.mails.iter_mut().find(|(_, mail)| open(mail))?;
        mail.end = End::Ending;
        Some((*offset, mail.delivery))
    }

    /// Ends one; answers whether it waited.
    pub(super) fn end(&mut self, offset: Offset) -> bool {
        let open = self
            .mails
            .get_mut(&offset)
            .filter(|mail| mail.end == End::Open);
        open.is_some_and(|mail| {
            mail.end = End::Ending;
            true
        })
    }

    /// The given ones of this message end; answers them.
    pub(super) fn end_given(&mut self, message: Num) -> Vec<(Offset, DeliveryId)> {
        let mut ended = Vec::new();
        for (offset, mail) in &mut self.mails {
            let given = mail.id.is_some() && mail.end == End::Open;
            if given && mail.delivery.num() == message {
                mail.end = End::Ending;
                ended.push((*offset, mail.delivery));
            }
        }
        ended
    }

    /// The store knows the end of one; `seen` is the least that every session has got.
    pub(super) fn ended(&mut self, offset: Offset, seen: Option<Offset>) {
        let Some(mail) = self.mails.get_mut(&offset) else {
            return;
        };
        mail.end = End::Ended;
        if seen.is_none_or(|seen| offset <= seen) {
            self.mails.remove(&offset);
            return;
        }
        self.left += 1;
        if self.left > LEFT_MAX {
            self.forget(None);
        }
    }

    /// Sessions have got further, or are gone: what was only kept for them goes.
    pub(super) fn forget(&mut self, seen: Option<Offset>) {
        if self.left == 0 {
            return;
        }
        let kept = |offset: &Offset, mail: &Mail| {
            mail.end != End::Ended || seen.is_some_and(|seen| *offset > seen)
        };
        self.mails.retain(|offset, mail| kept(offset, mail));
        let ended = |mail: &&Mail| mail.end == End::Ended;
        self.left = self.mails.values().filter(ended).count();
    }

    /// They are gone: cancelled, or removed with their messages.
    pub(super) fn remove(&mut self, deliveries: &[DeliveryId]) {
        let open = |mail: &Mail| mail.end == End::Open;
        let gone = |mail: &Mail| open(mail) && deliveries.contains(&mail.delivery);
        self.mails.retain(|_, mail| !gone(mail));
    }

    /// What waits and may have arrived at a session that is gone.
    pub(super) fn given(&self) -> Given {
        let mut given = Given::NONE;
        for (offset, mail) in &self.mails {
            let may_be = mail.id.is_some() || mail.doubtful == Some(Doubt::Session);
            if mail.end == End::Open && may_be {
                match offset.scheduled {
                    None => given.up_to = given.up_to.max(offset.num),
                    Some(_) => given.scheduled = true,
                }
            }
        }
        given
    }

    /// A session that had got up to `seen` ended: what it did not acknowledge may have arrived.
    pub(super) fn doubt(&mut self, seen: Offset) {
        for mail in self.mails.range_mut(..=seen).map(|(_, mail)| mail) {
            if mail.end == End::Open && mail.id.is_some() {
                mail.doubtful = Some(Doubt::Session);
            }
        }
    }
}
