//! Topics and subscriptions through the CMQ door: what subscribes is told what it subscribed to, and filters choose.

use anser_edge::{CmqOptions, EdgeOptions, PublishUnrouted};
use anser_gateway::GatewayOptions;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::signer::{Cmq, PYTHON};
use crate::harness::{start, start_with};

const T1: (&str, &str) = ("topicName", "t1");
const S1: (&str, &str) = ("subscriptionName", "s1");

async fn bodies(cmq: &Cmq<'_>, queue: &str) -> Vec<String> {
    let receive = [("queueName", queue), ("numOfMsg", "16")];
    let answer = cmq.call("BatchReceiveMessage", &receive).await;
    let list = answer["msgInfoList"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    list.iter()
        .map(|message| message["msgBody"].as_str().unwrap().to_owned())
        .collect()
}

async fn subscribe_queue(cmq: &Cmq<'_>, name: &str, queue: &str, filter: &[(&str, &str)]) {
    cmq.done("CreateQueue", &[("queueName", queue)]).await;
    let mut pairs = vec![
        T1,
        ("subscriptionName", name),
        ("protocol", "QUEUE"),
        ("endpoint", queue),
        ("notifyContentFormat", "SIMPLIFIED"),
    ];
    pairs.extend(filter);
    let made = cmq.done("Subscribe", &pairs).await;
    assert!(
        made["subscriptionId"]
            .as_str()
            .unwrap()
            .starts_with("subsc-")
    );
}

#[tokio::test]
async fn tags_choose_the_subscribers() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    let created = cmq.done("CreateTopic", &[T1]).await;
    assert!(created["topicId"].as_str().unwrap().starts_with("topic-"));
    let publish = async |pairs: &[(&str, &str)]| {
        let mut all = vec![T1, ("routingKey", "")];
        all.extend(pairs);
        cmq.call("PublishMessage", &all).await
    };
    assert_eq!(
        super::signer::refusal(&publish(&[("msgBody", "none")]).await),
        "6030 (10650)topic has no subscription, please create a subscription before publishing message"
    );
    subscribe_queue(
        &cmq,
        "s1",
        "tagged",
        &[("filterTag.1", "a"), ("filterTag.2", "b")],
    )
    .await;
    assert_eq!(
        super::signer::refusal(&publish(&[("msgBody", "untagged")]).await),
        "6030 (10730)no bindingKey or filterTag matches the routingKey or msgTag"
    );
    subscribe_queue(&cmq, "s2", "all", &[]).await;
    let sent = publish(&[("msgBody", "both"), ("msgTag.1", "x"), ("msgTag.2", "b")]).await;
    assert_eq!(sent["code"], 0, "{sent}");
    assert_eq!(publish(&[("msgBody", "one")]).await["code"], 0);
    assert_eq!(bodies(&cmq, "tagged").await, ["both"]);
    let receive = [("queueName", "all")];
    let copy = cmq.done("ReceiveMessage", &receive).await;
    assert_eq!(
        copy["msgId"], sent["msgId"],
        "the copy keeps the topic's id"
    );
    assert_eq!(bodies(&cmq, "all").await, ["one"]);
    let batch = [
        T1,
        ("msgTag.0", "a"),
        ("msgBody.0", "1"),
        ("msgBody.1", "2"),
    ];
    let batch = cmq.done("BatchPublishMessage", &batch).await;
    assert_eq!(batch["msgList"].as_array().unwrap().len(), 2);
    assert_eq!(bodies(&cmq, "tagged").await, ["1", "2"]);
    server.stop().await;
}

#[tokio::test]
async fn binding_keys_choose_the_subscribers() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    cmq.done("CreateTopic", &[T1, ("filterType", "2")]).await;
    let without = [
        T1,
        S1,
        ("protocol", "http"),
        ("endpoint", "http://127.0.0.1:1/x"),
    ];
    assert_eq!(
        cmq.refused("Subscribe", &without).await,
        "4000 (10710)parameters lack of bindingKey"
    );
    subscribe_queue(
        &cmq,
        "s1",
        "words",
        &[("bindingKey.1", "1.*.0"), ("bindingKey.2", "x.#")],
    )
    .await;
    subscribe_queue(&cmq, "s2", "all", &[("bindingKey.1", "#")]).await;
    for key in ["1.2.0", "1.0", "x", "x.y.z"] {
        let publish = [T1, ("msgBody", key), ("routingKey", key)];
        cmq.done("PublishMessage", &publish).await;
    }
    assert_eq!(
        cmq.refused("PublishMessage", &[T1, ("msgBody", "x")]).await,
        "4000 (10700)parameters lack of routingKey"
    );
    assert_eq!(bodies(&cmq, "words").await, ["1.2.0", "x", "x.y.z"]);
    assert_eq!(bodies(&cmq, "all").await, ["1.2.0", "1.0", "x", "x.y.z"]);
    let get = [T1, S1];
    let attributes = cmq.done("GetSubscriptionAttributes", &get).await;
    assert_eq!(attributes["bindingKey"], json!(["1.*.0", "x.#"]));
    assert_eq!(attributes["bindindKey"], attributes["bindingKey"]);
    let topic = cmq.done("GetTopicAttributes", &[T1]).await;
    assert_eq!(topic["filterType"], 2);
    server.stop().await;
}

