//! How a connection to the Gateway ends: codes of closing
//! (<https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes>) and sessions that are
//! not any more. Must not know what happened in them.

use std::time::Duration;

use anser_core::connection::{Action, Again, Loss};
use anser_core::inbound::InboundContext;
use bytes::Bytes;

use crate::kit::connecting::{End, closed};

/// A pause, as Discord asks for more than a second and at most five.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The part of it that differs.
const PAUSE_RANDOM: Duration = Duration::from_secs(4);
/// The pause after too many messages to the Gateway.
const PAUSE_LIMITED: Duration = Duration::from_secs(60);

/// The session is invalid; whether it can be resumed all the same.
pub(super) fn of_session(is_resumable: bool, context: &InboundContext<'_>) -> Vec<Action> {
    if is_resumable {
        let end = End::new(
            Loss::Asked,
            Again::AtOnce,
            "Discord asks to resume the session",
        );
        return vec![end.into()];
    }
    let pause = PAUSE_MIN + PAUSE_RANDOM * u32::from(context.random[1]) / 255;
    let told = "the session cannot be resumed: a new one begins";
    vec![
        forget(),
        End::new(Loss::Asked, Again::After(pause), told).into(),
    ]
}

/// The WebSocket is closed.
pub(super) fn of_close(code: Option<u16>, reason: &str) -> Vec<Action> {
    let told = closed(code, reason);
    let (end, is_over) = match code {
        Some(4004) => (
            End::refused(format!(
                "{told} (the token is wrong or was reset: copy it from the app's page Bot again)"
            )),
            true,
        ),
        Some(4014) => (
            End::refused(format!(
                "{told} (the app may not have these intents: turn on Message Content Intent, and Server Members Intent where \
`settings.intents` has guild_members, at its page Bot)"
            )),
            true,
        ),
        Some(4013) => (
            End::refused(format!("{told} (check `settings.intents`)")),
            true,
        ),
        Some(4010 | 4011) => (
            End::refused(format!(
                "{told} (the bot is in more servers than one connection serves, 2,500)"
            )),
            true,
        ),
        Some(4012) => (End::refused(told), true),
        Some(4003 | 4007 | 4009) => (End::new(Loss::Asked, Again::Backoff, told), true),
        Some(4008) => (End::limited(PAUSE_LIMITED, told), false),
        Some(4001 | 4002 | 4005) => (End::protocol(told), false),
        Some(_) => (End::new(Loss::Asked, Again::Backoff, told), false),
        None => (End::network(told), false),
    };
    let forgotten = is_over.then(forget);
    forgotten.into_iter().chain([end.into()]).collect()
}

/// The session is over.
fn forget() -> Action {
    Action::Keep(Bytes::new())
}
