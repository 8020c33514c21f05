//! What is removed, and what is not.

use std::time::Duration;

use anser_core::limits::BLOB_GRACE;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_blob_goes_after_its_grace_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(in_folder(folder.path()));
    let hash = bench.put(&bytes(10)).await.hash;
    bench.clock.advance(BLOB_GRACE);
    bench.blobs.sweep().await.unwrap();
    assert_eq!(bench.get(hash, None).await.unwrap(), bytes(10));
    bench.clock.advance(SECOND);
    bench.blobs.sweep().await.unwrap();
    assert!(bench.get(hash, None).await.is_none());
    assert_eq!(files(folder.path()), [""; 0]);
    let text = bench.metrics.render(&crate::metrics::Gauges::default());
    assert!(text.contains("anser_blobs_swept_total 1"), "{text}");
    assert!(text.contains("anser_blobs_kept 0"), "{text}");
}

#[tokio::test]
async fn an_upload_brings_a_doomed_blob_back() {
    let bench = bench(in_memory());
    let hash = bench.put(&bytes(10)).await.hash;
    bench.clock.advance(BLOB_GRACE + SECOND);
    // While somebody has the turn, the object stays though the blob is doomed.
    let turn = bench.blobs.turn(hash).lock().await;
    bench.blobs.sweep().await.unwrap();
    assert_eq!(bench.blobs.size(hash).await, Ok(None));
    let name = bench.blobs.place.of_blob(hash);
    let there = async || {
        let objects = bench.blobs.place.objects();
        object_store::ObjectStoreExt::head(objects, &name)
            .await
            .is_ok()
    };
    assert!(there().await);
    drop(turn);
    bench.put(&bytes(10)).await;
    bench.blobs.sweep().await.unwrap();
    assert_eq!(bench.get(hash, None).await.unwrap(), bytes(10));
    bench.clock.advance(BLOB_GRACE + SECOND);
    bench.blobs.sweep().await.unwrap();
    assert!(!there().await);
}

/// What a crash leaves behind at each step of an upload and of a removal is swept, whether the object is there or not.
#[tokio::test]
async fn what_a_crash_leaves_is_swept() {
    let bench = bench(in_memory());
    let place = &bench.blobs.place;
    let (announced, moved) = (hash_of(b"announced"), hash_of(b"moved"));
    for hash in [announced, moved] {
        bench.store.blob_announce(hash, 5).await.unwrap();
    }
    for name in [place.of_blob(moved), place.of_temporary("left")] {
        let half = Bytes::from_static(b"half").into();
        let put = object_store::ObjectStoreExt::put(place.objects(), &name, half);
        put.await.unwrap();
    }
    bench.blobs.sweep().await.unwrap();
    let mut left = place.objects().list(None);
    assert!(left.next().await.is_none());
    for hash in [announced, moved] {
        assert_eq!(bench.store.blob_remove(hash).await, Ok(false), "forgotten");
    }
}

#[tokio::test]
async fn what_an_earlier_process_left_in_the_folder_is_removed_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let uploads = folder.path().join("uploads");
    std::fs::create_dir(&uploads).unwrap();
    for name in ["0123", "4567#1"] {
        std::fs::write(uploads.join(name), "half").unwrap();
    }
    bench(in_folder(folder.path()));
    assert_eq!(files(folder.path()), [""; 0]);
}

#[tokio::test]
async fn leftovers_of_dropped_uploads_are_swept_and_running_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(in_folder(folder.path()));
    let part = || stream::iter([Ok(bytes(2_000_000))]).chain(stream::pending());
    let mut running = Box::pin(bench.blobs.store(part(), None));
    // Writing takes turns of the blocking threads.
    while files(folder.path()).is_empty() {
        let _ = futures_util::poll!(&mut running);
        tokio::task::yield_now().await;
    }
    std::fs::write(folder.path().join("uploads/dropped#1"), "half").unwrap();
    bench.blobs.sweep().await.unwrap();
    let left = files(folder.path());
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(!left[0].contains("dropped"));
}
