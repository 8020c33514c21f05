//! What a client asks: one frame each, read strictly. The message of a `publish` is an item of the message format and is
//! kept as it was written.

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::names::{Offset, Stream};
use super::presence::Show;
use crate::id::MessageId;
use crate::limits::KEY_BYTES_MAX;
use crate::message::Item;
use crate::message::item::parse_json;
use crate::name::{UserId, check_resource, check_text};
use crate::problem::{Problem, ProblemKind};

/// Bytes of a presence's status.
const STATUS_BYTES_MAX: usize = 256;
/// Questions of an earlier session that one `auth` may ask for.
const QUESTIONS_MAX: usize = 64;

/// The first frame of a wire that has no headers, or what another wire's handshake carries: who it is and where it
/// goes on.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hello {
    /// `auth`, on wires where frames name themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub op: Option<String>,
    /// An API key or a signed token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The user that an API key acts for; a token names its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// What tells this session of the user from others: a device, a tab. Absent: the gateway chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The offset of the last message of the mailbox that arrived: what is up to it is acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Offset>,
    /// Presence to begin with; absent: online.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<PresenceUpdate>,
    /// How messages are acknowledged; absent: as the wire says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acks: Option<Acknowledgements>,
    /// Ids of questions of an earlier session that had no answer: each gets its one outcome now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<String>,
}

impl Hello {
    /// Reads an `auth` frame, or the object of a handshake.
    ///
    /// # Errors
    /// As [`parse_json`], `invalid_resource`, and `invalid_text` for a question or a status that is too long.
    pub fn from_json(json: &[u8]) -> Result<Self, Problem> {
        let hello: Self = parse_json("", json)?;
        hello.check()?;
        Ok(hello)
    }

    /// Checks what a wire put together from headers or a query.
    ///
    /// # Errors
    /// As [`Hello::from_json`].
    pub fn check(&self) -> Result<(), Problem> {
        if let Some(op) = self.op.as_deref()
            && op != "auth"
        {
            return Err(Problem::invalid(
                "auth_first",
                "op",
                "the first frame is auth",
            ));
        }
        if let Some(resource) = &self.resource {
            check_resource("resource", resource)?;
        }
        if let Some(presence) = &self.presence {
            presence.check()?;
        }
        if self.questions.len() > QUESTIONS_MAX {
            return Err(Problem::invalid(
                "out_of_range",
                "questions",
                format!("at most {QUESTIONS_MAX} questions of an earlier session"),
            ));
        }
        let mut questions = self.questions.iter();
        questions.try_for_each(|id| check_text("invalid_text", "questions", id, KEY_BYTES_MAX))
    }
}

/// How the messages given to a session are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Acknowledgements {
    /// By `ack`: what is not acknowledged comes again, and no more than the credit window is given before.
    Explicit,
    /// By the next connect, which says `after`. For wires that only go one way; there is no window.
    Resume,
    /// By being written to the connection: what was on its way when that was cut is lost.
    Written,
}

/// A request of a client.
#[derive(Debug)]
pub struct Request {
    /// The client's own mark; the answer repeats it.
    pub r#ref: Option<String>,
    /// What is asked.
    pub operation: Operation,
}

/// What a client may ask.
#[derive(Debug)]
pub enum Operation {
    /// Go on with a fresh token, or with the same key. The first `auth` of a connection is its [`Hello`], before there is a
    /// session; what only that one has a use for is read here too, so that a client may say the same again, and changes nothing.
    Auth(Box<Hello>),
    /// Read a topic or a room from now on, or from an offset.
    Subscribe(Subscribe),
    /// Read it no more.
    Unsubscribe(Stream),
    /// Publish a message.
    Publish(Box<Publication>),
    /// Messages arrived.
    Ack(Position),
    /// How available this session is.
    Presence(PresenceUpdate),
    /// Ask to see a user's presence.
    PresenceSubscribe(UserId),
    /// Let a user see this one's.
    PresenceApprove(UserId),
    /// Do not let a user see this one's, or not any more.
    PresenceRefuse(UserId),
    /// Do not ask to see a user's presence any more.
    PresenceUnsubscribe(UserId),
    /// How available a user is now; without one, the roster.
    PresenceProbe(Option<UserId>),
    /// A question to a user, a session or the server, or an answer to one.
    Iq(Box<Question>),
    /// Whether the server is there.
    Ping,
}

