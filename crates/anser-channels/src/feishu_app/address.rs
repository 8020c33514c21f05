//! How a message gets to its readers: as a reply to a message, in its thread or not, or as a message to a chat or person.
//! Must not look at what the message says.

use anser_core::channel::Context;
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

fn is_message_id(text: &str) -> bool {
    text.len() <= MESSAGE_ID_BYTES_MAX
        && text.strip_prefix("om_").is_some_and(|rest| {
            !rest.is_empty()
                && rest
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        })
}

/// How the step that the context names goes out. A reply is one at the first rung only, and in its first part unless it
/// belongs to a thread.
///
/// # Errors
/// `invalid_target`; `missing_target` when nobody is named.
pub(super) fn way(
    endpoint: &Endpoint,
    message: &Message,
    context: &Context<'_>,
) -> Result<Way, Problem> {
    let receiver = endpoint.receiver(context.target)?;
    let answered = answered(message, receiver.as_ref()).filter(|_| context.rung == 0);
    match (answered, receiver) {
        (Some(answered), None) => Ok(Way::Reply(answered)),
        (Some(answered), _) if context.step == 0 || answered.in_thread => Ok(Way::Reply(answered)),
        (_, Some(receiver)) => Ok(Way::Send(receiver)),
        (None, None) => Err(Problem::invalid(
            "missing_target",
            "to",
            "names nobody to send to: add a chat or person to the address (NAME/oc_…), or set settings.receive_id",
        )),
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
    pub(super) fn body(&self, body: &[u8], message: &Message, context: &Context<'_>) -> Bytes {
        // A plan's steps are objects.
        let mut body: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        if let Some(content) = body
            .get_mut("content")
            .filter(|content| !content.is_string())
        {
            *content = content.to_string().into();
        }
        for ours in ["receive_id", "reply_in_thread"] {
            body.remove(ours);
        }
        match self {
            Self::Send(receiver) => {
                body.insert("receive_id".to_owned(), receiver.id.as_str().into())
            }
            Self::Reply(answered) => {
                body.insert("reply_in_thread".to_owned(), answered.in_thread.into())
            }
        };
        let key = idempotency::key(message, context);
        body.insert("uuid".to_owned(), key.into());
        bytes_of(&Value::Object(body)).into()
    }
}
