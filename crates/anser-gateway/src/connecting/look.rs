//! Connections and their journals as operators ask for them. Must not connect anything.

use anser_core::Problem;
use anser_core::limits::PAGE_MAX;
use anser_core::resource::Scope;
use anser_core::store::JournalScan;

use super::keep::read;
use crate::admin::{ListQuery, find_channel, page};
use crate::auth::Principal;
use crate::config::ChannelEntry;
use crate::connections::{ConnectionView, JournalEntry};
use crate::gateway::Gateway;
use crate::look::{List, Page};
use crate::refusal::store_problem;

impl Gateway {
    /// The connections of the channels that the caller's patterns cover.
    ///
    /// # Errors
    /// `missing_scope`, `out_of_range`, `invalid_cursor`.
    pub fn list_connections(
        &self,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<ConnectionView>, Problem> {
        principal.require(Scope::Read)?;
        let views = self.connections.views();
        let covered = views
            .into_iter()
            .filter(|view| principal.covers_target(&view.channel))
            .map(|view| (anser_core::name::fold(&view.channel), view))
            .collect();
        page(covered, query, |view| view)
    }

    /// A channel's connection.
    ///
    /// # Errors
    /// `channel_not_found`, `not_connected`; 403 without the right.
    pub fn get_connection(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<ConnectionView, Problem> {
        principal.require(Scope::Read)?;
        principal.require_target("name", name)?;
        let snapshot = self.config.load();
        let entry = find_channel(&snapshot, name)?;
        let link = self.connections.link(entry.meta.id);
        link.map(|link| link.view())
            .ok_or_else(|| not_connected(entry))
    }

    /// Entries of a channel's connection journal, the newest first. A channel that is not connected any more still has its
    /// journal.
    ///
    /// # Errors
    /// `channel_not_found`, `out_of_range`, `invalid_cursor`; 403 without the right; the store's.
    pub async fn connection_journal(
        &self,
        principal: &Principal,
        name: &str,
        query: &ListQuery,
    ) -> Result<Page<JournalEntry>, Problem> {
        principal.require(Scope::Read)?;
        principal.require_target("name", name)?;
        if !(1..=PAGE_MAX).contains(&query.limit) {
            let detail = format!("must be between 1 and {PAGE_MAX}");
            return Err(Problem::invalid("out_of_range", "limit", detail));
        }
        let snapshot = self.config.load_full();
        let channel = find_channel(&snapshot, name)?.meta.id;
        let number = channel.0.to_string();
        let list = List::new(
            self.info.installation,
            "connection journal",
            &[Some(&number)],
        );
        let scan = JournalScan {
            channel,
            before: list.read(query.cursor.as_deref())?,
            limit: query.limit + 1,
        };
        let mut rows = self.store.journal_read(scan).await.map_err(store_problem)?;
        let more = rows.len() > query.limit;
        rows.truncate(query.limit);
        let items: Result<Vec<_>, _> = rows.iter().map(read).collect();
        Ok(Page {
            cursor: rows
                .last()
                .filter(|_| more)
                .map(|row| list.write(row.number)),
            items: items.map_err(store_problem)?,
        })
    }

    /// Ends a channel's connection and makes another one; one that is waited for is made at once.
    ///
    /// # Errors
    /// `channel_not_found`, `not_connected`; 403 without the right.
    pub fn reconnect(&self, principal: &Principal, name: &str) -> Result<ConnectionView, Problem> {
        principal.require(Scope::Admin)?;
        principal.require_target("name", name)?;
        let snapshot = self.config.load();
        let entry = find_channel(&snapshot, name)?;
        let link = self.connections.link(entry.meta.id);
        let link = link.ok_or_else(|| not_connected(entry))?;
        link.renew();
        Ok(link.view())
    }
}

fn not_connected(entry: &ChannelEntry) -> Problem {
    Problem::new(
        anser_core::ProblemKind::NotFound,
        "not_connected",
        format!(
            "the channel {:?} keeps no connection: its field `inbound.via` is not `connection`",
            entry.meta.name
        ),
    )
}
