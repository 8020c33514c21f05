//! Who sends: by the HTTP API or as a live user, until each message is confirmed, under the same dedupe key; now and then it
//! gives up waiting, and asks again.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::KEY;
use super::super::client::soon;
use super::line::{Cut, Hello, Line};
use super::{Dice, Scene, WIRES};
use crate::harness::{Api, DEADLINE};

/// A caller that gives up does so within this.
const GIVEN_UP_MILLIS: usize = 4;

/// A message to be sent.
pub(super) struct Letter {
    /// The address.
    pub(super) to: String,
    /// What it says; no other says the same.
    pub(super) text: String,
}

/// A sender that asks again, under the same dedupe key, until it is told that the message was taken.
pub(super) struct Sender {
    scene: Scene,
    number: usize,
    dice: Dice,
    /// Of a live sender.
    wire: &'static str,
    token: String,
    line: Option<Line>,
    api: Api,
}

impl Sender {
    /// Sender `number`, who has this token when it is a live one.
    pub(super) fn new(scene: &Scene, number: usize, token: String) -> Self {
        let base = format!("http://{}", scene.place.host);
        Self {
            scene: scene.clone(),
            number,
            dice: Dice::of(scene.seed, 1_000 + number as u64),
            wire: WIRES[number / 2 % WIRES.len()],
            token,
            line: None,
            api: Api::new(&base, Some(KEY)),
        }
    }

    /// Sends them one after the other.
    pub(super) async fn send_all(mut self, letters: Vec<Letter>) {
        for Letter { to, text } in letters {
            let item = json!({"header": {"to": [to]}, "body": {"data": {"text": text}}, "dedupe_key": text});
            loop {
                self.scene.run().await;
                let taken = if self.number.is_multiple_of(2) {
                    self.by_api(&item).await
                } else {
                    self.by_line(&item).await
                };
                if taken.is_ok() {
                    break;
                }
                self.line = None;
            }
            self.scene.count_accepted();
        }
    }

    async fn by_api(&mut self, item: &Value) -> Result<(), Cut> {
        let request = self.api.request(reqwest::Method::POST, "/v1/messages");
        let sent = self.api.try_send(request.json(item));
        let patience = if self.dice.one_in(15) {
            Duration::from_millis(self.dice.below(GIVEN_UP_MILLIS) as u64)
        } else {
            DEADLINE
        };
        let answered = tokio::time::timeout(patience, sent).await;
        let (status, answer) = answered.map_err(|_| Cut)?.map_err(|_| Cut)?;
        match status {
            200..300 => Ok(()),
            429 | 503 => Err(Cut),
            other => panic!("{other}: {answer}"),
        }
    }

    async fn by_line(&mut self, item: &Value) -> Result<(), Cut> {
        if self.line.is_none() {
            let hello = Hello {
                token: &self.token,
                resource: "desk",
                after: None,
            };
            let line = Line::open(self.wire, &self.scene.place, &hello);
            let mut line = soon("a connection", line).await?;
            // The handle that a post names comes with the welcome.
            soon("a welcome", line.next()).await?;
            self.line = Some(line);
        }
        let line = self.line.as_mut().unwrap();
        let frame = json!({"op": "publish", "message": item});
        let mark = soon("it is sent", line.ask(frame)).await?;
        if self.dice.one_in(15) {
            return Err(Cut);
        }
        loop {
            let frame = soon("a confirm", line.next()).await?;
            if frame["ref"] == mark.as_str() {
                return match frame["status"].as_u64() {
                    None => {
                        assert_eq!(frame["durable"], true, "{frame}");
                        Ok(())
                    }
                    Some(429 | 503) => Err(Cut),
                    Some(_) => panic!("{frame}"),
                };
            }
            if frame["op"] == "closed" {
                return Err(Cut);
            }
        }
    }
}
