//! Messages by id and as lists. A filtered page reads a bounded number of rows and may come short with a cursor.

use anser_core::Problem;
use anser_core::id::{MessageId, Num, ResourceId};
use anser_core::limits::PAGE_ROWS_READ_MAX;
use anser_core::name::fold;
use anser_core::pattern::Pattern;
use anser_core::resource::Scope;
use anser_core::store::{MessageRow, MessageScan};

use super::cursor::List;
use super::sight::{Head, Sight};
use super::view::Names;
use super::{MessageQuery, MessageView, Page, no_message, no_topic, page_limit};
use crate::auth::Principal;
use crate::config::Snapshot;
use crate::gateway::Gateway;
use crate::refusal::store_problem;

/// Rows read from the store at a time: with the largest messages 64 MiB.
const ROWS_AT_ONCE: usize = 64;
/// Bytes of messages on one page; it comes short beyond it.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

impl Gateway {
    /// A message.
    ///
    /// # Errors
    /// 403 without the right to read, 404 `message_not_found`.
    pub async fn get_message(
        &self,
        principal: &Principal,
        id: MessageId,
    ) -> Result<MessageView, Problem> {
        principal.require(Scope::Read)?;
        let row = self.visible_message(principal, id).await?;
        let links = self.store.linked(row.num).await.map_err(store_problem)?;
        Ok(MessageView::of(&row)?.with_links(&links))
    }

    /// Messages, newest first, or oldest first to follow a topic.
    ///
    /// # Errors
    /// 403 without the right to read (or, following, to consume), 404 `topic_not_found`, 422 `invalid_cursor`,
    /// `invalid_pattern` or `out_of_range`.
    pub async fn list_messages(
        &self,
        principal: &Principal,
        query: MessageQuery,
    ) -> Result<Page<MessageView>, Problem> {
        principal.require(Scope::Read).or_else(|problem| {
            if query.follow {
                principal.require(Scope::Consume)
            } else {
                Err(problem)
            }
        })?;
        let snapshot = self.config.load_full();
        let filter = Filter::new(principal, &snapshot, &query)?;
        let list = list(self.info.installation, &query);
        let position = list.read(query.cursor.as_deref())?;
        let page = Collected::new(page_limit(query.limit)?, position);
        self.collect(&query, &filter, page).await.map(|page| Page {
            cursor: page.cursor(query.follow).map(|at| list.write(at)),
            items: page.items,
        })
    }

    async fn collect(
        &self,
        query: &MessageQuery,
        filter: &Filter<'_>,
        mut page: Collected,
    ) -> Result<Collected, Problem> {
        while page.has_room() {
            let limit = page.rows_wanted(filter.is_open());
            let scan = MessageScan {
                topic: filter.topic,
                from: page.position.map(Num),
                ascending: query.follow,
                since: query.since,
                until: query.until,
                limit,
            };
            let rows = self
                .store
                .scan_messages(scan)
                .await
                .map_err(store_problem)?;
            page.end = rows.len() < limit;
            for row in rows {
                if !page.has_room() {
                    page.end = false;
                    break;
                }
                page.take(&row, filter)?;
            }
            if page.end {
                break;
            }
        }
        Ok(page)
    }

    /// A message that the caller may see.
    pub(crate) async fn visible_message(
        &self,
        principal: &Principal,
        id: MessageId,
    ) -> Result<MessageRow, Problem> {
        let row = self.store.message(id).await.map_err(store_problem)?;
        let snapshot = self.config.load();
        let sight = Sight::new(principal, Names::of(&snapshot));
        row.filter(|row| sight.covers_message(row))
            .ok_or_else(|| no_message(id))
    }
}

fn list(installation: u64, query: &MessageQuery) -> List {
    let topic = query.topic.as_deref().map(fold);
    List::new(
        installation,
        if query.follow { "follow" } else { "messages" },
        &[
            topic.as_deref(),
            query.r#type.as_deref(),
            query.tag.as_deref(),
        ],
    )
}

/// Which messages a page takes.
struct Filter<'a> {
    topic: Option<ResourceId>,
    r#type: Option<Pattern>,
    tag: Option<&'a str>,
    sight: Sight<'a>,
    bounded: bool,
}

impl<'a> Filter<'a> {
    fn new(
        principal: &'a Principal,
        snapshot: &'a Snapshot,
        query: &'a MessageQuery,
    ) -> Result<Self, Problem> {
        let sight = Sight::new(principal, Names::of(snapshot));
        let topic = match &query.topic {
            None => None,
            Some(name) => Some(
                snapshot
                    .topic(name)
                    .filter(|topic| sight.covers_topic(&topic.meta.name))
                    .ok_or_else(|| no_topic(name))?
                    .meta
                    .id,
            ),
        };
        let pattern = |text: &String| Pattern::parse("type", text);
        Ok(Self {
            topic,
            r#type: query.r#type.as_ref().map(pattern).transpose()?,
            tag: query.tag.as_deref(),
            sight,
            bounded: principal.topics.is_some() || principal.targets.is_some(),
        })
    }

    /// Whether every row that is read is taken.
    const fn is_open(&self) -> bool {
        !self.bounded && self.r#type.is_none() && self.tag.is_none()
    }

    fn takes(&self, row: &MessageRow) -> bool {
        if !self.sight.covers_message(row) {
            return false;
        }
        if self.r#type.is_none() && self.tag.is_none() {
            return true;
        }
        Head::of(row).is_some_and(|head| {
            let header = &head.header;
            let of_type = |pattern: &Pattern| pattern.matches(&header.r#type);
            self.r#type.as_ref().is_none_or(of_type)
                && self
                    .tag
                    .is_none_or(|tag| header.tags.iter().any(|given| given == tag))
        })
    }
}

/// A page in the making.
struct Collected {
    items: Vec<MessageView>,
    limit: usize,
    position: Option<u64>,
    read: usize,
    bytes: usize,
    /// Nothing more is there now.
    end: bool,
}

impl Collected {
    const fn new(limit: usize, position: Option<u64>) -> Self {
        Self {
            items: Vec::new(),
            limit,
            position,
            read: 0,
            bytes: 0,
            end: false,
        }
    }

    const fn has_room(&self) -> bool {
        self.items.len() < self.limit
            && self.read < PAGE_ROWS_READ_MAX
            && self.bytes < PAGE_BYTES_MAX
    }

    fn rows_wanted(&self, every_row_counts: bool) -> usize {
        let left = PAGE_ROWS_READ_MAX.saturating_sub(self.read);
        let most = if every_row_counts {
            left.min(self.limit - self.items.len())
        } else {
            left
        };
        most.min(ROWS_AT_ONCE)
    }

    fn take(&mut self, row: &MessageRow, filter: &Filter<'_>) -> Result<(), Problem> {
        self.position = Some(row.num.0);
        self.read += 1;
        if filter.takes(row) {
            self.bytes += row.document.len();
            self.items.push(MessageView::of(row)?);
        }
        Ok(())
    }

    /// Who follows goes on from where they are, even when nothing new is there yet.
    fn cursor(&self, follow: bool) -> Option<u64> {
        match (self.end, follow) {
            (true, false) => None,
            (false, false) => self.position,
            (_, true) => Some(self.position.unwrap_or(0)),
        }
    }
}
