//! Every rule of the documents broken once: the documented code and text, and nothing stored.

use serde_json::{Value, json};

use super::signer::Cmq;
use crate::harness::{Server, start};

const Q1: (&str, &str) = ("queueName", "q1");
const T1: (&str, &str) = ("topicName", "t1");
const S1: (&str, &str) = ("subscriptionName", "s1");
const BODY: (&str, &str) = ("msgBody", "x");

const QUEUE_NAME: &str = "4000 (10020)queue name format error";
const NO_QUEUE: &str = "4440 (10100)queue is not existed, or deleted";
const TOPIC_NAME: &str = "4000 (10590)topic name format error";
const NO_TOPIC: &str = "4440 (10600)topic is not existed, or deleted";
const SUBSCRIPTION_NAME: &str = "4000 (10580)subscription name format error";

/// A call and its refusal.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

/// The same, with parts made at run time.
type Made<'a> = (&'a str, Vec<(&'a str, &'a str)>, String);

fn table(cases: &[Case]) -> Vec<Made<'static>> {
    cases
        .iter()
        .map(|(action, pairs, expected)| (*action, pairs.to_vec(), (*expected).to_owned()))
        .collect()
}

fn missing(name: &str) -> String {
    format!("4000 (10390)lacked of required parameter {name}")
}

fn out_of_range(name: &str) -> String {
    format!("4000 (10350)parameter {name} value or length is out of range")
}

/// A queue and topics of both kinds.
async fn prepared(server: &Server) -> Cmq<'_> {
    let cmq = Cmq::admin(server).await;
    let create = [Q1, ("maxMsgSize", "1024"), ("msgRetentionSeconds", "60")];
    cmq.done("CreateQueue", &create).await;
    cmq.done("CreateTopic", &[T1, ("maxMsgSize", "1024")]).await;
    let keys = [("topicName", "keys"), ("filterType", "2")];
    cmq.done("CreateTopic", &keys).await;
    cmq
}

async fn stored(server: &Server) -> Vec<Value> {
    let mut all = Vec::new();
    for list in ["messages", "queues", "topics", "channels", "subscriptions"] {
        let page = server
            .call("GET", &format!("/v1/{list}"), Value::Null)
            .await
            .expect(200);
        all.push(page["items"].clone());
    }
    all
}

/// Makes each call; its refusal must be the one beside it, and nothing may have changed.
async fn check(cases: Vec<Made<'_>>) {
    let server = start().await;
    let cmq = prepared(&server).await;
    let before = stored(&server).await;
    for (action, pairs, expected) in cases {
        let shown: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={}", value.chars().take(40).collect::<String>()))
            .collect();
        assert_eq!(
            cmq.refused(action, &pairs).await,
            expected,
            "{action} {shown:?}"
        );
    }
    assert_eq!(stored(&server).await, before);
    server.stop().await;
}

#[tokio::test]
async fn queue_names() {
    let long = "a".repeat(65);
    let mut cases = Vec::new();
    for action in [
        "CreateQueue",
        "GetQueueAttributes",
        "SetQueueAttributes",
        "DeleteQueue",
        "SendMessage",
        "ReceiveMessage",
        "DeleteMessage",
        "ClearQueue",
        "RewindQueue",
        "UnbindDeadLetterQueue",
        "QueryQueueRoute",
    ] {
        cases.push((action, vec![BODY], missing("queueName")));
        for bad in ["", "1q", "a.b", "a b", "队列", &long] {
            cases.push((action, vec![("queueName", bad)], QUEUE_NAME.to_owned()));
        }
        if action == "CreateQueue" {
            continue;
        }
        let pairs = vec![
            ("queueName", "nobody"),
            BODY,
            ("receiptHandle", "1"),
            ("startConsumeTime", "1"),
        ];
        cases.push((action, pairs, NO_QUEUE.to_owned()));
    }
    check(cases).await;
}

