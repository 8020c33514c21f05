//! The life of a session, event by event; and under random cuts, a server that keeps its promises next to a model of what
//! the application must see.

mod random;

use anser_core::random::SeededRandom;
use serde_json::{Value, json};

use super::*;
use crate::live::frame;

const ZERO: Duration = Duration::ZERO;

/// A plan, and what it said.
struct Session {
    plan: Plan,
    now: Duration,
    done: Vec<Do>,
}

impl Session {
    fn new(settings: Settings) -> Self {
        let random = Arc::new(SeededRandom::new(7));
        Self {
            plan: Plan::new(settings, random, ZERO),
            now: ZERO,
            done: Vec::new(),
        }
    }

    fn take(&mut self, input: Input) {
        self.plan.take(input, self.now);
        self.gather();
    }

    fn gather(&mut self) {
        while let Some(what) = self.plan.next() {
            self.done.push(what);
        }
    }

    /// Waits until something is due, and says how long that was.
    fn wait(&mut self) -> Duration {
        let deadline = self.plan.deadline().expect("it is not over");
        let waited = deadline.saturating_sub(self.now);
        self.now = self.now.max(deadline);
        self.plan.tick(self.now);
        self.gather();
        waited
    }

    fn hear(&mut self, value: &Value) {
        let heard = frame::read(&Bytes::from(value.to_string())).unwrap();
        self.take(Input::Heard(heard));
    }

    /// The frames that were sent since this was asked last.
    fn sent(&mut self) -> Vec<Value> {
        let frames = self.done.iter().filter_map(|what| match what {
            Do::Send(frame) => Some(serde_json::from_slice(frame).unwrap()),
            _ => None,
        });
        let frames = frames.collect();
        self.done.retain(|what| !matches!(what, Do::Send(_)));
        frames
    }

    /// Connects as far as the welcome; answers the `auth`.
    fn join(&mut self) -> Value {
        self.wait();
        assert!(
            matches!(self.done.last(), Some(Do::FetchToken)),
            "{:?}",
            self.done
        );
        self.take(Input::Token(Ok(Pass {
            text: Some("t".to_owned()),
            lives: None,
        })));
        assert!(
            matches!(self.done.last(), Some(Do::Open)),
            "{:?}",
            self.done
        );
        self.take(Input::Opened);
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        self.hear(&json!({"op": "ib", "kind": "welcome", "data": {}}));
        sent.remove(0)
    }

    fn replies(&mut self) -> Vec<(u64, Result<Reply, Error>)> {
        let (replies, others) = std::mem::take(&mut self.done)
            .into_iter()
            .partition(|what| matches!(what, Do::Reply(..)));
        self.done = others;
        let replies: Vec<Do> = replies;
        let replies = replies.into_iter().filter_map(|what| match what {
            Do::Reply(id, reply) => Some((id, reply)),
            _ => None,
        });
        replies.collect()
    }

    /// The tickets of the messages that were handed over since this was asked last.
    fn handed(&mut self) -> Vec<u64> {
        let tickets = self.done.iter().filter_map(|what| match what {
            Do::Tell(Told::Message(_, ticket)) => *ticket,
            _ => None,
        });
        let tickets = tickets.collect();
        self.done
            .retain(|what| !matches!(what, Do::Tell(Told::Message(..))));
        tickets
    }

    fn ended(&self) -> Option<&Result<(), Error>> {
        self.done.iter().find_map(|what| match what {
            Do::End(how) => Some(how),
            _ => None,
        })
    }
}

fn settings() -> Settings {
    Settings {
        connect_within: Duration::from_secs(30),
        server: "http://h".to_owned(),
        ..Settings::default()
    }
}

fn id(number: u64) -> String {
    format!("019aacf0-7c00-7a31-9a4e-{number:012x}")
}

fn message(stream: &str, offset: u64) -> Value {
    json!({"op": "message", "stream": stream, "offset": offset.to_string(), "message": {"header": {"id": id(offset)}}})
}

fn publish() -> Wanted {
    let item = serde_json::from_value(json!({"body": {"data": 1}, "dedupe_key": "k"})).unwrap();
    Wanted::Again(Ask::Publish {
        topic: Some("t".to_owned()),
        transient: false,
        message: Box::new(item),
    })
}

