//! What platforms send in: a verified request becomes messages on the topic that its channel names, in one commit, and only
//! then is it answered. Must not know a platform, nor how a request arrived.

mod report;

#[cfg(test)]
mod tests;

use anser_core::channel::HttpResponse;
use anser_core::inbound::{
    INBOUND_EVENTS_MAX, InboundContext, InboundEvent, InboundRequest, Received, Refusal,
    RefusalKind,
};
use anser_core::name::TOPIC_OPS;
use anser_core::{Problem, ProblemKind};
use serde_json::json;

use crate::config::ChannelEntry;
use crate::gateway::Gateway;
use crate::publish::{Event, Source, may_pass};

/// Why a platform's request was not taken.
#[derive(Debug, Clone, PartialEq)]
pub enum NotReceived {
    /// There is no such channel, or it takes nothing.
    NoSuchChannel,
    /// It is not genuine, or cannot be read. Nothing was stored.
    Refused(Refusal),
    /// Not now, or not all of it: the platform is to send it again. What was stored is not stored again then.
    Later(Problem),
}

/// What became of a request's events.
#[derive(Debug, Default)]
struct Tally {
    stored: u64,
    duplicates: u64,
    /// Why one was not taken that may be taken when it is sent again.
    later: Option<Problem>,
}

impl Gateway {
    /// Takes a request that came in for a channel: verifies it, appends its events to the channel's topic, each exactly once
    /// however often the platform sends it, and says what the platform is answered.
    ///
    /// # Errors
    /// [`NotReceived`].
    pub async fn take_in(
        &self,
        channel: &str,
        request: &InboundRequest<'_>,
    ) -> Result<HttpResponse, NotReceived> {
        let snapshot = self.config.load_full();
        let entry = snapshot.channel(channel);
        let entry = entry.ok_or(NotReceived::NoSuchChannel)?;
        let (Some(spec), Some(inbound)) = (&entry.spec.inbound, entry.channel.inbound()) else {
            return Err(NotReceived::NoSuchChannel);
        };
        let mut random = [0; 16];
        self.random.fill(&mut random);
        let context = InboundContext {
            now: self.clock.now(),
            channel: &entry.meta.name,
            random,
        };
        let received = inbound.receive(request, &context).and_then(within_bounds);
        let Received { events, answer } = match received {
            Ok(received) => received,
            Err(refusal) => {
                self.note_refusal(entry, &refusal);
                return Err(NotReceived::Refused(refusal));
            }
        };
        if events.is_empty() {
            return Ok(answer);
        }
        let source = Source {
            resource: entry.meta.id,
            remember: inbound.remember(),
        };
        match self.take_events(entry, source, &spec.topic, events).await {
            Ok(()) => Ok(answer),
            Err(problem) => {
                tracing::warn!(channel = %entry.meta.name, %problem, "what a platform sent in is not taken now; it is to send it again");
                self.metrics.inbound_deferred(entry.meta.id);
                Err(NotReceived::Later(problem))
            }
        }
    }

    /// Stores events and what they say of deliveries.
    ///
    /// # Errors
    /// Why not all that could be taken was: the same request again brings the rest.
    pub(crate) async fn take_events(
        &self,
        entry: &ChannelEntry,
        source: Source,
        topic: &str,
        events: Vec<InboundEvent>,
    ) -> Result<(), Problem> {
        // First, as writing one again changes nothing, while an event that is stored is not looked at again.
        let reports = events
            .iter()
            .filter_map(|event| Some((event.report.as_ref()?, event.item.header.occurred_at)))
            .collect();
        self.note_reports(entry, reports).await?;
        let named: Vec<(String, Option<String>)> = events
            .iter()
            .map(|event| (event.dedupe_key.clone(), event.item.header.r#type.clone()))
            .collect();
        let events = events.into_iter().map(published).collect();
        let results = self.publish_events(source, topic, events).await?;
        let mut tally = Tally::default();
        for (result, (key, event_type)) in results.into_iter().zip(&named) {
            match result {
                Ok(published) if published.duplicate => tally.duplicates += 1,
                Ok(_) => tally.stored += 1,
                Err(problem) if may_pass(&problem) => {
                    tally.later.get_or_insert(problem);
                }
                Err(problem) => {
                    let event_type = event_type.as_deref().unwrap_or("message");
                    self.give_up(entry, topic, key, event_type, &problem).await;
                }
            }
        }
        let channel = entry.meta.id;
        self.metrics
            .inbound_received(channel, tally.stored, tally.duplicates);
        tally.later.map_or(Ok(()), Err)
    }

    /// An event that can never be stored: the platform must not send it for ever, so the operator is told instead.
    async fn give_up(
        &self,
        entry: &ChannelEntry,
        topic: &str,
        key: &str,
        event_type: &str,
        problem: &Problem,
    ) {
        let channel = &entry.meta.name;
        tracing::error!(%channel, topic, event = key, event_type, %problem, "an event of a platform cannot be stored and is lost");
        self.metrics.inbound_lost(entry.meta.id);
        let data = json!({
            "channel": channel,
            "topic": topic,
            "event": key,
            "event_type": event_type,
            "code": problem.code,
            "detail": problem.to_string(),
        });
        let key = Some(channel.clone());
        let reported = self.publish_system(TOPIC_OPS, "inbound.lost", data, key);
        if let Err(problem) = Box::pin(reported).await {
            tracing::warn!(%channel, %problem, "that an event was lost could not be reported");
        }
    }

    fn note_refusal(&self, entry: &ChannelEntry, refusal: &Refusal) {
        self.metrics.inbound_refused(entry.meta.id, refusal.kind);
        let now = self.clock.monotonic();
        if let Some(unlogged) = self.refusals.note(entry.meta.id, refusal.kind, now) {
            let (channel, kind) = (&entry.meta.name, refusal.kind.code());
            tracing::info!(%channel, kind, detail = %refusal.detail, unlogged, "a request to a channel is refused");
        }
    }
}

fn within_bounds(received: Received) -> Result<Received, Refusal> {
    if received.events.len() <= INBOUND_EVENTS_MAX {
        return Ok(received);
    }
    let detail = format!(
        "one request brings at most {INBOUND_EVENTS_MAX} events, this one {}",
        received.events.len()
    );
    Err(Refusal::new(RefusalKind::Malformed, detail))
}

/// An event as it is published: it has no address, whatever the adapter put on it.
fn published(event: InboundEvent) -> Event {
    let mut item = event.item;
    item.header.to.clear();
    item.dedupe_key = Some(event.dedupe_key);
    Event {
        from: event.from,
        origin: Some(event.origin),
        hops: 0,
        item,
    }
}

impl NotReceived {
    /// The same as a problem for whoever sent the request.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::NoSuchChannel => Problem::new(
                ProblemKind::NotFound,
                "callback_not_found",
                "no channel of this name takes what is sent in: it needs the field `inbound`",
            ),
            Self::Refused(refusal) => {
                let kind = match refusal.kind {
                    RefusalKind::Unsigned | RefusalKind::Forged | RefusalKind::Stale => {
                        ProblemKind::Unauthenticated
                    }
                    RefusalKind::Malformed => ProblemKind::Malformed,
                    RefusalKind::Method => ProblemKind::MethodNotAllowed,
                };
                Problem::new(kind, refusal.kind.code(), refusal.detail.clone())
            }
            // Whatever it is for a client of the API, a platform is to come again.
            Self::Later(problem) => Problem {
                kind: ProblemKind::Unavailable,
                ..problem.clone()
            },
        }
    }
}
