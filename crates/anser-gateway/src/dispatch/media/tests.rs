//! Attachments from wherever they are, checked as they pass.

use anser_core::clock::ManualClock;
use anser_store::MemoryStore;
use serde_json::{Value, json};

use super::super::stand::{Stand, message, sender};
use super::*;
use crate::fixture::{self, START};
use crate::metrics::Metrics;

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

async fn stand() -> Stand {
    let stand = Stand::start().await;
    stand.answer("file", 200, "abc");
    stand
}

fn at(stand: &Stand, more: Value) -> Message {
    let url = stand.base.join("file").unwrap();
    let mut attachment = json!({"id": "a", "source": {"url": url.as_str()}});
    for (field, value) in more.as_object().unwrap() {
        attachment[field] = value.clone();
    }
    message(&json!([attachment, {"id": "i", "source": {"inline": "aW5saW5l"}}]))
}

fn media(sender: &Sender) -> Media<'_> {
    let blobs = None;
    Media {
        sender,
        blobs,
        files: None,
    }
}

async fn load(message: &Message, max: u64) -> Result<Bytes, Missing> {
    let sender = sender();
    media(&sender).load(message, "a", max).await
}

#[track_caller]
fn assert_gone(loaded: Result<Bytes, Missing>, text: &str) {
    match loaded {
        Err(Missing::Gone(why)) if why.contains(text) => {}
        other => panic!("{other:?} instead of {text}"),
    }
}

#[tokio::test]
async fn a_body_is_its_parts_in_order_with_its_length_known() {
    let stand = stand().await;
    let message = at(&stand, json!({"sha256": ABC, "size": 3}));
    let sender = sender();
    let parts = [
        BodyPart::Bytes(Bytes::from_static(b"<")),
        BodyPart::Attachment("i".to_owned()),
        BodyPart::Bytes(Bytes::new()),
        BodyPart::Attachment("a".to_owned()),
        BodyPart::Bytes(Bytes::from_static(b">")),
    ];
    let mut body = media(&sender).body(&parts, &message).await.unwrap();
    assert_eq!(body.length, 11);
    let mut text = Vec::new();
    while let Some(chunk) = body.stream.next().await {
        text.extend_from_slice(&chunk.unwrap());
    }
    assert_eq!((&text[..], body.fault.take()), (&b"<inlineabc>"[..], None));
}

#[tokio::test]
async fn what_differs_from_the_message_is_refused() {
    for (more, code) in [
        (json!({"sha256": ABC.replace('b', "c")}), "hash_mismatch"),
        (json!({"size": 2}), "size_mismatch"),
    ] {
        let loaded = load(&at(&stand().await, more), 10).await;
        assert!(
            matches!(loaded, Err(Missing::Wrong { code: found, .. }) if found == code),
            "{loaded:?}"
        );
    }
    assert_eq!(
        load(&at(&stand().await, json!({"sha256": ABC})), 3)
            .await
            .unwrap(),
        "abc"
    );
}

#[tokio::test]
async fn a_blob_is_read_and_what_comes_without_a_length_becomes_one() {
    let (store, clock) = (
        Arc::new(MemoryStore::new()),
        Arc::new(ManualClock::at(START)),
    );
    let blobs = fixture::blobs(store, clock, Arc::new(Metrics::new()));
    let sender = sender();
    let media = Media {
        sender: &sender,
        blobs: Some(&blobs),
        files: None,
    };
    let in_blob = |hash: BlobHash| {
        let blob = json!({"id": "a", "source": {"url": "http://placeholder/"}});
        let mut message = message(&json!([blob]));
        message.attachments[0].source = Source::Blob(hash.to_string());
        message
    };
    let hash: BlobHash = ABC.parse().unwrap();
    assert_gone(
        media.load(&in_blob(hash), "a", 10).await,
        "is not kept here",
    );

    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n";
    let stand = Stand::start().await;
    stand.answer_with("file", chunked);
    let loaded = media
        .load(&at(&stand, json!({"sha256": ABC})), "a", 10)
        .await;
    assert_eq!(loaded.unwrap(), "abc");
    assert_eq!(media.load(&in_blob(hash), "a", 10).await.unwrap(), "abc");

    stand.answer_with("file", chunked);
    let wrong = at(&stand, json!({"sha256": ABC.replace('b', "c")}));
    let loaded = media.load(&wrong, "a", 10).await;
    assert!(
        matches!(
            loaded,
            Err(Missing::Wrong {
                code: "hash_mismatch",
                ..
            })
        ),
        "{loaded:?}"
    );
    let broken =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n9\r\nab";
    stand.answer_with("file", broken);
    assert_gone(
        media.load(&at(&stand, json!({})), "a", 10).await,
        "cannot be fetched",
    );
}

#[tokio::test]
async fn what_cannot_be_had_or_passed_on_is_told() {
    let none = json!({});
    assert_gone(
        load(&at(&stand().await, none.clone()), 2).await,
        "larger than the 2 bytes",
    );
    for (answer, text) in [
        (
            "HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
            "answers 302",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx",
            "compresses",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            "does not tell its length",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 536870913\r\n\r\n",
            "larger than 536870912 bytes",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nabc",
            "broke off",
        ),
    ] {
        let stand = Stand::start().await;
        stand.answer_with("file", answer);
        assert_gone(load(&at(&stand, none.clone()), 10).await, text);
    }
    let url = "http://10.0.0.1/secret";
    let message = message(&json!([{"id": "a", "source": {"url": url}}]));
    assert_gone(load(&message, 10).await, "address not allowed");
}
