//! What a delivery of a bridge does at its attempt: which copy of an earlier message it answers, changes or takes back, decided
//! from what became of that copy, and how it reads. Reads the store and sends nothing.

use anser_core::channel::Context;
use anser_core::id::Num;
use anser_core::message::{Message, SenderKind};
use anser_core::resource::BridgeNames;
use anser_core::store::{AliasKind, DeliveryRow, Known, Store, StoreError};
use anser_core::{Problem, Timestamp};

use super::change::{self, Course, Halt};
use crate::bridge::{self, Event, Form, Manner};
use crate::config::{Bridge, ChannelEntry, Chat, Snapshot};
use crate::people::{Asking, People};

/// Answers to answers that are followed to the first message of a thread. Beyond it, the answer is to one of them.
const CLIMB_MAX: usize = 64;
/// The capabilities of channels that can change what was sent, and take it back.
const EDIT: &str = "edit";
const RECALL: &str = "recall";

/// A message ready to go out in another chat.
#[derive(Debug)]
pub(super) struct Crossed {
    /// As it reads there.
    pub(super) message: Message,
    /// What is done with it.
    pub(super) course: Course,
}

/// What a step on the way found: how to go on, or why there is no attempt.
type Found<T> = Result<Result<T, Halt>, StoreError>;

/// Goes on with what was found, or ends with why there is no attempt.
macro_rules! go_on {
    ($found:expr) => {
        match $found {
            Ok(found) => found,
            Err(halt) => return Ok(Err(halt)),
        }
    };
}

/// One delivery of a bridge.
pub(super) struct Crossing<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) bridge: &'a Bridge,
    /// The channel that it goes through.
    pub(super) entry: &'a ChannelEntry,
    pub(super) message: &'a Message,
    pub(super) row: &'a DeliveryRow,
    pub(super) now: Timestamp,
    /// Who is asked for names.
    pub(super) names: Names<'a>,
}

/// What it takes to ask a platform for a name.
pub(super) struct Names<'a> {
    pub(super) people: &'a People,
    pub(super) with: Asking<'a>,
    pub(super) config: &'a Snapshot,
    pub(super) context: Context<'a>,
}

/// A crossing with its ends.
struct Way<'a> {
    of: &'a Crossing<'a>,
    event: Event<'a>,
    from: &'a Chat,
    to: &'a Chat,
}

impl Crossing<'_> {
    /// What the delivery does.
    ///
    /// # Errors
    /// Why it makes no attempt.
    pub(super) async fn go(&self) -> Result<Crossed, Halt> {
        let Some(way) = self.way() else {
            return Err(Halt::Void("the bridge does not link these chats any more"));
        };
        let found = way.go().await.unwrap_or_else(|error| {
            tracing::warn!(%error, delivery = %self.row.id, "what became of a bridged message could not be read");
            Err(Halt::Wait(change::READ_AGAIN))
        });
        let (course, mut manner) = found?;
        manner.author = self.author(&way).await;
        let copy = bridge::copy(self.bridge, &way.event, self.message, way.to, manner);
        let message = copy.map_err(|problem| unreadable(&problem))?;
        Ok(Crossed { message, course })
    }

    /// What its author is called, where the event says it by an id only.
    async fn author(&self, way: &Way<'_>) -> Option<String> {
        let from = &self.message.header.from;
        let wanted = self.bridge.names == BridgeNames::Prefix
            && way.event.kind != AliasKind::Recalled
            && from.kind == SenderKind::User
            && from.name.is_none();
        let names = &self.names;
        let entry = names.config.channels_by_id.get(&way.from.channel)?;
        if !wanted {
            return None;
        }
        let asked = names
            .people
            .name(names.with, entry, &from.id, &names.context);
        asked.await
    }

    fn way(&self) -> Option<Way<'_>> {
        let event = bridge::event(self.message)?;
        let target = self.row.target.as_deref();
        Some(Way {
            from: self.bridge.chat(event.conversation)?,
            to: self.bridge.place(self.row.channel, target)?,
            of: self,
            event,
        })
    }
}

fn unreadable(problem: &Problem) -> Halt {
    tracing::warn!(%problem, "a message cannot be carried over a bridge");
    Halt::Void("its content cannot be read")
}

