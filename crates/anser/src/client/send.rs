//! `anser send`: one message from the command line.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anser_core::limits;
use anser_core::name::ROOM_PREFIX;
use anyhow::Context as _;
use clap::Args;
use reqwest::Method;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::blob;
use crate::attach::{self, Attached};
use crate::exit::Failure;
use crate::oneshot;
use crate::output::Output;

/// A message to send, and where.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("where").required(true).args(["topic", "to", "reply_to"])))]
pub(crate) struct SendArguments {
    /// Its topic.
    #[arg(long)]
    topic: Option<String>,
    /// A direct address, `CHANNEL[/TARGET]`, `queue:NAME`, `user:ID` or `room:NAME`, instead of a topic; may be repeated. A
    /// URL of a kind of channel (`anser channel kinds`) is sent to at once, with no server.
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<String>,
    /// The id of a message, instead of a topic or an address: it is answered in its chat and thread.
    #[arg(long, value_name = "ID")]
    reply_to: Option<String>,
    #[command(flatten)]
    message: Outgoing,
}

/// A message to send.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["text", "json", "attach"])))]
pub(crate) struct Outgoing {
    /// Event type; default `message`.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Ordering key: messages with the same key are delivered in order.
    #[arg(long, value_name = "KEY")]
    key_order: Option<String>,
    /// A label that filters match on; may be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Makes a repeat of this command harmless.
    #[arg(long, value_name = "KEY")]
    dedupe_key: Option<String>,
    /// Send the JSON in this file (`-`: standard input) as data, byte for byte, instead of a text.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    json: Option<PathBuf>,
    /// A file that goes along, shown after the text as what it is: a picture, a sound, a video or a file; may be repeated.
    /// Larger ones than 64 KiB are uploaded as blobs first.
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// The text.
    text: Option<String>,
}

/// Where a message goes beside its path.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place<'a> {
    /// Direct addresses.
    to: &'a [String],
    /// The id of the message that it answers.
    reply_to: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// These addresses.
    pub(crate) const fn to(to: &'a [String]) -> Self {
        Self { to, reply_to: None }
    }
}

impl SendArguments {
    /// Publishes it and shows the answer.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        if self.to.iter().any(|to| oneshot::is_url(to)) {
            return self.send_once(output).await;
        }
        let path = match &self.topic {
            Some(topic) => vec!["v1", "topics", topic.as_str(), "messages"],
            None => vec!["v1", "messages"],
        };
        let place = Place {
            to: &self.to,
            reply_to: self.reply_to.as_deref(),
        };
        self.message.send(api, output, &path, place).await
    }

    async fn send_once(&self, output: &Output) -> Result<(), Failure> {
        if !self.to.iter().all(|to| oneshot::is_url(to)) {
            let text = "--to has URLs and channels' names; send to the ones and the others apart";
            return Err(Failure::Usage(text.to_owned()));
        }
        if self.message.dedupe_key.is_some() {
            let text = "--dedupe-key needs a server, which remembers it; leave it out, or send to a channel";
            return Err(Failure::Usage(text.to_owned()));
        }
        // A whole attempt is in it; boxed, the other commands' futures stay small.
        let files = attach::look_at(&self.message.attach)?;
        let (attached, outside) = attach::attach(&files)?;
        let item = self.message.item(Place::default(), &attached)?;
        let local = attach::local(&outside);
        Box::pin(oneshot::send(&self.to, &item, &local, output)).await
    }
}

impl Outgoing {
    /// Publishes it by the call at `path` and shows the answer.
    pub(crate) async fn send(
        &self,
        api: &Api,
        output: &Output,
        path: &[&str],
        place: Place<'_>,
    ) -> Result<(), Failure> {
        let files = attach::look_at(&self.attach)?;
        let (attached, outside) = attach::attach(&files)?;
        let body = Some(self.item(place, &attached)?.into_bytes());
        for file in outside {
            blob::upload(api, file).await?;
        }
        let answer = api.call(Method::POST, path, &[], body).await?;
        output.result(&answer.text, |value| published(value, place));
        Ok(())
    }

