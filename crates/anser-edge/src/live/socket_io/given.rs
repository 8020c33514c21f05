//! Messages that a client was given and has not acknowledged by their callbacks. Must not know sessions.

use std::future::{Future, pending};

use anser_core::id::MessageId;
use anser_gateway::sessions::WINDOW_MESSAGES;
use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde::de::IgnoredAny;
use socketioxide::AckError;
use socketioxide::ack::AckStream;

/// Messages whose callbacks are waited for: as many as may be unacknowledged. With more of them the client acknowledges by `ack`,
/// and the next ones carry no callback: what nobody will answer must not be kept.
const CALLBACKS_MAX: usize = WINDOW_MESSAGES;

/// A callback that may come; whatever it carries, its message arrived.
pub(super) async fn arrival(id: MessageId, callback: AckStream<IgnoredAny>) -> Option<MessageId> {
    let answered = callback.await;
    matches!(answered, Ok(_) | Err(AckError::Decode(_))).then_some(id)
}

/// What [`arrival`] makes.
pub(super) trait Arrival: Future<Output = Option<MessageId>> {}

impl<F: Future<Output = Option<MessageId>>> Arrival for F {}

/// The callbacks that are waited for.
pub(super) struct Given<F> {
    /// Made with the first message: a connection on which nothing happens keeps no room for it.
    waiting: Option<FuturesUnordered<F>>,
    wait: fn(MessageId, AckStream<IgnoredAny>) -> F,
}

impl<F: Arrival> Given<F> {
    /// None.
    pub(super) fn new(wait: fn(MessageId, AckStream<IgnoredAny>) -> F) -> Self {
        Self {
            waiting: None,
            wait,
        }
    }

    /// Whether the next message is to carry no callback.
    pub(super) fn is_full(&self) -> bool {
        self.waiting
            .as_ref()
            .is_some_and(|waiting| waiting.len() >= CALLBACKS_MAX)
    }

    /// One more.
    pub(super) fn add(&mut self, id: MessageId, callback: AckStream<IgnoredAny>) {
        let waiting = self.waiting.get_or_insert_with(FuturesUnordered::new);
        waiting.push((self.wait)(id, callback));
    }

    /// The messages whose callbacks came, all that are there; waits for one. May be dropped and called again.
    pub(super) async fn arrived(&mut self) -> Vec<MessageId> {
        let Some(waiting) = &mut self.waiting else {
            return pending().await;
        };
        let Some(first) = waiting.next().await else {
            return pending().await;
        };
        let mut arrived = Vec::from_iter(first);
        while let Some(Some(next)) = waiting.next().now_or_never() {
            arrived.extend(next);
        }
        arrived
    }
}
