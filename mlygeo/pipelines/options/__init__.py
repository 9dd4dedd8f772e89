"""
The options of several functions, in typed groups, with the text of each option once.

A function has its options in its signature, makes groups of them by name, and passes the groups on. Every
field of a group is required, so that the type checker finds an option that is left out, and the linter one
that is not used. Where a text does not suit a function, the function's docstring has another.
"""

from __future__ import annotations

from mlygeo.pipelines.options import access, geotagging, images, photos, pictures, sampling, uploads, videos
from mlygeo.pipelines.options.access import Access, Asking, Server, SignedIn
from mlygeo.pipelines.options.geotagging import NO_LIMIT, Cutting, Geotagging
from mlygeo.pipelines.options.groups import parameter_texts
from mlygeo.pipelines.options.images import (
    Filters,
    Matching,
    Method,
    Per,
    Plane,
    Preferring,
    Shared,
    Spread,
    StreetPoints,
    TileOptions,
    Towards,
)
from mlygeo.pipelines.options.photos import INSERTED, TURNS, Insertion, MetaData, PhotoFolder, Sorting
from mlygeo.pipelines.options.pictures import Downloading, Layout, PictureForm, PictureFormat, QualityPreset, Size
from mlygeo.pipelines.options.sampling import Sampling, StreetMethod
from mlygeo.pipelines.options.uploads import Described, Uploading, User
from mlygeo.pipelines.options.videos import INTERVAL_S, Recorded, VideoFrames, VideoSampling, start_ms

__all__ = [
    "GROUPS", "INSERTED", "INTERVAL_S", "NO_LIMIT", "SECTIONS", "TEXTS", "TURNS", "Access", "Asking", "Cutting",
    "Described", "Downloading", "Filters", "Geotagging", "Insertion", "Layout", "Matching", "MetaData", "Method",
    "Per", "PhotoFolder", "PictureForm", "PictureFormat", "Plane", "Preferring", "QualityPreset", "Recorded",
    "Sampling", "Server", "Shared", "SignedIn", "Size", "Sorting", "Spread", "StreetMethod", "StreetPoints",
    "TileOptions", "Towards", "Uploading", "User", "VideoFrames", "VideoSampling", "parameter_texts", "start_ms",
]  # fmt: skip

SECTIONS = (
    ("Streets and points", (images.StreetPoints, images.Plane, sampling.Sampling)),
    ("Matching", (images.Matching, images.Preferring)),
    ("Towards things", (images.Towards,)),
    ("Filters", (images.Filters,)),
    ("Owner", (uploads.User,)),
    ("Videos", (videos.Recorded, videos.VideoSampling, videos.VideoFrames)),
    ("Camera and files", (photos.MetaData,)),
    ("Time, position and heading", (geotagging.Geotagging,)),
    ("Sequences and duplicates", (geotagging.Cutting,)),
    ("Tags in photos", (photos.Insertion,)),
    ("Sorting afterwards", (photos.Sorting,)),
    ("Uploading", (uploads.Described, uploads.Uploading)),
    ("Pictures", (pictures.PictureForm, pictures.Downloading)),
    ("Tiles", (images.TileOptions,)),
    ("Service", (access.Access, access.Asking, access.Server, access.SignedIn)),
    ("Parts of a dataset", (images.Spread,)),
)
"""Titles of the sections that the options of a verb are shown in, in this order, and the groups in each."""

GROUPS = tuple(
    kind
    for part in (images, sampling, access, pictures, photos, geotagging, videos, uploads)
    for kind in vars(part).values()
    if isinstance(kind, type) and kind.__module__ == part.__name__
)
"""The groups, from common to special."""


def _texts() -> dict[str, str]:
    texts: dict[str, str] = {}
    for kind in GROUPS:
        # Functions choose the text of a later group with `public_with`.
        texts = parameter_texts(kind.__doc__ or "") | texts
    return texts


TEXTS = _texts()
"""The text of each option, for docstrings and the help of verbs."""
