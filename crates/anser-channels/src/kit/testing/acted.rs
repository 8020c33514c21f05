//! What the tests of connectors read out of what a connection does, where that is one thing. Tests only.

use std::time::Duration;

use anser_core::channel::HttpResponse;
use anser_core::connection::{Action, Again, Frame, Loss};
use anser_core::inbound::InboundEvent;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// An answer over HTTP.
pub(crate) fn response(
    status: u16,
    headers: &[(&'static str, &str)],
    body: impl Into<bytes::Bytes>,
) -> HttpResponse {
    let headers = headers.iter().map(|(name, value)| {
        let value = HeaderValue::from_str(value).unwrap();
        (HeaderName::from_static(name), value)
    });
    HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers.collect::<HeaderMap>(),
        body: body.into(),
    }
}

/// The batch and events of the one action that there is.
pub(crate) fn taken(actions: Vec<Action>) -> (u64, Vec<InboundEvent>) {
    match only(actions) {
        Action::Take { batch, events } => (batch, events),
        other => panic!("{other:?}"),
    }
}

/// The end that is the one action that there is.
pub(crate) fn lost(actions: Vec<Action>) -> (Loss, Again, String) {
    match only(actions) {
        Action::Lost {
            loss,
            detail,
            again,
        } => (loss, again, detail),
        other => panic!("{other:?}"),
    }
}

/// The frames that are sent.
pub(crate) fn sent(actions: &[Action]) -> Vec<Frame> {
    let frames = actions.iter().filter_map(|action| match action {
        Action::Send(frame) => Some(frame.clone()),
        _ => None,
    });
    frames.collect()
}

/// How many things could not be read.
pub(crate) fn unread(actions: &[Action]) -> usize {
    let unread = |action: &&Action| matches!(action, Action::Unread { .. });
    actions.iter().filter(unread).count()
}

/// When the timer of that number is set to run out.
pub(crate) fn timer(actions: &[Action], wanted: u8) -> Option<Duration> {
    actions.iter().find_map(|action| match action {
        Action::Timer { number, after } if *number == wanted => Some(*after),
        _ => None,
    })
}

fn only(mut actions: Vec<Action>) -> Action {
    assert_eq!(actions.len(), 1, "{actions:?}");
    actions.remove(0)
}
