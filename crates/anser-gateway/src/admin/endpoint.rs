//! What is remembered of a channel's endpoint: failing, disabled, held. The dispatcher reports it, an operator enables
//! a disabled channel again. It is stored beside the channel, so that the channel's revision is its configuration's.

use std::sync::Arc;

use anser_core::Problem;
use anser_core::id::ResourceId;
use anser_core::resource::ChannelSpec;

use super::change::{held_after, put_endpoint};
use super::channel::{find, may_change};
use super::view::ChannelView;
use crate::auth::Principal;
use crate::config::EndpointState;
use crate::gateway::Gateway;
use crate::refusal::store_problem;

impl Gateway {
    /// Lets a paused or disabled channel deliver again.
    ///
    /// # Errors
    /// `channel_not_found`; 403 without the right; the store's.
    pub async fn enable_channel(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<ChannelView, Problem> {
        may_change(principal, name)?;
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let entry = find(&snapshot, name)?;
        let spec = ChannelSpec {
            paused: false,
            ..entry.spec.clone()
        };
        let put = self
            .store_channel(&snapshot, Some(entry), name, spec, true)
            .await?;
        Ok(put.view)
    }

    /// Remembers what the dispatcher found of an endpoint. In force even when it cannot be stored: then it is forgotten
    /// at the next start and found out anew.
    ///
    /// # Errors
    /// The store's.
    pub async fn endpoint_changed(
        &self,
        channel: ResourceId,
        state: EndpointState,
    ) -> Result<(), Problem> {
        let _one_at_a_time = self.admin_lock.lock().await;
        let snapshot = self.config.load_full();
        let Some(entry) = snapshot.channels_by_id.get(&channel) else {
            return Ok(());
        };
        if entry.endpoint == state {
            return Ok(());
        }
        let now = self.clock.now();
        let is_held = entry.spec.paused || state.disabled_at.is_some();
        let held = held_after(&snapshot, Some(&entry.meta), is_held, now);
        let change = put_endpoint(&entry.meta, state.clone(), held.clone(), now);
        let stored = self.store.config_apply(vec![change]).await;
        let mut next = (*snapshot).clone();
        next.set_endpoint(channel, state, held);
        if is_held == snapshot.is_held(&[channel]) {
            // Nothing that dispatch goes by: a thousand endpoints that fail at once must not wake it a thousand times.
            self.config.store(Arc::new(next));
        } else {
            self.put_in_force(next);
        }
        stored.map(drop).map_err(store_problem)
    }
}
