//! Who reads: a user whose connections are cut, who stops reading, acknowledges as it likes, and stays away.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::inbox::Inbox;
use super::line::{Cut, Line};
use super::{Dice, SENDERS, Scene, WIRES};

/// A user whose connections are cut, who stops reading, acknowledges as it likes, and stays away.
pub(super) struct Reader {
    scene: Scene,
    user: usize,
    wire: &'static str,
    token: String,
    dice: Dice,
    inbox: Inbox,
}

/// How one connection goes.
struct Stay {
    run: usize,
    /// Events until it is cut.
    until_cut: usize,
    /// Events until the client stops reading for a while.
    until_starved: usize,
    /// One message in so many is acknowledged by itself.
    by_id: Option<usize>,
    /// After so many messages all are.
    up_to: Option<usize>,
    /// What is being acknowledged, by the mark of the request.
    asked: HashMap<String, Acknowledged>,
}

enum Acknowledged {
    One(String),
    UpTo(u64),
}

impl Reader {
    /// User `user`, to whom so many messages of each sender are owed.
    pub(super) fn new(scene: &Scene, user: usize, token: String, owed: [usize; SENDERS]) -> Self {
        Self {
            scene: scene.clone(),
            user,
            wire: WIRES[user % WIRES.len()],
            token,
            dice: Dice::of(scene.seed, user as u64),
            inbox: Inbox::new(user, owed),
        }
    }

    /// Reads until everything has come.
    pub(super) async fn read_all(mut self) -> Inbox {
        while !self.inbox.is_complete() {
            self.tell();
            if self.dice.one_in(12) {
                let away = self.scene.total / 5;
                self.scene.more(away).await;
            }
            // A connection that is cut is what this is about.
            drop(self.stay().await);
            self.inbox.cuts += 1;
        }
        self.scene.missing.send_modify(|missing| {
            missing.remove(&self.user);
        });
        self.inbox
    }

    fn tell(&self) {
        self.scene.missing.send_modify(|missing| {
            missing.insert(self.user, self.inbox.missing());
        });
    }

    async fn open(&mut self, after: Option<u64>) -> Result<(Line, usize), Cut> {
        let opened = self.scene.open(self.wire, &self.token, after).await?;
        let (line, run, _) = opened;
        if let Some(after) = after {
            self.inbox.acknowledged_up_to(after, run);
        }
        Ok((line, run))
    }

    async fn stay(&mut self) -> Result<(), Cut> {
        let after = match (self.inbox.high, self.dice.below(4)) {
            (None, _) | (_, 0) => None,
            // Less than it has: the rest comes again.
            (Some(high), 1) => Some(high.saturating_sub(self.dice.next() % 200)),
            (Some(high), _) => Some(high),
        };
        let (mut line, run) = self.open(after).await?;
        let mut stay = Stay {
            run,
            until_cut: self.dice.below(60),
            until_starved: self.dice.below(80),
            by_id: self.dice.one_in(2).then(|| 1 + self.dice.below(3)),
            up_to: self.dice.one_in(2).then(|| 1 + self.dice.below(20)),
            asked: HashMap::new(),
        };
        while !self.inbox.is_complete() {
            if stay.until_cut == 0 {
                break;
            }
            stay.until_cut -= 1;
            if stay.until_starved == 0 {
                let starved = 1 + self.dice.below(self.scene.total / 10);
                self.scene.more(starved).await;
            }
            stay.until_starved = stay.until_starved.wrapping_sub(1);
            let Some(frame) = self.scene.next(&mut line, &mut self.dice).await? else {
                continue;
            };
            self.take(&frame, &mut line, &mut stay).await?;
        }
        if self.dice.one_in(4) {
            line.goodbye().await;
        }
        Ok(())
    }

    async fn take(&mut self, frame: &Value, line: &mut Line, stay: &mut Stay) -> Result<(), Cut> {
        match frame["op"].as_str().unwrap() {
            "closed" => {
                let reason = frame["reason"].as_str().unwrap();
                assert!(matches!(reason, "lost" | "replaced" | "slow"), "{frame}");
                return Err(Cut);
            }
            "ok" => {
                match stay.asked.remove(frame["ref"].as_str().unwrap()) {
                    Some(Acknowledged::One(id)) => self.inbox.acknowledged(&id, stay.run),
                    Some(Acknowledged::UpTo(at)) => self.inbox.acknowledged_up_to(at, stay.run),
                    None => panic!("{frame}"),
                }
                return Ok(());
            }
            "error" => {
                // The session has ended meanwhile.
                assert_eq!(frame["code"], "session_closed", "{frame}");
                return Err(Cut);
            }
            _ => {}
        }
        let Some((id, offset)) = self.inbox.take(frame, stay.run) else {
            return Ok(());
        };
        self.tell();
        if stay.by_id.is_some_and(|often| self.dice.one_in(often)) {
            let mark = line.ask(json!({"op": "ack", "id": id})).await?;
            stay.asked.insert(mark, Acknowledged::One(id));
        }
        if stay.up_to.is_some_and(|often| self.dice.one_in(often)) {
            let up_to = offset.to_string();
            let mark = line.ask(json!({"op": "ack", "stream": "mailbox", "up_to": up_to}));
            stay.asked.insert(mark.await?, Acknowledged::UpTo(offset));
        }
        Ok(())
    }
}
