//! Configuration changes: all or none, each with the next revision.

use anser_core::id::ResourceId;
use anser_core::store::{ConfigChange, ConfigKind, ConfigRow};
use rusqlite::params;

use super::Session;
use crate::sqlite::failure::Failure;
use crate::sqlite::meta::{self, Fact};
use crate::sqlite::row;

impl Session<'_> {
    /// Applies the changes in order, each seeing those before it. A stale revision undoes them all.
    pub(super) fn configure(
        &mut self,
        changes: &[ConfigChange],
    ) -> Result<Vec<ConfigRow>, Failure> {
        let mut put = Vec::new();
        for change in changes {
            self.counters.revision += 1;
            match change {
                ConfigChange::Put {
                    kind,
                    key,
                    document,
                    expected,
                } => {
                    let current = self.current(*kind, key, *expected)?;
                    let row = ConfigRow {
                        kind: *kind,
                        key: key.clone(),
                        id: current.map_or_else(|| self.next_resource(), |row| row.id),
                        revision: self.counters.revision,
                        document: document.clone(),
                    };
                    self.put_config(&row)?;
                    put.push(row);
                }
                ConfigChange::Delete {
                    kind,
                    key,
                    expected,
                } => {
                    let current = self.current(*kind, key, *expected)?;
                    if let (ConfigKind::Channel, Some(row)) = (kind, &current) {
                        self.journal_forget(row.id)?;
                    }
                    self.connection
                        .prepare_cached("DELETE FROM config WHERE kind = ?1 AND key = ?2")?
                        .execute(params![kind.as_str(), key])?;
                }
            }
        }
        meta::set_number(self.connection, Fact::Revision, self.counters.revision)?;
        meta::set_number(
            self.connection,
            Fact::HighestResource,
            self.counters.resource,
        )?;
        Ok(put)
    }

    /// The document as it stands, if its revision is the expected one.
    fn current(
        &self,
        kind: ConfigKind,
        key: &str,
        expected: Option<u64>,
    ) -> Result<Option<ConfigRow>, Failure> {
        let mut statement = self.connection.prepare_cached(
            "SELECT kind, key, id, revision, document, sum FROM config WHERE kind = ?1 AND key = ?2",
        )?;
        let mut rows = statement.query(params![kind.as_str(), key])?;
        let current = rows.next()?.map(row::config).transpose()?;
        let revision = current.as_ref().map_or(0, |row| row.revision);
        match expected {
            Some(expected) if expected != revision => Err(Failure::Fenced),
            _ => Ok(current),
        }
    }

    fn next_resource(&mut self) -> ResourceId {
        self.counters.resource += 1;
        ResourceId(self.counters.resource)
    }

    fn put_config(&self, row: &ConfigRow) -> Result<(), Failure> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO config(kind, key, id, revision, document, sum) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                row.kind.as_str(),
                row.key,
                row.id.0.cast_signed(),
                row.revision.cast_signed(),
                row.document.as_ref(),
                row::config_sum(row),
            ])?;
        Ok(())
    }
}