#[tokio::test]
async fn queue_attributes() {
    let mut cases = Vec::new();
    let exists = "4460 (4460)queue is already existed,case insensitive".to_owned();
    cases.push(("CreateQueue", vec![("queueName", "Q1")], exists));
    let new = ("queueName", "new");
    for (name, bad) in [
        ("maxMsgHeapNum", "0"),
        ("maxMsgHeapNum", "1000000001"),
        ("pollingWaitSeconds", "31"),
        ("pollingWaitSeconds", "-1"),
        ("visibilityTimeout", "0"),
        ("visibilityTimeout", "43201"),
        ("maxMsgSize", "1023"),
        ("maxMsgSize", "1048577"),
        ("msgRetentionSeconds", "59"),
        ("msgRetentionSeconds", "1296001"),
        ("rewindSeconds", "-1"),
    ] {
        cases.push(("CreateQueue", vec![new, (name, bad)], out_of_range(name)));
        cases.push((
            "SetQueueAttributes",
            vec![Q1, (name, bad)],
            out_of_range(name),
        ));
    }
    let kind = "4000 (10360)parameter visibilityTimeout error type".to_owned();
    cases.push(("CreateQueue", vec![new, ("visibilityTimeout", "1.5")], kind));
    let rewind = "4000 (10700)rewindSeconds cannot be greater than msgRetentionSeconds";
    let pair = [("rewindSeconds", "345601")];
    cases.push(("CreateQueue", vec![new, pair[0]], rewind.to_owned()));
    cases.push((
        "SetQueueAttributes",
        vec![Q1, ("rewindSeconds", "61")],
        rewind.to_owned(),
    ));
    for action in ["ListQueue", "ListTopic"] {
        for (name, bad) in [("offset", "-1"), ("limit", "-1"), ("limit", "1001")] {
            cases.push((action, vec![(name, bad)], out_of_range(name)));
        }
    }
    check(cases).await;
}

