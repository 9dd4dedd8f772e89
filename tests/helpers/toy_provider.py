"""A provider of twelve images, and its service: what a folder in `mlygeo/providers` needs, and no more."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
from PIL import Image
from shapely import box

from mlygeo import attribution, store
from mlygeo.keys import WHOLE_NUMBERS
from mlygeo.net import http
from mlygeo.net.answers import GoneError, RefusedError, parsed_json
from mlygeo.providers import Batch

CENTRE = (9.17, 48.77)
COUNT = 12


def position(number):
    return CENTRE[0] + number * 1e-4, CENTRE[1]


def picture(number):
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (number * 20, 90, 120)).save(out, "JPEG")
    return out.getvalue()


@contextlib.contextmanager
def served():
    """The toy's service on this machine; yields its address and the paths that were asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            kind, _, rest = self.path[1:].partition("/")
            number = int(rest.partition(".")[0] or 0)
            body, status = b"", 200
            if kind == "area":
                body = json.dumps({"pictures": list(range(1, COUNT + 1))}).encode()
            elif kind == "about" and 0 < number < COUNT:  # the last one was removed
                lon, lat = position(number)
                url = f"http://127.0.0.1:{self.server.server_port}/file/{number}"
                body = json.dumps({"no": number, "where": [lon, lat], "when": 1.7e9 + number, "at": url}).encode()
            elif kind == "file":
                body = picture(number)
            else:
                status = 410
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True, kw_only=True)
class Service(http.Service):
    provider: ClassVar[str] = "toy"
    token_hint: ClassVar[str] = "there are no tokens"

    address: str = "https://toy.example.org"

    @property
    def addresses(self):
        return (self.address,)


@dataclass
class Plan:
    missing: list


class Tiles:
    """One tile, which is the whole world."""

    has_computed = has_geojson = False

    def default_cache(self):
        return Path("toy")

    def plan(self, region, *, tile_cache, **_):
        return Plan([] if (tile_cache / "toy_0_0").exists() else ["0/0"])

    def fetch(self, region, *, tile_cache, service, dry_run=False, **_):
        import geopandas as gpd

        path = tile_cache / "toy_0_0"
        status = "cached" if path.exists() else "missing" if dry_run else "fetched"
        if status == "fetched":
            with http.Client(service) as client:
                store.write_text(client.get(f"{service.address}/area/0", what="the tile").decode(), path)
        result = {"x": [0], "y": [0], "zoom": [0], "path": [str(path)], "status": [status], "error": [None]}
        return gpd.GeoDataFrame(result, geometry=[box(-180, -85, 180, 85)], crs=4326)

    def name(self, x, y, *, computed, service=None):
        return f"toy_{x}_{y}"

    def read(self, paths, *, region, damaged=None):
        numbers = [number for path in paths for number in json.loads(path.read_text())["pictures"]]
        lon, lat = np.array([position(number) for number in numbers]).T
        table = pa.table(
            {
                "id": np.array(numbers, dtype=np.int64),
                "sequence_id": ["ride"] * len(numbers),
                "captured_at": pa.array([1_700_000_000_000] * len(numbers), pa.timestamp("ms", tz="UTC")),
                "compass_angle": np.full(len(numbers), 90.0),
                "is_pano": np.zeros(len(numbers), dtype=bool),
                "creator_id": pa.nulls(len(numbers), pa.int64()),
                "organization_id": pa.nulls(len(numbers), pa.int64()),
                "lon": lon,
                "lat": lat,
            }
        )
        return table.filter(pa.array(region.contains(lon, lat)))


class Session:
    def __init__(self, service, stop=None):
        self._service, self._client = service, http.Client(service, stop=stop)
        self.workers, self.unknown_fields, self.ended = 1, set(), None

    def __enter__(self):
        return self

    def __exit__(self, *of_error):
        self._client.__exit__(*of_error)

    def images(self, ids, *, fields):
        batch = Batch()
        for number in ids.tolist():
            try:
                batch.found[number] = self.entity(number, fields=fields)
            except GoneError:
                batch.missing[number] = Records.gone
        yield batch

    def entity(self, id, *, fields):  # noqa: A002 - the frame's word
        try:
            return parsed_json(self._client.get(f"{self._service.address}/about/{id}", what=f"picture {id}"))
        except RefusedError:  # 410
            raise GoneError("there is no such picture") from None


class Records:
    fields = base_fields = more_fields = ("no", "where", "when", "at")
    panoramas = ()
    gone = "gone from the toy"
    images_a_minute = 60

    def open(self, service, *, workers=16, stop=None):
        return Session(service, stop)

    def calls_for(self, images):
        return images

    def row_of(self, record):
        if "no" not in record:
            return dict(record)
        lon, lat = record["where"]
        return {
            "id": record["no"],
            "sequence_id": "ride",
            "geometry": {"type": "Point", "coordinates": [lon, lat]},
            "captured_at": round(record["when"] * 1000),
            "creator_username": "jane",
        }

    def said_of(self, image):
        return {name: value for name, value in image.items() if name in self.fields}


class Pictures:
    def fields(self, size, *, metadata):
        return [*Records.fields]

    def address(self, record, size):
        return record.get("at")

    def expires(self, address):
        return None

    def sidecar(self, record):
        return {name: value for name, value in record.items() if name != "at"}

    def rights(self, record):
        return attribution.of_row({**Records().row_of(record), "licence": "CC0-1.0"}, "toy")


class Toy:
    name, title, attribution, keys = "toy", "The toy", "Toy, CC0", WHOLE_NUMBERS
    tiles, records, pictures = Tiles(), Records(), Pictures()
    uploads = upload_sets = accounts = descriptions = licence = exports = None
    page = "https://toy.example.org/{id}"
    needs_token = False
    has_endpoints = True

    def service(self, *, token=None, token_file=None, retry=None, endpoint=None):
        return Service() if endpoint is None else Service(address=endpoint)


PROVIDER = Toy()
