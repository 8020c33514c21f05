//! A store that is a list, commits that are told of late and in any order, and devices that remember what they got. Three
//! users: the first has one device, the second two, the third one that acknowledges only by connecting again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::attempt::PossibleDuplicate;
use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, MessageId, Num, ResourceId};
use anser_core::live::{
    Acknowledgements, Event, IbEvent, Offset, Position, PresenceUpdate, Scheduled, Stream,
};
use anser_core::name::UserId;
use anser_core::store::{DeliveryRow, MessageRow};
use bytes::Bytes;

use crate::live::plan::{Admission, Begin, Bounds, Effect, Fresh, MailEnd, Plan, Taken, Want};
use crate::mailbox::group_of;

pub(super) const START: Timestamp = Timestamp::from_millis(1_795_395_600_000);
/// Where a message goes that is for no user.
pub(super) const TOPIC: u8 = 3;
/// The same, to be shown later.
pub(super) const LATER: u8 = 4;
/// Kinds of messages.
const KINDS: u8 = 5;
/// As the gateway has it: what came due so shortly before or after a message may have been given with it or not.
const MOMENTS: Duration = Duration::from_secs(10);
const DIRECT: ResourceId = ResourceId(1);
const NEWS: ResourceId = ResourceId(2);
/// Whose each device is.
const OWNERS: [u8; 4] = [0, 1, 1, 2];

#[derive(Debug, Default)]
struct Device {
    number: Option<u64>,
    /// What it got, by stream: numbers in the order in which they came.
    mail: Vec<u64>,
    news: Vec<u64>,
    /// What it got of the topic that was scheduled, and whether that was marked.
    later: Vec<(u64, bool)>,
    last_mail: Option<Offset>,
    last_news: Option<Offset>,
    /// The first message of the topic that it is owed, and since when it reads.
    news_from: u64,
    news_since: Timestamp,
    /// Got and not acknowledged one by one.
    unacknowledged: VecDeque<MessageId>,
    /// What was read from the store and is not handed over yet.
    loading: Option<(Want, Vec<MessageRow>, bool)>,
}

pub(super) struct World {
    pub(super) plan: Plan,
    now: Timestamp,
    last: u64,
    next_session: u64,
    /// Everything accepted: to whom.
    stored: BTreeMap<u64, u8>,
    /// When it was accepted.
    accepted: BTreeMap<u64, Timestamp>,
    pending: BTreeSet<u64>,
    /// Commits that began, and for whom.
    begun: Vec<(u64, u8)>,
    /// Committed, and nobody was told.
    silent: Vec<(u64, u64)>,
    ends: Vec<MailEnd>,
    devices: Vec<Device>,
}

fn user(of: u8) -> UserId {
    UserId::parse("user", ["alice", "bob", "carol"][usize::from(of)]).unwrap()
}

fn bounds() -> Bounds {
    Bounds {
        sessions: 100,
        of_user: 10,
        subscriptions: 10,
    }
}

fn id(num: u64) -> MessageId {
    MessageId::lowest_at(START.plus(Duration::from_millis(num)))
}

const fn topic(to: u8) -> ResourceId {
    if to >= TOPIC { NEWS } else { DIRECT }
}

fn delivery_row(num: u64, to: u8) -> DeliveryRow {
    let group = group_of(&user(to));
    DeliveryRow {
        id: DeliveryId::new(Num(num), 0),
        topic: DIRECT,
        group,
        channel: group,
        target: Some(user(to).to_string()),
        lane: None,
        state: DeliveryState::Pending,
        due: START,
        expires_at: None,
        accepted: START,
        first_attempt: None,
        attempts: 0,
        attempts_before: 0,
        scheduled: false,
        ordered: true,
        possible_duplicate: None::<PossibleDuplicate>,
        checkpoint: None,
        bytes: 2,
        rewindable: false,
    }
}

impl World {
    /// When a scheduled message is to be shown.
    fn due(&self, num: u64) -> Option<Timestamp> {
        let seconds = num * 7 % 25 + 1;
        let later = self.stored[&num] == LATER;
        later.then(|| self.accepted[&num].plus(Duration::from_secs(seconds)))
    }

    fn message_row(&self, num: u64) -> MessageRow {
        let document = match self.due(num) {
            Some(due) => serde_json::json!({"header": {"not_before": due}}).to_string(),
            None => "{}".to_owned(),
        };
        MessageRow {
            num: Num(num),
            id: id(num),
            topic: topic(self.stored[&num]),
            time: self.accepted[&num],
            document: document.into(),
        }
    }

