//! Lines: the WebSockets that bots open to a stand-in, where the platform sends events so. Carries what is said on them, looks
//! at the clock for the platform, and does what whoever runs the stand-in orders. Must not know what is said.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::{Notify, watch};

/// How often the platform looks at the clock for a line: one that a test sets wakes nobody.
const LOOK: Duration = Duration::from_millis(20);
/// What a close frame without a code is known as (RFC 6455 §7.1.5).
const NO_CODE: u16 = 1005;

/// What a platform hears of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is open.
    Opened,
    /// The bot sent a text.
    Text(String),
    /// The bot sent bytes.
    Binary(Bytes),
    /// There may be something to send, or time has passed.
    Look,
    /// The platform shall ask for another connection.
    Refresh,
    /// It is closed.
    Gone,
}

/// What a platform says on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
    /// A ping.
    Ping,
    /// The end, with its code and words.
    Close(u16, String),
    /// An event is in what was said: it is counted.
    Sent,
    /// The bot has taken an event: it is counted.
    Taken,
    /// An event that comes no more: it is counted.
    Missed,
}

/// How long a line that was closed waits for the other side.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// What whoever runs a stand-in may order for all lines that are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Nothing out of the ordinary.
    #[default]
    Go,
    /// They are closed with this code; without one they break.
    Cut(Option<u16>),
    /// The platform asks for another connection, as it does when a server is replaced.
    Refresh,
    /// They stay open, but nothing is said or heard on them, nor on those that are opened, until the next order.
    Mute,
}

/// Whose lines they are.
pub(crate) trait Host: Send + Sync {
    /// What the platform says on a line.
    fn hear(&self, line: u64, heard: Heard) -> Vec<Told>;

    /// A bot has closed a line with this code; [`Heard::Gone`] follows.
    fn closed(&self, line: u64, code: u16);

    /// What is ordered.
    fn orders(&self) -> watch::Receiver<Order>;

    /// Ends with the stand-in.
    fn alive(&self) -> watch::Receiver<()>;

    /// Tells that there may be something to send.
    fn news(&self) -> &Notify;
}

/// Serves a line until it ends.
pub(crate) async fn serve(house: Arc<impl Host>, line: u64, mut socket: WebSocket) {
    let mut orders = house.orders();
    let mut is_mute = *orders.borrow_and_update() == Order::Mute;
    let mut alive = house.alive();
    let mut next = Some(Heard::Opened);
    loop {
        let heard = match next.take() {
            Some(heard) => heard,
            None => tokio::select! {
                // It changes never, but ends with the stand-in.
                _ = alive.changed() => break,
                ordered = ordered(&mut orders) => match ordered {
                    Some(Order::Cut(None)) | None => break,
                    Some(Order::Cut(Some(code))) => {
                        close(&mut socket, code, "").await;
                        break;
                    }
                    Some(Order::Refresh) => {
                        is_mute = false;
                        Heard::Refresh
                    }
                    Some(order) => {
                        is_mute = order == Order::Mute;
                        continue;
                    }
                },
                message = socket.recv(), if !is_mute => match message {
                    Some(Ok(Message::Text(text))) => Heard::Text(text.to_string()),
                    Some(Ok(Message::Binary(bytes))) => Heard::Binary(bytes),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(frame))) => {
                        house.closed(line, frame.map_or(NO_CODE, |frame| frame.code));
                        break;
                    }
                    Some(Err(_)) | None => break,
                },
                () = house.news().notified(), if !is_mute => Heard::Look,
                () = tokio::time::sleep(LOOK), if !is_mute => Heard::Look,
            },
        };
        if is_mute {
            // What is heard at the beginning waits for the end of the silence.
            next = Some(heard);
            is_mute = ordered(&mut orders).await == Some(Order::Mute);
            continue;
        }
        if !say(&mut socket, house.hear(line, heard)).await {
            break;
        }
    }
    house.hear(line, Heard::Gone);
}

/// The next order; `None` when there are no more.
async fn ordered(orders: &mut watch::Receiver<Order>) -> Option<Order> {
    orders.changed().await.ok()?;
    Some(*orders.borrow_and_update())
}

/// Whether the line goes on.
async fn say(socket: &mut WebSocket, told: Vec<Told>) -> bool {
    for told in told {
        let message = match told {
            Told::Text(text) => Message::Text(text.into()),
            Told::Binary(bytes) => Message::Binary(bytes),
            Told::Ping => Message::Ping(Bytes::from_static(b"sim")),
            Told::Close(code, reason) => {
                close(socket, code, &reason).await;
                return false;
            }
            Told::Sent | Told::Taken | Told::Missed => continue,
        };
        if socket.send(message).await.is_err() {
            return false;
        }
    }
    true
}

async fn close(socket: &mut WebSocket, code: u16, reason: &str) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    if let Err(error) = socket.send(Message::Close(Some(frame))).await {
        tracing::debug!(%error, "a line was gone before it was closed");
        return;
    }
    // The other side answers with a close of its own (RFC 6455 §5.5.1). Until then what it sent is read: a connection that is let
    // go of with something unread is reset, and the other side may never see why.
    let answered = async {
        while let Some(Ok(message)) = socket.recv().await {
            if matches!(message, Message::Close(_)) {
                return;
            }
        }
    };
    if tokio::time::timeout(CLOSE_WAIT, answered).await.is_err() {
        tracing::debug!("a line was closed and its other side did not answer");
    }
}
