"""Judges a signed request with PyPI standardwebhooks (signature v1).

Reads {"secret", "headers": {name: value}, "body": base64} from standard input. Ends with 0 only if the library takes the
request as it is, and takes neither another body, nor another id, nor another secret.
"""

import base64
import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

request = json.load(sys.stdin)
secret, headers = request["secret"], request["headers"]
body = base64.b64decode(request["body"])

Webhook(secret).verify(body, headers, json_parse=False)

other_secret = "whsec_" + base64.b64encode(b"x" * 32).decode()
for what, judge, data, sent in [
    ("another body", Webhook(secret), body + b" ", headers),
    ("another id", Webhook(secret), body, {**headers, "webhook-id": "another"}),
    ("another secret", Webhook(other_secret), body, headers),
]:
    try:
        judge.verify(data, sent, json_parse=False)
    except WebhookVerificationError:
        continue
    sys.exit(f"{what} was taken too")