#[tokio::test]
async fn an_http_subscription_has_a_channel_of_its_own() {
    let server = start().await;
    let cmq = Cmq::with_key(
        &server,
        json!({"name": "cmq", "scopes": ["admin"], "app_id": 100_015_036}),
    )
    .await;
    cmq.done("CreateTopic", &[T1]).await;
    let subscribe = [
        T1,
        S1,
        ("protocol", "http"),
        ("endpoint", "http://127.0.0.1:1/push?x=1"),
    ];
    cmq.done("Subscribe", &subscribe).await;
    let attributes = cmq.done("GetSubscriptionAttributes", &[T1, S1]).await;
    for (name, value) in [
        ("topicOwner", json!("100015036")),
        ("msgCount", json!(0)),
        ("protocol", json!("http")),
        ("protocal", json!("http")),
        ("endpoint", json!("http://127.0.0.1:1/push?x=1")),
        ("notifyStrategy", json!("EXPONENTIAL_DECAY_RETRY")),
        ("notifyContentFormat", json!("JSON")),
        ("filterTag", json!([])),
        ("filterTags", json!([])),
        ("bindingKey", json!([])),
        ("bindindKey", json!([])),
    ] {
        assert_eq!(attributes[name], value, "{name}");
    }
    let channels = async || {
        let page = server
            .call("GET", "/v1/channels", Value::Null)
            .await
            .expect(200);
        page["items"].as_array().unwrap().clone()
    };
    let made = channels().await;
    assert_eq!(made.len(), 1);
    assert_eq!(made[0]["settings"]["format"], "cmq-json");
    let native = server
        .call("GET", "/v1/topics/t1/subscriptions/s1", Value::Null)
        .await
        .expect(200);
    assert_eq!(native["retry"], "cmq-decay");
    assert_eq!(native["channel"], made[0]["name"]);

    change_and_unsubscribe(&cmq).await;
    assert_eq!(channels().await, Vec::<Value>::new());
    server.stop().await;
}

async fn change_and_unsubscribe(cmq: &Cmq<'_>) {
    let set = [
        T1,
        S1,
        ("notifyStrategy", "BACKOFF_RETRY"),
        ("notifyContentFormat", "SIMPLIFIED"),
    ];
    cmq.done("SetSubscriptionAttributes", &set).await;
    let attributes = cmq.done("GetSubscriptionAttributes", &[T1, S1]).await;
    assert_eq!(attributes["notifyStrategy"], "BACKOFF_RETRY");
    assert_eq!(attributes["notifyContentFormat"], "SIMPLIFIED");

    let list = cmq.done("ListSubscriptionByTopic", &[T1]).await;
    assert_eq!(list["totalCount"], 1);
    assert_eq!(
        list["subscriptionList"][0]["endpoint"],
        attributes["endpoint"]
    );
    assert_eq!(
        cmq.refused("DeleteTopic", &[T1]).await,
        "4000 (10540)there exists subscriptions under this topic, please unsubscribe all of them before DeleteTopic"
    );
    cmq.done("Unsubscribe", &[T1, S1]).await;
    let list = cmq.done("ListSubscriptionByTopic", &[T1]).await;
    assert_eq!(list["subscriptionList"], json!([]));
    cmq.done("DeleteTopic", &[T1]).await;
}