#[tokio::test]
async fn dead_letter_policies() {
    let new = ("queueName", "new");
    let mut cases = Vec::new();
    for (text, expected) in [
        ("dead", "4000 (10710)deadLetterPolicy must be a json string"),
        (
            r#"{"policy":0,"maxReceiveCount":1}"#,
            "4000 (10760)the deadLetterPolicy must has deadLetterQueue member, only be a string",
        ),
        (
            r#"{"deadLetterQueue":"q1"}"#,
            "4000 (10770)the deadLetterPolicy must has policy member , only set 0 or 1",
        ),
        (
            r#"{"deadLetterQueue":"q1","policy":0,"maxReceiveCount":0}"#,
            "4000 (10720)deadLetterPolicy params error,please check it",
        ),
        (
            r#"{"deadLetterQueue":"q1","policy":1,"maxTimeToLive":43201}"#,
            "4000 (10720)deadLetterPolicy params error,please check it",
        ),
        (
            r#"{"deadLetterQueue":"nobody","policy":0,"maxReceiveCount":1}"#,
            "4000 (10730)deadLetter queue not exist",
        ),
    ] {
        let pairs = vec![new, ("deadLetterPolicy", text)];
        cases.push(("CreateQueue", pairs, expected.to_owned()));
    }
    // Not less than the messages are kept.
    let policy = r#"{"deadLetterQueue":"q1","policy":1,"maxTimeToLive":300}"#;
    let pairs = vec![
        new,
        ("msgRetentionSeconds", "300"),
        ("deadLetterPolicy", policy),
    ];
    let expected = "4000 (10720)deadLetterPolicy params error,please check it".to_owned();
    cases.push(("CreateQueue", pairs, expected));
    check(cases).await;

    let server = start().await;
    let cmq = prepared(&server).await;
    let to =
        |name: &str| format!(r#"{{"deadLetterQueue":"{name}","policy":0,"maxReceiveCount":9}}"#);
    let (to_q1, to_s0) = (to("q1"), to("s0"));
    for n in 0..6 {
        let name = format!("s{n}");
        let pairs = [("queueName", name.as_str()), ("deadLetterPolicy", &to_q1)];
        cmq.done("CreateQueue", &pairs).await;
    }
    assert_eq!(
        cmq.refused("CreateQueue", &[new, ("deadLetterPolicy", &to_q1)])
            .await,
        "4000 (10780)the deadLetter Queue bind too many times"
    );
    assert_eq!(
        cmq.refused("CreateQueue", &[new, ("deadLetterPolicy", &to_s0)])
            .await,
        "4000 (10740)deadLetter queue is not allowed to nest"
    );
    server.stop().await;
}

/// Broken rules of messages, each on a queue that keeps messages of 1024 bytes for 60 seconds.
const MESSAGES: &[Case] = &[
    (
        "SendMessage",
        &[Q1],
        "4000 (10390)lacked of required parameter msgBody",
    ),
    ("SendMessage", &[Q1, ("msgBody", "")], EMPTY),
    (
        "SendMessage",
        &[Q1, BODY, BODY],
        "4000 (10330)parameter msgBody is NOT a repeatable parameter",
    ),
    ("SendMessage", &[Q1, BODY, ("delaySeconds", "-1")], DELAY),
    ("SendMessage", &[Q1, BODY, ("delaySeconds", "60")], DELAY),
    (
        "SendMessage",
        &[Q1, BODY, ("delaySeconds", "6048001")],
        DELAY,
    ),
    (
        "SendMessage",
        &[Q1, BODY, ("delaySeconds", "x")],
        "4000 (10360)parameter delaySeconds error type",
    ),
    (
        "BatchSendMessage",
        &[Q1],
        "4000 (10390)lacked of required parameter msgBody.n",
    ),
    (
        "BatchSendMessage",
        &[Q1, ("msgBody.1", "x"), ("msgBody.2", "")],
        EMPTY,
    ),
    (
        "BatchSendMessage",
        &[Q1, ("msgBody.1", "x"), ("msgBody.3", "x")],
        GAP,
    ),
    ("BatchSendMessage", &[Q1, ("msgBody.2", "x")], GAP),
    (
        "BatchSendMessage",
        &[Q1, ("msgBody.x", "x")],
        "4000 (10310)error: parameter msgBody.x key format error",
    ),
    ("ReceiveMessage", &[Q1], NO_MESSAGE),
    (
        "ReceiveMessage",
        &[Q1, ("pollingWaitSeconds", "-1")],
        "4000 (10350)parameter pollingWaitSeconds value or length is out of range",
    ),
    (
        "BatchReceiveMessage",
        &[Q1],
        "4000 (10390)lacked of required parameter numOfMsg",
    ),
    ("BatchReceiveMessage", &[Q1, ("numOfMsg", "0")], NUMBER),
    ("BatchReceiveMessage", &[Q1, ("numOfMsg", "17")], NUMBER),
    ("BatchReceiveMessage", &[Q1, ("numOfMsg", "16")], NO_MESSAGE),
    (
        "DeleteMessage",
        &[Q1],
        "4000 (10390)lacked of required parameter receiptHandle",
    ),
    (
        "DeleteMessage",
        &[Q1, ("receiptHandle", "x")],
        "4000 (10470)receiptHandle error",
    ),
    (
        "DeleteMessage",
        &[Q1, ("receiptHandle", "123")],
        "4430 (10260)receipt handle is invalid",
    ),
    (
        "BatchDeleteMessage",
        &[Q1],
        "4000 (10390)lacked of required parameter receiptHandle.n",
    ),
    (
        "BatchDeleteMessage",
        &[Q1, ("receiptHandle.1", "x")],
        "6020 (10290)batch delete message failed",
    ),
    (
        "RewindQueue",
        &[Q1],
        "4000 (10390)lacked of required parameter startConsumeTime",
    ),
];
const EMPTY: &str = "4000 (10120)message body can't be empty";
const DELAY: &str = "4000 (10692)delay seconds is out of range";
const GAP: &str = "4000 (10380)msgBody parameter is not consequent";
const NO_MESSAGE: &str = "7000 (10200)no message";
const NUMBER: &str = "4000 (10350)parameter numOfMsg value or length is out of range";

#[tokio::test]
async fn messages() {
    let too_long = "x".repeat(1_025);
    let size = "4400 (10230)exceed maximum message size";
    let mut cases = table(MESSAGES);
    let pairs = vec![Q1, ("msgBody", too_long.as_str())];
    cases.push(("SendMessage", pairs, size.to_owned()));
    let pairs = vec![Q1, ("msgBody.1", "x"), ("msgBody.2", &too_long)];
    cases.push(("BatchSendMessage", pairs, size.to_owned()));
    let names = |list: &str| (1..=17).map(|n| format!("{list}.{n}")).collect::<Vec<_>>();
    let (bodies, handles) = (names("msgBody"), names("receiptHandle"));
    for (action, first, names, list) in [
        ("BatchSendMessage", Q1, &bodies, "msgBody"),
        ("BatchPublishMessage", T1, &bodies, "msgBody"),
        ("BatchDeleteMessage", Q1, &handles, "receiptHandle"),
    ] {
        let mut pairs = vec![first];
        pairs.extend(names.iter().map(|name| (name.as_str(), "1")));
        let expected = format!("4000 (10370){list} parameter batch size is out of range");
        cases.push((action, pairs, expected));
    }
    check(cases).await;
}

/// Sizes are those of the decoded bodies: what JSON escapes and what a form encodes does not count.
#[tokio::test]
async fn sizes_are_of_decoded_bodies() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    cmq.done("CreateQueue", &[Q1, ("maxMsgSize", "1048576")])
        .await;
    let longest = "\u{1}".repeat(1_048_576);
    cmq.done("SendMessage", &[Q1, ("msgBody", &longest)]).await;
    let received = cmq.done("ReceiveMessage", &[Q1]).await;
    assert_eq!(received["msgBody"].as_str().unwrap().len(), longest.len());
    let half = "你".repeat(174_763);
    let batch = [Q1, ("msgBody.1", half.as_str()), ("msgBody.2", &half)];
    assert_eq!(
        cmq.refused("BatchSendMessage", &batch).await,
        "4470 (10300)total message size exceed 1MB"
    );
    server.stop().await;
}

