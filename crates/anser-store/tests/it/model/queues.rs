//! What is asked of queues. Any group may be leased from, so that leases meet everything else that happens to a row.

use anser_core::delivery::DeliveryState;
use anser_core::id::{Receipt, ResourceId};
use anser_core::store::{
    Acknowledge, Acknowledgement, DeliveryRow, DeliveryScan, Diversion, Lease, Rewind, Store,
};
use proptest::prelude::*;

use super::{GROUPS, Pair};

#[derive(Debug, Clone)]
pub(super) enum Step {
    Lease {
        group: u64,
        max: usize,
        spent_max: usize,
        seconds: u64,
        age: u64,
        receives_max: Option<u32>,
    },
    Acknowledge {
        picks: Vec<(usize, u8, bool)>,
    },
    Divert {
        picks: Vec<(usize, u64, Option<u64>, bool)>,
    },
    Rewind {
        group: u64,
        age: u64,
        ended: u64,
        limit: usize,
    },
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let acknowledged =
        prop::collection::vec((any::<usize>(), 0..6_u8, prop::bool::weighted(0.1)), 1..5);
    let lane = || proptest::option::of(0..3_u64);
    let diverted = prop::collection::vec(
        (any::<usize>(), 0..GROUPS, lane(), prop::bool::weighted(0.2)),
        1..4,
    );
    prop_oneof![
        6 => (0..GROUPS, 0..5_usize, 0..3_usize, 0..6_u64, 5..60_u64, proptest::option::weighted(0.3, 1..4_u32))
            .prop_map(|(group, max, spent_max, seconds, age, receives_max)| Step::Lease {
                group, max, spent_max, seconds, age, receives_max,
            }),
        6 => acknowledged.prop_map(|picks| Step::Acknowledge { picks }),
        2 => diverted.prop_map(|picks| Step::Divert { picks }),
        2 => (0..GROUPS, 0..60_u64, 0..40_u64, 1..5_usize)
            .prop_map(|(group, age, ended, limit)| Step::Rewind { group, age, ended, limit }),
    ]
}

impl Pair {
    pub(super) async fn queue_step(&mut self, step: Step) {
        match step {
            Step::Lease {
                group,
                max,
                spent_max,
                seconds,
                age,
                receives_max,
            } => {
                let lease = Lease {
                    queue: ResourceId(20 + group),
                    max,
                    spent_max,
                    now: self.now,
                    until: self.later(seconds),
                    accepted_from: self.earlier(age),
                    receives_max,
                };
                let ours = self.sqlite().lease(lease.clone()).await;
                assert_eq!(ours, self.model.lease(lease).await);
            }
            Step::Acknowledge { picks } => self.acknowledge(picks).await,
            Step::Divert { picks } => self.divert(picks).await,
            Step::Rewind {
                group,
                age,
                ended,
                limit,
            } => {
                let rewind = Rewind {
                    queue: ResourceId(20 + group),
                    accepted_from: self.earlier(age),
                    ended_from: self.earlier(ended),
                    after: None,
                    limit,
                };
                self.rewind(rewind).await;
            }
        }
    }

    async fn acknowledge(&mut self, picks: Vec<(usize, u8, bool)>) {
        let mut acknowledgements = Vec::new();
        for (pick, kind, stale) in picks {
            // One that is leased, if any is, else whatever there is.
            let leased = self.leased().await;
            let row = match leased.get(pick % leased.len().max(1)) {
                Some(row) if !stale => row.clone(),
                _ => match self.pick(pick) {
                    Some(row) => row.clone(),
                    None => return,
                },
            };
            let to = match kind {
                0 | 1 => Acknowledge::Done { rewindable: true },
                2 => Acknowledge::Done { rewindable: false },
                3 => Acknowledge::Extend {
                    until: self.later(3),
                },
                4 => Acknowledge::Release { at: self.now },
                _ => Acknowledge::Release { at: self.later(2) },
            };
            acknowledgements.push(Acknowledgement {
                queue: row.group,
                receipt: Receipt::new(row.id, row.attempts),
                at: self.now,
                to,
            });
        }
        let ours = self.sqlite().acknowledge(acknowledgements.clone()).await;
        assert_eq!(ours, self.model.acknowledge(acknowledgements).await);
    }

    /// Those received and not done.
    async fn leased(&self) -> Vec<DeliveryRow> {
        let scan = DeliveryScan {
            states: vec![DeliveryState::Retrying],
            limit: 10_000,
            rows_read_max: 10_000,
            ..DeliveryScan::default()
        };
        self.model.scan_deliveries(scan).await.unwrap().deliveries
    }

    async fn divert(&mut self, picks: Vec<(usize, u64, Option<u64>, bool)>) {
        let mut diversions = Vec::new();
        for (pick, group, lane, stale) in picks {
            let Some(made) = self.pick(pick).cloned() else {
                return;
            };
            let now = self.model.delivery(made.id).await.unwrap();
            let row = now.filter(|_| !stale).unwrap_or(made);
            diversions.push(Diversion {
                token: row.token(),
                to: self.delivery(group, lane, false, 0),
                at: self.now,
            });
        }
        let ours = self.sqlite().divert(diversions.clone()).await;
        assert_eq!(ours, self.model.divert(diversions).await);
        self.rows.extend(ours.unwrap().into_iter().flatten());
    }

    /// Step by step to the end.
    async fn rewind(&mut self, mut rewind: Rewind) {
        loop {
            let ours = self.sqlite().rewind(rewind.clone()).await;
            assert_eq!(ours, self.model.rewind(rewind.clone()).await);
            match ours.unwrap().next {
                Some(next) => rewind.after = Some(next),
                None => return,
            }
        }
    }
}
