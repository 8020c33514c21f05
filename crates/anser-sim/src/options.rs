//! What a stand-in is: its platform, where it listens, who and what exists there. Must not start it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anser_core::clock::{Clock, SystemClock};

use crate::emit::Callback;
use crate::limit::Limit;
use crate::platform::{Chat, Platform, Robot};

/// What a stand-in is.
#[derive(Clone)]
pub struct SimOptions {
    /// Of which platform.
    pub platform: Platform,
    /// Where it listens; port 0 is a free one.
    pub listen: SocketAddr,
    /// What tells it the time, for windows, signatures and messages.
    pub clock: Arc<dyn Clock>,
    /// The rate limits in force.
    pub limits: Vec<Limit>,
    /// The robots that exist.
    pub robots: Vec<Robot>,
    /// The chats that exist, where robots are told a chat.
    pub chats: Vec<Chat>,
    /// Where events go; `None`: to the bots that are connected, or that ask.
    pub callback: Option<Callback>,
    /// Whether each event is sent twice to bots that are connected, as platforms do at times.
    pub duplicates: bool,
}

impl SimOptions {
    /// A stand-in on a free port of loopback with the platform's own limits, one robot and one app where it has apps, on the machine's clock. Its
    /// chats are the platform's, see [`Platform::chats`].
    #[must_use]
    pub fn new(platform: Platform) -> Self {
        Self {
            platform,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Arc::new(SystemClock::new()),
            limits: platform.limits(),
            robots: std::iter::once(platform.robot(1))
                .chain(platform.app(1))
                .collect(),
            chats: platform.chats(),
            callback: None,
            duplicates: false,
        }
    }
}
