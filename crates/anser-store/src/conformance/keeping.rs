//! Blobs: usable or doomed, kept while a message refers to them and for a while after; no message without its blobs.

use anser_core::blob::BlobHash;
use anser_core::id::Num;
use anser_core::store::{Appended, BlobDoom, BlobRow, BlobTotals, Retention, Settle, Store};

use super::fixture::{Maker, append, at, dedupe, delivery, settle, stored};

const A: BlobHash = BlobHash([0x0a; 32]);
const B: BlobHash = BlobHash([0x0b; 32]);
const C: BlobHash = BlobHash([0x0c; 32]);

async fn put(store: &dyn Store, hash: BlobHash, seconds: u64) {
    let put = store.blob_put(hash, u64::from(hash.0[0]), at(seconds));
    put.await.expect("a blob is put");
}

/// Which of the three are usable.
async fn usable(store: &dyn Store) -> Vec<BlobHash> {
    let rows = store.blobs(vec![A, B, C]).await.expect("blobs are read");
    for BlobRow { hash, size } in &rows {
        assert_eq!(*size, u64::from(hash.0[0]));
    }
    rows.into_iter().map(|row| row.hash).collect()
}

/// Dooms what was not touched since; answers all that is doomed.
async fn doom(store: &dyn Store, untouched_since: u64) -> Vec<BlobHash> {
    let doom = BlobDoom {
        untouched_since: at(untouched_since),
        after: None,
        limit: 100,
    };
    store.blob_doom(doom).await.expect("blobs are doomed")
}

/// Removes finished messages accepted before.
async fn sweep(store: &dyn Store, before: u64) -> usize {
    let retention = Retention {
        messages_before: vec![],
        default_before: at(before),
        dead_before: at(before),
        attempts_before: at(0),
        now: at(0),
        limit: 1_000,
    };
    store
        .sweep(retention)
        .await
        .expect("a sweep works")
        .messages
}

/// Stores a message without deliveries that refers to these blobs.
async fn refer(store: &dyn Store, maker: &Maker, seconds: u64, blobs: &[BlobHash]) -> Num {
    let mut message = maker.message(seconds, vec![]);
    message.blobs = blobs.to_vec();
    stored(store, message).await.0
}

pub(super) async fn a_blob_is_usable_from_its_put_to_its_doom(store: &dyn Store) {
    assert_eq!(usable(store).await, []);
    store.blob_announce(A, 10).await.expect("it is announced");
    assert_eq!(usable(store).await, [], "its bytes may not be there yet");
    put(store, A, 10).await;
    put(store, C, 20).await;
    assert_eq!(usable(store).await, [A, C]);
    let asked = store.blobs(vec![C, B, A]).await.expect("blobs are read");
    assert_eq!(asked.iter().map(|row| row.hash).collect::<Vec<_>>(), [C, A]);
    let totals = BlobTotals {
        count: 2,
        bytes: 0x0a + 0x0c,
    };
    assert_eq!(store.blob_totals().await, Ok(totals));
    store.blob_announce(A, 10).await.expect("it is announced");
    assert_eq!(usable(store).await, [A, C], "what is in place stays so");
    assert_eq!(
        doom(store, 10).await,
        [],
        "the time itself is not before it"
    );
    assert_eq!(doom(store, 11).await, [A]);
    assert_eq!(usable(store).await, [C]);
    assert_eq!(
        doom(store, 11).await,
        [A],
        "it is told until its row is gone"
    );
    put(store, A, 30).await;
    assert_eq!(usable(store).await, [A, C], "uploaded again");
    assert_eq!(doom(store, 11).await, []);
}

pub(super) async fn only_the_doomed_are_removed(store: &dyn Store) {
    put(store, A, 1).await;
    store.blob_announce(B, 11).await.expect("it is announced");
    assert_eq!(
        doom(store, 1).await,
        [B],
        "nothing followed its announcement"
    );
    assert_eq!(store.blob_remove(A).await, Ok(false));
    assert_eq!(store.blob_remove(B).await, Ok(true));
    assert_eq!(store.blob_remove(B).await, Ok(false));
    assert_eq!(doom(store, 1).await, []);
    assert_eq!(usable(store).await, [A]);
    // What was touched late is not made older by what comes late.
    put(store, A, 50).await;
    put(store, A, 40).await;
    assert_eq!(doom(store, 45).await, []);
}

