//! The frames of a live client, from its side: what it writes and what it reads. Words are those of `anser_core::live`.
//! What a newer server adds is passed over.

use anser_core::Timestamp;
use anser_core::attempt::PossibleDuplicate;
use anser_core::id::MessageId;
use anser_core::live::{
    Closed, Hello, IbEvent, IqType, Offset, Presence, PresenceEvent, PresenceUpdate, Stream,
    Subscription,
};
use anser_core::message::Item;
use anser_core::name::UserId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::Refusal;

/// What the server said.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A request was done; the frame holds what was answered.
    Done(Option<u64>, Bytes),
    /// A request was refused, or, without a mark, the session.
    Refused(Option<u64>, Refusal),
    /// A message of a stream.
    Message(Box<Given>),
    /// About somebody's presence.
    Presence(PresenceEvent),
    /// A question, or the outcome of one.
    Iq(Iq),
    /// News of the server.
    News(IbEvent),
    /// The session is over.
    Closed(Closed),
    /// A frame of a kind that this client does not know.
    Unknown,
}

/// A message as it came.
#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    pub(crate) stream: Stream,
    #[serde(default)]
    pub(crate) offset: Option<Offset>,
    #[serde(default)]
    pub(crate) possible_duplicate: Option<PossibleDuplicate>,
    pub(crate) message: Box<RawValue>,
}

impl Given {
    /// The id of the message.
    pub(crate) fn id(&self) -> Option<MessageId> {
        #[derive(Deserialize)]
        struct Message {
            header: Header,
        }
        #[derive(Deserialize)]
        struct Header {
            id: MessageId,
        }
        let message: Option<Message> = serde_json::from_str(self.message.get()).ok();
        message.map(|message| message.header.id)
    }
}

/// A question or its outcome.
#[derive(Debug, Deserialize)]
pub(crate) struct Iq {
    pub(crate) id: String,
    pub(crate) r#type: IqType,
    pub(crate) from: String,
    #[serde(default)]
    pub(crate) payload: Option<Box<RawValue>>,
}

/// Reads a frame.
///
/// # Errors
/// In words, for what is no frame.
pub(crate) fn read(json: &Bytes) -> Result<Heard, String> {
    #[derive(Deserialize)]
    struct Named {
        op: String,
        #[serde(default)]
        r#ref: Option<String>,
    }
    let named: Named = parse(json)?;
    let mark = named.r#ref.and_then(|mark| mark.parse().ok());
    Ok(match named.op.as_str() {
        "ok" => Heard::Done(mark, json.clone()),
        "error" => Heard::Refused(mark, parse(json)?),
        "message" => Heard::Message(parse(json)?),
        "presence" => Heard::Presence(parse(json)?),
        "iq" => Heard::Iq(parse(json)?),
        "ib" => Heard::News(parse(json)?),
        "closed" => Heard::Closed(parse(json)?),
        _ => Heard::Unknown,
    })
}

/// Reads what an answer holds.
///
/// # Errors
/// As [`read`].
pub(crate) fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(|error| format!("the server sent no frame: {error}"))
}

/// What became of a message that was published.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Confirm {
    /// Its id, which receivers see.
    pub id: MessageId,
    /// Its topic; absent when it is transient.
    #[serde(default)]
    pub topic: Option<String>,
    /// Its place on the topic.
    #[serde(default)]
    pub seq: Option<u64>,
    /// How many destinations it goes to; of a transient one, how many sessions it went to.
    #[serde(default)]
    pub matched: u32,
    /// It was accepted before, under the same dedupe key: by this client when it had to send it again.
    pub duplicate: bool,
    /// It is stored.
    pub durable: bool,
}

/// How available somebody is, and who sees whom.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Seen {
    /// Who.
    pub user: UserId,
    /// How available.
    #[serde(flatten)]
    pub presence: Presence,
    /// Who sees whom, from this client's side.
    pub subscription: Subscription,
}

