//! Deliveries by id and as lists, with the attempts of a single one.

use std::collections::HashMap;

use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, MessageId, Num, ResourceId};
use anser_core::limits::PAGE_ROWS_READ_MAX;
use anser_core::name::fold;
use anser_core::resource::Scope;
use anser_core::store::{DeliveryRow, DeliveryScan};
use anser_core::{Problem, Timestamp};

use super::cursor::List;
use super::reported::reported;
use super::sight::Sight;
use super::view::Names;
use super::{
    DeliveryQuery, DeliveryView, Page, ViewState, missing, no_delivery, no_topic, page_limit,
};
use crate::auth::Principal;
use crate::config::Snapshot;
use crate::gateway::Gateway;
use crate::refusal::store_problem;

/// Messages whose ids are looked up at a time: with the largest messages 64 MiB.
const MESSAGES_AT_ONCE: usize = 64;

impl Gateway {
    /// A delivery with its attempts.
    ///
    /// # Errors
    /// 403 without the right to read, 404 `delivery_not_found`.
    pub async fn get_delivery(
        &self,
        principal: &Principal,
        id: DeliveryId,
    ) -> Result<DeliveryView, Problem> {
        principal.require(Scope::Read)?;
        let row = self.visible_delivery(principal, id).await?;
        let attempts = self.store.attempts(id).await.map_err(store_problem)?;
        let mut view = self.delivery_view(row).await?;
        view.reported = reported(&attempts);
        view.attempt_log = Some(attempts);
        Ok(view)
    }

    /// The deliveries of a message, in the order they were made.
    ///
    /// # Errors
    /// 403 without the right to read, 404 `message_not_found`, 422 `invalid_cursor` or `out_of_range`.
    pub async fn message_deliveries(
        &self,
        principal: &Principal,
        id: MessageId,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<DeliveryView>, Problem> {
        principal.require(Scope::Read)?;
        let limit = page_limit(limit)?;
        let text = id.to_string();
        let list = List::new(
            self.info.installation,
            "message_deliveries",
            &[Some(text.as_str())],
        );
        let from = list.read(cursor)?.map_or(Ok(0), u32::try_from);
        let from = from.map_err(|_| no_message_part())?;
        let message = self.visible_message(principal, id).await?;
        let mut rows = self
            .store
            .deliveries_of(message.num, from, limit + 1)
            .await
            .map_err(store_problem)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().map(|row| u64::from(row.id.index()) + 1);
        let snapshot = self.config.load();
        let names = Names::of(&snapshot);
        Ok(Page {
            items: rows
                .iter()
                .map(|row| DeliveryView::of(row, id, &names))
                .collect(),
            cursor: last.filter(|_| more).map(|next| list.write(next)),
        })
    }

    /// Deliveries, newest first.
    ///
    /// # Errors
    /// 403 without the right to read, 404 for a topic, subscription, channel or queue that is not there, 422
    /// `invalid_cursor`, `invalid_field` or `out_of_range`.
    pub async fn list_deliveries(
        &self,
        principal: &Principal,
        query: DeliveryQuery,
    ) -> Result<Page<DeliveryView>, Problem> {
        principal.require(Scope::Read)?;
        let snapshot = self.config.load_full();
        let limit = page_limit(query.limit)?;
        let list = list(self.info.installation, &query);
        let position = list.read(query.cursor.as_deref())?;
        let sight = Sight::new(principal, Names::of(&snapshot));
        let filter = Filter::new(sight, &snapshot, &query)?;
        let (rows, next) = self.collect_rows(&filter, limit, position).await?;
        let ids = self.message_ids(&rows).await?;
        let names = Names::of(&snapshot);
        let view = |row: &DeliveryRow| {
            let message = ids.get(&row.id.num())?;
            Some(DeliveryView::of(row, *message, &names))
        };
        Ok(Page {
            items: rows.iter().filter_map(view).collect(),
            cursor: next.map(|next| list.write(next.as_u64())),
        })
    }

    async fn collect_rows(
        &self,
        filter: &Filter<'_>,
        limit: usize,
        position: Option<u64>,
    ) -> Result<(Vec<DeliveryRow>, Option<DeliveryId>), Problem> {
        let (mut rows, mut read) = (Vec::new(), 0);
        let mut before = position.map(DeliveryId::from_u64);
        loop {
            let wanted = limit - rows.len();
            let scan = DeliveryScan {
                states: filter.states.clone(),
                groups: filter.groups.clone(),
                channel: filter.channel,
                since: filter.since,
                before,
                limit: wanted,
                rows_read_max: PAGE_ROWS_READ_MAX - read,
            };
            let page = self
                .store
                .scan_deliveries(scan)
                .await
                .map_err(store_problem)?;
            let found = page.deliveries.len();
            read += found.max(1);
            rows.extend(page.deliveries.into_iter().filter(|row| filter.takes(row)));
            before = page.next;
            // Fewer than wanted although there is more: the store has read as many rows as it may.
            let short = found < wanted;
            if before.is_none() || short || rows.len() == limit || read >= PAGE_ROWS_READ_MAX {
                return Ok((rows, before));
            }
        }
    }

    /// A delivery that the caller may see.
    pub(super) async fn visible_delivery(
        &self,
        principal: &Principal,
        id: DeliveryId,
    ) -> Result<DeliveryRow, Problem> {
        let row = self.store.delivery(id).await.map_err(store_problem)?;
        let snapshot = self.config.load();
        let sight = Sight::new(principal, Names::of(&snapshot));
        row.filter(|row| sight.covers_delivery(row))
            .ok_or_else(|| no_delivery(id))
    }

    pub(super) async fn delivery_view(&self, row: DeliveryRow) -> Result<DeliveryView, Problem> {
        let ids = self.message_ids(std::slice::from_ref(&row)).await?;
        let message = ids.get(&row.id.num()).ok_or_else(|| no_delivery(row.id))?;
        let snapshot = self.config.load();
        Ok(DeliveryView::of(&row, *message, &Names::of(&snapshot)))
    }

    async fn message_ids(&self, rows: &[DeliveryRow]) -> Result<HashMap<Num, MessageId>, Problem> {
        let mut nums: Vec<Num> = rows.iter().map(|row| row.id.num()).collect();
        nums.sort_unstable();
        nums.dedup();
        let mut ids = HashMap::with_capacity(nums.len());
        for some in nums.chunks(MESSAGES_AT_ONCE) {
            let messages = self.store.messages(some.to_vec()).await;
            for message in messages.map_err(store_problem)? {
                ids.insert(message.num, message.id);
            }
        }
        Ok(ids)
    }
}

fn no_message_part() -> Problem {
    Problem::invalid(
        "invalid_cursor",
        "cursor",
        "is not a cursor of this list; begin without one",
    )
}

fn list(installation: u64, query: &DeliveryQuery) -> List {
    let subscription = query.subscription.as_deref().map(fold);
    let channel = query.channel.as_deref().map(fold);
    let queue = query.queue.as_deref().map(fold);
    let state = query.state.map(ViewState::as_str);
    List::new(
        installation,
        "deliveries",
        &[
            state,
            subscription.as_deref(),
            channel.as_deref(),
            queue.as_deref(),
        ],
    )
}

/// Which deliveries a page takes.
struct Filter<'a> {
    states: Vec<DeliveryState>,
    state: Option<ViewState>,
    groups: Vec<ResourceId>,
    channel: Option<ResourceId>,
    since: Option<Timestamp>,
    sight: Sight<'a>,
    names: Names<'a>,
}

