//! Files that somebody sent on a platform, fetched when they are wanted: asked of the platform with the channel's
//! credentials, streamed to where blobs are, and kept by a message about the one that they came with, so that asking again
//! answers the same without fetching. Must not know any platform, nor hold a file in memory.

mod refusal;
mod way;

use anser_core::channel::{MEDIA_EXT, MediaKey};
use anser_core::id::MessageId;
use anser_core::limits::{UPLOAD_STALL_MAX, UPLOAD_TIME_MAX};
use anser_core::message::body::{BodyFields, check_media_type};
use anser_core::message::item::ItemHeader;
use anser_core::message::{Attachment, Item, Source};
use anser_core::name::check_text;
use anser_core::resource::Scope;
use anser_core::store::{Link, LinkKind, MessageRow};
use anser_core::{Message, Problem, ProblemKind};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::Principal;
use crate::blobs::BlobView;
use crate::config::{ChannelEntry, Snapshot};
use crate::gateway::Gateway;
use crate::publish::LinkedMessage;
use crate::refusal::store_problem;
use crate::sender::BodyStream;
use way::{Found, Way};

/// The id of the attachment that a fetched file is.
const ATTACHMENT: &str = "a1";
/// Bytes of the name of an attachment.
const NAME_BYTES_MAX: usize = 255;
/// Says nothing about a file.
const ANY_BYTES: &str = "application/octet-stream";

/// A file of a message, kept here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FetchedMedia {
    /// The message of type `message.fetched` that keeps it, for as long as it is kept itself.
    pub id: MessageId,
    /// It was fetched before.
    pub duplicate: bool,
    /// The file, as another message can carry it; its bytes are at `/v1/blobs/SHA256`.
    pub attachment: Attachment,
}

/// The data of a `message.fetched`.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// Which file: its place in the list `x-media`, from 0.
    media: usize,
}

impl Gateway {
    /// Keeps a file of a message that came in, which its platform gives for the channel's credentials: the one at `place` in
    /// the list `x-media` of the message's `ext`, from 0. Answers what is kept already, without asking the platform.
    ///
    /// # Errors
    /// 403 without the right to read, 404 `message_not_found`, `media_not_found` (no such place) or `media_gone` (the
    /// platform has it no more), 409 `channel_gone`, `destination_gone`, `credentials_refused` or `media_refused` (with the
    /// platform's code), 413 `too_large`, 422 `media_not_available` (nothing of that kind is fetched), 429
    /// `platform_limit`, 503 `platform_unavailable`; as [`crate::blobs::Blobs::store`].
    pub async fn fetch_media(
        &self,
        principal: &Principal,
        id: MessageId,
        place: usize,
    ) -> Result<FetchedMedia, Problem> {
        principal.require(Scope::Read)?;
        let row = self.visible_message(principal, id).await?;
        let message = Message::from_json(&row.document)?;
        let key = key(&message, place)?;
        let _turn = self.fetches.of(id, place).lock().await;
        if let Some(kept) = self.kept_media(&row, place).await? {
            return Ok(kept);
        }
        let snapshot = self.config.load_full();
        let entry = channel(&snapshot, &message)?;
        let source = entry.channel.media().ok_or_else(|| no_source(entry))?;
        let origin = message.header.origin.as_ref();
        let way = Way {
            sender: &self.sender,
            credentials: &self.credentials,
            clock: &*self.clock,
            entry,
            source,
            media: MediaKey {
                key,
                message: origin.and_then(|origin| origin.message_id.as_deref()),
            },
            context: self.context(),
        };
        let found = Box::pin(way.find()).await;
        let found = found.map_err(|outcome| refusal::of(&outcome, &entry.meta.name))?;
        let media_type = media_type(&found, key);
        let bytes = self.take_media(found).await?;
        let attachment = attachment(key, bytes, media_type);
        self.note_media(principal, &snapshot, &row, &message, place, attachment)
            .await
    }

    /// What is kept of a file already, if its bytes are still there.
    async fn kept_media(
        &self,
        row: &MessageRow,
        place: usize,
    ) -> Result<Option<FetchedMedia>, Problem> {
        let links = self.store.linked(row.num).await.map_err(store_problem)?;
        let nums: Vec<_> = links
            .iter()
            .filter(|linked| linked.kind == LinkKind::Fetched)
            .map(|linked| linked.num)
            .collect();
        if nums.is_empty() {
            return Ok(None);
        }
        let rows = self.store.messages(nums).await.map_err(store_problem)?;
        for row in rows {
            let message = Message::from_json(&row.document)?;
            let data = message.body.data().map(|data| data.get());
            let kept = data.and_then(|data| serde_json::from_str::<Kept>(data).ok());
            let [attachment] = &message.attachments[..] else {
                continue;
            };
            if kept.is_some_and(|kept| kept.media == place)
                && let Some(hash) = attachment.blob()
                && self.blobs.size(hash).await?.is_some()
            {
                return Ok(Some(FetchedMedia {
                    id: row.id,
                    duplicate: true,
                    attachment: attachment.clone(),
                }));
            }
        }
        Ok(None)
    }