#[tokio::test]
async fn topics() {
    let long = "a".repeat(65);
    let (tag, key, dots) = ("t".repeat(17), "k".repeat(65), ".".repeat(16));
    let mut cases = Vec::new();
    for action in [
        "CreateTopic",
        "GetTopicAttributes",
        "DeleteTopic",
        "PublishMessage",
        "ListSubscriptionByTopic",
        "QueryTopicRoute",
    ] {
        cases.push((action, vec![BODY], missing("topicName")));
        for bad in ["", "1t", "a.b", "$ops", &long] {
            cases.push((action, vec![("topicName", bad)], TOPIC_NAME.to_owned()));
        }
        if action != "CreateTopic" {
            let pairs = vec![("topicName", "nobody"), BODY];
            cases.push((action, pairs, NO_TOPIC.to_owned()));
        }
    }
    let keys = ("topicName", "keys");
    let tags: Vec<(&str, &str)> = [
        "msgTag.1", "msgTag.2", "msgTag.3", "msgTag.4", "msgTag.5", "msgTag.6",
    ]
    .into_iter()
    .map(|name| (name, name))
    .collect();
    cases.extend([
        ("CreateTopic", vec![("topicName", "T1")], "4460 (10550)topic is already existed".to_owned()),
        ("CreateTopic", vec![("topicName", "new"), ("maxMsgSize", "1")], out_of_range("maxMsgSize")),
        ("CreateTopic", vec![("topicName", "new"), ("filterType", "3")], out_of_range("filterType")),
        ("SetTopicAttributes", vec![T1], missing("maxMsgSize")),
        ("SetTopicAttributes", vec![T1, ("maxMsgSize", "1048577")], out_of_range("maxMsgSize")),
        ("PublishMessage", vec![T1], missing("msgBody")),
        ("PublishMessage", vec![T1, ("msgBody", "")], "4000 (10120)message body can't be empty".to_owned()),
        ("PublishMessage", vec![T1, BODY, ("msgTag.1", &tag)], out_of_range("msgTag")),
        ("PublishMessage", [&[T1, BODY], &tags[..]].concat(), "4000 (10720)too many msgTag".to_owned()),
        ("PublishMessage", vec![keys, BODY], "4000 (10700)parameters lack of routingKey".to_owned()),
        ("PublishMessage", vec![keys, BODY, ("routingKey", &dots)], "4000 (10691)too many delimeters".to_owned()),
        ("PublishMessage", vec![keys, BODY, ("routingKey", &key)], out_of_range("routingKey")),
        (
            "PublishMessage",
            vec![keys, BODY, ("routingKey", "a")],
            "6030 (10650)topic has no subscription, please create a subscription before publishing message".to_owned(),
        ),
    ]);
    check(cases).await;
}

