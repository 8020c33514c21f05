//! Thousands of messages to fifty users on every wire, while connections are cut, clients stop reading or stay away, senders
//! ask again, and the server is killed: each user has every message that was taken once, in order, and nothing of others.

mod inbox;
mod line;
mod reader;
mod rooms;
mod sender;
mod socket_io;

use std::collections::HashMap;

use anser_core::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::{JoinSet, block_in_place};

use self::inbox::{Inbox, name, said};
use self::line::{Cut, Hello, Line, Place};
use self::reader::Reader;
use self::sender::{Letter, Sender};
use super::World;
use super::client::{Client, soon};
use crate::harness::{Api, DEADLINE};

/// Every wire.
const WIRES: [&str; 5] = ["ws", "tcp", "sse", "poll", "socket.io"];
/// Users who get messages.
const USERS: usize = 50;
/// Of these the first see the presence of the one behind.
const WATCHERS: usize = 10;
/// Who sends: the even ones by the HTTP API, the odd ones as live users.
const SENDERS: usize = 10;
/// How many messages; the full measure is 10,000. Absent: as many as take seconds.
const MESSAGES_VARIABLE: &str = "ANSER_LIVE_MESSAGES";
const MESSAGES: usize = 1_000;
/// What all decisions come from; the same seed cuts, starves and kills alike, as far as the machine does.
const SEED_VARIABLE: &str = "ANSER_LIVE_SEED";
const SEED: u64 = 20_261_123;
/// How often the server is killed.
const KILLS: usize = 4;

fn variable<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    let text = std::env::var(name).ok();
    text.map_or(otherwise, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number"))
    })
}

/// Chance that can be had again (Steele and others, "Fast Splittable Pseudorandom Number Generators", 2014).
struct Dice(u64);

impl Dice {
    /// One of its own for a task.
    fn of(seed: u64, task: u64) -> Self {
        let mut dice = Self(seed ^ task.wrapping_mul(0xd134_2543_de82_ef95));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn one_in(&mut self, often: usize) -> bool {
        self.below(often) == 0
    }
}

/// Whether the server runs, and for which time.
#[derive(Clone, Copy, PartialEq)]
struct Up {
    run: usize,
    is_up: bool,
}

/// What all tasks see.
#[derive(Clone)]
struct Scene {
    seed: u64,
    place: Place,
    up: watch::Receiver<Up>,
    /// Messages that were confirmed, of so many.
    accepted: watch::Sender<usize>,
    total: usize,
    /// What each user misses.
    missing: watch::Sender<HashMap<usize, String>>,
}

impl Scene {
    /// Of a server that runs; and who says that it does.
    fn of(world: &World, seed: u64, total: usize) -> (Self, watch::Sender<Up>) {
        let host = world.server.base().strip_prefix("http://").unwrap();
        let place = Place {
            host: host.to_owned(),
            tcp: world.tcp.clone(),
            api: Api::new(world.server.base(), None),
        };
        let (up, is_up) = watch::channel(Up {
            run: 0,
            is_up: true,
        });
        let scene = Self {
            seed,
            place,
            up: is_up,
            accepted: watch::Sender::new(0),
            total,
            missing: watch::Sender::new(HashMap::new()),
        };
        (scene, up)
    }

    /// Waits until the server runs; answers for which time.
    async fn run(&self) -> usize {
        let mut up = self.up.clone();
        soon("the server is up", async {
            up.wait_for(|up| up.is_up).await.unwrap().run
        })
        .await
    }

    /// Whether it is still that time.
    fn is_run(&self, run: usize) -> bool {
        *self.up.borrow() == Up { run, is_up: true }
    }

    /// Waits until so many more messages are taken, or all.
    async fn more(&self, count: usize) {
        let wanted = (*self.accepted.borrow() + count).min(self.total);
        self.until(wanted).await;
    }

    async fn until(&self, wanted: usize) {
        let mut accepted = self.accepted.subscribe();
        let mut last = *accepted.borrow();
        while last < wanted {
            // Each step has the deadline, not all of them together.
            soon("another message is taken", accepted.changed())
                .await
                .unwrap();
            last = *accepted.borrow();
        }
    }

    /// Connects as a user; answers in which run of the server, and what it said first.
    async fn open(
        &self,
        wire: &str,
        token: &str,
        after: Option<u64>,
    ) -> Result<(Line, usize, Value), Cut> {
        let run = self.run().await;
        let hello = Hello {
            token,
            resource: "phone",
            after,
        };
        let opened = async {
            let mut line = Line::open(wire, &self.place, &hello).await?;
            let welcome = line.next().await?;
            Ok((line, welcome))
        };
        let (line, welcome) = soon("a connection", opened).await?;
        if welcome["op"] == "closed" || !self.is_run(run) {
            return Err(Cut);
        }
        assert_eq!(welcome["kind"], "welcome", "{welcome}");
        Ok((line, run, welcome))
    }

    /// What comes next; `None` when the wait was cut and the session goes on. Who waits for long is cut too, so that an idle
    /// connection does not stay for ever.
    async fn next(&self, line: &mut Line, dice: &mut Dice) -> Result<Option<Value>, Cut> {
        let more = self.more(1 + dice.below(100));
        tokio::select! {
            frame = line.next() => frame.map(Some),
            // All is taken: it comes, or the test fails.
            () = more, if *self.accepted.borrow() < self.total => {
                if line.survives_a_cut() { Ok(None) } else { Err(Cut) }
            }
        }
    }

