"""A server of files that sends parts of them, or does not."""

from __future__ import annotations

import contextlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextlib.contextmanager
def serving(content: bytes, *, parts: bool = True, wrong: bool = False, redirects: int = 0):
    """Serve a file; yield its address, and the ranges that were asked for. `asked.content` may be replaced."""
    asked: list[str] = []
    state = {"content": content, "left": redirects}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            assert "Authorization" not in self.headers
            whole = state["content"]
            if state["left"]:
                state["left"] -= 1
                return self._send(302, b"", {"Location": f"/moved{state['left']}"})
            wanted = self.headers.get("Range", "")
            asked.append(wanted)
            found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)
            if found is None or not parts:
                return self._send(200, whole, {})
            start, stop = (int(each) if each else None for each in found.groups())
            low, high = (max(0, len(whole) - stop), len(whole)) if start is None else (start, stop + 1)
            stated = f"bytes {low + wrong}-{high - 1 + wrong}/{len(whole)}"
            return self._send(206, whole[low:high], {"Content-Range": stated, "ETag": f'"{hash(whole)}"'})

        def _send(self, status, body, headers):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/panoramax.parquet", asked, state
        finally:
            server.shutdown()
            thread.join()
