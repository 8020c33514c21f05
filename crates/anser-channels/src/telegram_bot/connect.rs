//! Updates by polling (<https://core.telegram.org/bots/api#getupdates>): a request that Telegram answers as soon as there is an
//! update, or after 50 seconds with none. The next one confirms those before its `offset`, and what is confirmed never comes
//! again. Must not confirm what is not stored.

use std::collections::VecDeque;
use std::time::Duration;

use anser_core::channel::{Exchange, HttpRequest};
use anser_core::connection::{Action, Again, Connection, Connector, Input, Loss, Recovery};
use anser_core::inbound::{INBOUND_EVENTS_MAX, InboundContext, InboundEvent};
use serde_json::{Map, Value, json};
use url::Url;

use super::inbound::{ANSWER_BUTTON, REMEMBER, Taken, button_answered, read};
use super::settings::Endpoint;
use crate::kit::classify::{PAUSE_DEFAULT, pause};
use crate::kit::connecting::{End, object, words};
use crate::kit::plan::{MEDIA_TYPE, json as bytes_of};
use crate::kit::post::post_as;

/// Seconds that a poll waits for an update: the longest that Telegram's servers wait.
const WAIT_SECONDS: u64 = 50;
/// Updates in an answer: the most that there are.
const UPDATES_MAX: u64 = 100;
/// How long the answer to a poll may take.
const POLL_MAX: Duration = Duration::from_secs(WAIT_SECONDS + 15);
/// How long an answer may take that waits for nothing.
const CALL_MAX: Duration = Duration::from_secs(15);
/// A poll and a half without an answer.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// Pause before what could not be stored is asked for again.
const AGAIN_PAUSE: Duration = Duration::from_secs(5);
/// The timer of that pause.
const AGAIN: u8 = 0;
/// The tag of polls. Answers to buttons have those above.
const POLL: u32 = 0;
/// Kinds of updates: all that there are (Bot API 9.2). Those that are not named do not come, and some come only when they
/// are named.
const UPDATES: [&str; 23] = [
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "message_reaction",
    "message_reaction_count",
    "inline_query",
    "chosen_inline_result",
    "callback_query",
    "shipping_query",
    "pre_checkout_query",
    "purchased_paid_media",
    "poll",
    "poll_answer",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "chat_boost",
    "removed_chat_boost",
];

/// How a bot polls.
#[derive(Debug, Clone)]
pub(super) struct Polling {
    get_updates: Url,
    answer_button: Url,
    bot: i64,
}

impl Polling {
    /// Of the bot of that endpoint.
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        Self {
            get_updates: endpoint.method("getUpdates"),
            answer_button: endpoint.method(ANSWER_BUTTON),
            bot: endpoint.bot,
        }
    }
}

impl Connector for Polling {
    /// Nothing is kept: Telegram begins with the first update that was not confirmed.
    fn begin(&self, _: Option<&[u8]>) -> Box<dyn Connection> {
        Box::new(Poll {
            polling: self.clone(),
            is_live: false,
            is_asking: false,
            confirmed: None,
            batches: VecDeque::new(),
            is_refused: false,
            batch: 0,
            tag: POLL,
        })
    }

    fn silence_max(&self) -> Duration {
        SILENCE_MAX
    }

    fn remember(&self) -> Duration {
        REMEMBER
    }
}

/// A bot that polls.
struct Poll {
    polling: Polling,
    is_live: bool,
    is_asking: bool,
    /// What the next poll confirms: everything before this number.
    confirmed: Option<i64>,
    /// What is being stored, in order.
    batches: VecDeque<Batch>,
    /// One of them could not be stored: neither it nor what is behind it may be confirmed.
    is_refused: bool,
    /// The number of the last batch.
    batch: u64,
    /// The last tag.
    tag: u32,
}

/// Updates that are stored together.
struct Batch {
    number: u64,
    events: Vec<InboundEvent>,
    /// The number behind them.
    next: i64,
    /// The buttons that wait for an answer.
    buttons: Vec<String>,
}

impl Connection for Poll {
    fn handle(&mut self, input: Input, context: &InboundContext<'_>) -> Vec<Action> {
        match input {
            Input::Begin => vec![self.poll()],
            Input::Answered { tag, exchange } if tag == POLL && self.is_asking => {
                self.is_asking = false;
                match updates(&exchange, context) {
                    Ok(updates) => self.take(&updates, context),
                    Err(end) => vec![end.into()],
                }
            }
            Input::Stored { batch } => self.settled(batch, true),
            Input::NotStored { batch } => self.settled(batch, false),
            Input::Timer(AGAIN) if !self.is_asking && self.batches.is_empty() => vec![self.poll()],
            // What became of the answer to a button changes nothing, and there is no WebSocket.
            Input::Answered { .. }
            | Input::Timer(_)
            | Input::Opened
            | Input::NotOpened { .. }
            | Input::Frame(_)
            | Input::Closed { .. } => Vec::new(),
        }
    }
}

impl Poll {
    /// The next poll. The first waits for nothing, so that a wrong token or another poller is known at once.
    fn poll(&mut self) -> Action {
        self.is_asking = true;
        let wait = if self.is_live { WAIT_SECONDS } else { 0 };
        let mut body = json!({"timeout": wait, "limit": UPDATES_MAX, "allowed_updates": UPDATES});
        // Only what is new is confirmed: after a week without updates they have other, perhaps lower numbers.
        if let Some(confirmed) = self.confirmed {
            body["offset"] = confirmed.into();
        }
        Action::Ask {
            tag: POLL,
            request: call(&self.polling.get_updates, &body),
            limit: POLL_MAX,
        }
    }