fn question() -> Wanted {
    Wanted::Question {
        to: Some("user:bob".to_owned()),
        r#type: anser_core::live::IqType::Get,
        payload: None,
        within: Duration::from_secs(40),
    }
}

#[test]
fn it_goes_on_behind_what_was_acknowledged_and_hands_nothing_over_twice() {
    let mut session = Session::new(settings());
    assert_eq!(session.join(), json!({"op": "auth", "token": "t"}));
    for offset in 1..=4 {
        session.hear(&message("mailbox", offset));
    }
    let tickets = session.handed();
    assert_eq!(tickets.len(), 4);
    // The second is not done: what is behind it waits with it.
    for ticket in [tickets[0], tickets[2], tickets[3]] {
        session.take(Input::Acknowledged(Stream::Mailbox, ticket));
    }
    session.wait();
    let acks = session.sent();
    assert_eq!(
        acks,
        [json!({"op": "ack", "stream": "mailbox", "up_to": "1"})]
    );
    session.take(Input::Cut("cut".to_owned()));
    let hello = session.join();
    assert_eq!(hello["after"], "1");
    for offset in 2..=5 {
        session.hear(&message("mailbox", offset));
    }
    assert_eq!(session.handed().len(), 1, "only the fifth is new");
    session.take(Input::Acknowledged(Stream::Mailbox, tickets[1]));
    session.wait();
    assert_eq!(session.sent()[0]["up_to"], "4");
}

#[test]
fn acknowledgements_go_together_and_never_wait_for_long() {
    let mut session = Session::new(settings());
    session.join();
    for offset in 1..=100 {
        session.hear(&message("mailbox", offset));
    }
    for ticket in session.handed() {
        session.take(Input::Acknowledged(Stream::Mailbox, ticket));
    }
    let acks = session.sent();
    assert_eq!(acks.len(), 1, "{acks:?}");
    assert_eq!(acks[0]["up_to"], "64");
    assert!(session.wait() <= ACK_DELAY);
    assert_eq!(session.sent()[0]["up_to"], "100");
}

#[test]
fn streams_are_read_from_where_they_were() {
    let mut settings = settings();
    settings.streams = vec![(Stream::Topic("Orders".to_owned()), None)];
    let mut session = Session::new(settings);
    session.join();
    let asked = session.sent();
    assert_eq!(asked[0]["topic"], "Orders");
    assert_eq!(asked[0].get("after"), None);
    assert!(!session.done.iter().any(|what| matches!(what, Do::Ready)));
    session.hear(
        &json!({"op": "ok", "ref": asked[0]["ref"], "stream": "topic:orders", "offset": "9"}),
    );
    assert!(session.done.iter().any(|what| matches!(what, Do::Ready)));
    session.hear(&message("topic:orders", 12));
    let ticket = session.handed()[0];
    session.take(Input::Cut("cut".to_owned()));
    // It may be done while there is no connection: the next one begins behind it.
    session.take(Input::Acknowledged(
        Stream::Topic("orders".to_owned()),
        ticket,
    ));
    session.join();
    let asked = session.sent();
    assert_eq!(
        (&asked[0]["topic"], &asked[0]["after"]),
        (&json!("orders"), &json!("12"))
    );
    // A topic that is gone meanwhile is told, and the session goes on.
    session.hear(
        &json!({"op": "error", "ref": asked[0]["ref"], "status": 404, "code": "topic_not_found"}),
    );
    let told = session
        .done
        .iter()
        .any(|what| matches!(what, Do::Tell(Told::Unsubscribed(..))));
    assert!(told && session.ended().is_none(), "{:?}", session.done);
}

#[test]
fn a_subscription_that_may_not_be_is_an_error_at_the_beginning() {
    let mut settings = settings();
    settings.streams = vec![(Stream::Room("dev".to_owned()), None)];
    let mut session = Session::new(settings);
    session.join();
    let asked = session.sent();
    session.hear(&json!({"op": "error", "ref": asked[0]["ref"], "status": 403, "code": "no_room"}));
    assert!(
        matches!(session.ended(), Some(Err(Error::Refused(refusal))) if refusal.code == "no_room")
    );
}

