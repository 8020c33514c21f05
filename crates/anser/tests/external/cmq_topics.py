"""Topics, subscriptions and pushes of the CMQ tour, through an unchanged SDK."""

import json

from cmq.queue import QueueMeta
from cmq.subscription import SubscriptionMeta
from cmq.topic import Message, TopicMeta
from cmq_check import digits, empty, equal, raw, received, recent, refused, true

NO_TOPIC = (4440, "(10600)topic is not existed, or deleted")
NO_SUBSCRIPTION = (4440, "(10600)subscription is not existed")
NONE_AT_ALL = (6030, "(10650)topic has no subscription, please create a subscription before publishing message")
NO_MATCH = (6030, "(10730)no bindingKey or filterTag matches the routingKey or msgTag")
AGENT = "Qcloud Notification Service Agent"


def create(account, name, filter_type=1):
    topic, meta = account.get_topic(name), TopicMeta()
    meta.filterType = filter_type
    topic.create(meta)
    return topic


def subscribe(account, topic, name, **attributes):
    subscription, meta = account.get_subscription(topic.topicName, name), SubscriptionMeta()
    for attribute, value in attributes.items():
        setattr(meta, attribute, value)
    subscription.create(meta)
    return subscription


def to_queue(account, topic, name, queue, **attributes):
    known = {"Endpoint": queue.queue_name, "Protocal": "queue", "NotifyContentFormat": "SIMPLIFIED"}
    return subscribe(account, topic, name, **(known | attributes))


def to_http(account, topic, name, url, **attributes):
    return subscribe(account, topic, name, **({"Endpoint": url, "Protocal": "http"} | attributes))


def queue_of(account, name):
    queue = account.get_queue(name)
    queue.create(QueueMeta())
    return queue


def one(queue):
    """The only message that is there, which is deleted."""
    message = received(queue, 1)[0]
    queue.delete_message(message.receiptHandle)
    return message


def life(account, prefix):
    name = f"{prefix}-Life"
    topic = create(account, name)
    for other in [name, name.lower()]:
        refused(4460, "(10550)topic is already existed", create, account, other)
    refused(4000, "(10590)topic name format error", create, account, "1begins-with-a-digit")
    expected = {"msgCount": 0, "maxMsgSize": 65_536, "msgRetentionSeconds": 86_400, "filterType": 1}
    shown(topic, expected)
    meta = topic.get_attributes()
    meta.maxMsgSize = 1024
    topic.set_attributes(meta)
    shown(topic, expected | {"maxMsgSize": 1024})
    refused(4400, "(10230)exceed maximum message size", topic.publish_message, Message("x" * 1025))
    refused(*NONE_AT_ALL, topic.publish_message, Message("nobody"))
    total, topics, following = account.list_topic(searchWord=name)
    equal("topics found", (total, [topic["topicName"] for topic in topics], following), (1, [name], ""))
    true("topicId", topics[0]["topicId"].startswith("topic-"), topics)
    equal("no subscription", topic.list_subscription(), (0, [], ""))
    topic.delete()
    for call in [topic.delete, topic.get_attributes, topic.list_subscription]:
        refused(*NO_TOPIC, call)
    refused(*NO_TOPIC, topic.publish_message, Message("x"))


def shown(topic, expected):
    meta = topic.get_attributes()
    for attribute, value in expected.items():
        equal(attribute, getattr(meta, attribute), value)
    recent("createTime", meta.createTime)
    recent("lastModifyTime", meta.lastModifyTime)


