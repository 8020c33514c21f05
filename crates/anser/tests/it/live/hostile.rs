//! Very many who take and give nothing, at once and from many addresses: they are closed with a reason, the server keeps
//! its memory and its files within bounds and gives them back, and two users who chat meanwhile do not notice.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::client::{Client, framed, read_frame, soon};
use super::{World, arrived, say, text};
use crate::blobs_cli::memory_peak;
use crate::harness::{Server, eventually};

/// Connections that never say who they are.
const HALF_OPEN: usize = 10_000;
/// Addresses from which they come: few enough of each for the limit of one address, too many for that of all.
const ADDRESSES: usize = 16;
/// Waves in which they come.
const WAVES: usize = 4;
/// Connections made at a time, below what waits to be accepted.
const AT_ONCE: usize = 128;
/// What the server may need for them at most, in KiB. Of the 6,600 that it lets stand at a time each takes some 12 KiB in a
/// build for tests.
const HALF_OPEN_KIB: u64 = 160 * 1024;
/// What may be left of it afterwards, in KiB: memory that the allocator keeps, not what grows with every attack.
const LEFT_KIB: u64 = 48 * 1024;
/// Files that may be open afterwards beside those before, for requests of the test itself.
const FILES_SLACK: usize = 16;
/// Within which a message between two users arrives, whatever the others do.
const MESSAGE_WITHIN: Duration = Duration::from_secs(5);
/// Between two messages of the users who chat.
const MESSAGE_EVERY: Duration = Duration::from_millis(20);

/// How a connection stops half-way.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Half {
    /// It says nothing.
    Silent,
    /// It begins a frame.
    Frame,
    /// It begins a request.
    Request,
    /// It upgrades to a WebSocket and says nothing on it.
    Upgrade,
}

const HALVES: [Half; 4] = [Half::Silent, Half::Frame, Half::Request, Half::Upgrade];

impl Half {
    fn sends(self) -> &'static [u8] {
        match self {
            Self::Silent => b"",
            Self::Frame => b"\0\0\0\x40{\"op\":\"auth\"",
            Self::Request => b"GET /ws HTTP/1.1\r\nhost: localhost\r\nupgr",
            Self::Upgrade => {
                b"GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            }
        }
    }

    /// Whether it was told why it was closed, by what it was sent.
    fn is_told(self, sent: &[u8]) -> bool {
        let says = |word: &str| String::from_utf8_lossy(sent).contains(word);
        match self {
            Self::Silent | Self::Frame => {
                says("\"closed\"") && (says("auth_timeout") || says("too many connections"))
            }
            // HTTP has no word for it: a request that never comes has no answer.
            Self::Request => sent.is_empty(),
            Self::Upgrade => {
                says("101 Switching") && says("auth_timeout")
                    || says("429 ") && says("too_many_connections")
            }
        }
    }
}

