//! Queues through the CMQ door: attributes, messages and their handles, rewind, dead letters.

use serde_json::{Value, json};

use super::signer::{Cmq, now};
use crate::harness::start;

const Q1: (&str, &str) = ("queueName", "q1");

#[tokio::test]
async fn attributes_come_back_as_they_were_set() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    let created = cmq.done("CreateQueue", &[Q1]).await;
    assert!(created["queueId"].as_str().unwrap().starts_with("queue-"));
    let attributes = cmq.done("GetQueueAttributes", &[("queueName", "Q1")]).await;
    for (name, value) in [
        ("maxMsgHeapNum", 100_000_000),
        ("pollingWaitSeconds", 0),
        ("visibilityTimeout", 30),
        ("maxMsgSize", 65_536),
        ("msgRetentionSeconds", 345_600),
        ("rewindSeconds", 0),
        ("activeMsgNum", 0),
        ("inactiveMsgNum", 0),
        ("delayMsgNum", 0),
        ("minMsgTime", 0),
        ("rewindmsgNum", 0),
        ("rewindMsgNum", 0),
    ] {
        assert_eq!(attributes[name], value, "{name}");
    }
    assert!(now() - attributes["createTime"].as_i64().unwrap() < 60);
    assert!(attributes.get("deadLetterPolicy").is_none());

    let policy = r#"{"deadLetterQueue":"dead","policy":0,"maxReceiveCount":5}"#;
    cmq.done("CreateQueue", &[("queueName", "dead")]).await;
    let changed = [
        ("maxMsgHeapNum", "1000"),
        ("pollingWaitSeconds", "10"),
        ("visibilityTimeout", "43200"),
        ("maxMsgSize", "1048576"),
        ("msgRetentionSeconds", "1296000"),
        ("rewindSeconds", "60"),
    ];
    let mut set = vec![Q1, ("deadLetterPolicy", policy)];
    set.extend(changed);
    cmq.done("SetQueueAttributes", &set).await;
    let attributes = cmq.done("GetQueueAttributes", &[Q1]).await;
    for (name, value) in changed {
        assert_eq!(attributes[name].to_string(), value, "{name}");
    }
    assert_eq!(attributes["deadLetterPolicy"], policy);
    // The other policy replaces the first, and what is not sent stays.
    let other = r#"{"deadLetterQueue":"dead","policy":1,"maxTimeToLive":600}"#;
    cmq.done("SetQueueAttributes", &[Q1, ("deadLetterPolicy", other)])
        .await;
    let attributes = cmq.done("GetQueueAttributes", &[Q1]).await;
    assert_eq!(attributes["deadLetterPolicy"], other);
    assert_eq!(attributes["maxMsgHeapNum"], 1_000);
    server.stop().await;
}

#[tokio::test]
async fn a_handle_works_once_and_only_while_it_is_the_newest() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    let create = [Q1, ("visibilityTimeout", "1")];
    cmq.done("CreateQueue", &create).await;
    let sent = cmq.done("SendMessage", &[Q1, ("msgBody", "x")]).await;
    let first = cmq.done("ReceiveMessage", &[Q1]).await;
    assert_eq!(first["dequeueCount"], 1);
    assert_eq!(
        first["firstDequeueTime"],
        first["enqueueTime"]
            .as_i64()
            .unwrap()
            .max(first["firstDequeueTime"].as_i64().unwrap())
    );
    let second = cmq
        .done("ReceiveMessage", &[Q1, ("pollingWaitSeconds", "5")])
        .await;
    assert_eq!(second["msgId"], sent["msgId"]);
    assert_eq!(second["dequeueCount"], 2);
    assert_eq!(second["firstDequeueTime"], first["firstDequeueTime"]);
    assert_ne!(second["receiptHandle"], first["receiptHandle"]);
    let delete = async |message: &Value| {
        let handle = message["receiptHandle"].as_str().unwrap();
        let delete = [Q1, ("receiptHandle", handle)];
        cmq.call("DeleteMessage", &delete).await["code"].clone()
    };
    assert_eq!(delete(&first).await, 4430);
    assert_eq!(delete(&second).await, 0);
    assert_eq!(delete(&second).await, 4430);
    let empty = cmq.refused("ReceiveMessage", &[Q1]).await;
    assert_eq!(empty, "7000 (10200)no message");
    server.stop().await;
}

