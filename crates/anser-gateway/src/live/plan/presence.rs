//! Presence: a user's is the best of the user's sessions (RFC 6121 §4.7.2.1), told to those who may see it. A session that
//! was cut is counted for a grace period, so that a reconnect is silent.

use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::live::{
    Contact, Event, Presence, PresenceEvent, PresenceType, PresenceUpdate, Show, Subscription,
};
use anser_core::name::UserId;

use super::{Edge, Effect, Plan, Timer};

/// How long the presence of a session that was cut stays.
pub const GRACE: Duration = Duration::from_secs(30);

/// What a user's sessions say.
#[derive(Debug)]
pub(super) struct Standing {
    /// What was told last.
    announced: Presence,
    /// Sessions that were cut.
    ghosts: Vec<Ghost>,
}

/// A session that was cut, for its grace period.
#[derive(Debug)]
struct Ghost {
    resource: Box<str>,
    said: PresenceUpdate,
    until: Timestamp,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            announced: Presence::offline(),
            ghosts: Vec::new(),
        }
    }
}

impl Standing {
    /// Nothing is remembered of it.
    pub(super) fn is_idle(&self) -> bool {
        self.ghosts.is_empty() && self.announced.show == Show::Offline
    }

    /// A session of this resource is there again.
    pub(super) fn back(&mut self, resource: &str) {
        self.ghosts.retain(|ghost| *ghost.resource != *resource);
    }
}

impl Plan {
    /// A session says how available it is.
    pub(crate) fn say_presence(&mut self, number: u64, said: PresenceUpdate, now: Timestamp) {
        let Some(live) = self.sessions.get_mut(&number).filter(|live| !live.closed) else {
            return;
        };
        live.presence = said;
        if let Some(user) = live.user.clone() {
            self.announce(&user, Some(number), now);
        }
    }

    /// A session was cut: its presence stays for a while.
    pub(super) fn haunt(
        &mut self,
        user: &UserId,
        resource: Box<str>,
        said: PresenceUpdate,
        now: Timestamp,
    ) {
        let until = now.plus(GRACE);
        if let Some(known) = self.users.get_mut(user)
            && said.show != Show::Offline
        {
            known.standing.back(&resource);
            known.standing.ghosts.push(Ghost {
                resource,
                said,
                until,
            });
            self.timers.insert((until, Timer::Grace(user.clone())));
        }
    }

    /// A grace period is over.
    pub(super) fn exorcise(&mut self, user: &UserId, now: Timestamp) {
        if let Some(known) = self.users.get_mut(user) {
            known.standing.ghosts.retain(|ghost| ghost.until > now);
            self.announce(user, None, now);
            self.forget_idle(user);
        }
    }

    /// How available a user is: the best of what the user's sessions say; of equals the one with the higher priority.
    fn best(&self, user: &UserId) -> Presence {
        let Some(known) = self.users.get(user) else {
            return Presence::offline();
        };
        let sessions = known
            .sessions
            .iter()
            .filter_map(|number| self.sessions.get(number));
        let said = sessions
            .filter(|live| live.begun)
            .map(|live| &live.presence);
        let said = said.chain(known.standing.ghosts.iter().map(|ghost| &ghost.said));
        let best = said.max_by_key(|said| (said.show, said.priority));
        best.filter(|best| best.show != Show::Offline)
            .map_or_else(Presence::offline, |best| Presence {
                show: best.show,
                status: best.status.clone(),
                priority: best.priority,
            })
    }

    /// How available a user is, as told last.
    pub(crate) fn presence_of(&self, user: &UserId) -> Presence {
        let known = self.users.get(user);
        known.map_or_else(Presence::offline, |known| known.standing.announced.clone())
    }

    /// Tells who may know when a user's presence is another than before; not the session that it comes from.
    pub(super) fn announce(&mut self, user: &UserId, cause: Option<u64>, now: Timestamp) {
        let best = self.best(user);
        let Some(known) = self.users.get_mut(user) else {
            return;
        };
        if known.standing.announced == best {
            return;
        }
        known.standing.announced = best.clone();
        let own = known.sessions.clone();
        let event = presence_event(user, best.clone());
        let mut told = own;
        for watcher in self.roster.watchers(user, Edge::Approved) {
            told.extend(
                self.users
                    .get(&watcher)
                    .into_iter()
                    .flat_map(|user| &user.sessions),
            );
        }
        told.extend(self.watching.get(user).into_iter().flatten());
        told.sort_unstable();
        told.dedup();
        for number in told {
            if Some(number) != cause && self.sessions.get(&number).is_some_and(|live| live.begun) {
                self.push(number, Event::Presence(Arc::clone(&event)), now);
            }
        }
        self.counts.transitions += 1;
        self.effects.push(Effect::Transition(user.clone(), best));
    }

