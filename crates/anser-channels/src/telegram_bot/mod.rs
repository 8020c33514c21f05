//! A bot of Telegram: messages in HTML, with buttons that open links, and media, to any chat that the bot is in; edits and
//! recalls; and the updates that are posted to it or that it polls. Must not send what it receives.

mod answer;
mod connect;
mod dialect;
mod fetch;
mod inbound;
mod media;
mod render;
mod settings;

use std::sync::Arc;

use anser_core::channel::{
    Channel, ChannelKind, Context, Counted, CredentialCheck, Exchange, Manifest, MediaSource, Plan,
    Request, Step, StepKind,
};
use anser_core::connection::Connector;
use anser_core::inbound::Inbound;
use anser_core::outcome::Outcome;
use anser_core::resource::{Ordering, Rate};
use anser_core::{Message, Problem, Timestamp};
use serde_json::{Map, Value, json};
use url::Url;

use crate::kit::change::{Changes, edited, recalled};
use crate::kit::plan::{FORMAT, MEDIA_TYPE, json as bytes_of, plan};
use crate::kit::post::{post, post_as};
use crate::kit::settings::{url_settings, url_words};
use connect::Polling;
use inbound::Receiver;
use media::METHOD;
use render::{Bot, is_sending};
use settings::{Endpoint, Settings};

/// The kind's name.
const KIND: &str = "telegram-bot";
/// The method of a body that names none.
const SEND: &str = "sendMessage";
/// What a group or channel takes: one a second, and 20 a minute (Bots FAQ, "My bot is hitting limits"): at most 1 + 60 × 0.3.
const SHARED_RATE: Rate = Rate {
    per_second: 0.3,
    burst: 1,
};
const SETUP: &str = "Write to @BotFather, send /newbot and copy the token into `token`. Add the bot to the group or channel, or \
let a person write to it first: a bot cannot begin a chat. Set `chat_id` to the chat's number, which is negative for groups, \
or to the `@name` of a public channel; or name it in the address, `to: [\"NAME/CHAT_ID\"]` and for a topic of a forum \
`NAME/CHAT_ID/TOPIC_ID`. Mentions take a user's number or `@name`. Pictures of at most 10 MB and files of at most 50 MB are sent \
along; what is at an https URL and of a type that Telegram fetches by itself is fetched by it, a picture of at most 5 MB, \
another file of at most 20 MB. Text beside a single picture or file is its caption, when it has at most 1,024 characters. \
Everything else that the Bot API sends goes through `override` or a `raw` segment with the name of the method in it: \
`{\"method\": \"sendPoll\", …}`. Text can be edited; where an edit has a picture or a file, that part is sent anew and the old \
one deleted. A bot can delete what it sent for 48 hours. Telegram takes one message a second in a chat, 20 a minute in a group, \
30 a second of a bot. To receive without a public address, set `inbound.via` to `connection`: the bot polls, and has no webhook \
then (`curl https://api.telegram.org/botTOKEN/deleteWebhook` removes one that was set). To receive by callbacks, make up a \
`secret_token` and tell Telegram of both: \
`curl https://api.telegram.org/botTOKEN/setWebhook -d url=https://GATEWAY/in/NAME -d secret_token=SECRET`, and for what it \
does not send unasked, such as reactions, `-d 'allowed_updates=[\"message\",\"edited_message\",\"callback_query\",\
\"message_reaction\",\"my_chat_member\",\"chat_member\"]'`. In groups a bot sees all messages when its privacy mode is off \
(@BotFather, /setprivacy) or it is an administrator. A pressed button is answered at once, so that it does not seem to wait.";

/// The kind.
pub(crate) struct TelegramBot;