#[tokio::test]
async fn a_batch_is_deleted_in_part() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    cmq.done("CreateQueue", &[Q1]).await;
    let send = [Q1, ("msgBody.1", "a"), ("msgBody.2", "b")];
    cmq.done("BatchSendMessage", &send).await;
    let received = cmq
        .done("BatchReceiveMessage", &[Q1, ("numOfMsg", "2")])
        .await;
    let handle = |n: usize| {
        received["msgInfoList"][n]["receiptHandle"]
            .as_str()
            .unwrap()
    };
    let part = [
        Q1,
        ("receiptHandle.1", handle(0)),
        ("receiptHandle.2", "none"),
        ("receiptHandle.3", "123456"),
    ];
    let answer = cmq.call("BatchDeleteMessage", &part).await;
    assert_eq!(answer["code"], 6010);
    assert_eq!(answer["message"], "(10150)delete message partially failed");
    let failed = |handle: &str| json!({"code": 4430, "message": "(10260)receipt handle is invalid", "receiptHandle": handle});
    assert_eq!(
        answer["errorList"],
        json!([failed("none"), failed("123456")])
    );
    let none = cmq.call("BatchDeleteMessage", &part).await;
    assert_eq!(none["code"], 6020);
    assert_eq!(none["message"], "(10290)batch delete message failed");
    assert_eq!(none["errorList"].as_array().unwrap().len(), 3);
    cmq.done("BatchDeleteMessage", &[Q1, ("receiptHandle.0", handle(1))])
        .await;
    server.stop().await;
}

#[tokio::test]
async fn delayed_messages_are_counted_apart() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    cmq.done("CreateQueue", &[Q1]).await;
    let send = [Q1, ("msgBody", "later"), ("delaySeconds", "3600")];
    cmq.done("SendMessage", &send).await;
    cmq.done("SendMessage", &[Q1, ("msgBody", "now")]).await;
    cmq.done("SendMessage", &[Q1, ("msgBody", "taken")]).await;
    cmq.done("ReceiveMessage", &[Q1]).await;
    let attributes = cmq.done("GetQueueAttributes", &[Q1]).await;
    for (name, count) in [
        ("activeMsgNum", 1),
        ("inactiveMsgNum", 1),
        ("delayMsgNum", 1),
    ] {
        assert_eq!(attributes[name], count, "{name}");
    }
    assert!(attributes["minMsgTime"].as_i64().unwrap() > 0);
    cmq.done("ClearQueue", &[Q1]).await;
    let attributes = cmq.done("GetQueueAttributes", &[Q1]).await;
    assert_eq!(attributes["activeMsgNum"], 0);
    assert_eq!(attributes["delayMsgNum"], 0);
    server.stop().await;
}

#[tokio::test]
async fn deleted_messages_are_received_again_after_a_rewind() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    cmq.done("CreateQueue", &[Q1]).await;
    let began = now().to_string();
    let rewind = [Q1, ("startConsumeTime", began.as_str())];
    assert_eq!(
        cmq.refused("RewindQueue", &rewind).await,
        "6050 (10670)your queue cannot be rewinded"
    );
    cmq.done("SetQueueAttributes", &[Q1, ("rewindSeconds", "600")])
        .await;
    for body in ["a", "b"] {
        cmq.done("SendMessage", &[Q1, ("msgBody", body)]).await;
        let received = cmq.done("ReceiveMessage", &[Q1]).await;
        let handle = received["receiptHandle"].as_str().unwrap();
        cmq.done("DeleteMessage", &[Q1, ("receiptHandle", handle)])
            .await;
    }
    let attributes = cmq.done("GetQueueAttributes", &[Q1]).await;
    assert_eq!(attributes["rewindmsgNum"], 2);
    assert_eq!(attributes["rewindMsgNum"], 2);
    let too_early = (now() - 700).to_string();
    assert_eq!(
        cmq.refused("RewindQueue", &[Q1, ("startConsumeTime", &too_early)])
            .await,
        "4000 (10680)invalid rewind time, you can get the vaild range of that via GetQueueAttributes"
    );
    cmq.done("RewindQueue", &rewind).await;
    for body in ["a", "b"] {
        let received = cmq.done("ReceiveMessage", &[Q1]).await;
        assert_eq!(received["msgBody"], body);
        assert_eq!(received["dequeueCount"], 1);
    }
    server.stop().await;
}