impl Way<'_> {
    async fn go(&self) -> Found<(Course, Manner)> {
        let known = match &self.event.message {
            Some(id) => self.known(self.from, id).await?,
            None => Vec::new(),
        };
        match self.event.kind {
            AliasKind::Original | AliasKind::Copy => self.said(&known).await,
            AliasKind::Edited => self.edited(&known).await,
            AliasKind::Recalled => self.recalled(&known).await,
        }
    }

    async fn said(&self, known: &[Known]) -> Found<(Course, Manner)> {
        go_on!(not_recalled(known));
        let reply_to = self.of.message.header.reply_to.as_deref();
        let reply_to = go_on!(self.answered(reply_to).await?);
        Ok(Ok((Course::default(), manner(Form::Same, reply_to))))
    }

    async fn edited(&self, known: &[Known]) -> Found<(Course, Manner)> {
        go_on!(not_recalled(known));
        let original = go_on!(self.original(known));
        let course = go_on!(self.course(known, false).await?);
        let changes = self.of.entry.manifest.capabilities.contains(&EDIT);
        if let Course::Change { sent } = &course
            && (sent.is_empty() || !changes)
        {
            let manner = manner(Form::Told, sent.first().cloned());
            return Ok(Ok((Course::default(), manner)));
        }
        let reply_to = match self.message(original).await? {
            Some(original) => go_on!(self.answered(original.header.reply_to.as_deref()).await?),
            None => None,
        };
        Ok(Ok((course, manner(Form::Same, reply_to))))
    }

    async fn recalled(&self, known: &[Known]) -> Found<(Course, Manner)> {
        go_on!(self.original(known));
        let course = go_on!(self.course(known, true).await?);
        if !self.of.entry.manifest.capabilities.contains(&RECALL) {
            return Ok(Err(Halt::Void("the platform takes no message back")));
        }
        Ok(Ok((course, manner(Form::Same, None))))
    }

    /// The message that is changed, unless there is nothing to be changed any more.
    fn original(&self, known: &[Known]) -> Result<Num, Halt> {
        let mut earlier = self.earlier(known);
        if earlier
            .clone()
            .any(|known| known.kind == AliasKind::Recalled)
        {
            return Err(Halt::Void("the message was taken back before"));
        }
        let original = earlier.find(|known| known.kind == AliasKind::Original);
        original
            .map(|known| known.num)
            .ok_or(Halt::Void("the message did not come over the bridge"))
    }

    /// What is done with the copy in the other chat, as it is after the edits so far.
    async fn course(&self, known: &[Known], recalls: bool) -> Found<Course> {
        let kinds = [AliasKind::Original, AliasKind::Edited];
        let earlier = self
            .earlier(known)
            .filter(|known| kinds.contains(&known.kind));
        let newest_first = earlier.map(|known| known.num).rev().collect();
        let place = self.place();
        let standing = change::standing(self.of.store, newest_first, &place, self.of.now).await?;
        Ok(standing.and_then(|standing| standing.course(recalls)))
    }

    fn place(&self) -> change::Place<'_> {
        let row = self.of.row;
        change::Place {
            group: None,
            channel: row.channel,
            target: row.target.as_deref(),
            index: row.id.index(),
        }
    }

    /// Those that came before this one: what is stored later waits for this one, not this one for it.
    fn earlier<'k>(
        &self,
        known: &'k [Known],
    ) -> impl DoubleEndedIterator<Item = &'k Known> + Clone {
        let own = self.of.row.id.num();
        known.iter().filter(move |known| known.num < own)
    }

    /// The platform's id, in the other chat, of the message that has this id in the chat where this one comes from.
    async fn answered(&self, id: Option<&str>) -> Found<Option<String>> {
        let Some(id) = id else {
            return Ok(Ok(None));
        };
        let Some((mut num, mut message)) = self.find(self.from, id).await? else {
            return Ok(Ok(None));
        };
        let mut steps = CLIMB_MAX;
        while self.of.entry.channel.answers_first() && steps > 0 {
            let Some(above) = self.above(&message).await? else {
                break;
            };
            (num, message) = above;
            steps -= 1;
        }
        self.counterpart(num, &message).await
    }

    /// The message that one answers.
    async fn above(&self, message: &Message) -> Result<Option<(Num, Message)>, StoreError> {
        let chat = bridge::event(message).and_then(|event| self.of.bridge.chat(event.conversation));
        match (chat, &message.header.reply_to) {
            (Some(chat), Some(id)) => self.find(chat, id).await,
            _ => Ok(None),
        }
    }

    /// The message that was written under this id in that chat, or whose copy has it there.
    async fn find(&self, chat: &Chat, id: &str) -> Result<Option<(Num, Message)>, StoreError> {
        let known = self.known(chat, id).await?;
        let kinds = [AliasKind::Original, AliasKind::Copy];
        let mut earlier = self.earlier(&known);
        let Some(found) = earlier.find(|known| kinds.contains(&known.kind)) else {
            return Ok(None);
        };
        let message = self.message(found.num).await?;
        Ok(message.map(|message| (found.num, message)))
    }

    /// What a message is called in the other chat: there it was written, or there is a copy of it.
    async fn counterpart(&self, num: Num, message: &Message) -> Found<Option<String>> {
        let event = bridge::event(message);
        if let Some(event) = event.filter(|event| event.conversation == self.to.address) {
            return Ok(Ok(event.message));
        }
        let shown = change::shown_at(self.of.store, num, &self.place(), self.of.now).await?;
        Ok(shown.map(|ids| ids.into_iter().next()))
    }

    async fn known(&self, chat: &Chat, id: &str) -> Result<Vec<Known>, StoreError> {
        let key = bridge::name(chat.channel, chat.target.as_deref(), id);
        self.of.store.known_as(key).await
    }

    async fn message(&self, num: Num) -> Result<Option<Message>, StoreError> {
        let rows = self.of.store.messages(vec![num]).await?;
        let row = rows.into_iter().next();
        Ok(row.and_then(|row| Message::from_json(&row.document).ok()))
    }
}

/// What was taken back since is not shown any more, not even for a moment.
fn not_recalled(known: &[Known]) -> Result<(), Halt> {
    let mut kinds = known.iter().map(|known| known.kind);
    if kinds.any(|kind| kind == AliasKind::Recalled) {
        return Err(Halt::Void("it was taken back before it went out"));
    }
    Ok(())
}

const fn manner(form: Form, reply_to: Option<String>) -> Manner {
    Manner {
        form,
        reply_to,
        author: None,
    }
}
