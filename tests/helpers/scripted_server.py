"""A server that answers as a test has written down, and the patience of a client that asks it."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mlygeo.net.http import Retry

QUICK = Retry(attempts=4, first_wait=0.001, longest_wait=0.01, rate_wait=0.01)


@contextlib.contextmanager
def scripted(*script):
    """A server that plays a script, one function or answer (status, headers, body) a request, the last for ever."""
    left, asked = list(script), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self):
            asked.append((self.path, dict(self.headers.items())))
            step = left.pop(0) if len(left) > 1 else left[0]
            if callable(step):
                self.close_connection = True
                with contextlib.suppress(OSError):
                    step(self)
                return
            status, headers, body = step
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_):
            pass

    with Quiet(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/x", asked
        finally:
            server.shutdown()
            thread.join()


def reply(handler, value, status=200):
    body = json.dumps(value).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.send_header("Connection", "close")  # which is what comes next
    handler.end_headers()
    handler.wfile.write(body)
