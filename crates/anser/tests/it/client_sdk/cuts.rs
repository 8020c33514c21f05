//! The SDK behind a line that is cut at any byte, in both directions, again and again.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anser_client::{Live, LiveBuilder, Message, Outgoing};
use anser_core::random::{Random, SeededRandom};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{World, soon, source};

const MESSAGES: u64 = 600;
/// A line carries so many bytes at most before it breaks.
const BYTES_MAX: u64 = 40_000;
/// Lines that break meanwhile, or nothing was shown.
const CUTS_MIN: usize = 20;
/// Messages that the reader leaves unacknowledged, in no order.
const HELD_MAX: usize = 8;

/// A line to the server that breaks after some bytes. What was on its way then is lost.
async fn line(
    server: String,
    listener: TcpListener,
    random: Arc<SeededRandom>,
    opened: &AtomicUsize,
) {
    let mut lines = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        opened.fetch_add(1, Ordering::Relaxed);
        let upstream = TcpStream::connect(&server).await.unwrap();
        let left = || usize::try_from(random.next_u64() % BYTES_MAX).unwrap();
        let (up, down) = (left(), left());
        lines.spawn(async move {
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = upstream.into_split();
            tokio::select! {
                () = carry(from_client, to_server, up) => {}
                () = carry(from_server, to_client, down) => {}
            }
        });
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut left: usize) {
    let mut piece = [0; 4_096];
    while let Ok(read) = from.read(&mut piece).await
        && read > 0
    {
        let carried = read.min(left);
        left -= carried;
        if to.write_all(&piece[..carried]).await.is_err() || left == 0 {
            return;
        }
    }
}

/// Reads until the last message, acknowledging late and in no order; answers the numbers in the order in which they came.
async fn read(live: &mut Live, random: &SeededRandom) -> Vec<u64> {
    let mut held: VecDeque<Message> = VecDeque::new();
    let mut numbers = Vec::new();
    while numbers.last() != Some(&MESSAGES) {
        let message = live.next_message().await.unwrap().unwrap();
        numbers.push(message.data().unwrap());
        held.push_back(message);
        while held.len() > HELD_MAX {
            let place = usize::try_from(random.next_u64()).unwrap_or(0) % held.len();
            held.swap_remove_back(place).unwrap().ack();
        }
    }
    for message in held {
        message.ack();
    }
    numbers
}

async fn write(live: &Live) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for number in 1..=MESSAGES {
        let message = Outgoing::data(&number).unwrap().to("user:ann");
        let confirm = live.handle().publish(message).await.unwrap();
        ids.insert(confirm.id.to_string());
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_cut_each_message_is_accepted_once_and_comes_once_in_order() {
    let world = World::start().await;
    let random = Arc::new(SeededRandom::new(20_261_123));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broken = format!("http://{}", listener.local_addr().unwrap());
    let server = world.base.strip_prefix("http://").unwrap().to_owned();
    let opened = AtomicUsize::new(0);
    let lines = line(server, listener, Arc::clone(&random), &opened);
    let client = |user: &str| {
        let credential = source(&world.base, user, 60);
        let builder = LiveBuilder::new(&broken).credential(credential);
        builder
            .resource("one")
            .connect_within(Duration::from_secs(60))
    };
    let work = async {
        let (ann, bob) = tokio::join!(client("ann").connect(), client("bob").connect());
        let (mut ann, bob) = (ann.unwrap(), bob.unwrap());
        let (numbers, ids) = tokio::join!(read(&mut ann, &random), write(&bob));
        assert_eq!(numbers, (1..=MESSAGES).collect::<Vec<_>>());
        assert_eq!(ids.len() as u64, MESSAGES, "each has its own confirm");
    };
    tokio::select! {
        () = soon("every message", work) => {}
        () = lines => {}
    }
    let opened = opened.load(Ordering::Relaxed);
    assert!(opened >= CUTS_MIN, "{opened} lines");
}
