"""Options on times, positions and headings of photos, and on their sequences."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, TypeVar, get_args

from mlygeo.errors import InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.options.groups import dataclass
from mlygeo.pipelines.sources import EXIFTOOL, EXIFTOOL_XML, ITSELF, Sources, sources_named
from mlygeo.readers import cameras
from mlygeo.readers.cameras import GeotagSource

if TYPE_CHECKING:
    import os

    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Geotagging:
    """
    Where times, positions and headings come from.

    Parameters
    ----------
    geotag_source
        Where positions come from. exif: the photos. gpx, nmea, csv: a track. {videos}: the telemetry of videos.
        exiftool_runtime: the program ExifTool, run on the files. exiftool_xml: earlier output of ExifTool (-X -n
        -ee). Give several, separated by commas or by repeating the option, and each file uses the first source that
        has its time and position. JSON objects of mapillary_tools are accepted, too.
    geotag_source_path
        The track or video, or a folder of them. Default: the folder of photos. For exiftool_xml: the files written
        by ExifTool, or their folder.
    video_geotag_source
        The same for videos among the photos; it takes precedence over `geotag_source`. native: what the camera
        recorded. gpx, nmea, csv: a log beside the video with the same name, unless its path is given.
    local_time
        Read photo times without a UTC offset as local time at the place of the photo (or of this computer, if the
        position is unknown) instead of UTC.
    sub_second_interval
        Seconds from one photo to the next, for cameras that write only whole seconds. 0 spreads the photos of one
        second evenly over it.
    offset_time
        Seconds by which the camera clock is ahead of the GPS clock; subtracted from capture times.
    offset_angle
        Angle from the direction of travel to the viewing direction of the camera, degrees clockwise; added to
        headings.
    interpolation_offset_time
        Seconds to add to capture times to find the place on the track: `offset_time` with the opposite sign, as in
        mapillary_tools today.
    use_gps_start_time
        Ignore the date and time of the camera clock and assume that the first photo was taken at the start of the
        track.
    max_gap
        Longest gap in the track across which positions are interpolated, seconds. Default: no limit.
    """

    geotag_source: Sources
    geotag_source_path: FrameLike | None
    local_time: bool
    sub_second_interval: float
    offset_time: float
    offset_angle: float
    interpolation_offset_time: float
    use_gps_start_time: bool
    max_gap: float | None

    def __post_init__(self) -> None:
        """Raise for what makes no sense."""
        sources = tuple(dict.fromkeys(sources_named(self.geotag_source)))
        if not sources:
            raise InputError("`geotag_source` names no source", hint=f"one of {', '.join(get_args(GeotagSource))}")
        object.__setattr__(self, "geotag_source", sources)
        if len(sources) == 1 and (one := sources[0]).for_photos:
            object.__setattr__(self, "geotag_source", one.name)
            for option, value in (
                ("geotag_source_path", one.path),
                ("interpolation_offset_time", one.offset_time),
                ("use_gps_start_time", one.use_gps_start_time),
            ):
                object.__setattr__(self, option, _first(value, getattr(self, option)))
        for name, value in (
            ("offset_time", self.offset_time),
            ("offset_angle", self.offset_angle),
            ("interpolation_offset_time", self.interpolation_offset_time),
        ):
            if not abs(value) < float("inf"):
                raise InputError(f"`{name}` must be a number, not {value}")
        if not 0 <= self.sub_second_interval < float("inf"):
            raise InputError(f"`sub_second_interval` must be 0 seconds or more, not {self.sub_second_interval}")
        if self.geotag_source in ITSELF and self.use_gps_start_time:
            raise InputError("`use_gps_start_time` needs a track to start from", hint="name its `geotag_source`")
        if self.geotag_source in ITSELF and self.interpolation_offset_time:
            raise InputError("`interpolation_offset_time` needs a track", hint="name its `geotag_source`")
        if self.max_gap is not None and all(one.name in ITSELF for one in sources if one.for_photos):
            of_no_use(("max_gap",), "without a track: name its `geotag_source`")
        if self.geotag_source in {"exif", EXIFTOOL} and self.geotag_source_path is not None:
            raise InputError(
                f"`geotag_source_path` {self.geotag_source_path} has no effect with"
                f" `geotag_source='{self.geotag_source}'`",
                hint="name what it is: `geotag_source='gpx'`, nmea, csv, …",
            )
        if self.geotag_source == EXIFTOOL_XML and self.geotag_source_path is None:
            raise InputError("`geotag_source_path` names the files that ExifTool wrote, or their folder; it is missing")
        if not self.each:  # what makes no sense in one of several raises, too
            raise InputError("`geotag_source` names no source of photos")

    @property
    def each(self) -> tuple[Geotagging, ...]:
        """The sources of photos one by one, in the order in which they are tried."""
        if isinstance(self.geotag_source, str):
            return (self,)
        found = tuple(
            dataclasses.replace(
                self,
                geotag_source=source.name,
                geotag_source_path=(
                    None if source.name in {"exif", EXIFTOOL} else _first(source.path, self.geotag_source_path)
                ),
                interpolation_offset_time=(
                    0.0 if source.name in ITSELF else _first(source.offset_time, self.interpolation_offset_time)
                ),
                use_gps_start_time=(
                    source.name not in ITSELF and _first(source.use_gps_start_time, self.use_gps_start_time)
                ),
                max_gap=None if source.name in ITSELF else self.max_gap,
            )
            for source in sources_named(self.geotag_source)
            if source.for_photos
        )
        # Sources of videos alone leave photos at their word.
        itself = dataclasses.replace(
            self,
            geotag_source="exif",
            geotag_source_path=None,
            interpolation_offset_time=0.0,
            use_gps_start_time=False,
            max_gap=None,
        )
        return found or (itself,)

    @property
    def is_video(self) -> bool:
        """Whether the tracks are those of videos."""
        return isinstance(self.geotag_source, str) and self.geotag_source in cameras.VIDEO_SOURCES


def _first(value: T | None, other: T) -> T:
    return other if value is None else value


NO_LIMIT = sys.maxsize
"""In place of the most images of a sequence: any number."""


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """
    How sequences are made.

    Parameters
    ----------
    cutoff_distance
        Start a new sequence if the distance to the next image exceeds this, metres.
    cutoff_time
        Start a new sequence if the time to the next image exceeds this, seconds.
    max_images
        Largest number of images in a sequence, not counting duplicates.
    interpolate_directions
        Compute all headings from the direction of travel. Default: only missing ones.
    offset_angle
        Angle from the direction of travel to the viewing direction of the camera, degrees clockwise; added to
        computed headings.
    keep_duplicates
        Do not flag duplicates.
    duplicate_distance
        Largest distance between a duplicate and the last image kept, metres.
    duplicate_angle
        Largest difference between the heading of a duplicate and that of the last image kept, degrees.
    max_speed
        Flag images where the speed from one image to the next exceeds this, kilometres per hour.
    preset
        Use the rules of a service that cuts sequences and drops duplicates itself: panoramax. Sequences end at gaps
        of 100 m or 300 s, with any number of images and cameras, and an image is a duplicate within 1 m and 60° of
        any earlier image kept in its sequence. Options that you give override these limits. Default: the rules of
        Mapillary's tools.
    endpoint
        Address of the Panoramax instance that is asked for the limits of `preset`.
    """

    cutoff_distance: float
    cutoff_time: float
    max_images: int
    interpolate_directions: bool
    offset_angle: float
    keep_duplicates: bool
    duplicate_distance: float
    duplicate_angle: float
    max_speed: float
    preset: str | None
    endpoint: str | None

    def __post_init__(self) -> None:
        """Take the limits of the preset; raise for what makes no sense, before any photo is read."""
        if self.preset is not None:
            self._take_limits(self.preset)
        elif self.endpoint is not None:
            raise InputError("`endpoint` has no effect without `preset`", hint="give `preset`")
        for name in ("cutoff_distance", "cutoff_time", "duplicate_distance", "duplicate_angle"):
            if not (value := getattr(self, name)) >= 0:
                raise InputError(f"`{name}` must be 0 or more, not {value}")
        if self.max_images < 1:
            raise InputError(f"`max_images` must be 1 or more, not {self.max_images}")
        if not self.max_speed > 0:
            raise InputError(f"`max_speed` must be above 0 km/h, not {self.max_speed}")
        if self.keep_duplicates:
            of_no_use(("duplicate_distance", "duplicate_angle"), "with `keep_duplicates`")

    def _take_limits(self, preset: str) -> None:
        """Set the limits that were not given to those of a service."""
        from mlygeo.pipelines.arguments import was_given
        from mlygeo.providers import names, provider

        who = provider(preset.strip().lower()) if preset.strip().lower() in names() else None
        if who is None or who.upload_sets is None:
            raise InputError(f"there is no preset {preset[:40]!r}", hint="there is panoramax")
        rules = who.upload_sets.rules
        if self.endpoint is not None:
            rules = who.upload_sets.terms(who.service(endpoint=self.endpoint)).rules
        limits = {
            "cutoff_distance": rules.split_distance_m, "cutoff_time": rules.split_time_s,
            "duplicate_distance": rules.duplicate_distance_m, "duplicate_angle": rules.duplicate_angle,
            "max_images": NO_LIMIT,
        }  # fmt: skip
        for name, value in limits.items():
            if not was_given(name):
                object.__setattr__(self, name, value)
