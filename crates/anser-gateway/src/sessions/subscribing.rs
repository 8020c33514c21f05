//! Reading a topic or a room: from where, and what of it is scheduled. Must not decide what is given when: that is the plan's.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::id::{Num, ResourceId};
use anser_core::live::{Answer, Offset, Scheduled, Stream, Subscribe};
use anser_core::store::{MessageScan, StoreError};
use anser_core::{Problem, ProblemKind};

use super::session::{Session, over};
use crate::gateway::Gateway;
use crate::live::SUBSCRIPTIONS_MAX;
use crate::live::plan::{Begin, NotFollowed, due};
use crate::refusal::store_problem;
use crate::scheduled;

/// Messages are told of some moments after they were stamped, and in another order: what came due so shortly before or after
/// the message that a client saw last may have been given to it or not, and is given again, marked.
const MOMENTS: Duration = Duration::from_secs(10);
/// Messages read from the store at a time.
const READ_AT_ONCE: usize = 1_000;

impl Session {
    pub(super) async fn subscribe(&self, subscribe: Subscribe) -> Result<Answer, Problem> {
        let (topic, stream) = self.readable(&subscribe.stream)?;
        let number = self.facts.id.number;
        let gateway = &self.gateway;
        let sessions = &gateway.sessions;
        let begin = match subscribe.after {
            None => Begin::at(gateway.clock.now()),
            Some(after) => gateway
                .begin_behind(topic, after)
                .await
                .map_err(store_problem)?,
        };
        let named = stream.clone();
        let followed =
            sessions.change(|state, now| state.plan.follow(number, topic, named, begin, now));
        let (at, unknown) = followed.map_err(not_followed)?;
        if let Some(since) = unknown {
            match gateway.scheduled(topic, since).await {
                Ok(known) => sessions.change(|state, now| {
                    state.plan.know_schedule(number, topic, since, &known, now);
                }),
                Err(error) => {
                    sessions.change(|state, now| state.plan.stop_following(number, &stream, now));
                    return Err(store_problem(error));
                }
            }
        }
        // Who may read may have changed since it was asked, and the session was not among the readers then.
        match self.readable(&subscribe.stream) {
            Ok((same, _)) if same == topic => Ok(Answer::Subscribed {
                stream,
                offset: Offset::at(at),
            }),
            changed => {
                sessions.change(|state, now| state.plan.stop_following(number, &stream, now));
                Err(changed.err().unwrap_or_else(|| gone(&stream)))
            }
        }
    }
}

impl Gateway {
    /// Where a client goes on that saw a topic's messages up to `after`.
    async fn begin_behind(&self, topic: ResourceId, after: Offset) -> Result<Begin, StoreError> {
        let now = self.clock.now();
        let known = self.sessions.change(|state, _| state.plan.known());
        let scan = |from, topic, ascending| MessageScan {
            from: Some(from),
            topic,
            ascending,
            limit: 1,
            ..MessageScan::default()
        };
        let last = self
            .store
            .scan_messages(scan(Num(after.num.0 + 1), None, false))
            .await?;
        let last = last.first();
        let exact = last.is_some_and(|row| row.num == after.num);
        // It may have been read from the store before anybody was told of it. An offset of other data would keep everything
        // from the client.
        let at = if after.num > known && !exact {
            known
        } else {
            after.num
        };
        let time = match last {
            Some(row) => row.time,
            None => {
                let first = self
                    .store
                    .scan_messages(scan(Num(0), Some(topic), true))
                    .await?;
                first.first().map_or(now, |row| row.time)
            }
        };
        let seen = Scheduled {
            place: time.min(now).minus(MOMENTS),
            num: Num(0),
        };
        let shown = after.scheduled.filter(|scheduled| scheduled.place <= now);
        let doubt = match (shown, exact || after.num == Num(0)) {
            (Some(shown), _) if shown > seen => Timestamp::EPOCH,
            (_, true) => time.plus(MOMENTS),
            (_, false) => now,
        };
        Ok(Begin {
            after: Some(at),
            shown: shown.map_or(seen, |shown| shown.max(seen)),
            doubt: if after.num == Num(0) {
                Timestamp::EPOCH
            } else {
                doubt
            },
        })
    }

    /// The messages of a topic that were scheduled for later than `since`, with their times.
    async fn scheduled(
        &self,
        topic: ResourceId,
        since: Timestamp,
    ) -> Result<Vec<(Num, Timestamp)>, StoreError> {
        let mut nums = Vec::new();
        for name in scheduled::names(topic, since, self.clock.now()) {
            let known = self.store.known_as(name).await?;
            nums.extend(known.into_iter().map(|known| known.num));
        }
        let mut scheduled = Vec::with_capacity(nums.len());
        for nums in nums.chunks(READ_AT_ONCE) {
            for row in self.store.messages(nums.to_vec()).await? {
                let due = due(&row).filter(|due| *due > since);
                scheduled.extend(due.map(|due| (row.num, due)));
            }
        }
        Ok(scheduled)
    }
}

fn not_followed(reason: NotFollowed) -> Problem {
    match reason {
        NotFollowed::Over => over(),
        NotFollowed::TooMany => Problem::new(
            ProblemKind::TooMany,
            "too_many_subscriptions",
            format!("a session may read {SUBSCRIPTIONS_MAX} topics and rooms; leave one first"),
        ),
    }
}

fn gone(stream: &Stream) -> Problem {
    let detail =
        format!("{stream} was deleted meanwhile; subscribe again to the one that is there now");
    Problem::new(ProblemKind::NotFound, "topic_not_found", detail)
}