    /// What is known by the topic's name of what is scheduled.
    fn scheduled(&self, since: Timestamp) -> Vec<(Num, Timestamp)> {
        let due = self.stored.keys().map(|num| (Num(*num), self.due(*num)));
        let due = due.filter_map(|(num, due)| Some((num, due?)));
        due.filter(|(_, due)| *due > since).collect()
    }

    /// As the gateway does when a client goes on.
    fn begin_behind(&self, after: Offset) -> Begin {
        let time = self.accepted.get(&after.num.0).copied().unwrap_or(START);
        let seen = Scheduled {
            place: time.minus(MOMENTS),
            num: Num(0),
        };
        let shown = after.scheduled.filter(|shown| *shown > seen);
        Begin {
            after: Some(after.num),
            shown: shown.unwrap_or(seen),
            doubt: if shown.is_some() {
                Timestamp::EPOCH
            } else {
                time.plus(MOMENTS)
            },
        }
    }

    /// Time passes; nobody is told of a commit long after it.
    pub(super) fn wait(&mut self, seconds: u8) {
        while !self.begun.is_empty() {
            self.commit(0);
        }
        while !self.silent.is_empty() {
            self.tell(0);
        }
        self.now = self.now.plus(Duration::from_secs(seconds.into()));
        self.plan.tick(self.now);
        self.effects();
    }

    pub(super) fn new() -> Self {
        Self {
            plan: Plan::new(bounds(), Num(0)),
            now: START,
            last: 0,
            next_session: 0,
            stored: BTreeMap::new(),
            accepted: BTreeMap::new(),
            pending: BTreeSet::new(),
            begun: Vec::new(),
            silent: Vec::new(),
            ends: Vec::new(),
            devices: OWNERS.iter().map(|_| Device::default()).collect(),
        }
    }

    fn effects(&mut self) {
        for effect in self.plan.take_effects() {
            if let Effect::Settle(end) = effect {
                self.ends.push(end);
            }
        }
    }

    pub(super) fn begin(&mut self, to: u8) {
        let commit = self.plan.begin_commit();
        self.begun.push((commit, to % KINDS));
    }

    pub(super) fn commit(&mut self, which: u8) {
        if self.begun.is_empty() {
            return;
        }
        let place = usize::from(which) % self.begun.len();
        let (commit, to) = self.begun.remove(place);
        self.last += 1;
        self.stored.insert(self.last, to);
        self.accepted.insert(self.last, self.now);
        if to < TOPIC {
            self.pending.insert(self.last);
        }
        self.silent.push((commit, self.last));
    }

    pub(super) fn tell(&mut self, which: u8) {
        if self.silent.is_empty() {
            return;
        }
        let place = usize::from(which) % self.silent.len();
        let (commit, num) = self.silent.remove(place);
        let to = self.stored[&num];
        let fresh = Fresh {
            id: id(num),
            topic: topic(to),
            scheduled: self.due(num),
            document: Bytes::from_static(b"{}"),
            mail: if to >= TOPIC {
                Vec::new()
            } else {
                vec![delivery_row(num, to)]
            },
        };
        // As the gateway does: nobody is there, nothing is said.
        let fresh = (!self.plan.is_deaf()).then_some(fresh);
        self.plan
            .committed(commit, vec![(Num(num), fresh)], self.now);
        self.effects();
    }

    /// A message that is committed and told of at once.
    pub(super) fn publish(&mut self, to: u8) {
        let commit = self.plan.begin_commit();
        self.begun.push((commit, to));
        self.commit(u8::try_from(self.begun.len() - 1).unwrap());
        self.tell(u8::try_from(self.silent.len() - 1).unwrap());
    }

