//! Administration: topics, channels, queues, subscriptions, robots, rooms, issuers, event types and keys as users see and change them. Every change is
//! checked whole, committed with the revision that it was made from, and in force before it is answered; one change at
//! a time. Must not deliver anything, apart from the test message that an operator asks for.

mod change;
mod channel;
mod check;
mod endpoint;
mod event_type;
mod issuer;
mod key;
mod list;
mod patch;
mod probe;
mod queue;
mod robot;
mod room;
mod subscription;
mod topic;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use channel::find as find_channel;
pub use channel::{ROTATION_GRACE_DEFAULT, ROTATION_GRACE_MAX};
pub use check::ChannelCheck;
pub use key::{ADMIN_KEY_BYTES_MAX, ADMIN_KEY_BYTES_MIN, ADMIN_KEY_NAME, create_key_offline};
pub use list::ListQuery;
pub(crate) use list::page;
pub use queue::DEAD_LETTER_SOURCES_MAX;
pub use view::{
    ChannelState, ChannelView, CmqKeyView, EventTypeView, IssuerView, KeyCreated, KeyView, Put,
    QueueView, ResourceView, RobotView, RoomView, RotatedSecret, SubscriptionView, TopicView,
};
