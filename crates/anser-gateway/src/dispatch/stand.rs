//! A stand-in for a platform in the tests of attempts: a real listener that answers as it is told and remembers what it
//! was sent, and a channel that speaks to it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anser_core::attempt::PossibleDuplicate;
use anser_core::blob::BlobSizes;
use anser_core::channel::{
    BodyPart, Channel, Context, Exchange, HttpRequest, Plan, Request, SendErrorKind, Step,
    StepKind, Token, TokenIssuer, UploadRequest,
};
use anser_core::clock::SystemClock;
use anser_core::id::{DeliveryId, IdGenerator, Num, ResourceId};
use anser_core::limits::Limits;
use anser_core::message::{Item, Stamp};
use anser_core::outcome::Outcome;
use anser_core::random::SeededRandom;
use anser_core::resource::{ChannelSpec, Ordering};
use anser_core::{Message, Problem};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use url::Url;

use super::walk::{Ended, Walk, Wire};
use crate::config::{ChannelEntry, EndpointState, Meta};
use crate::credentials::Credentials;
use crate::fixture::{self, START};
use crate::sender::{AddressGuard, GuardOptions, Sender, SenderOptions, SystemResolver};

/// What stands for an answer that never comes.
pub(super) const SILENCE: &str = "silence";
/// What stands for a connection that is closed instead of an answer.
pub(super) const CLOSE: &str = "close";

/// The platform.
#[derive(Clone)]
pub(super) struct Stand {
    pub(super) base: Url,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Whole answers for the next requests to a path, in HTTP/1.1 or one of the constants.
    answers: Mutex<HashMap<String, VecDeque<String>>>,
    requests: Mutex<Vec<String>>,
    came: Notify,
}

impl Stand {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        let stand = Self {
            base: base.parse().unwrap(),
            inner: Arc::default(),
        };
        let served = stand.clone();
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn(served.clone().serve(stream));
            }
        });
        stand
    }

    /// The next request to `path` gets this answer; others get 200 and what they are called.
    pub(super) fn answer(&self, path: &str, status: u16, body: &str) {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{body}");
        self.answer_with(path, &answer);
    }

    pub(super) fn answer_with(&self, path: &str, answer: &str) {
        let mut answers = self.inner.answers.lock().unwrap();
        let queue = answers.entry(path.to_owned()).or_default();
        queue.push_back(answer.to_owned());
    }

    /// What it was sent, whole requests only: path, space, body.
    pub(super) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.inner.requests.lock().unwrap())
    }

    /// Waits for the next whole request.
    pub(super) async fn came(&self) {
        self.inner.came.notified().await;
    }

    async fn serve(self, mut stream: TcpStream) {
        while let Some((path, body)) = read(&mut stream).await {
            let body = String::from_utf8_lossy(&body);
            self.inner
                .requests
                .lock()
                .unwrap()
                .push(format!("{path} {body}"));
            self.inner.came.notify_one();
            let answer = self
                .inner
                .answers
                .lock()
                .unwrap()
                .get_mut(&path)
                .and_then(VecDeque::pop_front);
            let answer = answer.unwrap_or_else(|| {
                format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{path}",
                    path.len()
                )
            });
            match answer.as_str() {
                SILENCE => return std::future::pending().await,
                CLOSE => return,
                answer => stream.write_all(answer.as_bytes()).await.unwrap(),
            }
            if answer.contains("connection: close") {
                return;
            }
        }
    }
}

/// A whole request: its path without the slash, and its body.
async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = bytes.split_off(end);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    let path = head.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    Some((path, body))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a stand-in ends with the test's runtime"
)]
fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(future);
}

/// The steps for a rung, with or without attachments.
type Render = fn(rung: u8, media: bool) -> Vec<Step>;

/// A channel to the stand: a step's body is the path it goes to. A part is followed by the outputs so far; an upload is
/// its attachment between two words.
struct Chat {
    base: Url,
    render: Render,
    issuer: Option<Issuer>,
}

struct Issuer(Url);

impl TokenIssuer for Issuer {
    fn request(&self) -> HttpRequest {
        post(self.0.clone(), Bytes::new())
    }

    fn read(&self, exchange: &Exchange, _: &Context<'_>) -> Result<Token, Outcome> {
        let body = exchange.as_ref().unwrap().body.to_vec();
        let token = String::from_utf8(body).unwrap();
        Ok(Token::new(token, Duration::from_secs(3_600)).unwrap())
    }
}

fn post(url: Url, body: Bytes) -> HttpRequest {
    HttpRequest {
        method: Method::POST,
        url,
        headers: HeaderMap::new(),
        body,
    }
}

