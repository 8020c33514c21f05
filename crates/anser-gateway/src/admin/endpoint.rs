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

    /// Remembers what the dispatcher found of endpoints, in one commit. In force even when it cannot be stored: then it
    /// is forgotten at the next start and found out anew.
    ///
    /// # Errors
    /// The store's.
    pub async fn endpoints_changed(
        &self,
        states: Vec<(ResourceId, EndpointState)>,
    ) -> Result<(), Problem> {
        let _one_at_a_time = self.admin_lock.lock().await;
        let now = self.clock.now();
        let mut next = (*self.config.load_full()).clone();
        let (mut changes, mut held_or_released) = (Vec::new(), false);
        for (channel, state) in states {
            let Some(entry) = next.channels_by_id.get(&channel).cloned() else {
                continue;
            };
            if entry.endpoint == state {
                continue;
            }
            let is_held = entry.spec.paused || state.disabled_at.is_some();
            held_or_released |= is_held != next.is_held(&[channel]);
            let held = held_after(&next, Some(&entry.meta), is_held, now);
            changes.push(put_endpoint(&entry.meta, state.clone(), held.clone(), now));
            next.set_endpoint(channel, state, held);
        }
        if changes.is_empty() {
            return Ok(());
        }
        let stored = self.store.config_apply(changes).await;
        if held_or_released {
            self.put_in_force(next);
        } else {
            // Nothing that dispatch goes by: endpoints that fail, a thousand at once perhaps, must not wake it.
            self.config.store(Arc::new(next));
        }
        stored.map(drop).map_err(store_problem)
    }
}
