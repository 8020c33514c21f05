//! Messages whose time runs out while nobody is connected for them: they end as expired, so that they do not keep their
//! mailbox full and themselves in the store.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::name::UserId;
use anser_core::store::{Claim, ClaimClass, DeliveryRow, Group, StoreError};

use crate::gateway::Gateway;
use crate::live::Sessions;
use crate::live::plan::MailEnd;
use crate::mailbox::{is_mailbox, user_in};

/// Between two passes over all mailboxes.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// Deliveries looked at in one step.
const STEP: usize = 1_000;

impl Sessions {
    /// Whether it is time for a pass; then the next one is later.
    fn is_sweep_due(&self, now: Timestamp) -> bool {
        self.change(|state, _| {
            let due = state.swept.plus(SWEEP_EVERY) <= now;
            if due {
                state.swept = now;
            }
            due
        })
    }
}

impl Gateway {
    /// Ends what expired in the mailboxes of users who are not connected. Those who are have it ended when they would get
    /// it. Most calls do nothing: a pass is made from time to time.
    pub(crate) async fn sweep_mail(&self) {
        if !self.sessions.is_sweep_due(self.clock.now()) {
            return;
        }
        if let Err(error) = self.sweep_mailboxes().await {
            tracing::warn!(%error, "expired messages in mailboxes were not all ended");
        }
    }

    async fn sweep_mailboxes(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let groups = self.store.groups().await?.into_iter();
        for (group, _) in groups.filter(|(group, due)| is_mailbox(*group) && *due <= now) {
            self.sweep_mailbox(group, now).await?;
            // Requests go between the mailboxes.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn sweep_mailbox(&self, group: Group, now: Timestamp) -> Result<(), StoreError> {
        let mut exclude = Vec::new();
        loop {
            let claim = Claim {
                group,
                class: ClaimClass::First,
                due_until: now,
                exclude: exclude.clone(),
                limit: STEP,
            };
            let claimed = self.store.claim(claim).await?;
            exclude.extend(claimed.deliveries.iter().map(|row| row.id));
            let rows = claimed.deliveries.iter();
            let expired = rows.filter(|row| row.expires_at.is_some_and(|at| at <= now));
            let ends: Vec<MailEnd> = expired.filter_map(|row| self.abandoned(row)).collect();
            if !ends.is_empty() {
                self.store_ends(ends).await;
            }
            if !claimed.more {
                return Ok(());
            }
        }
    }

    /// The end of a message whose user is not connected.
    fn abandoned(&self, row: &DeliveryRow) -> Option<MailEnd> {
        let user = user_in(row.target.as_deref().unwrap_or_default());
        let user = UserId::parse("user", user).ok()?;
        let known = self.sessions.change(|state, _| state.plan.knows(&user));
        (!known).then(|| MailEnd {
            user,
            offset: anser_core::live::Offset::at(row.id.num()),
            delivery: row.id,
            expired: true,
        })
    }
}
