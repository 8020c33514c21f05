"""A mail server: reads how it is to be from one line of JSON, says its port, then each mail that it took as Python's own
`email` package reads it, one line of JSON each. Ends with its input."""

import asyncio
import email
import email.policy
import hashlib
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


def say(value):
    print(json.dumps(value), flush=True)


def part(given):
    payload = given.get_payload(decode=True)
    shown = {
        "type": given.get_content_type(),
        "name": given.get_filename(),
        "content_id": given["content-id"],
        "disposition": given.get_content_disposition(),
        "sha256": hashlib.sha256(payload).hexdigest(),
    }
    if given.get_content_maintype() == "text" and not given.is_attachment():
        shown["text"] = given.get_content()
    return shown


class Handler:
    def __init__(self):
        self.asked_again = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user here"
        if address.startswith("later@") and address not in self.asked_again:
            self.asked_again.add(address)
            return "451 4.7.1 greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        say(
            {
                "tls": server.transport.get_extra_info("ssl_object") is not None,
                "login": session.auth_data.decode() if session.auth_data else None,
                "sender": envelope.mail_from,
                "mailboxes": envelope.rcpt_tos,
                "headers": {name.lower(): str(value) for name, value in message.items()},
                "defects": [str(defect) for defect in message.defects],
                "parts": [part(given) for given in message.walk() if not given.is_multipart()],
            }
        )
        return "250 2.0.0 taken"


def main():
    given = json.loads(sys.stdin.readline())

    def authenticate(server, session, envelope, mechanism, data):
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (
            given["user"].encode(),
            given["password"].encode(),
        )
        return AuthResult(success=good, handled=False, auth_data=data.login if good else None)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(given["certificate"], given["key"])
    async def serve():
        starttls = given["security"] == "starttls"
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(
                handler,
                hostname="localhost",
                tls_context=context if starttls else None,
                require_starttls=starttls,
                authenticator=authenticate,
                auth_required=given["security"] != "none",
                auth_require_tls=starttls,
                loop=loop,
            ),
            "127.0.0.1",
            0,
            ssl=context if given["security"] == "tls" else None,
        )
        say({"port": server.sockets[0].getsockname()[1]})
        await loop.run_in_executor(None, sys.stdin.read)

    handler = Handler()
    asyncio.run(serve())


main()
