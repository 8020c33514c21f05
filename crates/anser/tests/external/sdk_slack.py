"""Sends, answers, changes and takes back messages and files with slack_sdk, against a stand-in; prints what it says of each.

Standard input: {"base_url", "token", "chats"}: a person, a channel, and one where only administrators write.
"""

import io
import json
import sys

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

asked = json.load(sys.stdin)
person, channel, closed = asked["chats"]
PNG = b"\x89PNG\r\n\x1a\npicture"
# More than a channel takes at once.
BURST = 5


def client_with(token, *handlers):
    return WebClient(token, base_url=f"{asked['base_url']}/api/", retry_handlers=list(handlers))


def refused(call, **arguments):
    """The word, the status and the wait of a call that must fail."""
    try:
        call(**arguments)
    except SlackApiError as error:
        response = error.response
        return [response["error"], response.status_code, response.headers.get("retry-after")]
    raise AssertionError(f"it was taken: {arguments}")


patient = client_with(asked["token"], RateLimitErrorRetryHandler(max_retry_count=5))
told = {"user": patient.auth_test()["user"]}

blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*hello*"}}]
text = patient.chat_postMessage(channel=channel, text="hello", blocks=blocks)
assert text["message"]["blocks"] == blocks, text
reply = patient.chat_postMessage(channel=channel, text="answer", thread_ts=text["ts"])
assert reply["message"]["thread_ts"] == text["ts"], reply
told["text"], told["reply"], told["channel"] = text["ts"], reply["ts"], text["channel"]
edited = patient.chat_update(channel=channel, ts=text["ts"], text="edited")
assert edited["text"] == "edited" and "blocks" not in edited["message"], edited
patient.chat_delete(channel=channel, ts=reply["ts"])

one = patient.files_upload_v2(channel=channel, filename="p.png", file=io.BytesIO(PNG), title="A picture",
                              initial_comment="see", alt_txt="A pixel", thread_ts=text["ts"])
assert one["file"]["title"] == "A picture" and one["file"]["size"] == len(PNG), one
two = patient.files_upload_v2(
    channel=channel,
    file_uploads=[{"filename": "a.txt", "content": "a"}, {"filename": "b.txt", "content": "bb"}],
)
told["files"] = [file["id"] for file in one["files"] + two["files"]]
assert patient.files_info(file=told["files"][0])["file"]["name"] == "p.png"
patient.files_delete(file=told["files"][0])

# What the user of the SDK sees of refusals, of HTTP 200 and of 429.
hasty = client_with(asked["token"])
told["refused"] = [
    refused(client_with("xoxb-wrong").auth_test),
    refused(hasty.chat_postMessage, channel="C0000009999", text="hi"),
    refused(hasty.chat_postMessage, channel=closed, text="hi"),
    refused(hasty.chat_delete, channel=channel, ts=reply["ts"]),
    refused(hasty.files_delete, file=told["files"][0]),
]
in_private = [hasty.chat_postMessage(channel=person, text=f"{number}") for number in range(3)]
told["limited"] = refused(hasty.chat_postMessage, channel=person, text="one too many")
for number in range(BURST):
    in_private.append(patient.chat_postMessage(channel=person, text=f"{number}"))
told["in_private"] = [message["ts"] for message in in_private]
print(json.dumps(told))
