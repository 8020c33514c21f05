//! The routes of a stand-in: the platform's API, what a test asks of it below `/_sim`, and the page. Does what the fault
//! switches say. Knows no platform's rules.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anser_core::clock::Clock;
use axum::Router;
use axum::body::Body;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{DefaultBodyLimit, Path, State, WebSocketUpgrade};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use url::form_urlencoded;

use crate::book::{Book, Received};
use crate::emit::{
    Amended, Attempt, Callback, Caller, Failed, Outbox, Said, Tried, Unsaid, Waiting,
};
use crate::fault::{Fault, FaultKind, Faults, InvalidFault};
use crate::intake::{self, Unread};
use crate::limit::Limiter;
use crate::line::{self, Heard, Host, Order, Told};
use crate::options::SimOptions;
use crate::page::{self, View};
use crate::platform::{
    Amendment, Answer, Call, Chat, Desk, Hold, Moment, Platform, Robot, Stand, Verdict,
};
use crate::shelf::{Shelf, Upload};

/// Bytes of a request to the stand-in itself.
const OWN_BODY_MAX: usize = 1 << 20;
/// Messages that the page shows.
const SHOWN_MAX: usize = 50;
/// What a refusal for the rate that a fault switch makes asks to wait.
const FAULT_WAIT: Duration = Duration::from_secs(1);
/// How often the clock is looked at for a request that is held: one that a test sets wakes nobody.
const HOLD_LOOK: Duration = Duration::from_millis(20);
/// Bytes of one message on a WebSocket.
const LINE_BYTES_MAX: usize = 4 << 20;
/// What stands before a platform and answers when it is down.
const DOWN: &str = "<html>\r\n<head><title>Service Unavailable</title></head>\r\n<body>\r\n<center><h1>Service Unavailable</h1></center>\r\n</body>\r\n</html>\r\n";

/// Marks an answer that must not be given: the connection is closed instead.
#[derive(Clone, Copy)]
pub(crate) struct Withheld;

/// A stand-in, apart from its listener.
pub(crate) struct House {
    pub(crate) platform: Platform,
    pub(crate) base: String,
    pub(crate) robots: Vec<Robot>,
    pub(crate) chats: Vec<Chat>,
    /// Where events go, if anywhere.
    pub(crate) callback: Option<Arc<Callback>>,
    /// Whether each event is sent twice to bots that are connected.
    pub(crate) duplicates: bool,
    /// Wakes who sends them.
    pub(crate) mail: Notify,
    /// Wakes the lines and the requests that are held.
    pub(crate) news: Notify,
    /// What is ordered for the lines.
    pub(crate) orders: watch::Sender<Order>,
    /// Ends with the stand-in.
    pub(crate) alive: watch::Receiver<()>,
    clock: Arc<dyn Clock>,
    state: Mutex<Inside>,
}

/// What changes.
pub(crate) struct Inside {
    stand: Box<dyn Stand>,
    limiter: Limiter,
    pub(crate) book: Book,
    pub(crate) shelf: Shelf,
    pub(crate) faults: Faults,
    pub(crate) outbox: Outbox,
}

