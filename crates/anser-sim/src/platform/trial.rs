//! A stand-in without its listener, for the tests of each platform: a request in, status, headers and body out.

mod lines;

use std::time::Duration;

use anser_core::Timestamp;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;

use super::{
    Answer, Breach, Call, Change, Chat, Desk, Gone, Letter, Platform, Robot, Stand, Verdict,
};
use crate::intake::{Content, Part};
use crate::limit::Limiter;
use crate::options::SimOptions;
use crate::shelf::Shelf;

/// Where a trial's stand-in is.
pub(super) const BASE: &str = "http://sim";
/// When trials begin.
pub(super) const NOW: i64 = 1_700_000_000_000;

pub(super) struct Trial {
    pub(super) platform: Platform,
    pub(super) robot: Robot,
    pub(super) now: Timestamp,
    stand: Box<dyn Stand>,
    limiter: Limiter,
    chats: Vec<Chat>,
    monotonic: Duration,
    pub(super) authorization: Option<HeaderValue>,
    /// Sent with every request.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) letters: Vec<Letter>,
    pub(super) changes: Vec<Change>,
    pub(super) gone: Vec<Gone>,
    pub(super) shelf: Shelf,
    pub(super) breaches: Vec<Breach>,
    /// What the limits that were exceeded are counted by.
    pub(super) exceeded: Vec<String>,
    /// For how long requests were held.
    pub(super) held: Vec<Duration>,
    /// Whether events go to a callback URL.
    pub(super) is_called: bool,
}

/// A field of a form, or a file with its name.
pub(super) fn part(name: &str, file_name: Option<&str>, bytes: &[u8]) -> Part {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let sha256 = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    Part {
        name: name.to_owned(),
        file_name: file_name.map(str::to_owned),
        media_type: None,
        content: Content {
            size: bytes.len() as u64,
            sha256: sha256.collect(),
            head: Bytes::copy_from_slice(bytes),
        },
    }
}

impl Trial {
    pub(super) fn of(platform: Platform) -> Self {
        Self {
            platform,
            robot: platform.robot(1),
            now: Timestamp::from_millis(NOW),
            stand: platform.stand(),
            limiter: Limiter::new(platform.limits()),
            chats: SimOptions::new(platform).chats,
            monotonic: Duration::from_secs(1_000),
            authorization: None,
            headers: Vec::new(),
            letters: Vec::new(),
            changes: Vec::new(),
            gone: Vec::new(),
            shelf: Shelf::default(),
            breaches: Vec::new(),
            exceeded: Vec::new(),
            held: Vec::new(),
            is_called: false,
        }
    }

    /// A robot without a secret.
    pub(super) fn unsigned(platform: Platform) -> Self {
        let mut trial = Self::of(platform);
        trial.robot.secret = None;
        trial
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        self.monotonic += by;
    }

    /// Posts JSON to the robot's own path.
    pub(super) fn post(&mut self, body: &Value) -> Answer {
        let path = self.platform.path(&self.robot);
        self.post_to(&path, body)
    }

    pub(super) fn post_to(&mut self, target: &str, body: &Value) -> Answer {
        self.send(
            Method::POST,
            target,
            "application/json",
            body.to_string().into(),
        )
    }

    pub(super) fn send(
        &mut self,
        method: Method,
        target: &str,
        media: &str,
        body: Bytes,
    ) -> Answer {
        self.request(method, target, media, body, Vec::new())
    }

    /// Posts a form with files.
    pub(super) fn upload(&mut self, target: &str, parts: Vec<Part>) -> Answer {
        self.send_form(Method::POST, target, parts)
    }

    /// Sends a form with files.
    pub(super) fn send_form(&mut self, method: Method, target: &str, parts: Vec<Part>) -> Answer {
        self.request(method, target, "multipart/form-data", Bytes::new(), parts)
    }

    fn request(
        &mut self,
        method: Method,
        target: &str,
        media: &str,
        body: Bytes,
        parts: Vec<Part>,
    ) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, media.parse().unwrap());
        headers.extend(
            self.authorization
                .clone()
                .map(|value| (header::AUTHORIZATION, value)),
        );
        for (name, value) in &self.headers {
            headers.insert(*name, value.parse().unwrap());
        }
        let call = Call {
            method,
            path: path.to_owned(),
            query: url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            headers,
            body,
            parts,
            now: self.now,
            monotonic: self.monotonic,
            held: None,
        };
        let robots = [self.robot.clone()];
        let mut desk = Desk {
            robots: &robots,
            chats: &self.chats,
            limiter: &mut self.limiter,
            shelf: &mut self.shelf,
            number: self.letters.len() as u64 + 1,
            base: BASE,
            exceeded: None,
            is_called: self.is_called,
        };
        let answer = match self.stand.judge(&call, &mut desk) {
            Ok(Verdict::Taken(letter, answer)) => {
                self.letters.push(letter);
                answer
            }
            Ok(Verdict::Edited(change, answer)) => {
                self.changes.push(change);
                answer
            }
            Ok(Verdict::Recalled(gone, answer)) => {
                self.gone.extend(gone);
                answer
            }
            Ok(Verdict::Answered(answer) | Verdict::Polled { answer, .. }) => answer,
            Ok(Verdict::Held(hold)) => {
                self.held.push(hold.until.saturating_sub(self.monotonic));
                Answer::text(200, "held")
            }
            Err(refusal) => {
                self.exceeded.extend(desk.exceeded.take());
                self.breaches.push(refusal.breach);
                refusal.answer
            }
        };
        self.stand.finish(&call, &desk, answer)
    }
}

impl Answer {
    pub(super) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn said(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }
}
