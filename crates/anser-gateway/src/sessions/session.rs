//! A session as its wire holds it: what the client asks goes in, what it is told comes out.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anser_core::live::{
    Answer, CloseReason, Closed, Event, IbEvent, Operation, Publication, Request,
};
use anser_core::{Problem, ProblemKind};
use serde_json::json;
use tokio::sync::Notify;

use super::identity::Identity;
use super::{Opening, SESSIONS_MAX, SessionId, SessionView};
use crate::gateway::{Gateway, Phase};
use crate::publish::PublishOptions;

/// Every session of this run.
#[derive(Default)]
pub(crate) struct Sessions {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    open: HashMap<SessionId, Open>,
}

struct Open {
    view: SessionView,
    outbox: VecDeque<Event>,
    closed: bool,
    wake: Arc<Notify>,
}

impl Sessions {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, id: SessionId, reason: CloseReason, detail: Option<String>) -> bool {
        let mut state = self.state();
        let Some(open) = state.open.get_mut(&id) else {
            return false;
        };
        open.outbox.clear();
        open.outbox
            .push_back(Event::Closed(Closed { reason, detail }));
        open.closed = true;
        open.wake.notify_one();
        true
    }
}

/// What a wire asks on behalf of its client. Cheap to clone; the session lives as long as its [`Events`].
#[derive(Clone)]
pub struct Session {
    gateway: Arc<Gateway>,
    id: SessionId,
    identity: Arc<Identity>,
}

impl Session {
    /// Its number.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
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
    /// Why it is refused; the session goes on.
    pub async fn operate(&self, operation: Operation) -> Result<Answer, Problem> {
        match operation {
            Operation::Ping => Ok(Answer::Pong {
                time: self.gateway.clock.now(),
            }),
            Operation::Publish(publication) => self.publish(*publication).await,
            _ => Err(Problem::not_available("op", "this operation")),
        }
    }

    /// Reads a frame and does what it asks; answers the frame to send.
    pub async fn handle(&self, frame: &[u8]) -> bytes::Bytes {
        match Request::from_json(frame) {
            Ok(Request { r#ref, operation }) => {
                let answer = self.operate(operation).await;
                anser_core::live::answer_json(r#ref.as_deref(), &answer)
            }
            Err(problem) => {
                let mark = Request::reference(frame);
                anser_core::live::answer_json(mark.as_deref(), &Err(problem))
            }
        }
    }

    async fn publish(&self, publication: Publication) -> Result<Answer, Problem> {
        if publication.transient {
            return Err(Problem::not_available("transient", "a transient message"));
        }
        let (principal, options) = (self.identity.principal(), PublishOptions::default());
        let items = vec![Ok(publication.message)];
        let results = match publication.topic {
            Some(topic) => {
                self.gateway
                    .publish(principal, &topic, items, options)
                    .await
            }
            None => self.gateway.publish_direct(principal, items, options).await,
        };
        let published = results?.pop().unwrap_or_else(|| {
            let detail = "the message was taken and not answered";
            Err(Problem::new(ProblemKind::Internal, "no_result", detail))
        })?;
        Ok(Answer::Published {
            id: published.id,
            topic: Some(published.topic),
            seq: published.seq,
            matched: published.matched.unwrap_or(0),
            duplicate: published.duplicate,
            durable: published.durable,
        })
    }

    /// Ends the session; its [`Events`] end with [`Event::Closed`]. Nothing when it has ended.
    pub fn close(&self, reason: CloseReason) {
        self.gateway.sessions.close(self.id, reason, None);
    }
}

/// What the client is told, in order. Dropping it ends the session: as lost, unless it was closed.
pub struct Events {
    gateway: Arc<Gateway>,
    id: SessionId,
    wake: Arc<Notify>,
}

impl Events {
    /// The next event; waits for one. The last is [`Event::Closed`], `None` comes after it. May be dropped and called
    /// again without losing anything. Taking an event means that the one before was written.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            {
                let mut state = self.gateway.sessions.state();
                let open = state.open.get_mut(&self.id)?;
                if let Some(event) = open.outbox.pop_front() {
                    return Some(event);
                }
                if open.closed {
                    return None;
                }
            }
            self.wake.notified().await;
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.gateway.sessions.state().open.remove(&self.id);
    }
}

impl Gateway {
    /// Opens a session for whom a wire authenticated. Its first event is the `ib` `welcome`.
    ///
    /// # Errors
    /// 429 `too_many_sessions`, 503 `stopping`, or the store's.
    pub async fn open_session(
        self: &Arc<Self>,
        opening: Opening,
    ) -> Result<(Session, Events), Problem> {
        if *self.phase.borrow() != Phase::Running {
            let detail = "the gateway is stopping; connect again";
            return Err(Problem::new(ProblemKind::Unavailable, "stopping", detail));
        }
        let wake = Arc::new(Notify::new());
        let mut state = self.sessions.state();
        if state.open.len() >= SESSIONS_MAX {
            let detail = format!("{SESSIONS_MAX} sessions are open already; connect again later");
            return Err(Problem::new(
                ProblemKind::TooMany,
                "too_many_sessions",
                detail,
            ));
        }
        state.last += 1;
        let id = SessionId {
            epoch: self.info.epoch,
            number: state.last,
        };
        let now = self.clock.now();
        let resource = opening.resource.unwrap_or_else(|| id.to_string());
        let welcome = IbEvent {
            kind: "welcome".to_owned(),
            data: json!({"session": id, "user": opening.identity.user, "resource": resource}),
        };
        let view = SessionView {
            id,
            user: opening.identity.user.clone(),
            resource,
            principal: opening.identity.principal.sender.id.clone(),
            transport: opening.transport,
            peer: opening.peer,
            since: now,
            last_seen: now,
            presence: opening.presence,
            subscriptions: Vec::new(),
            unacknowledged: 0,
            unsent_bytes: 0,
        };
        let open = Open {
            view,
            outbox: VecDeque::from([Event::Ib(Arc::new(welcome))]),
            closed: false,
            wake: wake.clone(),
        };
        state.open.insert(id, open);
        drop(state);
        let session = Session {
            gateway: Arc::clone(self),
            id,
            identity: Arc::new(opening.identity),
        };
        let events = Events {
            gateway: Arc::clone(self),
            id,
            wake,
        };
        Ok((session, events))
    }

    /// The open sessions, by number; of one user only when one is named.
    #[must_use]
    pub fn sessions(&self, user: Option<&str>) -> Vec<SessionView> {
        let state = self.sessions.state();
        let of_user = |view: &&SessionView| {
            user.is_none_or(|user| view.user.as_ref().is_some_and(|id| id.as_str() == user))
        };
        let views = state.open.values().map(|open| &open.view);
        let mut views: Vec<SessionView> = views.filter(of_user).cloned().collect();
        views.sort_by_key(|view| view.id);
        views
    }

    /// Ends a session as kicked; answers whether it was there.
    pub fn kick_session(&self, id: SessionId, detail: Option<String>) -> bool {
        self.sessions.close(id, CloseReason::Kicked, detail)
    }
}
