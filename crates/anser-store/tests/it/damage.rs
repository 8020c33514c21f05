//! Damage, on copies of a data directory taken while its store was open, as a kill would leave it. Behind the last
//! acknowledged commit it costs nothing; before it, it is reported at open or when the row is read, never taken for an
//! end or an absence.

use anser_core::Timestamp;
use anser_core::attempt::Attempt;
use anser_core::delivery::DeliveryState;
use anser_core::id::{IdGenerator, MessageId, Receipt, ResourceId};
use anser_core::random::{Random, SeededRandom};
use anser_core::store::{
    Acknowledge, Acknowledgement, Append, Claim, ClaimClass, Claimed, ConfigChange, ConfigKind,
    ConfigRow, DeliveryRow, DeliveryScan, Depth, Group, Lease, MessageRow, MessageScan,
    NewDelivery, NewMessage, QueueCounts, Result, Settle, Settlement, Store, StoreError,
};
use anser_store::{OpenError, SqliteStore};
use bytes::Bytes;

use crate::setup::{Place, overwrite};

const DATABASE: &str = "anser.db";
const LOG: &str = "anser.db-wal";
const LOG_HEADER_BYTES: u64 = 32;
const FRAME_BYTES: u64 = 4096 + 24;
const GROUP: ResourceId = ResourceId(2);
/// Places damaged in each file.
const TRIALS: u64 = 150;

/// Everything that can be read, by every way there is to it.
#[derive(Debug, PartialEq)]
struct Content {
    messages: Vec<MessageRow>,
    by_topic: Vec<MessageRow>,
    by_id: Vec<Option<MessageRow>>,
    deliveries: Vec<DeliveryRow>,
    dead: Vec<DeliveryRow>,
    claimed: Vec<Claimed>,
    groups: Vec<(Group, Timestamp)>,
    attempts: Vec<Vec<Attempt>>,
    depths: Vec<Depth>,
    counts: QueueCounts,
    config: Vec<ConfigRow>,
}

struct Filler {
    ids: IdGenerator,
    random: SeededRandom,
    made: Vec<MessageId>,
}

fn at(step: u64) -> Timestamp {
    Timestamp::from_millis(1_763_859_600_000 + i64::try_from(step).unwrap())
}

impl Filler {
    fn new() -> Self {
        Self {
            ids: IdGenerator::above(None),
            random: SeededRandom::new(9),
            made: Vec::new(),
        }
    }

    async fn append(&mut self, store: &SqliteStore, step: u64, document: usize) -> DeliveryRow {
        let id = self.ids.next(at(step), &self.random);
        self.made.push(id);
        let message = NewMessage {
            id,
            topic: ResourceId(1),
            time: at(step),
            document: Bytes::from(vec![b'x'; document]),
            dedupe: None,
            blobs: Vec::new(),
            link: None,
            known_as: Vec::new(),
            delete_at: None,
            deliveries: vec![NewDelivery {
                group: GROUP,
                channel: ResourceId(3),
                target: Some("t".into()),
                lane: step.is_multiple_of(3).then_some(step % 2),
                due: at(step),
                scheduled: false,
                expires_at: None,
            }],
        };
        let append = Append {
            messages: vec![message],
            atomic: false,
        };
        store.append(append).await.unwrap();
        let newest = DeliveryScan {
            limit: 1,
            rows_read_max: 1,
            ..DeliveryScan::default()
        };
        store
            .scan_deliveries(newest)
            .await
            .unwrap()
            .deliveries
            .remove(0)
    }

    /// A little of everything, one commit each.
    async fn fill(&mut self, store: &SqliteStore, steps: u64) {
        for step in 0..steps {
            let row = self.append(store, step, 200).await;
            let to = match step % 4 {
                0 => Settle::Dead,
                1 => Settle::Delivered,
                2 => Settle::Retry {
                    at: at(step + 5),
                    possible_duplicate: None,
                    checkpoint: Some(Bytes::from_static(b"plan")),
                },
                _ => continue,
            };
            let settlement = Settlement {
                token: row.token(),
                to,
                at: at(step),
                attempt: Some(attempt(step)),
                unlogged: false,
                known_as: Vec::new(),
            };
            store.settle(vec![settlement]).await.unwrap();
            let change = ConfigChange::Put {
                kind: ConfigKind::Topic,
                key: format!("topic {}", step % 8),
                document: Bytes::from_static(b"{}"),
                expected: None,
            };
            store.config_apply(vec![change]).await.unwrap();
            self.consume(store, step).await;
        }
    }

