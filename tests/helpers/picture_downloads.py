"""Downloads from a stand-in, and the pictures that they should give."""

from __future__ import annotations

import os
from pathlib import Path

from helpers.tokens import TOKEN

import mlygeo
from mlygeo.net.http import Retry
from mlygeo.providers.mapillary.service import Service
from mlygeo.standin.pictures import Pictures

QUICK = Retry(attempts=5, first_wait=0.02, longest_wait=0.2, rate_wait=0.1, patience=5)


def service_of(server, **more):
    return Service(endpoints=server.endpoints, token=TOKEN, retry=QUICK, **more)


def fetch(server, images, folder, **options):
    options = {"size": "256", "required_disk_space": 0, "service": service_of(server), **options}
    return mlygeo.download(images, output=folder, **options)


def pictures_in(folder):
    """The pictures in a folder, by their names; also while a download works, whose temporary folders come and go."""
    paths = [Path(place, name) for place, _, names in os.walk(folder) for name in names]  # rglob fails if one goes
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.suffix == ".jpg"}


def expected(images, size="256"):
    """The pictures that the service has of images, under the names of the default layout."""
    drawn = Pictures()
    return {
        f"{row.sequence_id}/{row.id}.jpg": drawn.drawn(row.id, size, is_pano=row.is_pano) for row in images.itertuples()
    }
