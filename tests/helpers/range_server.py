"""A server of files that sends parts of them, or does not."""

from __future__ import annotations

import contextlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextlib.contextmanager
def serving(content, *, parts=True, wrong=False, redirects=0, tag='"{}"', obeys=True, status=None, short=0):
    """
    Serve a file, or several by their paths; yield the address of the first, and the ranges that were asked for.

    `state["content"]` may be replaced, and `state["sent"]` counts bytes of bodies; `state["after"]` is called with
    the number of a request before it is answered. Answers have a `tag` of the content, None for none, and a server
    that `obeys` answers 412 to another one. `status` is that of all answers, and each answer is `short` of so many
    bytes.
    """
    asked: list[str] = []
    state = {"content": content, "left": redirects, "sent": 0, "after": lambda number: None}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            assert "Authorization" not in self.headers
            if state["left"]:
                state["left"] -= 1
                return self._send(302, b"", {"Location": f"/moved{state['left']}"})
            wanted = self.headers.get("Range", "")
            asked.append(wanted)
            state["after"](len(asked))
            whole = state["content"]
            if isinstance(whole, dict):
                whole = whole.get(self.path.partition("?")[0].lstrip("/"))
            if whole is None or status is not None:
                return self._send(status or 404, b"secret page", {})
            named = {} if tag is None else {"ETag": tag.format(hash(whole))}
            if obeys and named and self.headers.get("If-Match", named["ETag"]) != named["ETag"]:
                return self._send(412, b"", {})
            found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)
            if found is None or not parts:
                return self._send(200, whole, {})
            start, stop = (int(each) if each else None for each in found.groups())
            low, high = (max(0, len(whole) - stop), len(whole)) if start is None else (start, stop + 1)
            stated = f"bytes {low + wrong}-{high - 1 + wrong}/{len(whole)}"
            return self._send(206, whole[low:high], {"Content-Range": stated, **named})

        def _send(self, status, body, headers):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body[: len(body) - short])
            state["sent"] += len(body)
            self.close_connection = self.close_connection or bool(short)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        name = next(iter(content)) if isinstance(content, dict) else "panoramax.parquet"
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/{name}", asked, state
        finally:
            server.shutdown()
            thread.join()