    /// Leases two and acknowledges one.
    async fn consume(&self, store: &SqliteStore, step: u64) {
        let lease = Lease {
            queue: GROUP,
            max: 2,
            spent_max: 0,
            now: at(step),
            until: at(step + 4),
            accepted_from: Timestamp::EPOCH,
            receives_max: None,
        };
        let leased = store.lease(lease).await.unwrap().deliveries;
        let done = leased.iter().take(1).map(|one| Acknowledgement {
            queue: GROUP,
            receipt: Receipt::new(one.row.id, one.row.attempts),
            at: at(step),
            to: Acknowledge::Done { rewindable: true },
        });
        store.acknowledge(done.collect()).await.unwrap();
    }

    async fn content(&self, store: &SqliteStore) -> Result<Content> {
        let all = MessageScan {
            limit: 10_000,
            ..MessageScan::default()
        };
        let by_topic = MessageScan {
            topic: Some(ResourceId(1)),
            ..all.clone()
        };
        let deliveries = DeliveryScan {
            limit: 10_000,
            rows_read_max: 10_000,
            ..DeliveryScan::default()
        };
        let dead = DeliveryScan {
            states: vec![DeliveryState::Dead],
            ..deliveries.clone()
        };
        let deliveries = store.scan_deliveries(deliveries).await?.deliveries;
        let (mut by_id, mut attempts, mut claimed) = (Vec::new(), Vec::new(), Vec::new());
        for id in &self.made {
            by_id.push(store.message(*id).await?);
        }
        for row in &deliveries {
            attempts.push(store.attempts(row.id).await?);
        }
        for class in [ClaimClass::First, ClaimClass::Retry] {
            let claim = Claim {
                group: GROUP,
                class,
                due_until: Timestamp::FAR_FUTURE,
                exclude: Vec::new(),
                limit: 10_000,
            };
            claimed.push(store.claim(claim).await?);
        }
        Ok(Content {
            messages: store.scan_messages(all).await?,
            by_topic: store.scan_messages(by_topic).await?,
            by_id,
            deliveries,
            dead: store.scan_deliveries(dead).await?.deliveries,
            claimed,
            groups: store.groups().await?,
            attempts,
            depths: store.depths(),
            counts: store.queue_counts(GROUP, at(20), at(0)).await?,
            config: store.config_list().await?,
        })
    }
}

fn attempt(step: u64) -> Attempt {
    let json = format!(
        "{{\"number\":1,\"started\":\"2026-01-01T00:00:00Z\",\"timing\":{{\"total_us\":{step}}},\"outcome\":\"retry\"}}"
    );
    serde_json::from_str(&json).unwrap()
}

fn length(place: &Place, name: &str) -> u64 {
    std::fs::metadata(place.file(name)).unwrap().len()
}