#[test]
fn a_publish_is_repeated_with_the_same_frame_until_it_is_confirmed() {
    let mut session = Session::new(settings());
    session.take(Input::Wanted(1, publish()));
    session.join();
    let first = session.sent();
    assert_eq!(first.len(), 1);
    session.take(Input::Cut("cut".to_owned()));
    assert!(session.replies().is_empty());
    session.join();
    assert_eq!(session.sent(), first);
    session.hear(&json!({"op": "ok", "ref": first[0]["ref"], "id": id(1), "duplicate": true, "durable": true}));
    let replies = session.replies();
    assert!(
        matches!(&replies[..], [(1, Ok(Reply::Answer(_)))]),
        "{replies:?}"
    );
    session.hear(&json!({"op": "ok", "ref": first[0]["ref"]}));
    assert!(session.replies().is_empty(), "one reply to a request");
}

#[test]
fn what_must_not_be_done_twice_ends_with_the_connection() {
    let mut session = Session::new(settings());
    session.join();
    session.take(Input::Wanted(1, Wanted::Once(Ask::Ping)));
    assert_eq!(session.sent().len(), 1);
    session.take(Input::Cut("cut".to_owned()));
    // What was not sent yet waits for the next one.
    session.take(Input::Wanted(2, Wanted::Once(Ask::Ping)));
    let replies = session.replies();
    assert!(
        matches!(&replies[..], [(1, Err(Error::Cut))]),
        "{replies:?}"
    );
    session.join();
    assert_eq!(session.sent().len(), 1);
}

#[test]
fn a_question_has_one_outcome_over_a_cut_and_a_late_one_is_nobodys() {
    let mut session = Session::new(settings());
    session.join();
    session.take(Input::Wanted(1, question()));
    let asked = session.sent();
    let name = asked[0]["id"].clone();
    session.hear(&json!({"op": "ok", "ref": asked[0]["ref"]}));
    assert!(
        session.replies().is_empty(),
        "that it was asked is no outcome"
    );
    session.take(Input::Cut("cut".to_owned()));
    let hello = session.join();
    assert_eq!(hello["questions"], json!([name]));
    assert!(session.sent().is_empty(), "it is not asked twice");
    let lost = json!({"op": "iq", "id": name, "type": "error", "from": "server", "payload": {"code": "service-unavailable"}});
    session.hear(&lost);
    session.hear(&lost);
    assert_eq!(session.replies().len(), 1);
    // One that nobody answers in time ends by itself.
    session.take(Input::Wanted(2, question()));
    let asked = session.sent();
    while session.now < Duration::from_secs(45) {
        session.wait();
        session.take(Input::Alive);
    }
    let replies = session.replies();
    assert!(
        matches!(&replies[..], [(2, Err(Error::TimedOut))]),
        "{replies:?}"
    );
    session
        .hear(&json!({"op": "iq", "id": asked[0]["id"], "type": "result", "from": "user:bob/x"}));
    assert!(session.replies().is_empty());
}

#[test]
fn a_refused_credential_ends_it_and_an_overloaded_server_does_not() {
    for (status, ends) in [
        (401, true),
        (403, true),
        (422, true),
        (429, false),
        (503, false),
    ] {
        let mut session = Session::new(settings());
        session.wait();
        session.take(Input::Token(Ok(Pass::default())));
        session.take(Input::Opened);
        session.hear(&json!({"op": "error", "status": status, "code": "x", "detail": "y"}));
        assert_eq!(session.ended().is_some(), ends, "{status}");
        assert_eq!(session.plan.deadline().is_none(), ends, "{status}");
    }
}

#[test]
fn reasons_of_the_server_decide_whether_it_connects_again() {
    for (reason, ends) in [
        ("slow", false),
        ("server_stopping", false),
        ("expired", false),
        ("revoked", false),
        ("kicked", true),
        ("replaced", true),
        ("malformed", true),
    ] {
        let mut session = Session::new(settings());
        session.join();
        session.take(Input::Wanted(1, publish()));
        session.hear(&json!({"op": "closed", "reason": reason}));
        let ended = matches!(session.ended(), Some(Err(Error::Ended { .. })));
        assert_eq!(ended, ends, "{reason}");
        let replies = session.replies();
        assert_eq!(replies.len(), usize::from(ends), "{reason}: {replies:?}");
    }
}