/// The process of the tests may hold as many connections as it needs.
fn raise_descriptor_limit() {
    let most = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

/// What the process has in memory, in KiB.
fn memory(server: &Server) -> u64 {
    let path = format!("/proc/{}/status", server.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(path).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|resident| resident.split_whitespace().next());
    resident.unwrap().parse().unwrap()
}

/// Files that the process has open.
fn files(server: &Server) -> usize {
    let path = format!("/proc/{}/fd", server.pid().as_raw_nonzero());
    std::fs::read_dir(path).unwrap().count()
}

async fn attack(world: &World, number: usize) -> (Half, TcpStream) {
    let half = HALVES[number % HALVES.len()];
    let to = match half {
        Half::Silent | Half::Frame => &world.tcp,
        Half::Request | Half::Upgrade => world.server.base().strip_prefix("http://").unwrap(),
    };
    let last = u8::try_from(1 + number / HALVES.len() % ADDRESSES).unwrap();
    let mut stream = connect_from([127, 0, 1, last], to.parse().unwrap()).await;
    // One that is refused at once may be gone already.
    drop(stream.write_all(half.sends()).await);
    (half, stream)
}

async fn connect_from(address: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((address, 0).into()).unwrap();
    soon("a connection", socket.connect(to)).await.unwrap()
}

/// Two users talk until it is over; each message comes in order and in time. Answers how many there were.
async fn chat(ann: &mut Client, bob: &mut Client, over: &Cell<bool>) -> usize {
    let mut pace = tokio::time::interval(MESSAGE_EVERY);
    let mut said = 0;
    while !over.get() {
        pace.tick().await;
        let one = async {
            bob.done(say("user:ann", &said.to_string())).await;
            ann.next_of("message").await
        };
        let event = tokio::time::timeout(MESSAGE_WITHIN, one).await;
        let event = event.unwrap_or_else(|_| panic!("message {said} was late"));
        assert_eq!(text(&event), said.to_string());
        ann.done(arrived(&event)).await;
        said += 1;
    }
    said
}

#[tokio::test]
async fn ten_thousand_half_open_connections_are_closed_and_nobody_notices() {
    raise_descriptor_limit();
    let world = World::start().await;
    let server = &world.server;
    let mut ann = Client::open("ws", &world, &world.token("ann").await, None).await;
    let mut bob = Client::open("tcp", &world, &world.token("bob").await, None).await;
    let (memory_before, files_before) = (memory(server), files(server));
    let over = Cell::new(false);
    let attacked = async {
        let mut ends = Vec::with_capacity(HALF_OPEN);
        for wave in 0..WAVES {
            let numbers = (wave * HALF_OPEN / WAVES)..((wave + 1) * HALF_OPEN / WAVES);
            let wave = stream::iter(numbers).map(|number| attack(&world, number));
            ends.extend(wave.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
            // Programs are served all the while.
            let (status, _) = soon("an answer", server.api().get("/v1/topics")).await;
            assert_eq!(status, 200);
        }
        let ends = stream::iter(ends).map(|(half, mut stream)| async move {
            let mut sent = Vec::new();
            // A reset ends it too.
            drop(soon("the end", stream.read_to_end(&mut sent)).await);
            (half, sent)
        });
        let ends: Vec<_> = ends.buffer_unordered(HALF_OPEN).collect().await;
        over.set(true);
        ends
    };
    let (ends, said) = tokio::join!(attacked, chat(&mut ann, &mut bob, &over));
    for (half, sent) in &ends {
        let shown = String::from_utf8_lossy(sent);
        assert!(half.is_told(sent), "{half:?}: {shown:?}");
    }
    assert_eq!(ends.len(), HALF_OPEN);
    assert!(said > 50, "only {said} messages in all that time");
    let grown = memory_peak(server).saturating_sub(memory_before);
    assert!(grown < HALF_OPEN_KIB, "{grown} KiB for half-open ones");
    eventually("files are closed", || async {
        (files(server) <= files_before + FILES_SLACK).then_some(())
    })
    .await;
    eventually("memory is given back", || async {
        (memory(server) <= memory_before + LEFT_KIB).then_some(())
    })
    .await;
    println!(
        "half-open: {memory_before} KiB before, {grown} more at the most, {} after, {said} messages",
        memory(server)
    );
    // Whoever comes now comes in.
    Client::open("tcp", &world, &world.token("eve").await, None).await;
}

/// Sessions that take what they are sent badly.
const BAD_READERS: usize = 40;
/// Messages of the flood, and their size in bytes: 24 MiB in all.
const FLOOD: usize = 60;
const FLOOD_BYTES: usize = 400_000;
/// What one of them may cost the server, in KiB: the bytes that wait to be sent, one message over, and what is under way.
const BAD_READER_KIB: u64 = 1_024;
/// What the server itself may need for the flood, in KiB.
const FLOOD_KIB: u64 = 64 * 1024;

#[tokio::test]
async fn who_does_not_read_and_who_does_not_acknowledge_cost_a_bounded_amount_of_memory() {
    let world = World::start().await;
    let api = world.server.api();
    api.make("/v1/topics", &json!({"name": "flood"})).await;
    let rights = json!({"rights": {"read": ["flood"], "send": ["user:*"]}});
    let (status, _) = api.patch("/v1/issuers/app", &rights).await;
    assert_eq!(status, 200);
    let mut deaf = Vec::new();
    let mut mute = Vec::new();
    for n in 0..BAD_READERS / 2 {
        let token = world.token(&format!("deaf-{n}")).await;
        let mut stream = TcpStream::connect(&world.tcp).await.unwrap();
        for frame in [
            json!({"op": "auth", "token": token}),
            json!({"op": "subscribe", "topic": "flood", "after": "0"}),
        ] {
            let bytes = framed(frame.to_string().as_bytes());
            stream.write_all(&bytes).await.unwrap();
        }
        deaf.push(stream);
        let token = world.token(&format!("mute-{n}")).await;
        let mut client = Client::open("ws", &world, &token, None).await;
        client
            .done(json!({"op": "subscribe", "topic": "flood"}))
            .await;
        mute.push(client);
    }
    let mut ann = Client::open("ws", &world, &world.token("ann").await, None).await;
    ann.done(json!({"op": "subscribe", "topic": "flood"})).await;
    let before = memory(&world.server);
    let padding = "x".repeat(FLOOD_BYTES);
    for n in 0..FLOOD {
        let body = json!({"body": {"data": {"text": n.to_string(), "padding": padding}}});
        api.make("/v1/topics/flood/messages", &body).await;
        let event = tokio::time::timeout(MESSAGE_WITHIN, ann.next_of("message")).await;
        let event = event.unwrap_or_else(|_| panic!("message {n} was late"));
        assert_eq!(text(&event), n.to_string());
        ann.done(arrived(&event)).await;
    }
    // Who never acknowledges is given a window, and no more, however long it reads.
    for client in &mut mute {
        let mut given = 0;
        while given * FLOOD_BYTES < 1024 * 1024 {
            assert_eq!(text(&client.next_of("message").await), given.to_string());
            given += 1;
        }
        client.done(json!({"op": "ping"})).await;
        assert!(
            client.has_nothing_more(),
            "it was given more than its window"
        );
    }
    let (_, sessions) = api.get("/v1/sessions").await;
    let sessions = sessions["items"].as_array().unwrap();
    assert_eq!(sessions.len(), BAD_READERS + 1, "they are paused, not gone");
    for session in sessions {
        let unsent = session["unsent_bytes"].as_u64().unwrap();
        assert!(unsent <= 1024 * 1024, "{session}");
    }
    let grown = memory_peak(&world.server).saturating_sub(before);
    let most = FLOOD_KIB + BAD_READERS as u64 * BAD_READER_KIB;
    println!("bad readers: {before} KiB before, {grown} more at the most of {most}");
    assert!(grown < most, "{grown} KiB for {BAD_READERS} bad readers");
    closed_as_slow(&mut ann, &mut deaf).await;
}

/// What is not stored cannot wait elsewhere: who lets too much of it wait is closed, and told why when it reads at last.
async fn closed_as_slow(ann: &mut Client, deaf: &mut [TcpStream]) {
    let padding = "x".repeat(FLOOD_BYTES);
    // More than the buffers of its connection take.
    for _ in 0..FLOOD {
        let message =
            json!({"header": {"to": ["user:deaf-0"]}, "body": {"data": {"text": padding}}});
        ann.done(json!({"op": "publish", "transient": true, "message": message}))
            .await;
    }
    let last = soon("the end", async {
        let mut last = Value::Null;
        while let Some(frame) = read_frame(&mut deaf[0]).await {
            if !frame.is_empty() {
                last = serde_json::from_slice(&frame).unwrap();
            }
        }
        last
    })
    .await;
    assert_eq!(
        (&last["op"], &last["reason"]),
        (&json!("closed"), &json!("slow"))
    );
    ann.done(say("user:ann", "still here")).await;
    assert_eq!(text(&ann.next_of("message").await), "still here");
}
