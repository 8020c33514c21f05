"""Requests as Feishu, WeCom and DingTalk send them, and thousands of changes of them, each with the verdict of the official
verifiers: lark-oapi's EventDispatcherHandler and CardActionHandler, wechatpy's WeChatCrypto.

Standard input: {"now", "changes", "feishu": {"encrypt_key", "token"}, "wecom": {"token", "key", "receiver"},
"dingtalk": {"token", "key", "receiver"}}. `changes` is how many each request gets.
Standard output: a JSON list of {"channel", "base", "part", "method", "query", "headers", "body", "accepted", "said"}.
"""

import base64
import hashlib
import json
import logging
import random
import sys

from Crypto.Cipher import AES
from lark_oapi.card.action_handler import CardActionHandler
from lark_oapi.core.model import RawRequest
from lark_oapi.event.dispatcher_handler import EventDispatcherHandler
from wechatpy.enterprise.crypto import WeChatCrypto

logging.disable(logging.CRITICAL)
asked = json.load(sys.stdin)
choose = random.Random(20261123)
NOW = str(asked["now"])
STALE = str(asked["now"] - 30 * 24 * 3600)
FEISHU = asked["feishu"]
TOKEN, KEY = FEISHU["token"], FEISHU["encrypt_key"]
USER = {"open_id": "ou_u1", "union_id": "on_u1", "user_id": "u1"}
SIGNED = ("X-Lark-Request-Timestamp", "X-Lark-Request-Nonce", "X-Lark-Signature")


def second(kind, event):
    header = {"event_id": "ev-" + kind, "token": TOKEN, "create_time": "1700000000123", "event_type": kind, "app_id": "cli_x"}
    return {"schema": "2.0", "header": header, "event": event}


MESSAGE = second(
    "im.message.receive_v1",
    {
        "sender": {"sender_id": USER, "sender_type": "user"},
        "message": {
            "message_id": "om_m1",
            "chat_id": "oc_c1",
            "chat_type": "group",
            "message_type": "text",
            "create_time": "1700000000100",
            "content": '{"text": "@_user_1 你好"}',
            "mentions": [{"key": "@_user_1", "id": USER, "name": "Tom"}],
        },
    },
)
REACTION = second(
    "im.message.reaction.created_v1",
    {"message_id": "om_m1", "reaction_type": {"emoji_type": "SMILE"}, "operator_type": "user", "user_id": USER},
)
CLICK = second(
    "card.action.trigger",
    {"operator": USER, "action": {"tag": "button", "value": {"k": "v"}}, "context": {"open_message_id": "om_m1"}},
)
FIRST = {
    "uuid": "uuid-1",
    "token": TOKEN,
    "ts": "1700000000.123",
    "type": "event_callback",
    "event": {"type": "message", "msg_type": "text", "text": "hi", "open_id": "ou_u1", "open_chat_id": "oc_c1"},
}
OLD_CLICK = {
    "open_id": "ou_u1",
    "open_message_id": "om_m1",
    "open_chat_id": "oc_c1",
    "token": "c-abc",
    "action": {"tag": "button", "value": {"k": "v"}},
}
CHECK = {"challenge": "ajls384kdj1234", "token": TOKEN, "type": "url_verification"}


def dispatcher(key):
    builder = EventDispatcherHandler.builder(key, TOKEN)
    for kind in ("im.message.receive_v1", "im.message.reaction.created_v1", "card.action.trigger"):
        builder.register_p2_customized_event(kind, lambda event: None)
    return builder.register_p1_customized_event("message", lambda event: None).build()


HANDLERS = {
    "feishu-key": dispatcher(KEY),
    "feishu-token": dispatcher(""),
    "old-card": CardActionHandler.builder("", TOKEN).register(lambda card: None).build(),
}


def lark(handler, case):
    request = RawRequest()
    request.uri = "/"
    request.headers = dict(case["headers"])
    request.body = case["body"]
    try:
        answer = HANDLERS[handler].do(request)
    except UnicodeDecodeError as error:  # The old handler logs the body before it guards against anything.
        return False, str(error)
    return answer.status_code == 200, answer.content.decode()


def crypto(which):
    asked_for = asked[which]
    return WeChatCrypto(asked_for["token"], asked_for["key"], asked_for["receiver"])


