"""
Draw architecture.svg: the files and folders of the package on their layers, and two commands on their way through.

The layers are those of the import contract in pyproject.toml; a test draws the picture anew and compares.
"""

from __future__ import annotations

import math
import re
import textwrap
import tomllib
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"


class Part(NamedTuple):
    """A file or folder of the package: what it does, in a few words, and what it touches."""

    does: str
    touches: str


PARTS = {
    "cli": Part("verbs: options in, files and messages out", "users"),
    "periods": Part("of ISO 8601", "memory"),
    "degrees": Part("what is a longitude and a latitude", "memory"),
    "mapillary_downloader": Part("a class of an older tool", "users"),
    "pipelines": Part(
        "what a user can type: the functions, their options and texts; each joins what is below", "users"
    ),
    "parts": Part("datasets worked on part by part: plans, who runs them, what is brought together", "disk"),
    "uploads": Part("which images and videos are sent, in which archives, and what has been uploaded", "disk"),
    "perspective": Part("views cut out of panoramas: sampled, written, and what became of each", "disk"),
    "downloads": Part("pictures into folders, and what became of each", "disk"),
    "video": Part("frames sampled from videos", "disk"),
    "photos": Part("EXIF and image descriptions written, folders of photos imported", "disk"),
    "providers": Part(
        "services with street-level images: tiles, search, metadata, pictures, uploads, sign-in", "network"
    ),
    "readers": Part("files to frames: photos, tracks, videos, streets", "disk"),
    "measuring": Part("pictures to numbers: blur, contrast, brightness, hashes", "disk"),
    "net": Part("HTTP: time limits, retries, quota, worker pools", "network"),
    "regions": Part("a box, file or place name", "disk"),
    "plotting": Part("maps", "disk"),
    "standin": Part("a local copy of the service", "network"),
    "locks": Part("one run at a time", "disk"),
    "store": Part("frames in GeoParquet, GIS files and PostGIS; atomic writes", "disk"),
    "spatial": Part("steps: frame in, frame out; no files, no network, no clock", "memory"),
    "formats": Part("bytes to values and back: JPEG, EXIF, MP4, GPX, vector tiles", "memory"),
    "frames": Part("frames are checked and made", "memory"),
    "plain_frames": Part("of any kind, as arrays", "memory"),
    "attribution": Part("whose images are", "memory"),
    "keys": Part("ids of images", "memory"),
    "plausible": Part("which values can be true", "memory"),
    "extras": Part("optional packages", "memory"),
    "systems": Part("what differs between systems", "disk"),
    "uuids": Part("UUIDs as numbers", "memory"),
    "rows": Part("the values of a row, each in one form", "memory"),
    "arrays": Part("array types", "memory"),
    "arrays_numba": Part("compiled code for arrays", "memory"),
    "compiled": Part("machine code that Numba has made", "memory"),
    "kernels": Part("when compiled code is loaded", "memory"),
    "config": Part("settings file", "disk"),
    "expressions": Part("conditions as text", "memory"),
    "filters": Part("of images", "memory"),
    "osm": Part("OpenStreetMap", "network"),
    "own": Part("files of runs", "disk"),
    "own_process": Part("what the command loads late", "memory"),
    "places": Part("user's folders", "disk"),
    "processes": Part("tasks side by side", "memory"),
    "progress": Part("progress bars", "users"),
    "schemas": Part("kinds of frames", "memory"),
    "dtypes": Part("column types", "memory"),
    "errors": Part("one tree of errors, by what the caller can do", "memory"),
}

WAYS = {
    "select": (
        "mlygeo select -c city.json --streets edges.gpkg",
        (
            ("cli", "finds the verb, parses its options"),
            ("pipelines", "the body of select in selecting.py"),
            ("config", "reads city.json"),
            ("regions", "the region as a polygon"),
            ("readers", "reads the streets"),
            ("spatial", "street points every 50 metres"),
            ("providers", "tiles: from the cache, or fetched through net"),
            ("formats", "decodes the tiles"),
            ("spatial", "the nearest image for each point"),
            ("store", "writes selection.parquet"),
        ),
    ),
    "upload": (
        "mlygeo upload DCIM --user-name jane",
        (
            ("cli", "finds the verb, parses its options"),
            ("pipelines", "the body of upload in uploads.py"),
            ("locks", "waits while another run writes to DCIM"),
            ("uploads", "finds the images, their sequences and owners"),
            ("readers", "reads EXIF and descriptions in the photos"),
            ("providers", "the user's token, and what the service accepts"),
            ("uploads", "one archive for each sequence; skips what is done"),
            ("photos", "writes descriptions into the copies to send"),
            ("net", "sends the bytes, and resumes where it stopped"),
            ("store", "keeps the history"),
        ),
    ),
}
"""For each way its command, and the parts that it passes, in this order, with what happens there."""

