"""A server that attacks whoever asks it, in one way at a time, and commands that ask it: what they take, and how they end."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import zlib
from typing import NamedTuple

OK = b"HTTP/1.1 200 OK\r\n"

CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

LASTS_S = 60.0
"""How long an attack goes on at most, seconds: far longer than the deadlines that it is tried with."""


def whole(body, *headers):
    """An answer as it should be."""
    lines = [f"Content-Length: {len(body)}", "Connection: close", *headers]
    return OK + "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@functools.cache
def bomb(content=bytes(1 << 20), times=3000):
    """Gigabytes in some megabytes of gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(content) for _ in range(times)) + packer.flush()


def forever(first, piece, pause=0.0):
    """Send something, and then a piece again and again."""

    def attack(sock):
        sock.sendall(first)
        ends = time.monotonic() + LASTS_S
        while time.monotonic() < ends:
            sock.sendall(piece)
            time.sleep(pause)

    return attack


def once(content):
    return lambda sock: sock.sendall(content)


def packed(content):
    return lambda sock: sock.sendall(whole(content(), "Content-Encoding: gzip"))


def record(number, **more):
    return {
        "id": str(number), "sequence": "abc", "captured_at": 1_700_000_000_000, "compass_angle": 12.5, "is_pano": False,
        "geometry": {"type": "Point", "coordinates": [9.163, 48.764]}, "creator": {"id": "7", "username": "jane"}, **more,
    }  # fmt: skip


def numbers_in(target):
    asked = re.search(r"image_ids=([\d,]+)", target.replace("%2C", ","))
    return [int(each) for each in asked[1].split(",")] if asked else [int(re.findall(r"\d+", target + "/101")[-1])]


FIELDS = (
    "id", "sequence", "captured_at", "compass_angle", "is_pano", "geometry", "creator", "organization", "altitude",
    "camera_parameters", "camera_type", "make", "model", "width", "height", "quality_score", "exif_orientation",
    "computed_geometry", "computed_rotation", "merge_cc", "mesh", "sfm_cluster", "thumb_original_url", "thumb_1024_url",
)  # fmt: skip


class JsonAttack:
    """Answers of the right form, with `odd` in every field of every image but the last one asked for."""

    def __init__(self, odd):
        self.odd = odd

    def __call__(self, sock, target):
        numbers = numbers_in(target)
        images = [record(each, **({} if each % 10 == 0 else dict.fromkeys(FIELDS[1:], "ODD"))) for each in numbers]
        asks_for_many = "/images" in target or "image_ids" in target
        value = {"data": images} if asks_for_many else {**images[0], "offset": "ODD", "h": "ODD", "cluster_id": "ODD"}
        if "/login" in target or "/me" in target:
            value = {"access_token": "ODD", "user_id": "ODD", "id": "ODD", "username": "ODD"}
        sock.sendall(whole(json.dumps(value).replace('"ODD"', self.odd).encode()))


class EndlessSearch:
    """Searches with always one page more: new images on it, the same, or none."""

    def __init__(self, page):
        self.page, self.count = page, itertools.count(1)

    def __call__(self, sock, target):
        number = next(self.count)
        following = {"next": f"https://x/images?after=c{number}", "cursors": {"after": f"c{number}"}}
        sock.sendall(whole(json.dumps({"data": self.page(number), "paging": following}).encode()))


class GrowingOffset:
    """An upload service that has a byte more at each try."""

    def __init__(self):
        self.count = itertools.count(0)

    def __call__(self, sock, target):
        is_asked = target.startswith("GET")
        value = {"offset": next(self.count)} if is_asked else {"debug_info": {"retriable": True, "type": "x"}}
        body = json.dumps(value).encode()
        sock.sendall(whole(body) if is_asked else whole(body).replace(b"200 OK", b"503 No"))


