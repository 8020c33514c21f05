//! Who a session is and what it may do: a user of an application's token, or an API key, which may act for a user. Pure.

use anser_core::id::ResourceId;
use anser_core::message::{Sender, SenderKind};
use anser_core::name::{ROOM_PREFIX, USER_PREFIX, UserId};
use anser_core::resource::Scope;
use anser_core::{Problem, Timestamp};

use crate::auth::Principal;
use crate::config::Meta;
use crate::live::{Allowed, Rights};
use crate::mailbox::number_of;

impl Rights {
    /// What an API key may: its scopes say what, its patterns where. Rooms and users are among its `targets`.
    #[must_use]
    pub fn of_key(principal: &Principal) -> Self {
        let has = |scope| principal.require(scope).is_ok();
        let (publish, read) = (has(Scope::Publish), has(Scope::Read) || has(Scope::Consume));
        let only =
            |allowed: bool, patterns: Allowed| if allowed { patterns } else { Allowed::none() };
        let topics = principal.topics.clone().map_or(Allowed::All, Allowed::Only);
        let targets = match (&principal.targets, &principal.topics) {
            (Some(targets), _) => Allowed::Only(targets.clone()),
            (None, None) => Allowed::All,
            (None, Some(_)) => Allowed::none(),
        };
        Self {
            publish: only(publish, topics.clone()),
            read: only(read, topics),
            rooms: only(publish || read, behind(&targets, ROOM_PREFIX)),
            see: only(read, behind(&targets, USER_PREFIX)),
            send: only(publish, targets),
        }
    }
}

/// The patterns of addresses that begin with `prefix`, without it.
fn behind(targets: &Allowed, prefix: &str) -> Allowed {
    let Allowed::Only(patterns) = targets else {
        return Allowed::All;
    };
    // `*` and `us*` cover addresses of every kind that they are a beginning of.
    let covers_all = |pattern: &String| {
        pattern
            .strip_suffix('*')
            .is_some_and(|start| prefix.starts_with(start))
    };
    if patterns.iter().any(covers_all) {
        return Allowed::All;
    }
    let names = patterns
        .iter()
        .filter_map(|pattern| pattern.strip_prefix(prefix));
    Allowed::Only(names.map(str::to_owned).collect())
}

/// Who a session is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// As whom it publishes; `from` is stamped with its sender.
    pub(crate) principal: Principal,
    /// Whose mailbox and presence it has; `None`: a program's session, which has neither.
    pub(crate) user: Option<UserId>,
    /// What it may do.
    pub(crate) rights: Rights,
    /// When it is closed as expired.
    pub(crate) expires_at: Option<Timestamp>,
    /// Whose token said so.
    pub(crate) issuer: Option<ResourceId>,
    /// As that was when the token was looked at.
    pub(crate) issuer_revision: Option<u64>,
}

impl Identity {
    /// A user, by a token of an application. `issuer` tells users of several applications apart where they publish
    /// under dedupe keys; mailbox, presence and rooms go by the user's id alone.
    #[must_use]
    pub fn of_user(
        issuer: &str,
        user: UserId,
        name: Option<String>,
        rights: Rights,
        expires_at: Option<Timestamp>,
    ) -> Self {
        let sender = Sender {
            kind: SenderKind::User,
            id: user.as_str().to_owned(),
            name,
            platform: None,
            account: None,
        };
        let lineage = number_of(&[issuer, user.as_str()]);
        let principal = principal(&rights, &user, sender, lineage);
        Self {
            principal,
            user: Some(user),
            rights,
            expires_at,
            issuer: None,
            issuer_revision: None,
        }
    }

    /// An API key, or the developer mode's caller. It may act for a user when it has the scope `consume` and its
    /// `targets` cover `user:ID`: then the user's mailbox and presence are the session's, and `from` is the user.
    ///
    /// # Errors
    /// 403 `missing_scope` or `address_not_allowed`.
    pub fn of_key(principal: Principal, user: Option<UserId>) -> Result<Self, Problem> {
        let rights = Rights::of_key(&principal);
        let Some(user) = user else {
            return Ok(Self {
                principal,
                user: None,
                rights,
                expires_at: None,
                issuer: None,
                issuer_revision: None,
            });
        };
        principal.require(Scope::Consume)?;
        principal.require_target("user", &user.address())?;
        let mut of_user = principal;
        of_user.sender = Sender {
            kind: SenderKind::User,
            id: user.as_str().to_owned(),
            name: None,
            platform: None,
            account: None,
        };
        Ok(Self {
            principal: of_user,
            user: Some(user),
            rights,
            expires_at: None,
            issuer: None,
            issuer_revision: None,
        })
    }

    /// Ends with this issuer.
    #[must_use]
    pub(crate) fn by(mut self, issuer: &Meta) -> Self {
        self.issuer = Some(issuer.id);
        self.issuer_revision = Some(issuer.revision);
        self
    }

    /// The caller of the use cases of the API.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        self.user.as_ref()
    }

    /// What it may do.
    #[must_use]
    pub fn rights(&self) -> &Rights {
        &self.rights
    }
}

/// What a user of a token may do, as the use cases of the API know it.
fn principal(rights: &Rights, user: &UserId, sender: Sender, lineage: u64) -> Principal {
    let topics = match &rights.publish {
        Allowed::All => None,
        Allowed::Only(patterns) => Some(patterns.clone()),
    };
    let targets = match (&rights.send, &rights.rooms) {
        (Allowed::All, Allowed::All) if topics.is_none() => None,
        (send, rooms) => {
            let mut targets = match send {
                Allowed::All => vec!["*".to_owned()],
                Allowed::Only(patterns) => patterns.clone(),
            };
            match rooms {
                Allowed::All => targets.push(format!("{ROOM_PREFIX}*")),
                Allowed::Only(rooms) => {
                    targets.extend(rooms.iter().map(|room| format!("{ROOM_PREFIX}{room}")));
                }
            }
            // A message may say that answers go to its sender.
            targets.push(user.address());
            Some(targets)
        }
    };
    Principal {
        key: None,
        sender,
        lineage,
        scopes: vec![Scope::Publish],
        topics,
        targets,
    }
}
