"""The queues of the CMQ tour, through an unchanged SDK."""

import json
import threading
import time

from cmq.queue import Message, QueueMeta
from cmq_check import CLOCK_SLACK, digits, empty, equal, raw, received, recent, refused, true, until

NO_QUEUE = (4440, "(10100)queue is not existed, or deleted")
BAD_HANDLE = (4430, "(10260)receipt handle is invalid")
# What a busy machine may add to a wait, in seconds; the clients give up after 10.
BUSY = 4
TEXTS = ["héllo 你好 &=+%/@", "@begins with it", "+ + %20 %2B", 'a\r\nb\t"q" {}', "消息：已付款 ✓", "\u0001 \U0001f600", " "]


def create(account, name, **attributes):
    queue, meta = account.get_queue(name), QueueMeta()
    for attribute, value in attributes.items():
        setattr(meta, attribute, value)
    queue.create(meta)
    return queue


def life(account, prefix):
    """Created, listed, shown, changed."""
    name = f"{prefix}-Life"
    queue = create(account, name, maxMsgHeapNum=1_000_000, msgRetentionSeconds=86_400)
    existing = (4460, "(4460)queue is already existed,case insensitive")
    for other in [name, name.upper()]:
        refused(*existing, create, account, other)
    for bad in ["1begins-with-a-digit", "a" * 65, "a.b"]:
        refused(4000, "(10020)queue name format error", create, account, bad)
    expected = {
        "maxMsgHeapNum": 1_000_000, "pollingWaitSeconds": 0, "visibilityTimeout": 30, "maxMsgSize": 65_536,
        "msgRetentionSeconds": 86_400, "activeMsgNum": 0, "inactiveMsgNum": 0, "delayMsgNum": 0, "minMsgTime": 0,
        "rewindSeconds": 0, "rewindmsgNum": 0,
    }
    shown(queue, expected)
    wanted = {"maxMsgHeapNum": 2_000_000, "pollingWaitSeconds": 7, "visibilityTimeout": 43_200, "maxMsgSize": 1024,
              "msgRetentionSeconds": 60, "rewindSeconds": 60}
    meta = queue.get_attributes()
    for attribute, value in wanted.items():
        setattr(meta, attribute, value)
    queue.set_attributes(meta)
    shown(queue, expected | wanted)
    # What is not sent stays.
    raw(account.get_client(), "SetQueueAttributes", queueName=name, visibilityTimeout=5)
    shown(queue, expected | wanted | {"visibilityTimeout": 5})
    answer = raw(account.get_client(), "GetQueueAttributes", queueName=name, clientRequestId=12345)
    equal("rewindMsgNum, as the old Go client reads it", answer["rewindMsgNum"], 0)
    equal("clientRequestId", answer["clientRequestId"], 12345)
    meta.rewindSeconds = 61
    text = "(10700)rewindSeconds cannot be greater than msgRetentionSeconds"
    refused(4000, text, queue.set_attributes, meta)
    text = "(10350)parameter visibilityTimeout value or length is out of range"
    refused(4000, text, lambda: raw(account.get_client(), "SetQueueAttributes", queueName=name, visibilityTimeout=43_201))
    text = "(10360)parameter visibilityTimeout error type"
    refused(4000, text, lambda: raw(account.get_client(), "SetQueueAttributes", queueName=name, visibilityTimeout="x"))
    refused(4400, "(10230)exceed maximum message size", queue.send_message, Message("x" * 1025))
    digits("msgId at the limit", queue.send_message(Message("x" * 1024)).msgId)
    queue.delete()
    for call in [queue.delete, queue.get_attributes, lambda: queue.receive_message(0)]:
        refused(*NO_QUEUE, call)
    refused(*NO_QUEUE, queue.send_message, Message("x"))
    # At once, and it begins empty.
    shown(create(account, name), {"activeMsgNum": 0})
    queue.delete()


def shown(queue, expected):
    meta = queue.get_attributes()
    for attribute, value in expected.items():
        equal(attribute, getattr(meta, attribute), value)
    recent("createTime", meta.createTime)
    recent("lastModifyTime", meta.lastModifyTime)