impl ChannelKind for TelegramBot {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "Telegram bot",
            summary: "Sends messages to Telegram chats as a bot.",
            links: vec![
                "https://core.telegram.org/bots/api#sendmessage",
                "https://core.telegram.org/bots#how-do-i-create-a-bot",
            ],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "link", "mention", "emoji", "image", "audio",
                "voice", "video", "file", "sticker", "location", "contact", "card", "raw", "reply",
                "thread", "edit", "recall", "receive", "connect",
            ],
            generic: false,
            ordering: Ordering::Key,
            // At most 5 + 25 in any second.
            rate: Some(Rate {
                per_second: 25.0,
                burst: 5,
            }),
            target_rate: Some(Rate {
                per_second: 1.0,
                burst: 1,
            }),
            schemes: vec!["telegram", "tgram"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        let endpoint = Settings::open(settings)?;
        let (bot, secret_token) = (endpoint.bot, endpoint.secret_token.clone());
        Ok(Arc::new(Opened {
            polling: Polling::new(&endpoint),
            endpoint,
            receiver: secret_token.map(|secret_token| Receiver { secret_token, bot }),
        }))
    }

    /// `telegram://BOT_ID/SECRET/CHAT`: the two halves of the token, since a colon in a URL begins a port; or the token
    /// whole, its colon as `%3A`.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        let (token, chat) = match url_words(url, ["TOKEN", "CHAT"]) {
            Ok([token, chat]) => (token, chat),
            Err(_) => {
                let [id, secret, chat] = url_words(url, ["BOT_ID", "SECRET", "CHAT"])?;
                (format!("{id}:{secret}"), chat)
            }
        };
        settings::check_token("to", &token)?;
        settings::Chat::parse("to", &chat)?;
        let mut settings = json!({"token": token});
        url_settings(url, &mut settings, &["base_url"])?;
        Ok((settings, Some(chat)))
    }

    fn rotate(
        &self,
        _: &Value,
        _: &str,
        _: &[u8; 32],
        _: Timestamp,
        _: Timestamp,
    ) -> Result<(Value, String), Problem> {
        let what = "making the token of a bot, which its platform makes";
        Err(Problem::not_available("kind", what))
    }
}

/// A bot that is ready to use.
struct Opened {
    endpoint: Endpoint,
    /// Reads what comes in, where the settings say what proves it.
    receiver: Option<Receiver>,
    polling: Polling,
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.endpoint.url)
    }

    fn counted<'a>(&'a self, target: Option<&'a str>) -> Counted<'a> {
        let Ok(chat) = self.endpoint.chat(target) else {
            return Counted::by(target.unwrap_or_default());
        };
        Counted {
            whom: chat.id().into(),
            rate: chat.is_shared().then_some(SHARED_RATE),
        }
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        self.endpoint.chat(context.target)?;
        plan(&Bot, message, context)
    }

    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem> {
        let chat = self.endpoint.chat(context.target)?;
        let chat = chat.within(message.header.conversation.as_ref());
        // A plan's bodies are objects.
        let mut body: Map<String, Value> = serde_json::from_slice(&step.body).unwrap_or_default();
        let named = body.remove(METHOD);
        let (method, members) = match step.kind {
            StepKind::Edit => {
                let mut members = chat.message(step.of.as_deref())?;
                members.extend(body);
                ("editMessageText", members)
            }
            StepKind::Recall => ("deleteMessage", chat.message(step.of.as_deref())?),
            StepKind::Send | StepKind::Upload | StepKind::Call => {
                // Only the first part answers.
                let reply_to = message.header.reply_to.as_deref();
                let reply_to = reply_to.filter(|_| context.step == 0);
                let named = named.as_ref().and_then(Value::as_str);
                let method = named.filter(|name| is_sending(name)).unwrap_or(SEND);
                (method, chat.address(body, reply_to))
            }
        };
        let url = self.endpoint.method(method);
        let mut members = members;
        if let Some(upload) = media::upload(&url, step, &mut members, message, context)? {
            return Ok(Request::Upload(upload));
        }
        let body = bytes_of(&Value::Object(members));
        Ok(Request::Http(post(url, step, body.into())))
    }

    fn classify(&self, step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        answer::classify(step, exchange, context)
    }

    /// Text takes the place of text. Everything else is sent anew.
    fn edit(
        &self,
        edit: &Message,
        sent: &[String],
        context: &Context<'_>,
    ) -> Result<Plan, Problem> {
        self.endpoint.chat(context.target)?;
        let changes = Changes {
            editable: &|step| {
                let body: Value = serde_json::from_slice(&step.body).unwrap_or_default();
                body.get(METHOD).is_none_or(|name| name == SEND) && body.get("text").is_some()
            },
            recalls: true,
        };
        edited(plan(&Bot, edit, context)?, sent, &changes)
    }

    fn recall(&self, _: &Message, sent: &[String], context: &Context<'_>) -> Result<Plan, Problem> {
        self.endpoint.chat(context.target)?;
        recalled(sent)
    }

    fn credential_check(&self) -> Option<&dyn CredentialCheck> {
        Some(&self.endpoint)
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        let receiver = self.receiver.as_ref()?;
        Some(receiver)
    }

    fn connector(&self) -> Option<&dyn Connector> {
        Some(&self.polling)
    }

    fn media(&self) -> Option<&dyn MediaSource> {
        Some(self)
    }
}

impl CredentialCheck for Endpoint {
    fn request(&self, _: &Context<'_>) -> Result<Request, Problem> {
        let request = post_as(self.method("getMe"), MEDIA_TYPE, "{}".into());
        Ok(Request::Http(request))
    }

    fn read(&self, exchange: &Exchange, context: &Context<'_>) -> Result<String, Outcome> {
        answer::whose(exchange, context)
    }
}

#[cfg(test)]
mod tests;