/// A topic or a room to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// Which; never the mailbox, which every session of a user reads.
    pub stream: Stream,
    /// Only what is later than this; `None`: what comes from now on.
    pub after: Option<Offset>,
}

/// A message to publish.
#[derive(Debug)]
pub struct Publication {
    /// Its topic; `None`: it goes to `message.header.to` alone.
    pub topic: Option<String>,
    /// Not stored, and given to nobody who is not connected now.
    pub transient: bool,
    /// The message.
    pub message: Item,
}

/// What arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// One message, in whatever streams it came.
    Message(MessageId),
    /// Everything that this session was given of a stream up to this.
    UpTo {
        /// The stream.
        stream: Stream,
        /// The last one.
        offset: Offset,
    },
}

/// What a session says of its presence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PresenceUpdate {
    /// How available; `offline` hides the session.
    pub show: Show,
    /// In words, at most 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Questions to the user go to the session with the highest.
    pub priority: i8,
}

impl PresenceUpdate {
    fn check(&self) -> Result<(), Problem> {
        match &self.status {
            Some(status) => check_text("invalid_text", "status", status, STATUS_BYTES_MAX),
            None => Ok(()),
        }
    }
}

/// What a question frame is (RFC 6120 §8.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IqType {
    /// Asks for something.
    Get,
    /// Asks to change something.
    Set,
    /// An answer.
    Result,
    /// An answer that it cannot be done.
    Error,
}

impl IqType {
    /// Whether it asks, and is owed an outcome.
    #[must_use]
    pub const fn asks(self) -> bool {
        matches!(self, Self::Get | Self::Set)
    }
}

/// A question, or the answer to one.
#[derive(Debug)]
pub struct Question {
    /// Of a question the asker's own id, 1 to 256 bytes; of an answer the id that the question came with.
    pub id: String,
    /// Who is asked: `user:ID`, `user:ID/RESOURCE`; `None`: the server. Of no use with an answer.
    pub to: Option<String>,
    /// What it is.
    pub r#type: IqType,
    /// What is asked or answered. A question to the server names itself: `{"query":"ping"}`.
    pub payload: Option<Box<RawValue>>,
}

impl Operation {
    /// What `op` may say.
    pub fn names() -> impl Iterator<Item = &'static str> {
        READERS.iter().map(|(name, _)| *name)
    }
}

impl Request {
    /// Reads a frame, which names itself by `op`.
    ///
    /// # Errors
    /// `malformed_json` (400) for bytes that are no JSON, `unknown_op`, `invalid_field` with the path of the field at
    /// fault. [`reference`] finds the mark that the answer repeats.
    pub fn from_json(json: &[u8]) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Named {
            op: Option<String>,
        }
        let named: Named = lenient(json)?;
        let op = named.op.ok_or_else(|| {
            Problem::invalid("invalid_field", "op", "is required").accepted(OPERATIONS)
        })?;
        Self::from_parts(&op, json)
    }

    /// Reads a request whose name came beside it, as the events of Socket.IO do. The object may name itself too.
    ///
    /// # Errors
    /// As [`Request::from_json`].
    pub fn from_parts(op: &str, json: &[u8]) -> Result<Self, Problem> {
        let read = READERS.iter().find(|(name, _)| *name == op);
        let (_, read) = read.ok_or_else(|| {
            Problem::invalid("unknown_op", "op", "there is no such operation").accepted(OPERATIONS)
        })?;
        read(json)
    }

    /// The mark of a frame that could not be read as a request, when it can be seen.
    #[must_use]
    pub fn reference(json: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        struct Marked {
            r#ref: Option<String>,
        }
        lenient::<Marked>(json).ok()?.r#ref
    }
}

fn lenient<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(json).map_err(|error| {
        let detail = format!("a frame is one JSON object (RFC 8259): {error}");
        Problem::new(ProblemKind::Malformed, "malformed_json", detail)
    })
}