    /// Puts the bytes where blobs are, as they come.
    async fn take_media(&self, found: Found) -> Result<BlobView, Problem> {
        let most = self.blobs.bytes_max();
        if found.length.is_some_and(|length| length > most) {
            return Err(Problem::new(
                ProblemKind::TooLarge,
                "too_large",
                format!(
                    "the file has {} bytes, and at most {most} are kept here",
                    found.length.unwrap_or_default()
                ),
            ));
        }
        let stored = self.blobs.store(pieces(found.body), None);
        let stored = tokio::time::timeout(UPLOAD_TIME_MAX, stored).await;
        stored.unwrap_or_else(|_| Err(refusal::broken("it took too long to come")))
    }

    /// Keeps the blob with a message about the one that the file came with.
    async fn note_media(
        &self,
        principal: &Principal,
        snapshot: &Snapshot,
        row: &MessageRow,
        message: &Message,
        place: usize,
        attachment: Attachment,
    ) -> Result<FetchedMedia, Problem> {
        let topic = snapshot.topics_by_id.get(&row.topic).ok_or_else(|| {
            let detail = "the message's topic was deleted, so that nothing can be kept there";
            Problem::new(ProblemKind::Conflict, "destination_gone", detail)
        })?;
        let data = serde_json::value::to_raw_value(&Kept { media: place })
            .map_err(|error| Problem::new(ProblemKind::Internal, "internal", error.to_string()))?;
        let item = Item {
            header: ItemHeader {
                r#type: Some(LinkKind::Fetched.message_type().to_owned()),
                delete_at: message.header.delete_at,
                ..ItemHeader::default()
            },
            body: BodyFields {
                data: Some(data),
                ..BodyFields::default()
            },
            attachments: vec![attachment.clone()],
            dedupe_key: None,
        };
        let linked = LinkedMessage {
            about: row.id,
            link: Link {
                target: row.num,
                kind: LinkKind::Fetched,
            },
            deliveries: Vec::new(),
        };
        let published = self.publish_linked(snapshot, topic, principal, item, linked);
        Ok(FetchedMedia {
            id: Box::pin(published).await?.id,
            duplicate: false,
            attachment,
        })
    }
}

/// The key of a file, as the adapter wrote it.
fn key(message: &Message, place: usize) -> Result<&Value, Problem> {
    let list = message.header.ext.get(MEDIA_EXT).and_then(Value::as_array);
    // What only says that it came from a platform was not written by one.
    let list = list.filter(|_| message.header.origin.is_some());
    let count = list.map_or(0, Vec::len);
    list.and_then(|list| list.get(place)).ok_or_else(|| {
        let id = message.header.id;
        let detail = match count {
            0 => format!("message {id} came with no file that is fetched from its platform"),
            count => format!("message {id} came with {count} files, which are counted from 0"),
        };
        Problem::new(ProblemKind::NotFound, "media_not_found", detail)
    })
}

/// The channel that a message came through.
fn channel<'s>(snapshot: &'s Snapshot, message: &Message) -> Result<&'s ChannelEntry, Problem> {
    let origin = message.header.origin.as_ref();
    let name = origin.and_then(|origin| origin.account.as_deref());
    let entry = name.and_then(|name| snapshot.channel(name));
    entry.map(|entry| &**entry).ok_or_else(|| {
        let detail = format!(
            "the channel {} that it came through is gone, and its credentials with it",
            name.unwrap_or_default()
        );
        Problem::new(ProblemKind::Conflict, "channel_gone", detail)
    })
}

fn no_source(entry: &ChannelEntry) -> Problem {
    let detail = format!(
        "files that came through a channel of kind {} are not fetched",
        entry.spec.kind
    );
    Problem::new(ProblemKind::Invalid, "media_not_available", detail)
}

/// What the platform says of the file, else what it said of it in the message.
fn media_type(found: &Found, key: &Value) -> Option<String> {
    let told = found.media_type.as_deref();
    let told = told.filter(|told| !told.starts_with(ANY_BYTES));
    let given = key.get("media_type").and_then(Value::as_str);
    let mut known = told.into_iter().chain(given);
    known
        .find(|text| check_media_type("", text).is_ok())
        .map(str::to_owned)
}

fn attachment(key: &Value, bytes: BlobView, media_type: Option<String>) -> Attachment {
    let number = |name: &str| key.get(name).and_then(Value::as_u64);
    let pixels = |name: &str| number(name).and_then(|pixels| u32::try_from(pixels).ok());
    let name = key.get("name").and_then(Value::as_str);
    let name = name.filter(|name| check_text("", "", name, NAME_BYTES_MAX).is_ok());
    let seconds = number("duration_s").and_then(|seconds| seconds.checked_mul(1_000));
    let BlobView { hash, size } = bytes;
    Attachment {
        id: ATTACHMENT.to_owned(),
        name: name.map(str::to_owned),
        media_type,
        size: Some(size),
        sha256: Some(hash.to_string()),
        source: Source::Blob(hash.to_string()),
        width: pixels("width"),
        height: pixels("height"),
        duration_ms: number("duration_ms").or(seconds),
    }
}

/// The pieces of an answer as they come; one that lets itself be waited for too long ends it.
fn pieces(body: BodyStream) -> impl Stream<Item = Result<Bytes, Problem>> + Send {
    stream::unfold(body, |mut body| async move {
        let piece = match tokio::time::timeout(UPLOAD_STALL_MAX, body.next()).await {
            Ok(piece) => piece?.map_err(|error| refusal::broken(&error.to_string())),
            Err(_) => Err(refusal::broken("it stood still")),
        };
        Some((piece, body))
    })
}