/// Broken rules of Subscribe.
const SUBSCRIBE: &[Case] = &[
    (
        "Subscribe",
        &[T1, HTTP, URL],
        "4000 (10390)lacked of required parameter subscriptionName",
    ),
    (
        "Subscribe",
        &[T1, ("subscriptionName", "a.b"), HTTP, URL],
        SUBSCRIPTION_NAME,
    ),
    (
        "Subscribe",
        &[("topicName", "nobody"), S1, HTTP, URL],
        NO_TOPIC,
    ),
    (
        "Subscribe",
        &[T1, S1, URL],
        "4000 (10390)lacked of required parameter protocol",
    ),
    (
        "Subscribe",
        &[T1, S1, HTTP],
        "4000 (10390)lacked of required parameter endpoint",
    ),
    (
        "Subscribe",
        &[T1, S1, HTTP, ("endpoint", "")],
        "4000 (10390)lacked of required parameter endpoint",
    ),
    (
        "Subscribe",
        &[T1, S1, ("protocol", "smtp"), URL],
        "4000 (10510)undefined protocol",
    ),
    (
        "Subscribe",
        &[T1, S1, HTTP, ("endpoint", "ftp://h/")],
        ENDPOINT,
    ),
    (
        "Subscribe",
        &[T1, S1, HTTP, ("endpoint", "host/x")],
        ENDPOINT,
    ),
    (
        "Subscribe",
        &[T1, S1, HTTP, ("endpoint", "http://")],
        ENDPOINT,
    ),
    (
        "Subscribe",
        &[T1, S1, HTTP, ("endpoint", "http://h/a b")],
        "4510 (10570)url connot contain any blank characters",
    ),
    (
        "Subscribe",
        &[T1, S1, HTTP, ("endpoint", "http://10.0.0.1/x")],
        ILLEGAL,
    ),
    (
        "Subscribe",
        &[T1, S1, HTTP, URL, ("notifyStrategy", "NEVER")],
        "4000 (10520)undefined notify retry stragety",
    ),
    (
        "Subscribe",
        &[T1, S1, HTTP, URL, ("notifyContentFormat", "XML")],
        "4000 (10530)undefined notify content format",
    ),
    (
        "Subscribe",
        &[T1, S1, ("protocol", "queue"), ("endpoint", "q1")],
        "4000 (10640)notifyContentFormat of protocol queue must be SIMPLIFIED",
    ),
    (
        "Subscribe",
        &[
            T1,
            S1,
            ("protocol", "queue"),
            ("endpoint", "nobody"),
            ("notifyContentFormat", "SIMPLIFIED"),
        ],
        ILLEGAL,
    ),
    (
        "Subscribe",
        &[T1, S1, HTTP, URL, ("filterTag.1", "seventeen letters")],
        "4000 (10350)parameter filterTag value or length is out of range",
    ),
    (
        "Subscribe",
        &[KEYS, S1, HTTP, URL],
        "4000 (10710)parameters lack of bindingKey",
    ),
    (
        "Subscribe",
        &[KEYS, S1, HTTP, URL, ("bindingKey.1", "................")],
        "4000 (10691)too many delimeters",
    ),
    (
        "ListSubscriptionByTopic",
        &[T1, ("offset", "1001")],
        "4000 (10350)parameter offset value or length is out of range",
    ),
    (
        "ListSubscriptionByTopic",
        &[T1, ("limit", "101")],
        "4000 (10350)parameter limit value or length is out of range",
    ),
];
const HTTP: (&str, &str) = ("protocol", "http");
const URL: (&str, &str) = ("endpoint", "http://127.0.0.1:1/x");
const KEYS: (&str, &str) = ("topicName", "keys");
const ENDPOINT: &str = "4000 (10500)endpoint format error";
const ILLEGAL: &str = "4000 (10630)illegal endpoint";

