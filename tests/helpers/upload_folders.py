"""Folders of photos to upload, and what a stand-in has of them."""

from __future__ import annotations

import hashlib
import io
import json

from PIL import Image

from mlygeo.net.http import Retry
from mlygeo.photos.exif_writer import insert
from mlygeo.photos.tags import description_tags
from mlygeo.providers.mapillary.service import Service

USER_TOKEN = "MLYA-0123456789abcdef-of-a-user"
QUICK = Retry(attempts=50, first_wait=0.005, longest_wait=0.05, rate_wait=0.02, patience=5)


def service_of(server, **more):
    return Service(endpoints=server.endpoints, token=USER_TOKEN, **{"retry": QUICK, **more})


def photo(number, size=(48, 32)):
    """Return a small JPEG that no other number has."""
    picture = Image.effect_noise(size, 60).convert("RGB")
    picture.putpixel((0, 0), (number % 256, number // 256 % 256, 255))
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=90, comment=f"photo {number}".encode())
    return written.getvalue()


def entry(path, number, sequence, **more):
    """Return an entry as mapillary_tools 0.14 writes it."""
    content = path.read_bytes()
    return {
        "filename": str(path),
        "filetype": "image",
        "filesize": len(content),
        "md5sum": hashlib.md5(content).hexdigest(),
        "MAPLatitude": round(48.77 + number * 1e-5, 7),
        "MAPLongitude": 9.1712345,
        "MAPCaptureTime": f"2024_06_09_12_{number // 60:02}_{number % 60:02}_{number % 1000:03}",
        "MAPSequenceUUID": sequence,
        **more,
    }


def folder_of(folder, count, *, a_sequence=100, sizes=None, extra=lambda number: {}):
    """Write photos and their description file into a folder; return the entries."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for number in range(count):
        path = folder / f"img_{number:04}.jpg"
        path.write_bytes(photo(number, sizes or (48, 32)))
        entries.append(entry(path, number, f"seq-{number // a_sequence}", **extra(number)))
    (folder / "mapillary_image_description.json").write_text(json.dumps(entries))
    return entries


def with_description(jpeg, description):
    """Return a photo with an image description inside, as the Mapillary app takes it."""
    return insert(jpeg, description_tags({}, description=description))


def clusters_of(store):
    return [json.loads(path.read_text()) for path in sorted((store / "clusters").glob("*.json"))]


def log_of(store):
    path = store / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def described(cluster):
    return [image["description"] for image in cluster["images"]]


def in_exif(one):
    """Return what of an entry goes into the image."""
    return {key: value for key, value in one.items() if key.startswith("MAP") and key != "MAPSequenceUUID"}


def hashes(folder):
    return {
        path.relative_to(folder).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and ".mlygeo" not in path.parts
    }
