//! One receive: ask the store, and with nothing there sleep until woken or the time is up. What was leased for a caller
//! who is gone is given back.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anser_core::id::{Num, Receipt};
use anser_core::store::{DeliveryRow, Group, Lease, LeasedDelivery, StoreError};
use anser_core::{Message, Problem, ProblemKind, Timestamp};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::spent::Rules;
use super::waiting::{Refused, Sleep, Ticket};
use super::{Leasing, RECEIVERS_MAX, Unclaimed, signal};
use crate::refusal::store_problem;

/// Spent messages that one look at a queue ends at most.
pub(super) const SPENT_STEP: usize = 500;
/// Looks in a row that find nothing but spent messages.
const LOOKS_MAX: usize = 10;

/// What is asked of a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    /// The queue.
    pub(crate) queue: Group,
    /// Messages at most.
    pub(crate) max: usize,
    /// How long to wait for the first.
    pub(crate) wait: Duration,
    /// For how long they are leased; `None`: as the queue says.
    pub(crate) lease: Option<Duration>,
}

/// A leased message.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Its delivery, as it stands.
    pub(crate) row: DeliveryRow,
    /// Its number.
    pub(crate) num: Num,
    /// The message.
    pub(crate) message: Message,
    /// As stored.
    pub(crate) document: Bytes,
}

impl Taken {
    /// What the consumer holds.
    pub(crate) fn receipt(&self) -> Receipt {
        Receipt::new(self.row.id, self.row.attempts)
    }
}

/// Leased messages on their way to the caller. Dropped before they are kept, they are given back at once.
pub(crate) struct Lent {
    leasing: Arc<Leasing>,
    queue: Group,
    taken: Vec<Taken>,
}

impl Lent {
    /// They have arrived.
    pub(crate) fn keep(mut self) -> Vec<Taken> {
        std::mem::take(&mut self.taken)
    }

    /// The messages.
    pub(crate) fn taken(&self) -> &[Taken] {
        &self.taken
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.taken.is_empty() {
            let unclaimed = Unclaimed {
                queue: self.queue,
                receipts: self.taken.iter().map(Taken::receipt).collect(),
            };
            // The keeper has ended with the gateway: the leases end by themselves.
            let _ = self.leasing.unclaimed.send(unclaimed);
        }
    }
}

/// What one try found.
struct Found {
    lent: Lent,
    /// There is more to look through.
    again: bool,
}

/// A place among those who wait; given up when dropped.
struct Place<'a> {
    leasing: &'a Leasing,
    queue: Group,
    ticket: Ticket,
    /// It is asleep, or was woken and has not tried since: if it goes now, a wake may have to be passed on.
    owes: bool,
    gone: bool,
}

impl Place<'_> {
    /// To be woken by the signal; an error says why not to sleep.
    fn sleep(&mut self) -> Result<oneshot::Receiver<()>, Sleep> {
        let (signal, woken) = oneshot::channel();
        let sleep = |state: &mut super::State| state.waiting.sleep(self.queue, self.ticket, signal);
        let asleep = self.leasing.change(sleep);
        self.owes = true;
        match asleep {
            Sleep::Asleep => Ok(woken),
            awake => Err(awake),
        }
    }

    /// The time is up. False when it was woken just now: it must try once more.
    fn give_up(&mut self) -> bool {
        let (queue, ticket) = (self.queue, self.ticket);
        self.gone = self
            .leasing
            .change(|state| state.waiting.give_up(queue, ticket));
        self.gone
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.gone {
            let leave =
                |state: &mut super::State| state.waiting.leave(self.queue, self.ticket, self.owes);
            signal(self.leasing.change(leave));
        }
    }
}

impl Leasing {
    /// Leases messages to the caller; empty when there are none within the time to wait, and when the gateway stops.
    ///
    /// # Errors
    /// 404 `queue_not_found` when the queue is gone, 429 `too_many_receives`, the store's.
    pub(crate) async fn receive(self: &Arc<Self>, ask: Ask) -> Result<Lent, Problem> {
        if ask.wait.is_zero() {
            return self.attempt(ask).await.map(|found| found.lent);
        }
        // Before the first try: what arrives during it wakes this one.
        let entered = self.change(|state| state.waiting.enter(ask.queue));
        let mut place = match entered {
            Ok(ticket) => Place {
                leasing: self.as_ref(),
                queue: ask.queue,
                ticket,
                owes: false,
                gone: false,
            },
            Err(Refused::Closed) => return self.attempt(ask).await.map(|found| found.lent),
            Err(Refused::Full) => return Err(too_many_receives()),
        };
        let mut deadline = pin!(tokio::time::sleep(ask.wait));
        let mut last = false;
        loop {
            let found = self.attempt(ask).await?;
            place.owes = false;
            if !found.lent.taken.is_empty() || last {
                return Ok(found.lent);
            }
            if found.again {
                continue;
            }
            let woken = match place.sleep() {
                Ok(woken) => woken,
                Err(Sleep::Closed) => return Ok(found.lent),
                Err(_) => continue,
            };
            tokio::select! {
                biased;
                _ = woken => if self.state().waiting.is_closed() {
                    return Ok(found.lent);
                },
                () = &mut deadline => {
                    if place.give_up() {
                        return Ok(found.lent);
                    }
                    last = true;
                }
            }
        }
    }