def wechat(handler, case):
    query = dict(case["query"])
    name = "signature" if handler == "dingtalk" else "msg_signature"
    try:
        signature, stamp, nonce = query[name], query["timestamp"], query["nonce"]
        if case["method"] == "GET":
            crypto(handler).check_signature(signature, stamp, nonce, query["echostr"])
        else:
            body = case["body"].decode()
            if handler == "dingtalk":
                body = {"Encrypt": json.loads(body)["encrypt"]}
            crypto(handler).decrypt_message(body, signature, stamp, nonce)
        return True, ""
    except Exception as error:  # Whatever it is, the request is refused.
        return False, type(error).__name__ + ": " + str(error)


def case(channel, base, handler, body, headers=(), query=(), method="POST"):
    return {
        "channel": channel,
        "base": base,
        "handler": handler,
        "part": "whole",
        "method": method,
        "query": [list(pair) for pair in query],
        "headers": [list(pair) for pair in headers],
        "body": body,
    }


def to_json(value):
    return json.dumps(value, ensure_ascii=False).encode()


def encrypted(value):
    data = to_json(value)
    pad = 16 - len(data) % 16
    iv = bytes(range(16))
    cipher = AES.new(hashlib.sha256(KEY.encode()).digest(), AES.MODE_CBC, iv)
    text = base64.b64encode(iv + cipher.encrypt(data + bytes([pad]) * pad)).decode()
    return to_json({"encrypt": text})


def signature(algorithm, secret, body, stamp):
    signed = hashlib.new(algorithm, (stamp + "nonce-1" + secret).encode() + body).hexdigest()
    return tuple(zip(SIGNED, (stamp, "nonce-1", signed)))


def sealed(which, text):
    """What wechatpy makes of a text: the encrypted text and its signature."""
    xml = crypto(which).encrypt_message(text, "nonce-1", NOW)
    take = lambda name: xml.split("<%s><![CDATA[" % name)[1].split("]]>")[0]
    return take("Encrypt"), take("MsgSignature")


def posted_xml(text):
    secret, signed = sealed("wecom", text)
    receiver = asked["wecom"]["receiver"]
    body = "<xml><ToUserName><![CDATA[%s]]></ToUserName><Encrypt><![CDATA[%s]]></Encrypt></xml>" % (receiver, secret)
    return body.encode(), (("msg_signature", signed), ("timestamp", NOW), ("nonce", "nonce-1"))


def wecom(kind, inner):
    head = "<xml><FromUserName>ann</FromUserName><CreateTime>1700000000</CreateTime><MsgType>%s</MsgType>" % kind
    return posted_xml(head + inner + "</xml>")


def pushed(event):
    secret, signed = sealed("dingtalk", json.dumps(event))
    return to_json({"encrypt": secret}), (("signature", signed), ("timestamp", NOW), ("nonce", "nonce-1"))


def bases():
    for name, value in (("message", MESSAGE), ("reaction", REACTION), ("click", CLICK), ("first", FIRST)):
        body = encrypted(value)
        yield case("feishu-key", name, "feishu-key", body, signature("sha256", KEY, body, NOW))
        yield case("feishu-token", name, "feishu-token", to_json(value))
    plain = to_json(REACTION)
    yield case("feishu-key", "signed but not encrypted", "feishu-key", plain, signature("sha256", KEY, plain, NOW))
    yield case("feishu-key", "check", "feishu-key", encrypted(CHECK))
    yield case("feishu-token", "check", "feishu-token", to_json(CHECK))
    body = to_json(OLD_CLICK)
    yield case("feishu-token", "old click", "old-card", body, signature("sha1", TOKEN, body, NOW))
    for name, inner in (("text", "<Content>hi</Content><MsgId>7</MsgId>"), ("event", "<Event>click</Event>")):
        body, query = wecom(name, inner)
        yield case("wecom", name, "wecom", body, query=query)
    secret, signed = sealed("wecom", "1616140317555161061")
    query = (("msg_signature", signed), ("timestamp", NOW), ("nonce", "nonce-1"), ("echostr", secret))
    yield case("wecom", "check", "wecom", b"", query=query, method="GET")
    for event in ({"EventType": "check_url"}, {"EventType": "user_add_org", "UserId": ["ann"]}):
        body, query = pushed(event)
        yield case("dingtalk", event["EventType"], "dingtalk", body, query=query)