/// One of a roster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Contact {
    /// Who.
    pub user: UserId,
    /// Who sees whom, from this client's side.
    pub subscription: Subscription,
    /// This one asked, and has no answer yet.
    #[serde(default)]
    pub asked: bool,
    /// The other one asked, and has no answer yet.
    #[serde(default)]
    pub asks: bool,
    /// How available the other one is; absent when it may not be seen.
    #[serde(default)]
    pub presence: Option<Presence>,
}

/// The answer to a `presence.probe` without a principal.
#[derive(Debug, Deserialize)]
pub(crate) struct Roster {
    pub(crate) roster: Vec<Contact>,
}

/// The answer to a `subscribe`.
#[derive(Debug, Deserialize)]
pub(crate) struct Subscribed {
    pub(crate) stream: Stream,
    pub(crate) offset: Offset,
}

/// The answer to a `ping`.
#[derive(Debug, Deserialize)]
pub(crate) struct Pong {
    pub(crate) time: Timestamp,
}

/// A request without its mark; its name comes first.
#[derive(Debug, Serialize)]
#[serde(tag = "op")]
pub(crate) enum Ask {
    #[serde(rename = "publish")]
    Publish {
        #[serde(skip_serializing_if = "Option::is_none")]
        topic: Option<String>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        transient: bool,
        message: Box<Item>,
    },
    #[serde(rename = "subscribe")]
    Subscribe {
        #[serde(flatten)]
        stream: Named,
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<Offset>,
    },
    #[serde(rename = "unsubscribe")]
    Unsubscribe {
        #[serde(flatten)]
        stream: Named,
    },
    #[serde(rename = "ack")]
    Ack { stream: Stream, up_to: Offset },
    #[serde(rename = "presence")]
    Presence(PresenceUpdate),
    #[serde(rename = "presence.subscribe")]
    PresenceSubscribe { principal: UserId },
    #[serde(rename = "presence.approve")]
    PresenceApprove { principal: UserId },
    #[serde(rename = "presence.refuse")]
    PresenceRefuse { principal: UserId },
    #[serde(rename = "presence.unsubscribe")]
    PresenceUnsubscribe { principal: UserId },
    #[serde(rename = "presence.probe")]
    PresenceProbe {
        #[serde(skip_serializing_if = "Option::is_none")]
        principal: Option<UserId>,
    },
    #[serde(rename = "iq")]
    Iq {
        id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        r#type: IqType,
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Box<RawValue>>,
    },
    #[serde(rename = "ping")]
    Ping,
    #[serde(rename = "auth")]
    Auth(Box<Hello>),
}

/// A topic or a room, as `subscribe` names it.
#[derive(Debug, Serialize)]
pub(crate) struct Named {
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
}

impl From<&Stream> for Named {
    fn from(stream: &Stream) -> Self {
        let (topic, room) = match stream {
            Stream::Topic(name) => (Some(name.clone()), None),
            Stream::Room(name) => (None, Some(name.clone())),
            Stream::Mailbox => (None, None),
        };
        Self { topic, room }
    }
}

impl Ask {
    /// The frame, with its mark.
    pub(crate) fn frame(&self, mark: Option<u64>) -> Bytes {
        let mut json =
            serde_json::to_vec(self).expect("strings, numbers and JSON always serialise");
        if let Some(mark) = mark {
            // Every frame is an object that has its `op`, so that something always stands before.
            json.pop();
            json.extend_from_slice(format!(",\"ref\":\"{mark}\"}}").as_bytes());
        }
        json.into()
    }
}

#[cfg(test)]
mod tests {
    use anser_core::live::{Operation, Request};
    use serde_json::json;

    use super::*;

