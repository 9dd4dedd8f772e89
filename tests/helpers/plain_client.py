"""The plainest of HTTP clients, to look at a server without any of ours between."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """Code and subcode of the error."""
        error = self.json["error"]
        return error["code"], error.get("error_subcode")


def ask(url, *, token=None, headers=None, timeout=60, **query):
    """Ask once; nothing is followed, nothing decompressed, nothing tried again."""
    parts = urlsplit(url)
    given = f"{parts.query}&{urlencode(query)}".strip("&") if query else parts.query
    own = {"Authorization": f"OAuth {token}"} if token else {}
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request(
            "GET", f"{parts.path or '/'}{'?' if given else ''}{given}", headers={**own, **(headers or {})}
        )
        response = connection.getresponse()
        return Reply(response.status, dict(response.headers), response.read())
    finally:
        connection.close()