WIRE = {
    "silence": lambda sock: time.sleep(LASTS_S),
    "slow status line": forever(b"", b"H", 0.2),
    "slow head": forever(OK + b"X: ", b"a", 0.2),
    "endless head": forever(OK, b"X: y\r\n" * 500),
    "100 Continue without end": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500),
    "100 Continue, slowly": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.2),
    "body in drops": forever(OK + b"Content-Length: 100000\r\n\r\n", b"{", 0.2),
    "endless body": forever(OK + b"\r\n", bytes(1 << 16)),
    "endless chunked body": forever(CHUNKED, b"10000\r\n" + bytes(1 << 16) + b"\r\n"),
    "chunks of one byte": forever(CHUNKED, b"1\r\n \r\n" * 2000),
    "endless size of a chunk": forever(CHUNKED, b"1" * 5000),
    "trailers without end": forever(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n" * 500),
    "trailers, slowly": forever(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n", 0.2),
    "redirect to itself": once(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    "redirect to \\xff": once(b"HTTP/1.1 302 Found\r\nLocation: http://\xff\x1b[31m/\r\nContent-Length: 0\r\n\r\n"),
    "length of 5,000 digits": once(OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}"),
    "negative length": once(OK + b"Content-Length: -2\r\nConnection: close\r\n\r\n{}"),
    "two lengths": once(OK + b"Content-Length: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{}"),
    "length of gigabytes": once(OK + b"Content-Length: 99999999999\r\n\r\n{}"),
    "length too short": once(OK + b"Content-Length: 1\r\nConnection: close\r\n\r\n{}"),
    "ends early": once(OK + b"Content-Length: 50\r\nConnection: close\r\n\r\n{"),
    "nothing": once(b""),
    "status 000": once(b"HTTP/1.1 000 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    "status 999": once(b"HTTP/1.1 999 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    "HTTP/0.9": once(b"{}"),
    "TLS": once(b"\x15\x03\x01\x00\x02\x02\x50"),
    "head that is none": once(OK + b"\xff\xfe\x00: \x00\r\n: x\r\nno colon\r\n\r\n{}"),
    "size of a chunk that is none": once(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
    "chunk of exabytes": once(CHUNKED + b"ffffffffffffffff\r\n{}"),
    "429 for a year": once(
        b"HTTP/1.1 429 No\r\nRetry-After: 31536000\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ),
    "encoding br": once(whole(b"\x1b\x00", "Content-Encoding: br")),
    "encodings inside each other": once(whole(b"\x1f\x8b", "Content-Encoding: gzip, gzip")),
    "gzip of 3 GB": packed(bomb),
    "gzip of 3 GB of layers": packed(lambda: bomb(b"\x1a\x00" * (1 << 19))),
    "gzip of a JSON list": packed(lambda: bomb(b'{"data": [' + b"[]," * 300_000, 1)),
    "gzip in a million parts": packed(lambda: bomb(b"", 1) * 500_000),
    "tile of a million images": packed(lambda: million_images(999_000)),
    "picture of 65,500 x 65,500": once(whole(b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xdc\xff\xdc\x01\x01\x11\x00\xff\xd9")),
}
"""Attacks by the bytes of any answer."""

CONTENT = {
    "text with half a letter": lambda: JsonAttack('"a\\ud800b"'),
    "text with control characters": lambda: JsonAttack('"a\\u0000\\u001b[31m\\u202e\\n"'),
    "text of a megabyte": lambda: JsonAttack('"' + "x" * (1 << 20) + '"'),
    "number 1e999": lambda: JsonAttack("1e999"),
    "number of 4,000 digits": lambda: JsonAttack("9" * 4000),
    "number of 6,000 digits": lambda: JsonAttack("9" * 6000),
    "NaN": lambda: JsonAttack("NaN"),
    "lists": lambda: JsonAttack('[1, "a", null]'),
    "objects": lambda: JsonAttack('{"a": {"b": []}}'),
    "nulls": lambda: JsonAttack("null"),
    "truth": lambda: JsonAttack("true"),
    "nested in 500 levels": lambda: JsonAttack("[" * 500 + "]" * 500),
    "nested in 100,000 levels": lambda: JsonAttack("[" * 100_000 + "]" * 100_000),
    "pages without end, new images": lambda: EndlessSearch(lambda number: [record(number)]),
    "pages without end, the same images": lambda: EndlessSearch(lambda _: [record(7)]),
    "pages without end, empty": lambda: EndlessSearch(lambda _: []),
    "an upload that grows by a byte": GrowingOffset,
}
"""Attacks by the content of answers that are whole."""


def _varint(number):
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


@functools.cache
def million_images(count):
    """A vector tile with as many images as one may have, each in few bytes; gzip."""
    feature = b"\x12\x02\x00\x00\x18\x01\x22\x03\x09\x02\x02"
    body = b"\x0a\x05image\x78\x02\x1a\x02id\x22\x02\x28\x07" + (b"\x12" + bytes([len(feature)]) + feature) * count
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(b"\x1a" + _varint(len(body)) + body) + packer.flush()


@contextlib.contextmanager
def hostile(attack):
    """A server that answers every request with an attack: its name, or a function of a socket and a request line."""
    if isinstance(attack, str):
        wire = WIRE.get(attack)
        attack = CONTENT[attack]() if wire is None else lambda sock, _: wire(sock)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def answer(sock):
        with sock, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and (piece := sock.recv(65536)):
                head += piece
            line = head.split(b"\r\n")[0].decode("latin-1")
            if line.startswith("POST"):  # what was sent is read, so that the answer is not lost
                sock.settimeout(0.05)
                with contextlib.suppress(OSError):
                    while sock.recv(1 << 20):
                        pass
                sock.settimeout(None)
            attack(sock, line)
            sock.shutdown(socket.SHUT_WR)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


COMMANDS = {
    "tiles": "tiles --bbox 9.161,48.762,9.166,48.766 --tile-cache {here}/tiles -o {here}/tiles.parquet -q",
    "select": "select --bbox 9.161,48.762,9.166,48.766 --points {here}/points.csv --tile-cache {here}/tiles "
    "-o {here}/selection -q",
    "metadata": "metadata 101 102 110 -o {here}/metadata.parquet -q",
    "find-sequences": "find-sequences jane -o {here}/lists -q",
    "download": "download 101 102 110 --layout flat --num-retries 1 --required-disk-space 0 -o {here}/pictures -q",
    "inspect": "inspect 101 -q",
    "authenticate": "authenticate --user-name jane --user-email jane@example.org --user-password secret "
    "--config-file {here}/users.json",
    "upload": "upload {photos} --max-attempts 2 -q",
}
"""Each verb that asks a service, as it is typed."""

CHILD = """
import runpy, sys, time
from pathlib import Path
from mlygeo.net import http
from mlygeo.providers.mapillary import service, uploads
for kind in (http.Service, service.Service):
    kind.__init__.__kwdefaults__.update(connect_timeout=1.0, read_timeout=DEADLINE / 2, total_timeout=DEADLINE)
quick = http.Retry(attempts=2, first_wait=0.01, longest_wait=0.02, rate_wait=0.02)
http.Retry.__init__.__defaults__ = (2, 0.01, 0.02, 0.02, 900.0)
uploads.UPLOAD_RETRY, uploads.SHORTEST_TIMEOUT_S = quick, DEADLINE
uploads.Uploads._ask_once.__kwdefaults__["read_timeout"] = DEADLINE
began = time.monotonic()
try:
    runpy.run_module("mlygeo", run_name="__main__")
finally:
    peak = 0  # where it cannot be told
    if Path("/proc/self/status").exists():
        peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(f"TOOK {time.monotonic() - began:.2f} {int(peak) // 1024}", file=sys.stderr)
"""


class Ended(NamedTuple):
    """How a command ended: exit status, seconds, megabytes at the peak, and all that it said."""

    status: int
    seconds: float
    megabytes: int
    said: str

    @property
    def has_traceback(self):
        return "Traceback" in self.said


def run(verb, url, here, *, photos="", deadline=2.0, patience=120.0):
    """Run a verb against a server, with short deadlines, in a process of its own."""
    if not (here / "points.csv").exists():
        (here / "points.csv").write_text("point_id,lon,lat\n1,9.163,48.764\n2,9.164,48.765\n")
    words = COMMANDS[verb].format(here=here, photos=photos).split()
    environ = {
        **os.environ,
        "MAPILLARY_GRAPH_API_ENDPOINT": url,
        "MAPILLARY_TILES_ENDPOINT": url,
        "MAPILLARY_UPLOAD_ENDPOINT": url,
        "MAPILLARY_ACCESS_TOKEN": "MLYA-" + "a" * 20,
        "MAPILLARY_CLIENT_TOKEN": "MLY|1|" + "a" * 20,
        **{name: str(here) for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")},
    }
    ended = subprocess.run(
        [sys.executable, "-c", CHILD.replace("DEADLINE", str(deadline)), *words], env=environ, cwd=here, text=True,
        errors="backslashreplace", capture_output=True, timeout=patience, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    said = ended.stdout + ended.stderr
    took = re.search(r"TOOK (\S+) (\d+)", said)
    return Ended(ended.returncode, float(took[1]) if took else -1.0, int(took[2]) if took else -1, said)
