//! Uploads and reads.

use super::*;

/// Sizes around the ends of pieces and parts.
const SIZES: [usize; 6] = [0, 1, 262_144, 1_048_576, 1_048_577, 6_000_000];

#[tokio::test]
async fn what_is_uploaded_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    for bench in [bench(in_folder(folder.path())), bench(in_memory())] {
        for size in SIZES {
            let bytes = bytes(size);
            let view = bench.put(&bytes).await;
            assert_eq!((view.hash, view.size), (hash_of(&bytes), size as u64));
            assert_eq!(bench.get(view.hash, None).await.unwrap(), bytes);
        }
        let text = bench.metrics.render(&crate::metrics::Gauges::default());
        assert!(text.contains("anser_blobs_stored_total 6"), "{text}");
    }
    assert_eq!(files(folder.path()).len(), SIZES.len(), "and nothing else");
}

#[tokio::test]
async fn a_part_is_read_as_it_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for bench in [bench(in_folder(folder.path())), bench(in_memory())] {
        let bytes = bytes(700_000);
        let hash = bench.put(&bytes).await.hash;
        for range in [0..1, 5..699_999, 262_143..262_145, 699_999..700_000] {
            let part = bench.get(hash, Some(range.clone())).await.unwrap();
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            assert_eq!(part, bytes[range]);
        }
        let body = bench.blobs.open(hash, Some(600_000..u64::MAX)).await;
        let body = body.unwrap().unwrap();
        assert_eq!((body.size, body.range), (700_000, 600_000..700_000));
        assert_eq!(bench.get(hash, Some(900_000..950_000)).await.unwrap(), b"");
        assert!(bench.get(hash_of(b"other"), None).await.is_none());
    }
}

#[tokio::test]
async fn bytes_that_are_not_the_expected_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(in_folder(folder.path()));
    let bytes = bytes(2_000_000);
    let other = hash_of(b"other");
    let stored = bench.blobs.store(arriving(&bytes, 70_000), Some(other));
    let problem = stored.await.unwrap_err();
    assert_eq!((problem.code, problem.kind.status()), ("integrity", 422));
    assert_eq!(files(folder.path()), [""; 0]);
    assert!(bench.get(hash_of(&bytes), None).await.is_none());
    let stored = bench
        .blobs
        .store(arriving(&bytes, 70_000), Some(hash_of(&bytes)));
    assert_eq!(stored.await.unwrap().hash, hash_of(&bytes));
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = in_folder(folder.path());
    options.bytes_max = 3_000_000;
    let bench = bench(options);
    let endless = stream::repeat_with(|| Ok(bytes(100_000)));
    let problem = bench.blobs.store(endless, None).await.unwrap_err();
    assert_eq!((problem.code, problem.kind.status()), ("too_large", 413));
    assert_eq!(files(folder.path()), [""; 0]);
    assert_eq!(bench.put(&bytes(3_000_000)).await.size, 3_000_000);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(in_folder(folder.path()));
    let broken = || Problem::new(ProblemKind::Malformed, "broken", "the client went away");
    let pieces = vec![Ok(bytes(2_500_000)), Err(broken())];
    let stored = bench.blobs.store(stream::iter(pieces), None).await;
    assert_eq!(stored.unwrap_err(), broken());
    assert_eq!(files(folder.path()), [""; 0]);
}

#[tokio::test]
async fn the_same_bytes_are_kept_once_and_mended_when_lost() {
    let folder = tempfile::tempdir().unwrap();
    let bench = bench(in_folder(folder.path()));
    let bytes = bytes(50_000);
    let hash = bench.put(&bytes).await.hash;
    assert_eq!(bench.put(&bytes).await.hash, hash);
    let files = files(folder.path());
    let name = hash.to_string();
    assert_eq!(files, [format!("{}/{}/{name}", &name[..2], &name[2..4])]);
    std::fs::remove_file(folder.path().join(&files[0])).unwrap();
    let lost = bench.blobs.open(hash, None).await.unwrap_err();
    assert_eq!(lost.code, "blob_lost");
    bench.put(&bytes).await;
    assert_eq!(bench.get(hash, None).await.unwrap(), bytes);
}

#[tokio::test]
async fn uploads_at_the_same_time_are_bounded() {
    let bench = bench(in_memory());
    let mut held = Vec::new();
    for _ in 0..UPLOADS_MAX {
        let mut upload = Box::pin(bench.blobs.store(stream::pending(), None));
        assert!(futures_util::poll!(&mut upload).is_pending());
        held.push(upload);
    }
    let problem = bench.blobs.store(stream::empty(), None).await.unwrap_err();
    assert_eq!(
        (problem.code, problem.kind.status()),
        ("too_many_uploads", 429)
    );
    held.pop();
    bench.put(&bytes(1)).await;
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_no_upload() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = in_folder(folder.path());
    options.reserve_bytes = Some(u64::MAX);
    let bench = bench(options);
    let problem = bench.blobs.store(stream::empty(), None).await.unwrap_err();
    assert_eq!((problem.code, problem.kind.status()), ("storage_full", 507));
}
