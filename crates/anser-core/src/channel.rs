//! The contract of a channel: turns a message into requests and answers into outcomes. Pure: no I/O, clock or
//! randomness of its own; sending, retrying, limiting and guarding are the gateway's, written once for all channels.

mod exec;
mod mail;
mod media;
mod people;
mod plan;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use url::Url;

use crate::attempt::PossibleDuplicate;
use crate::connection::Connector;
use crate::id::{DeliveryId, Num};
use crate::inbound::Inbound;
use crate::message::{Attachment, Item, Message};
use crate::outcome::Outcome;
use crate::problem::Problem;
use crate::resource::{Ordering, Rate};
use crate::time::Timestamp;

pub use crate::exchange::{Exchange, HttpRequest, SendError, SendErrorKind};
pub use crate::response::HttpResponse;
pub use exec::{
    BatchAnswer, Batches, EXIT_CODE, ExecRequest, PROGRAM_OUTPUT_BYTES_MAX,
    PROGRAM_STDERR_BYTES_KEPT, PROGRAM_STDOUT_BYTES_MAX, PROGRAM_TIMEOUT_MAX, Program, RUN_FAILED,
    RUN_SUCCEEDED,
};
pub use mail::{MAIL_BYTES_MAX, Mail, MailAttachment, MailRequest, MailSecurity, MailServer};
pub use media::{Asked, MEDIA_EXT, MEDIA_REQUESTS_MAX, MediaKey, MediaSource};
pub use people::{PERSON_NAME_CHARS_MAX, People};
pub use plan::{Checkpoint, Instead, Plan, Step, StepKind};

/// Messages in one answer of a receiver.
pub const ANSWERS_MAX: usize = 10;
/// Bytes of a token that a platform gives; platforms tell to expect 4 KB, and some give JSON Web Tokens.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// What a kind of channel is and can do: the form, validation, docs page and conformance test come from it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Manifest {
    /// Its name in `kind`, lower case.
    pub kind: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// One sentence on what it does.
    pub summary: &'static str,
    /// Where the vendor or standard describes it.
    pub links: Vec<&'static str>,
    /// JSON Schema of `settings`. Secret fields carry `"writeOnly": true`.
    pub settings: Value,
    /// Formats that a subscription may ask for; the first is the default.
    pub formats: Vec<&'static str>,
    /// Segment types and operations it can show natively; `receive`: what the platform sends in is taken at `/in/CHANNEL`;
    /// `connect`: over a long connection too.
    pub capabilities: Vec<&'static str>,
    /// Not a chat platform: its name may appear outside its folder.
    pub generic: bool,
    /// How deliveries are ordered unless the subscription says otherwise.
    pub ordering: Ordering,
    /// The platform's limit on one channel's sending, in force unless the channel sets its own `rate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// The platform's limit on sending to one target (chat, person) of a channel, inside of `rate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_rate: Option<Rate>,
    /// Schemes of the URLs that stand for a channel of this kind with its settings, as in `anser send --to`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemes: Vec<&'static str>,
    /// How to get the credentials it asks for.
    pub setup: &'static str,
}

/// A kind of channel, one folder of `anser-channels`.
pub trait ChannelKind: Send + Sync {
    /// What it is and can do.
    fn manifest(&self) -> Manifest;

    /// Checks settings and makes a channel that is ready to use.
    ///
    /// # Errors
    /// A [`Problem`] whose field begins with `settings`.
    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem>;

    /// The settings, and the target if it names one, that a URL of one of the manifest's `schemes` stands for.
    ///
    /// # Errors
    /// `not_available` when this kind has no such URLs; a [`Problem`] that says what the URL lacks.
    fn of_url(&self, url: &Url) -> Result<(Value, Option<String>), Problem> {
        Err(Problem::not_available(
            "to",
            &format!("a {} URL for a channel", url.scheme()),
        ))
    }

    /// Replaces a signing secret: the settings with the new secret put in and the old one kept signing until
    /// `old_until`, and the new secret in the form to be shown once.
    ///
    /// # Errors
    /// `not_available` when this kind has no secrets to rotate, `invalid_field` for an unknown `secret_kind`.
    fn rotate(
        &self,
        settings: &Value,
        secret_kind: &str,
        random: &[u8; 32],
        now: Timestamp,
        old_until: Timestamp,
    ) -> Result<(Value, String), Problem>;
}

/// A configured channel.
pub trait Channel: Send + Sync {
    /// The URL whose host the address guard judges when the channel is created; `None` when there is none.
    fn endpoint(&self) -> Option<&Url>;

    /// Whom the platform counts what goes to `target` by, for its limit on one chat or person.
    fn counted<'a>(&'a self, target: Option<&'a str>) -> Counted<'a> {
        Counted::by(target.unwrap_or_default())
    }

    /// The program that it runs, which is looked for when the channel is created; `None` when it runs none.
    fn program(&self) -> Option<&Arc<Program>> {
        None
    }

    /// How its program takes the messages of a queue; `None`: it takes no batches.
    fn batches(&self) -> Option<&dyn Batches> {
        None
    }

