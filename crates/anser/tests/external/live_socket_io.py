"""Two users of PyPI python-socketio talk through Anser; prints what they saw on its last line.

Standard input: {"base_url", "ann", "bob", "bob_id", "transports"}, tokens of two users.
"""

import json
import queue
import sys

import socketio

asked = json.load(sys.stdin)
DEADLINE = 30


class User:
    def __init__(self, **auth):
        self.seen = queue.Queue()
        self.socket = socketio.Client(reconnection=False)
        self.socket.on("message", lambda event: self.seen.put(event))
        self.ready = queue.Queue()
        self.socket.on("ib", lambda event: self.ready.put(event))
        self.socket.connect(asked["base_url"], auth=auth, transports=asked["transports"])
        assert self.ready.get(timeout=DEADLINE)["kind"] == "welcome"

    def publish(self, text):
        message = {"header": {"to": ["user:" + asked["bob_id"]]}, "body": {"data": {"text": text}}}
        return self.socket.call("publish", {"message": message}, timeout=DEADLINE)

    def read(self):
        return self.seen.get(timeout=DEADLINE)["message"]["body"]["data"]["text"]


told = {}
ann = User(token=asked["ann"])
bob = User(token=asked["bob"])
told["transport"] = bob.socket.transport()
told["confirms"] = [ann.publish(text)["durable"] for text in ("one", "two")]
told["heard"] = [bob.read(), bob.read()]
# A callback of python-socketio acknowledges by returning: what was read does not come again.
bob.socket.call("ping", {}, timeout=DEADLINE)
bob.socket.disconnect()
ann.publish("three")
bob = User(token=asked["bob"])
told["resumed"] = bob.read()
told["refused"] = ""
try:
    User(token="no-such-token")
except socketio.exceptions.ConnectionError as error:
    told["refused"] = str(error)
told["left"] = bob.seen.qsize()
ann.socket.disconnect()
bob.socket.disconnect()
print(json.dumps(told))
