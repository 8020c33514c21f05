//! Random lives: messages, cuts, acknowledgements in any order and late, publishes; a server beside it that gives behind
//! `after`, in order, within a window.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// Messages are accepted for the user.
    Arrive(u8),
    /// The application is done with one of those that it holds.
    Finish(u8),
    /// Time goes on to the next thing due.
    Wait,
    /// The connection breaks, with what was on its way.
    Cut,
    /// The application publishes.
    Publish,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1..5_u8).prop_map(Step::Arrive),
        6 => any::<u8>().prop_map(Step::Finish),
        3 => Just(Step::Wait),
        1 => Just(Step::Cut),
        1 => Just(Step::Publish),
    ];
    proptest::collection::vec(step, 1..120)
}

/// The obvious server.
#[derive(Default)]
struct Server {
    /// Numbers of the messages: `1..=last`.
    last: u64,
    /// Given on this connection.
    given: u64,
    /// Acknowledged.
    acknowledged: u64,
    joined: bool,
    published: BTreeSet<String>,
}

/// Messages that the server gives without an acknowledgement.
const WINDOW: u64 = 8;

struct World {
    session: Session,
    server: Server,
    /// In the application's hands.
    held: Vec<(u64, u64)>,
    /// Every message that was handed over, by its number.
    handed: Vec<u64>,
    wanted: u64,
    replied: BTreeSet<u64>,
}

impl World {
    /// Lets server and client say what they have to say.
    fn settle(&mut self) {
        loop {
            let done = std::mem::take(&mut self.session.done);
            if done.is_empty() && !self.give() {
                return;
            }
            for what in done {
                self.act(what);
            }
        }
    }

    /// The server gives the next message, if it may.
    fn give(&mut self) -> bool {
        let server = &mut self.server;
        if !server.joined
            || server.given >= server.last
            || server.given - server.acknowledged >= WINDOW
        {
            return false;
        }
        server.given += 1;
        let next = message("mailbox", server.given);
        self.session.hear(&next);
        true
    }

    fn act(&mut self, what: Do) {
        match what {
            Do::FetchToken => self.session.take(Input::Token(Ok(Pass::default()))),
            Do::Open => self.session.take(Input::Opened),
            Do::Send(frame) => self.serve(&serde_json::from_slice(&frame).unwrap()),
            Do::Drop => self.server.joined = false,
            Do::Tell(Told::Message(given, ticket)) => {
                let number = given.offset.unwrap().num.0;
                self.handed.push(number);
                self.held.push((number, ticket.unwrap()));
            }
            Do::Reply(id, reply) => {
                assert!(reply.is_ok(), "{reply:?}");
                assert!(self.replied.insert(id), "replied twice to {id}");
            }
            Do::Ping => self.session.take(Input::Alive),
            Do::Tell(_) | Do::Ready | Do::Finish => {}
            Do::End(how) => panic!("it ended: {how:?}"),
        }
    }

    fn serve(&mut self, frame: &Value) {
        let number = |field: &Value| field.as_str().map_or(0, |text| text.parse().unwrap());
        match frame["op"].as_str().unwrap() {
            "auth" => {
                let after: u64 = number(&frame["after"]);
                assert!(after >= self.server.acknowledged, "it goes back");
                self.server.acknowledged = after;
                self.server.given = after;
                self.server.joined = true;
                self.session
                    .hear(&json!({"op": "ib", "kind": "welcome", "data": {}}));
            }
            "ack" => {
                let up_to: u64 = number(&frame["up_to"]);
                assert!(up_to <= self.server.given, "{up_to} was not given");
                self.server.acknowledged = self.server.acknowledged.max(up_to);
            }
            "publish" => {
                let mark = frame["ref"].as_str().unwrap().to_owned();
                let duplicate = !self.server.published.insert(mark.clone());
                self.session.hear(
                    &json!({"op": "ok", "ref": mark, "id": id(1), "duplicate": duplicate, "durable": true}),
                );
            }
            other => panic!("{other}"),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Arrive(count) => self.server.last += u64::from(*count),
            Step::Finish(which) if !self.held.is_empty() => {
                let place = usize::from(*which) % self.held.len();
                let (_, ticket) = self.held.remove(place);
                let done = Input::Acknowledged(Stream::Mailbox, ticket);
                self.session.take(done);
            }
            Step::Finish(_) => {}
            Step::Wait => {
                self.session.wait();
            }
            Step::Cut => {
                self.server.joined = false;
                self.session
                    .done
                    .retain(|what| !matches!(what, Do::Send(_)));
                self.session.take(Input::Cut("cut".to_owned()));
            }
            Step::Publish => {
                self.wanted += 1;
                self.session.take(Input::Wanted(self.wanted, publish()));
                // Half of them are cut off before the server sees them.
                if self.wanted.is_multiple_of(2) {
                    self.step(&Step::Cut);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_cut_each_message_is_handed_over_once_and_in_order(steps in steps()) {
        let mut world = World {
            session: Session::new(settings()),
            server: Server::default(),
            held: Vec::new(),
            handed: Vec::new(),
            wanted: 0,
            replied: BTreeSet::new(),
        };
        for step in &steps {
            world.step(step);
            world.settle();
        }
        // In the end the application is done with everything, and the server hears of it.
        for _ in 0..500 {
            while !world.held.is_empty() {
                world.step(&Step::Finish(0));
                world.settle();
            }
            world.session.wait();
            world.settle();
            if world.server.acknowledged == world.server.last && world.server.joined {
                break;
            }
        }
        let all: Vec<u64> = (1..=world.server.last).collect();
        prop_assert_eq!(&world.handed, &all);
        prop_assert_eq!(world.server.acknowledged, world.server.last);
        prop_assert_eq!(world.replied.len() as u64, world.wanted);
    }
}