impl House {
    pub(crate) fn new(options: SimOptions, base: String, alive: watch::Receiver<()>) -> Self {
        Self {
            platform: options.platform,
            base,
            robots: options.robots,
            chats: options.chats,
            callback: options.callback.map(Arc::new),
            duplicates: options.duplicates,
            mail: Notify::new(),
            news: Notify::new(),
            orders: watch::Sender::new(Order::Go),
            alive,
            clock: options.clock,
            state: Mutex::new(Inside {
                stand: options.platform.stand(),
                limiter: Limiter::new(options.limits),
                book: Book::default(),
                shelf: Shelf::default(),
                faults: Faults::default(),
                outbox: Outbox::default(),
            }),
        }
    }

    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes or refuses a request; answers it, with what goes wrong on the way back, or holds it.
    fn take(&self, call: &Call, fault: Option<FaultKind>) -> Result<Taken, Hold> {
        let mut inside = self.inside();
        let Inside {
            stand,
            limiter,
            book,
            shelf,
            ..
        } = &mut *inside;
        match &fault {
            Some(FaultKind::ServerError { status }) => {
                let mut answer = Answer::text(*status, DOWN);
                answer.headers = vec![("content-type", "text/html".to_owned())];
                return Ok((answer, None));
            }
            Some(FaultKind::Refuse { code }) => {
                book.refused(code);
                return Ok((stand.refusal_to(call, code, FAULT_WAIT), None));
            }
            _ => {}
        }
        let first = shelf.next_number();
        let mut desk = Desk {
            robots: &self.robots,
            chats: &self.chats,
            limiter,
            shelf,
            number: book.next_number(),
            base: &self.base,
            exceeded: None,
            is_called: self.callback.is_some(),
        };
        let answer = match stand.judge(call, &mut desk) {
            Ok(Verdict::Taken(letter, answer)) => {
                book.record(letter, call.now, call.weight());
                answer
            }
            Ok(Verdict::Edited(change, answer)) => {
                book.edit(change, call.now, call.weight());
                answer
            }
            Ok(Verdict::Recalled(gone, answer)) => {
                for gone in gone {
                    book.recall(&gone.conversation, &gone.id, call.now);
                }
                answer
            }
            Ok(Verdict::Answered(answer)) => answer,
            Ok(Verdict::Polled {
                answer,
                sent,
                taken,
            }) => {
                book.counters.posts += sent;
                book.counters.events += taken;
                answer
            }
            Ok(Verdict::Held(hold)) => return Err(hold),
            Err(refusal) => {
                book.refuse(&refusal, desk.exceeded.take());
                refusal.answer
            }
        };
        book.counters.uploaded += desk.shelf.next_number() - first;
        Ok((stand.finish(call, &desk, answer), fault))
    }

    /// What goes wrong with a request that has just come.
    fn fault(&self, call: &Call) -> Option<FaultKind> {
        let mut inside = self.inside();
        let fault = inside.faults.next(&call.path);
        let counters = &mut inside.book.counters;
        counters.requests += 1;
        counters.faults += u64::from(fault.is_some());
        fault
    }

    /// Takes or refuses a request as soon as the platform has what it waits for.
    async fn judge(&self, call: &mut Call) -> Taken {
        let fault = self.fault(call);
        loop {
            match self.take(call, fault.clone()) {
                Ok(taken) => return taken,
                Err(hold) => call.held = Some(hold),
            }
            tokio::select! {
                () = self.news.notified() => {}
                () = tokio::time::sleep(HOLD_LOOK) => {}
            }
            call.now = self.clock.now();
            call.monotonic = self.clock.monotonic();
        }
    }

    /// The number of the line that a bot opens, or the answer to it.
    fn admit(&self, call: &Call) -> Result<u64, Answer> {
        if let Some(FaultKind::ServerError { status }) = self.fault(call) {
            return Err(Answer::text(status, DOWN));
        }
        self.desk(&mut self.inside(), |stand, desk, book| {
            let counters = &mut book.counters;
            let line = counters.lines + 1;
            stand.admit(call, line, desk)?;
            counters.lines = line;
            Ok(line)
        })
    }

    fn moment(&self) -> Moment {
        Moment {
            now: self.clock.now(),
            monotonic: self.clock.monotonic(),
        }
    }