    /// Asks the store, in a task of its own: the store's answer must reach somebody, also when the caller goes away.
    async fn attempt(self: &Arc<Self>, ask: Ask) -> Result<Found, Problem> {
        let leasing = Arc::clone(self);
        #[expect(
            clippy::disallowed_methods,
            reason = "lasts some commits, and is waited for unless the client goes away"
        )]
        let task = tokio::spawn(async move { leasing.look(ask).await });
        task.await
            .unwrap_or_else(|_| Err(store_problem(StoreError::Unknown)))
    }

    /// Leases what is there, and ends what is spent; looks further when there was nothing else.
    async fn look(self: &Arc<Self>, ask: Ask) -> Result<Found, Problem> {
        for _ in 0..LOOKS_MAX {
            let snapshot = self.config.load_full();
            let entry = snapshot.queues_by_id.get(&ask.queue);
            let entry = entry.ok_or_else(queue_gone)?;
            let now = self.clock.now();
            let rules = Rules::of(&snapshot, entry, now);
            let length = Duration::from_secs(entry.spec.lease);
            let lease = Lease {
                queue: ask.queue,
                max: ask.max,
                spent_max: SPENT_STEP,
                now,
                until: now.plus(ask.lease.unwrap_or(length)),
                accepted_from: rules.accepted_from(),
                receives_max: rules.receives_max(),
            };
            let leased = self.store.lease(lease).await.map_err(store_problem)?;
            let (lent, damaged) = self.lend(ask.queue, leased.deliveries);
            let found = !lent.taken.is_empty();
            self.note_lent(&lent, rules.receives_max(), leased.more, leased.next_due);
            let unread = leased.more && leased.spent.is_empty() && damaged.is_empty();
            let ended = self.end_damaged(&rules, &damaged).await
                + self.end_spent(&rules, leased.spent).await;
            if found || ended == 0 && !unread {
                return Ok(Found { lent, again: false });
            }
        }
        let (lent, _) = self.lend(ask.queue, Vec::new());
        Ok(Found { lent, again: true })
    }

    /// What can be read, and what cannot.
    fn lend(
        self: &Arc<Self>,
        queue: Group,
        leased: Vec<LeasedDelivery>,
    ) -> (Lent, Vec<DeliveryRow>) {
        let (mut taken, mut damaged) = (Vec::with_capacity(leased.len()), Vec::new());
        for LeasedDelivery { row, message } in leased {
            let stored = message.and_then(|stored| {
                let message = Message::from_json(&stored.document).ok()?;
                Some((stored.document, message))
            });
            match stored {
                Some((document, message)) => taken.push(Taken {
                    num: row.id.num(),
                    row,
                    message,
                    document,
                }),
                None => damaged.push(row),
            }
        }
        let lent = Lent {
            leasing: Arc::clone(self),
            queue,
            taken,
        };
        (lent, damaged)
    }

    /// Others are woken when something is due, and now if there is more. Also when nothing was found: this receive may
    /// have been woken by the alarm of them all, and may not sleep again.
    fn note_lent(
        &self,
        lent: &Lent,
        receives_max: Option<u32>,
        more: bool,
        next_due: Option<Timestamp>,
    ) {
        let count = lent.taken.len();
        let woken = self.change(|state| {
            if let Some(due) = next_due {
                state.waiting.arm(lent.queue, due);
            }
            if count == 0 {
                return Vec::new();
            }
            if let Some(leased) = state.leased.get_mut(&lent.queue) {
                *leased = leased.saturating_add(count as u64);
            }
            for taken in &lent.taken {
                state.arm(&taken.row, receives_max);
            }
            state.waiting.wake(lent.queue, usize::from(more))
        });
        signal(woken);
        self.metrics.queue_received(lent.queue, count);
    }
}

/// A queue that was deleted while somebody waited for it.
fn queue_gone() -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        "queue_not_found",
        "the queue was deleted",
    )
}

fn too_many_receives() -> Problem {
    Problem::new(
        ProblemKind::TooMany,
        "too_many_receives",
        format!(
            "{RECEIVERS_MAX} receives wait for messages already; receive without wait, or try again later"
        ),
    )
}
