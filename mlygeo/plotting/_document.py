"""
The HTML of an interactive map: viewer, data and attribution in one page.

Its content security policy lets no other script run, and no text of a frame becomes HTML.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def page(meta: dict[str, Any], data: str, attribution: list[str], title: str, basemap: str | None) -> str:
    """Return the page of what the viewer is told (`meta`) and its packed columns (`data`)."""
    script, style = _asset("viewer.js"), _asset("viewer.css")

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    images = "data: blob: file: 'self'" + ("" if basemap is None else f" https://{urlsplit(basemap).netloc}")
    policy = (
        f"default-src 'none'; script-src {digest(script)}; style-src {digest(style)}; img-src {images};"
        " base-uri 'none'; form-action 'none'"
    )
    # Inside a script element only "<" could end it; the others are for readers that are not browsers.
    escaped = json.dumps(meta).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title>",
            f"<style>{style}</style></head><body>",
            '<div id="map" tabindex="0" role="application" aria-label="Map; arrow keys move it, plus and minus zoom">',
            '<div id="tiles"></div></div>',
            '<div id="panel" class="box"></div>',
            '<div id="buttons" class="box"><button id="in" aria-label="Zoom in">+</button>',
            '<button id="out" aria-label="Zoom out">&minus;</button>',
            '<button id="all" aria-label="Show everything">&#x2922;</button></div>',
            '<div id="scale" class="box"><span></span><div></div></div>',
            f'<div id="attribution" class="box">{html.escape("  ·  ".join(attribution))}</div>',
            '<div id="popup" class="box" role="dialog" aria-label="What was clicked" hidden></div>',
            '<div id="problem" class="box" role="alert" hidden></div>',
            f'<script id="meta" type="application/json">{escaped}</script>',
            f'<script id="data" type="text/plain">{data}</script>',
            f"<script>{script}</script>",
            "</body></html>",
            "",
        ]
    )


@lru_cache(maxsize=2)
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