    /// Lets the platform do something at its desk, and count it.
    fn desk<T>(
        &self,
        inside: &mut Inside,
        work: impl FnOnce(&mut dyn Stand, &mut Desk<'_>, &mut Book) -> T,
    ) -> T {
        let Inside {
            stand,
            limiter,
            book,
            shelf,
            ..
        } = inside;
        let mut desk = Desk {
            robots: &self.robots,
            chats: &self.chats,
            limiter,
            shelf,
            number: book.next_number(),
            base: &self.base,
            exceeded: None,
            is_called: self.callback.is_some(),
        };
        work(&mut **stand, &mut desk, book)
    }
}

impl Host for House {
    fn hear(&self, line: u64, heard: Heard) -> Vec<Told> {
        let moment = self.moment();
        self.desk(&mut self.inside(), |stand, desk, book| {
            let told = stand.hear_line(line, heard, desk, moment);
            let counters = &mut book.counters;
            for told in &told {
                match told {
                    Told::Sent => counters.posts += 1,
                    Told::Taken => counters.events += 1,
                    Told::Missed => counters.events_lost += 1,
                    _ => {}
                }
            }
            told
        })
    }

    fn closed(&self, line: u64, code: u16) {
        self.inside().stand.line_closed(line, code);
    }

    fn orders(&self) -> watch::Receiver<Order> {
        self.orders.subscribe()
    }

    fn alive(&self) -> watch::Receiver<()> {
        self.alive.clone()
    }

    fn news(&self) -> &Notify {
        &self.news
    }
}

/// An answer, and what goes wrong on its way back.
type Taken = (Answer, Option<FaultKind>);

impl House {
    /// Takes what a person writes, tells the bot of it where there is a callback, and answers the message's id.
    pub(crate) fn say(&self, said: &Said) -> Result<String, Unsaid> {
        let moment = self.moment();
        let mut inside = self.inside();
        let said = said.checked()?;
        let (id, event) = self.desk(&mut inside, |stand, desk, book| {
            let (letter, event) = stand.hear(&said, desk, moment.now)?;
            let id = letter.id.clone().unwrap_or_default();
            book.hear(letter, said.name, moment.now);
            Ok((id, event))
        })?;
        self.tell(&mut inside, &event, moment);
        Ok(id)
    }

    /// Takes what a person does to a message of theirs, and tells the bot of it where there is a callback.
    pub(crate) fn amend(&self, amended: &Amended) -> Result<(), Unsaid> {
        let moment = self.moment();
        let mut inside = self.inside();
        let amended = amended.checked()?;
        let event = self.desk(&mut inside, |stand, desk, book| {
            let (amendment, event) = stand.amend(&amended, desk, moment.now)?;
            match amendment {
                Amendment::Edited(change) => {
                    let bytes = change.text.len();
                    book.edit(change, moment.now, bytes);
                }
                Amendment::Recalled(gone) => book.recall(&gone.conversation, &gone.id, moment.now),
            }
            Ok::<_, Unsaid>(event)
        })?;
        self.tell(&mut inside, &event, moment);
        Ok(())
    }

    /// Tells the bot of an event: at its callback, or as it asks for it.
    fn tell(&self, inside: &mut Inside, event: &Value, moment: Moment) {
        let Some(callback) = &self.callback else {
            let copies = 1 + usize::from(self.duplicates);
            inside.stand.spread(event.clone(), copies, moment);
            self.news.notify_waiters();
            return;
        };
        for _ in 0..1 + usize::from(callback.duplicates) {
            let waiting = Waiting {
                event: event.clone(),
                retries: 0,
                failed: None,
            };
            if !inside.outbox.add(moment.monotonic, waiting) {
                inside.book.counters.events_lost += 1;
            }
        }
        self.mail.notify_one();
    }

    /// One try more to send something.
    pub(crate) fn attempt(&self, retries: u32, failed: Option<Failed>) -> Attempt {
        Attempt {
            now: self.clock.now(),
            number: self.inside().outbox.next_number(),
            retries,
            failed,
        }
    }

    /// An event whose time has come.
    pub(crate) fn due(&self) -> Option<(Waiting, Attempt)> {
        let waiting = {
            let mut inside = self.inside();
            let waiting = inside.outbox.take(self.clock.monotonic())?;
            inside.book.counters.posts += 1;
            waiting
        };
        let attempt = self.attempt(waiting.retries, waiting.failed);
        Some((waiting, attempt))
    }