    /// Takes the updates of an answer, which shows at the same time that the poll's confirmation came through.
    fn take(&mut self, updates: &[Value], context: &InboundContext<'_>) -> Vec<Action> {
        self.confirmed = None;
        let mut actions = Vec::new();
        if !self.is_live {
            self.is_live = true;
            actions.push(Action::Live {
                session: None,
                recovery: Recovery::Resumed,
            });
        }
        let mut batches: Vec<Batch> = Vec::new();
        for update in updates {
            match read(update, self.polling.bot, context) {
                Ok(taken) => self.add(&mut batches, taken),
                Err(refusal) => {
                    actions.push(Action::Unread {
                        detail: refusal.detail,
                    });
                    if let Some(number) = update["update_id"].as_i64() {
                        let nothing = Taken {
                            number,
                            events: Vec::new(),
                            button: None,
                        };
                        self.add(&mut batches, nothing);
                    }
                }
            }
        }
        if batches.is_empty() && !updates.is_empty() {
            // They can never be confirmed, and would come again at once and for ever.
            actions.push(End::protocol("updates without numbers").into());
            return actions;
        }
        for mut batch in batches {
            let events = std::mem::take(&mut batch.events);
            if events.is_empty() {
                self.confirm(batch, &mut actions);
                continue;
            }
            actions.push(Action::Take {
                batch: batch.number,
                events,
            });
            self.batches.push_back(batch);
        }
        if self.batches.is_empty() {
            actions.push(self.poll());
        }
        actions
    }

    /// Puts an update behind the others, into a new batch when the last one is full.
    fn add(&mut self, batches: &mut Vec<Batch>, taken: Taken) {
        let next = taken.number.saturating_add(1);
        let count = taken.events.len();
        let last = batches.last_mut();
        let last = last.filter(|batch| batch.events.len() + count <= INBOUND_EVENTS_MAX);
        match last {
            Some(batch) => {
                batch.events.extend(taken.events);
                batch.next = next;
                batch.buttons.extend(taken.button);
            }
            None => {
                self.batch += 1;
                batches.push(Batch {
                    number: self.batch,
                    events: taken.events,
                    next,
                    buttons: taken.button.into_iter().collect(),
                });
            }
        }
    }

    /// A batch was stored, or could not be; the next poll follows the last.
    fn settled(&mut self, number: u64, is_stored: bool) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(batch) = self.batches.pop_front_if(|batch| batch.number == number) else {
            return actions;
        };
        self.is_refused |= !is_stored;
        if !self.is_refused {
            self.confirm(batch, &mut actions);
        }
        if !self.batches.is_empty() {
            return actions;
        }
        if std::mem::take(&mut self.is_refused) {
            actions.push(Action::Timer {
                number: AGAIN,
                after: AGAIN_PAUSE,
            });
        } else {
            actions.push(self.poll());
        }
        actions
    }

    /// The next poll confirms these, and who pressed a button is shown that it was taken.
    fn confirm(&mut self, batch: Batch, actions: &mut Vec<Action>) {
        self.confirmed = Some(batch.next);
        for id in batch.buttons {
            self.tag = self.tag.checked_add(1).unwrap_or(POLL + 1);
            actions.push(Action::Ask {
                tag: self.tag,
                request: call(&self.polling.answer_button, &button_answered(&id)),
                limit: CALL_MAX,
            });
        }
    }
}

fn call(url: &Url, body: &Value) -> HttpRequest {
    post_as(url.clone(), MEDIA_TYPE, bytes_of(body).into())
}

/// The updates in the answer to a poll, or what it means that there are none.
fn updates(exchange: &Exchange, context: &InboundContext<'_>) -> Result<Vec<Value>, End> {
    let (_, mut body) = object(exchange, context.now)?;
    if body.get("ok") != Some(&Value::Bool(true)) {
        return Err(refused(&body));
    }
    match body.remove("result") {
        Some(Value::Array(updates)) => Ok(updates),
        _ => Err(End::protocol("the answer has no list of updates")),
    }
}

/// The reasons that the Bot API gives by a code and words.
fn refused(body: &Map<String, Value>) -> End {
    let member = |name: &str| body.get(name).unwrap_or(&Value::Null);
    let code = member("error_code").as_i64().unwrap_or_default();
    let text = words(member("description").as_str().unwrap_or_default());
    let told = format!("{code} {text}");
    match code {
        409 if text.contains("webhook") => End::refused(format!(
            "{told} (the bot has a webhook, and updates come there or here: remove it with the method deleteWebhook, or take \
callbacks with `inbound.via`: `callback`)"
        )),
        409 => End::new(
            Loss::Replaced,
            Again::Backoff,
            format!("{told} (another program, or another channel, polls with the same token)"),
        ),
        401 | 404 => End::refused(format!(
            "{told} (the token is wrong or was revoked: copy it from @BotFather again)"
        )),
        429 => {
            let wait = member("parameters")["retry_after"].as_f64();
            End::limited(wait.map_or(PAUSE_DEFAULT, pause), told)
        }
        500.. => End::network(told),
        400..=499 => End::refused(told),
        _ => End::protocol("the answer has neither ok nor a code"),
    }
}

#[cfg(test)]
mod tests;
