//! An app of Slack with a bot's token: text, rich text, blocks and files to channels and people, replies in threads, edits
//! and recalls; and what is said and done there. Must not send what it receives.

mod address;
mod answer;
mod connect;
mod fetch;
mod file;
mod inbound;
mod people;
mod settings;

use std::sync::Arc;

use anser_core::channel::{
    Channel, ChannelKind, Context, Counted, CredentialCheck, Exchange, HttpRequest, Manifest,
    MediaSource, People, Plan, Request, Step, StepKind,
};
use anser_core::connection::Connector;
use anser_core::inbound::Inbound;
use anser_core::outcome::Outcome;
use anser_core::resource::{Ordering, Rate};
use anser_core::{Message, Problem, Timestamp};
use bytes::Bytes;
use http::Method;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value, json};
use url::Url;

use crate::kit::change::{self, Changes};
use crate::kit::plan::{FORMAT, Form, MEDIA_TYPE, json as bytes_of, plan};
use crate::kit::post::post_as;
use crate::kit::settings::{url_settings, url_words};
use crate::kit::slack::forms::Forms;
use address::{Sent, Target, is_file};
use connect::SocketMode;
use inbound::Receiver;
use settings::{Endpoint, Settings};

/// The kind's name.
const KIND: &str = "slack-app";
/// The forms it sends.
const FORMS: Forms = Forms {
    kind: KIND,
    overrides: &[KIND, "slack"],
    least: Form::Text,
    media: file::steps,
};
/// The forms of an edit: its API knows no text without markup.
const EDITED: Forms = Forms {
    least: Form::Markdown,
    ..FORMS
};
const SETUP: &str = "At api.slack.com/apps create an app, give its bot the scopes chat:write and files:write at OAuth & \
Permissions (chat:write.public to write to public channels without being in them, files:read to fetch what people \
send, users:read for their names in bridges), install it to the workspace and copy \
Bot User OAuth Token (`xoxb-…`) into `token`. Invite the bot to the channel. Set `channel` to the id from the channel's details \
(`C…`), or name it in the address: `to: [\"NAME/C…\"]`, with `U…` for a person and `NAME/C…/1700000000.000100` for a thread. \
What is sent is known by `CHANNEL:TS`, as `C0123456789:1700000000.000100`, and a file by `F…`. A message whose `reply_to` is such \
an id (or the timestamp alone), or whose `conversation` has a thread, goes into the thread below that message, all of its parts. \
Mentions take member ids (`U…`), user groups (`S…`) and channels (`C…`). Pictures go by their public URL; other pictures and \
all files of known size, up to 1 GB, are uploaded and shown as messages of their own. An edit changes text and cards in place, \
and replaces files. Slack offers nothing to know a message again that was sent twice, so that one whose answer was lost is sent \
again, marked as a possible duplicate. Slack takes about one message a second of a channel, and a few of a workspace. \
To receive without a public address, turn on Socket Mode, make an app-level token (`xapp-…`) with the scope connections:write at \
the app's page Basic Information, copy it into `app_token`, subscribe to bot events as below, and set `inbound.via` to \
`connection`. To receive by callbacks, copy Signing Secret from the same page into `signing_secret`, and enter \
`https://GATEWAY/in/NAME` as Request URL at Event Subscriptions (subscribe to the bot events message.channels, message.groups, \
message.im, reaction_added, member_joined_channel …), at Interactivity & Shortcuts and at each command of Slash Commands.";

/// The kind.
pub(crate) struct SlackApp;