    /// Notes what became of an event: it is done, waits for its next time, or is lost.
    pub(crate) fn settle(&self, waiting: Waiting, tried: Tried, caller: &dyn Caller) {
        let mut inside = self.inside();
        let Inside { book, outbox, .. } = &mut *inside;
        let (failed, wanted) = match tried {
            Ok(()) => {
                book.counters.events += 1;
                return;
            }
            Err(failed) => failed,
        };
        let delay = caller.again(waiting.retries).filter(|_| wanted);
        let kept = delay.is_some_and(|delay| {
            let again = Waiting {
                retries: waiting.retries + 1,
                failed: Some(failed),
                ..waiting
            };
            outbox.add(self.clock.monotonic() + delay, again)
        });
        book.counters.events_lost += u64::from(!kept);
    }
}

/// All routes.
pub(crate) fn router(house: Arc<House>) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/_sim/messages", get(messages).delete(forget))
        .route("/_sim/uploads", get(uploads))
        .route("/_sim/uploads/{number}/content", get(content))
        .route("/_sim/counters", get(counters))
        .route("/_sim/faults", get(faults).post(add_faults).delete(clear))
        .route("/_sim/lines", post(order))
        .fallback(platform)
        .layer(DefaultBodyLimit::max(OWN_BODY_MAX))
        .with_state(house)
}

pub(crate) type Shared = State<Arc<House>>;

async fn platform(
    State(house): Shared,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8_lossy();
    if let Ok(upgrade) = upgrade {
        return open(house, upgrade, &uri, path.into_owned(), headers);
    }
    let is_file = house.inside().stand.takes_file(&method, &path);
    let intake = match intake::read(&headers, body, is_file).await {
        Ok(intake) => intake,
        Err(Unread::TooLarge) => return respond(Answer::text(413, "Request Entity Too Large")),
        Err(Unread::Broken) => return respond(Answer::text(400, "Bad Request")),
    };
    let mut call = Call {
        method,
        path: path.into_owned(),
        query: query(&uri),
        headers,
        body: intake.body,
        parts: intake.parts,
        now: house.clock.now(),
        monotonic: house.clock.monotonic(),
        held: None,
    };
    let (mut answer, fault) = house.judge(&mut call).await;
    if !answer.wait.is_zero() {
        tokio::time::sleep(answer.wait).await;
    }
    match fault {
        Some(FaultKind::Slow { millis }) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        Some(FaultKind::TruncateJson) => {
            let half = answer.body.len() / 2;
            answer.body.truncate(half);
        }
        _ => {}
    }
    let mut response = respond(answer);
    if matches!(fault, Some(FaultKind::DropAfterAccept)) {
        response.extensions_mut().insert(Withheld);
    }
    response
}

/// Lets a bot open a WebSocket, or not.
fn open(
    house: Arc<House>,
    upgrade: WebSocketUpgrade,
    uri: &Uri,
    path: String,
    headers: HeaderMap,
) -> Response {
    let call = Call {
        method: Method::GET,
        path,
        query: query(uri),
        headers,
        body: Bytes::new(),
        parts: Vec::new(),
        now: house.clock.now(),
        monotonic: house.clock.monotonic(),
        held: None,
    };
    match house.admit(&call) {
        Ok(line) => upgrade
            .max_message_size(LINE_BYTES_MAX)
            .on_upgrade(move |socket| line::serve(house, line, socket)),
        Err(answer) => respond(answer),
    }
}

