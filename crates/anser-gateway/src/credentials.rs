//! Tokens that platforms give for a while: one for each channel and revision of its settings, taken once however many
//! attempts ask, taken anew before it expires, forgotten when the platform refuses it. In memory only, and never shown.
//! Must not know any platform: what to ask for and what came is the channel's ([`TokenIssuer`]).

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anser_core::channel::{Context, Report, Token, TokenIssuer};
use anser_core::clock::Clock;
use anser_core::id::ResourceId;
use anser_core::outcome::Outcome;
use bytes::Bytes;
use tokio::sync::watch;

use crate::config::ChannelEntry;
use crate::sender::Sender;

/// How long before its end a token is replaced; of a short life at half of it. Ten minutes are what
/// official clients of platforms take, and cover an attempt that waits long for its connection.
const REPLACED_BEFORE: Duration = Duration::from_secs(10 * 60);
/// How long a failure to get a token answers the attempts that ask: without it, every due message would ask the platform
/// again.
const FAILURE_KEPT: Duration = Duration::from_secs(1);
/// The time limit of a request for a token, below the channel's own.
const TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// The tokens of all channels.
#[derive(Default)]
pub(crate) struct Credentials {
    slots: Mutex<HashMap<Key, Slot>>,
}

/// The channel and the revision of its settings: other settings, another token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    channel: ResourceId,
    revision: u64,
}

/// Why there is no token: what it means for the attempt, and the exchange if there was one, without its body.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) outcome: Outcome,
    pub(crate) report: Option<Box<Report>>,
}

type Answer = Result<Arc<Token>, Refused>;

impl Refused {
    /// What it means for an attempt that did not ask itself: that it waits until it may. One lost answer is one failure, of
    /// the attempt that asked; were it one of every message that is due, it would open the endpoint's breaker.
    fn shared(&self, wait: Duration) -> Self {
        match self.outcome {
            Outcome::Retry { .. } => Self {
                outcome: Outcome::Limited { wait },
                report: None,
            },
            _ => self.clone(),
        }
    }
}

/// What is known for one key.
#[derive(Default)]
struct Slot {
    held: Option<Held>,
    /// A request under way; its sender is dropped when the attempt that made it is given up.
    flight: Option<watch::Receiver<Option<Answer>>>,
    /// A failure, and until when it answers.
    failure: Option<(Refused, Duration)>,
}

/// A token with its times on the monotonic clock.
struct Held {
    token: Arc<Token>,
    replace_at: Duration,
    expires_at: Duration,
}

/// What an attempt that needs a token does.
enum Turn {
    Use(Answer),
    Wait(watch::Receiver<Option<Answer>>),
    Ask(watch::Sender<Option<Answer>>),
}

impl Slot {
    fn turn(&mut self, now: Duration) -> Turn {
        let valid = self.held.as_ref().filter(|held| now < held.expires_at);
        if let Some(held) = valid.filter(|held| now < held.replace_at) {
            return Turn::Use(Ok(held.token.clone()));
        }
        // While the next token is asked for, and while it is refused, the one at hand is still good.
        let good = valid.map(|held| held.token.clone());
        if let Some((refused, until)) = &self.failure
            && now < *until
        {
            return Turn::Use(good.ok_or_else(|| refused.shared(*until - now)));
        }
        if let Some(flight) = self.flight.as_ref().filter(|flight| is_under_way(flight)) {
            return good.map_or_else(|| Turn::Wait(flight.clone()), |token| Turn::Use(Ok(token)));
        }
        let (sender, receiver) = watch::channel(None);
        self.flight = Some(receiver);
        Turn::Ask(sender)
    }

    /// Takes note of what came of a request made at `asked`.
    fn land(&mut self, answer: Result<Token, Refused>, asked: Duration, now: Duration) -> Answer {
        self.flight = None;
        match answer {
            Ok(token) => Ok(self.hold(token, asked)),
            Err(refused) => {
                self.failure = Some((refused.clone(), now.saturating_add(FAILURE_KEPT)));
                match self.held.as_ref().filter(|held| now < held.expires_at) {
                    Some(held) => Ok(held.token.clone()),
                    None => Err(refused),
                }
            }
        }
    }

    /// Keeps a token that was asked for at `asked`.
    fn hold(&mut self, token: Token, asked: Duration) -> Arc<Token> {
        let lifetime = token.lifetime();
        let early = REPLACED_BEFORE.min(lifetime / 2);
        let token = Arc::new(token);
        self.failure = None;
        self.held = Some(Held {
            token: token.clone(),
            replace_at: asked.saturating_add(lifetime - early),
            expires_at: asked.saturating_add(lifetime),
        });
        token
    }

    fn is_spent(&self, now: Duration) -> bool {
        let expired = self.held.as_ref().is_none_or(|held| held.expires_at <= now);
        let answers = self.failure.as_ref().is_some_and(|(_, until)| now < *until);
        expired && !answers && !self.flight.as_ref().is_some_and(is_under_way)
    }
}

/// Whether somebody still works on it.
fn is_under_way(flight: &watch::Receiver<Option<Answer>>) -> bool {
    flight.has_changed().is_ok()
}