/// A push names the owner of the topic: the APPID of the key that made it, whoever publishes.
#[tokio::test]
async fn pushes_name_the_topics_owner() {
    let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/push", receiver.local_addr().unwrap());
    let server = start().await;
    let owner = json!({"name": "owner", "scopes": ["admin"], "app_id": 100_015_036});
    let owner = Cmq::with_key(&server, owner).await;
    owner.done("CreateTopic", &[T1]).await;
    let subscribe = [T1, S1, ("protocol", "http"), ("endpoint", url.as_str())];
    owner.done("Subscribe", &subscribe).await;
    let another = Cmq::admin(&server).await;
    another
        .done("PublishMessage", &[T1, ("msgBody", "x")])
        .await;
    let (mut push, _) = receiver.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        assert!(push.read_buf(&mut request).await.unwrap() > 0);
    }
    push.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    let text = String::from_utf8(request).unwrap();
    assert!(
        text.contains(r#"{"TopicOwner":100015036,"topicName":"t1","#),
        "{text}"
    );
    server.stop().await;
}

#[tokio::test]
async fn topics_of_other_doors_are_there_and_the_systems_are_not() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    server
        .call("PUT", "/v1/topics/native.one", json!({}))
        .await
        .expect(201);
    let list = cmq.done("ListTopic", &[]).await;
    assert_eq!(list["totalCount"], 1);
    assert_eq!(list["topicList"][0]["topicName"], "native.one");
    let name = ("topicName", "native.one");
    let attributes = cmq.done("GetTopicAttributes", &[name]).await;
    for (member, value) in [
        ("msgCount", 0),
        ("maxMsgSize", 65_536),
        ("msgRetentionSeconds", 86_400),
        ("filterType", 1),
        ("loggingEnabled", 0),
        ("LoggingEnabled", 0),
    ] {
        assert_eq!(attributes[member], value, "{member}");
    }
    cmq.done("SetTopicAttributes", &[name, ("maxMsgSize", "1024")])
        .await;
    assert_eq!(
        cmq.done("GetTopicAttributes", &[name]).await["maxMsgSize"],
        1_024
    );
    assert_eq!(
        cmq.refused("GetTopicAttributes", &[("topicName", "$direct")])
            .await,
        "4000 (10590)topic name format error"
    );
    server.stop().await;
}

#[tokio::test]
async fn the_settings_bound_what_is_created() {
    let edge = EdgeOptions {
        cmq: CmqOptions {
            topics_max: 1,
            queues_max: 1,
            subscriptions_max: 1,
            publish_unrouted: PublishUnrouted::Accept,
            ..CmqOptions::default()
        },
        ..EdgeOptions::default()
    };
    let server = start_with(GatewayOptions::default(), edge).await;
    let cmq = Cmq::admin(&server).await;
    cmq.done("CreateTopic", &[T1]).await;
    let accepted = cmq.done("PublishMessage", &[T1, ("msgBody", "x")]).await;
    assert!(accepted["msgId"].as_str().unwrap().parse::<u64>().is_ok());
    let stored = server
        .call("GET", "/v1/messages?topic=t1", Value::Null)
        .await
        .expect(200);
    assert_eq!(stored["items"], json!([]));
    subscribe_queue(&cmq, "s1", "q1", &[]).await;
    for (action, pairs, expected) in [
        (
            "CreateTopic",
            vec![("topicName", "t2")],
            "4450 (10610)number of topics has reached the limit",
        ),
        (
            "CreateTopic",
            vec![("topicName", "T1")],
            "4460 (10550)topic is already existed",
        ),
        (
            "CreateQueue",
            vec![("queueName", "q2")],
            "4450 (10220)number of queues has reached the limit",
        ),
        (
            "Subscribe",
            vec![
                T1,
                ("subscriptionName", "s2"),
                ("protocol", "queue"),
                ("endpoint", "q1"),
                ("notifyContentFormat", "SIMPLIFIED"),
            ],
            "4500 (10480)number of subscription has reached the limit",
        ),
        (
            "Subscribe",
            vec![
                T1,
                ("subscriptionName", "S1"),
                ("protocol", "queue"),
                ("endpoint", "q1"),
                ("notifyContentFormat", "SIMPLIFIED"),
            ],
            "4490 (10470)subscribtion is already existed",
        ),
    ] {
        assert_eq!(cmq.refused(action, &pairs).await, expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_door_that_is_shut_is_not_there() {
    let edge = EdgeOptions {
        cmq: CmqOptions {
            enabled: false,
            ..CmqOptions::default()
        },
        ..EdgeOptions::default()
    };
    let server = start_with(GatewayOptions::default(), edge).await;
    let cmq = Cmq::admin(&server).await;
    let pairs = cmq.pairs(PYTHON, &[("Action", "ListQueue")]);
    assert_eq!(cmq.post(PYTHON, &pairs).await.status, 404);
    server.stop().await;
}