    pub(super) fn connect(&mut self, who: u8) {
        let who = usize::from(who) % self.devices.len();
        if let Some(number) = self.devices[who].number {
            if self.plan.is_open(number) {
                return;
            }
            self.cut(u8::try_from(who).unwrap());
        }
        self.next_session += 1;
        let number = self.next_session;
        let owner = OWNERS[who];
        let admission = Admission {
            number,
            user: Some(user(owner)),
            resource: who.to_string(),
            acks: if owner == 2 {
                Acknowledgements::Resume
            } else {
                Acknowledgements::Explicit
            },
            expires_at: None,
            presence: PresenceUpdate::default(),
        };
        if let Some(stay) = self.plan.admit(admission, self.now).unwrap() {
            let rows: Vec<DeliveryRow> = self
                .pending
                .iter()
                .filter(|num| self.stored[num] == owner)
                .map(|num| delivery_row(*num, owner))
                .collect();
            self.plan.load_mail(&user(owner), stay, &rows, None);
        }
        let device = &mut self.devices[who];
        device.number = Some(number);
        device.loading = None;
        let welcome = Event::Ib(Arc::new(IbEvent {
            kind: "welcome".to_owned(),
            data: serde_json::Value::Null,
        }));
        self.plan.begin(number, device.last_mail, welcome, self.now);
        let stream = Stream::Topic("news".to_owned());
        let last_news = device.last_news;
        let begin = last_news.map_or(Begin::at(self.now), |after| self.begin_behind(after));
        let followed = self.plan.follow(number, NEWS, stream, begin, self.now);
        let (at, unknown) = followed.unwrap();
        if let Some(since) = unknown {
            let known = self.scheduled(since);
            self.plan
                .know_schedule(number, NEWS, since, &known, self.now);
        }
        let device = &mut self.devices[who];
        if device.last_news.is_none() {
            device.last_news = Some(Offset::at(at));
            device.news_from = at.0 + 1;
            device.news_since = self.now;
        }
        self.effects();
    }

    pub(super) fn connect_after(&mut self, who: u8, after: Offset) {
        self.devices[usize::from(who)].last_mail = Some(after);
        self.connect(who);
    }

    pub(super) fn number(&self, who: u8) -> u64 {
        self.devices[usize::from(who)].number.unwrap()
    }

    pub(super) fn received(&self, who: u8) -> usize {
        let device = &self.devices[usize::from(who)];
        device.mail.len() + device.news.len()
    }

    pub(super) fn take(&mut self, who: u8, often: u8) {
        for _ in 0..often {
            if !self.take_one(who) {
                return;
            }
        }
    }

    /// Everything that there is, read from the store where needed.
    pub(super) fn take_all(&mut self, who: u8) {
        loop {
            let more = self.take_one(who);
            let loads = self.devices[usize::from(who) % self.devices.len()]
                .loading
                .is_some();
            self.load(who);
            if !more && !loads {
                return;
            }
        }
    }

    /// Whether there was an event.
    fn take_one(&mut self, who: u8) -> bool {
        let who = usize::from(who) % self.devices.len();
        let Some(number) = self.devices[who].number else {
            return false;
        };
        if self.devices[who].loading.is_some() {
            return false;
        }
        let taken = self.plan.take(number, self.now);
        self.effects();
        match taken {
            Taken::Event(Event::Message(event)) => {
                let offset = event.offset.unwrap();
                let shown = offset.scheduled.map(|scheduled| scheduled.num.0);
                let due = shown.and_then(|num| self.due(num));
                assert!(due.is_none_or(|due| due <= self.now), "{offset} too early");
                let device = &mut self.devices[who];
                if event.stream == Stream::Mailbox {
                    device.mail.push(offset.num.0);
                    device.last_mail = Some(offset);
                } else {
                    match shown {
                        Some(num) => device.later.push((num, event.possible_duplicate.is_some())),
                        None => device.news.push(offset.num.0),
                    }
                    device.last_news = Some(offset);
                }
                device.unacknowledged.push_back(event.id);
                true
            }
            Taken::Event(_) => true,
            Taken::Want(want) => {
                let (rows, all) = self.read(&want);
                self.devices[who].loading = Some((want, rows, all));
                false
            }
            Taken::Nothing | Taken::Over => false,
        }
    }

    fn read(&self, want: &Want) -> (Vec<MessageRow>, bool) {
        match want {
            Want::Mail(offsets) => {
                let nums = offsets.iter().map(|offset| Plan::message_at(*offset).0);
                (nums.map(|num| self.message_row(num)).collect(), true)
            }
            Want::Scheduled { places, .. } => {
                let nums = places.iter().map(|place| place.num.0);
                (nums.map(|num| self.message_row(num)).collect(), true)
            }
            Want::Topic { after, limit, .. } => {
                // Small pages, so that the seam is crossed in several steps.
                let limit = (*limit).min(3);
                let behind = self.stored.range(after.0 + 1..);
                let news = behind.filter(|(_, to)| **to >= TOPIC);
                let rows: Vec<MessageRow> = news
                    .take(limit)
                    .map(|(num, _)| self.message_row(*num))
                    .collect();
                let all = rows.len() < limit;
                (rows, all)
            }
        }
    }