def tags(account, prefix, app_id):
    """A queue subscription with tags: what matches, what does not, tags replaced and cleared."""
    topic, queue = create(account, f"{prefix}-tags"), queue_of(account, f"{prefix}-tags")
    text = "(10640)notifyContentFormat of protocol queue must be SIMPLIFIED"
    refused(4000, text, lambda: to_queue(account, topic, "s1", queue, NotifyContentFormat="JSON"))
    subscription = to_queue(account, topic, "s1", queue, FilterTag=["a", "标"])
    refused(4490, "(10470)subscribtion is already existed", lambda: to_queue(account, topic, "s1", queue))
    shown_subscription(account, topic, queue, app_id)
    for tag, body in [("a", "tagged"), ("标", "@中文")]:
        sent = topic.publish_message(Message(body, [tag]))
        message = one(queue)
        equal("msgBody", message.msgBody, body)
        equal("msgId, that of the topic", message.msgId, sent.msgId)
        equal("dequeueCount", message.dequeueCount, 1)
    bodies = [f"b{index}" for index in range(12)]
    sent = topic.batch_publish_message([Message(body) for body in bodies], ["x", "a"])
    got = received(queue, 12)
    equal("bodies by msgId", {message.msgId: message.msgBody for message in got},
          dict(zip((message.msgId for message in sent), bodies, strict=True)))
    queue.batch_delete_message([message.receiptHandle for message in got])
    refused(*NO_MATCH, topic.publish_message, Message("other", ["b"]))
    refused(*NO_MATCH, topic.publish_message, Message("untagged"))
    text = "(10720)too many msgTag"
    refused(4000, text, topic.publish_message, Message("x", [f"t{index}" for index in range(6)]))
    # The strategy stays as it is; a list that is sent replaces the list.
    meta = SubscriptionMeta()
    meta.NotifyContentFormat, meta.FilterTag = "", ["b"]
    subscription.set_attributes(meta)
    equal("tags replaced", subscription.get_attributes().FilterTag, ["b"])
    topic.publish_message(Message("other", ["b"]))
    equal("msgBody", one(queue).msgBody, "other")
    refused(*NO_MATCH, topic.publish_message, Message("tagged", ["a"]))
    subscription.clearFilterTags()
    equal("tags cleared", subscription.get_attributes().FilterTag, [])
    topic.publish_message(Message("anything"))
    equal("msgBody", one(queue).msgBody, "anything")
    text = ("(10540)there exists subscriptions under this topic, please unsubscribe all of them before DeleteTopic")
    refused(4000, text, topic.delete)
    subscription.delete()
    for call in [subscription.delete, subscription.get_attributes, subscription.clearFilterTags]:
        refused(*NO_SUBSCRIPTION, call)
    empty(queue.receive_message, 0)
    topic.delete()
    queue.delete()


def shown_subscription(account, topic, queue, app_id):
    total, subscriptions, following = topic.list_subscription()
    equal("subscriptions", (total, len(subscriptions), following), (1, 1, ""))
    item = subscriptions[0]
    true("subscriptionId", item["subscriptionId"].startswith("subsc-"), item)
    known = [item[member] for member in ["subscriptionName", "protocol", "endpoint"]]
    equal("a subscription in the list", known, ["s1", "queue", queue.queue_name])
    equal("a word that none has", topic.list_subscription("nothing"), (0, [], ""))
    answer = raw(account.get_client(), "GetSubscriptionAttributes", topicName=topic.topicName, subscriptionName="s1")
    expected = {"topicOwner": str(app_id), "msgCount": 0, "protocol": "queue", "protocal": "queue",
                "endpoint": queue.queue_name, "notifyStrategy": "EXPONENTIAL_DECAY_RETRY",
                "notifyContentFormat": "SIMPLIFIED", "bindingKey": [], "bindindKey": []}
    for member, value in expected.items():
        equal(member, answer[member], value)
    for member in ["filterTag", "filterTags"]:
        equal(member, sorted(answer[member]), ["a", "标"])
    recent("createTime", answer["createTime"])
    recent("lastModifyTime", answer["lastModifyTime"])


def binding_keys(account, prefix):
    topic, queue = create(account, f"{prefix}-keys", 2), queue_of(account, f"{prefix}-keys")
    refused(4000, "(10710)parameters lack of bindingKey", lambda: to_queue(account, topic, "s1", queue))
    text = "(10680)too many bindingKey"
    refused(4000, text, lambda: to_queue(account, topic, "s1", queue, bindingKey=[f"k{index}" for index in range(6)]))
    keys = ["order.*.paid", "log.#", "1.#.0"]
    subscription = to_queue(account, topic, "s1", queue, bindingKey=keys)
    equal("bindingKey", sorted(subscription.get_attributes().bindingKey), sorted(keys))
    for key in ["order.1.paid", "log", "log.a.b", "1.0", "1.2.3.4.0"]:
        topic.publish_message(Message(key), key)
        equal("msgBody", one(queue).msgBody, key)
    for key in ["order.paid", "order.1.2.paid", "logs", "1.2"]:
        refused(*NO_MATCH, topic.publish_message, Message(key), key)
    refused(4000, "(10700)parameters lack of routingKey", topic.publish_message, Message("none"))
    topic.batch_publish_message([Message("一"), Message("@二")], [], "log.x")
    equal("a batch", sorted(message.msgBody for message in received(queue, 2)), ["@二", "一"])
    subscription.delete()
    topic.delete()
    queue.delete()