    /// What a session is told when it begins: who of those its user sees is there, and who asks to see the user.
    pub(super) fn greet(&mut self, number: u64, user: &UserId, now: Timestamp) {
        for contact in self.roster.watched(user, Edge::Approved) {
            let presence = self.presence_of(&contact);
            if presence.show != Show::Offline {
                self.push(
                    number,
                    Event::Presence(presence_event(&contact, presence)),
                    now,
                );
            }
        }
        for asker in self.roster.watchers(user, Edge::Asked) {
            let event = self.roster_event(user, &asker, PresenceType::Subscribe);
            self.push(number, event, now);
        }
    }

    /// A session sees a user by its own right, as long as it lasts; answers how available that user is.
    pub(crate) fn watch(&mut self, number: u64, user: &UserId) -> Presence {
        if let Some(live) = self.sessions.get_mut(&number).filter(|live| !live.closed)
            && !live.watches.contains(user)
        {
            live.watches.push(user.clone());
            self.watching.entry(user.clone()).or_default().push(number);
        }
        self.presence_of(user)
    }

    /// How many users a session sees by its own right.
    pub(crate) fn watches(&self, number: u64) -> usize {
        self.sessions
            .get(&number)
            .map_or(0, |live| live.watches.len())
    }

    /// A session does not want to see a user any more.
    pub(crate) fn stop_watching(&mut self, number: u64, user: &UserId) -> bool {
        let watched = self.sessions.get_mut(&number).is_some_and(|live| {
            let before = live.watches.len();
            live.watches.retain(|watched| watched != user);
            live.watches.len() < before
        });
        self.unwatch(number, user);
        watched
    }

    pub(super) fn unwatch(&mut self, number: u64, user: &UserId) {
        if let Some(watching) = self.watching.get_mut(user) {
            watching.retain(|watcher| *watcher != number);
            if watching.is_empty() {
                self.watching.remove(user);
            }
        }
    }

    /// One of a roster, from `user`'s side.
    pub(crate) fn contact(&self, user: &UserId, other: &UserId) -> Contact {
        let (to, from) = (self.roster.edge(user, other), self.roster.edge(other, user));
        let sees = to == Some(Edge::Approved);
        Contact {
            user: other.clone(),
            subscription: Subscription::of(sees, from == Some(Edge::Approved)),
            asked: to == Some(Edge::Asked),
            asks: from == Some(Edge::Asked),
            presence: sees.then(|| self.presence_of(other)),
        }
    }

    /// Everybody in a user's roster.
    pub(crate) fn contacts(&self, user: &UserId) -> Vec<Contact> {
        let others = self.roster.others(user).into_iter();
        others.map(|other| self.contact(user, &other)).collect()
    }

    /// Who may see whom has changed, and the store knows: `to`'s sessions are told by `about`.
    pub(crate) fn tell_roster(
        &mut self,
        to: &UserId,
        about: &UserId,
        r#type: PresenceType,
        now: Timestamp,
    ) {
        let event = self.roster_event(to, about, r#type);
        let presence = presence_event(about, self.presence_of(about));
        for number in self.sessions_of(to.as_str()) {
            self.push(number, event.clone(), now);
            let there = presence
                .presence
                .as_ref()
                .is_some_and(|there| there.show != Show::Offline);
            if r#type == PresenceType::Subscribed && there {
                self.push(number, Event::Presence(Arc::clone(&presence)), now);
            }
        }
    }

    fn roster_event(&self, to: &UserId, about: &UserId, r#type: PresenceType) -> Event {
        Event::Presence(Arc::new(PresenceEvent {
            user: about.clone(),
            r#type,
            presence: None,
            subscription: Some(self.contact(to, about).subscription),
        }))
    }
}

fn presence_event(user: &UserId, presence: Presence) -> Arc<PresenceEvent> {
    Arc::new(PresenceEvent {
        user: user.clone(),
        r#type: PresenceType::Presence,
        presence: Some(presence),
        subscription: None,
    })
}