#[test]
fn a_silent_server_is_given_up_and_a_living_one_is_not() {
    let mut session = Session::new(settings());
    session.join();
    while session.now < Duration::from_secs(300) {
        session.wait();
        session.take(Input::Alive);
    }
    assert!(!session.done.iter().any(|what| matches!(what, Do::Drop)));
    let since = session.now;
    while !session.done.iter().any(|what| matches!(what, Do::Drop)) {
        session.wait();
    }
    assert_eq!(session.now - since, SILENCE_MAX);
    let pings = session.done.iter().filter(|what| matches!(what, Do::Ping));
    assert!(pings.count() >= 12);
}

#[test]
fn a_request_that_is_not_answered_takes_the_connection_with_it() {
    let mut session = Session::new(settings());
    session.join();
    session.take(Input::Wanted(1, publish()));
    let since = session.now;
    while !session.done.iter().any(|what| matches!(what, Do::Drop)) {
        session.wait();
        session.take(Input::Alive);
    }
    assert_eq!(session.now - since, ANSWER_WITHIN);
    assert!(session.replies().is_empty());
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    let mut session = Session::new(settings());
    session.wait();
    let lives = Some(Duration::from_secs(100));
    let pass = || Pass {
        text: Some("t".to_owned()),
        lives,
    };
    session.take(Input::Token(Ok(pass())));
    session.take(Input::Opened);
    session.hear(&json!({"op": "ib", "kind": "welcome", "data": {}}));
    session.sent();
    session.done.clear();
    while !session
        .done
        .iter()
        .any(|what| matches!(what, Do::FetchToken))
    {
        session.wait();
        session.take(Input::Alive);
    }
    assert_eq!(session.now, Duration::from_secs(75));
    // A source that fails is asked again while the token at hand is good.
    session.done.clear();
    session.take(Input::Token(Err("no".to_owned())));
    session.wait();
    assert!(
        matches!(session.done.last(), Some(Do::FetchToken)),
        "{:?}",
        session.done
    );
    session.take(Input::Token(Ok(pass())));
    let sent = session.sent();
    assert_eq!(
        (&sent[0]["op"], &sent[0]["token"]),
        (&json!("auth"), &json!("t"))
    );
    session.hear(&json!({"op": "ok", "ref": sent[0]["ref"]}));
    assert!(session.ended().is_none());
}

#[test]
fn waits_between_tries_grow_and_the_first_session_is_not_waited_for_forever() {
    let mut session = Session::new(settings());
    let refused = || Error::Unreachable {
        server: "h".to_owned(),
        cause: "connection refused".to_owned(),
    };
    let mut waits = Vec::new();
    while session.ended().is_none() {
        waits.push(session.wait());
        if session
            .done
            .iter()
            .any(|what| matches!(what, Do::FetchToken))
        {
            session.done.clear();
            session.take(Input::Token(Ok(Pass::default())));
            session.take(Input::NotOpened(refused()));
        }
    }
    assert_eq!(session.now, Duration::from_secs(30));
    assert!((5..20).contains(&waits.len()), "{waits:?}");
    let Some(Err(Error::Unreachable { cause, .. })) = session.ended() else {
        panic!("{:?}", session.ended());
    };
    assert!(cause.contains("connection refused"), "{cause}");
}

#[test]
fn closing_waits_for_answers_says_what_is_done_and_then_goodbye() {
    let mut session = Session::new(settings());
    session.join();
    session.hear(&message("mailbox", 3));
    let ticket = session.handed()[0];
    session.take(Input::Wanted(1, publish()));
    let asked = session.sent();
    session.take(Input::Acknowledged(Stream::Mailbox, ticket));
    session.take(Input::Close);
    assert!(!session.done.iter().any(|what| matches!(what, Do::Finish)));
    session.take(Input::Wanted(2, publish()));
    assert!(matches!(&session.replies()[..], [(2, Err(Error::Closed))]));
    session.hear(&json!({"op": "ok", "ref": asked[0]["ref"]}));
    assert_eq!(
        session.sent(),
        [json!({"op": "ack", "stream": "mailbox", "up_to": "3"})]
    );
    assert!(session.done.iter().any(|what| matches!(what, Do::Finish)));
    session.take(Input::Cut("closed".to_owned()));
    assert!(matches!(session.ended(), Some(Ok(()))));
    assert!(session.plan.deadline().is_none());
}

