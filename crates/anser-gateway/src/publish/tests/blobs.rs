//! Messages that refer to blobs.

use anser_core::Message;
use anser_core::blob::BlobHash;

use super::*;
use crate::fixture::Fault;

const HASH: BlobHash = BlobHash([0xab; 32]);

fn item(attachment: Value) -> Value {
    json!({"body": {"data": 1}, "attachments": [attachment]})
}

fn of_blob(hash: BlobHash) -> Value {
    item(json!({"id": "a", "source": {"blob": hash}}))
}

/// A gateway that keeps a blob of seven bytes.
async fn with_blob() -> Fixture {
    let fixture = Fixture::with_orders();
    let put = fixture.gateway.store.blob_put(HASH, 7, START);
    put.await.unwrap();
    fixture
}

#[tokio::test]
async fn a_published_blob_is_stamped_and_kept() {
    let fixture = with_blob().await;
    fixture.accept(of_blob(HASH)).await;
    let stored = fixture.stored().await;
    let message = Message::from_json(&stored[0].document).unwrap();
    assert_eq!(message.attachments[0].size, Some(7));
    assert_eq!(message.attachments[0].sha256, Some(HASH.to_string()));
    assert_eq!(fixture.faults.doom_all().await, []);
}

#[tokio::test]
async fn a_blob_that_is_not_kept_is_refused_by_its_place() {
    let fixture = with_blob().await;
    let wrong = item(json!({"id": "a", "size": 8, "source": {"blob": HASH}}));
    let items = [of_blob(BlobHash([1; 32])), of_blob(HASH), wrong];
    let results = fixture.publish(&items, options()).await.unwrap();
    let codes = results.iter().map(|result| match result {
        Ok(_) => "",
        Err(problem) => problem.code,
    });
    assert_eq!(codes.collect::<Vec<_>>(), ["unknown_blob", "", "integrity"]);
    let problem = results[0].as_ref().unwrap_err();
    assert_eq!(problem.kind.status(), 422);
    assert_eq!(problem.field.as_deref(), Some("attachments[0].source.blob"));
    assert!(problem.detail.contains("POST /v1/blobs"), "{problem}");
    assert_eq!(fixture.stored().await.len(), 1);
}

#[tokio::test]
async fn a_blob_given_up_before_the_commit_refuses_the_message() {
    let fixture = with_blob().await;
    let mut item = of_blob(HASH);
    let first = json!({"id": "b", "source": {"inline": ""}});
    item["attachments"].as_array_mut().unwrap().insert(0, first);
    fixture.faults.push(Fault::Doom);
    let problem = fixture.refuse(item, options()).await;
    assert_eq!(problem.code, "unknown_blob");
    assert_eq!(problem.field.as_deref(), Some("attachments[1].source.blob"));
    assert_eq!(fixture.stored().await.len(), 0);
}