    fn count_accepted(&self) {
        self.accepted.send_modify(|count| *count += 1);
    }
}

/// What each sender has to say, and what is owed to each user.
fn letters(total: usize, dice: &mut Dice) -> (Vec<Vec<Letter>>, Vec<[usize; SENDERS]>) {
    let mut owed = vec![[0; SENDERS]; USERS];
    let mut letters: Vec<Vec<Letter>> = (0..SENDERS).map(|_| Vec::new()).collect();
    for n in 0..total {
        let (sender, user) = (n % SENDERS, dice.below(USERS));
        letters[sender].push(Letter {
            to: format!("user:{}", name(user)),
            text: said(sender, user, owed[user][sender]),
        });
        owed[user][sender] += 1;
    }
    (letters, owed)
}

/// Lets the first users see the presence of the one behind them.
async fn befriend(world: &World, tokens: &[String]) {
    for watcher in 0..WATCHERS {
        let watched = watcher + 1;
        let mut one = Client::open("ws", world, &tokens[watcher], None).await;
        let mut other = Client::open("ws", world, &tokens[watched], None).await;
        let ask = json!({"op": "presence.subscribe", "principal": name(watched)});
        one.done(ask).await;
        let approve = json!({"op": "presence.approve", "principal": name(watcher)});
        other.done(approve).await;
    }
}

/// Kills the server now and then while messages are taken.
async fn torment(
    world: World,
    scene: &Scene,
    up: watch::Sender<Up>,
    mut moments: Vec<usize>,
) -> World {
    moments.sort_unstable();
    let mut world = world;
    for moment in moments {
        scene.until(moment).await;
        up.send_modify(|up| up.is_up = false);
        world = again(world.server.kill().await, world.tcp, &scene.place.host);
        up.send_modify(|up| {
            up.run += 1;
            up.is_up = true;
        });
    }
    world
}

/// Starts a server where one was.
fn again(options: crate::harness::ServerOptions, tcp: String, host: &str) -> World {
    let options = options.listen_on(host);
    let server = block_in_place(|| options.start());
    World {
        server,
        options,
        tcp,
    }
}

/// Everybody says that everything arrived; then nothing waits for anybody, also after the server has stopped in order.
async fn nothing_waits(world: World, scene: &Scene, inboxes: &[Inbox], tokens: &[String]) -> World {
    for inbox in inboxes {
        let (wire, token) = (WIRES[inbox.user % WIRES.len()], &tokens[inbox.user]);
        let opened = scene.open(wire, token, inbox.high).await;
        let (line, ..) = opened.unwrap();
        line.goodbye().await;
    }
    let (status, options) = world.server.stop().await;
    assert!(status.success());
    let world = again(options, world.tcp, &scene.place.host);
    for (user, token) in tokens.iter().enumerate() {
        let opened = scene.open(WIRES[user % WIRES.len()], token, None).await;
        let (_, _, welcome) = opened.unwrap();
        assert_eq!(welcome["data"]["waiting"], 0, "{}: {welcome}", name(user));
    }
    world
}

async fn tokens(world: &World, prefix: &str, count: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for n in 0..count {
        tokens.push(world.token(&format!("{prefix}{n}")).await);
    }
    tokens
}

/// Waits for all readers; who misses something when nothing comes any more is named.
async fn gather<T: 'static>(mut readers: JoinSet<T>, scene: &Scene) -> Vec<T> {
    let mut inboxes = Vec::new();
    let mut missing = scene.missing.subscribe();
    loop {
        tokio::select! {
            inbox = readers.join_next() => match inbox {
                Some(inbox) => inboxes.push(inbox.unwrap()),
                None => return inboxes,
            },
            came = tokio::time::timeout(DEADLINE, missing.changed()) => {
                let Ok(Ok(())) = came else {
                    panic!("nothing comes any more: {:#?}", missing.borrow());
                };
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_every_user_has_every_message_once_and_in_order() {
    let (total, seed) = (
        variable(MESSAGES_VARIABLE, MESSAGES),
        variable(SEED_VARIABLE, SEED),
    );
    eprintln!("{SEED_VARIABLE}={seed} {MESSAGES_VARIABLE}={total}");
    let clock = SystemClock::new();
    let mut dice = Dice::of(seed, 2_000);
    let world = World::start().await;
    let users = tokens(&world, "u", USERS).await;
    let desks = tokens(&world, "s", SENDERS).await;
    befriend(&world, &users).await;
    let (scene, up) = Scene::of(&world, seed, total);
    let (letters, owed) = letters(total, &mut dice);
    let mut readers = JoinSet::new();
    for (user, owed) in owed.into_iter().enumerate() {
        let reader = Reader::new(&scene, user, users[user].clone(), owed);
        readers.spawn(reader.read_all());
    }
    let mut senders = JoinSet::new();
    for (number, letters) in letters.into_iter().enumerate() {
        let sender = Sender::new(&scene, number, desks[number].clone());
        senders.spawn(sender.send_all(letters));
    }
    let moments = (0..KILLS).map(|_| total / 10 + dice.below(total * 8 / 10));
    let sent = async {
        while let Some(sent) = senders.join_next().await {
            sent.unwrap();
        }
    };
    let (world, ()) = tokio::join!(torment(world, &scene, up, moments.collect()), sent);
    let inboxes = gather(readers, &scene).await;
    let cuts: usize = inboxes.iter().map(|inbox| inbox.cuts).sum();
    let again: usize = inboxes.iter().map(|inbox| inbox.again).sum();
    let presences: usize = inboxes.iter().map(|inbox| inbox.presences).sum();
    assert!(inboxes.iter().all(Inbox::is_complete) && presences > 0 && again > 0);
    let world = nothing_waits(world, &scene, &inboxes, &users).await;
    eprintln!(
        "{total} messages to {USERS} users in {:.1?} with {KILLS} kills and {cuts} cuts: {again} came again, marked; {presences} presences of those \
         who may be seen; 0 lost, 0 out of order, 0 of others",
        clock.monotonic()
    );
    drop(world);
}
