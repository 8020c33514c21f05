"""A tour through everything a CMQ program does, with an unchanged SDK (the package `cmq`) against a real server.

Reads {"endpoint", "secret_id", "secret_key", "app_id", "sign": "sha1" | "sha256", "method": "POST" | "GET", "prefix"} from
standard input. Ends with 0 only if every answer was the documented one. The SDKs write logs into the working folder and
beside this file: start a copy of it from a folder that is thrown away.
"""

import json
import sys
import time
import types

try:
    import mailcap  # noqa: F401
except ModuleNotFoundError:
    # Gone from Python 3.13: the SDKs import a name from it and never use it.
    sys.modules["mailcap"] = types.ModuleType("mailcap")
    sys.modules["mailcap"].subst = None

import cmq_queues
import cmq_topics
from cmq.account import Account
from cmq_check import raw, refused
from cmq_push import Receiver

# The service's documents give no window; ours is 15 minutes.
STALE_SECONDS = 3600

asked = json.load(sys.stdin)


def account(secret_id=asked["secret_id"], secret_key=asked["secret_key"]):
    made = Account(asked["endpoint"], secret_id, secret_key)
    made.set_sign(asked["sign"])
    made.get_client().set_method(asked["method"])
    return made


def strangers(prefix):
    """Who may not, and what is not there."""
    name = f"{prefix}-strangers"
    wrong_key = (4100, "(10030)authentication failed")
    refused(*wrong_key, account(secret_key="wrong").list_queue)
    refused(4100, "(10270)secret id is not existed", account(secret_id="AKIDnobody").list_queue)
    client = account().get_client()
    for seconds in [-STALE_SECONDS, STALE_SECONDS]:
        when = int(time.time()) + seconds
        refused(*wrong_key, lambda: raw(client, "CreateQueue", queueName=name, Timestamp=when))
    refused(4000, "(10430)action name NoSuchThing is not existed", lambda: raw(client, "NoSuchThing", queueName=name))
    refused(4000, "(10390)lacked of required parameter queueName", lambda: raw(client, "GetQueueAttributes"))
    refused(*cmq_queues.NO_QUEUE, client.get_queue_attributes, {"queueName": name})


strangers(asked["prefix"])
cmq_queues.tour(account(), account, asked["prefix"])
cmq_topics.tour(account(), asked["prefix"], Receiver(), asked["app_id"])
print("done")
