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
    Acknowledgements, Event, IbEvent, Offset, Position, PresenceUpdate, Stream,
};
use anser_core::name::UserId;
use anser_core::store::{DeliveryRow, MessageRow};
use bytes::Bytes;

use crate::live::plan::{Admission, Begin, Bounds, Effect, Fresh, MailEnd, Plan, Taken, Want};
use crate::mailbox::group_of;

pub(super) const START: Timestamp = Timestamp::from_millis(1_795_395_600_000);
/// Where a message goes that is for no user.
pub(super) const TOPIC: u8 = 3;
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
    last_mail: Option<Offset>,
    last_news: Option<Num>,
    /// The first message of the topic that it is owed.
    news_from: u64,
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

fn message_row(num: u64, to: u8) -> MessageRow {
    MessageRow {
        num: Num(num),
        id: id(num),
        topic: if to == TOPIC { NEWS } else { DIRECT },
        time: START,
        document: Bytes::from_static(b"{}"),
    }
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
    pub(super) fn new() -> Self {
        Self {
            plan: Plan::new(bounds(), Num(0)),
            now: START,
            last: 0,
            next_session: 0,
            stored: BTreeMap::new(),
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
        self.begun.push((commit, to % 4));
    }

    pub(super) fn commit(&mut self, which: u8) {
        if self.begun.is_empty() {
            return;
        }
        let place = usize::from(which) % self.begun.len();
        let (commit, to) = self.begun.remove(place);
        self.last += 1;
        self.stored.insert(self.last, to);
        if to != TOPIC {
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
            topic: message_row(num, to).topic,
            scheduled: None,
            document: Bytes::from_static(b"{}"),
            mail: if to == TOPIC {
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
        if self.devices[who].number.is_some() {
            return;
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
        let begin = Begin {
            after: device.last_news,
            ..Begin::at(self.now)
        };
        let followed = self.plan.follow(number, NEWS, stream, begin, self.now);
        let (at, unknown) = followed.unwrap();
        if let Some(since) = unknown {
            self.plan.know_schedule(number, NEWS, since, &[], self.now);
        }
        if device.last_news.is_none() {
            device.last_news = Some(at);
            device.news_from = at.0 + 1;
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
                let device = &mut self.devices[who];
                let offset = event.offset.unwrap();
                if event.stream == Stream::Mailbox {
                    device.mail.push(offset.num.0);
                    device.last_mail = Some(offset);
                } else {
                    device.news.push(offset.num.0);
                    device.last_news = Some(offset.num);
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
                let rows = nums.map(|num| message_row(num, self.stored[&num]));
                (rows.collect(), true)
            }
            Want::Scheduled { .. } => (Vec::new(), true),
            Want::Topic { after, limit, .. } => {
                // Small pages, so that the seam is crossed in several steps.
                let limit = (*limit).min(3);
                let behind = self.stored.range(after.0 + 1..);
                let news = behind.filter(|(_, to)| **to == TOPIC);
                let rows: Vec<MessageRow> = news
                    .take(limit)
                    .map(|(num, to)| message_row(*num, *to))
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
            (
                Stream::Topic("news".to_owned()),
                device.last_news.map(Offset::at),
            ),
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
            let news = |num: &u64| self.stored[num] == TOPIC;
            assert!(
                device.news.iter().all(news),
                "device {who} got what is not of the topic"
            );
        }
    }

    /// Everything is committed and told of, everybody connects and takes all there is.
    pub(super) fn finish(&mut self) {
        while !self.begun.is_empty() {
            self.commit(0);
        }
        while !self.silent.is_empty() {
            self.tell(0);
        }
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
            assert!(any || *to == TOPIC, "{num} to {to} reached nobody");
            for (who, device) in self.devices.iter().enumerate() {
                let owed = *to == TOPIC && *num >= device.news_from;
                assert!(
                    !owed || device.news.contains(num),
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