def listed(account, prefix):
    names = [f"{prefix}-list-{letter}" for letter in "abc"]
    for name in names:
        create(account, name)
    total, queues, following = account.list_queue(searchWord=f"{prefix}-list-")
    equal("queues found", (total, following), (3, ""))
    equal("their names", sorted(queue["queueName"] for queue in queues), names)
    true("queueId", all(queue["queueId"].startswith("queue-") for queue in queues), queues)
    seen, offset = [], 0
    while offset != "":
        total, queues, offset = account.list_queue(f"{prefix}-list-", 2, offset)
        equal("queues found whatever the page", total, 3)
        seen += [queue["queueName"] for queue in queues]
    equal("all pages together", sorted(seen), names)
    equal("a word that nothing has", account.list_queue(searchWord=f"{prefix}-none"), (0, [], ""))
    for name in names:
        account.get_queue(name).delete()


def texts(account, prefix):
    """Whatever is sent comes back, once, with everything a consumer reads."""
    queue = create(account, f"{prefix}-texts")
    for text in TEXTS:
        sent = queue.send_message(Message(text))
        digits("msgId", sent.msgId)
        message = queue.receive_message(5)
        equal("msgBody", message.msgBody, text)
        equal("msgId", message.msgId, sent.msgId)
        digits("receiptHandle", message.receiptHandle)
        recent("enqueueTime", message.enqueueTime)
        recent("firstDequeueTime", message.firstDequeueTime)
        recent("nextVisibleTime", message.nextVisibleTime, ahead=30)
        equal("dequeueCount", message.dequeueCount, 1)
        shown(queue, {"activeMsgNum": 0, "inactiveMsgNum": 1, "minMsgTime": message.enqueueTime})
        queue.delete_message(message.receiptHandle)
        refused(*BAD_HANDLE, queue.delete_message, message.receiptHandle)
    empty(queue.receive_message, 0)
    empty(queue.batch_receive_message, 16, 0)
    refused(4000, "(10120)message body can't be empty", queue.send_message, Message(""))
    shown(queue, {"activeMsgNum": 0, "inactiveMsgNum": 0, "rewindmsgNum": 0})
    queue.delete()


def batches(account, prefix):
    queue = create(account, f"{prefix}-batches")
    bodies = [f"{'@' if index % 3 == 0 else ''}第{index}" for index in range(12)]
    sent = queue.batch_send_message([Message(body) for body in bodies], 0)
    by_id = dict(zip((message.msgId for message in sent), bodies, strict=True))
    equal("ids", len(by_id), 12)
    got = received(queue, 12)
    equal("bodies by msgId", {message.msgId: message.msgBody for message in got}, by_id)
    equal("in the order sent", [message.msgBody for message in got], bodies)
    handles = [message.receiptHandle for message in got]
    queue.batch_delete_message(handles)
    answer = refused(6020, "(10290)batch delete message failed", queue.batch_delete_message, handles)
    equal("all failed", [failed["receiptHandle"] for failed in answer["errorList"]], handles)
    queue.batch_send_message([Message("one"), Message("two"), Message("three")])
    handles = [message.receiptHandle for message in received(queue, 3)]
    queue.delete_message(handles[1])
    answer = refused(6010, "(10150)delete message partially failed", queue.batch_delete_message, handles)
    failed = {"code": BAD_HANDLE[0], "message": BAD_HANDLE[1], "receiptHandle": handles[1]}
    equal("only the failed one", answer["errorList"], [failed])
    shown(queue, {"activeMsgNum": 0, "inactiveMsgNum": 0})
    text = "(10370)msgBody parameter batch size is out of range"
    refused(4000, text, queue.batch_send_message, [Message("x")] * 17)
    text = "(10350)parameter numOfMsg value or length is out of range"
    refused(4000, text, queue.batch_receive_message, 17, 0)
    text = "(10380)msgBody parameter is not consequent"
    gap = {"queueName": queue.queue_name, "msgBody.1": "a", "msgBody.3": "b"}
    refused(4000, text, account.get_client().batch_send_message, gap)
    queue.batch_send_message([Message("counted"), Message("from")])
    account.get_client().batch_send_message({"queueName": queue.queue_name, "msgBody.0": "zero", "msgBody.1": "too"})
    equal("numbers from 0", [message.msgBody for message in received(queue, 4)], ["counted", "from", "zero", "too"])
    queue.delete()


