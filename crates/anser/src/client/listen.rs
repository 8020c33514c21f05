//! `anser listen`: a live session on the command line. Prints what comes, or sends it on, and acknowledges it once that is
//! done; a server that goes away and comes back is waited for. Ends at Ctrl-C.

use std::io::Write as _;
use std::time::Duration;

use anser_client::{Credential, Error, Event, Live, LiveBuilder, Message, Offset, Stream};
use anyhow::Context as _;
use clap::Args;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use url::Url;

use super::Remote;
use super::api::is_loopback;
use super::tail::content;
use crate::exit::{Failure, Refusal};
use crate::output::{self, Output, lookup};

/// A handler that messages are sent on to answers within this.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(30);
/// The first pause before a message is sent on again.
const FORWARD_PAUSE_MIN: Duration = Duration::from_millis(200);
/// The longest pause before a message is sent on again.
const FORWARD_PAUSE_MAX: Duration = Duration::from_secs(10);

/// What to listen to.
#[derive(Debug, Args)]
pub(crate) struct ListenArguments {
    /// The user whom the API key acts for, to hear the user's mailbox.
    #[arg(long, value_name = "ID", conflicts_with = "token")]
    user: Option<String>,
    /// A signed token of a user, instead of an API key.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "ANSER_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
    /// What tells this session from others of the user; one that has it already is ended.
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// Read this topic; may be repeated.
    #[arg(long, value_name = "NAME")]
    topic: Vec<String>,
    /// Join this room and read it; may be repeated.
    #[arg(long, value_name = "NAME")]
    room: Vec<String>,
    /// Where to go on: `OFFSET` of the mailbox, or `topic:NAME=OFFSET` and `room:NAME=OFFSET`, where 0 is the beginning; may
    /// be repeated. Without, topics and rooms are read from now on, and the mailbox behind what was acknowledged.
    #[arg(long, value_name = "PLACE", value_parser = place)]
    after: Vec<(Stream, Offset)>,
    /// Print presence, questions and the server's news too.
    #[arg(long)]
    all: bool,
    /// Send each message on to this address, such as a handler on your own machine: a POST with the message as JSON and its id
    /// as `webhook-id`. It is done once that answers 2xx, and sent again until then.
    #[arg(long, value_name = "URL")]
    forward: Option<Url>,
}

fn place(text: &str) -> Result<(Stream, Offset), String> {
    let rule = "is OFFSET, topic:NAME=OFFSET or room:NAME=OFFSET, with an offset that was printed here, or 0";
    let (stream, offset) = text.rsplit_once('=').unwrap_or(("mailbox", text));
    let stream = stream.parse().map_err(|_| rule.to_owned())?;
    let offset = offset.parse().map_err(|_| rule.to_owned())?;
    Ok((stream, offset))
}

