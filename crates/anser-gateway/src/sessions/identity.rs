//! Who a session is and what it may do: a user of an application's token, or an API key, which may act for a user. Pure.

use anser_core::id::ResourceId;
use anser_core::message::{Sender, SenderKind};
use anser_core::name::{ROOM_PREFIX, USER_PREFIX, UserId, is_system_topic};
use anser_core::resource::Scope;
use anser_core::{Problem, ProblemKind, Timestamp};

use crate::auth::{Principal, pattern_matches};
use crate::mailbox::number_of;

/// Which names a right is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Every one.
    All,
    /// Those that a pattern covers: `*` stands for any run of characters.
    Only(Vec<String>),
}

impl Allowed {
    /// No one.
    #[must_use]
    pub const fn none() -> Self {
        Self::Only(Vec::new())
    }

    fn covers(&self, name: &str, ignoring_case: bool) -> bool {
        match self {
            Self::All => true,
            Self::Only(patterns) => patterns
                .iter()
                .any(|pattern| pattern_matches(pattern, name, ignoring_case)),
        }
    }
}

/// What a session may do. Rooms that are open, or that name the user as a member, are allowed beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// Topics it may publish to.
    pub publish: Allowed,
    /// Topics it may read.
    pub read: Allowed,
    /// Rooms it may read and publish to, by name.
    pub rooms: Allowed,
    /// Direct addresses it may send to (`user:*`, `ops/*`); rooms are in `rooms`.
    pub send: Allowed,
    /// Users whose presence it may see without being approved, by id.
    pub see: Allowed,
}

impl Rights {
    /// Nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            publish: Allowed::none(),
            read: Allowed::none(),
            rooms: Allowed::none(),
            send: Allowed::none(),
            see: Allowed::none(),
        }
    }

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

    /// Refuses a topic that the session may not read. A system topic takes the right to all, or a pattern that begins
    /// with `$` too.
    ///
    /// # Errors
    /// 403 `topic_not_allowed`.
    pub fn require_read(&self, topic: &str) -> Result<(), Problem> {
        let covered = match &self.read {
            Allowed::Only(patterns) if is_system_topic(topic) => patterns
                .iter()
                .any(|pattern| pattern.starts_with('$') && pattern_matches(pattern, topic, true)),
            read => read.covers(topic, true),
        };
        if covered {
            return Ok(());
        }
        Err(forbidden(
            "topic_not_allowed",
            format!(
                "this session may not read the topic {topic}; its key or token does not name it"
            ),
        )
        .field("topic"))
    }

    /// Whether the session may use a room by its own right.
    #[must_use]
    pub fn covers_room(&self, room: &str) -> bool {
        self.rooms.covers(room, true)
    }

    /// Whether the session may see a user without being approved.
    #[must_use]
    pub fn covers_presence(&self, user: &UserId) -> bool {
        self.see.covers(user.as_str(), false)
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
        })
    }

    /// Ends with this issuer.
    #[must_use]
    pub(crate) fn by(mut self, issuer: ResourceId) -> Self {
        self.issuer = Some(issuer);
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

/// A refusal for want of a right.
pub(super) fn forbidden(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Forbidden, code, detail)
}
