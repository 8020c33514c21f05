"""Gets a token and answers a message with dingtalk-stream, against a stand-in; prints what it says of each.

Standard input: {"base_url", "url", "secret", "app_key", "app_secret"}: an app, and a robot's address that stands for the
address of a session, which is answered in the same forms.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from urllib.parse import quote_plus

asked = json.load(sys.stdin)
os.environ["DINGTALK_OPENAPI_ENDPOINT"] = asked["base_url"]

import dingtalk_stream  # noqa: E402  It reads the endpoint when it is imported.


def client_of(secret):
    return dingtalk_stream.DingTalkStreamClient(dingtalk_stream.Credential(asked["app_key"], secret))


def session(secret):
    """The robot's address, signed as DingTalk's page on robots says."""
    stamp = str(round(time.time() * 1000))
    code = hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest()
    return f"{asked['url']}&timestamp={stamp}&sign={quote_plus(base64.b64encode(code))}"


client = client_of(asked["app_secret"])
token = client.get_access_token()
assert token and token == client.get_access_token(), "a token is kept"
assert client_of("wrong").get_access_token() is None, "a wrong secret is refused"

handler = dingtalk_stream.ChatbotHandler()
handler.dingtalk_client = client
came = dingtalk_stream.ChatbotMessage.from_dict({"senderStaffId": "u1", "sessionWebhook": session(asked["secret"])})
told = {
    "text": handler.reply_text("pong", came),
    "markdown": handler.reply_markdown("title", "**pong**", came),
}
came.session_webhook = session("SECwrong")
told["refused"] = handler.reply_text("lost", came)
print(json.dumps(told))
