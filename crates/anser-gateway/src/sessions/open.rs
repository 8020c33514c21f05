//! Opening a session, and what operators see and do: the list, the end of one.

use std::sync::Arc;
use std::time::Duration;

use anser_core::Problem;
use anser_core::ProblemKind;
use anser_core::Timestamp;
use anser_core::id::DeliveryId;
use anser_core::live::{CloseReason, Event, IbEvent, check_resource};
use anser_core::name::UserId;
use anser_core::store::{Claim, ClaimClass, DeliveryRow, StoreError};
use serde_json::json;
use tokio::sync::Notify;

use super::{ANSWER_WITHIN, UNSENT_BYTES_MAX, WINDOW_BYTES, WINDOW_MESSAGES};
use super::{Events, Opening, SESSIONS_MAX, Session, SessionId, SessionView, USER_SESSIONS_MAX};
use crate::gateway::{Gateway, Phase};
use crate::live::Facts;
use crate::live::Seat;
use crate::live::plan::{Admission, NoAnswer, Refused};
use crate::mailbox::{MAILBOX_MESSAGES_MAX, group_of, is_of};
use crate::refusal::store_problem;

/// Deliveries of a mailbox read at a time.
const CLAIMED_AT_ONCE: usize = 1_000;
/// What is committed while a mailbox is read may be stamped later than the read began, and have a lower number than what is
/// found: everything that is not scheduled is read, whatever its time.
const STAMPED_AHEAD: Duration = Duration::from_secs(60);
/// Deliveries of a mailbox that are looked at, at most: some more than may wait, as requests side by side may pass that.
const CLAIMED_MAX: usize = 2 * MAILBOX_MESSAGES_MAX as usize;

impl Gateway {
    /// Opens a session for whom a wire authenticated. Its first event is the `ib` `welcome`.
    ///
    /// # Errors
    /// 422 `invalid_resource`, 429 `too_many_sessions`, 503 `stopping`, or the store's.
    pub async fn open_session(
        self: &Arc<Self>,
        opening: Opening,
    ) -> Result<(Session, Events), Problem> {
        if *self.phase.borrow() != Phase::Running {
            return Err(stopping());
        }
        if let Some(resource) = &opening.resource {
            check_resource("resource", resource)?;
        }
        let (after, user) = (opening.after, opening.identity.user.clone());
        let mut opening = opening;
        let questions = std::mem::take(&mut opening.questions);
        let (session, events, stay) = self.admit(opening)?;
        if let (Some(stay), Some(user)) = (stay, &user) {
            let (rows, next_due) = self.waiting_mail(user).await.map_err(store_problem)?;
            self.sessions
                .change(|state, _| state.plan.load_mail(user, stay, &rows, next_due));
        }
        let number = session.facts.id.number;
        self.sessions.change(|state, now| {
            let welcome = self.welcome(&session.facts, state.plan.waiting(number, after));
            state.plan.begin(number, after, welcome, now);
            for id in questions {
                state.plan.no_answer(number, id, NoAnswer::Lost, now);
            }
        });
        Ok((session, events))
    }

    fn admit(
        self: &Arc<Self>,
        opening: Opening,
    ) -> Result<(Session, Events, Option<u64>), Problem> {
        let wake = Arc::new(Notify::new());
        let identity = Arc::new(opening.identity);
        let (facts, stay) = self.sessions.change(|state, now| {
            if state.closed {
                return Err(stopping());
            }
            let number = state.next_number();
            let id = SessionId {
                epoch: self.info.epoch,
                number,
            };
            let resource = opening.resource.unwrap_or_else(|| id.to_string());
            let admission = Admission {
                number,
                user: identity.user.clone(),
                resource: resource.clone(),
                acks: opening.acks,
                expires_at: identity.expires_at,
                presence: opening.presence,
            };
            let stay = state.plan.admit(admission, now).map_err(refused)?;
            let facts = Arc::new(Facts {
                id,
                principal: identity.principal.sender.id.clone(),
                user: identity.user.clone(),
                rights: identity.rights.clone(),
                key: identity.principal.key,
                issuer: identity.issuer,
                transport: opening.transport,
                peer: opening.peer,
                resource,
                since: now,
                counters: self.metrics.live_wire(opening.transport),
            });
            facts.counters.began();
            let seat = Seat {
                wake: Arc::clone(&wake),
                facts: Arc::clone(&facts),
                last_seen: now,
            };
            state.seats.insert(number, seat);
            Ok((facts, stay))
        })?;
        let events = Events {
            gateway: Arc::clone(self),
            number: facts.id.number,
            counters: Arc::clone(&facts.counters),
            wake,
        };
        let session = Session {
            gateway: Arc::clone(self),
            facts,
            identity,
        };
        Ok((session, events, stay))
    }