/// The names of all operations.
const OPERATIONS: &str = "auth, subscribe, unsubscribe, publish, ack, presence, presence.subscribe, presence.approve, presence.refuse, presence.unsubscribe, presence.probe, iq, ping";

type Read = fn(&[u8]) -> Result<Request, Problem>;

const READERS: [(&str, Read); 13] = [
    ("auth", read::<AuthFrame>),
    ("subscribe", read::<SubscribeFrame>),
    ("unsubscribe", read::<UnsubscribeFrame>),
    ("publish", read::<PublishFrame>),
    ("ack", read::<AckFrame>),
    ("presence", read::<PresenceFrame>),
    ("presence.subscribe", |json| {
        about(json, Operation::PresenceSubscribe)
    }),
    ("presence.approve", |json| {
        about(json, Operation::PresenceApprove)
    }),
    ("presence.refuse", |json| {
        about(json, Operation::PresenceRefuse)
    }),
    ("presence.unsubscribe", |json| {
        about(json, Operation::PresenceUnsubscribe)
    }),
    ("presence.probe", read::<ProbeFrame>),
    ("iq", read::<IqFrame>),
    ("ping", read::<PingFrame>),
];

/// A frame as written; every one may carry `op` and `ref`.
trait Frame: DeserializeOwned {
    /// The mark, and what is asked.
    fn operation(self) -> (Option<String>, Result<Operation, Problem>);
}

fn read<F: Frame>(json: &[u8]) -> Result<Request, Problem> {
    let (r#ref, operation) = parse_json::<F>("", json)?.operation();
    if let Some(mark) = &r#ref {
        check_text("invalid_text", "ref", mark, KEY_BYTES_MAX)?;
    }
    Ok(Request {
        r#ref,
        operation: operation?,
    })
}