impl Credentials {
    /// The token for an attempt through a channel, asked for if there is none; `None` when the channel needs none.
    ///
    /// # Errors
    /// When there is none to be had: what that means for the attempt.
    pub(crate) async fn token(
        &self,
        sender: &Sender,
        clock: &dyn Clock,
        channel: &ChannelEntry,
        context: &Context<'_>,
    ) -> Result<Option<Arc<Token>>, Refused> {
        let Some(issuer) = channel.channel.token_issuer() else {
            return Ok(None);
        };
        let deadline = Duration::from_secs(channel.spec.timeout).min(TIMEOUT_MAX);
        let asked = ask(sender, issuer, context, deadline);
        self.get(Key::of(channel), clock, asked).await.map(Some)
    }

    /// A token asked for now, for somebody who wants to know whether there is one to be had; it takes the place of the one
    /// at hand. `None` when the channel needs none.
    ///
    /// # Errors
    /// When there is none to be had: what that would mean for an attempt.
    pub(crate) async fn fresh(
        &self,
        sender: &Sender,
        clock: &dyn Clock,
        channel: &ChannelEntry,
        context: &Context<'_>,
    ) -> Result<Option<Arc<Token>>, Refused> {
        let Some(issuer) = channel.channel.token_issuer() else {
            return Ok(None);
        };
        let deadline = Duration::from_secs(channel.spec.timeout).min(TIMEOUT_MAX);
        let asked = clock.monotonic();
        let token = ask(sender, issuer, context, deadline).await?;
        let key = Key::of(channel);
        let held = self.slot(key, clock.monotonic(), |slot, _| slot.hold(token, asked));
        Ok(Some(held))
    }

    /// Forgets a token that the platform refuses, unless another one has taken its place.
    pub(crate) fn forget(&self, channel: &ChannelEntry, token: &Arc<Token>) {
        if let Some(slot) = self.slots().get_mut(&Key::of(channel)) {
            let same = |held: &Held| Arc::ptr_eq(&held.token, token);
            if slot.held.as_ref().is_some_and(same) {
                slot.held = None;
            }
        }
    }

    /// The token for a key; `ask` runs only if this is the one who asks.
    async fn get(
        &self,
        key: Key,
        clock: &dyn Clock,
        ask: impl Future<Output = Result<Token, Refused>>,
    ) -> Answer {
        let done = loop {
            let turn = self.slot(key, clock.monotonic(), |slot, now| slot.turn(now));
            match turn {
                Turn::Use(answer) => return answer,
                Turn::Wait(mut flight) => {
                    // An error means that the attempt that asked was given up: somebody else asks.
                    if let Ok(answer) = flight.wait_for(Option::is_some).await
                        && let Some(answer) = answer.as_ref()
                    {
                        let shared = |refused: Refused| refused.shared(FAILURE_KEPT);
                        return answer.clone().map_err(shared);
                    }
                }
                Turn::Ask(done) => break done,
            }
        };
        let asked = clock.monotonic();
        let answer = ask.await;
        let answer = self.slot(key, clock.monotonic(), |slot, now| {
            slot.land(answer, asked, now)
        });
        done.send_replace(Some(answer.clone()));
        answer
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the slot of a key. A new one takes the place of those that serve no more.
    fn slot<T>(&self, key: Key, now: Duration, work: impl FnOnce(&mut Slot, Duration) -> T) -> T {
        let mut slots = self.slots();
        if !slots.contains_key(&key) {
            let older = |other: &Key| other.channel == key.channel && other.revision < key.revision;
            slots.retain(|other, slot| !older(other) && !slot.is_spent(now));
        }
        work(slots.entry(key).or_default(), now)
    }
}

impl Key {
    fn of(channel: &ChannelEntry) -> Self {
        Self {
            channel: channel.meta.id,
            revision: channel.meta.revision,
        }
    }
}

/// Asks the platform. Whatever came, no message was sent: there is no doubt to be kept, and no form to be lowered.
async fn ask(
    sender: &Sender,
    issuer: &dyn TokenIssuer,
    context: &Context<'_>,
    deadline: Duration,
) -> Result<Token, Refused> {
    let mut report = sender.send(issuer.request(), deadline).await;
    let outcome = match issuer.read(&report.exchange, context) {
        Ok(token) => return Ok(token),
        Err(outcome) => outcome,
    };
    // The platform may have written a token into a body that could not be read.
    if let Ok(response) = &mut report.exchange {
        response.body = Bytes::new();
    }
    let retry = |why: &str| Outcome::Retry {
        reason: format!("no token: {why}"),
    };
    let outcome = match outcome {
        Outcome::Limited { wait } | Outcome::TargetLimited { wait } => Outcome::Limited { wait },
        Outcome::Rejected { code, text } => Outcome::Rejected {
            code,
            text: format!("no token: {text}"),
        },
        Outcome::Retry { reason }
        | Outcome::Unknown { reason }
        | Outcome::Degrade { reason }
        | Outcome::Gone { reason } => retry(&reason),
        Outcome::RefreshAuth | Outcome::Delivered { .. } => retry("the answer makes no sense"),
    };
    Err(Refused {
        outcome,
        report: Some(Box::new(report)),
    })
}

#[cfg(test)]
mod tests;