pub(super) async fn blobs_are_doomed_and_told_in_steps(store: &dyn Store) {
    for (hash, seconds) in [(A, 3), (B, 1), (C, 2)] {
        put(store, hash, seconds).await;
    }
    let step = |after, limit| {
        store.blob_doom(BlobDoom {
            untouched_since: at(9),
            after,
            limit,
        })
    };
    assert_eq!(step(None, 1).await, Ok(vec![B]), "the oldest goes first");
    assert_eq!(usable(store).await, [A, C]);
    assert_eq!(step(Some(B), 1).await, Ok(vec![C]));
    assert_eq!(step(Some(C), 5).await, Ok(vec![]), "by name behind it");
    assert_eq!(step(None, 5).await, Ok(vec![A, B, C]));
}

pub(super) async fn messages_keep_their_blobs(store: &dyn Store) {
    let maker = Maker::new();
    for hash in [A, B, C] {
        put(store, hash, 0).await;
    }
    let first = refer(store, &maker, 1, &[A, B]).await;
    let second = refer(store, &maker, 2, &[A]).await;
    let mut open = maker.message(3, vec![delivery(3, None)]);
    open.blobs = vec![A];
    let open = stored(store, open).await.1.remove(0);
    assert_eq!(doom(store, 99).await, [C]);
    assert_eq!(sweep(store, 2).await, 1);
    assert_eq!(store.messages(vec![first]).await, Ok(vec![]));
    assert_eq!(doom(store, 99).await, [B, C], "A is referred to still");
    assert_eq!(sweep(store, 99).await, 1);
    assert_eq!(store.messages(vec![second]).await, Ok(vec![]));
    assert_eq!(doom(store, 99).await, [B, C], "so it is by the unfinished");
    settle(store, &open, Settle::Delivered, 4).await;
    assert_eq!(sweep(store, 99).await, 1);
    assert_eq!(
        doom(store, 3).await,
        [B, C],
        "a reference counts as a touch"
    );
    assert_eq!(doom(store, 4).await, [A, B, C]);
}

pub(super) async fn no_message_is_stored_without_its_blobs(store: &dyn Store) {
    let maker = Maker::new();
    put(store, A, 0).await;
    put(store, B, 0).await;
    store.blob_announce(C, 12).await.expect("it is announced");
    for missing in [BlobHash([0xff; 32]), C] {
        let mut message = maker.message(1, vec![delivery(1, None)]);
        message.blobs = vec![A, missing];
        let answers = append(store, vec![message.clone()], false).await;
        assert_eq!(answers, [Appended::UnknownBlob { hash: missing }]);
        assert_eq!(store.message(message.id).await, Ok(None));
    }
    // Nothing of a refused one is left: neither its references nor its idempotency record.
    let mut keyed = maker.message(2, vec![]);
    keyed.blobs = vec![A, C];
    keyed.dedupe = Some(dedupe("k", 1, 100));
    let mut good = maker.message(3, vec![]);
    good.blobs = vec![B];
    let answers = append(store, vec![good, keyed.clone()], true).await;
    assert_eq!(
        answers,
        [Appended::Skipped, Appended::UnknownBlob { hash: C }]
    );
    assert_eq!(doom(store, 1).await, [A, B, C]);
    for hash in [A, B, C] {
        put(store, hash, 5).await;
    }
    let answers = append(store, vec![keyed.clone()], false).await;
    assert!(matches!(answers[0], Appended::Stored { .. }), "{answers:?}");
    // Repeats are told before their blobs are looked at, by id and by key.
    assert_eq!(doom(store, 99).await, [B]);
    let mut again = maker.message(6, vec![]);
    again.blobs = vec![B];
    again.dedupe.clone_from(&keyed.dedupe);
    let answers = append(store, vec![keyed.clone(), again], false).await;
    for answer in answers {
        assert!(matches!(answer, Appended::Duplicate { id, .. } if id == keyed.id));
    }
    assert_eq!(doom(store, 99).await, [B], "a repeat refers to nothing");
}
