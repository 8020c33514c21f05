//! The stores from outside: the one suite on both, the two compared under random operations, and the SQLite store under
//! damage, a full disk, a second owner and a newer schema.
#![expect(
    clippy::unwrap_used,
    reason = "a test that finds what it did not expect stops there"
)]

mod damage;
mod model;
mod queues;
mod refusals;
mod setup;

use std::sync::Arc;

use anser_store::{MemoryStore, conformance};

use setup::Place;

#[tokio::test]
async fn the_memory_store_keeps_the_contract() {
    conformance::run_all(|| Arc::new(MemoryStore::new())).await;
}

#[tokio::test]
async fn the_sqlite_store_keeps_the_contract() {
    let mut places = Vec::new();
    conformance::run_all(|| {
        let place = Place::new();
        let store = place.open();
        places.push(place);
        Arc::new(store)
    })
    .await;
}
