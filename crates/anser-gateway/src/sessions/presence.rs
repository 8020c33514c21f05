//! What clients ask about presence, and the roster in the store: for each pair of users a document, which the plan holds
//! too. Must not decide who is told.

use anser_core::live::{Answer, Presence, PresenceType, Subscription};
use anser_core::name::{TOPIC_PRESENCE, UserId};
use anser_core::store::{ConfigChange, ConfigKind, ConfigRow, StoreError};
use anser_core::{Problem, ProblemKind, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Session;
use super::{CONTACTS_MAX, ROSTER_MAX};
use crate::gateway::Gateway;
use crate::live::Sessions;
use crate::live::forbidden;
use crate::live::plan::Edge;
use crate::refusal::store_problem;

/// The version of the documents written here.
const VERSION: u32 = 1;
/// The type of the messages on the system's topic.
const TRANSITION: &str = "presence.changed";

/// How it stands between two, as stored; the key names both.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    v: u32,
    approved: bool,
    since: Timestamp,
}

fn key(watcher: &UserId, watched: &UserId) -> String {
    // A user's id has no `/`.
    format!("{watcher}/{watched}")
}

impl Sessions {
    /// Takes over the roster as stored. What cannot be read is left out and logged: it is between two users, and must not
    /// keep the others from starting.
    pub(crate) fn load_roster(&self, rows: &[ConfigRow]) {
        for row in rows.iter().filter(|row| row.kind == ConfigKind::Watch) {
            match read(row) {
                Some((watcher, watched, edge)) => {
                    self.change(|state, _| state.plan.set_edge(&watcher, &watched, Some(edge)));
                }
                None => tracing::error!(key = row.key, "a pair of the roster cannot be read"),
            }
        }
    }
}

fn read(row: &ConfigRow) -> Option<(UserId, UserId, Edge)> {
    let (watcher, watched) = row.key.split_once('/')?;
    let stored: Stored = serde_json::from_slice(&row.document).ok()?;
    let edge = if stored.approved {
        Edge::Approved
    } else {
        Edge::Asked
    };
    let user = |id: &str| UserId::parse("user", id).ok();
    (stored.v <= VERSION).then_some((user(watcher)?, user(watched)?, edge))
}

impl Session {
    /// The session's user, who is another than `other`.
    fn user_beside(&self, other: &UserId) -> Result<&UserId, Problem> {
        let user = self.user()?;
        if user == other {
            return Err(Problem::invalid(
                "invalid_field",
                "principal",
                "this is the session's own user",
            ));
        }
        Ok(user)
    }

    pub(super) fn user(&self) -> Result<&UserId, Problem> {
        self.identity.user.as_ref().ok_or_else(|| {
            forbidden(
                "no_user",
                "this session is of a key and acts for no user; name a `user` when it is opened",
            )
        })
    }

    pub(super) async fn ask_presence(&self, other: &UserId) -> Result<Answer, Problem> {
        let identity = &self.identity;
        let number = self.facts.id.number;
        let sessions = &self.gateway.sessions;
        if identity.rights.covers_presence(other) {
            return sessions.change(|state, _| {
                if state.plan.watches(number) >= CONTACTS_MAX {
                    return Err(roster_full());
                }
                Ok(Answer::Presence {
                    user: other.clone(),
                    presence: state.plan.watch(number, other),
                    subscription: Subscription::To,
                })
            });
        }
        let user = self.user_beside(other)?;
        identity
            .principal
            .require_target("principal", &other.address())?;
        let _one_at_a_time = sessions.roster.lock().await;
        let (edge, room) = sessions.change(|state, _| {
            let room = state.plan.has_room_for_edge(user, other);
            (state.plan.edge(user, other), room)
        });
        match edge {
            Some(Edge::Approved) => return self.probe_presence(Some(other)),
            Some(Edge::Asked) => return Ok(Answer::Done {}),
            None if !room => return Err(roster_full()),
            None => {}
        }
        self.set_edge((user, other), Some(Edge::Asked)).await?;
        self.tell(other, user, PresenceType::Subscribe);
        Ok(Answer::Done {})
    }

    pub(super) async fn approve_presence(&self, other: &UserId) -> Result<Answer, Problem> {
        let user = self.user_beside(other)?;
        let sessions = &self.gateway.sessions;
        let _one_at_a_time = sessions.roster.lock().await;
        match sessions.change(|state, _| state.plan.edge(other, user)) {
            Some(Edge::Approved) => return Ok(Answer::Done {}),
            Some(Edge::Asked) => {}
            None => return Err(not_asked(other)),
        }
        self.set_edge((other, user), Some(Edge::Approved)).await?;
        self.tell(other, user, PresenceType::Subscribed);
        Ok(Answer::Done {})
    }

    pub(super) async fn refuse_presence(&self, other: &UserId) -> Result<Answer, Problem> {
        let user = self.user_beside(other)?;
        let sessions = &self.gateway.sessions;
        let _one_at_a_time = sessions.roster.lock().await;
        let edge = sessions.change(|state, _| state.plan.edge(other, user));
        if edge.is_none() {
            return Err(not_asked(other));
        }
        self.set_edge((other, user), None).await?;
        self.tell(other, user, PresenceType::Unsubscribed);
        Ok(Answer::Done {})
    }