#[tokio::test]
async fn subscriptions() {
    let mut cases = table(SUBSCRIBE);
    let names = |list: &str| (1..=6).map(|n| format!("{list}.{n}")).collect::<Vec<_>>();
    let (tags, keys) = (names("filterTag"), names("bindingKey"));
    for (tag_count, key_count, expected) in [
        (6, 0, "4000 (10490)number of filterTag exceed limit"),
        (0, 6, "4000 (10680)too many bindingKey"),
        (6, 6, "6050 (10740)too many filterTag or bindingKey"),
    ] {
        let mut pairs = vec![T1, S1, HTTP, URL];
        let names = tags
            .iter()
            .take(tag_count)
            .chain(keys.iter().take(key_count));
        pairs.extend(names.map(|name| (name.as_str(), "x")));
        cases.push(("Subscribe", pairs, expected.to_owned()));
    }
    for action in [
        "GetSubscriptionAttributes",
        "SetSubscriptionAttributes",
        "ClearSubscriptionFilterTags",
        "Unsubscribe",
    ] {
        cases.push((action, vec![T1], missing("subscriptionName")));
        let bad = vec![T1, ("subscriptionName", "a.b")];
        cases.push((action, bad, SUBSCRIPTION_NAME.to_owned()));
        let unknown = "4440 (10600)subscription is not existed";
        cases.push((action, vec![T1, S1], unknown.to_owned()));
    }
    check(cases).await;
}

/// A subscription that is refused leaves no channel behind, and tells why its address is refused.
#[tokio::test]
async fn a_refused_endpoint_leaves_nothing_and_says_why() {
    let server = start().await;
    let cmq = prepared(&server).await;
    let spec =
        json!({"name": "limited", "scopes": ["admin"], "topics": ["t1"], "targets": ["queue:*"]});
    let limited = Cmq::with_key(&server, spec).await;
    let before = stored(&server).await;
    let subscribe = [
        T1,
        S1,
        ("protocol", "http"),
        ("endpoint", "http://10.0.0.1/x"),
    ];
    let answer = cmq.call("Subscribe", &subscribe).await;
    assert!(
        answer["detail"].as_str().unwrap().contains("10.0.0.1"),
        "{answer}"
    );
    let allowed = [
        T1,
        S1,
        ("protocol", "http"),
        ("endpoint", "http://127.0.0.1:1/x"),
    ];
    assert_eq!(
        limited.refused("Subscribe", &allowed).await,
        "4100 (10030)authentication failed"
    );
    assert_eq!(stored(&server).await, before);
    server.stop().await;
}