    pub(super) fn load(&mut self, who: u8) {
        let who = usize::from(who) % self.devices.len();
        let device = &mut self.devices[who];
        let (Some(number), Some((want, rows, all))) = (device.number, device.loading.take()) else {
            return;
        };
        match want {
            Want::Mail(offsets) => self.plan.loaded_mail(number, &offsets, rows, self.now),
            Want::Scheduled { topic, places } => {
                self.plan
                    .loaded_scheduled(number, topic, &places, &rows, self.now);
            }
            Want::Topic { topic, after, .. } => {
                self.plan
                    .loaded_topic(number, topic, after, &rows, all, self.now);
            }
        }
        self.effects();
    }

    /// Acknowledges all that the device got.
    pub(super) fn ack(&mut self, who: u8) {
        let who = usize::from(who) % self.devices.len();
        let device = &mut self.devices[who];
        let Some(number) = device.number else {
            return;
        };
        device.unacknowledged.clear();
        let streams = [
            (Stream::Mailbox, device.last_mail),
            (Stream::Topic("news".to_owned()), device.last_news),
        ];
        for (stream, last) in streams {
            if let Some(offset) = last {
                let position = Position::UpTo { stream, offset };
                self.plan.acknowledge(number, &position);
            }
        }
        self.effects();
    }

    /// Acknowledges the newest message alone.
    pub(super) fn ack_one(&mut self, who: u8) {
        let who = usize::from(who) % self.devices.len();
        let device = &mut self.devices[who];
        if let (Some(number), Some(id)) = (device.number, device.unacknowledged.pop_back()) {
            self.plan.acknowledge(number, &Position::Message(id));
            self.effects();
        }
    }

    pub(super) fn cut(&mut self, who: u8) {
        let who = usize::from(who) % self.devices.len();
        let device = &mut self.devices[who];
        if let Some(number) = device.number.take() {
            device.loading = None;
            device.unacknowledged.clear();
            self.plan.drop_session(number, self.now);
            self.effects();
        }
    }

    pub(super) fn settle(&mut self) {
        for end in std::mem::take(&mut self.ends) {
            self.pending.remove(&end.delivery.num().0);
            self.plan.settled(&end);
        }
        self.effects();
    }

    /// The process dies: what is stored stays, what is in memory does not.
    pub(super) fn restart(&mut self) {
        self.plan = Plan::new(bounds(), Num(self.last));
        self.begun.clear();
        self.silent.clear();
        self.ends.clear();
        for device in &mut self.devices {
            device.number = None;
            device.loading = None;
            device.unacknowledged.clear();
        }
    }

    /// What holds at every moment.
    pub(super) fn check(&self) {
        for (who, device) in self.devices.iter().enumerate() {
            for numbers in [&device.mail, &device.news] {
                let rising = numbers.windows(2).all(|pair| pair[0] < pair[1]);
                assert!(rising, "device {who}: {numbers:?}");
            }
            let own = |num: &u64| self.stored[num] == OWNERS[who];
            assert!(
                device.mail.iter().all(own),
                "device {who} got what is not its user's"
            );
            for (place, (num, marked)) in device.later.iter().enumerate() {
                let earlier = device.later[..place].iter().any(|(other, _)| other == num);
                assert!(*marked || !earlier, "device {who}: {num} again, unmarked");
            }
            let news = |num: &u64| self.stored[num] == TOPIC;
            assert!(
                device.news.iter().all(news),
                "device {who} got what is not of the topic"
            );
        }
    }

    /// Everything is committed and told of, everybody connects and takes all there is.
    pub(super) fn finish(&mut self) {
        self.wait(60);
        for who in 0..4 {
            self.connect(who);
            self.load(who);
            self.take_all(who);
            self.ack(who);
            self.take_all(who);
            self.ack(who);
        }
        self.settle();
        self.check();
        for (num, to) in &self.stored {
            let mut devices = self.devices.iter().zip(OWNERS);
            let any = devices.any(|(device, owner)| owner == *to && device.mail.contains(num));
            assert!(any || *to >= TOPIC, "{num} to {to} reached nobody");
            for (who, device) in self.devices.iter().enumerate() {
                let owed = *to == TOPIC && *num >= device.news_from;
                let owed_later = self.due(*num).is_some_and(|due| due > device.news_since);
                let later = device.later.iter().any(|(later, _)| later == num);
                assert!(
                    (!owed || device.news.contains(num)) && (!owed_later || later),
                    "device {who} lacks {num}"
                );
            }
        }
        let open: Vec<&u64> = self
            .pending
            .iter()
            .filter(|num| self.stored[num] != 2)
            .collect();
        assert!(open.is_empty(), "acknowledged, and still waiting: {open:?}");
    }
}
