"""Reads a request as a CloudEvent with PyPI cloudevents and prints what it found.

Reads {"headers": {name: value}, "body": base64} from standard input; prints {"attributes", "data", "bytes": base64 | null},
where "bytes" stands for data that is no JSON.
"""

import base64
import json
import sys

from cloudevents.v1.http import from_http


def unmarshal(data):
    """JSON where it is JSON; otherwise the bytes as they are."""
    try:
        return json.loads(data)
    except (ValueError, UnicodeDecodeError):
        return data if isinstance(data, bytes) else data.encode()


request = json.load(sys.stdin)
body = base64.b64decode(request["body"])
event = from_http(request["headers"], body, data_unmarshaller=unmarshal)
data = event.get_data()
opaque = isinstance(data, (bytes, bytearray))
json.dump(
    {
        "attributes": dict(event.get_attributes()),
        "data": None if opaque else data,
        "bytes": base64.b64encode(data).decode() if opaque else None,
    },
    sys.stdout,
)
