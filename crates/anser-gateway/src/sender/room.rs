//! The limit on open connections. At the limit idle ones make room, and then attempts wait for their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A place for one open connection, given back when dropped.
pub(super) type Place = OwnedSemaphorePermit;

pub(super) struct Room {
    places: Arc<Semaphore>,
    places_max: usize,
    waiting: AtomicUsize,
}

impl Room {
    pub(super) fn new(places_max: usize) -> Self {
        let places_max = places_max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places_max)),
            places_max,
            waiting: AtomicUsize::new(0),
        }
    }

    /// Waits for a place; the caller's deadline bounds the wait. `make_room` closes idle connections.
    pub(super) async fn enter(&self, make_room: impl FnOnce()) -> Place {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return place;
        }
        // Counted before idle ones are closed: a connection given back meanwhile either is in the pool by now and goes
        // with them, or its holder sees that it is wanted and closes it.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _leave = Leave(&self.waiting);
        make_room();
        Arc::clone(&self.places)
            .acquire_owned()
            .await
            .expect("nobody closes the semaphore")
    }

    /// Someone waits for a place, so a connection that is done with should be closed.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    pub(super) fn taken(&self) -> usize {
        self.places_max
            .saturating_sub(self.places.available_permits())
    }
}

struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