    fn welcome(&self, facts: &Facts, waiting: usize) -> Event {
        let data = json!({
            "session": facts.id,
            "user": facts.user,
            "resource": facts.resource,
            "time": self.clock.now(),
            "waiting": waiting,
            "limits": {
                "answer_within": ANSWER_WITHIN.as_secs(),
                "window_messages": WINDOW_MESSAGES,
                "window_bytes": WINDOW_BYTES,
                "unsent_bytes": UNSENT_BYTES_MAX,
                "message_bytes": self.options.limits.message_bytes_max,
            },
        });
        Event::Ib(Arc::new(IbEvent {
            kind: "welcome".to_owned(),
            data,
        }))
    }

    /// What waits for a user and is due, and when the next is.
    pub(super) async fn waiting_mail(
        &self,
        user: &UserId,
    ) -> Result<(Vec<DeliveryRow>, Option<Timestamp>), StoreError> {
        let mut rows: Vec<DeliveryRow> = Vec::new();
        let mut exclude: Vec<DeliveryId> = Vec::new();
        let now = self.clock.now();
        loop {
            let claim = Claim {
                group: group_of(user),
                class: ClaimClass::First,
                due_until: now.plus(STAMPED_AHEAD),
                exclude: exclude.clone(),
                limit: CLAIMED_AT_ONCE,
            };
            let claimed = self.store.claim(claim).await?;
            exclude.extend(claimed.deliveries.iter().map(|row| row.id));
            let of_user = |row: &DeliveryRow| is_of(row.target.as_deref(), user);
            rows.extend(claimed.deliveries.into_iter().filter(of_user));
            if !claimed.more || exclude.len() >= CLAIMED_MAX {
                let is_later = |row: &DeliveryRow| row.scheduled && row.due > now;
                let later = rows.iter().filter(|row| is_later(row));
                let next_due = later.map(|row| row.due).chain(claimed.next_due).min();
                rows.retain(|row| !is_later(row));
                return Ok((rows, next_due));
            }
        }
    }

    /// The open sessions, by number; of one user only when one is named.
    #[must_use]
    pub fn sessions(&self, user: Option<&str>) -> Vec<SessionView> {
        let state = self.sessions.state();
        let numbers = match user {
            Some(user) => state.plan.sessions_of(user),
            None => state.plan.numbers(),
        };
        let mut views: Vec<SessionView> = numbers
            .iter()
            .filter_map(|number| {
                let seat = state.seats.get(number)?;
                state.plan.view(*number, &seat.facts, seat.last_seen)
            })
            .collect();
        views.sort_unstable_by_key(|view| view.id);
        views
    }

    /// Ends a session as kicked; answers whether it was there.
    pub fn kick_session(&self, id: SessionId, detail: Option<String>) -> bool {
        id.epoch == self.info.epoch
            && self.sessions.change(|state, now| {
                let reason = CloseReason::Kicked;
                state.plan.close(id.number, reason, detail, now)
            })
    }

    /// Ends every session of a user as kicked; answers how many there were.
    pub fn kick_user(&self, user: &UserId, detail: Option<&str>) -> usize {
        self.sessions.change(|state, now| {
            let sessions = state.plan.sessions_of(user.as_str());
            let mut kicked = 0;
            for number in sessions {
                let detail = detail.map(str::to_owned);
                let closed = state.plan.close(number, CloseReason::Kicked, detail, now);
                kicked += usize::from(closed);
            }
            kicked
        })
    }
}

fn stopping() -> Problem {
    let detail = "the gateway is stopping; connect again";
    Problem::new(ProblemKind::Unavailable, "stopping", detail)
}

fn refused(refused: Refused) -> Problem {
    let detail = match refused {
        Refused::TooMany => {
            format!("{SESSIONS_MAX} sessions are open already; connect again later")
        }
        Refused::TooManyOfUser => {
            format!("{USER_SESSIONS_MAX} sessions of this user are open already; close one")
        }
    };
    Problem::new(ProblemKind::TooMany, "too_many_sessions", detail)
}
