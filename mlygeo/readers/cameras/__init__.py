"""
The telemetry of cameras: one file for each camera, and the table of all cameras.

A camera is a file in this folder, whose function `recorded` finds the positions in a video, and a row of
the table.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from mlygeo.formats import mp4
    from mlygeo.readers.cameras.positions import Recorded

Telemetry = Literal["auto", "gopro", "camm", "blackvue", "nmea"]
"""Sources of a video's positions: the keys of the table, and "auto" for the first with positions."""

GeotagSource = Literal[
    "exif", "gpx", "nmea", "csv", "gopro_videos", "blackvue_videos", "camm_videos",
    "exiftool_xml", "exiftool_runtime",
]  # fmt: skip
"""Sources of photos' times and positions: the photos, logs, videos of cameras in the table, and ExifTool."""


class Camera(NamedTuple):
    """
    A camera, or a form in which several cameras write positions into their videos.

    Parameters
    ----------
    kept_in
        Where a video stores the positions, for the help.
    module
        The file here that reads them.
    geotag_source
        Name of the camera's videos as a source of photos' positions; None where they are none.
    older_names
        Names of that source in mapillary_tools.
    uploaded_whole
        Whether Mapillary accepts the camera's videos as they are; others go up as copies with a CAMM track.
    """

    kept_in: str
    module: str
    geotag_source: GeotagSource | None = None
    older_names: tuple[str, ...] = ()
    uploaded_whole: bool = False


CAMERAS: dict[Telemetry, Camera] = {
    "gopro": Camera("a GoPro's metadata track", "gopro", "gopro_videos", ("gopro",)),
    "camm": Camera("a camera motion track", "camm", "camm_videos", ("camm",), uploaded_whole=True),
    "blackvue": Camera(
        "BlackVue's box of NMEA sentences", "blackvue", "blackvue_videos", ("blackvue",), uploaded_whole=True
    ),
    "nmea": Camera("a text track of such sentences", "text_track"),
}
"""The cameras by name, in the order in which a video is searched for their telemetry."""

FILE_TYPES = ("image", "zip", "video", *sorted(name for camera in CAMERAS.values() for name in camera.older_names))
"""Types of files that an upload takes and a source of positions is for, as mapillary_tools calls them."""

VIDEO_SOURCES: dict[str, Telemetry] = {
    camera.geotag_source: name for name, camera in CAMERAS.items() if camera.geotag_source is not None
}
"""Sources of photos' positions that are videos -> the camera."""


class Reader(Protocol):
    """The function `recorded` of a camera's file."""

    def __call__(self, file: BinaryIO, size: int, movie: mp4.Movie | None, first_only: bool, /) -> Recorded | None:
        """
        Return the positions in an open video as they were recorded, unfiltered; None where there are none.

        Parameters
        ----------
        file
            Open for reading.
        size
            Its bytes.
        movie
            Its headers; None where they are missing.
        first_only
            Whether to stop at the first payload with positions, which is enough to know source and camera.
        """


def reader_of(name: Telemetry) -> Reader:
    """Return the reader of a camera's telemetry; its file is imported only here, so that the table needs no NumPy."""
    reader: Reader = importlib.import_module(f"{__name__}.{CAMERAS[name].module}").recorded
    return reader
