"""Judges a signed request with PyNaCl's Ed25519 (signature v1a) over ID.TIMESTAMP.BODY.

Reads {"public": "whpk_...", "headers": {name: value}, "body": base64} from standard input. Ends with 0 only if one of the
request's v1a signatures verifies, and none does for another body.
"""

import base64
import json
import sys

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

request = json.load(sys.stdin)
headers, body = request["headers"], base64.b64decode(request["body"])
prefix, _, public = request["public"].partition("_")
if prefix != "whpk":
    sys.exit(f"a public key begins with whpk_, not {prefix}_")
key = VerifyKey(base64.b64decode(public, validate=True))
signatures = [
    base64.b64decode(signature, validate=True)
    for version, _, signature in (
        part.partition(",") for part in headers["webhook-signature"].split(" ")
    )
    if version == "v1a"
]


def verifies(data: bytes) -> bool:
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + data
    for signature in signatures:
        try:
            key.verify(signed, signature)
            return True
        except BadSignatureError:
            continue
    return False


if not verifies(body):
    sys.exit(f"none of {len(signatures)} v1a signatures verifies")
if verifies(body + b" "):
    sys.exit("another body verifies too")