/// What happens to the lines: `"refresh"`, `"mute"`, `"go"`, `{"cut": CODE}`, or `{"cut": null}`.
async fn order(State(house): Shared, body: Bytes) -> Response {
    match serde_json::from_slice::<Order>(&body) {
        Ok(order) => {
            house.orders.send_replace(order);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => json_of(400, &json!({"error": error.to_string()})),
    }
}

pub(crate) fn query(uri: &Uri) -> Vec<(String, String)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect()
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::new(answer.body.into());
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

pub(crate) fn json_of(status: u16, value: &Value) -> Response {
    respond(Answer::json(status, value))
}

async fn show(State(house): Shared) -> Response {
    let (messages, uploads, counters, checked) = {
        let inside = house.inside();
        let messages = inside.book.newest(SHOWN_MAX);
        let uploads = shown(&messages, &inside.shelf);
        let checked = inside.outbox.checked.clone();
        (messages, uploads, inside.book.counters.clone(), checked)
    };
    let page = page::render(&View {
        platform: house.platform,
        base: &house.base,
        robots: &house.robots,
        chats: &house.chats,
        messages: &messages,
        uploads: &uploads,
        counters: &counters,
        callback: house.callback.as_deref(),
        checked: checked.as_ref(),
    });
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, page::POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, page).into_response()
}

/// The files of these messages and of their edits.
fn shown(messages: &[Received], shelf: &Shelf) -> HashMap<String, Upload> {
    let mut uploads = HashMap::new();
    for message in messages {
        let edits = message.edits.iter().flat_map(|edit| &edit.uploads);
        for key in message.uploads.iter().chain(edits) {
            if let Some(upload) = shelf.get(key) {
                uploads.insert(key.clone(), upload.clone());
            }
        }
    }
    uploads
}

/// What `list` answers for `?after=N`: what came behind that number, or everything.
fn after(uri: &Uri, list: impl FnOnce(u64) -> Value) -> Response {
    let after = match query(uri).iter().find(|(name, _)| name == "after") {
        None => Ok(0),
        Some((_, value)) => value.parse(),
    };
    match after {
        Ok(after) => json_of(200, &list(after)),
        Err(_) => json_of(400, &json!({"error": "`after` must be a number"})),
    }
}

async fn messages(State(house): Shared, uri: Uri) -> Response {
    after(
        &uri,
        |after| json!({"messages": house.inside().book.messages(after)}),
    )
}

async fn uploads(State(house): Shared, uri: Uri) -> Response {
    after(
        &uri,
        |after| json!({"uploads": house.inside().shelf.uploads(after)}),
    )
}

/// The bytes of a file, as a picture where they are one and else as a download.
async fn content(State(house): Shared, Path(number): Path<u64>) -> Response {
    let bytes = house
        .inside()
        .shelf
        .numbered(number)
        .and_then(|upload| upload.content().cloned());
    let Some(bytes) = bytes else {
        return json_of(
            404,
            &json!({"error": "there is no such file, or not all of it was kept"}),
        );
    };
    let media_type = page::picture(&bytes).unwrap_or("application/octet-stream");
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox",
        ),
    ];
    (headers, bytes).into_response()
}

async fn forget(State(house): Shared) -> StatusCode {
    house.inside().book.forget();
    StatusCode::NO_CONTENT
}

async fn counters(State(house): Shared) -> Response {
    let counters = house.inside().book.counters.clone();
    json_of(200, &json!(counters))
}

async fn faults(State(house): Shared) -> Response {
    let faults = house.inside().faults.list();
    json_of(200, &json!({"faults": faults}))
}

/// One fault, or a list of them, all or none.
async fn add_faults(State(house): Shared, body: Bytes) -> Response {
    let added = parse_faults(&body).and_then(|faults| {
        let mut inside = house.inside();
        for fault in faults {
            inside.faults.add(fault)?;
        }
        Ok(())
    });
    match added {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(wrong) => json_of(400, &json!({"error": wrong.to_string()})),
    }
}

fn parse_faults(body: &[u8]) -> Result<Vec<Fault>, InvalidFault> {
    // What is no JSON is no fault either: `null` says so with the same words.
    match serde_json::from_slice(body).unwrap_or(Value::Null) {
        Value::Array(faults) => faults.iter().map(Fault::parse).collect(),
        fault => Ok(vec![Fault::parse(&fault)?]),
    }
}

async fn clear(State(house): Shared) -> StatusCode {
    house.inside().faults.clear();
    StatusCode::NO_CONTENT
}
