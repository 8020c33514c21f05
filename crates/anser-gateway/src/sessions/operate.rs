//! What clients ask, each operation by itself. Must not know frames.

use anser_core::id::ResourceId;
use anser_core::live::{Answer, Operation, Publication, Stream};
use anser_core::message::{Conversation, ConversationType, Item};
use anser_core::name::{Address, UserId};
use anser_core::{Problem, ProblemKind};

use super::session::Session;
use crate::publish::PublishOptions;

impl Session {
    pub(super) async fn perform(&self, operation: Operation) -> Result<Answer, Problem> {
        let number = self.facts.id.number;
        let sessions = &self.gateway.sessions;
        // What waits for the store is boxed: it is many times larger than the rest, and every operation would have room for it.
        match operation {
            Operation::Auth(hello) => self.renew(&hello),
            Operation::Ping => Ok(Answer::Pong {
                time: self.gateway.clock.now(),
            }),
            Operation::Publish(publication) => Box::pin(self.publish(*publication)).await,
            Operation::Subscribe(subscribe) => Box::pin(self.subscribe(subscribe)).await,
            Operation::Unsubscribe(stream) => {
                let read =
                    sessions.change(|state, now| state.plan.stop_following(number, &stream, now));
                if read {
                    Ok(Answer::Done {})
                } else {
                    Err(not_read(&stream))
                }
            }
            Operation::Ack(position) => {
                sessions.change(|state, _| state.plan.acknowledge(number, &position));
                Ok(Answer::Done {})
            }
            Operation::Presence(said) => {
                sessions.change(|state, now| state.plan.say_presence(number, said, now));
                Ok(Answer::Done {})
            }
            Operation::PresenceSubscribe(user) => Box::pin(self.ask_presence(&user)).await,
            Operation::PresenceApprove(user) => Box::pin(self.approve_presence(&user)).await,
            Operation::PresenceRefuse(user) => Box::pin(self.refuse_presence(&user)).await,
            Operation::PresenceUnsubscribe(user) => Box::pin(self.leave_presence(&user)).await,
            Operation::PresenceProbe(user) => self.probe_presence(user.as_ref()),
            Operation::Iq(question) => self.iq(*question),
        }
    }

    /// The topic behind a stream, and the stream by the name that it was created with.
    pub(super) fn readable(&self, stream: &Stream) -> Result<(ResourceId, Stream), Problem> {
        let snapshot = self.gateway.config.load();
        match stream {
            Stream::Topic(name) => {
                self.identity.rights.require_read(name)?;
                let topic = snapshot.topic(name).ok_or_else(|| {
                    let detail = format!("there is no topic {name}; create it first");
                    Problem::new(ProblemKind::NotFound, "topic_not_found", detail).field("topic")
                })?;
                Ok((topic.meta.id, Stream::Topic(topic.meta.name.clone())))
            }
            Stream::Room(name) => {
                let room = self.room(&snapshot, name)?;
                Ok((room.topic, Stream::Room(room.meta.name.clone())))
            }
            Stream::Mailbox => Err(Problem::invalid(
                "invalid_field",
                "topic",
                "every session of a user reads the mailbox; give a topic or a room",
            )),
        }
    }

    async fn publish(&self, publication: Publication) -> Result<Answer, Problem> {
        let mut item = publication.message;
        if let Some(user) = &self.identity.user {
            converse(&mut item, user);
        }
        let principal = self.publisher(&item);
        let gateway = &self.gateway;
        if publication.transient {
            let (topic, own) = (publication.topic.as_deref(), self.facts.id.number);
            let (id, matched) = gateway.transmit(&principal, topic, item, Some(own))?;
            return Ok(Answer::Published {
                id,
                topic: None,
                seq: None,
                matched,
                duplicate: false,
                durable: false,
            });
        }
        let (items, options) = (vec![Ok(item)], PublishOptions::default());
        let results = match publication.topic {
            Some(topic) => gateway.publish(&principal, &topic, items, options).await,
            None => gateway.publish_direct(&principal, items, options).await,
        };
        let published = results?.pop().unwrap_or_else(|| {
            let detail = "the message was taken and not answered";
            Err(Problem::new(ProblemKind::Internal, "no_result", detail))
        })?;
        Ok(Answer::Published {
            id: published.id,
            topic: Some(published.topic),
            seq: published.seq,
            matched: published.matched.unwrap_or(0),
            duplicate: published.duplicate,
            durable: published.durable,
        })
    }
}

/// An answer to what a user writes to one other user goes to the writer, and one to a room into the room.
fn converse(item: &mut Item, user: &UserId) {
    let header = &mut item.header;
    let [to] = header.to.as_slice() else {
        return;
    };
    if header.conversation.is_some() {
        return;
    }
    let (id, r#type) = match Address::parse("to", to) {
        Ok(Address::User { .. }) => (user.address(), ConversationType::Direct),
        Ok(Address::Room(_)) => (to.clone(), ConversationType::Group),
        Ok(Address::Channel { .. } | Address::Queue(_)) | Err(_) => return,
    };
    header.conversation = Some(Conversation {
        id,
        r#type: Some(r#type),
        thread: None,
    });
}

fn not_read(stream: &Stream) -> Problem {
    let detail = format!("this session does not read {stream}");
    Problem::new(ProblemKind::NotFound, "not_subscribed", detail)
}