def changed(data, low=0, high=255):
    """One byte flipped, put in or taken out."""
    at, byte = choose.randrange(len(data) + 1), choose.randint(low, high)
    way = choose.randrange(3)
    if way == 0:
        return data[:at] + bytes([byte]) + data[at:]
    at = min(at, len(data) - 1)
    return data[:at] + (b"" if way == 1 else bytes([byte])) + data[at + 1 :]


def changes(base):
    """Changes of every part. In headers and the query only what can be written there, and no blanks, which HTTP drops."""
    parts = [("headers", at) for at in range(len(base["headers"]))]
    parts += [("query", at) for at in range(len(base["query"]))]
    for part, at in parts:
        gone = dict(base, part="without " + base[part][at][0])
        gone[part] = base[part][:at] + base[part][at + 1 :]
        yield gone
    parts += [("body", None)] * 3 if base["body"] else []
    for _ in range(asked["changes"]):
        part, at = choose.choice(parts)
        if part == "body":
            yield dict(base, part="body", body=changed(base["body"]))
            continue
        pairs = [list(pair) for pair in base[part]]
        pairs[at][1] = changed(pairs[at][1].encode(), 0x21, 0x7E).decode()
        yield dict(base, part=pairs[at][0], **{part: pairs})


def others():
    """What no change of a byte leads to."""
    body = encrypted(MESSAGE)
    headers = signature("sha256", KEY, body, STALE)
    yield dict(case("feishu-key", "message", "feishu-key", body, headers), part="stale")
    headers = signature("sha256", KEY, body, "soon")
    yield dict(case("feishu-key", "message", "feishu-key", body, headers), part="no time")
    headers = signature("sha256", KEY, body, NOW)
    spaced = json.dumps(json.loads(body), separators=(" , ", " : ")).encode()
    yield dict(case("feishu-key", "message", "feishu-key", spaced, headers), part="written anew")
    body = encrypted(dict(MESSAGE, header=dict(MESSAGE["header"], token="another")))
    headers = signature("sha256", KEY, body, NOW)
    yield dict(case("feishu-key", "message", "feishu-key", body, headers), part="another token")
    headers = signature("sha256", "another key", body, NOW)
    yield dict(case("feishu-key", "message", "feishu-key", body, headers), part="another key")
    body = to_json(second("of.a.type.to.come_v1", {}))
    yield dict(case("feishu-token", "type to come", "feishu-token", body), part="type")
    body = to_json(OLD_CLICK)
    headers = signature("sha1", TOKEN, body, STALE)
    yield dict(case("feishu-token", "old click", "old-card", body, headers), part="stale")
    for which, channel in (("wecom", "wecom"), ("dingtalk", "dingtalk")):
        known = asked[which]
        wrong = WeChatCrypto(known["token"], known["key"], "another")
        text = "<xml><MsgType>text</MsgType></xml>" if which == "wecom" else '{"EventType":"check_url"}'
        for part, maker, stamp in (("another receiver", wrong, NOW), ("stale", crypto(which), STALE)):
            xml = maker.encrypt_message(text, "nonce-1", stamp)
            take = lambda name: xml.split("<%s><![CDATA[" % name)[1].split("]]>")[0]
            name = "msg_signature" if which == "wecom" else "signature"
            query = ((name, take("MsgSignature")), ("timestamp", stamp), ("nonce", "nonce-1"))
            body = xml.encode() if which == "wecom" else to_json({"encrypt": take("Encrypt")})
            yield dict(case(channel, "signed", which, body, query=query), part=part)


def judged(one):
    judge = lark if one["handler"] in HANDLERS else wechat
    accepted, said = judge(one["handler"], one)
    return dict(one, body=base64.b64encode(one["body"]).decode(), accepted=accepted, said=said)


if __name__ == "__main__":
    cases = []
    for base in bases():
        cases.append(judged(base))
        cases.extend(judged(one) for one in changes(base))
    cases.extend(judged(one) for one in others())
    print(json.dumps(cases))
