//! Random operations on the SQLite store and on the model: every answer is the same, and so is everything that can be
//! read afterwards, also when the data was closed or dropped and opened again in between.

mod blobs;
mod queues;

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::attempt::{Attempt, PossibleDuplicate, Timing};
use anser_core::delivery::DeliveryState;
use anser_core::id::{IdGenerator, Num, ResourceId};
use anser_core::outcome::OutcomeClass;
use anser_core::random::SeededRandom;
use anser_core::store::{
    Alias, AliasKey, AliasKind, Append, Appended, Claim, ClaimClass, ConfigChange, ConfigKind,
    Dedupe, DeliveryRow, DeliveryScan, Link, LinkKind, MessageScan, NewDelivery, NewMessage,
    Retention, Settle, Settlement, Store,
};
use anser_store::{MemoryStore, SqliteStore};
use bytes::Bytes;
use proptest::prelude::*;

use crate::setup::Place;

const TOPICS: u64 = 3;
const GROUPS: u64 = 3;
const CHANNELS: u64 = 2;
/// Messages with numbers below this may have others that are about them.
const NUMS_LINKED: u64 = 20;
/// Names that platforms give to messages.
const NAMES: u8 = 4;

#[derive(Debug, Clone)]
struct Item {
    topic: u64,
    /// Repeats the id of the last message.
    same_id: bool,
    dedupe: Option<(u8, u8)>,
    delete_at: bool,
    blobs: Vec<u8>,
    /// The number of the message that it is about, and whether it recalls that.
    link: Option<(u64, bool)>,
    /// Names that it is known by, and as what.
    known_as: Vec<(u8, u8)>,
    deliveries: Vec<(u64, Option<u64>, bool, u64)>,
}

#[derive(Debug, Clone)]
enum Step {
    Append {
        atomic: bool,
        items: Vec<Item>,
    },
    Settle {
        picks: Vec<(usize, u8, bool)>,
    },
    Reopen {
        pick: usize,
    },
    Enqueue {
        pick: usize,
        lane: Option<u64>,
    },
    Cancel {
        group: u64,
        limit: usize,
    },
    Configure {
        changes: Vec<(u8, u8, Option<bool>)>,
    },
    Sweep {
        age: u64,
    },
    Claim {
        group: u64,
        retry: bool,
        limit: usize,
        skip: usize,
    },
    Queue(queues::Step),
    Blob(blobs::Step),
    Restart {
        clean: bool,
    },
}