    /// The steps that deliver `message`, in the form of the rung that the context names.
    ///
    /// # Errors
    /// A [`Problem`] when the message cannot be sent this way at all, or has no form so low: the delivery is dead at
    /// once.
    fn render(&self, message: &Message, context: &Context<'_>) -> Result<Plan, Problem>;

    /// The request of one step.
    ///
    /// # Errors
    /// As [`Channel::render`].
    fn request(
        &self,
        step: &Step,
        message: &Message,
        context: &Context<'_>,
    ) -> Result<Request, Problem>;

    /// What the answer to a step means.
    fn classify(&self, step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome;

    /// Whether an answer must name the first message of its thread, and not the answer in it that it is an answer to.
    fn answers_first(&self) -> bool {
        false
    }

    /// The steps that put the content of `edit`, a `message.edited`, in the place of what was sent before: `sent` are the
    /// platform's ids of its parts, in order, as [`Channel::classify`] gave them for steps of kind [`StepKind::Send`].
    ///
    /// # Errors
    /// `not_available` when the platform cannot change a message; as [`Channel::render`] otherwise.
    fn edit(
        &self,
        edit: &Message,
        sent: &[String],
        context: &Context<'_>,
    ) -> Result<Plan, Problem> {
        let _ = (edit, sent, context);
        Err(Problem::not_available("id", "editing on this platform"))
    }

    /// The steps that take back what was sent before, for `recall`, a `message.recalled`. `sent` as in [`Channel::edit`].
    ///
    /// # Errors
    /// `not_available` when the platform cannot take a message back.
    fn recall(
        &self,
        recall: &Message,
        sent: &[String],
        context: &Context<'_>,
    ) -> Result<Plan, Problem> {
        let _ = (recall, sent, context);
        Err(Problem::not_available("id", "recalling on this platform"))
    }

    /// How the platform is asked whether the credentials are good, without sending anything to anybody; `None`: it
    /// cannot be asked, or getting a token of [`Channel::token_issuer`] says it all.
    fn credential_check(&self) -> Option<&dyn CredentialCheck> {
        None
    }

    /// The messages that the receiver of a delivery answered it with: they go back to where the delivered message came
    /// from.
    ///
    /// # Errors
    /// What the receiver answered is no such message. The delivery is done all the same.
    fn answers(&self, response: &HttpResponse, context: &Context<'_>) -> Result<Answers, Problem> {
        let _ = (response, context);
        Ok(Answers::default())
    }

    /// What the platform sends in is read by this; `None`: it sends nothing, or the settings lack what verifies it.
    fn inbound(&self) -> Option<&dyn Inbound> {
        None
    }

    /// How it is connected to its platform, so that events come without a callback; `None`: it cannot be, or the settings
    /// lack what that needs.
    fn connector(&self) -> Option<&dyn Connector> {
        None
    }

    /// The path of the setting that [`Channel::connector`] needs, for a problem that names what is missing.
    fn connector_needs(&self) -> &'static str {
        "settings"
    }

    /// How the files of messages that came in are had from the platform; `None`: it gives none for this channel.
    fn media(&self) -> Option<&dyn MediaSource> {
        None
    }

    /// How people's names are had from the platform; `None`: its events tell them, or nobody does.
    fn people(&self) -> Option<&dyn People> {
        None
    }

    /// Where the token comes from that [`Context::token`] brings to each request; `None`: requests need none.
    fn token_issuer(&self) -> Option<&dyn TokenIssuer> {
        None
    }
}

/// Whom a platform counts messages by, for its limit on one chat or person.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted<'a> {
    /// The chat or person: the same for every way to name it. Nobody is named where it is not known.
    pub whom: Cow<'a, str>,
    /// The limit, where it is not [`Manifest::target_rate`].
    pub rate: Option<Rate>,
}

impl<'a> Counted<'a> {
    /// Counted by this chat or person, with the limit that they all have.
    pub fn by(whom: impl Into<Cow<'a, str>>) -> Self {
        Self {
            whom: whom.into(),
            rate: None,
        }
    }
}

/// What a receiver answered a delivery with.
#[derive(Debug, Default)]
pub struct Answers {
    /// The messages, at most [`ANSWERS_MAX`]; one that cannot be read keeps none of the others out.
    pub items: Vec<Result<Item, Problem>>,
    /// They may name any address; else only the conversation of the message that they answer.
    pub anywhere: bool,
}

