"""
The telemetry of cameras: a file a camera, and the table of them all.

A camera is a file here, whose function `recorded` finds the positions in a video, and a row of the table.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from mlygeo.formats import mp4
    from mlygeo.readers.cameras.positions import Recorded

Telemetry = Literal["auto", "gopro", "camm", "blackvue", "nmea"]
"""Where the positions of a video are taken from: the keys of the table, and "auto" for the first that has any."""

GeotagSource = Literal["exif", "gpx", "nmea", "csv", "gopro_videos", "blackvue_videos", "camm_videos"]
"""Where times and positions of photos come from: the photos, logs, and videos of cameras in the table."""


class Camera(NamedTuple):
    """
    What is known of a camera, or of a way in which several write positions into their videos.

    Parameters
    ----------
    kept_in
        What holds the positions in a video, for the help.
    module
        The file here that reads them.
    geotag_source
        The source of photos' positions that means its videos; None where there is none.
    older_names
        What mapillary_tools calls that source.
    uploaded_whole
        Whether Mapillary takes its videos as they are.
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

VIDEO_SOURCES: dict[str, Telemetry] = {
    camera.geotag_source: name for name, camera in CAMERAS.items() if camera.geotag_source is not None
}
"""Sources of photos' positions that are videos -> the camera."""


class Reader(Protocol):
    """The function `recorded` of a camera's file."""

    def __call__(
        self, file: BinaryIO, size: int, movie: mp4.Movie | None, *, first_only: bool = False
    ) -> Recorded | None:
        """
        Return the positions in an open video as they were recorded, unfiltered; None where there are none.

        Parameters
        ----------
        file
            Open for reading.
        size
            Its bytes.
        movie
            Its headers; None where they are lost.
        first_only
            Whether the first payload with positions is enough: what they are and whose is then known.
        """


def reader_of(name: Telemetry) -> Reader:
    """Return what reads the telemetry of a camera; its file is loaded now, so that the table needs no NumPy."""
    reader: Reader = importlib.import_module(f"{__name__}.{CAMERAS[name].module}").recorded
    return reader