    pub(super) async fn leave_presence(&self, other: &UserId) -> Result<Answer, Problem> {
        let number = self.facts.id.number;
        let sessions = &self.gateway.sessions;
        let watched = sessions.change(|state, _| state.plan.stop_watching(number, other));
        let Ok(user) = self.user_beside(other) else {
            return if watched {
                Ok(Answer::Done {})
            } else {
                Err(not_watched(other))
            };
        };
        let _one_at_a_time = sessions.roster.lock().await;
        let edge = sessions.change(|state, _| state.plan.edge(user, other));
        match edge {
            None if watched => return Ok(Answer::Done {}),
            None => return Err(not_watched(other)),
            Some(_) => {}
        }
        self.set_edge((user, other), None).await?;
        self.tell(other, user, PresenceType::Unsubscribe);
        Ok(Answer::Done {})
    }

    /// Whether the session may see how available a user is: by its own right, or because that user approved.
    pub(super) fn may_see(&self, other: &UserId) -> bool {
        let identity = &self.identity;
        let approved = |user: &UserId| {
            let sessions = &self.gateway.sessions;
            sessions.change(|state, _| state.plan.edge(user, other)) == Some(Edge::Approved)
        };
        let own = identity.user.as_ref();
        own.is_some_and(|user| user == other || approved(user))
            || identity.rights.covers_presence(other)
    }

    pub(super) fn probe_presence(&self, other: Option<&UserId>) -> Result<Answer, Problem> {
        let sessions = &self.gateway.sessions;
        let Some(other) = other else {
            let user = self.user()?;
            let roster = sessions.change(|state, _| state.plan.contacts(user));
            return Ok(Answer::Roster { roster });
        };
        if !self.may_see(other) {
            let detail =
                format!("{other} has not let this session see them; ask with presence.subscribe");
            return Err(forbidden("presence_not_allowed", detail).field("principal"));
        }
        let own = self.identity.user.as_ref();
        Ok(sessions.change(|state, _| {
            let contact = own.map(|user| state.plan.contact(user, other));
            Answer::Presence {
                user: other.clone(),
                presence: state.plan.presence_of(other),
                subscription: contact.map_or(Subscription::None, |contact| contact.subscription),
            }
        }))
    }

    /// Stores how it stands between the one who sees and the one who is seen, and then holds it.
    async fn set_edge(
        &self,
        (watcher, watched): (&UserId, &UserId),
        edge: Option<Edge>,
    ) -> Result<(), Problem> {
        let gateway = &self.gateway;
        let (kind, key) = (ConfigKind::Watch, key(watcher, watched));
        let change = match edge {
            Some(edge) => ConfigChange::Put {
                kind,
                key,
                document: document(edge, gateway.clock.now())?,
                expected: None,
            },
            None => ConfigChange::Delete {
                kind,
                key,
                expected: None,
            },
        };
        let stored = loop {
            match gateway.store.config_apply(vec![change.clone()]).await {
                Err(StoreError::Unknown) => {}
                stored => break stored,
            }
        };
        stored.map_err(store_problem)?;
        let set = |state: &mut crate::live::State, _| state.plan.set_edge(watcher, watched, edge);
        gateway.sessions.change(set);
        Ok(())
    }

    fn tell(&self, to: &UserId, about: &UserId, r#type: PresenceType) {
        let sessions = &self.gateway.sessions;
        sessions.change(|state, now| state.plan.tell_roster(to, about, r#type, now));
    }
}

fn document(edge: Edge, since: Timestamp) -> Result<Bytes, Problem> {
    let stored = Stored {
        v: VERSION,
        approved: edge == Edge::Approved,
        since,
    };
    let document = serde_json::to_vec(&stored)
        .map_err(|error| Problem::new(ProblemKind::Internal, "internal", error.to_string()))?;
    Ok(document.into())
}

impl Gateway {
    /// How available a user is, for operators.
    #[must_use]
    pub fn presence(&self, user: &UserId) -> Presence {
        self.sessions
            .change(|state, _| state.plan.presence_of(user))
    }

    /// Says on the system's topic that a user's presence is another than before; nothing is stored when nobody reads it.
    pub(super) async fn publish_presence(&self, user: &UserId, presence: &Presence) {
        let data = json!({
            "user": user,
            "show": presence.show,
            "status": presence.status,
            "priority": presence.priority,
        });
        let key = Some(user.to_string());
        let published = self.publish_system(TOPIC_PRESENCE, TRANSITION, data, key);
        if let Err(problem) = Box::pin(published).await {
            tracing::warn!(%problem, "a change of presence could not be published");
        }
    }
}

fn roster_full() -> Problem {
    Problem::new(
        ProblemKind::TooMany,
        "roster_full",
        format!(
            "a user may see and be seen by {CONTACTS_MAX} others, {ROSTER_MAX} pairs in all; leave somebody first"
        ),
    )
}

fn not_asked(other: &UserId) -> Problem {
    let detail = format!("{other} has not asked to see this user");
    Problem::new(ProblemKind::NotFound, "not_asked", detail).field("principal")
}

fn not_watched(other: &UserId) -> Problem {
    let detail = format!("this session neither sees {other} nor has asked to");
    Problem::new(ProblemKind::NotFound, "not_subscribed", detail).field("principal")
}