/// A platform's way to say whether credentials are good. Pure, as a channel is.
pub trait CredentialCheck: Send + Sync {
    /// The question. The context has the token, where the channel has an issuer.
    ///
    /// # Errors
    /// A [`Problem`] when the settings cannot even be asked about.
    fn request(&self, context: &Context<'_>) -> Result<Request, Problem>;

    /// Who the platform says the credentials belong to, for people.
    ///
    /// # Errors
    /// What the answer would mean for a delivery.
    fn read(&self, exchange: &Exchange, context: &Context<'_>) -> Result<String, Outcome>;
}

/// A platform's way to exchange lasting credentials for a token that expires. Pure, as a channel is: the gateway sends
/// the request, keeps the token, and asks for the next one in time, or after [`Outcome::RefreshAuth`].
pub trait TokenIssuer: Send + Sync {
    /// The request for a token.
    fn request(&self) -> HttpRequest;

    /// The token in the answer.
    ///
    /// # Errors
    /// What the answer means for a delivery that cannot do without a token.
    fn read(&self, exchange: &Exchange, context: &Context<'_>) -> Result<Token, Outcome>;
}

/// A token for a platform's API. It is never shown: it is a secret for as long as it is valid.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    value: String,
    lifetime: Duration,
}

impl Token {
    /// A token, and for how long it is valid from when it was asked for. `None` when it is none: empty, longer than
    /// [`TOKEN_BYTES_MAX`], or of other characters than visible ASCII, so that it could not stand in a header.
    #[must_use]
    pub fn new(value: String, lifetime: Duration) -> Option<Self> {
        let good = (1..=TOKEN_BYTES_MAX).contains(&value.len())
            && value.bytes().all(|byte| byte.is_ascii_graphic());
        good.then_some(Self { value, lifetime })
    }

    /// As the platform made it: visible ASCII.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// For how long it is valid.
    #[must_use]
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// What a channel may know of the delivery that it serves.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The time now.
    pub now: Timestamp,
    /// The delivery.
    pub delivery: DeliveryId,
    /// The message's number.
    pub num: Num,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Why this attempt may repeat an earlier one.
    pub possible_duplicate: Option<PossibleDuplicate>,
    /// The subscription's name; `None` for a direct address.
    pub subscription: Option<&'a str>,
    /// The format that the subscription asks for; `None`: the channel's own.
    pub format: Option<&'a str>,
    /// Whom in that channel.
    pub target: Option<&'a str>,
    /// The installation's number.
    pub installation: u64,
    /// How far down the ladder of forms (`message.md`, Degradation) the message is rendered: 0 is the richest, and one
    /// more after each [`Outcome::Degrade`].
    pub rung: u8,
    /// An attachment was refused in this delivery, by the platform or for lack of its bytes: all of them go as links.
    pub media_refused: bool,
    /// Links to attachments whose bytes the gateway keeps; `None` when it has no public address.
    pub links: Option<&'a dyn Links>,
    /// Which step of the plan, from 0; part of the platform's idempotency key.
    pub step: usize,
    /// What the steps before this one gave, one a step: ids of parts, keys of uploads. In [`Channel::request`] and
    /// [`Channel::classify`].
    pub outputs: &'a [Option<String>],
    /// The bytes of the step's attachment, in [`Channel::request`] of a step that is [`Step::loaded`].
    pub media: Option<&'a Bytes>,
    /// The token of the channel's [`Channel::token_issuer`], in [`Channel::request`] and [`Channel::classify`].
    pub token: Option<&'a Token>,
    /// Other 4xx answers than 408, 410, 425 and 429 reject at once.
    pub fail_fast_4xx: bool,
    /// The subscription has one of CMQ's retry policies: every non-2xx and every time-out is a plain retry.
    pub cmq_policy: bool,
}

/// Makes links under which a platform or a person can fetch an attachment from the gateway.
pub trait Links: Send + Sync + std::fmt::Debug {
    /// The signed link to an attachment's bytes; `None` when the gateway does not keep them as a blob.
    fn link(&self, attachment: &Attachment) -> Option<String>;
}

/// A request for the gateway's senders; one variant per sender.
#[derive(Debug, Clone)]
pub enum Request {
    /// Over HTTP.
    Http(HttpRequest),
    /// Over HTTP, with attachments in the body that are streamed and never whole in memory.
    Upload(UploadRequest),
    /// A mail.
    Mail(MailRequest),
    /// A run of a program on this machine.
    Exec(ExecRequest),
}

impl Request {
    /// The request, when it is one over HTTP with its body at hand.
    #[must_use]
    pub fn into_http(self) -> Option<HttpRequest> {
        match self {
            Self::Http(request) => Some(request),
            Self::Upload(_) | Self::Mail(_) | Self::Exec(_) => None,
        }
    }
}

/// An HTTP request whose body is put together while it is sent.
#[derive(Debug, Clone)]
pub struct UploadRequest {
    /// Method.
    pub method: Method,
    /// Absolute `http` or `https` URL.
    pub url: Url,
    /// Headers, apart from `host` and `content-length`.
    pub headers: HeaderMap,
    /// The body, in order. Its length is announced.
    pub body: Vec<BodyPart>,
}

/// A piece of an upload's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyPart {
    /// These bytes.
    Bytes(Bytes),
    /// The bytes of the message's attachment with this id, wherever they are: in the message, in a blob, at a URL.
    Attachment(String),
}

/// An exchange with what the log wants to know of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// What came back.
    pub exchange: Exchange,
    /// Where the time went.
    pub timing: crate::attempt::Timing,
    /// The address connected to.
    pub peer: Option<SocketAddr>,
}
