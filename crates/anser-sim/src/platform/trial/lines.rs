//! WebSockets of a stand-in without its listener: what is opened, heard and said on them.

use anser_core::Timestamp;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

use super::super::{Answer, Call, Desk, Moment, Stand};
use super::{BASE, Trial};
use crate::emit::Said;
use crate::line::{Heard, Told};

impl Trial {
    fn moment(&self) -> Moment {
        Moment {
            now: self.now,
            monotonic: self.monotonic,
        }
    }

    fn at_desk<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Stand, &mut Desk<'_>, Timestamp) -> T,
    ) -> T {
        let robots = [self.robot.clone()];
        let mut desk = Desk {
            robots: &robots,
            chats: &self.chats,
            limiter: &mut self.limiter,
            shelf: &mut self.shelf,
            number: self.letters.len() as u64 + 1,
            base: BASE,
            exceeded: None,
            is_called: false,
        };
        work(&mut *self.stand, &mut desk, self.now)
    }

    /// Somebody writes, and the bots that are connected are told, so many times. The id of what was written.
    pub(in super::super) fn say(&mut self, said: &Said, copies: usize) -> String {
        let (letter, event) = self
            .at_desk(|stand, desk, now| stand.hear(said, desk, now))
            .unwrap();
        let id = letter.id.clone().unwrap();
        self.letters.push(letter);
        let moment = self.moment();
        self.stand.spread(event, copies, moment);
        id
    }

    /// Opens a WebSocket of that number.
    pub(in super::super) fn open(&mut self, target: &str, line: u64) -> Result<(), Answer> {
        let target = target.strip_prefix("ws://sim").unwrap_or(target);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let call = Call {
            method: Method::GET,
            path: path.to_owned(),
            query: url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            parts: Vec::new(),
            now: self.now,
            monotonic: self.monotonic,
            held: None,
        };
        self.at_desk(|stand, desk, _| stand.admit(&call, line, desk))
    }

    /// What the platform says to that.
    pub(in super::super) fn hears(&mut self, line: u64, heard: Heard) -> Vec<Told> {
        let moment = self.moment();
        self.at_desk(|stand, desk, _| stand.hear_line(line, heard, desk, moment))
    }

    /// The bot says that, in JSON.
    pub(in super::super) fn bot_says(&mut self, line: u64, value: &Value) -> Vec<Told> {
        self.hears(line, Heard::Text(value.to_string()))
    }
}