fn item() -> impl Strategy<Value = Item> {
    let delivery = (
        0..GROUPS,
        proptest::option::of(0..3_u64),
        prop::bool::weighted(0.2),
        0..5_u64,
    );
    (
        0..TOPICS,
        prop::bool::weighted(0.1),
        proptest::option::weighted(0.4, (0..3_u8, 0..2_u8)),
        prop::bool::weighted(0.2),
        blobs::referred(),
        proptest::option::weighted(0.3, (1..NUMS_LINKED, prop::bool::ANY)),
        prop::collection::vec((0..NAMES, 0..4_u8), 0..3),
        prop::collection::vec(delivery, 0..4),
    )
        .prop_map(
            |(topic, same_id, dedupe, delete_at, blobs, link, known_as, deliveries)| Item {
                topic,
                same_id,
                dedupe,
                delete_at,
                blobs,
                link,
                known_as,
                deliveries,
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let picks = prop::collection::vec((any::<usize>(), 0..10_u8, prop::bool::weighted(0.1)), 1..5);
    let changes = prop::collection::vec((0..2_u8, 0..3_u8, any::<Option<bool>>()), 1..4);
    prop_oneof![
        4 => (any::<bool>(), prop::collection::vec(item(), 1..4)).prop_map(|(atomic, items)| Step::Append { atomic, items }),
        6 => picks.prop_map(|picks| Step::Settle { picks }),
        1 => any::<usize>().prop_map(|pick| Step::Reopen { pick }),
        1 => (any::<usize>(), proptest::option::of(0..3_u64)).prop_map(|(pick, lane)| Step::Enqueue { pick, lane }),
        1 => (0..GROUPS, 0..4_usize).prop_map(|(group, limit)| Step::Cancel { group, limit }),
        1 => changes.prop_map(|changes| Step::Configure { changes }),
        1 => (0..40_u64).prop_map(|age| Step::Sweep { age }),
        2 => (0..GROUPS, any::<bool>(), 0..4_usize, 0..4_usize)
            .prop_map(|(group, retry, limit, skip)| Step::Claim { group, retry, limit, skip }),
        1 => any::<bool>().prop_map(|clean| Step::Restart { clean }),
        14 => queues::step().prop_map(Step::Queue),
        6 => blobs::step().prop_map(Step::Blob),
    ]
}

fn key(name: u8) -> AliasKey {
    AliasKey([name; 16])
}

fn alias(name: u8, kind: u8) -> Alias {
    let kind = AliasKind::from_code(kind).unwrap();
    Alias {
        key: key(name),
        kind,
    }
}

struct Pair {
    place: Place,
    model: MemoryStore,
    sqlite: Option<SqliteStore>,
    ids: IdGenerator,
    random: SeededRandom,
    now: Timestamp,
    last: Option<NewMessage>,
    /// Every delivery as it was when it was made.
    rows: Vec<DeliveryRow>,
}

impl Pair {
    fn new() -> Self {
        let place = Place::new();
        let sqlite = Some(place.open());
        Self {
            place,
            model: MemoryStore::new(),
            sqlite,
            ids: IdGenerator::above(None),
            random: SeededRandom::new(3),
            now: Timestamp::from_millis(1_763_859_600_000),
            last: None,
            rows: Vec::new(),
        }
    }

    fn sqlite(&self) -> &SqliteStore {
        self.sqlite.as_ref().unwrap()
    }

    fn later(&self, seconds: u64) -> Timestamp {
        self.now.plus(Duration::from_secs(seconds))
    }

    fn earlier(&self, seconds: u64) -> Timestamp {
        self.now.minus(Duration::from_secs(seconds))
    }

    async fn step(&mut self, step: Step) {
        self.now = self.later(1);
        match step {
            Step::Append { atomic, items } => self.append(atomic, items).await,
            Step::Settle { picks } => self.settle(picks).await,
            Step::Reopen { pick } => {
                let Some(row) = self.pick(pick) else { return };
                let (id, due) = (row.id, self.later(2));
                assert_eq!(
                    self.sqlite().reopen(id, due).await,
                    self.model.reopen(id, due).await
                );
            }
            Step::Enqueue { pick, lane } => {
                let num = self.pick(pick).map_or(Num(7), |row| row.id.num());
                let new = vec![self.delivery(1, lane, false, 0)];
                let made = self.sqlite().enqueue(num, new.clone()).await;
                assert_eq!(made, self.model.enqueue(num, new).await);
                self.rows.extend(made.unwrap().into_iter().flatten());
            }
            Step::Cancel { group, limit } => {
                let keep: Vec<_> = self.rows.first().map(|row| row.id).into_iter().collect();
                let group = ResourceId(20 + group);
                let ours = self
                    .sqlite()
                    .cancel_group(group, keep.clone(), self.now, limit)
                    .await;
                assert_eq!(
                    ours,
                    self.model.cancel_group(group, keep, self.now, limit).await
                );
            }
            Step::Configure { changes } => self.configure(changes).await,
            Step::Sweep { age } => {
                let retention = self.retention(age);
                let ours = self.sqlite().sweep(retention.clone()).await;
                assert_eq!(ours, self.model.sweep(retention).await);
                for target in (1..NUMS_LINKED).map(Num) {
                    let ours = self.sqlite().linked(target).await;
                    assert_eq!(ours, self.model.linked(target).await);
                }
                self.compare_names().await;
            }
            Step::Claim {
                group,
                retry,
                limit,
                skip,
            } => self.claim(group, retry, limit, skip).await,
            Step::Restart { clean } => self.restart(clean).await,
            Step::Queue(step) => self.queue_step(step).await,
            Step::Blob(step) => self.blob_step(step).await,
        }
    }

    fn pick(&self, pick: usize) -> Option<&DeliveryRow> {
        self.rows.get(pick.checked_rem(self.rows.len())?)
    }

    fn delivery(
        &self,
        group: u64,
        lane: Option<u64>,
        scheduled: bool,
        seconds: u64,
    ) -> NewDelivery {
        NewDelivery {
            group: ResourceId(20 + group),
            channel: ResourceId(30 + group % CHANNELS),
            target: lane.map(|lane| format!("target {lane}")),
            lane: lane.map(|lane| u64::MAX - lane),
            due: self.later(seconds),
            scheduled,
            expires_at: scheduled.then(|| self.later(99)),
        }
    }

    fn message(&mut self, item: &Item) -> NewMessage {
        if let Some(last) = self.last.clone().filter(|_| item.same_id) {
            return last;
        }
        let deliveries = item.deliveries.iter();
        let message = NewMessage {
            id: self.ids.next(self.now, &self.random),
            topic: ResourceId(10 + item.topic),
            time: self.now,
            document: Bytes::from(format!("{item:?}")),
            dedupe: item.dedupe.map(|(key, fingerprint)| Dedupe {
                lineage: u64::from(key % 2),
                key: format!("key {key}"),
                fingerprint: [fingerprint; 32],
                expires_at: self.later(10),
            }),
            delete_at: item.delete_at.then(|| self.later(15)),
            blobs: item.blobs.iter().map(|blob| blobs::hash(*blob)).collect(),
            link: item.link.map(|(target, recalled)| Link {
                target: Num(target),
                kind: if recalled {
                    LinkKind::Recalled
                } else {
                    LinkKind::Edited
                },
            }),
            known_as: item
                .known_as
                .iter()
                .map(|&(name, kind)| alias(name, kind))
                .collect(),
            deliveries: deliveries
                .map(|&(group, lane, scheduled, due)| self.delivery(group, lane, scheduled, due))
                .collect(),
        };
        self.last = Some(message.clone());
        message
    }

    async fn append(&mut self, atomic: bool, items: Vec<Item>) {
        let messages: Vec<NewMessage> = items.iter().map(|item| self.message(item)).collect();
        let append = Append { messages, atomic };
        let answers = self.sqlite().append(append.clone()).await;
        assert_eq!(answers, self.model.append(append).await);
        for answer in answers.unwrap() {
            if let Appended::Stored { deliveries, .. } = answer {
                self.rows.extend(deliveries);
            }
        }
    }

    async fn settle(&mut self, picks: Vec<(usize, u8, bool)>) {
        let mut settlements = Vec::new();
        for (pick, kind, stale) in picks {
            let Some(made) = self.pick(pick).cloned() else {
                return;
            };
            let now = self.model.delivery(made.id).await.unwrap();
            let row = now.filter(|_| !stale).unwrap_or(made);
            settlements.push(self.settlement(&row, kind));
        }
        let settled = self.sqlite().settle(settlements.clone()).await;
        assert_eq!(settled, self.model.settle(settlements).await);
    }

    fn settlement(&self, row: &DeliveryRow, kind: u8) -> Settlement {
        let to = match kind {
            0 | 1 => Settle::Delivered,
            2 => Settle::Dead,
            3 => Settle::Expired,
            4 => Settle::Cancelled,
            5 => Settle::Park {
                at: self.later(3),
                possible_duplicate: None,
                checkpoint: Some(Bytes::from_static(b"half")),
            },
            6 if row.scheduled => Settle::Join,
            9 => Settle::Note,
            _ => Settle::Retry {
                at: self.later(2),
                possible_duplicate: (kind == 7).then_some(PossibleDuplicate::Restart),
                checkpoint: (kind == 8).then(|| Bytes::from_static(b"plan")),
            },
        };
        let attempt = Attempt {
            number: row.attempts + 1,
            started: self.now,
            timing: Timing::default(),
            peer: None,
            status: Some(200 + u16::from(kind)),
            outcome: OutcomeClass::Retry,
            error: (kind == 2).then(|| "refused".into()),
            degraded: Vec::new(),
            platform_ids: Vec::new(),
            possible_duplicate: None,
            report: None,
            next: None,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            response: "x".repeat(usize::from(kind)),
        };
        Settlement {
            token: row.token(),
            to,
            at: self.now,
            attempt: (kind != 3).then_some(attempt),
            unlogged: kind == 1,
            known_as: (0..kind % NAMES).map(key).collect(),
        }
    }

    async fn configure(&mut self, changes: Vec<(u8, u8, Option<bool>)>) {
        let known = self.model.config_list().await.unwrap();
        let changes: Vec<ConfigChange> = changes
            .into_iter()
            .map(|(kind, key, expected)| {
                let (kind, key) = (ConfigKind::ALL[usize::from(kind)], format!("name {key}"));
                let current = known.iter().find(|row| row.kind == kind && row.key == key);
                let revision = current.map_or(0, |row| row.revision);
                let expected = expected.map(|right| if right { revision } else { revision + 1 });
                if key.ends_with('2') {
                    ConfigChange::Delete {
                        kind,
                        key: "name 1".into(),
                        expected,
                    }
                } else {
                    ConfigChange::Put {
                        kind,
                        key,
                        document: Bytes::from_static(b"{}"),
                        expected,
                    }
                }
            })
            .collect();
        let ours = self.sqlite().config_apply(changes.clone()).await;
        assert_eq!(ours, self.model.config_apply(changes).await);
    }

    fn retention(&self, age: u64) -> Retention {
        Retention {
            messages_before: vec![(ResourceId(10), self.earlier(age / 2))],
            default_before: self.earlier(age),
            dead_before: self.earlier(age * 2),
            attempts_before: self.earlier(age),
            now: self.now,
            limit: 100_000,
        }
    }

    async fn claim(&self, group: u64, retry: bool, limit: usize, skip: usize) {
        let claim = Claim {
            group: ResourceId(20 + group),
            class: if retry {
                ClaimClass::Retry
            } else {
                ClaimClass::First
            },
            due_until: self.now,
            exclude: self
                .rows
                .iter()
                .rev()
                .take(skip)
                .map(|row| row.id)
                .collect(),
            limit,
        };
        let ours = self.sqlite().claim(claim.clone()).await;
        assert_eq!(ours, self.model.claim(claim).await);
    }

    async fn restart(&mut self, clean: bool) {
        let store = self.sqlite.take().unwrap();
        let epoch = store.info().epoch;
        if clean {
            store.close().await.unwrap();
        }
        drop(store);
        let store = self.place.open();
        let info = store.info();
        assert_eq!((info.clean, info.epoch), (clean, epoch + 1));
        self.sqlite = Some(store);
        self.compare().await;
    }

    async fn compare_names(&self) {
        for key in (0..NAMES).map(key) {
            let ours = self.sqlite().known_as(key).await;
            assert_eq!(ours, self.model.known_as(key).await);
        }
    }

    /// Everything that can be read is the same.
    async fn compare(&self) {
        let (ours, model) = (self.sqlite(), &self.model);
        let messages = MessageScan {
            limit: 10_000,
            ..MessageScan::default()
        };
        assert_eq!(
            ours.scan_messages(messages.clone()).await,
            model.scan_messages(messages).await
        );
        for states in [vec![], vec![DeliveryState::Dead]] {
            let scan = DeliveryScan {
                states,
                limit: 10_000,
                rows_read_max: 10_000,
                ..DeliveryScan::default()
            };
            let page = ours.scan_deliveries(scan.clone()).await.unwrap();
            assert_eq!(
                page.deliveries,
                model.scan_deliveries(scan).await.unwrap().deliveries
            );
        }
        for row in &self.rows {
            assert_eq!(
                ours.attempts(row.id).await,
                model.attempts(row.id).await,
                "{row:?}"
            );
        }
        assert_eq!(ours.depths(), model.depths());
        for depth in model.depths() {
            assert_eq!(
                ours.depths_of(depth.channel),
                model.depths_of(depth.channel)
            );
        }
        self.compare_blobs().await;
        self.compare_names().await;
        assert_eq!(ours.groups().await, model.groups().await);
        assert_eq!(ours.config_list().await, model.config_list().await);
        for group in 0..GROUPS {
            self.claim(group, false, 10_000, 0).await;
            self.claim(group, true, 10_000, 0).await;
            let (queue, ended_from) = (ResourceId(20 + group), self.earlier(20));
            assert_eq!(
                ours.queue_counts(queue, self.now, ended_from).await,
                model.queue_counts(queue, self.now, ended_from).await
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_is_the_model(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new();
            for step in steps {
                pair.step(step).await;
            }
            pair.compare().await;
            pair.restart(false).await;
        });
    }
}
