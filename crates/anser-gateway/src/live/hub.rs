//! The one lock around the plan, and what comes of its decisions: sessions are woken, ends of messages are stored, alarms
//! are kept. Nothing waits while it holds the lock. Must not decide anything.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anser_core::Timestamp;
use anser_core::clock::Clock;
use anser_core::id::{Num, ResourceId};
use anser_core::live::Presence;
use anser_core::name::UserId;
use tokio::sync::{Notify, mpsc};

use super::plan::{Bounds, Effect, Fresh, MailEnd, Plan};
use super::{Facts, SESSIONS_MAX, SUBSCRIPTIONS_MAX, USER_SESSIONS_MAX};

/// What is left to do for the keeper.
#[derive(Debug)]
pub(crate) enum Job {
    /// The store is to know the end of a message.
    End(MailEnd),
    /// Scheduled messages of a user are due.
    Due(UserId),
    /// Whoever follows the system's topic is to know how available a user is.
    Transition(UserId, Presence),
}

/// Every session of this run.
pub(crate) struct Sessions {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Nobody could miss what is not told of; to be asked without the lock.
    deaf: AtomicBool,
    /// An alarm is earlier than the keeper thinks, or there are no more.
    pub(crate) changed: Notify,
    jobs: mpsc::UnboundedSender<Job>,
    /// Until the keeper takes it.
    pub(crate) left: Mutex<Option<mpsc::UnboundedReceiver<Job>>>,
    /// One change of the roster at a time; held across the commit on purpose.
    pub(crate) roster: tokio::sync::Mutex<()>,
}

pub(crate) struct State {
    pub(crate) plan: Plan,
    /// What is known of each session beside the plan.
    pub(crate) seats: HashMap<u64, Seat>,
    /// No session is opened any more.
    pub(crate) closed: bool,
    last: u64,
    /// When the mailboxes of users who are not connected were gone through.
    pub(crate) swept: Timestamp,
}

/// What is known of a session beside the plan.
pub(crate) struct Seat {
    pub(crate) wake: Arc<Notify>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) last_seen: Timestamp,
}

impl State {
    /// The number of a new session.
    pub(crate) const fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl Sessions {
    /// Nobody is connected; the next message has a number above `highest`.
    pub(crate) fn new(clock: Arc<dyn Clock>, highest: Num) -> Arc<Self> {
        let (jobs, left) = mpsc::unbounded_channel();
        let bounds = Bounds {
            sessions: SESSIONS_MAX,
            of_user: USER_SESSIONS_MAX,
            subscriptions: SUBSCRIPTIONS_MAX,
        };
        let began = clock.now();
        Arc::new(Self {
            clock,
            state: Mutex::new(State {
                plan: Plan::new(bounds, highest),
                seats: HashMap::new(),
                closed: false,
                last: 0,
                swept: began,
            }),
            deaf: AtomicBool::new(true),
            changed: Notify::new(),
            jobs,
            left: Mutex::new(Some(left)),
            roster: tokio::sync::Mutex::new(()),
        })
    }

    fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::Relaxed)
    }

    /// Whether a session reads the topic.
    pub(crate) fn is_followed(&self, topic: ResourceId) -> bool {
        !self.is_deaf() && self.state().plan.is_followed(topic)
    }

    /// Changes the state at this moment, and sees to what comes of it.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.state();
        let before = state.plan.next_alarm();
        let answer = change(&mut state, now);
        let after = state.plan.next_alarm();
        for effect in state.plan.take_effects() {
            match effect {
                Effect::Wake(number) => {
                    if let Some(seat) = state.seats.get(&number) {
                        seat.wake.notify_one();
                    }
                }
                // Closed only when the process ends; the next run gives the message again.
                Effect::Settle(end) => drop(self.jobs.send(Job::End(end))),
                Effect::Due(user) => drop(self.jobs.send(Job::Due(user))),
                Effect::Transition(user, presence) => {
                    drop(self.jobs.send(Job::Transition(user, presence)));
                }
            }
        }
        self.deaf.store(state.plan.is_deaf(), Ordering::Relaxed);
        drop(state);
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.changed.notify_one();
        }
        answer
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commit of messages begins: sessions are told of messages in the order of their numbers.
    pub(crate) fn begin_commit(self: &Arc<Self>) -> Commit {
        let number = self.change(|state, _| state.plan.begin_commit());
        Commit {
            sessions: Arc::clone(self),
            number: Some(number),
        }
    }
}

/// A commit under way. Dropping it says that nothing came of it, or that somebody else will tell.
pub(crate) struct Commit {
    sessions: Arc<Sessions>,
    number: Option<u64>,
}

impl std::fmt::Debug for Commit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Commit").field(&self.number).finish()
    }
}

impl Commit {
    /// Whether anybody could want what the messages say.
    pub(crate) fn is_anyone_there(&self) -> bool {
        !self.sessions.is_deaf()
    }

    /// The commit is durable: these are its new messages.
    pub(crate) fn tell(&mut self, messages: Vec<(Num, Option<Fresh>)>) {
        if let Some(number) = self.number.take() {
            let plan = |state: &mut State, now| state.plan.committed(number, messages, now);
            self.sessions.change(plan);
        }
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        self.tell(Vec::new());
    }
}
