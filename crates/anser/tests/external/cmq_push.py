"""A receiver of pushed messages inside the tour: remembers requests as they came, answers 200 unless told otherwise."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cmq_check import DEADLINE


class Request:
    def __init__(self, handler, body):
        self.at = time.monotonic()
        self.method = handler.command
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = body


class Receiver:
    """On a free port of the loopback address, for as long as the program runs."""

    def __init__(self):
        self.changed = threading.Condition()
        self.requests = {}
        self.statuses = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(receiver.take(self.path, Request(self, body)))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def script(self, path, statuses):
        """Answers the next requests to `path` so, in order."""
        with self.changed:
            self.statuses[path] = list(statuses)

    def take(self, path, request):
        with self.changed:
            self.requests.setdefault(path, []).append(request)
            self.changed.notify_all()
            statuses = self.statuses.get(path)
            return statuses.pop(0) if statuses else 200

    def wait(self, path, count):
        """Waits for so many requests to `path`; answers all there are."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.requests.get(path, [])) >= count, DEADLINE):
                raise AssertionError(f"{count} requests to {path}: {len(self.requests.get(path, []))} came")
            return list(self.requests[path])
