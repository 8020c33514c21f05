//! What the application wants: sent when there is a session, repeated over a cut where that does it once, and replied to
//! exactly once.

use std::time::Duration;

use anser_core::live::{IqType, PresenceUpdate, Stream};

use super::super::frame::{Ask, Named};
use super::super::told::Wanted;
use super::reading::{Reading, State};
use super::{Do, OnCut, Pending, Phase, Plan, Question, Reply, app_id, mark_of};
use crate::Error;

impl Plan {
    pub(super) fn want(&mut self, id: u64, wanted: Wanted, now: Duration) {
        if self.close_by.is_some() {
            self.out.push_back(Do::Reply(id, Err(Error::Closed)));
            return;
        }
        match wanted {
            Wanted::Again(ask) => self.request(id, &ask, OnCut::Again, now),
            Wanted::Once(ask) => self.request(id, &ask, OnCut::Unknown, now),
            Wanted::Presence(update) => self.show(id, update, now),
            Wanted::Subscribe(stream, after) => {
                if self.readings.iter().any(|reading| reading.is_of(&stream)) {
                    let rule = format!("{stream} is read already; unsubscribe first");
                    let error = Error::setting("stream", rule);
                    self.out.push_back(Do::Reply(id, Err(error)));
                    return;
                }
                let mut reading = Reading::new(stream, after);
                reading.asker = Some(mark_of(id));
                self.readings.push(reading);
                self.subscribe(self.readings.len() - 1);
            }
            Wanted::Unsubscribe(stream) => self.unsubscribe(id, &stream, now),
            Wanted::Question {
                to,
                r#type,
                payload,
                within,
            } => {
                let mark = mark_of(id);
                let ask = Ask::Iq {
                    id: mark.to_string(),
                    to,
                    r#type,
                    payload,
                };
                let question = Question {
                    frame: ask.frame(Some(mark)),
                    sent: false,
                    until: now + within,
                };
                self.questions.insert(mark, question);
                self.send_questions();
            }
        }
    }

    fn request(&mut self, id: u64, ask: &Ask, on_cut: OnCut, now: Duration) {
        let mark = mark_of(id);
        let pending = Pending {
            frame: ask.frame(Some(mark)),
            sent: None,
            on_cut,
        };
        self.requests.insert(mark, pending);
        self.send_requests(now);
    }

    /// The presence is also what the next session begins with.
    fn show(&mut self, id: u64, update: PresenceUpdate, now: Duration) {
        self.settings.presence = Some(update.clone());
        self.request(id, &Ask::Presence(update), OnCut::Done, now);
    }

    fn unsubscribe(&mut self, id: u64, stream: &Stream, now: Duration) {
        let read = self.readings.iter().position(|one| one.is_of(stream));
        let Some(place) = read.filter(|_| *stream != Stream::Mailbox) else {
            let rule = format!("{stream} is not read");
            let error = Error::setting("stream", rule);
            self.out.push_back(Do::Reply(id, Err(error)));
            return;
        };
        let reading = self.readings.remove(place);
        if let Some(asker) = reading.asker {
            let reply = Do::Reply(app_id(asker), Err(Error::Closed));
            self.out.push_back(reply);
        }
        if reading.state == State::Unasked {
            self.out.push_back(Do::Reply(id, Ok(Reply::Done)));
            return;
        }
        let stream = Named::from(&reading.stream);
        self.request(id, &Ask::Unsubscribe { stream }, OnCut::Done, now);
    }

    /// Asks the server for a stream, if there is a session.
    fn subscribe(&mut self, place: usize) {
        let own = self.own_mark();
        let joined = matches!(self.phase, Phase::Joined { .. });
        let Some(reading) = self.readings.get_mut(place).filter(|_| joined) else {
            return;
        };
        // The mark of the application's own request, so that it is replied to wherever the subscription ends.
        let mark = reading.asker.unwrap_or(own);
        let after = reading.ask(mark);
        let stream = Named::from(&reading.stream);
        let ask = Ask::Subscribe { stream, after };
        self.send(&ask, Some(mark));
    }

    /// Everything that waits for a session, now that there is one.
    pub(super) fn send_all(&mut self, now: Duration) {
        for place in 0..self.readings.len() {
            let reading = self.readings.get(place);
            if reading.is_some_and(|reading| reading.stream != Stream::Mailbox) {
                self.subscribe(place);
            }
        }
        self.send_requests(now);
        self.send_questions();
    }

    fn send_requests(&mut self, now: Duration) {
        if !matches!(self.phase, Phase::Joined { .. }) {
            return;
        }
        for request in self.requests.values_mut() {
            if request.sent.is_none() {
                request.sent = Some(now);
                self.out.push_back(Do::Send(request.frame.clone()));
            }
        }
    }

    fn send_questions(&mut self) {
        if !matches!(self.phase, Phase::Joined { .. }) {
            return;
        }
        for question in self.questions.values_mut() {
            if !question.sent {
                question.sent = true;
                self.out.push_back(Do::Send(question.frame.clone()));
            }
        }
    }

    /// The connection is gone: what may be done twice waits for the next one.
    pub(super) fn cut_requests(&mut self) {
        let mut over = Vec::new();
        self.requests.retain(|mark, request| {
            let sent = request.sent.take().is_some();
            let reply = match request.on_cut {
                OnCut::Again => None,
                OnCut::Unknown => sent.then_some(Err(Error::Cut)),
                // What was not sent is not needed: the next session begins so.
                OnCut::Done => Some(Ok(Reply::Done)),
            };
            let stays = reply.is_none();
            over.extend(reply.map(|reply| Do::Reply(app_id(*mark), reply)));
            stays
        });
        self.out.extend(over);
    }

    /// Questions that took longer than the application would wait.
    pub(super) fn end_questions(&mut self, now: Duration) {
        let over = |question: &Question| question.until <= now;
        let due = self.questions.iter().filter(|(_, one)| over(one));
        let due: Vec<u64> = due.map(|(mark, _)| *mark).collect();
        for mark in due {
            self.questions.remove(&mark);
            let reply = Do::Reply(app_id(mark), Err(Error::TimedOut));
            self.out.push_back(reply);
        }
    }

    /// Nobody answers a question here.
    pub(super) fn refuse_question(&mut self, id: String) {
        if !matches!(self.phase, Phase::Joined { .. }) {
            return;
        }
        let busy = serde_json::json!({"code": "resource-constraint", "detail": "too much waits to be taken here"});
        let ask = Ask::Iq {
            id,
            to: None,
            r#type: IqType::Error,
            payload: serde_json::value::to_raw_value(&busy).ok(),
        };
        self.send(&ask, None);
    }
}
