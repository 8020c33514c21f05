"""Sends, answers, changes and takes back messages with lark-oapi, against a stand-in; prints what the SDK says of each.

Standard input: {"base_url", "app_id", "app_secret", "chat"}.
"""

import io
import json
import sys

import lark_oapi as lark
from lark_oapi.api.im.v1 import (
    CreateFileRequest,
    CreateFileRequestBody,
    CreateImageRequest,
    CreateImageRequestBody,
    CreateMessageRequest,
    CreateMessageRequestBody,
    DeleteMessageRequest,
    PatchMessageRequest,
    PatchMessageRequestBody,
    ReplyMessageRequest,
    ReplyMessageRequestBody,
    UpdateMessageRequest,
    UpdateMessageRequestBody,
)
from lark_oapi.core.exception import ObtainAccessTokenException

asked = json.load(sys.stdin)
PNG = b"\x89PNG\r\n\x1a\npicture"


def client_with(secret):
    return lark.Client.builder().app_id(asked["app_id"]).app_secret(secret).domain(asked["base_url"]).build()


told = {}
# First, since the SDK keeps a token for all clients of one app.
try:
    client_with("wrong").im.v1.message.delete(DeleteMessageRequest.builder().message_id("om_none").build())
except ObtainAccessTokenException as error:
    told["wrong_secret"] = error.code

client = client_with(asked["app_secret"])
messages = client.im.v1.message


def good(response):
    """The data of a success, where it has some."""
    assert response.success(), (response.code, response.msg)
    return getattr(response, "data", None)


def send(kind, content, chat=asked["chat"]):
    body = CreateMessageRequestBody.builder().receive_id(chat).msg_type(kind).content(json.dumps(content)).build()
    request = CreateMessageRequest.builder().receive_id_type("chat_id").request_body(body).build()
    return messages.create(request)


def card(text):
    return {"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": text}]}}


image = CreateImageRequestBody.builder().image_type("message").image(io.BytesIO(PNG)).build()
image_key = good(client.im.v1.image.create(CreateImageRequest.builder().request_body(image).build())).image_key
file = CreateFileRequestBody.builder().file_type("pdf").file_name("r.pdf").file(io.BytesIO(b"%PDF")).build()
file_key = good(client.im.v1.file.create(CreateFileRequest.builder().request_body(file).build())).file_key

told |= {"image_key": image_key, "file_key": file_key}
for kind, content in [
    ("text", {"text": "hello"}),
    ("image", {"image_key": image_key}),
    ("file", {"file_key": file_key}),
    ("interactive", card("first")),
]:
    told[kind] = good(send(kind, content)).message_id

reply = ReplyMessageRequestBody.builder().msg_type("text").content(json.dumps({"text": "answer"})).build()
reply = ReplyMessageRequest.builder().message_id(told["text"]).request_body(reply).build()
told["reply"] = good(messages.reply(reply)).message_id

edit = UpdateMessageRequestBody.builder().msg_type("text").content(json.dumps({"text": "edited"})).build()
good(messages.update(UpdateMessageRequest.builder().message_id(told["text"]).request_body(edit).build()))
update = PatchMessageRequestBody.builder().content(json.dumps(card("second"))).build()
good(messages.patch(PatchMessageRequest.builder().message_id(told["interactive"]).request_body(update).build()))
recall = DeleteMessageRequest.builder().message_id(told["file"]).build()
good(messages.delete(recall))

# What the user of the SDK sees of a refusal.
again = messages.delete(recall)
told["recalled_again"] = [again.success(), again.code]
unknown = send("image", {"image_key": "img_unknown"}, chat="oc_another")
told["unknown_key"] = [unknown.success(), unknown.code]
print(json.dumps(told))
