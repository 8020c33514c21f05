//! The examples of `docs/guide/live.md` are played as they are written, line by line, against the real binary.

use std::collections::{HashMap, VecDeque};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::World;
use super::client::{soon, websocket};

/// The guide.
const PAGE: &str = include_str!("../../../../../docs/guide/live.md");

/// The guide's clients, and what the gateway gave them.
struct Play {
    world: World,
    clients: HashMap<String, Client>,
    /// What `M1` and the like stand for.
    known: HashMap<String, Value>,
}

struct Client {
    socket: WebSocketStream<TcpStream>,
    /// Frames that came and that no line told of yet.
    unread: VecDeque<Value>,
}

impl Client {
    async fn receive(&mut self) -> Value {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// The lines of all blocks of this kind.
fn lines(kind: &str) -> Vec<&'static str> {
    let (_, examples) = PAGE.split_once("## By example").unwrap();
    let open = format!("```{kind}\n");
    let blocks = examples.split(open.as_str()).skip(1);
    let blocks = blocks.filter_map(|block| block.split("```").next());
    blocks.flat_map(str::lines).collect()
}

/// A name that the gateway gives a value for: a capital letter and a digit.
fn stands_for_something(text: &str) -> bool {
    let mut characters = text.chars();
    let two = (characters.next(), characters.next(), characters.next());
    matches!(two, (Some(letter), Some(digit), None) if letter.is_ascii_uppercase() && digit.is_ascii_digit())
}

/// Whether a frame is what a line says; `known` learns what its names stand for.
fn fits(expected: &Value, frame: &Value, known: &mut HashMap<String, Value>) -> bool {
    match expected {
        Value::String(text) if text == "…" => !frame.is_null(),
        Value::String(text) if stands_for_something(text) => {
            let value = known.entry(text.clone()).or_insert_with(|| frame.clone());
            value == frame
        }
        Value::Object(members) => members
            .iter()
            .all(|(name, expected)| fits(expected, &frame[name], known)),
        Value::Array(items) => frame.as_array().is_some_and(|frames| {
            let pairs = items.iter().zip(frames);
            frames.len() == items.len()
                && pairs
                    .into_iter()
                    .all(|(one, other)| fits(one, other, known))
        }),
        other => other == frame,
    }
}

/// A frame with what its names stand for.
fn filled(value: &Value, known: &HashMap<String, Value>) -> Value {
    match value {
        Value::String(text) => known.get(text).unwrap_or(value).clone(),
        Value::Object(members) => {
            let filled = members
                .iter()
                .map(|(name, value)| (name.clone(), filled(value, known)));
            filled.collect()
        }
        Value::Array(items) => items.iter().map(|item| filled(item, known)).collect(),
        other => other.clone(),
    }
}

impl Play {
    async fn connect(&mut self, user: &str, after: Option<&str>) {
        let mut query = format!("token={}&resource=tab", self.world.token(user).await);
        if let Some(name) = after {
            query.push_str(&format!("&after={}", self.known[name].as_str().unwrap()));
        }
        let client = Client {
            socket: websocket(&self.world, &query).await.unwrap(),
            unread: VecDeque::new(),
        };
        self.clients.insert(user.to_owned(), client);
    }

    async fn send(&mut self, user: &str, frame: &str) {
        let frame = filled(&serde_json::from_str(frame).unwrap(), &self.known);
        let client = self.clients.get_mut(user).unwrap();
        client
            .socket
            .send(Message::text(frame.to_string()))
            .await
            .unwrap();
        // The next line may be another client's: it comes after this one.
        self.quiesce(user).await;
    }

    /// What the client sent is done: operations of one session are done one after the other.
    async fn quiesce(&mut self, user: &str) {
        let client = self.clients.get_mut(user).unwrap();
        let ping = r#"{"op":"ping","ref":"played"}"#;
        client.socket.send(Message::text(ping)).await.unwrap();
        soon("an answer to a ping", async {
            loop {
                let frame = client.receive().await;
                if frame["ref"] == "played" {
                    break;
                }
                client.unread.push_back(frame);
            }
        })
        .await;
    }

    async fn expect(&mut self, user: &str, line: &str) {
        let expected: Value = serde_json::from_str(line).unwrap();
        let client = self.clients.get_mut(user).unwrap();
        let known = &mut self.known;
        let mut takes = |frame: &Value| {
            let mut learned = known.clone();
            let fits = fits(&expected, frame, &mut learned);
            if fits {
                *known = learned;
            }
            fits
        };
        if let Some(place) = client.unread.iter().position(&mut takes) {
            client.unread.remove(place);
            return;
        }
        let came = soon(line, async {
            loop {
                let frame = client.receive().await;
                if takes(&frame) {
                    break;
                }
                client.unread.push_back(frame);
            }
        });
        came.await;
    }

    async fn kill(self) -> Self {
        let Self { world, known, .. } = self;
        let World { server, tcp, .. } = world;
        let options = server.kill().await;
        let server = options.start();
        let world = World {
            server,
            options,
            tcp,
        };
        Self {
            world,
            clients: HashMap::new(),
            known,
        }
    }
}

#[tokio::test]
async fn the_examples_go_as_they_are_written() {
    let world = World::start().await;
    let (status, _) = world.server.api().delete("/v1/issuers/app").await;
    assert_eq!(status, 204, "the guide makes its own");
    let mut commands = lines("sh").into_iter();
    let mut run = |world: &World, until: &str| {
        for line in commands.by_ref() {
            let words = crate::readme::words(line);
            let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
            world.server.anser(&words).ok();
            if line.starts_with(until) {
                return;
            }
        }
    };
    run(&world, "anser issuer create");
    let mut play = Play {
        world,
        clients: HashMap::new(),
        known: HashMap::new(),
    };
    let script = lines("live");
    assert!(script.len() > 50, "{script:?}");
    for line in script {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        match words.as_slice() {
            [user, "connects"] => play.connect(user, None).await,
            [user, "connects", rest] => {
                let after = rest.strip_prefix("after ").unwrap();
                play.connect(user, Some(after)).await;
            }
            ["the", "server", "is killed"] => play = play.kill().await,
            [user, "is", "cut"] => drop(play.clients.remove(*user)),
            [user, ">", frame] => play.send(user, frame).await,
            [user, "<", frame] => play.expect(user, frame).await,
            other => panic!("{other:?}"),
        }
    }
    run(&play.world, "anser issuer set");
    let (_, sessions) = play.world.server.api().get("/v1/sessions").await;
    assert_eq!(sessions["items"], serde_json::json!([]), "all were ended");
}
