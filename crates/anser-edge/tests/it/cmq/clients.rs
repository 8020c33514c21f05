//! Requests with the habits of each client: misspelled actions, doubled paths, trailing blanks in names, lists from 0 or
//! 1, no or a wrong content type, bodies that look like files.

use serde_json::Value;

use super::signer::{Cmq, JAVA, NEW_GO, NODE, OLD_GO, PHP, PHP_GET, PYTHON, Pair, Style, refusal};
use crate::harness::start;

/// Every style sends and receives the bodies that have gone wrong somewhere.
#[tokio::test]
async fn every_client_sends_and_receives() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    cmq.done("CreateQueue", &[("queueName", "q1")]).await;
    for style in [PYTHON, JAVA, PHP, PHP_GET, OLD_GO, NEW_GO, NODE] {
        for body in ["hi", "你好 &=+%/", "@x", "a b\n\"\u{1f600}\"", "\u{1}"] {
            let send = [
                ("Action", "SendMessage"),
                ("queueName", "q1"),
                ("msgBody", body),
                ("delaySeconds", "0"),
            ];
            let sent = cmq.send(style, &send).await;
            assert_eq!(sent["code"], 0, "{} {body:?}: {sent}", style.client);
            // Python, PHP, C++ and the old Go client send this beside pollingWaitSeconds.
            let receive = [
                ("Action", "ReceiveMessage"),
                ("queueName", "Q1"),
                ("UserpollingWaitSeconds", "0"),
                ("pollingWaitSeconds", "0"),
            ];
            let received = cmq.send(style, &receive).await;
            assert_eq!(received["msgBody"], body, "{}: {received}", style.client);
            assert_eq!(received["msgId"], sent["msgId"]);
            let delete = [
                ("Action", "DeleteMessage"),
                ("queueName", "q1"),
                ("receiptHandle", received["receiptHandle"].as_str().unwrap()),
            ];
            assert_eq!(cmq.send(style, &delete).await["code"], 0);
        }
    }
    server.stop().await;
}

/// Lists begin with 1 (Python, Java, PHP, old Go) or 0 (new Go, Node), and `.10` is signed before `.2`.
#[tokio::test]
async fn lists_begin_with_0_or_1() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    cmq.done("CreateQueue", &[("queueName", "q1")]).await;
    for (style, first) in [(PYTHON, 1), (JAVA, 1), (PHP, 1), (NEW_GO, 0), (NODE, 0)] {
        let members: Vec<(String, String)> = (0..12)
            .map(|n| (format!("msgBody.{}", n + first), format!("b{n}")))
            .collect();
        let mut pairs: Vec<Pair<'_>> = vec![("Action", "BatchSendMessage"), ("queueName", "q1")];
        pairs.extend(
            members
                .iter()
                .map(|(name, body)| (name.as_str(), body.as_str())),
        );
        let sent = cmq.send(style, &pairs).await;
        let ids = sent["msgList"].as_array().unwrap();
        assert_eq!(ids.len(), 12, "{sent}");
        let received = cmq
            .done(
                "BatchReceiveMessage",
                &[("queueName", "q1"), ("numOfMsg", "16")],
            )
            .await;
        let received = received["msgInfoList"].as_array().unwrap();
        for (n, message) in received.iter().enumerate() {
            assert_eq!(message["msgBody"], format!("b{n}"));
            assert_eq!(message["msgId"], ids[n]["msgId"]);
        }
        delete_all(&cmq, style, first, received).await;
    }
    server.stop().await;
}

async fn delete_all(cmq: &Cmq<'_>, style: Style, first: usize, received: &[Value]) {
    let handles: Vec<(String, &str)> = received
        .iter()
        .enumerate()
        .map(|(n, message)| {
            let handle = message["receiptHandle"].as_str().unwrap();
            (format!("receiptHandle.{}", n + first), handle)
        })
        .collect();
    assert_eq!(handles.len(), 12);
    let mut pairs: Vec<Pair<'_>> = vec![("Action", "BatchDeleteMessage"), ("queueName", "q1")];
    pairs.extend(
        handles
            .iter()
            .map(|(name, handle)| (name.as_str(), *handle)),
    );
    let deleted = cmq.send(style, &pairs).await;
    assert_eq!(deleted["code"], 0, "{deleted}");
}

/// The old Go client sends `subscriptionName` with a trailing blank, the Java client spells the action its own way, and
/// Python upper-cases the first letter.
#[tokio::test]
async fn misspelled_names_are_understood() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    cmq.done("CreateQueue", &[("queueName", "q1")]).await;
    cmq.done("CreateTopic", &[("topicName", "t1")]).await;
    let subscribe = [
        ("topicName", "t1"),
        ("subscriptionName", "s1"),
        ("protocol", "queue"),
        ("endpoint", "q1"),
        ("notifyContentFormat", "SIMPLIFIED"),
        ("filterTag.1", "a"),
    ];
    cmq.done("subscribe", &subscribe).await;
    let tags = async || {
        let get = [("topicName", "t1"), ("subscriptionName", "s1")];
        cmq.done("GetSubscriptionAttributes", &get).await["filterTag"].clone()
    };
    let set = [
        ("Action", "SetSubscriptionAttributes"),
        ("topicName", "t1"),
        ("subscriptionName ", "s1"),
        ("filterTag.1", "b"),
        ("filterTag.2", "c"),
    ];
    assert_eq!(cmq.send(OLD_GO, &set).await["code"], 0);
    assert_eq!(tags().await, serde_json::json!(["b", "c"]));
    let clear = [
        ("Action", "ClearSUbscriptionFIlterTags"),
        ("topicName", "t1"),
        ("subscriptionName", "s1"),
    ];
    assert_eq!(cmq.send(JAVA, &clear).await["code"], 0);
    assert_eq!(tags().await, serde_json::json!([]));
    server.stop().await;
}

/// What is sent twice by a client whose connection was dropped is there once; the PHP client's short nonces prove nothing.
#[tokio::test]
async fn a_request_sent_again_is_answered_as_before() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    cmq.done("CreateQueue", &[("queueName", "q1")]).await;
    for (style, kept) in [(PYTHON, 1), (PHP, 2)] {
        let send = [
            ("Action", "BatchSendMessage"),
            ("queueName", "q1"),
            ("msgBody.1", "same"),
        ];
        let mut pairs = cmq.pairs(style, &send);
        let signature = super::signer::sign(style, &cmq.host(), &cmq.key, &pairs);
        pairs.push(("Signature".to_owned(), signature));
        let first = super::signer::read(&cmq.post(style, &pairs).await);
        let second = super::signer::read(&cmq.post(style, &pairs).await);
        assert_eq!((&first["code"], &second["code"]), (&0.into(), &0.into()));
        assert_eq!(first["msgList"] == second["msgList"], kept == 1, "{second}");
        assert_ne!(first["requestId"], second["requestId"]);
        let receive = [("queueName", "q1"), ("numOfMsg", "16")];
        let received = cmq.done("BatchReceiveMessage", &receive).await;
        assert_eq!(received["msgInfoList"].as_array().unwrap().len(), kept);
    }
    server.stop().await;
}

#[tokio::test]
async fn client_request_ids_come_back() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    let answer = cmq
        .done("ListQueue", &[("clientRequestId", "1231231231")])
        .await;
    assert_eq!(answer["clientRequestId"], 1_231_231_231);
    let answer = cmq.call("DoMagic", &[("clientRequestId", "7")]).await;
    assert_eq!(answer["clientRequestId"], 7);
    assert_eq!(
        refusal(&answer),
        "4000 (10430)action name DoMagic is not existed"
    );
    server.stop().await;
}