impl ChannelKind for SlackApp {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: KIND,
            label: "Slack app",
            summary: "Posts to Slack channels and people as an app's bot, with files, threads, edits and recalls.",
            links: vec![
                "https://docs.slack.dev/reference/methods/chat.postMessage",
                "https://docs.slack.dev/reference/methods/files.getUploadURLExternal",
                "https://docs.slack.dev/apis/web-api/rate-limits",
                "https://docs.slack.dev/authentication/verifying-requests-from-slack",
            ],
            settings: settings::schema(),
            formats: vec![FORMAT],
            capabilities: vec![
                "text", "markdown", "code", "break", "divider", "link", "mention", "emoji",
                "image", "audio", "voice", "video", "file", "card", "raw", "reply", "thread",
                "edit", "recall", "receive", "connect",
            ],
            generic: false,
            ordering: Ordering::Key,
            // At most 5 + 60 × 4.8 in any minute: a workspace takes a few hundred.
            rate: Some(Rate {
                per_second: 4.8,
                burst: 5,
            }),
            // One less at once than a channel takes, as requests overtake each other on their way.
            target_rate: Some(Rate {
                per_second: 1.0,
                burst: 2,
            }),
            schemes: vec!["slack-app"],
            setup: SETUP,
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        let endpoint = Settings::open(settings)?;
        let signing_secret = endpoint.signing_secret.clone();
        Ok(Arc::new(Opened {
            socket_mode: SocketMode::new(&endpoint),
            endpoint,
            receiver: signing_secret.map(|signing_secret| Receiver { signing_secret }),
        }))
    }

    /// `slack-app://TOKEN/CHANNEL`, and for a thread `slack-app://TOKEN/CHANNEL/TS`.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        let (token, target) = match url_words(url, ["TOKEN", "CHANNEL", "TS"]) {
            Ok([token, channel, thread]) => (token, format!("{channel}/{thread}")),
            Err(_) => {
                let [token, channel] = url_words(url, ["TOKEN", "CHANNEL"])?;
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

/// An app that is ready to use.
struct Opened {
    endpoint: Endpoint,
    /// Reads what comes in, where the settings say what signs it.
    receiver: Option<Receiver>,
    /// How it is connected, where the settings have the token for that.
    socket_mode: Option<SocketMode>,
}

impl Opened {
    fn target(&self, message: &Message, context: &Context<'_>) -> Result<Target, Problem> {
        address::target(self.endpoint.target(context.target)?, message)
    }

    /// The call of a method with JSON.
    fn call(&self, method: &str, media_type: &str, body: Bytes) -> HttpRequest {
        let mut request = post_as(self.endpoint.url(method), media_type, body);
        let bearer = self.endpoint.bearer();
        request.headers.insert(AUTHORIZATION, bearer);
        request
    }

    fn message(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<HttpRequest, Problem> {
        let target = self.target(message, context)?;
        if step.attachment.is_some() {
            let body = file::shown(Value::Object(members(step)), &target, context)?;
            let body = bytes_of(&body).into();
            return Ok(self.call("files.completeUploadExternal", &step.media_type, body));
        }
        let mut body = members(step);
        body.insert("channel".to_owned(), target.id.into());
        match target.thread {
            Some(thread) => body.insert("thread_ts".to_owned(), thread.into()),
            None => body.remove("thread_ts"),
        };
        let body = bytes_of(&Value::Object(body)).into();
        Ok(self.call("chat.postMessage", &step.media_type, body))
    }

    /// What changes or takes back a part that was sent.
    fn changed(&self, step: &Step, context: &Context<'_>) -> Result<HttpRequest, Problem> {
        let of = step.of.as_deref().unwrap_or_default();
        if is_file(of) {
            let body = bytes_of(&json!({"file": of})).into();
            return Ok(self.call("files.delete", MEDIA_TYPE, body));
        }
        let place = Sent::parse(of).and_then(|sent| {
            let target = self.endpoint.target(context.target).ok().flatten();
            Some((sent.channel.or(target.map(|target| target.id))?, sent.ts))
        });
        let Some((channel, ts)) = place else {
            let detail = "is no message of Slack, CHANNEL:TS";
            return Err(Problem::invalid("invalid_platform_id", "id", detail));
        };
        let (method, mut body) = if step.kind == StepKind::Edit {
            ("chat.update", members(step))
        } else {
            ("chat.delete", Map::new())
        };
        if step.kind == StepKind::Edit {
            body.remove("mrkdwn");
            // What is not named stays.
            for list in ["blocks", "attachments"] {
                body.entry(list).or_insert_with(|| json!([]));
            }
        }
        body.insert("channel".to_owned(), channel.into());
        body.insert("ts".to_owned(), ts.into());
        let body = bytes_of(&Value::Object(body)).into();
        Ok(self.call(method, MEDIA_TYPE, body))
    }
}

/// A plan's steps are objects.
fn members(step: &Step) -> Map<String, Value> {
    serde_json::from_slice(&step.body).unwrap_or_default()
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.endpoint.base)
    }

    fn counted<'a>(&'a self, target: Option<&'a str>) -> Counted<'a> {
        // Threads share the limit of their channel.
        let place = self.endpoint.target(target).ok().flatten();
        Counted::by(place.map_or_else(String::new, |place| place.id))
    }

    fn answers_first(&self) -> bool {
        // chat.postMessage: "Avoid using a reply's ts value; use its parent instead."
        true
    }

    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        self.target(message, context)?;
        plan(&FORMS, message, context)
    }

    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem> {
        match step.kind {
            StepKind::Send => self.message(step, message, context).map(Request::Http),
            StepKind::Edit | StepKind::Recall => self.changed(step, context).map(Request::Http),
            StepKind::Upload => file::brought(step, message, context).map(Request::Upload),
            StepKind::Call => {
                let method = "files.getUploadURLExternal";
                let mut request = self.call(method, MEDIA_TYPE, Bytes::new());
                request.headers.remove(http::header::CONTENT_TYPE);
                request.method = Method::GET;
                request.url = file::asked(request.url, &Value::Object(members(step)));
                Ok(Request::Http(request))
            }
        }
    }

    fn classify(&self, step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        answer::classify(step, exchange, context)
    }

    /// Text and cards in the place of each other; files are taken back and sent again.
    fn edit(
        &self,
        edit: &Message,
        sent: &[String],
        context: &Context<'_>,
    ) -> Result<Plan, Problem> {
        self.target(edit, context)?;
        let mut new = plan(&EDITED, edit, context)?;
        let (files, messages): (Vec<String>, Vec<String>) =
            sent.iter().cloned().partition(|id| is_file(id));
        if !messages.is_empty() || files.is_empty() {
            let changes = Changes {
                editable: &|step| step.attachment.is_none(),
                recalls: true,
            };
            new = change::edited(new, &messages, &changes)?;
        }
        if !files.is_empty() {
            new.steps.extend(change::recalled(&files)?.steps);
        }
        Ok(new)
    }

    fn recall(&self, _: &Message, sent: &[String], _: &Context<'_>) -> Result<Plan, Problem> {
        change::recalled(sent)
    }

    fn credential_check(&self) -> Option<&dyn CredentialCheck> {
        Some(self)
    }

    fn people(&self) -> Option<&dyn People> {
        Some(self)
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        let receiver = self.receiver.as_ref()?;
        Some(receiver)
    }

    fn connector(&self) -> Option<&dyn Connector> {
        let socket_mode = self.socket_mode.as_ref()?;
        Some(socket_mode)
    }

    fn connector_needs(&self) -> &'static str {
        "settings.app_token"
    }

    fn media(&self) -> Option<&dyn MediaSource> {
        Some(self)
    }
}

impl CredentialCheck for Opened {
    fn request(&self, _: &Context<'_>) -> Result<Request, Problem> {
        let request = self.call("auth.test", MEDIA_TYPE, Bytes::from_static(b"{}"));
        Ok(Request::Http(request))
    }

    fn read(&self, exchange: &Exchange, context: &Context<'_>) -> Result<String, Outcome> {
        answer::read(exchange, context)
    }
}

#[cfg(test)]
mod tests;
