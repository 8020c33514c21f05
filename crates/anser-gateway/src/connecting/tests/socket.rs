//! A connection over a real WebSocket: frames become events and are acknowledged, in order, and the sender of too many waits.

use std::sync::Mutex;

use anser_core::connection::{Action, Again, Connection, Frame, Input, Loss, Recovery};
use anser_core::inbound::InboundContext;
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderMap;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use super::script::event;
use super::*;
use crate::sender::{AddressGuard, GuardOptions, Sender, SenderOptions, SystemResolver};

/// Takes each text for the key of an event, and answers with it once that is stored.
struct Echo {
    url: Url,
}

struct Echoing {
    url: Url,
    keys: Vec<String>,
}

impl Connector for Echo {
    fn begin(&self, _: Option<&[u8]>) -> Box<dyn Connection> {
        Box::new(Echoing {
            url: self.url.clone(),
            keys: Vec::new(),
        })
    }

    fn silence_max(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn remember(&self) -> Duration {
        Duration::from_secs(60)
    }
}

impl Connection for Echoing {
    fn handle(&mut self, input: Input, context: &InboundContext<'_>) -> Vec<Action> {
        match input {
            Input::Begin => vec![Action::Open {
                url: self.url.clone(),
                headers: HeaderMap::new(),
            }],
            Input::Opened => vec![Action::Live {
                session: None,
                recovery: Recovery::Redelivered,
            }],
            Input::Frame(Frame::Text(key)) => {
                self.keys.push(key);
                let key = &self.keys[self.keys.len() - 1];
                vec![Action::Take {
                    batch: self.keys.len() as u64,
                    events: vec![event(context, key)],
                }]
            }
            Input::Stored { batch } => {
                let key = self.keys[batch as usize - 1].clone();
                vec![Action::Send(Frame::Text(key))]
            }
            Input::NotOpened { response } => vec![lost(response.status.to_string())],
            Input::Closed { code, reason } => vec![lost(format!("{code:?} {reason}"))],
            _ => Vec::new(),
        }
    }
}

fn lost(detail: String) -> Action {
    Action::Lost {
        loss: Loss::Network,
        detail,
        again: Again::AtOnce,
    }
}

/// Sends so many events over two connections, of which the first is cut in the middle: what was not acknowledged comes again.
/// Answers how many were acknowledged.
async fn platform(listener: &TcpListener, sent: usize) -> usize {
    let mut next = 0;
    for cut in [Some(200), None] {
        let (stream, _) = listener.accept().await.unwrap();
        let socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let (mut out, mut back) = socket.split();
        let from = next;
        let sending = async {
            for number in from..sent {
                let frame = Message::Text(format!("e{number}").into());
                if out.send(frame).await.is_err() {
                    return;
                }
            }
            out.flush().await.unwrap();
            std::future::pending::<()>().await;
        };
        let answers = async {
            while cut.is_none_or(|cut| next < cut) && next < sent {
                let Some(Ok(Message::Text(key))) = back.next().await else {
                    panic!("every event is answered");
                };
                assert_eq!(key.as_str(), format!("e{next}"));
                next += 1;
            }
        };
        tokio::select! {
            () = sending => {}
            () = answers => {}
        }
    }
    next
}

#[tokio::test]
async fn frames_become_events_and_are_acknowledged_when_they_are_stored() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let (sent, told) = (500, Arc::new(Mutex::new(Vec::new())));
    let acknowledged = told.clone();
    let server = spawn(async move {
        let next = platform(&listener, sent).await;
        acknowledged.lock().unwrap().push(next);
    });
    let mut fixture = Fixture::new();
    fixture.topic("talk", json!({}));
    fixture.channel("shop", json!({}));
    fixture.subscription("talk", "all", json!({"channel": "shop"}));
    fixture.channel(
        "bot",
        json!({"inbound": {"topic": "talk", "via": "connection"}}),
    );
    let url = url.parse().unwrap();
    connect(&mut fixture, Arc::new(Echo { url }));
    let guard = AddressGuard::new(GuardOptions {
        allow_loopback: true,
        ..GuardOptions::default()
    });
    let options = SenderOptions::new(fixture.clock.clone(), Arc::new(SystemResolver::new()));
    let sender = Sender::new(SenderOptions { guard, ..options }).unwrap();
    Arc::get_mut(&mut fixture.gateway).unwrap().sender = Arc::new(sender);
    fixture.reload();
    let supervisor = spawn(supervise(fixture.gateway.clone()));
    let deadline = Duration::from_secs(30);
    tokio::time::timeout(deadline, server)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(*told.lock().unwrap(), [sent]);
    fixture.gateway.phase.send_replace(Phase::Stopping);
    supervisor.await.unwrap();
    let stored = fixture.stored().await;
    let keys: Vec<Value> = stored
        .iter()
        .map(|row| serde_json::from_slice::<Value>(&row.document).unwrap()["body"]["data"].take())
        .collect();
    let expected: Vec<Value> = (0..sent)
        .map(|number| json!(format!("e{number}")))
        .collect();
    assert_eq!(keys, expected, "each once, in order");
}
