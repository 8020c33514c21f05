"""Requests as Slack, Telegram, Discord, Meta, GitHub, GitLab, Stripe and senders of Standard Webhooks send them, and thousands of
changes of them, each with the verdict of a verifier that is not ours: slack_sdk's SignatureVerifier, slack_bolt's App, PyNaCl's VerifyKey,
standardwebhooks' Webhook, and for the others the few lines of Python that their documentation shows.

Standard input: {"now", "changes", "secret", "standard"}. `changes` is how many each request gets; `secret` signs or is
compared, `standard` is a secret of Standard Webhooks.
Standard output: a JSON list of {"channel", "base", "part", "method", "query", "headers", "body", "accepted", "said"}.
"""

import base64
import hashlib
import hmac
import json
import logging
import random
import sys
import urllib.parse

from nacl.signing import SigningKey, VerifyKey
from slack_bolt import App, BoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.signature import SignatureVerifier
from standardwebhooks import Webhook

logging.disable(logging.CRITICAL)
asked = json.load(sys.stdin)
choose = random.Random(20261123)
NOW = str(asked["now"])
STALE = str(asked["now"] - 400)
SECRET, STANDARD = asked["secret"], asked["standard"]
PAIR = SigningKey(bytes([1]) * 32)
PUBLIC = bytes(PAIR.verify_key)


def to_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def tag(*parts, digest="sha256"):
    return hmac.new(SECRET.encode(), b"".join(parts), digest).hexdigest()


def stamped(*names):
    """Takes the named headers; a request that lacks one, or has it twice, is refused."""

    def take(one):
        found = [[value for given, value in one["headers"] if given.lower() == name] for name in names]
        if any(len(values) != 1 for values in found):
            raise ValueError("a header is missing")
        return [values[0] for values in found]

    return take


def slack(one):
    time, signature = stamped("x-slack-request-timestamp", "x-slack-signature")(one)
    return SignatureVerifier(SECRET).is_valid(one["body"], time, signature)


APP = App(signing_secret=SECRET, authorize=lambda: AuthorizeResult(enterprise_id=None, team_id="T0", bot_token="xoxb-0"),
          process_before_response=True)


def bolt(one):
    """An app without listeners: what is verified finds none, or is the check of the URL."""
    request = BoltRequest(body=one["body"].decode(), headers={name: [value] for name, value in one["headers"]})
    return APP.dispatch(request).status in (200, 404)


def telegram(one):
    (secret,) = stamped("x-telegram-bot-api-secret-token")(one)
    return hmac.compare_digest(secret, SECRET)


def discord(one):
    time, signature = stamped("x-signature-timestamp", "x-signature-ed25519")(one)
    VerifyKey(PUBLIC).verify(time.encode() + one["body"], bytes.fromhex(signature))
    return True


def hub(one):
    (signature,) = stamped("x-hub-signature-256")(one)
    return hmac.compare_digest("sha256=" + tag(one["body"]), signature)


def check(one):
    query = dict(one["query"])
    good = hmac.compare_digest(query["hub.verify_token"], SECRET)
    return good and query["hub.mode"] == "subscribe" and query["hub.challenge"] is not None


def gitlab(one):
    (token,) = stamped("x-gitlab-token")(one)
    return hmac.compare_digest(token, SECRET)


def stripe(one):
    (header,) = stamped("stripe-signature")(one)
    items = [item.split("=", 1) for item in header.split(",") if "=" in item]
    time = [value for name, value in items if name == "t"][0]
    expected = tag(time.encode(), b".", one["body"])
    good = any(hmac.compare_digest(value, expected) for name, value in items if name == "v1")
    return good and abs(asked["now"] - int(time)) <= 300


def standard(one):
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    Webhook(STANDARD).verify(one["body"], dict(zip(names, stamped(*names)(one))), json_parse=False)
    return True


