//! The task that sends events to a callback URL: checks the URL first, sends each event, and sends again what was not taken.
//! Must not know how an event looks.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::door::House;
use crate::emit::{Attempt, Callback, Caller, Failed, Post, Tried, Waiting};

/// Events that are sent at once.
const POSTS_MAX: usize = 32;
/// How often the clock is looked at while something waits: one that a test sets wakes nobody.
const LOOK: Duration = Duration::from_millis(20);
/// Pause between two checks of a URL that is not good.
const CHECK_PAUSE: Duration = Duration::from_secs(1);
/// Bytes of an answer that are read.
const ANSWER_MAX: usize = 64 * 1024;
/// The word that a check of the URL wants back begins with.
const WORD: &str = "anser-sim-challenge-";

/// An answer to an event.
struct Answered {
    status: u16,
    body: Bytes,
    /// Slack's way to say that it shall not come again.
    no_retry: bool,
}

/// Sends what waits, until it is dropped.
pub(crate) async fn run(house: Arc<House>, callback: Arc<Callback>, caller: &'static dyn Caller) {
    while let Err(why) = check(&house, &callback, caller).await {
        house.inside().outbox.checked = Some(Err(why));
        tokio::time::sleep(CHECK_PAUSE).await;
    }
    house.inside().outbox.checked = Some(Ok(()));
    let mut posts = JoinSet::new();
    loop {
        while posts.len() < POSTS_MAX
            && let Some((waiting, attempt)) = house.due()
        {
            posts.spawn(try_once(Arc::clone(&callback), caller, waiting, attempt));
        }
        let waits = house.inside().outbox.waits();
        tokio::select! {
            Some(ended) = posts.join_next() => match ended {
                Ok((waiting, result)) => house.settle(waiting, result, caller),
                Err(error) => tracing::error!(%error, "an event of the stand-in broke off"),
            },
            () = house.mail.notified() => {}
            () = tokio::time::sleep(LOOK), if waits => {}
        }
    }
}

async fn try_once(
    callback: Arc<Callback>,
    caller: &'static dyn Caller,
    waiting: Waiting,
    attempt: Attempt,
) -> (Waiting, Tried) {
    let post = caller.post(&waiting.event, &callback.secrets, &attempt);
    let tried = match send(&callback, post, caller.patience()).await {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
        Ok(answer) => Err((Failed::Status(answer.status), !answer.no_retry)),
        Err(failed) => Err((failed, true)),
    };
    (waiting, tried)
}

/// Asks whether the URL is the bot's: why not, if not.
async fn check(
    house: &House,
    callback: &Callback,
    caller: &'static dyn Caller,
) -> Result<(), String> {
    let attempt = house.attempt(0, None);
    let word = format!("{WORD}{}", attempt.number);
    let Some(post) = caller.check(&callback.secrets, &word, &attempt) else {
        return Ok(());
    };
    let answer = match send(callback, post, caller.patience()).await {
        Ok(answer) => answer,
        Err(Failed::Timeout) => return Err("it does not answer in time".to_owned()),
        Err(_) => return Err("it cannot be reached".to_owned()),
    };
    match answer.status {
        200 if caller.is_right(&word, &answer.body) => Ok(()),
        200 => Err("it did not answer the challenge".to_owned()),
        status => Err(format!("it answered {status}")),
    }
}

async fn send(callback: &Callback, post: Post, patience: Duration) -> Result<Answered, Failed> {
    let sent = tokio::time::timeout(patience, exchange(callback, post)).await;
    match sent {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(Failed::Connection),
        Err(_) => Err(Failed::Timeout),
    }
}

/// One request on a connection of its own; `None` when there is no whole answer.
async fn exchange(callback: &Callback, post: Post) -> Option<Answered> {
    let mut url = callback.url().clone();
    if !post.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&post.query);
    }
    let address = url.socket_addrs(|| None).ok()?;
    let stream = TcpStream::connect(&*address).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let request = match post.is_get {
        true => Request::get(target),
        false => Request::post(target),
    };
    let mut request = request.header(header::HOST, host);
    for (name, value) in post.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(post.body)).ok()?;
    let answer = std::pin::pin!(async {
        let response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        let no_retry = response.headers().contains_key("x-slack-no-retry");
        let mut body = response.into_body();
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.ok()?.into_data() {
                read.extend_from_slice(&data);
            }
            if read.len() > ANSWER_MAX {
                return None;
            }
        }
        let body = read.freeze();
        Some(Answered {
            status,
            body,
            no_retry,
        })
    });
    let mut answer = answer;
    tokio::select! {
        biased;
        answered = &mut answer => answered,
        _ = connection => answer.await,
    }
}