def large(account, prefix):
    """Up to the service's limits; not by GET, whose messages are in the request line."""
    if account.get_client().method == "GET":
        return
    queue = create(account, f"{prefix}-large", maxMsgSize=1_048_576)
    body = "x" * 1_048_573 + "界"
    queue.send_message(Message(body))
    message = queue.receive_message(5)
    true("1 MiB comes back", message.msgBody == body, len(message.msgBody))
    queue.delete_message(message.receiptHandle)
    half = "x" * 524_288
    equal("1 MiB in a batch", len(queue.batch_send_message([Message(half), Message(half)])), 2)
    text = "(10300)total message size exceed 1MB"
    refused(4470, text, queue.batch_send_message, [Message(half), Message(half), Message("x")])
    shown(queue, {"activeMsgNum": 2})
    queue.delete()


def delays(account, prefix):
    queue = create(account, f"{prefix}-delays")
    began = time.monotonic()
    queue.send_message(Message("later"), 3)
    shown(queue, {"activeMsgNum": 0, "delayMsgNum": 1})
    empty(queue.receive_message, 0)
    message = queue.receive_message(10)
    # Both ends may be cut to whole seconds or milliseconds, never by a second.
    true("not before its time", time.monotonic() - began > 2.5, time.monotonic() - began)
    equal("msgBody", message.msgBody, "later")
    shown(queue, {"activeMsgNum": 0, "inactiveMsgNum": 1, "delayMsgNum": 0})
    for delay in [-1, 345_600, 6_048_001]:
        refused(4000, "(10692)delay seconds is out of range", queue.send_message, Message("x"), delay)
    queue.delete()


def long_polls(account, another, prefix):
    queue = create(account, f"{prefix}-polls", pollingWaitSeconds=1)
    for wait, call in [(2, lambda: queue.receive_message(2)), (1, queue.receive_message),
                       (1, lambda: queue.batch_receive_message(16)), (0, lambda: queue.receive_message(0))]:
        began = time.monotonic()
        empty(call)
        took = time.monotonic() - began
        true(f"an empty answer after {wait} s", wait - 0.05 <= took < wait + BUSY, took)
    woken = []
    consumer = another().get_queue(queue.queue_name)
    thread = threading.Thread(target=lambda: woken.append(consumer.receive_message(20)))
    began = time.monotonic()
    thread.start()
    queue.send_message(Message("wake"))
    thread.join()
    true("a message ends the wait", time.monotonic() - began < 20 - BUSY, time.monotonic() - began)
    equal("msgBody", [message.msgBody for message in woken], ["wake"])
    queue.delete()


def handles(account, prefix):
    """A handle ends with its lease, and with the next receive."""
    queue = create(account, f"{prefix}-handles", visibilityTimeout=1)
    queue.send_message(Message("again"))
    first = queue.receive_message(5)
    second = queue.receive_message(10)
    equal("the same message", (second.msgId, second.msgBody), (first.msgId, "again"))
    true("another handle", first.receiptHandle != second.receiptHandle, second.receiptHandle)
    equal("dequeueCount", (first.dequeueCount, second.dequeueCount), (1, 2))
    equal("firstDequeueTime", second.firstDequeueTime, first.firstDequeueTime)
    refused(*BAD_HANDLE, queue.delete_message, first.receiptHandle)
    until("it is visible again", lambda: queue.get_attributes().activeMsgNum or None)
    refused(*BAD_HANDLE, queue.delete_message, second.receiptHandle)
    raw(account.get_client(), "SetQueueAttributes", queueName=queue.queue_name, visibilityTimeout=60)
    third = queue.receive_message(5)
    equal("dequeueCount", third.dequeueCount, 3)
    queue.delete_message(third.receiptHandle)
    empty(queue.receive_message, 0)
    queue.delete()


