//! What outlives a run of what users were given and did not acknowledge: it is marked when it comes again. Stored when the
//! gateway stops; after a run that was killed everything is in doubt that it had taken. Must not decide what is marked.

use std::collections::BTreeMap;

use anser_core::id::Num;
use anser_core::name::UserId;
use anser_core::store::{ConfigChange, ConfigKind, ConfigRow, StoreError, StoreInfo};
use serde::{Deserialize, Serialize};

use crate::gateway::Gateway;
use crate::live::Sessions;
use crate::live::plan::{Departed, Given};

/// The version of the document written here.
const VERSION: u32 = 1;
/// The key of the one document.
const KEY: &str = "all";

/// Up to which message, and whether of what was scheduled too.
type Stored = (u64, bool);

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    v: u32,
    /// Everything up to here may have been given by a run that was killed.
    killed: u64,
    users: BTreeMap<UserId, Stored>,
    others: Option<Stored>,
}

impl From<Departed> for Document {
    fn from(departed: Departed) -> Self {
        let stored = |given: Given| (given.up_to.0, given.scheduled);
        let users = departed.users.into_iter();
        Self {
            v: VERSION,
            killed: departed.killed.0,
            users: users.map(|(user, given)| (user, stored(given))).collect(),
            others: departed.others.map(stored),
        }
    }
}

impl From<Document> for Departed {
    fn from(document: Document) -> Self {
        let given = |(up_to, scheduled)| Given {
            up_to: Num(up_to),
            scheduled,
        };
        let users = document.users.into_iter();
        Self {
            killed: Num(document.killed),
            users: users.map(|(user, stored)| (user, given(stored))).collect(),
            others: document.others.map(given),
        }
    }
}

/// What the last run left; `None` when it cannot be read.
fn read(row: &ConfigRow) -> Option<Departed> {
    let document: Document = serde_json::from_slice(&row.document).ok()?;
    (document.v <= VERSION).then(|| document.into())
}

impl Sessions {
    /// Takes over what is stored of live clients.
    pub(crate) fn load(&self, rows: &[ConfigRow], info: &StoreInfo) {
        self.load_roster(rows);
        self.load_departed(rows, info);
    }

    /// Takes over what earlier runs left. What cannot be read leaves everything in doubt, as a kill does.
    pub(crate) fn load_departed(&self, rows: &[ConfigRow], info: &StoreInfo) {
        let stored = rows.iter().find(|row| row.kind == ConfigKind::Departed);
        let left = stored.map(read);
        let unreadable = matches!(left, Some(None));
        if unreadable {
            tracing::error!(
                "what users were given before cannot be read; what waits for them is marked"
            );
        }
        let mut departed = left.flatten().unwrap_or_default();
        if !info.clean || unreadable {
            departed.killed = departed.killed.max(info.highest_num);
        }
        self.change(|state, _| state.plan.recall_departed(departed));
    }
}

impl Gateway {
    /// Stores what users were given and did not acknowledge. For the end of the run, when no session is open any more.
    pub(super) async fn store_departed(&self) {
        let departed = self.sessions.change(|state, _| state.plan.departing());
        let document = match serde_json::to_vec(&Document::from(departed)) {
            Ok(document) => document,
            Err(error) => {
                tracing::error!(%error, "what users were given cannot be written");
                return;
            }
        };
        let put = ConfigChange::Put {
            kind: ConfigKind::Departed,
            key: KEY.to_owned(),
            document: document.into(),
            expected: None,
        };
        loop {
            match self.store.config_apply(vec![put.clone()]).await {
                Err(StoreError::Unknown) => {}
                Err(error) => {
                    tracing::error!(%error, "what users were given could not be stored: it comes again without a mark");
                    return;
                }
                Ok(_) => return,
            }
        }
    }
}