WIDTH, LEFT, RIGHT = 960, 24, 936
HEAD, LINE, GAP, TOP = 32, 15, 10, 64
MOST, NEAR = 6, 4
"""Most parts side by side, so that their names can be read; and the gap between the lines of one layer."""
LETTER = 7.0
"""Width of a letter of 12 pixels in a wide typeface, such as DejaVu Sans."""
STYLE = """
.paper{fill:#fff} .text{fill:#1b1f24} .soft{fill:#57606a} .line{stroke:#8c959f}
.users{fill:#eae4fb;stroke:#8250df} .disk{fill:#e3f1fa;stroke:#0072b2} .network{fill:#fff1e0;stroke:#d55e00}
.memory{fill:#e6f5ec;stroke:#009e73} .select{fill:#0072b2} .upload{fill:#d55e00} .number{fill:#fff}
@media (prefers-color-scheme: dark) {
.paper{fill:#16191d} .text{fill:#e6edf3} .soft{fill:#a3acb6} .line{stroke:#6e7681}
.users{fill:#2b2340;stroke:#a98bf0} .disk{fill:#13293a;stroke:#56b4e9} .network{fill:#3a2410;stroke:#f0a35c}
.memory{fill:#12301f;stroke:#3fc68f} .select{fill:#56b4e9} .upload{fill:#f0a35c} .number{fill:#16191d}
}"""
TOUCHES = {
    "users": "what users see",
    "disk": "files and databases",
    "network": "the network",
    "memory": "only values in memory",
}


def layers() -> list[list[str]]:
    """Return the parts on each layer, from the import contract in pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    listed = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [re.split(r" [:|] ", layer) for layer in listed if layer != "__main__"]


def drawn(rows: list[list[str]]) -> str:
    """Return the picture."""
    rule = (
        "Imports point down, never up: each part uses only what is below it. The numbers show the way of two commands."
    )
    parts = [_text("soft", LEFT, TOP - 34, 13, rule)]
    x = LEFT
    for kind, words in TOUCHES.items():
        parts.append(f'<rect class="{kind}" x="{x}" y="{TOP - 23}" width="12" height="12" rx="3"/>')
        parts.append(_text("soft", x + 18, TOP - 13, 12, words))
        x += 44 + 7 * len(words)
    y = TOP
    for names in rows:
        for line in _lines(names):
            boxes, height = _row(line, y)
            parts += boxes
            y += height + NEAR
        y += GAP - NEAR
    foot = y + 22
    for column, (way, (command, steps)) in enumerate(WAYS.items()):
        x, y = LEFT + column * 468, foot
        parts.append(_text("text", x, y, 13, command, family="ui-monospace, monospace"))
        for number, (name, does) in enumerate(steps, 1):
            y += 24
            parts.append(_badge(way, number, x + 10, y - 4))
            words = f'<tspan font-weight="600">{name}</tspan><tspan class="soft" dx="7">{escape(does)}</tspan>'
            parts.append(f'<text class="text" x="{x + 28}" y="{y}" font-size="13">{words}</text>')
    height = foot + 24 * max(len(steps) for _, steps in WAYS.values()) + 24
    body = "\n".join(parts)
    about = "The parts of mlygeo on their layers, from the command line at the top to the errors at the bottom."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        ' font-family="system-ui, -apple-system, Segoe UI, sans-serif" role="img" aria-labelledby="t d">\n'
        f'<title id="t">Architecture of mlygeo</title>\n<desc id="d">{about}</desc>\n<style>{STYLE}\n</style>\n'
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>\n{body}\n</svg>\n'
    )


def _lines(names: list[str]) -> list[list[str]]:
    """Return the parts of a layer in lines of nearly as many each."""
    count = math.ceil(len(names) / MOST)
    most = math.ceil(len(names) / count)
    return [names[start : start + most] for start in range(0, len(names), most)]


def _row(names: list[str], y: int) -> tuple[list[str], int]:
    """Return the boxes of a line, and their height."""
    for name in names:
        if name not in PARTS:
            raise LookupError(f"docs/architecture.py does not say what {name} is for")
    width = (RIGHT - LEFT - GAP * (len(names) - 1)) / len(names)
    texts = [textwrap.wrap(PARTS[name].does, int((width - 24) / LETTER)) for name in names]
    height = HEAD + LINE * max(len(lines) for lines in texts)
    boxes = []
    for column, (name, lines) in enumerate(zip(names, texts, strict=True)):
        x = LEFT + column * (width + GAP)
        boxes.append(
            f'<rect class="{PARTS[name].touches}" x="{x:.0f}" y="{y}" width="{width:.0f}" height="{height}" rx="8"/>'
        )
        boxes.append(_text("text", x + 12, y + 21, 15, name, weight="600"))
        boxes += [_text("soft", x + 12, y + 37 + LINE * line, 12, words) for line, words in enumerate(lines)]
        boxes += _badges(name, x + width - 14, y + 16)
    return boxes, height


def _text(kind: str, x: float, y: float, size: int, words: str, **font: str) -> str:
    more = "".join(f' font-{name}="{value}"' for name, value in font.items())
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" font-size="{size}"{more}>{escape(words)}</text>'


def _badges(name: str, x: float, y: float) -> list[str]:
    """Return the numbers of the steps that a part takes, from the right to the left."""
    found = [
        (way, number) for way, (_, steps) in WAYS.items() for number, (where, _) in enumerate(steps, 1) if where == name
    ]
    return [_badge(way, number, x - 21 * place, y) for place, (way, number) in enumerate(reversed(found))]


def _badge(way: str, number: int, x: float, y: float) -> str:
    return (
        f'<circle class="{way}" cx="{x:.0f}" cy="{y:.0f}" r="9"/><text class="number" x="{x:.0f}" y="{y + 4:.0f}"'
        f' font-size="11" font-weight="600" text-anchor="middle">{number}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(drawn(layers()), encoding="utf-8")