    fn raw(value: &serde_json::Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    #[test]
    fn the_server_reads_every_request() {
        let ann = UserId::parse("user", "ann").unwrap();
        let item: Item = serde_json::from_value(json!({"body": {"data": 1}})).unwrap();
        let room = Stream::Room("dev".to_owned());
        let asks = [
            Ask::Publish {
                topic: Some("orders".to_owned()),
                transient: true,
                message: Box::new(item),
            },
            Ask::Subscribe {
                stream: (&room).into(),
                after: Some("12".parse().unwrap()),
            },
            Ask::Unsubscribe {
                stream: (&room).into(),
            },
            Ask::Ack {
                stream: Stream::Topic("orders".to_owned()),
                up_to: "12".parse().unwrap(),
            },
            Ask::Presence(PresenceUpdate::default()),
            Ask::PresenceSubscribe {
                principal: ann.clone(),
            },
            Ask::PresenceApprove {
                principal: ann.clone(),
            },
            Ask::PresenceRefuse {
                principal: ann.clone(),
            },
            Ask::PresenceUnsubscribe { principal: ann },
            Ask::PresenceProbe { principal: None },
            Ask::Iq {
                id: "1".to_owned(),
                to: None,
                r#type: IqType::Get,
                payload: Some(raw(&json!({"query": "ping"}))),
            },
            Ask::Ping,
        ];
        for ask in asks {
            let frame = ask.frame(Some(7));
            let request = Request::from_json(&frame);
            let request = request.unwrap_or_else(|problem| panic!("{frame:?}: {problem}"));
            assert_eq!(request.r#ref.as_deref(), Some("7"), "{frame:?}");
            assert!(Request::from_json(&ask.frame(None)).is_ok());
        }
    }

    #[test]
    fn data_crosses_as_it_was_written() {
        let data = r#"{"b":1.0,"a":12345678901234567890}"#;
        let body = anser_core::message::body::BodyFields {
            data: Some(RawValue::from_string(data.to_owned()).unwrap()),
            ..Default::default()
        };
        let item = Item {
            header: anser_core::message::item::ItemHeader::default(),
            body,
            attachments: Vec::new(),
            dedupe_key: None,
        };
        let ask = Ask::Publish {
            topic: None,
            transient: false,
            message: Box::new(item),
        };
        let request = Request::from_json(&ask.frame(Some(1))).unwrap();
        let Operation::Publish(publication) = request.operation else {
            panic!("not a publish");
        };
        assert_eq!(publication.message.body.data.unwrap().get(), data);
    }

    #[test]
    fn the_first_frame_says_who_it_is() {
        let hello = Hello {
            token: Some("t".to_owned()),
            ..Hello::default()
        };
        let frame = Ask::Auth(Box::new(hello)).frame(None);
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&frame).unwrap(),
            json!({"op": "auth", "token": "t"})
        );
        assert!(Hello::from_json(&frame).is_ok());
    }

    #[test]
    fn what_the_server_says_is_read_and_noise_is_not() {
        let heard = |value: serde_json::Value| read(&Bytes::from(value.to_string()));
        let id = "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e10";
        let message = json!({"op": "message", "stream": "topic:t", "offset": "3", "possible_duplicate": "restart",
            "message": {"header": {"id": id}}, "later": true});
        let Ok(Heard::Message(given)) = heard(message) else {
            panic!("not a message");
        };
        assert_eq!(given.id().map(|id| id.to_string()).as_deref(), Some(id));
        assert_eq!(given.possible_duplicate, Some(PossibleDuplicate::Restart));
        let refused =
            heard(json!({"op": "error", "ref": "9", "status": 403, "code": "no", "detail": "d"}));
        assert!(matches!(refused, Ok(Heard::Refused(Some(9), refusal)) if refusal.status == 403));
        assert!(matches!(
            heard(json!({"op": "ok"})),
            Ok(Heard::Done(None, _))
        ));
        assert!(matches!(heard(json!({"op": "dance"})), Ok(Heard::Unknown)));
        assert!(heard(json!({"op": "closed"})).is_err());
        assert!(read(&Bytes::from_static(b"{")).is_err());
    }
}
