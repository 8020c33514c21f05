//! What an edit or a recall means for live clients: what they have is out, what was cancelled they do not get.

use anser_core::Message;
use anser_core::id::{DeliveryId, Num};
use anser_core::name::{Address, UserId};

use crate::gateway::Gateway;

impl Gateway {
    /// These are the message and its edits: what was given of them to sessions counts as delivered.
    pub(crate) async fn sessions_had(&self, message: &Message, nums: &[Num]) {
        let users = addressed(message);
        if users.is_empty() {
            return;
        }
        let ends = self.sessions.change(|state, _| {
            let mut ends = Vec::new();
            for user in &users {
                ends.extend(nums.iter().flat_map(|num| state.plan.end_given(user, *num)));
            }
            ends
        });
        if !ends.is_empty() {
            self.store_ends(ends).await;
        }
    }

    /// These deliveries of the message were cancelled.
    pub(crate) fn sessions_lose(&self, message: &Message, deliveries: &[DeliveryId]) {
        let users = addressed(message);
        if !users.is_empty() && !deliveries.is_empty() {
            self.sessions.change(|state, _| {
                for user in &users {
                    state.plan.cancelled(user, deliveries);
                }
            });
        }
    }
}

/// The users that a message is addressed to.
fn addressed(message: &Message) -> Vec<UserId> {
    let addresses = message.header.to.iter();
    let user = |address: &String| match Address::parse("to", address) {
        Ok(Address::User { id, .. }) => Some(id),
        Ok(Address::Channel { .. } | Address::Queue(_) | Address::Room(_)) | Err(_) => None,
    };
    addresses.filter_map(user).collect()
}
