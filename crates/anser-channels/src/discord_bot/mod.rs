//! A bot of Discord: text with markup, embeds, buttons and files to channels, threads and people, replies, edits and recalls.
//! Interactions come in by callbacks; with what happens in channels they come over the Gateway too. Must not send what it
//! receives.

mod address;
mod connect;
mod inbound;
mod settings;

use std::sync::Arc;

use anser_core::channel::{
    Channel, ChannelKind, Context, Counted, CredentialCheck, Exchange, Manifest, Plan, Request,
    Step, StepKind,
};
use anser_core::connection::Connector;
use anser_core::inbound::Inbound;
use anser_core::outcome::Outcome;
use anser_core::resource::{Ordering, Rate};
use anser_core::{Message, Problem, Timestamp};
use http::Method;
use serde_json::{Map, Value, json};
use url::Url;

use crate::kit::change;
use crate::kit::discord::file::{joined, members};
use crate::kit::discord::forms::Forms;
use crate::kit::discord::request::{CHANGES, asked, replaces, request};
use crate::kit::discord::{Author, answer};
use crate::kit::idempotency;
use crate::kit::plan::{FORMAT, MEDIA_TYPE, json as bytes_of, plan};
use crate::kit::settings::{url_settings, url_words};
use address::{Sent, Target, Way};
use connect::Gateway;
use inbound::Receiver;
use settings::{Endpoint, Settings};

/// The kind's name.
const KIND: &str = "discord-bot";
const SETUP: &str = "At discord.com/developers/applications make an application, and at its page Bot reset the token and copy \
it into `token`. At Installation or OAuth2 make an address with the scope bot and the permissions View Channels, Send Messages, \
Send Messages in Threads, Embed Links, Attach Files and Read Message History, and open it to add the bot to your server. Set \
`channel_id` to the channel's id (Developer Mode, Copy Channel ID), or name it in the address: `to: [\"NAME/CHANNEL_ID\"]`; a \
thread has an id as a channel has, and `NAME/user/ID` is a person who shares a server with the bot. What is sent is known by \
`CHANNEL_ID:MESSAGE_ID`; a message whose `reply_to` is such an id (or the message's alone) is a reply, and one whose \
`conversation` has a thread goes there. Mentions take ids of users, roles and channels, as numbers, and only what a message \
mentions is pinged. Pictures go by their public URL; other pictures and files are uploaded, up to ten with a message and each of \
at most `file_bytes_max`, and larger ones go as links. A card's links are buttons. A message that is sent again within some \
minutes of a lost answer appears once. Discord takes 50 requests a second of a bot and about five messages in five seconds in a \
channel. To receive what people write, with reactions, commands, buttons and forms, and without a public address, turn on Message \
Content Intent at the page Bot and set `inbound.via` to `connection`; `intents` says what else is told. To receive commands, \
buttons and forms by callbacks, copy Public Key from the page General Information into `public_key`, and then enter \
`https://GATEWAY/in/NAME` there as Interactions Endpoint URL: they come there then, and not over a connection; ordinary messages \
never come there. An interaction is answered by a message that is published within 15 minutes with its `origin.message_id` as \
`reply_to`.";

/// The kind.
pub(crate) struct DiscordBot;

impl ChannelKind for DiscordBot {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "Discord bot",
            summary: "Posts to Discord channels, threads and people as a bot, with files, replies, buttons, edits and recalls.",
            links: vec![
                "https://discord.com/developers/docs/resources/message#create-message",
                "https://discord.com/developers/docs/reference#uploading-files",
                "https://discord.com/developers/docs/topics/rate-limits",
            ],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "link", "mention", "emoji", "image", "audio",
                "voice", "video", "file", "card", "raw", "reply", "thread", "edit", "recall",
                "receive", "connect",
            ],
            generic: false,
            ordering: Ordering::Key,
            // At most 10 + 40 in any second.
            rate: Some(Rate {
                per_second: 40.0,
                burst: 10,
            }),
            // At most 1 + 5 × 0.8 in any five seconds.
            target_rate: Some(Rate {
                per_second: 0.8,
                burst: 1,
            }),
            schemes: vec!["discord-bot"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        let endpoint = Settings::open(settings)?;
        let forms = Forms {
            kind: KIND,
            overrides: &[KIND, "discord"],
            author: Author::Bot,
            file_bytes_max: endpoint.file_bytes_max,
        };
        let receiver = endpoint.public_key.as_deref().map(Receiver::new);
        Ok(Arc::new(Opened {
            receiver: receiver.transpose()?,
            gateway: Gateway::new(&endpoint),
            endpoint,
            forms,
        }))
    }

    /// `discord-bot://TOKEN/CHANNEL_ID`, and for a person `discord-bot://TOKEN/user/ID`.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        let (token, target) = match url_words(url, ["TOKEN", "user", "ID"]) {
            Ok([token, kind, id]) => (token, format!("{kind}/{id}")),
            Err(_) => {
                let [token, channel] = url_words(url, ["TOKEN", "CHANNEL_ID"])?;
                (token, channel)
            }
        };
        settings::check_token("to", &token)?;
        Target::parse("to", &target)?;
        let mut settings = json!({"token": token});
        url_settings(url, &mut settings, &["base_url"])?;
        Ok((settings, Some(target)))
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
    forms: Forms,
    /// Reads what comes in, where the settings say what verifies it.
    receiver: Option<Receiver>,
    gateway: Gateway,
}

