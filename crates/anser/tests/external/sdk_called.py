"""A bot that is called by a stand-in and reads events with the official verifiers: lark-oapi's EventDispatcherHandler, which also
answers the check of the URL, and slack_sdk's SignatureVerifier.

Arguments: `feishu KEY TOKEN` or `slack SECRET`.
Standard output: the port, then a line for each request that was refused or brought a message: {"status", "text"}.
"""

import http.server
import json
import logging
import sys

logging.disable(logging.CRITICAL)
platform, *secrets = sys.argv[1:]
texts = []


def told(line):
    print(json.dumps(line), flush=True)


if platform == "feishu":
    from lark_oapi.core.model import RawRequest
    from lark_oapi.event.dispatcher_handler import EventDispatcherHandler

    def received(event):
        texts.append(json.loads(event.event.message.content)["text"])

    handler = EventDispatcherHandler.builder(*secrets).register_p2_im_message_receive_v1(received).build()

    def take(path, headers, body):
        request = RawRequest()
        request.uri = path
        request.body = body
        # The SDK knows the names as the platform writes them.
        request.headers = {"-".join(part.capitalize() for part in name.split("-")): value for name, value in headers.items()}
        answer = handler.do(request)
        return answer.status_code, answer.content

else:
    from slack_sdk.signature import SignatureVerifier

    verifier = SignatureVerifier(*secrets)

    def take(path, headers, body):
        if not verifier.is_valid_request(body, dict(headers.items())):
            return 401, b""
        event = json.loads(body)
        if event["type"] == "event_callback":
            texts.append(event["event"]["text"])
        return 200, event.get("challenge", "").encode()


class Bot(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        texts.clear()
        body = self.rfile.read(int(self.headers["content-length"]))
        status, content = take(self.path, self.headers, body)
        for text in texts or [None] * (status != 200):
            told({"status": status, "text": text})
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Bot)
told(server.server_address[1])
server.serve_forever()
