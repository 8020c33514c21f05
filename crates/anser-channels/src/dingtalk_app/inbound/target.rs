//! Groups and people as the app can write to them. Must not name what it could not.

use anser_core::inbound::InboundContext;
use anser_core::message::{Conversation, ConversationType};

use crate::dingtalk_app::target::Target;

/// A group by its openConversationId.
pub(super) fn group(id: Option<&str>, context: &InboundContext<'_>) -> Option<Conversation> {
    of(&format!("chat/{}", id?), ConversationType::Group, context)
}

/// A person by the userId.
pub(super) fn person(id: Option<&str>, context: &InboundContext<'_>) -> Option<Conversation> {
    of(&format!("user/{}", id?), ConversationType::Direct, context)
}

fn of(target: &str, of: ConversationType, context: &InboundContext<'_>) -> Option<Conversation> {
    Target::parse("target", target).ok()?;
    Some(Conversation {
        id: format!("{}/{target}", context.channel),
        r#type: Some(of),
        thread: None,
    })
}
