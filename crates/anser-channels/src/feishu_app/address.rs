//! How a message gets to its readers: as a reply to a message, in its thread or not, as a message to a chat or person, or
//! in the place of one that was sent. Must not look at what the message says.

use anser_core::channel::{Context, Step, StepKind};
use anser_core::{Message, Problem};
use bytes::Bytes;
use serde_json::{Map, Value};
use url::Url;

use super::settings::{Endpoint, Receiver};
use crate::kit::idempotency;
use crate::kit::plan::json as bytes_of;

/// Where messages are sent to.
const MESSAGES_PATH: &str = "/open-apis/im/v1/messages";
/// Bytes of a message's id.
const MESSAGE_ID_BYTES_MAX: usize = 64;
/// The member of a body that a reply has, and nothing else.
const IN_THREAD: &str = "reply_in_thread";

/// How a step goes out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As a message of its own.
    Send(Receiver),
    /// As a reply.
    Reply(Answered),
}

/// What a message replies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    /// The platform's id of it.
    message: String,
    in_thread: bool,
}

/// What a message replies to, if it names a message of Feishu: in `reply_to`, or as the thread of its conversation. A
/// message to several, or whose conversation is another chat than the delivery's, replies nowhere: every copy would land
/// in the one chat.
pub(super) fn answered(message: &Message, receiver: Option<&Receiver>) -> Option<Answered> {
    let header = &message.header;
    let is_here = match &header.conversation {
        Some(conversation) => {
            let chat = conversation.id.split_once('/').map(|(_, chat)| chat);
            let chat = chat.and_then(|chat| Receiver::parse("conversation", chat).ok());
            receiver.is_none() || chat.as_ref() == receiver
        }
        None => header.to.len() <= 1,
    };
    let conversation = header.conversation.as_ref();
    let thread = conversation.and_then(|conversation| conversation.thread.as_deref());
    let mut named = [header.reply_to.as_deref(), thread].into_iter().flatten();
    let id = named.find(|id| is_message_id(id)).filter(|_| is_here)?;
    Some(Answered {
        message: id.to_owned(),
        in_thread: thread.is_some(),
    })
}

/// Whether it is an id that Feishu gives to messages.
pub(super) fn is_message_id(text: &str) -> bool {
    text.len() <= MESSAGE_ID_BYTES_MAX
        && text.strip_prefix("om_").is_some_and(|rest| {
            !rest.is_empty()
                && rest
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        })
}

/// Marks the steps that are sent as replies: the first, and all of them in a thread, or where no receiver is known. As
/// long as a message is one, a refusal of any part leads to a message of its own first, and not to links in the place of
/// attachments.
pub(super) fn mark_replies(steps: &mut [Step], answered: Option<&Answered>, has_receiver: bool) {
    let mut is_first = true;
    let sends = steps.iter_mut().filter(|step| step.kind == StepKind::Send);
    for step in sends {
        let replies = |answered: &&Answered| is_first || answered.in_thread || !has_receiver;
        mark_reply(step, answered.filter(replies));
        if answered.is_some() {
            step.attachment = None;
        }
        is_first = false;
    }
}

fn mark_reply(step: &mut Step, answered: Option<&Answered>) {
    let mut body = members(&step.body);
    body.remove(IN_THREAD);
    if let Some(answered) = answered {
        body.insert(IN_THREAD.to_owned(), answered.in_thread.into());
    }
    step.body = bytes_of(&Value::Object(body)).into();
    for step in step.instead.iter_mut().flat_map(|lower| &mut lower.steps) {
        mark_reply(step, answered);
    }
}

/// The members of a body. A plan's bodies are objects.
pub(super) fn members(body: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(body).unwrap_or_default()
}

/// How a body goes out, that is a reply where it is marked.
///
/// # Errors
/// `invalid_target`; `missing_target` when nobody is named.
pub(super) fn way(
    endpoint: &Endpoint,
    body: &Map<String, Value>,
    message: &Message,
    context: &Context<'_>,
) -> Result<Way, Problem> {
    let receiver = endpoint.receiver(context.target)?;
    let answered = answered(message, receiver.as_ref()).filter(|_| body.contains_key(IN_THREAD));
    match (answered, receiver) {
        (Some(answered), _) => Ok(Way::Reply(answered)),
        (None, Some(receiver)) => Ok(Way::Send(receiver)),
        (None, None) => Err(missing_target()),
    }
}

/// Nobody is named.
pub(super) fn missing_target() -> Problem {
    Problem::invalid(
        "missing_target",
        "to",
        "names nobody to send to: add a chat or person to the address (NAME/oc_…), or set settings.receive_id",
    )
}

/// The address of a message that was sent.
///
/// # Errors
/// `no_platform_id` for what is no id of a message.
pub(super) fn of_message(endpoint: &Endpoint, id: Option<&str>) -> Result<Url, Problem> {
    let id = id.filter(|id| is_message_id(id)).ok_or_else(|| {
        let detail = "is known by no id that Feishu gives to messages";
        Problem::invalid("no_platform_id", "id", detail)
    })?;
    Ok(endpoint.url(&format!("{MESSAGES_PATH}/{id}")))
}

/// The content as the string that the API wants.
pub(super) fn stringify(body: &mut Map<String, Value>) {
    if let Some(content) = body
        .get_mut("content")
        .filter(|content| !content.is_string())
    {
        *content = content.to_string().into();
    }
}

impl Way {
    /// The address of the API.
    pub(super) fn url(&self, endpoint: &Endpoint) -> Url {
        match self {
            Self::Send(receiver) => {
                let mut url = endpoint.url(MESSAGES_PATH);
                url.query_pairs_mut()
                    .append_pair("receive_id_type", receiver.id_type);
                url
            }
            Self::Reply(answered) => {
                endpoint.url(&format!("{MESSAGES_PATH}/{}/reply", answered.message))
            }
        }
    }

    /// The request's body: the content as a string, with receiver and key.
    pub(super) fn body(
        &self,
        mut body: Map<String, Value>,
        message: &Message,
        context: &Context<'_>,
    ) -> Bytes {
        stringify(&mut body);
        for ours in ["receive_id", IN_THREAD] {
            body.remove(ours);
        }
        match self {
            Self::Send(receiver) => {
                body.insert("receive_id".to_owned(), receiver.id.as_str().into())
            }
            Self::Reply(answered) => body.insert(IN_THREAD.to_owned(), answered.in_thread.into()),
        };
        let key = idempotency::key(message, context);
        body.insert("uuid".to_owned(), key.into());
        bytes_of(&Value::Object(body)).into()
    }
}
