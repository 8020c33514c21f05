//! What a user has got, and the judgement of everything that comes: each message once, in the order of its sender and of
//! the mailbox; again only with the mark, and after its acknowledgement only when the server was killed since; nothing
//! that is another's.

use std::collections::HashMap;

use serde_json::Value;

use super::SENDERS;

/// What one user has got.
pub(super) struct Inbox {
    /// Who.
    pub(super) user: usize,
    /// How many messages each sender has for this user.
    owed: [usize; SENDERS],
    /// Which message of each sender comes next.
    next: [usize; SENDERS],
    /// What came, by id.
    seen: HashMap<String, Seen>,
    /// The offset of the last that was new.
    pub(super) high: Option<u64>,
    /// Messages that came again, marked.
    pub(super) again: usize,
    /// Presence of those whom this user may see.
    pub(super) presences: usize,
    /// Connections that ended before everything had come.
    pub(super) cuts: usize,
}

struct Seen {
    offset: u64,
    /// In which run of the server its acknowledgement was confirmed.
    acknowledged: Option<usize>,
}

/// What is said to `user`, message `number` of its sender.
pub(super) fn said(sender: usize, user: usize, number: usize) -> String {
    format!("{sender} {user} {number}")
}

/// The address of a user.
pub(super) fn name(user: usize) -> String {
    format!("u{user}")
}

/// Whether `watcher` was approved by `watched`.
pub(super) fn may_see(watcher: usize, watched: usize) -> bool {
    watcher < super::WATCHERS && watched == watcher + 1
}

impl Inbox {
    pub(super) fn new(user: usize, owed: [usize; SENDERS]) -> Self {
        Self {
            user,
            owed,
            next: [0; SENDERS],
            seen: HashMap::new(),
            high: None,
            again: 0,
            presences: 0,
            cuts: 0,
        }
    }

    /// Whether everything came.
    pub(super) fn is_complete(&self) -> bool {
        self.next == self.owed
    }

    /// What is missing, for who reads that the test failed.
    pub(super) fn missing(&self) -> String {
        let (user, next, owed) = (self.user, self.next, self.owed);
        format!("{}: got {next:?} of {owed:?}", name(user))
    }

    /// Takes an event in run `run` of the server; answers the id and offset of a message.
    pub(super) fn take(&mut self, event: &Value, run: usize) -> Option<(String, u64)> {
        match event["op"].as_str().unwrap() {
            "message" => Some(self.message(event, run)),
            "presence" => {
                let seen = event["user"].as_str().unwrap();
                let seen: usize = seen.strip_prefix('u').unwrap().parse().unwrap();
                assert!(may_see(self.user, seen), "{}: {event}", name(self.user));
                self.presences += 1;
                None
            }
            "ib" => None,
            other => panic!("{other}: {event}"),
        }
    }

    fn message(&mut self, event: &Value, run: usize) -> (String, u64) {
        let user = self.user;
        assert_eq!(event["stream"], "mailbox", "{event}");
        let message = &event["message"];
        let to = format!("user:{}", name(user));
        assert_eq!(
            message["header"]["to"][0],
            to.as_str(),
            "not theirs: {event}"
        );
        let text = message["body"]["data"]["text"].as_str().unwrap();
        let mut words = text.split(' ').map(|word| word.parse::<usize>().unwrap());
        let mut word = || words.next().unwrap();
        let (sender, addressee, number) = (word(), word(), word());
        assert_eq!(addressee, user, "not theirs: {event}");
        let id = message["header"]["id"].as_str().unwrap().to_owned();
        let offset: u64 = event["offset"].as_str().unwrap().parse().unwrap();
        match self.seen.get_mut(&id) {
            None => {
                assert!(
                    Some(offset) > self.high,
                    "{to}: behind {:?}: {event}",
                    self.high
                );
                assert_eq!(number, self.next[sender], "{to}: out of order: {event}");
                self.high = Some(offset);
                self.next[sender] += 1;
                let seen = Seen {
                    offset,
                    acknowledged: None,
                };
                self.seen.insert(id.clone(), seen);
            }
            Some(seen) => {
                assert_eq!(seen.offset, offset, "{to}: {event}");
                let marked = event["possible_duplicate"].is_string();
                assert!(marked, "{to}: twice and not marked: {event}");
                let since_a_kill = seen.acknowledged.is_none_or(|at| at < run);
                assert!(since_a_kill, "{to}: acknowledged before: {event}");
                self.again += 1;
            }
        }
        (id, offset)
    }

    /// The server confirmed that everything up to `offset` is acknowledged.
    pub(super) fn acknowledged_up_to(&mut self, offset: u64, run: usize) {
        let covered = self.seen.values_mut().filter(|seen| seen.offset <= offset);
        covered.for_each(|seen| seen.acknowledged = Some(run));
    }

    /// The server confirmed that this one is acknowledged.
    pub(super) fn acknowledged(&mut self, id: &str, run: usize) {
        self.seen.get_mut(id).unwrap().acknowledged = Some(run);
    }
}