#[test]
fn closing_a_client_that_cannot_connect_ends_in_its_time() {
    let mut session = Session::new(settings());
    session.join();
    session.take(Input::Wanted(1, publish()));
    session.take(Input::Cut("cut".to_owned()));
    session.take(Input::Close);
    let since = session.now;
    while session.ended().is_none() {
        session.wait();
        session.take(Input::Token(Err("no".to_owned())));
    }
    assert_eq!(session.now - since, CLOSE_WITHIN);
    assert!(matches!(&session.replies()[..], [(1, Err(Error::Closed))]));
}

#[test]
fn an_application_that_takes_no_question_answers_it_all_the_same() {
    let mut session = Session::new(settings());
    session.join();
    session.hear(&json!({"op": "iq", "id": "q1", "type": "get", "from": "user:bob/x"}));
    session.take(Input::NotTold("q1".to_owned()));
    let sent = session.sent();
    assert_eq!(
        (&sent[0]["id"], &sent[0]["type"]),
        (&json!("q1"), &json!("error"))
    );
}

#[test]
fn a_clock_that_is_ahead_does_not_renew_tokens_without_end() {
    let mut session = Session::new(settings());
    session.wait();
    session.take(Input::Token(Ok(Pass {
        text: Some("t".to_owned()),
        lives: Some(ZERO),
    })));
    session.take(Input::Opened);
    session.hear(&json!({"op": "ib", "kind": "welcome", "data": {}}));
    assert!(session.wait() >= PING_EVERY);
    let fetched = session
        .done
        .iter()
        .filter(|what| matches!(what, Do::FetchToken));
    assert_eq!(fetched.count(), 1);
}

#[test]
fn an_offset_of_other_data_is_replaced_by_where_the_server_begins() {
    let mut settings = settings();
    let far = "1000".parse().unwrap();
    settings.streams = vec![(Stream::Topic("t".to_owned()), Some(far))];
    let mut session = Session::new(settings);
    session.join();
    let asked = session.sent();
    session.hear(&json!({"op": "ok", "ref": asked[0]["ref"], "stream": "topic:t", "offset": "50"}));
    session.hear(&message("topic:t", 51));
    let ticket = session.handed()[0];
    session.hear(&message("topic:t", 52));
    session.take(Input::Acknowledged(Stream::Topic("t".to_owned()), ticket));
    session.take(Input::Cut("cut".to_owned()));
    session.join();
    assert_eq!(
        session.sent()[0]["after"],
        "51",
        "what was not acknowledged is asked for again"
    );
}

#[test]
fn a_session_that_was_of_use_is_tried_again_soon_and_one_that_was_not_later() {
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Came {
        Answer,
        FreshMessage,
        SameMessage,
        Nothing,
    }
    for came in [
        Came::Answer,
        Came::FreshMessage,
        Came::SameMessage,
        Came::Nothing,
    ] {
        let mut session = Session::new(settings());
        for number in 1..=12 {
            session.join();
            match came {
                Came::Answer => {
                    session.take(Input::Wanted(session.plan.own_marks, publish()));
                    let asked = session.sent();
                    session.hear(&json!({"op": "ok", "ref": asked[0]["ref"]}));
                }
                Came::FreshMessage => session.hear(&message("mailbox", number)),
                Came::SameMessage => session.hear(&message("mailbox", 1)),
                Came::Nothing => {}
            }
            session.take(Input::Cut("cut".to_owned()));
            session.done.clear();
        }
        let wait = session.plan.deadline().unwrap() - session.now;
        let useful = matches!(came, Came::Answer | Came::FreshMessage);
        assert_eq!(wait <= BACKOFF_MIN, useful, "{came:?}: {wait:?}");
    }
}