impl Opened {
    fn way(&self, message: &Message, context: &Context<'_>) -> Result<Way, Problem> {
        address::way(self.endpoint.target(context.target)?, message)
    }

    fn plan(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        let plan = plan(&self.forms, message, context)?;
        Ok(joined(plan, self.endpoint.file_bytes_max))
    }

    /// The plan with the question before it for the channel of a person, when something is sent to one.
    fn opened(
        &self,
        mut plan: Plan,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Plan, Problem> {
        let way = self.way(message, context)?;
        let sends = plan.steps.iter().any(|step| step.kind == StepKind::Send);
        if let (Target::Person(id), true) = (way.target, sends) {
            let body = bytes_of(&json!({"recipient_id": id}));
            let ask = Step {
                kind: StepKind::Call,
                ..Step::send(body.into(), MEDIA_TYPE)
            };
            plan.steps.insert(0, ask);
        }
        Ok(plan)
    }

    /// The channel that the way leads to: of a person, as the first step was told.
    fn channel(target: &Target, context: &Context<'_>) -> Result<String, Problem> {
        let asked = context.outputs.first().and_then(Option::as_deref);
        match target {
            Target::Channel(id) => Ok(id.clone()),
            Target::Person(_) => asked.map(str::to_owned).ok_or_else(|| {
                let detail =
                    "the platform named no channel of this person; publish the message again";
                Problem::invalid("missing_channel", "to", detail)
            }),
        }
    }

    fn send(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<(Url, Map<String, Value>), Problem> {
        let way = self.way(message, context)?;
        let mut body = members(step);
        if let Some(interaction) = way.interaction {
            return Ok((self.endpoint.url(&interaction.path()), body));
        }
        let channel = Self::channel(&way.target, context)?;
        body.insert(
            "nonce".to_owned(),
            idempotency::key(message, context).into(),
        );
        body.insert("enforce_nonce".to_owned(), true.into());
        // Only the first part answers.
        let first = usize::from(matches!(way.target, Target::Person(_)));
        if let Some(answered) = way.reply_to.filter(|_| context.step == first) {
            let reference = json!({"message_id": answered, "fail_if_not_exists": false});
            body.insert("message_reference".to_owned(), reference);
        }
        let url = self.endpoint.url(&format!("/channels/{channel}/messages"));
        Ok((url, body))
    }

    /// The address of a message that was sent.
    fn sent(&self, step: &Step, message: &Message, context: &Context<'_>) -> Result<Url, Problem> {
        let Some(sent) = step.of.as_deref().and_then(Sent::parse) else {
            let detail = "is no message of Discord, CHANNEL_ID:MESSAGE_ID";
            return Err(Problem::invalid("invalid_platform_id", "id", detail));
        };
        let channel = match sent.channel {
            Some(channel) => channel,
            None => {
                let way = self.way(message, context)?;
                Self::channel(&way.target, context)?
            }
        };
        let path = format!("/channels/{channel}/messages/{}", sent.message);
        Ok(self.endpoint.url(&path))
    }
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.endpoint.base)
    }

    fn counted<'a>(&'a self, target: Option<&'a str>) -> Counted<'a> {
        match self.endpoint.target(target) {
            Ok(Some(Target::Channel(id))) => Counted::by(id),
            Ok(Some(Target::Person(id))) => Counted::by(format!("user/{id}")),
            Ok(None) | Err(_) => Counted::by(""),
        }
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        self.opened(self.plan(message, context)?, message, context)
    }

    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem> {
        let (method, url, body) = match step.kind {
            StepKind::Send | StepKind::Upload => {
                let (url, body) = self.send(step, message, context)?;
                (Method::POST, url, body)
            }
            StepKind::Call => {
                let url = self.endpoint.url("/users/@me/channels");
                (Method::POST, url, members(step))
            }
            StepKind::Edit => {
                let mut body = members(step);
                replaces(&mut body, Author::Bot);
                (Method::PATCH, self.sent(step, message, context)?, body)
            }
            StepKind::Recall => {
                let url = self.sent(step, message, context)?;
                (Method::DELETE, url, Map::new())
            }
        };
        let headers = self.endpoint.headers();
        Ok(request(method, url, headers, body, message, context))
    }

    fn classify(&self, step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        answer::classify(Author::Bot, step, exchange, context)
    }

    fn edit(
        &self,
        edit: &Message,
        sent: &[String],
        context: &Context<'_>,
    ) -> Result<Plan, Problem> {
        let plan = change::edited(self.plan(edit, context)?, sent, &CHANGES)?;
        self.opened(plan, edit, context)
    }

    fn recall(&self, _: &Message, sent: &[String], _: &Context<'_>) -> Result<Plan, Problem> {
        change::recalled(sent)
    }

    fn credential_check(&self) -> Option<&dyn CredentialCheck> {
        Some(self)
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        let receiver = self.receiver.as_ref()?;
        Some(receiver)
    }

    fn connector(&self) -> Option<&dyn Connector> {
        Some(&self.gateway)
    }
}

impl CredentialCheck for Opened {
    fn request(&self, _: &Context<'_>) -> Result<Request, Problem> {
        let url = self.endpoint.url("/users/@me");
        Ok(Request::Http(asked(url, self.endpoint.headers())))
    }

    fn read(&self, exchange: &Exchange, context: &Context<'_>) -> Result<String, Outcome> {
        let body = answer::read(Author::Bot, exchange, context)?;
        let text = |name: &str| body[name].as_str().unwrap_or("?");
        Ok(format!("{} ({})", text("username"), text("id")))
    }
}

#[cfg(test)]
mod tests;