impl<'a> Filter<'a> {
    fn new(
        sight: Sight<'a>,
        snapshot: &'a Snapshot,
        query: &DeliveryQuery,
    ) -> Result<Self, Problem> {
        let subscription = query.subscription.as_deref();
        let channel = match (query.channel.as_deref(), query.queue.as_deref()) {
            (Some(_), Some(_)) => return Err(channel_and_queue()),
            (Some(name), None) => Some(find_channel(snapshot, name)?),
            (None, Some(name)) => Some(find_queue(snapshot, name)?),
            (None, None) => None,
        };
        Ok(Self {
            states: query.state.map_or_else(Vec::new, ViewState::stored),
            state: query.state,
            groups: subscription
                .map(|path| find_subscription(snapshot, sight, path))
                .transpose()?
                .unwrap_or_default(),
            channel,
            since: query.since,
            sight,
            names: Names::of(snapshot),
        })
    }

    fn takes(&self, row: &DeliveryRow) -> bool {
        self.state
            .is_none_or(|state| self.names.state(row) == state)
            && self.sight.covers_delivery(row)
    }
}

fn find_subscription(
    snapshot: &Snapshot,
    sight: Sight<'_>,
    path: &str,
) -> Result<Vec<ResourceId>, Problem> {
    let Some((topic, name)) = path.split_once('/') else {
        return Err(Problem::invalid(
            "invalid_field",
            "subscription",
            "a subscription is named by its topic and its own name",
        )
        .accepted("TOPIC/NAME"));
    };
    snapshot
        .topic(topic)
        .filter(|topic| sight.covers_topic(&topic.meta.name))
        .ok_or_else(|| no_topic(topic))?;
    let subscription = snapshot.subscription(topic, name).ok_or_else(|| {
        missing(
            "subscription_not_found",
            format!("topic {topic} has no subscription {name}"),
        )
    })?;
    if let Some(queue) = &subscription.spec.queue {
        return Err(Problem::invalid(
            "invalid_field",
            "subscription",
            format!("what goes to a queue is the queue's from then on; give queue={queue} instead"),
        ));
    }
    Ok(snapshot.groups_of(subscription))
}

fn channel_and_queue() -> Problem {
    Problem::invalid(
        "invalid_field",
        "queue",
        "a delivery goes through a channel or into a queue; give one of the two",
    )
}

fn find_channel(snapshot: &Snapshot, name: &str) -> Result<ResourceId, Problem> {
    snapshot
        .channel(name)
        .map(|channel| channel.meta.id)
        .ok_or_else(|| missing("channel_not_found", format!("there is no channel {name}")))
}

fn find_queue(snapshot: &Snapshot, name: &str) -> Result<ResourceId, Problem> {
    snapshot
        .queue(name)
        .map(|queue| queue.meta.id)
        .ok_or_else(|| missing("queue_not_found", format!("there is no queue {name}")))
}