impl Channel for Chat {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.base)
    }

    fn render(&self, _: &Message, context: &Context<'_>) -> Result<Plan, Problem> {
        Ok(Plan {
            version: 1,
            steps: (self.render)(context.rung, !context.media_refused),
            degraded: Vec::new(),
        })
    }

    fn request(&self, step: &Step, _: &Message, context: &Context<'_>) -> Result<Request, Problem> {
        let path = std::str::from_utf8(&step.body).unwrap();
        let url = self.base.join(path).unwrap();
        let token = context.token.map_or("", Token::value);
        if let Some(id) = step.attachment.clone()
            && !step.loaded
        {
            return Ok(Request::Upload(UploadRequest {
                method: Method::POST,
                url,
                headers: HeaderMap::new(),
                body: vec![
                    BodyPart::Bytes(Bytes::from(format!("{token}<"))),
                    BodyPart::Attachment(id),
                    BodyPart::Bytes(Bytes::from_static(b">")),
                ],
            }));
        }
        let media = context.media.map(|media| String::from_utf8_lossy(media));
        let outputs: Vec<&str> = context.outputs.iter().flatten().map(|o| &**o).collect();
        let body = format!("{}{}", outputs.join("+"), media.unwrap_or_default());
        Ok(Request::Http(post(url, body.into())))
    }

    fn classify(&self, _: &Step, exchange: &Exchange, _: &Context<'_>) -> Outcome {
        let reason = String::new();
        match exchange {
            Ok(answer) => match answer.status.as_u16() {
                200 => Outcome::Delivered {
                    platform_id: Some(String::from_utf8(answer.body.to_vec()).unwrap()),
                },
                401 => Outcome::RefreshAuth,
                413 | 415 => Outcome::Degrade { reason },
                _ => Outcome::Retry { reason },
            },
            Err(error) if error.sent && error.kind != SendErrorKind::Blocked => {
                let reason = error.to_string();
                Outcome::Unknown { reason }
            }
            Err(error) => Outcome::Retry {
                reason: error.to_string(),
            },
        }
    }

    fn token_issuer(&self) -> Option<&dyn TokenIssuer> {
        self.issuer
            .as_ref()
            .map(|issuer| issuer as &dyn TokenIssuer)
    }
}

/// A part that goes to `path`.
pub(super) fn part(path: &'static str) -> Step {
    Step::send(Bytes::from_static(path.as_bytes()), "text/plain")
}

/// An upload of attachment `id` to `path`.
pub(super) fn upload(path: &'static str, id: &str) -> Step {
    Step {
        kind: StepKind::Upload,
        attachment: Some(id.to_owned()),
        ..part(path)
    }
}

/// A message with these attachments.
pub(super) fn message(attachments: &Value) -> Message {
    let item = json!({"body": {"data": 1}, "attachments": attachments});
    let item = Item::from_json(item.to_string().as_bytes()).unwrap();
    let stamp = Stamp {
        id: IdGenerator::above(None).next(START, &SeededRandom::new(1)),
        time: START,
        topic: "orders".to_owned(),
        from: fixture::anyone().sender.clone(),
        target_id: None,
        origin: None,
        hops: 0,
        blobs: BlobSizes::new(),
    };
    Message::accept(item, stamp, &Limits::default()).unwrap()
}

/// One delivery on its way to the stand, attempt by attempt.
pub(super) struct Way {
    pub(super) stand: Stand,
    pub(super) sender: Sender,
    pub(super) message: Message,
    pub(super) doubt: Option<PossibleDuplicate>,
    pub(super) stopping: watch::Sender<bool>,
    clock: SystemClock,
    credentials: Credentials,
    entry: ChannelEntry,
}

impl Way {
    /// Of a message with these attachments, in which `URL/` stands for the stand's address.
    pub(super) async fn new(render: Render, attachments: &Value) -> Self {
        let stand = Stand::start().await;
        let attachments = attachments.to_string().replace("URL/", stand.base.as_str());
        let message = message(&serde_json::from_str(&attachments).unwrap());
        let channel = Chat {
            base: stand.base.clone(),
            render,
            issuer: None,
        };
        Self {
            sender: sender(),
            message,
            doubt: None,
            stopping: watch::Sender::new(false),
            clock: SystemClock::new(),
            credentials: Credentials::default(),
            entry: entry(channel),
            stand,
        }
    }

    /// The channel asks for a token at `token`.
    pub(super) fn with_token(mut self, render: Render) -> Self {
        let issuer = Issuer(self.stand.base.join("token").unwrap());
        self.entry = entry(Chat {
            base: self.stand.base.clone(),
            render,
            issuer: Some(issuer),
        });
        self
    }

    /// One attempt.
    pub(super) async fn go(&self, walk: &mut Walk) -> Ended {
        let wire = Wire {
            sender: &self.sender,
            credentials: &self.credentials,
            clock: &self.clock,
            blobs: None,
            files: None,
            links: None,
            stopping: Some(&self.stopping),
        };
        let context = Context {
            now: START,
            delivery: DeliveryId::new(Num(1), 0),
            num: Num(1),
            attempt: 1,
            possible_duplicate: self.doubt,
            subscription: None,
            format: None,
            target: None,
            installation: 1,
            rung: 0,
            media_refused: false,
            links: None,
            step: 0,
            outputs: &[],
            media: None,
            token: None,
            fail_fast_4xx: false,
            cmq_policy: false,
        };
        walk.go(wire, &self.entry, &self.message, &context).await
    }
}

/// A sender that reaches this machine.
pub(super) fn sender() -> Sender {
    let clock = Arc::new(SystemClock::new());
    let guard = AddressGuard::new(GuardOptions {
        allow_loopback: true,
        ..GuardOptions::default()
    });
    Sender::new(SenderOptions {
        guard,
        ..SenderOptions::new(clock, Arc::new(SystemResolver::new()))
    })
    .unwrap()
}

fn entry(channel: Chat) -> ChannelEntry {
    ChannelEntry {
        meta: Meta {
            id: ResourceId(7),
            name: "chat".to_owned(),
            revision: 1,
            created_at: START,
            updated_at: START,
        },
        spec: ChannelSpec::new("fake", json!({})),
        manifest: Arc::new(fixture::manifest()),
        ordering: Ordering::Key,
        channel: Arc::new(channel),
        endpoint: EndpointState::default(),
    }
}
