//! What a caller may see: the patterns that bound what a key may do bound what it reads, too. Messages on `$direct`
//! have no topic of their own; there the addresses decide.

use std::borrow::Cow;

use anser_core::name::{TOPIC_DIRECT, USER_PREFIX, queue_address};
use anser_core::store::{DeliveryRow, MessageRow};
use serde::Deserialize;

use super::view::Names;
use crate::auth::Principal;
use crate::mailbox::is_mailbox;

/// A caller's view on things.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    principal: &'a Principal,
    names: Names<'a>,
}

/// What lists filter by, read from a stored message without reading the rest.
#[derive(Deserialize)]
pub(super) struct Head<'a> {
    #[serde(borrow)]
    pub(super) header: HeadFields<'a>,
}

/// Parts of the header.
#[derive(Deserialize)]
pub(super) struct HeadFields<'a> {
    #[serde(borrow)]
    pub(super) r#type: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) tags: Vec<Cow<'a, str>>,
    #[serde(default, borrow)]
    to: Vec<Cow<'a, str>>,
}

impl<'a> Head<'a> {
    /// `None` for a document that is no message: it matches no filter.
    pub(super) fn of(row: &'a MessageRow) -> Option<Self> {
        serde_json::from_slice(&row.document).ok()
    }
}

impl<'a> Sight<'a> {
    pub(super) const fn new(principal: &'a Principal, names: Names<'a>) -> Self {
        Self { principal, names }
    }

    fn is_unbounded(self) -> bool {
        self.principal.topics.is_none() && self.principal.targets.is_none()
    }

    /// Whether the caller may see what is on a topic of this name.
    pub(super) fn covers_topic(self, name: &str) -> bool {
        name == TOPIC_DIRECT || self.principal.covers_topic(name)
    }

    pub(super) fn covers_message(self, row: &MessageRow) -> bool {
        if self.is_unbounded() {
            return true;
        }
        match self.names.topic(row.topic) {
            Some(TOPIC_DIRECT) => Head::of(row).is_some_and(|head| {
                let mut to = head.header.to.iter();
                to.all(|address| self.principal.covers_target(address))
            }),
            Some(name) => self.principal.covers_topic(name),
            None => self.principal.topics.is_none(),
        }
    }

    pub(super) fn covers_delivery(self, row: &DeliveryRow) -> bool {
        if self.is_unbounded() {
            return true;
        }
        match self.names.topic(row.topic) {
            Some(TOPIC_DIRECT) => self
                .address(row)
                .is_some_and(|address| self.principal.covers_target(&address)),
            Some(name) => self.principal.covers_topic(name),
            None => self.principal.topics.is_none(),
        }
    }

    /// What the delivery is addressed to, as in `header.to`; `None` once that is deleted.
    fn address(self, row: &DeliveryRow) -> Option<Cow<'a, str>> {
        if let Some(queue) = self.names.queue(row.channel) {
            return Some(Cow::Owned(queue_address(queue)));
        }
        if is_mailbox(row.group) {
            return Some(Cow::Owned(format!(
                "{USER_PREFIX}{}",
                row.target.as_deref()?
            )));
        }
        let channel = self.names.channel(row.channel)?;
        Some(match &row.target {
            Some(target) => Cow::Owned(format!("{channel}/{target}")),
            None => Cow::Borrowed(channel),
        })
    }
}
