//! The routes of a stand-in: the platform's API, what a test asks of it below `/_sim`, and the page. Does what the fault
//! switches say. Knows no platform's rules.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anser_core::clock::Clock;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::book::Book;
use crate::fault::{Fault, FaultKind, Faults, InvalidFault};
use crate::limit::Limiter;
use crate::page::{self, View};
use crate::platform::{Answer, Call, Chat, Desk, Platform, Robot, Stand, Verdict};

/// Bytes of a request's body that are read at all; what a platform takes is far less.
const BODY_MAX: usize = 16 << 20;
/// Messages that the page shows.
const SHOWN_MAX: usize = 50;
/// What a refusal for the rate that a fault switch makes asks to wait.
const FAULT_WAIT: Duration = Duration::from_secs(1);
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
    chats: Vec<Chat>,
    clock: Arc<dyn Clock>,
    state: Mutex<Inside>,
}

/// What changes.
pub(crate) struct Inside {
    stand: Box<dyn Stand>,
    limiter: Limiter,
    pub(crate) book: Book,
    pub(crate) faults: Faults,
}

impl House {
    pub(crate) fn new(
        platform: Platform,
        base: String,
        robots: Vec<Robot>,
        chats: Vec<Chat>,
        limiter: Limiter,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            platform,
            base,
            robots,
            chats,
            clock,
            state: Mutex::new(Inside {
                stand: platform.stand(),
                limiter,
                book: Book::default(),
                faults: Faults::default(),
            }),
        }
    }

    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes or refuses a request; answers it, with what goes wrong on the way back.
    fn take(&self, call: &Call) -> (Answer, Option<FaultKind>) {
        let mut inside = self.inside();
        let Inside {
            stand,
            limiter,
            book,
            faults,
        } = &mut *inside;
        book.counters.requests += 1;
        let fault = faults.next();
        book.counters.faults += u64::from(fault.is_some());
        match &fault {
            Some(FaultKind::ServerError { status }) => {
                let mut answer = Answer::text(*status, DOWN);
                answer.headers = vec![("content-type", "text/html".to_owned())];
                return (answer, None);
            }
            Some(FaultKind::Refuse { code }) => {
                book.refused(code);
                return (stand.refusal(code, FAULT_WAIT), None);
            }
            _ => {}
        }
        let mut desk = Desk {
            robots: &self.robots,
            chats: &self.chats,
            limiter,
            number: book.next_number(),
        };
        let answer = match stand.judge(call, &mut desk) {
            Ok(Verdict::Taken(letter, answer)) => {
                book.record(letter, call.now, call.body.len());
                answer
            }
            Ok(Verdict::Answered(answer)) => answer,
            Err(refusal) => {
                book.refuse(&refusal);
                refusal.answer
            }
        };
        (stand.finish(call, &desk, answer), fault)
    }
}

/// All routes.
pub(crate) fn router(house: Arc<House>) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/_sim/messages", get(messages).delete(forget))
        .route("/_sim/counters", get(counters))
        .route("/_sim/faults", get(faults).post(add_faults).delete(clear))
        .fallback(platform)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(house)
}

type Shared = State<Arc<House>>;

async fn platform(
    State(house): Shared,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8_lossy();
    let call = Call {
        method,
        path: path.into_owned(),
        query: query(&uri),
        headers,
        body,
        now: house.clock.now(),
        monotonic: house.clock.monotonic(),
    };
    let (mut answer, fault) = house.take(&call);
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

fn query(uri: &Uri) -> Vec<(String, String)> {
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

fn json_of(status: u16, value: &Value) -> Response {
    respond(Answer::json(status, value))
}

async fn show(State(house): Shared) -> Response {
    let (messages, counters) = {
        let inside = house.inside();
        let newest = inside.book.newest(SHOWN_MAX);
        (newest, inside.book.counters.clone())
    };
    let page = page::render(&View {
        platform: house.platform,
        base: &house.base,
        robots: &house.robots,
        messages: &messages,
        counters: &counters,
    });
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, page::POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, page).into_response()
}

/// `?after=N`: only those behind the message of that number.
async fn messages(State(house): Shared, uri: Uri) -> Response {
    let after = match query(&uri).iter().find(|(name, _)| name == "after") {
        None => Ok(0),
        Some((_, value)) => value.parse(),
    };
    match after {
        Ok(after) => {
            let messages = house.inside().book.messages(after);
            json_of(200, &json!({"messages": messages}))
        }
        Err(_) => json_of(400, &json!({"error": "`after` must be a message's number"})),
    }
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
