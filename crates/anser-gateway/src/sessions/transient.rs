//! Messages that are not stored: checked and stamped as any other, given to the sessions that are there, and forgotten.
//! For what is of no use later, such as that somebody is typing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anser_core::blob::BlobSizes;
use anser_core::id::{MessageId, ResourceId};
use anser_core::live::{Event, MessageEvent, Stream};
use anser_core::message::{Item, Stamp};
use anser_core::name::{Address, TOPIC_DIRECT, is_system_topic, room_topic};
use anser_core::resource::Scope;
use anser_core::{Message, Problem, ProblemKind};
use bytes::Bytes;

use crate::auth::Principal;
use crate::config::Snapshot;
use crate::gateway::Gateway;
use crate::live::State;

/// Who is to have it.
enum Whom {
    /// Who reads a topic, or is in the room whose topic it is.
    Readers(ResourceId, Stream),
    /// A user, or the session of that resource.
    User(String, Option<String>),
}

impl Gateway {
    /// Gives a message to the sessions that are there now, apart from `except`; answers its id, and how many they were in
    /// its topic or room. A user counts as one, there or not: whether somebody is there is not for everybody to know.
    ///
    /// # Errors
    /// As a publish to the same place; 422 `transient` for what takes a message that is stored, and for addresses other than
    /// users and rooms.
    pub(crate) fn transmit(
        &self,
        principal: &Principal,
        topic: Option<&str>,
        item: Item,
        except: Option<u64>,
    ) -> Result<(MessageId, u32), Problem> {
        principal.require(Scope::Publish)?;
        let snapshot = self.config.load_full();
        check(&item)?;
        let whom = whom(&snapshot, principal, topic, &item)?;
        let topic = whom.iter().find_map(|whom| match whom {
            Whom::Readers(_, Stream::Room(name)) => Some(room_topic(name)),
            Whom::Readers(_, Stream::Topic(name)) => Some(name.clone()),
            Whom::Readers(_, Stream::Mailbox) | Whom::User(..) => None,
        });
        let now = self.clock.now();
        let stamp = Stamp {
            id: self.ids.next(now, &*self.random),
            time: now,
            topic: topic.unwrap_or_else(|| TOPIC_DIRECT.to_owned()),
            from: principal.sender.clone(),
            target_id: None,
            origin: None,
            hops: 0,
            blobs: BlobSizes::new(),
        };
        let message = Message::accept(item, stamp, &self.options.limits)?;
        if let Some(conversation) = &message.header.conversation {
            principal.require_target("header.conversation.id", &conversation.id)?;
        }
        let document = Bytes::from(message.to_json());
        let most = self.options.limits.message_bytes_max;
        if document.len() > most {
            let detail = format!("a message may have at most {most} bytes");
            return Err(Problem::new(ProblemKind::TooLarge, "too_large", detail));
        }
        let id = message.header.id;
        let there = self.sessions.change(|state, now| {
            let (given, there) = gather(state, &whom, except);
            let mut events: HashMap<Stream, Arc<MessageEvent>> = HashMap::new();
            for (number, stream) in &given {
                let event = events.entry(stream.clone()).or_insert_with(|| {
                    let (stream, document) = (stream.clone(), document.clone());
                    Arc::new(MessageEvent::new(stream, None, id, None, document))
                });
                state
                    .plan
                    .push(*number, Event::Message(Arc::clone(event)), now);
            }
            there
        });
        Ok((id, u32::try_from(there).unwrap_or(u32::MAX)))
    }
}

/// The sessions that are to have it, each once, with the stream that it comes to them in; and how many the sender is told.
fn gather(state: &State, whom: &[Whom], except: Option<u64>) -> (HashMap<u64, Stream>, usize) {
    let mut given = HashMap::new();
    let mut users = HashSet::new();
    let mut readers = 0;
    for whom in whom {
        match whom {
            Whom::Readers(topic, stream) => {
                for number in state.plan.readers(*topic) {
                    readers += usize::from(Some(number) != except);
                    given.entry(number).or_insert_with(|| stream.clone());
                }
            }
            Whom::User(user, resource) => {
                users.insert(user);
                for number in state.plan.begun_of(user, resource.as_deref()) {
                    given.entry(number).or_insert(Stream::Mailbox);
                }
            }
        }
    }
    if let Some(except) = except {
        given.remove(&except);
    }
    (given, readers + users.len())
}

/// What makes sense only for what is stored.
fn check(item: &Item) -> Result<(), Problem> {
    let header = &item.header;
    let field = if item.dedupe_key.is_some() {
        "dedupe_key"
    } else if header.not_before.is_some() {
        "header.not_before"
    } else if header.delete_at.is_some() {
        "header.delete_at"
    } else {
        return Ok(());
    };
    Err(Problem::invalid(
        "transient",
        field,
        "a message that is not stored cannot have it; leave it out",
    ))
}

fn whom(
    snapshot: &Snapshot,
    principal: &Principal,
    topic: Option<&str>,
    item: &Item,
) -> Result<Vec<Whom>, Problem> {
    let mut whom = Vec::new();
    if let Some(name) = topic {
        if is_system_topic(name) {
            let detail =
                "topics that begin with $ are the system's; clients cannot publish to them";
            return Err(Problem::invalid("system_topic", "topic", detail));
        }
        principal.require_topic(name)?;
        let topic = snapshot.topic(name).ok_or_else(|| {
            let detail = format!("there is no topic {name}; create it first");
            Problem::new(ProblemKind::NotFound, "topic_not_found", detail)
        })?;
        let stream = Stream::Topic(topic.meta.name.clone());
        whom.push(Whom::Readers(topic.meta.id, stream));
    }
    for (i, to) in item.header.to.iter().enumerate() {
        let field = format!("header.to[{i}]");
        let address = Address::parse(&field, to)?;
        principal.require_target(&field, to)?;
        whom.push(match address {
            Address::User { id, resource } => Whom::User(id.as_str().to_owned(), resource),
            Address::Room(name) => {
                let room = snapshot.room(&name).ok_or_else(|| {
                    let detail = format!("there is no room {name}; create it first");
                    Problem::invalid("unknown_room", &field, detail)
                })?;
                Whom::Readers(room.topic, Stream::Room(room.meta.name.clone()))
            }
            Address::Channel { .. } | Address::Queue(_) => {
                return Err(Problem::invalid(
                    "transient",
                    field,
                    "a message that is not stored goes to users and rooms",
                )
                .accepted("user:ID, user:ID/RESOURCE or room:NAME"));
            }
        });
    }
    if whom.is_empty() {
        let detail = "give a topic, or an address: user:ID, user:ID/RESOURCE or room:NAME";
        return Err(Problem::invalid("missing_to", "header.to", detail));
    }
    Ok(whom)
}