impl ListenArguments {
    /// Listens until Ctrl-C.
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<(), Failure> {
        let all = self.all;
        let forward = self.forward.clone().map(Forward::new).transpose()?;
        let mut live = self.builder(remote)?.connect().await.map_err(failure)?;
        let heard = tokio::select! {
            heard = listen(&mut live, all, forward.as_ref(), output) => heard,
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        live.close().await;
        heard
    }

    fn builder(self, remote: &Remote) -> Result<LiveBuilder, Failure> {
        let credential = match (self.token, &remote.key, &self.user) {
            (Some(token), _, _) => Credential::token(token),
            (None, Some(key), Some(user)) => Credential::key_for(key, user).map_err(failure)?,
            (None, Some(key), None) => Credential::key(key),
            (None, None, Some(user)) => Credential::user(user).map_err(failure)?,
            (None, None, None) => Credential::None,
        };
        let mut builder = LiveBuilder::new(remote.server.as_str()).credential(credential);
        if let Some(path) = &remote.ca {
            let pem = std::fs::read(path)
                .with_context(|| format!("cannot read --ca {}", path.display()))?;
            builder = builder.authority(pem);
        }
        if let Some(resource) = self.resource {
            builder = builder.resource(resource);
        }
        let mut places = self.after;
        let mut after = |stream: &Stream| {
            let place = places.iter().position(|(named, _)| named == stream);
            place.map(|place| places.swap_remove(place).1)
        };
        if let Some(offset) = after(&Stream::Mailbox) {
            builder = builder.after(offset);
        }
        for name in self.topic {
            let from = after(&Stream::Topic(name.clone()));
            builder = builder.topic(name, from);
        }
        for name in self.room {
            let from = after(&Stream::Room(name.clone()));
            builder = builder.room(name, from);
        }
        match places.first() {
            None => Ok(builder),
            Some((stream, _)) => Err(Failure::Usage(format!(
                "--after {stream}=… is of a stream that is not read; name it with --topic or --room, and once"
            ))),
        }
    }
}

async fn listen(
    live: &mut Live,
    all: bool,
    forward: Option<&Forward>,
    output: &Output,
) -> Result<(), Failure> {
    while let Some(event) = live.next().await {
        match event.map_err(failure)? {
            Event::Message(message) => {
                if let Some(forward) = forward {
                    forward.send(&message).await;
                }
                print(&message_line(&message, output))?;
                message.ack();
            }
            Event::Unsubscribed(stream, refusal) => {
                let why = refusal.map_or_else(|| "the server ended it".to_owned(), |r| r.detail);
                let text = format!("{stream} is not read any more: {why}");
                return Err(Failure::Here(anyhow::anyhow!(text)));
            }
            Event::Skipped(count) => eprintln!("{count} events were left out"),
            Event::Disconnected(cause) => eprintln!("disconnected: {cause}"),
            event if all => print(&event_line(event, output))?,
            _ => {}
        }
    }
    Ok(())
}

/// Where messages are sent on to.
struct Forward {
    http: reqwest::Client,
    url: Url,
}

impl Forward {
    fn new(url: Url) -> Result<Self, Failure> {
        let mut builder = reqwest::Client::builder()
            .timeout(FORWARD_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("anser/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&url) {
            // A proxy set in the environment would otherwise be asked for this very machine.
            builder = builder.no_proxy();
        }
        let http = builder.build().context("cannot set up the HTTP client")?;
        Ok(Self { http, url })
    }

    /// Sends a message until it is taken, so that the order stays.
    async fn send(&self, message: &Message) {
        let mut pause = FORWARD_PAUSE_MIN;
        loop {
            let why = match self.once(message).await {
                Ok(status) if status.is_success() => return,
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            eprintln!("{} did not take it: {why}; again in {pause:?}", self.url);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(FORWARD_PAUSE_MAX);
        }
    }

    async fn once(&self, message: &Message) -> reqwest::Result<reqwest::StatusCode> {
        let value: Value = serde_json::from_str(message.json()).unwrap_or_default();
        let id = lookup(&value, "header.id").and_then(Value::as_str);
        let request = self.http.post(self.url.clone());
        let request = request
            .header(CONTENT_TYPE, "application/vnd.anser.message+json")
            .header("webhook-id", id.unwrap_or_default())
            .body(message.json().to_owned());
        Ok(request.send().await?.status())
    }
}

/// A line that was not written is not acknowledged: a closed pipe ends the command.
fn print(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot print")
        .map_err(Failure::Here)
}

fn message_line(message: &Message, output: &Output) -> String {
    let offset = message.offset.map(|offset| offset.to_string());
    if output.is_json() {
        let head = json!({
            "stream": message.stream,
            "offset": offset,
            "duplicate": message.duplicate,
        });
        // The message goes in as the bytes received, which a `Value` would not keep.
        let head = head.to_string();
        let head = head.trim_end_matches('}');
        return format!("{head},\"message\":{}}}", message.json());
    }
    let document: Value = serde_json::from_str(message.json()).unwrap_or(Value::Null);
    let value = json!({ "message": document });
    let text = |path: &str| lookup(&value, path).and_then(Value::as_str).unwrap_or("-");
    let time = text("message.header.time");
    let time = output::local_time(time).unwrap_or_else(|| time.to_owned());
    format!(
        "{time}  {}  {}  {}  {}{}  {}",
        message.stream,
        offset.as_deref().unwrap_or("-"),
        text("message.header.type"),
        text("message.header.from.id"),
        if message.duplicate.is_some() {
            "  (again?)"
        } else {
            ""
        },
        output::one_line(&content(&value)),
    )
}

fn event_line(event: Event, output: &Output) -> String {
    let (name, value) = match event {
        Event::Presence(presence) => ("presence", json!(presence)),
        // Dropped unanswered, it is refused: nobody is here who could answer.
        Event::Question(question) => (
            "iq",
            json!({"from": question.from, "type": question.r#type, "payload": question.payload}),
        ),
        Event::News(news) => ("ib", json!(news)),
        Event::Connected(welcome) => ("connected", welcome),
        other => ("event", json!(format!("{other:?}"))),
    };
    if output.is_json() {
        json!({"event": name, "data": value}).to_string()
    } else {
        format!("{name}  {value}")
    }
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Refused(refusal) => Failure::Refused(Box::new(Refusal {
            status: refusal.status,
            problem: json!({
                "status": refusal.status,
                "code": refusal.code,
                "detail": refusal.detail,
                "field": refusal.field,
                "accepted": refusal.accepted,
            }),
        })),
        Error::Unreachable { .. } => Failure::Unreachable {
            why: error.to_string(),
        },
        Error::Setting { .. } => Failure::Usage(error.to_string()),
        error => Failure::Here(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_of_the_mailbox_or_of_a_named_stream() {
        let (stream, offset) = place("12").unwrap();
        assert_eq!(
            (stream, offset.to_string()),
            (Stream::Mailbox, "12".to_owned())
        );
        let (stream, offset) = place("room:dev=0").unwrap();
        assert_eq!(
            (stream.to_string(), offset),
            ("room:dev".to_owned(), Offset::START)
        );
        for bad in ["", "x", "orders=1", "topic:orders", "topic:orders="] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