    /// The item as JSON. Data goes in as the bytes of the file, which a `Value` would not keep.
    fn item(&self, place: Place<'_>, attached: &[Attached]) -> Result<String, Failure> {
        let mut header = Map::new();
        let usual = self.json.is_none().then(|| "message".to_owned());
        let kind = self.kind.clone().or(usual);
        let texts = [
            ("type", kind),
            ("key", self.key_order.clone()),
            ("reply_to", place.reply_to.map(str::to_owned)),
        ];
        for (name, value) in texts {
            header.extend(value.map(|value| (name.to_owned(), Value::String(value))));
        }
        if !place.to.is_empty() {
            header.insert("to".to_owned(), json!(place.to));
        }
        if !self.tags.is_empty() {
            header.insert("tags".to_owned(), json!(self.tags));
        }
        let body = match &self.json {
            Some(path) => data(path)?,
            None => content(self.text.as_deref(), attached),
        };
        let attachments: Vec<&Value> = attached.iter().map(|file| &file.attachment).collect();
        let attachments = match attachments.as_slice() {
            [] => String::new(),
            some => format!(",\"attachments\":{}", json!(some)),
        };
        let dedupe = match &self.dedupe_key {
            Some(key) => format!(",\"dedupe_key\":{}", Value::String(key.clone())),
            None => String::new(),
        };
        Ok(format!(
            "{{\"header\":{},\"body\":{body}{attachments}{dedupe}}}",
            Value::Object(header)
        ))
    }
}

/// What became of a message, in a line.
fn published(answer: &Value, place: Place<'_>) -> String {
    let id = answer.get("id").and_then(Value::as_str).unwrap_or("?");
    let matched = answer.get("matched").and_then(Value::as_u64).unwrap_or(0);
    let is = |name| answer.get(name).and_then(Value::as_bool);
    if is("duplicate") == Some(true) {
        return format!("{id} was accepted before, under the same dedupe key");
    }
    let room = place.to.iter().find(|to| to.starts_with(ROOM_PREFIX));
    let addressed = !place.to.is_empty() || place.reply_to.is_some();
    match (room, matched) {
        (Some(room), 1) if is("durable") == Some(false) => {
            format!("{id} given to 1 session in {room}, which keeps nothing")
        }
        (Some(room), there) if is("durable") == Some(false) => {
            format!("{id} given to {there} sessions in {room}, which keeps nothing")
        }
        (Some(room), _) => format!("{id} accepted, in {room}"),
        (None, 0) if addressed => format!("{id} accepted"),
        (None, 0) => format!("{id} accepted; no subscription takes it"),
        (None, 1) => format!("{id} accepted, 1 delivery"),
        (None, matched) => format!("{id} accepted, {matched} deliveries"),
    }
}

/// The body of a message as JSON: the data in a file, else a text.
pub(crate) fn body(json: Option<&Path>, text: Option<&str>) -> Result<String, Failure> {
    match json {
        Some(path) => data(path),
        None => Ok(content(Some(text.unwrap_or_default()), &[])),
    }
}

fn data(path: &Path) -> Result<String, Failure> {
    Ok(format!("{{\"data\":{}}}", read_json(path)?.get()))
}

fn content(text: Option<&str>, attached: &[Attached]) -> String {
    let text = text.map(|text| json!({"type": "text", "text": text}));
    let files = attached.iter().map(|file| file.segment.clone());
    let segments: Vec<Value> = text.into_iter().chain(files).collect();
    json!({"segments": segments}).to_string()
}

/// The JSON in a file, or in standard input for `-`, as its bytes.
pub(crate) fn read_json(path: &Path) -> Result<Box<RawValue>, Failure> {
    let mut text = String::new();
    // One byte more than is taken tells a file that is too large from one that just fits.
    let most = limits::BATCH_BYTES_MAX as u64 + 1;
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(most).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    if text.len() > limits::BATCH_BYTES_MAX {
        return Err(Failure::Usage(format!(
            "{} is larger than {} bytes",
            path.display(),
            limits::BATCH_BYTES_MAX
        )));
    }
    serde_json::from_str(&text)
        .map_err(|error| Failure::Usage(format!("{} is no JSON: {error}", path.display())))
}