def standard_pair(one):
    ident, time, signatures = stamped("webhook-id", "webhook-timestamp", "webhook-signature")(one)
    for signature in signatures.split(" "):
        version, _, text = signature.partition(",")
        if version == "v1a":
            signed = b".".join((ident.encode(), time.encode(), one["body"]))
            VerifyKey(PUBLIC).verify(signed, base64.b64decode(text))
            return abs(asked["now"] - int(time)) <= 300
    return False


def case(channel, base, judge, body, headers=(), query=(), method="POST", free=()):
    """`free` are headers that prove nothing and stay as they are."""
    return {
        "channel": channel,
        "base": base,
        "judge": judge,
        "part": "whole",
        "method": method,
        "query": [list(pair) for pair in query],
        "headers": [list(pair) for pair in headers],
        "free": [list(pair) for pair in free],
        "body": body,
    }


def of_slack(base, body, time=NOW, judge=slack):
    signature = "v0=" + tag(b"v0:", time.encode(), b":", body)
    headers = (("X-Slack-Request-Timestamp", time), ("X-Slack-Signature", signature))
    return case("slack", base, judge, body, headers)


def of_discord(base, body, time=NOW):
    signature = PAIR.sign(time.encode() + body).signature.hex()
    headers = (("X-Signature-Timestamp", time), ("X-Signature-Ed25519", signature))
    return case("discord", base, discord, body, headers)


def of_stripe(base, body, time=NOW):
    header = "t=%s,v1=%s,v0=%s" % (time, tag(time.encode(), b".", body), "0" * 64)
    return case("stripe", base, stripe, body, (("Stripe-Signature", header),))


def of_standard(channel, base, body, ident, time=NOW, pair=False):
    signed = b".".join((ident.encode(), time.encode(), body))
    if pair:
        signature = "v1a," + base64.b64encode(PAIR.sign(signed).signature).decode()
    else:
        key = base64.b64decode(STANDARD[len("whsec_") :])
        signature = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    headers = (("webhook-id", ident), ("webhook-timestamp", time), ("webhook-signature", signature))
    return case(channel, base, standard_pair if pair else standard, body, headers)


def of_hub(channel, base, body, free=()):
    return case(channel, base, hub, body, (("X-Hub-Signature-256", "sha256=" + tag(body)),), free=free)


SLACK = to_json(
    {
        "type": "event_callback",
        "event_id": "Ev1",
        "api_app_id": "A1",
        "event": {"type": "message", "channel": "C0123456789", "user": "U1", "text": "hi 你好", "ts": "1700000000.000100"},
    }
)
COMMAND = urllib.parse.urlencode({"command": "/deploy", "text": "now & here", "user_id": "U1", "channel_id": "C0123456789", "trigger_id": "1.2.3"})
PRESSED = {"type": "block_actions", "user": {"id": "U1"}, "trigger_id": "1.2.4", "actions": [{"action_id": "a", "value": "v"}]}
INTERACTION = {"id": "846462639134605312", "application_id": "845027738276462632", "channel_id": "772904309264089089", "type": 2,
               "token": "aW50ZXJhY3Rpb246ODQ2NDYyNjM5MTM0NjA1MzEy", "data": {"name": "deploy"}, "user": {"id": "53908232506183680"}}
UPDATE = to_json({"update_id": 1, "message": {"message_id": 2, "date": 1700000000, "chat": {"id": 3, "type": "private"}, "text": "hi"}})
WHATSAPP = to_json({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": {
    "metadata": {"phone_number_id": "106540352242922"},
    "messages": [{"from": "16505551234", "id": "wamid.1", "timestamp": "1700000000", "type": "text", "text": {"body": "hi"}}]}}]}]})
EVENT = to_json({"id": "evt_1", "type": "order.paid", "action": "opened", "object_kind": "push", "n": 1.0})