def rewinds(account, prefix):
    off = create(account, f"{prefix}-rewind-off")
    refused(6050, "(10670)your queue cannot be rewinded", off.rewindQueue, int(time.time()))
    off.delete()
    queue = create(account, f"{prefix}-rewind", rewindSeconds=3600)
    bodies = ["first", "第二", "@third"]
    queue.batch_send_message([Message(body) for body in bodies])
    got = received(queue, 3)
    queue.batch_delete_message([message.receiptHandle for message in got])
    shown(queue, {"activeMsgNum": 0, "inactiveMsgNum": 0, "rewindmsgNum": 3, "minMsgTime": 0})
    text = "(10680)invalid rewind time, you can get the vaild range of that via GetQueueAttributes"
    for bad in [int(time.time()) - 3600 - CLOCK_SLACK, int(time.time()) + CLOCK_SLACK]:
        refused(4000, text, queue.rewindQueue, bad)
    queue.rewindQueue(got[0].enqueueTime)
    again = received(queue, 3)
    equal("all again, in order", [message.msgBody for message in again], bodies)
    equal("the same ids", [message.msgId for message in again], [message.msgId for message in got])
    refused(*BAD_HANDLE, queue.delete_message, got[0].receiptHandle)
    queue.batch_delete_message([message.receiptHandle for message in again])
    raw(account.get_client(), "SetQueueAttributes", queueName=queue.queue_name, rewindSeconds=0)
    shown(queue, {"rewindmsgNum": 0, "rewindSeconds": 0})
    queue.delete()


def dead_letters(account, prefix):
    client = account.get_client()
    source, dead = f"{prefix}-source", f"{prefix}-dead"
    policy = json.dumps({"deadLetterQueue": dead, "policy": 0, "maxReceiveCount": 1})
    made = {"queueName": source, "visibilityTimeout": 1, "deadLetterPolicy": policy}
    refused(4000, "(10730)deadLetter queue not exist", client.create_queue, made)
    dead_queue = create(account, dead)
    for text, bad in [
        ("(10710)deadLetterPolicy must be a json string", "no json"),
        ("(10760)the deadLetterPolicy must has deadLetterQueue member, only be a string", '{"policy":0}'),
        ("(10770)the deadLetterPolicy must has policy member , only set 0 or 1",
         json.dumps({"deadLetterQueue": dead, "policy": 2})),
        ("(10720)deadLetterPolicy params error,please check it",
         json.dumps({"deadLetterQueue": dead, "policy": 0, "maxReceiveCount": 0})),
    ]:
        refused(4000, text, client.create_queue, made | {"deadLetterPolicy": bad})
    client.create_queue(made)
    answer = client.get_queue_attributes({"queueName": source})
    equal("deadLetterPolicy, as text", json.loads(answer["deadLetterPolicy"]), json.loads(policy))
    nested = {"queueName": f"{prefix}-nested",
              "deadLetterPolicy": json.dumps({"deadLetterQueue": source, "policy": 0, "maxReceiveCount": 1})}
    refused(4000, "(10740)deadLetter queue is not allowed to nest", client.create_queue, nested)
    text = "(10750)it is not allowed to be deleted when the queue is dead letter queue"
    refused(4000, text, dead_queue.delete)
    answer = raw(client, "ListDeadLetterSourceQueues", deadLetterQueueName=dead)
    equal("its sources", (answer["totalCount"], [queue["queueName"] for queue in answer["queueList"]]), (1, [source]))
    queue = account.get_queue(source)
    sent = queue.send_message(Message("死信"))
    equal("received once", queue.receive_message(5).dequeueCount, 1)
    empty(queue.receive_message, 3)
    letter = raw(client, "ReceiveMessage", queueName=dead, pollingWaitSeconds=10)
    equal("the same message", (letter["msgId"], letter["msgBody"]), (sent.msgId, "死信"))
    equal("its receives begin again", letter["dequeueCount"], 1)
    equal("where it was", (letter["originalQueueName"], letter["originalDequeueCount"]), (source, 1))
    recent("originalEnqueueTime", letter["originalEnqueueTime"])
    dead_queue.delete_message(letter["receiptHandle"])
    raw(client, "UnbindDeadLetterQueue", queueName=source)
    true("unbound", not client.get_queue_attributes({"queueName": source}).get("deadLetterPolicy"), source)
    dead_queue.delete()
    queue.delete()


def tour(account, another, prefix):
    life(account, prefix)
    listed(account, prefix)
    texts(account, prefix)
    batches(account, prefix)
    large(account, prefix)
    delays(account, prefix)
    long_polls(account, another, prefix)
    handles(account, prefix)
    rewinds(account, prefix)
    dead_letters(account, prefix)