def pushes(account, prefix, receiver, app_id):
    """Bodies and headers of both formats, exactly."""
    topic = create(account, f"{prefix}-push")
    full, plain = f"/{prefix}/json", f"/{prefix}/simplified"
    subscriptions = [
        to_http(account, topic, "full", receiver.url(full)),
        to_http(account, topic, "plain", receiver.url(plain), NotifyContentFormat="SIMPLIFIED",
                NotifyStrategy="BACKOFF_RETRY"),
    ]
    body = '你好 "quoted" \\ & <tag> 1.0\n'
    for count, tagged in enumerate([["b", "a"], []], 1):
        sent = topic.publish_message(Message(body, tagged))
        request = receiver.wait(full, count)[-1]
        headers_are(request, sent.msgId, tagged)
        members = json.loads(request.body)
        recent("publishTime", members["publishTime"])
        expected = {
            "TopicOwner": app_id, "topicName": topic.topicName, "subscriptionName": "full", "msgId": sent.msgId,
            "msgBody": body, "publishTime": members["publishTime"],
        }
        # Members and their order, without blanks, in UTF-8.
        text = json.dumps(expected, ensure_ascii=False, separators=(",", ":"))
        equal("the body, format JSON", request.body.decode(), text)
        request = receiver.wait(plain, count)[-1]
        headers_are(request, sent.msgId, tagged)
        equal("the body, format SIMPLIFIED", request.body.decode(), body)
    for subscription in subscriptions:
        subscription.delete()
    topic.delete()


def headers_are(request, message, tagged):
    equal("method", request.method, "POST")
    expected = {"content-type": "text/plain", "user-agent": AGENT, "x-cmq-message-id": message,
                "content-length": str(len(request.body))}
    for name, value in expected.items():
        equal(name, request.headers.get(name), value)
    equal("x-cmq-message-tag", request.headers.get("x-cmq-message-tag", ""), ", ".join(tagged))
    digits("x-cmq-request-id", request.headers["x-cmq-request-id"])


def retries(account, prefix, receiver):
    """After a failure those behind wait, and it comes again after a second, then two."""
    topic, path = create(account, f"{prefix}-retry"), f"/{prefix}/retry"
    receiver.script(path, [500, 302])
    subscription = to_http(account, topic, "s1", receiver.url(path), NotifyContentFormat="SIMPLIFIED")
    topic.publish_message(Message("first"))
    receiver.wait(path, 1)
    topic.publish_message(Message("second"))
    requests = receiver.wait(path, 4)
    equal("in this order", [request.body for request in requests], [b"first"] * 3 + [b"second"])
    equal("an id for each attempt", len({request.headers["x-cmq-request-id"] for request in requests}), 4)
    equal("an id for each message", len({request.headers["x-cmq-message-id"] for request in requests}), 2)
    gaps = [later.at - earlier.at for earlier, later in zip(requests, requests[1:])]
    true("after 1 s, then 2 s", gaps[0] > 0.9 and gaps[1] > 1.9, gaps)
    subscription.delete()
    topic.delete()


def bad_subscriptions(account, prefix):
    topic = create(account, f"{prefix}-bad")
    good = "http://127.0.0.1:9/hook"
    for code, text, attributes in [
        (4000, "(10500)endpoint format error", {"Endpoint": "ftp://example.com"}),
        (4510, "(10570)url connot contain any blank characters", {"Endpoint": "http://example.com/a b"}),
        (4000, "(10510)undefined protocol", {"Protocal": "smtp"}),
        (4000, "(10520)undefined notify retry stragety", {"NotifyStrategy": "NEVER"}),
        (4000, "(10530)undefined notify content format", {"NotifyContentFormat": "XML"}),
        (4000, "(10490)number of filterTag exceed limit", {"FilterTag": [f"t{index}" for index in range(6)]}),
    ]:
        refused(code, text, lambda: to_http(account, topic, "s1", **({"url": good} | renamed(attributes))))
    true("its name", is_name_refused(lambda: to_http(account, topic, "1bad", good)))
    equal("nothing was made", topic.list_subscription(), (0, [], ""))
    topic.delete()
    refused(*NO_TOPIC, lambda: to_http(account, topic, "s1", good))


def renamed(attributes):
    return {"url" if name == "Endpoint" else name: value for name, value in attributes.items()}


def is_name_refused(call):
    """The table has two numbers for one text."""
    try:
        refused(4000, "(10580)subscription name format error", call)
    except AssertionError:
        refused(4000, "(10620)subscription name format error", call)
    return True


def tour(account, prefix, receiver, app_id):
    life(account, prefix)
    tags(account, prefix, app_id)
    binding_keys(account, prefix)
    pushes(account, prefix, receiver, app_id)
    retries(account, prefix, receiver)
    bad_subscriptions(account, prefix)
