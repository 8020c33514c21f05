"""A bot that is called by a stand-in and reads events with the official verifiers: lark-oapi's EventDispatcherHandler, which also
answers the check of the URL, slack_sdk's SignatureVerifier, slack_bolt's App, wechatpy's WeChatCrypto of WeCom, and PyNaCl's
VerifyKey for Discord.

Arguments: `feishu KEY TOKEN`, `slack SECRET`, `bolt SECRET`, `wecom TOKEN KEY COMPANY` or `discord PUBLIC_KEY`.
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

elif platform == "bolt":
    from slack_bolt import App, BoltRequest
    from slack_bolt.authorization import AuthorizeResult

    def authorize():
        return AuthorizeResult(enterprise_id=None, team_id="T0", bot_token="xoxb-0", bot_id="B0", bot_user_id="U0")

    app = App(signing_secret=secrets[0], authorize=authorize, process_before_response=True)

    @app.event("message")
    def received(event):
        texts.append(event["text"])

    def take(path, headers, body):
        request = BoltRequest(body=body.decode(), headers={name: [value] for name, value in headers.items()})
        answer = app.dispatch(request)
        return answer.status, answer.body.encode()

elif platform == "wecom":
    from urllib.parse import parse_qs, urlsplit

    import xmltodict
    from wechatpy.enterprise.crypto import WeChatCrypto

    crypto = WeChatCrypto(*secrets)

    def take(path, headers, body):
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        proof = [query[name] for name in ("msg_signature", "timestamp", "nonce")]
        if not body:
            return 200, crypto.check_signature(*proof, query["echostr"])
        message = xmltodict.parse(crypto.decrypt_message(body, *proof))["xml"]
        texts.append(message["Content"])
        return 200, b""

elif platform == "discord":
    from nacl.signing import VerifyKey

    key = VerifyKey(bytes.fromhex(secrets[0]))

    def take(path, headers, body):
        signature = bytes.fromhex(headers["x-signature-ed25519"])
        key.verify(headers["x-signature-timestamp"].encode() + body, signature)
        interaction = json.loads(body)
        if interaction["type"] == 1:
            return 200, b'{"type": 1}'
        texts.append(interaction["data"]["options"][0]["value"])
        return 200, b'{"type": 5}'

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
    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        texts.clear()
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        status, content = take(self.path, self.headers, body)
        content = content.encode() if isinstance(content, str) else content
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