fn about(json: &[u8], operation: fn(UserId) -> Operation) -> Result<Request, Problem> {
    let frame: PrincipalFrame = parse_json("", json)?;
    Ok(Request {
        r#ref: frame.r#ref,
        operation: operation(frame.principal),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthFrame {
    #[serde(default, rename = "op")]
    _op: Option<IgnoredAny>,
    r#ref: Option<String>,
    token: Option<String>,
    user: Option<UserId>,
    resource: Option<String>,
    after: Option<Offset>,
    presence: Option<PresenceUpdate>,
    acks: Option<Acknowledgements>,
    #[serde(default)]
    questions: Vec<String>,
}

impl Frame for AuthFrame {
    fn operation(self) -> (Option<String>, Result<Operation, Problem>) {
        let hello = Hello {
            op: None,
            token: self.token,
            user: self.user,
            resource: self.resource,
            after: self.after,
            presence: self.presence,
            acks: self.acks,
            questions: self.questions,
        };
        let operation = hello.check().map(|()| Operation::Auth(Box::new(hello)));
        (self.r#ref, operation)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscribeFrame {
    #[serde(default, rename = "op")]
    _op: Option<IgnoredAny>,
    r#ref: Option<String>,
    topic: Option<String>,
    room: Option<String>,
    after: Option<Offset>,
}

impl Frame for SubscribeFrame {
    fn operation(self) -> (Option<String>, Result<Operation, Problem>) {
        let after = self.after;
        let stream = one_stream(self.topic, self.room);
        let operation = stream.map(|stream| Operation::Subscribe(Subscribe { stream, after }));
        (self.r#ref, operation)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnsubscribeFrame {
    #[serde(default, rename = "op")]
    _op: Option<IgnoredAny>,
    r#ref: Option<String>,
    topic: Option<String>,
    room: Option<String>,
}

impl Frame for UnsubscribeFrame {
    fn operation(self) -> (Option<String>, Result<Operation, Problem>) {
        let stream = one_stream(self.topic, self.room);
        (self.r#ref, stream.map(Operation::Unsubscribe))
    }
}

fn one_stream(topic: Option<String>, room: Option<String>) -> Result<Stream, Problem> {
    match (topic, room) {
        (Some(topic), None) => Ok(Stream::Topic(topic)),
        (None, Some(room)) => Ok(Stream::Room(room)),
        (Some(_), Some(_)) | (None, None) => Err(Problem::invalid(
            "invalid_field",
            "topic",
            "give either `topic` or `room`",
        )),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishFrame {
    #[serde(default, rename = "op")]
    _op: Option<IgnoredAny>,
    r#ref: Option<String>,
    topic: Option<String>,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    transient: bool,
    message: Item,
}

impl Frame for PublishFrame {
    fn operation(self) -> (Option<String>, Result<Operation, Problem>) {
        let mut message = self.message;
        if !self.to.is_empty() && !message.header.to.is_empty() {
            let twice = Problem::invalid(
                "invalid_field",
                "to",
                "give the addresses either here or in message.header.to",
            );
            return (self.r#ref, Err(twice));
        }
        if !self.to.is_empty() {
            message.header.to = self.to;
        }
        let publication = Publication {
            topic: self.topic,
            transient: self.transient,
            message,
        };
        (self.r#ref, Ok(Operation::Publish(Box::new(publication))))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AckFrame {
    #[serde(default, rename = "op")]
    _op: Option<IgnoredAny>,
    r#ref: Option<String>,
    id: Option<MessageId>,
    up_to: Option<Offset>,
    stream: Option<Stream>,
}

impl Frame for AckFrame {
    fn operation(self) -> (Option<String>, Result<Operation, Problem>) {
        let position = match (self.id, self.up_to, self.stream) {
            (Some(id), None, None) => Ok(Position::Message(id)),
            (None, Some(offset), stream) => Ok(Position::UpTo {
                stream: stream.unwrap_or(Stream::Mailbox),
                offset,
            }),
            _ => Err(Problem::invalid(
                "invalid_field",
                "id",
                "give either `id`, or `up_to` with the `stream` that it is of (`mailbox` when absent)",
            )),
        };
        (self.r#ref, position.map(Operation::Ack))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PresenceFrame {
    #[serde(default, rename = "op")]
    _op: Option<IgnoredAny>,
    r#ref: Option<String>,
    #[serde(default)]
    show: Show,
    status: Option<String>,
    #[serde(default)]
    priority: i8,
}

impl Frame for PresenceFrame {
    fn operation(self) -> (Option<String>, Result<Operation, Problem>) {
        let update = PresenceUpdate {
            show: self.show,
            status: self.status,
            priority: self.priority,
        };
        let checked = update.check();
        (self.r#ref, checked.map(|()| Operation::Presence(update)))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalFrame {
    #[serde(default, rename = "op")]
    _op: Option<IgnoredAny>,
    r#ref: Option<String>,
    principal: UserId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProbeFrame {
    #[serde(default, rename = "op")]
    _op: Option<IgnoredAny>,
    r#ref: Option<String>,
    principal: Option<UserId>,
}

impl Frame for ProbeFrame {
    fn operation(self) -> (Option<String>, Result<Operation, Problem>) {
        (self.r#ref, Ok(Operation::PresenceProbe(self.principal)))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IqFrame {
    #[serde(default, rename = "op")]
    _op: Option<IgnoredAny>,
    r#ref: Option<String>,
    id: String,
    to: Option<String>,
    r#type: IqType,
    payload: Option<Box<RawValue>>,
}

impl Frame for IqFrame {
    fn operation(self) -> (Option<String>, Result<Operation, Problem>) {
        let checked = check_text("invalid_text", "id", &self.id, KEY_BYTES_MAX);
        let question = Question {
            id: self.id,
            to: self.to,
            r#type: self.r#type,
            payload: self.payload,
        };
        let operation = checked.map(|()| Operation::Iq(Box::new(question)));
        (self.r#ref, operation)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PingFrame {
    #[serde(default, rename = "op")]
    _op: Option<IgnoredAny>,
    r#ref: Option<String>,
}

impl Frame for PingFrame {
    fn operation(self) -> (Option<String>, Result<Operation, Problem>) {
        (self.r#ref, Ok(Operation::Ping))
    }
}
