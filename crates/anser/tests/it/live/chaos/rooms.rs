//! A room while everything breaks: each member hears everything once and in order, going on from where it was; who is no
//! member hears nothing, however often it asks.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::super::World;
use super::super::client::soon;
use super::inbox::said;
use super::line::{Cut, Line};
use super::sender::{Letter, Sender};
use super::{Dice, MESSAGES, MESSAGES_VARIABLE, SEED, SEED_VARIABLE, SENDERS, Scene, WIRES};
use super::{gather, tokens, torment, variable};

const ROOM: &str = "team";
const MEMBERS: usize = 12;
/// Who are no members.
const STRANGERS: usize = 4;
const KILLS: usize = 2;

fn stream() -> String {
    format!("room:{ROOM}")
}

/// Asks, and waits for the answer; what comes before it goes to `came`.
async fn ask(line: &mut Line, frame: Value, mut came: impl FnMut(Value)) -> Result<Value, Cut> {
    let mark = line.ask(frame).await?;
    let answered = async {
        loop {
            let frame = line.next().await?;
            if frame["ref"] == mark.as_str() {
                return Ok(frame);
            }
            if frame["op"] == "closed" {
                return Err(Cut);
            }
            came(frame);
        }
    };
    soon("an answer", answered).await
}

/// A member, whose connections are cut.
struct Member {
    scene: Scene,
    number: usize,
    token: String,
    dice: Dice,
    /// Which message of each sender comes next, and how many there are.
    next: [usize; SENDERS],
    owed: [usize; SENDERS],
    /// The offset of the last.
    at: u64,
}

impl Member {
    async fn hear_all(mut self) {
        while self.next != self.owed {
            let missing = format!("got {:?} of {:?}", self.next, self.owed);
            self.scene.missing.send_modify(|all| {
                all.insert(self.number, missing);
            });
            // A connection that is cut is what this is about.
            drop(self.stay().await);
        }
        self.scene.missing.send_modify(|all| {
            all.remove(&self.number);
        });
    }

    async fn stay(&mut self) -> Result<(), Cut> {
        let wire = WIRES[self.number % WIRES.len()];
        let (mut line, ..) = self.scene.open(wire, &self.token, None).await?;
        let after = self.at.to_string();
        let subscribe = json!({"op": "subscribe", "room": ROOM, "after": after});
        let mut early = Vec::new();
        let answer = ask(&mut line, subscribe, |frame| early.push(frame)).await?;
        if answer["code"] == "session_closed" {
            return Err(Cut);
        }
        assert_eq!(answer["op"], "ok", "{answer}");
        for frame in early {
            self.take(&frame)?;
        }
        let until_cut = self.dice.below(100);
        for _ in 0..until_cut {
            if self.next == self.owed {
                break;
            }
            let Some(frame) = self.scene.next(&mut line, &mut self.dice).await? else {
                continue;
            };
            self.take(&frame)?;
            if self.dice.one_in(10) {
                let up_to = self.at.to_string();
                let ack = json!({"op": "ack", "stream": stream(), "up_to": up_to});
                line.ask(ack).await?;
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: &Value) -> Result<(), Cut> {
        match frame["op"].as_str().unwrap() {
            "message" => {}
            "closed" => return Err(Cut),
            "ok" | "ib" => return Ok(()),
            _ => panic!("{frame}"),
        }
        assert_eq!(frame["stream"], stream().as_str(), "{frame}");
        let offset: u64 = frame["offset"].as_str().unwrap().parse().unwrap();
        assert!(offset > self.at, "twice: {frame}");
        self.at = offset;
        let text = frame["message"]["body"]["data"]["text"].as_str().unwrap();
        let words: Vec<usize> = text.split(' ').map(|word| word.parse().unwrap()).collect();
        let (sender, number) = (words[0], words[2]);
        assert_eq!(number, self.next[sender], "out of order: {frame}");
        self.next[sender] += 1;
        Ok(())
    }
}

/// Somebody who wants to hear what is not theirs, as long as anything is said.
async fn spy(scene: Scene, number: usize, token: String) -> usize {
    let wire = WIRES[number % WIRES.len()];
    let mut refusals = 0;
    while *scene.accepted.borrow() < scene.total {
        let tried = async {
            let (mut line, ..) = scene.open(wire, &token, None).await?;
            let nothing = |frame: Value| assert_eq!(frame["op"], "ib", "{frame}");
            for frame in [
                json!({"op": "subscribe", "room": ROOM, "after": "0"}),
                json!({"op": "subscribe", "topic": format!("$room/{ROOM}"), "after": "0"}),
                json!({"op": "publish", "message": {"header": {"to": [stream()]}, "body": {"data": {"text": "0 0 0"}}}}),
            ] {
                let answer = ask(&mut line, frame, nothing).await?;
                let code = answer["code"].as_str().unwrap_or_default();
                assert!(
                    matches!(
                        code,
                        "room_not_allowed"
                            | "address_not_allowed"
                            | "topic_not_allowed"
                            | "session_closed"
                    ),
                    "{answer}"
                );
            }
            scene.more(20).await;
            // Whatever was to come came before this answer.
            ask(&mut line, json!({"op": "ping"}), nothing).await
        };
        refusals += usize::from(tried.await.is_ok());
    }
    refusals
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_members_hear_everything_once_and_others_nothing() {
    let total = variable(MESSAGES_VARIABLE, MESSAGES) / 4;
    let seed = variable(SEED_VARIABLE, SEED);
    eprintln!("{SEED_VARIABLE}={seed}, {total} to a room");
    let mut dice = Dice::of(seed, 3_000);
    let world = World::start().await;
    let members: Vec<String> = (0..MEMBERS).map(|n| format!("m{n}")).collect();
    let room = json!({"name": ROOM, "members": members});
    world.server.api().make("/v1/rooms", &room).await;
    let heard = tokens(&world, "m", MEMBERS).await;
    let strange = tokens(&world, "x", STRANGERS).await;
    let (scene, up) = Scene::of(&world, seed, total);
    let mut owed = [0; SENDERS];
    let mut letters: HashMap<usize, Vec<Letter>> = HashMap::new();
    for n in 0..total {
        let sender = n % SENDERS;
        letters.entry(sender).or_default().push(Letter {
            to: stream(),
            text: said(sender, 0, owed[sender]),
        });
        owed[sender] += 1;
    }
    let (mut hearing, mut spying, mut sending) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
    for (number, token) in heard.iter().enumerate() {
        let member = Member {
            scene: scene.clone(),
            number,
            token: token.clone(),
            dice: Dice::of(seed, number as u64),
            next: [0; SENDERS],
            owed,
            at: 0,
        };
        hearing.spawn(member.hear_all());
    }
    for (number, token) in strange.into_iter().enumerate() {
        spying.spawn(spy(scene.clone(), number, token));
    }
    for (number, letters) in letters {
        let sender = Sender::new(&scene, number, heard[number].clone());
        sending.spawn(sender.send_all(letters));
    }
    let moments = (0..KILLS).map(|_| total / 10 + dice.below(total * 8 / 10));
    let (world, _) = tokio::join!(torment(world, &scene, up, moments.collect()), async {
        sending.join_all().await
    });
    gather(hearing, &scene).await;
    let refusals: usize = spying.join_all().await.iter().sum();
    assert!(refusals > 0);
    drop(world);
}
