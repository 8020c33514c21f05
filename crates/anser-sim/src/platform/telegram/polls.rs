//! How a bot of Telegram asks for updates: `getUpdates`, which waits for one, and confirms those before its `offset`. From the
//! Bot API, `getUpdates`, and its server's words for a conflict. Must not know what an update is about.

use std::collections::VecDeque;
use std::time::Duration;

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::{Breach, Desk, Hold, Moment, Refusal, Verdict};
use super::Request;
use super::answer::{ok, refuse};
use super::content::number;

/// What a poll is told that another has taken the place of.
pub(super) const TERMINATED: &str = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
/// What a poll is told while updates are posted to a webhook.
const CALLED: &str = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
/// The longest that a poll waits, in seconds.
const WAIT_MAX: u64 = 50;
/// Updates in an answer, where the poll names no other limit, and the most that it may name.
const UPDATES_MAX: usize = 100;
/// For how long updates are kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Updates that are kept.
const KEPT_MAX: usize = 100_000;
/// What does not come unless it is named.
const UNASKED: [&str; 3] = ["chat_member", "message_reaction", "message_reaction_count"];

/// The updates that wait for a poll.
#[derive(Default)]
pub(super) struct Polls {
    waiting: VecDeque<(Timestamp, Value)>,
    /// The poll that came last: those before it are ended.
    turn: u64,
    /// Updates that polls confirmed and that are not counted yet.
    taken: u64,
    /// Kinds of updates that come, as a poll named them; `None`: the usual ones.
    allowed: Option<Vec<String>>,
}

impl Polls {
    /// Keeps an update until it is confirmed, unless the bot does not want its kind.
    pub(super) fn keep(&mut self, update: Value, moment: Moment) {
        let mut members = update.as_object().into_iter().flatten();
        let kind = members.find(|(name, _)| *name != "update_id");
        let kind = kind.map_or("", |(name, _)| name);
        let wanted = match &self.allowed {
            Some(named) => named.iter().any(|named| named == kind),
            None => !UNASKED.contains(&kind),
        };
        if wanted && self.waiting.len() < KEPT_MAX {
            self.waiting.push_back((moment.now, update));
        }
    }

    /// What is told of the webhook.
    pub(super) fn webhook(&self, desk: &Desk<'_>) -> Value {
        let url = if desk.is_called {
            "https://bot.example/"
        } else {
            ""
        };
        json!({"url": url, "has_custom_certificate": false, "pending_update_count": self.waiting.len()})
    }

    /// `getUpdates`.
    pub(super) fn poll(
        &mut self,
        request: &Request<'_>,
        desk: &Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        let (call, body) = (request.call, &request.body);
        if desk.is_called {
            return Err(refuse(409, CALLED, Breach::Content));
        }
        let hold = match call.held {
            Some(hold) if hold.turn != self.turn => {
                return Err(refuse(409, TERMINATED, Breach::Content));
            }
            Some(hold) => hold,
            None => {
                self.turn += 1;
                self.begin(body, call.now);
                let seconds =
                    number(&body["timeout"]).and_then(|seconds| u64::try_from(seconds).ok());
                let wait = Duration::from_secs(seconds.unwrap_or(0).min(WAIT_MAX));
                Hold {
                    turn: self.turn,
                    until: call.monotonic + wait,
                }
            }
        };
        if self.waiting.is_empty() && call.monotonic < hold.until {
            return Ok(Verdict::Held(hold));
        }
        let limit = number(&body["limit"]).and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(UPDATES_MAX).clamp(1, UPDATES_MAX);
        let updates: Vec<&Value> = self
            .waiting
            .iter()
            .take(limit)
            .map(|(_, update)| update)
            .collect();
        Ok(Verdict::Polled {
            sent: updates.len() as u64,
            taken: std::mem::take(&mut self.taken),
            answer: ok(&json!(updates)),
        })
    }

    /// Forgets what the poll confirms and what is too old.
    fn begin(&mut self, body: &Value, now: Timestamp) {
        if let Some(named) = body["allowed_updates"].as_array() {
            let named: Vec<String> = named
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            self.allowed = Some(named).filter(|named| !named.is_empty());
        }
        self.waiting.retain(|(at, _)| now.since(*at) < KEPT_FOR);
        let Some(offset) = number(&body["offset"]) else {
            return;
        };
        let before = self.waiting.len();
        if offset < 0 {
            // The last so many; all before them are forgotten.
            let kept = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            self.waiting.drain(..before.saturating_sub(kept));
        } else {
            self.waiting
                .retain(|(_, update)| update["update_id"].as_i64() >= Some(offset));
        }
        self.taken += (before - self.waiting.len()) as u64;
    }
}
