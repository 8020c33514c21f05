//! One channel that is to be connected: its configuration, its plan, and the wish for another connection. Must not connect.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anser_core::connection::{CLOSE_NORMAL, Connector};
use anser_core::id::ResourceId;
use anser_core::resource::InboundVia;
use tokio::sync::Notify;

use super::plan::{Now, Plan};
use super::view::{ConnectionState, ConnectionView};
use crate::config::ChannelEntry;

/// Entries of a journal that are kept.
pub const JOURNAL_ENTRIES_MAX: u64 = 1_000;

/// One channel that is to be connected.
pub(crate) struct Link {
    entry: Arc<ChannelEntry>,
    plan: Mutex<Plan>,
    renew: Notify,
}

impl Link {
    /// Of a channel; `None` when it is not to be connected, or cannot be.
    pub(crate) fn of(entry: &Arc<ChannelEntry>, now: Now) -> Option<Self> {
        let connector = connector(entry)?;
        Some(Self {
            entry: Arc::clone(entry),
            plan: Mutex::new(Plan::new(connector.silence_max(), now)),
            renew: Notify::new(),
        })
    }

    pub(crate) fn id(&self) -> ResourceId {
        self.entry.meta.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.entry.meta.name
    }

    pub(crate) fn entry(&self) -> &Arc<ChannelEntry> {
        &self.entry
    }

    /// How it is connected; always there.
    pub(crate) fn connector(&self) -> Option<&dyn Connector> {
        connector(&self.entry)
    }

    pub(crate) fn remember(&self) -> Duration {
        connector(&self.entry).map_or(Duration::ZERO, Connector::remember)
    }

    pub(crate) fn close_code(&self) -> u16 {
        connector(&self.entry).map_or(CLOSE_NORMAL, Connector::close_code)
    }

    pub(crate) fn plan<T>(&self, work: impl FnOnce(&mut Plan) -> T) -> T {
        work(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another connection is wanted, now.
    pub(crate) fn renew(&self) {
        self.renew.notify_one();
    }

    /// Resolves when another connection is wanted.
    pub(crate) async fn renewed(&self) {
        self.renew.notified().await;
    }

    pub(crate) fn is_live(&self) -> bool {
        self.plan(|plan| plan.view().state == ConnectionState::Live)
    }

    pub(crate) fn view(&self) -> ConnectionView {
        ConnectionView {
            channel: self.name().to_owned(),
            kind: self.entry.spec.kind.clone(),
            link: self.plan(|plan| plan.view()),
        }
    }

    /// Whether `entry` is to be connected in another way than this.
    pub(crate) fn differs(&self, entry: &ChannelEntry) -> bool {
        let (ours, theirs) = (&self.entry.spec, &entry.spec);
        ours.settings != theirs.settings || ours.inbound != theirs.inbound
    }
}

fn connector(entry: &ChannelEntry) -> Option<&dyn Connector> {
    let inbound = entry.spec.inbound.as_ref()?;
    match inbound.via {
        InboundVia::Connection => entry.channel.connector(),
        InboundVia::Callback => None,
    }
}
