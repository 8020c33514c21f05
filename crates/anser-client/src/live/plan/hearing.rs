//! What the server says.

use std::time::Duration;

use anser_core::live::{CloseReason, Closed, IbEvent, Stream};
use bytes::Bytes;

use super::super::frame::{Heard, Iq, Subscribed, parse};
use super::super::told::Told;
use super::reading::State;
use super::{Do, Phase, Plan, Reply, app_id};
use crate::Error;
use crate::error::Refusal;

impl Plan {
    pub(super) fn hear(&mut self, heard: Heard, now: Duration) {
        if !matches!(
            self.phase,
            Phase::Greeting { .. } | Phase::Joined { .. } | Phase::Parting { .. }
        ) {
            return;
        }
        self.heard_at = now;
        match heard {
            Heard::Done(Some(mark), frame) => self.done(mark, frame, now),
            Heard::Refused(Some(mark), refusal) => self.refused(mark, refusal, now),
            Heard::Refused(None, refusal) if matches!(self.phase, Phase::Greeting { .. }) => {
                self.turned_away(refusal, now);
            }
            Heard::Message(given) => self.message(given, now),
            Heard::Presence(event) => self.out.push_back(Do::Tell(Told::Presence(event))),
            Heard::Iq(iq) => self.iq(iq),
            Heard::News(news) => self.news(news, now),
            Heard::Closed(closed) => self.closed(closed, now),
            // Acknowledgements carry no mark, and their answers say nothing.
            Heard::Done(None, _) | Heard::Refused(None, _) | Heard::Unknown => {}
        }
    }

    fn done(&mut self, mark: u64, frame: Bytes, now: Duration) {
        if self.renewal == Some(mark) {
            self.renewal = None;
            return;
        }
        let asked = State::Asked(mark);
        if let Some(reading) = self.readings.iter_mut().find(|one| one.state == asked) {
            match parse::<Subscribed>(&frame) {
                Ok(subscribed) => {
                    reading.stream = subscribed.stream;
                    reading.begins(subscribed.offset);
                    if reading.asker.take().is_some() {
                        let reply = Ok(Reply::Answer(frame));
                        self.out.push_back(Do::Reply(app_id(mark), reply));
                    }
                }
                Err(cause) => self.lost(cause, now),
            }
        } else if self.requests.remove(&mark).is_some() {
            self.useful = true;
            let reply = Ok(Reply::Answer(frame));
            self.out.push_back(Do::Reply(app_id(mark), reply));
        }
    }

    fn refused(&mut self, mark: u64, refusal: Refusal, now: Duration) {
        if self.renewal == Some(mark) {
            // A new session may do with the token what this one may not, or says why not.
            return self.lost(format!("the fresh token was refused: {refusal}"), now);
        }
        let asked = State::Asked(mark);
        if let Some(place) = self.readings.iter().position(|one| one.state == asked) {
            return self.not_subscribed(place, refusal, now);
        }
        let pending = self.requests.remove(&mark).is_some();
        if pending | self.questions.remove(&mark).is_some() {
            let reply = Err(Error::Refused(refusal));
            self.out.push_back(Do::Reply(app_id(mark), reply));
        }
    }

    fn not_subscribed(&mut self, place: usize, refusal: Refusal, now: Duration) {
        let asker = self.readings.get(place).and_then(|reading| reading.asker);
        if let Some(mark) = asker {
            self.readings.remove(place);
            let reply = Err(Error::Refused(refusal));
            self.out.push_back(Do::Reply(app_id(mark), reply));
        } else if refusal.may_pass() {
            self.lost(format!("a subscription was refused: {refusal}"), now);
        } else if self.ready {
            let stream = self.readings.remove(place).stream;
            let refusal = Some(refusal);
            self.out
                .push_back(Do::Tell(Told::Unsubscribed(stream, refusal)));
        } else {
            self.end(Err(Error::Refused(refusal)));
        }
    }

    /// There is no session: for now, or for good.
    fn turned_away(&mut self, refusal: Refusal, now: Duration) {
        if refusal.may_pass() {
            self.lost(format!("the server refused: {refusal}"), now);
        } else {
            self.end(Err(Error::Refused(refusal)));
        }
    }

    fn iq(&mut self, iq: Iq) {
        if iq.r#type.asks() {
            self.out.push_back(Do::Tell(Told::Question(iq)));
            return;
        }
        let mark = iq.id.parse().ok();
        // A late outcome is nobody's: the application was told that it took too long.
        if let Some(mark) = mark.filter(|mark| self.questions.remove(mark).is_some()) {
            let reply = Ok(Reply::Outcome(iq));
            self.out.push_back(Do::Reply(app_id(mark), reply));
        }
    }

    fn news(&mut self, news: IbEvent, now: Duration) {
        match news.kind.as_str() {
            "welcome" if matches!(self.phase, Phase::Greeting { .. }) => {
                self.phase = Phase::Joined { since: now };
                self.pinged_at = now;
                self.useful = false;
                self.renew_at = self.renewal_of(now);
                for reading in &mut self.readings {
                    if reading.stream == Stream::Mailbox {
                        reading.state = State::Given;
                    }
                }
                self.out.push_back(Do::Tell(Told::Connected(news.data)));
                self.send_all(now);
            }
            "unsubscribed" => {
                let named = news.data.get("stream").and_then(|name| name.as_str());
                let stream: Option<Stream> = named.and_then(|name| name.parse().ok());
                if let Some(stream) = stream {
                    self.readings.retain(|reading| !reading.is_of(&stream));
                    self.out
                        .push_back(Do::Tell(Told::Unsubscribed(stream, None)));
                }
            }
            _ => self.out.push_back(Do::Tell(Told::News(news))),
        }
    }

    fn closed(&mut self, closed: Closed, now: Duration) {
        if matches!(self.phase, Phase::Parting { .. }) {
            return;
        }
        let Closed { reason, detail } = closed;
        match reason {
            // A token that expired is replaced, and of a right that is gone the next session tells.
            CloseReason::Lost
            | CloseReason::Slow
            | CloseReason::ServerStopping
            | CloseReason::Expired
            | CloseReason::Revoked
            | CloseReason::Goodbye => {
                let words = detail.as_deref().unwrap_or("the server closed the session");
                self.lost(format!("{}: {words}", reason.as_str()), now);
            }
            CloseReason::Kicked
            | CloseReason::Replaced
            | CloseReason::Malformed
            | CloseReason::Refused => self.end(Err(Error::Ended { reason, detail })),
        }
    }
}
