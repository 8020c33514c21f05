"""A bot that is connected to a stand-in by the official clients: lark-oapi's long connection, or dingtalk-stream's stream.

Arguments: `feishu` or `dingtalk`, the base URL, the app's id or key, its secret.
Standard output: a line for each message that it is told of: its text.
"""

import json
import logging
import os
import sys

logging.disable(logging.CRITICAL)
platform, base_url, app, secret = sys.argv[1:]


def told(text):
    print(json.dumps(text), flush=True)


if platform == "feishu":
    import lark_oapi
    from lark_oapi.event.dispatcher_handler import EventDispatcherHandler

    def received(event):
        told(json.loads(event.event.message.content)["text"])

    handler = EventDispatcherHandler.builder("", "").register_p2_im_message_receive_v1(received).build()
    lark_oapi.ws.Client(app, secret, event_handler=handler, domain=base_url, log_level=lark_oapi.LogLevel.ERROR).start()
else:
    os.environ["DINGTALK_OPENAPI_ENDPOINT"] = base_url
    import dingtalk_stream  # It reads the endpoint when it is imported.

    class Handler(dingtalk_stream.ChatbotHandler):
        async def process(self, callback):
            told(dingtalk_stream.ChatbotMessage.from_dict(callback.data).text.content)
            return dingtalk_stream.AckMessage.STATUS_OK, "OK"

    client = dingtalk_stream.DingTalkStreamClient(dingtalk_stream.Credential(app, secret), logging.getLogger("quiet"))
    client.register_callback_handler(dingtalk_stream.ChatbotMessage.TOPIC, Handler())
    client.start_forever()