def bases():
    yield of_slack("event", SLACK)
    yield of_slack("command", COMMAND.encode())
    yield of_slack("button", urllib.parse.urlencode({"payload": json.dumps(PRESSED)}).encode())
    yield of_slack("check", to_json({"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}))
    yield of_slack("event by bolt", SLACK, judge=bolt)
    yield of_slack("command by bolt", COMMAND.encode(), judge=bolt)
    yield of_slack("check by bolt", to_json({"type": "url_verification", "challenge": "3eZbrw1aBm2r"}), judge=bolt)
    yield of_discord("check", b'{"type":1}')
    yield of_discord("command", to_json(INTERACTION))
    yield case("telegram", "update", telegram, UPDATE, (("X-Telegram-Bot-Api-Secret-Token", SECRET),))
    yield of_hub("whatsapp", "message", WHATSAPP)
    query = (("hub.mode", "subscribe"), ("hub.verify_token", SECRET), ("hub.challenge", "1158201444"))
    yield case("whatsapp", "check", check, b"", query=query, method="GET")
    yield of_hub("github", "event", EVENT, (("X-GitHub-Event", "issues"), ("X-GitHub-Delivery", "d-1")))
    yield case("gitlab", "event", gitlab, EVENT, (("X-Gitlab-Token", SECRET),), free=(("Idempotency-Key", "i-1"),))
    yield of_standard("gitlab-signed", "event", EVENT, "i-2")
    yield of_stripe("event", EVENT)
    yield of_standard("standard", "event", EVENT, "msg_1")
    yield of_standard("standard-pair", "event", EVENT, "msg_2", pair=True)


def changed(data, low=0, high=255):
    """One byte flipped, put in or taken out."""
    at, byte = choose.randrange(len(data) + 1), choose.randint(low, high)
    way = choose.randrange(3)
    if way == 0:
        return data[:at] + bytes([byte]) + data[at:]
    at = min(at, len(data) - 1)
    return data[:at] + (b"" if way == 1 else bytes([byte])) + data[at + 1 :]


def changes(base):
    """Changes of every part that proves. In headers and the query only what can be written there, and no blanks, which HTTP
    drops; and of what is not signed, such as the body of an update, none."""
    parts = [("headers", at) for at in range(len(base["headers"]))]
    parts += [("query", at) for at in range(len(base["query"]))]
    for part, at in parts:
        gone = dict(base, part="without " + base[part][at][0])
        gone[part] = base[part][:at] + base[part][at + 1 :]
        yield gone
    parts += [("body", None)] * 3 if base["judge"] not in (telegram, gitlab, check) else []
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
    yield dict(of_slack("event", SLACK, STALE), part="stale")
    yield dict(of_slack("event by bolt", SLACK, STALE, judge=bolt), part="stale")
    yield dict(of_stripe("event", EVENT, STALE), part="stale")
    yield dict(of_standard("standard", "event", EVENT, "msg_3", STALE), part="stale")
    yield dict(of_standard("standard-pair", "event", EVENT, "msg_3", STALE, pair=True), part="stale")
    yield dict(of_discord("check", b'{"type":1}', STALE), part="stale without a rule")
    for whole in (of_slack("event", SLACK), of_hub("github", "event", EVENT), of_stripe("event", EVENT), of_discord("check", b'{"type":1}')):
        written = json.dumps(json.loads(whole["body"]), ensure_ascii=True, indent=1).encode()
        yield dict(whole, body=written, part="written anew")
    for first, second in ((of_slack("event", SLACK), of_slack("command", COMMAND.encode())),):
        yield dict(first, headers=second["headers"], part="another's signature")


def judged(one):
    try:
        accepted, said = bool(one["judge"](one)), ""
    except Exception as error:  # Whatever it is, the request is refused.
        accepted, said = False, type(error).__name__ + ": " + str(error)
    told = {name: one[name] for name in ("channel", "base", "part", "method", "query")}
    body = base64.b64encode(one["body"]).decode()
    return dict(told, headers=one["headers"] + one["free"], body=body, accepted=accepted, said=said)


if __name__ == "__main__":
    cases = []
    for base in bases():
        cases.append(judged(base))
        cases.extend(judged(one) for one in changes(base))
    cases.extend(judged(one) for one in others())
    print(json.dumps(cases))