#[tokio::test]
async fn damage_behind_the_last_acknowledged_commit_costs_nothing() {
    let (place, mut filler) = (Place::new(), Filler::new());
    let store = place.open();
    filler.fill(&store, 20).await;
    let expected = filler.content(&store).await.unwrap();
    let killed = place.copy();
    let end = length(&killed, LOG);
    let frame = std::fs::read(killed.file(LOG)).unwrap()[LOG_HEADER_BYTES as usize..]
        [..FRAME_BYTES as usize]
        .to_vec();
    let mut next_transaction = frame.clone();
    next_transaction[4..8].copy_from_slice(&99_u32.to_be_bytes());
    let random = SeededRandom::new(4);
    let mut noise = vec![0; 3 * FRAME_BYTES as usize];
    random.fill(&mut noise);
    for behind in [
        &frame[..],
        &frame[..100],
        &next_transaction,
        &noise,
        &[0; 9_000],
    ] {
        let copy = killed.copy();
        overwrite(&copy.file(LOG), end, behind);
        let opened = copy.open();
        assert_eq!(filler.content(&opened).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn damage_before_it_is_reported_or_harmless() {
    let (place, mut filler) = (Place::new(), Filler::new());
    let store = place.open();
    filler.fill(&store, 40).await;
    let expected = filler.content(&store).await.unwrap();
    let killed = place.copy();
    store.close().await.unwrap();
    let random = SeededRandom::new(6);
    // In the log as a kill leaves it, and in the database as a proper close leaves it.
    for (whole, name) in [(&killed, LOG), (&place, DATABASE)] {
        let bytes = std::fs::read(whole.file(name)).unwrap();
        for trial in 0..TRIALS {
            let from = usize::try_from(random.next_u64() % bytes.len() as u64).unwrap();
            let to = bytes
                .len()
                .min(from + 1 + usize::try_from(random.next_u64() % 16).unwrap());
            let mut damaged = bytes[from..to].to_vec();
            match trial % 3 {
                0 => damaged[0] ^= 1 << (random.next_u64() % 8),
                1 => damaged.fill(0),
                _ => random.fill(&mut damaged),
            }
            let copy = whole.copy();
            overwrite(&copy.file(name), from as u64, &damaged);
            let Ok(opened) = copy.try_open() else {
                continue;
            };
            // Every byte of the log counts; a database has pages that are not in use.
            let unchanged = damaged == bytes[from..to];
            assert!(
                unchanged || name == DATABASE,
                "{name} changed at {from}: {damaged:?}"
            );
            match filler.content(&opened).await {
                Ok(content) => {
                    assert_eq!(content, expected, "{name} changed at {from}: {damaged:?}");
                }
                Err(StoreError::Corrupt(_) | StoreError::Permanent(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[tokio::test]
async fn a_log_that_lost_acknowledged_frames_is_damaged() {
    let (place, mut filler) = (Place::new(), Filler::new());
    let store = place.open();
    filler.fill(&store, 10).await;
    let killed = place.copy();
    let end = length(&killed, LOG);
    let refused = |place: &Place| match place.try_open() {
        Err(error @ OpenError::Damaged { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let missing = killed.copy();
    std::fs::remove_file(missing.file(LOG)).unwrap();
    assert!(refused(&missing).contains("missing or empty"));
    let short = killed.copy();
    std::fs::File::options()
        .write(true)
        .open(short.file(LOG))
        .unwrap()
        .set_len(end - FRAME_BYTES)
        .unwrap();
    let text = refused(&short);
    assert!(
        text.contains("acknowledged frames") && text.contains(LOG),
        "{text}"
    );
    // Without the record of what was acknowledged, transactions behind a broken frame still tell.
    let broken = killed.copy();
    std::fs::remove_file(broken.file("anser.ack")).unwrap();
    overwrite(
        &broken.file(LOG),
        LOG_HEADER_BYTES + FRAME_BYTES * 3 + 1_000,
        b"damage",
    );
    assert!(refused(&broken).contains("later transactions"));
    let headless = broken.copy();
    overwrite(&headless.file(LOG), 17, b"damage");
    assert!(refused(&headless).contains("is broken"));
    let gone = killed.copy();
    std::fs::remove_file(gone.file(DATABASE)).unwrap();
    assert!(refused(&gone).contains("missing or empty"));
    // The record itself is no data: without it, or with a broken one, nothing is lost.
    for change in [None, Some(b"damage".as_slice())] {
        let copy = killed.copy();
        match change {
            None => std::fs::remove_file(copy.file("anser.ack")).unwrap(),
            Some(bytes) => overwrite(&copy.file("anser.ack"), 10, bytes),
        }
        copy.open();
    }
}

#[tokio::test]
async fn nothing_is_lost_or_called_damaged_while_the_log_begins_anew() {
    let (place, mut filler) = (Place::new(), Filler::new());
    let store = place.open();
    let mut restarts = 0;
    let mut salts = Vec::new();
    for step in 0..90_u64 {
        filler.append(&store, step, 600_000).await;
        let log = std::fs::read(place.file(LOG)).unwrap();
        let anew = salts != log[16..24];
        if anew {
            salts = log[16..24].to_vec();
            restarts += 1;
        }
        if anew || step % 30 == 29 {
            let opened = place.copy().open();
            let newest = DeliveryScan {
                limit: 1_000,
                rows_read_max: 1_000,
                ..DeliveryScan::default()
            };
            let found = opened
                .scan_deliveries(newest)
                .await
                .unwrap()
                .deliveries
                .len();
            assert_eq!(found as u64, step + 1);
        }
    }
    assert!(restarts > 1, "{restarts}");
    // Just begun anew, the log's run is shorter than those before: when that is depends on how fast the disk is.
    let mut written = 90;
    loop {
        filler.append(&store, written, 600_000).await;
        written += 1;
        let log = std::fs::read(place.file(LOG)).unwrap();
        if salts != log[16..24] {
            break;
        }
    }
    // Bytes of the runs before lie behind this one's; they are not part of it.
    let copy = place.copy();
    overwrite(&copy.file(LOG), length(&copy, LOG) - 5_000, &[7; 5_000]);
    let found = copy
        .open()
        .scan_messages(MessageScan {
            limit: 1_000,
            ..MessageScan::default()
        })
        .await
        .unwrap();
    assert_eq!(found.len() as u64, written);
}
