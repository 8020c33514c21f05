//! What operators see of live clients, and do about them. A caller that is limited to some users' addresses sees those
//! users; the sessions of programs are for callers without such limits.

use anser_core::live::Presence;
use anser_core::name::UserId;
use anser_core::resource::Scope;
use anser_core::{Problem, ProblemKind};
use schemars::JsonSchema;
use serde::Serialize;

use super::{SessionId, SessionView};
use crate::admin::{ListQuery, page};
use crate::auth::Principal;
use crate::gateway::Gateway;
use crate::look::Page;
use crate::mailbox::group_of;

/// Which sessions to list.
#[derive(Debug, Clone, Default)]
pub struct SessionQuery {
    /// Only of this user.
    pub user: Option<String>,
    /// Only over this wire.
    pub transport: Option<String>,
    /// Which part.
    pub list: ListQuery,
}

/// How available a user is, and what waits for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UserView {
    /// The user.
    pub user: UserId,
    /// How available.
    #[serde(flatten)]
    pub presence: Presence,
    /// Open sessions.
    pub sessions: usize,
    /// Messages in the mailbox that nobody has acknowledged; what is scheduled too.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
}

impl Gateway {
    /// The open sessions, oldest first.
    ///
    /// # Errors
    /// `missing_scope`, `out_of_range`, `invalid_cursor`.
    pub fn list_sessions(
        &self,
        principal: &Principal,
        query: &SessionQuery,
    ) -> Result<Page<SessionView>, Problem> {
        principal.require(Scope::Read)?;
        let wanted = |view: &SessionView| {
            query
                .transport
                .as_ref()
                .is_none_or(|wire| wire == view.transport)
                && may_see(principal, view.user.as_ref())
        };
        let members = self.sessions(query.user.as_deref()).into_iter();
        let members = members
            .filter(wanted)
            .map(|view| (format!("{:020}", view.id.number), view))
            .collect();
        page(members, &query.list, |view| view)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// 403 without the right, 404 `session_not_found`.
    pub fn end_session(
        &self,
        principal: &Principal,
        id: SessionId,
        detail: Option<String>,
    ) -> Result<(), Problem> {
        principal.require(Scope::Admin)?;
        let session = self.sessions(None).into_iter().find(|view| view.id == id);
        let seen = session.filter(|view| may_see(principal, view.user.as_ref()));
        if seen.is_some() && self.kick_session(id, detail) {
            return Ok(());
        }
        let detail = format!("there is no open session {id}");
        Err(Problem::new(
            ProblemKind::NotFound,
            "session_not_found",
            detail,
        ))
    }

    /// Ends every session of a user; answers how many there were.
    ///
    /// # Errors
    /// 403 without the right.
    pub fn end_sessions_of(
        &self,
        principal: &Principal,
        user: &UserId,
        detail: Option<&str>,
    ) -> Result<usize, Problem> {
        principal.require(Scope::Admin)?;
        principal.require_target("user", &user.address())?;
        Ok(self.kick_user(user, detail))
    }

    /// How available a user is, and what waits for the user. There is one to every id: users are made by their tokens.
    ///
    /// # Errors
    /// 403 without the right.
    pub fn show_user(&self, principal: &Principal, user: &UserId) -> Result<UserView, Problem> {
        principal.require(Scope::Read)?;
        principal.require_target("user", &user.address())?;
        let depths = self.store.depths_of(group_of(user)).into_iter();
        let (waiting, waiting_bytes) = depths.fold((0, 0), |(count, bytes), depth| {
            (count + depth.count, bytes + depth.bytes)
        });
        Ok(UserView {
            user: user.clone(),
            presence: self.presence(user),
            sessions: self.sessions(Some(user.as_str())).len(),
            waiting,
            waiting_bytes,
        })
    }
}

fn may_see(principal: &Principal, user: Option<&UserId>) -> bool {
    match user {
        Some(user) => principal.covers_target(&user.address()),
        None => principal.require_unlimited().is_ok(),
    }
}