#[tokio::test]
async fn dead_letters_say_where_they_come_from() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    cmq.done("CreateQueue", &[("queueName", "dead")]).await;
    let policy = r#"{"deadLetterQueue":"dead","policy":0,"maxReceiveCount":1}"#;
    let create = [Q1, ("visibilityTimeout", "1"), ("deadLetterPolicy", policy)];
    cmq.done("CreateQueue", &create).await;
    let sent = cmq.done("SendMessage", &[Q1, ("msgBody", "x")]).await;
    cmq.done("ReceiveMessage", &[Q1]).await;
    // Moved when it would be visible again, which a receive finds out.
    cmq.refused("ReceiveMessage", &[Q1, ("pollingWaitSeconds", "2")])
        .await;
    let receive = [("queueName", "dead"), ("pollingWaitSeconds", "5")];
    let dead = cmq.done("ReceiveMessage", &receive).await;
    assert_eq!(dead["msgId"], sent["msgId"]);
    assert_eq!(dead["originalQueueName"], "q1");
    assert_eq!(dead["originalDequeueCount"], 1);
    assert!(dead["originalEnqueueTime"].is_i64());

    let sources = [("deadLetterQueueName", "dead")];
    let list = cmq.done("ListDeadLetterSourceQueues", &sources).await;
    assert_eq!(list["totalCount"], 1);
    assert_eq!(list["queueList"][0]["queueName"], "q1");
    assert_eq!(
        cmq.refused("DeleteQueue", &[("queueName", "dead")]).await,
        "4000 (10750)it is not allowed to be deleted when the queue is dead letter queue"
    );
    cmq.done("UnbindDeadLetterQueue", &[Q1]).await;
    let list = cmq.done("ListDeadLetterSourceQueues", &sources).await;
    assert_eq!(list["queueList"], json!([]));
    cmq.done("DeleteQueue", &[("queueName", "dead")]).await;
    server.stop().await;
}

#[tokio::test]
async fn queues_are_listed_in_pages() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    let empty = cmq.done("ListQueue", &[]).await;
    assert_eq!(
        (&empty["totalCount"], &empty["queueList"]),
        (&json!(0), &json!([]))
    );
    for name in ["Alpha", "beta", "alpha2", "gamma"] {
        cmq.done("CreateQueue", &[("queueName", name)]).await;
    }
    let names = async |pairs: &[(&str, &str)]| {
        let list = cmq.done("ListQueue", pairs).await;
        let names: Vec<String> = list["queueList"]
            .as_array()
            .unwrap()
            .iter()
            .map(|queue| queue["queueName"].as_str().unwrap().to_owned())
            .collect();
        (list["totalCount"].clone(), names)
    };
    assert_eq!(
        names(&[]).await,
        (
            json!(4),
            ["Alpha", "alpha2", "beta", "gamma"]
                .map(str::to_owned)
                .to_vec()
        )
    );
    assert_eq!(
        names(&[("searchWord", "alpha"), ("offset", "1"), ("limit", "1")]).await,
        (json!(2), vec!["alpha2".to_owned()])
    );
    assert_eq!(names(&[("offset", "9")]).await, (json!(4), Vec::new()));
    server.stop().await;
}

/// What another door put into the queue: other JSON as its text, opaque bytes as base64, chat content as plain text, and
/// by the queue's setting the whole message.
#[tokio::test]
async fn messages_of_other_doors_are_received() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    cmq.done("CreateQueue", &[Q1]).await;
    for (body, text) in [
        (json!({"data": {"n": 1.50}}), r#"{"n":1.5}"#),
        (json!({"data": "text"}), "text"),
        (json!({"bytes": "AP8="}), "AP8="),
        (
            json!({"segments": [{"type": "text", "text": "hello"}]}),
            "hello",
        ),
    ] {
        let item = json!({"header": {"to": ["queue:q1"]}, "body": body});
        server.call("POST", "/v1/messages", item).await.expect(202);
        let received = cmq.done("ReceiveMessage", &[Q1]).await;
        assert_eq!(received["msgBody"], text);
    }
    let patch = json!({"cmq_format": "anser"});
    server
        .call("PATCH", "/v1/queues/q1", patch)
        .await
        .expect(200);
    cmq.done("SendMessage", &[Q1, ("msgBody", "x")]).await;
    let received = cmq.done("ReceiveMessage", &[Q1]).await;
    let message: Value = serde_json::from_str(received["msgBody"].as_str().unwrap()).unwrap();
    assert_eq!(message["body"]["data"], "x");
    assert_eq!(message["header"]["to"], json!(["queue:q1"]));
    server.stop().await;
}

#[tokio::test]
async fn a_full_queue_refuses_more() {
    let server = start().await;
    let cmq = Cmq::admin(&server).await;
    cmq.done("CreateQueue", &[Q1, ("maxMsgHeapNum", "1")]).await;
    cmq.done("SendMessage", &[Q1, ("msgBody", "a")]).await;
    assert_eq!(
        cmq.refused("SendMessage", &[Q1, ("msgBody", "b")]).await,
        "4410 (10240)reach maximum retention number of message"
    );
    server.stop().await;
}
