//! A session as its wire holds it: what the client asks goes in, what it is told comes out.

use std::sync::Arc;
use std::time::Duration;

use anser_core::id::{MessageId, Num, ResourceId};
use anser_core::live::{
    Answer, CloseReason, Event, Offset, Operation, Position, Request, Scheduled, answer_json,
};
use anser_core::store::{LinkKind, MessageScan, StoreError};
use anser_core::{Problem, ProblemKind};
use bytes::Bytes;
use tokio::sync::Notify;

use super::{Identity, SessionId};
use crate::gateway::Gateway;
use crate::live::Facts;
use crate::live::plan::{Plan, Taken, Want};
use crate::metrics::live::WireCounters;

/// Pause after the store could not be read for a session.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// What a wire asks on behalf of its client. Cheap to clone; the session lives as long as its [`Events`].
#[derive(Clone)]
pub struct Session {
    pub(super) gateway: Arc<Gateway>,
    pub(super) facts: Arc<Facts>,
    pub(super) identity: Arc<Identity>,
}

impl Session {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.facts.id
    }

    /// What tells it from other sessions of its user.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.facts.resource
    }

    /// Whose it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Does what the client asks. Operations of one session are to be given one after the other, in the client's order;
    /// several sessions' run side by side.
    ///
    /// # Errors
    /// Why it is refused; the session goes on. `session_closed` when it does not.
    pub async fn operate(&self, operation: Operation) -> Result<Answer, Problem> {
        let number = self.facts.id.number;
        let open = self.gateway.sessions.change(|state, now| {
            if let Some(seat) = state.seats.get_mut(&number) {
                seat.last_seen = now;
            }
            state.plan.is_open(number)
        });
        if !open {
            return Err(over());
        }
        if matches!(operation, Operation::Ack(_)) {
            self.facts.counters.acknowledged();
        }
        self.perform(operation).await
    }

    /// Takes messages as arrived, as an `ack` of each does. What was acknowledged before is passed over; nothing when the
    /// session has ended.
    pub fn acknowledge(&self, messages: &[MessageId]) {
        let number = self.facts.id.number;
        let open = self.gateway.sessions.change(|state, now| {
            if !state.plan.is_open(number) {
                return false;
            }
            if let Some(seat) = state.seats.get_mut(&number) {
                seat.last_seen = now;
            }
            for id in messages {
                state.plan.acknowledge(number, &Position::Message(*id));
            }
            true
        });
        if open {
            messages
                .iter()
                .for_each(|_| self.facts.counters.acknowledged());
        }
    }

    /// Reads a frame and does what it asks; answers the frame to send.
    pub async fn handle(&self, frame: &[u8]) -> Bytes {
        match Request::from_json(frame) {
            Ok(Request { r#ref, operation }) => {
                let answer = self.operate(operation).await;
                answer_json(r#ref.as_deref(), &answer)
            }
            Err(problem) => {
                let mark = Request::reference(frame);
                answer_json(mark.as_deref(), &Err(problem))
            }
        }
    }

    /// Ends the session; its [`Events`] end with [`Event::Closed`]. Nothing when it has ended.
    pub fn close(&self, reason: CloseReason) {
        self.close_with(reason, None);
    }

    /// Ends the session, and says why in words.
    pub fn close_with(&self, reason: CloseReason, detail: Option<String>) {
        let number = self.facts.id.number;
        let sessions = &self.gateway.sessions;
        sessions.change(|state, now| state.plan.close(number, reason, detail, now));
    }
}

/// What the client is told, in order. Dropping it ends the session: as lost, unless it was closed.
pub struct Events {
    pub(super) gateway: Arc<Gateway>,
    pub(super) number: u64,
    pub(super) counters: Arc<WireCounters>,
    pub(super) wake: Arc<Notify>,
}

impl Events {
    /// The next event; waits for one. The last is [`Event::Closed`], `None` comes after it. May be dropped and called
    /// again without losing anything. Taking an event means that the one before was written.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let number = self.number;
            let sessions = &self.gateway.sessions;
            match sessions.change(|state, now| state.plan.take(number, now)) {
                Taken::Event(event) => {
                    if matches!(event, Event::Message(_)) {
                        self.counters.gave();
                    }
                    return Some(event);
                }
                Taken::Over => return None,
                Taken::Nothing => self.wake.notified().await,
                Taken::Want(want) => {
                    if let Err(error) = self.load(want).await {
                        tracing::warn!(%error, session = number, "messages of a session cannot be read; trying again");
                        tokio::time::sleep(READ_AGAIN).await;
                    }
                }
            }
        }
    }

    async fn load(&self, want: Want) -> Result<(), StoreError> {
        match want {
            Want::Mail(offsets) => self.load_mail(offsets).await,
            Want::Topic {
                topic,
                after,
                limit,
            } => self.load_topic(topic, after, limit).await,
            Want::Scheduled { topic, places } => self.load_scheduled(topic, places).await,
        }
    }

    async fn load_mail(&self, offsets: Vec<Offset>) -> Result<(), StoreError> {
        let nums = offsets.iter().map(|offset| Plan::message_at(*offset));
        let rows = self.gateway.store.messages(nums.collect()).await?;
        let number = self.number;
        let sessions = &self.gateway.sessions;
        sessions.change(|state, now| state.plan.loaded_mail(number, &offsets, rows, now));
        Ok(())
    }

    /// What was taken back meanwhile is not shown.
    async fn load_scheduled(
        &self,
        topic: ResourceId,
        places: Vec<Scheduled>,
    ) -> Result<(), StoreError> {
        let store = &self.gateway.store;
        let nums = places.iter().map(|place| place.num);
        let mut rows = Vec::with_capacity(places.len());
        for row in store.messages(nums.collect()).await? {
            let links = store.linked(row.num).await?;
            if !links.iter().any(|link| link.kind == LinkKind::Recalled) {
                rows.push(row);
            }
        }
        let number = self.number;
        self.gateway.sessions.change(|state, now| {
            state
                .plan
                .loaded_scheduled(number, topic, &places, &rows, now);
        });
        Ok(())
    }

    async fn load_topic(
        &self,
        topic: ResourceId,
        after: Num,
        limit: usize,
    ) -> Result<(), StoreError> {
        let scan = MessageScan {
            topic: Some(topic),
            from: Some(after),
            ascending: true,
            limit,
            ..MessageScan::default()
        };
        let rows = self.gateway.store.scan_messages(scan).await?;
        let (number, all) = (self.number, rows.len() < limit);
        self.gateway.sessions.change(|state, now| {
            state
                .plan
                .loaded_topic(number, topic, after, &rows, all, now);
        });
        Ok(())
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.counters.gone();
        let number = self.number;
        self.gateway.sessions.change(|state, now| {
            state.plan.drop_session(number, now);
            state.seats.remove(&number);
        });
    }
}

/// The session has ended.
pub(super) fn over() -> Problem {
    let detail = "this session has ended; connect again";
    Problem::new(ProblemKind::Conflict, "session_closed", detail)
}
