"""
The options of several functions, in typed groups, with the text of each option once.

A function has its options in its signature, makes groups of them by name, and passes the groups on. Every
field of a group is required, so that the type checker finds an option that is left out, and the linter one
that is not used. Where a text does not suit a function, the function's docstring has another.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import sys
import textwrap
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, get_args

from mlygeo.errors import FileError, InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.sources import EXIFTOOL, EXIFTOOL_XML, ITSELF, Sources, sources_named
from mlygeo.readers import cameras
from mlygeo.readers.cameras import GeotagSource, Telemetry

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mlygeo.config import Config
    from mlygeo.downloads.files import RequestedForm
    from mlygeo.net.http import Service
    from mlygeo.photos.tags import Overwrite
    from mlygeo.progress import Progress
    from mlygeo.providers import Provider, Records
    from mlygeo.readers.id_lists import Own
    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]

P = ParamSpec("P")
T = TypeVar("T")

BOUND = frozenset({"__init__", "__dict__", "__weakref__", "__doc__"})
"""Attributes of a class that are not copied to another."""

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool, kw_only: bool) -> Callable[[type], type]:
        """
        Return a decorator of classes that become dataclasses when the first object of each is made.

        To make two dozen dataclasses takes longer than all else that the help of a verb does.
        """

        def decorated(kind: type) -> type:
            def make_first(self: object, *args: P.args, **kwargs: P.kwargs) -> None:
                own = {name: value for name, value in vars(kind).items() if name not in BOUND}
                made = dataclasses.dataclass(frozen=frozen, kw_only=kw_only)(type(kind.__name__, kind.__bases__, own))
                for name, value in vars(made).items():
                    if name not in BOUND:
                        setattr(kind, name, value)
                kind.__init__ = made.__init__
                made.__init__(self, *args, **kwargs)

            kind.__init__ = make_first
            return kind

        return decorated


log = logging.getLogger("mlygeo.pipelines")

Method = Literal["even", "percept"]
"""Methods of laying points along streets."""

_ENDPOINTS = "name a `provider` that has several, such as panoramax"

TURNS = {0: 1, 90: 8, 180: 3, 270: 6}
"""EXIF's orientation for the clockwise rotation of a stored picture, degrees, as in the older tools."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """
    Options without a group.

    Parameters
    ----------
    region
        A `Region`, a bounding box (west, south, east, north), a configuration file, a polygon
        file or a shapely polygon. Without one, the streets or points say where.
    streets
        Streets frame, or a file of streets: .osm.pbf, .osm, .osm.gz, .osm.bz2, .graphml or any
        vector file of lines. Default: OpenStreetMap, asked over the network.
    images
        Images frame, or a file of images with an `id`, instead of the region's vector tiles.
    retain_all
        Keep street networks that are not connected with the largest one.
    config_file
        Credentials file; one of mapillary_tools stays one. Default: the one that MAPILLARY_CONFIG_PATH
        of the environment names, else credentials.json in the user's configuration folder.
    progress
        Where progress is shown; None shows none.
    import_path
        The folder of photos, with its subfolders; or one photo.
    header
        Its first row names the columns.
    """


@dataclass(frozen=True, kw_only=True)
class Filters:
    """
    Filters of images.

    Parameters
    ----------
    pano
        Take only panoramas, or only flat pictures.
    since
        Take images captured at or after this time, or the beginning of this year, month, week or day: ISO 8601,
        such as 2024, 2024-06, 2024-W26, 2024-06-30 or 2024-06-30T12:00:00Z; UTC unless it names another zone.
    until
        Take images captured before this time (ISO 8601); a year, month, week or day includes all of itself.
    creator
        Take images of this creator (id); may be given several times.
    organization
        Take images of this organization (id); may be given several times.
    min_quality
        Take images of at least this quality score, 0 to 1.
    """

    pano: bool | None
    since: str | datetime | None
    until: str | datetime | None
    creator: int | str | Iterable[int | str] | None
    organization: int | str | Iterable[int | str] | None
    min_quality: float | None

    def conditions(self) -> dict[str, Any]:
        """Return the given filters, checked; see `mlygeo.filters.conditions_of`."""
        from mlygeo import filters

        return filters.conditions_of(
            pano=self.pano,
            since=self.since,
            until=self.until,
            creator=self.creator,
            organization=self.organization,
            min_quality=self.min_quality,
        )


@dataclass(frozen=True, kw_only=True)
class TileOptions:
    """
    How the vector tiles of a region are fetched.

    Parameters
    ----------
    tile_list_file
        Work only on the tiles named in this file, a cache file name a line; may be given several
        times.
    tile_cache
        Folder of the tile cache; raw vector tiles, or the GeoJSON files that
        percept-vsvi-filter left. Default: the configuration file's, else the user's cache folder.
    computed
        Take positions after 3D reconstruction instead of the original ones.
    overwrite
        Fetch every tile anew.
    max_age
        Fetch tiles anew that are older than so many days.
    workers
        How many tiles to fetch at once.
    geojson
        Store the tiles as GeoJSON files without an ending, as percept-vsvi-filter left them and its tutorial
        reads them, in place of vector tiles.
    """

    tile_list_file: PathLike | Iterable[PathLike] | None
    tile_cache: PathLike | None
    computed: bool
    overwrite: bool
    max_age: float | None
    workers: int
    geojson: bool

    def __post_init__(self) -> None:
        """Raise for what makes no sense, before anything is asked of the network."""
        if self.workers < 1:
            raise InputError(f"`workers` must be 1 or more, not {self.workers}")
        if self.max_age is not None and not 0 <= self.max_age < float("inf"):
            raise InputError(f"`max_age` is a number of days, 0 or more, not {self.max_age}")


@dataclass(frozen=True, kw_only=True)
class Access:
    """
    How the service is reached.

    Parameters
    ----------
    token
        Access token. Better in a file or in the environment, where no other user can see it.
    token_file
        File with the access token. Default: the environment (MAPILLARY_ACCESS_TOKEN), then
        token.txt here, then token.txt in the user's configuration folder.
    service
        The service to speak to; made from the others unless given.
    provider
        Who serves the images: mapillary, panoramax, or one that an installed package brings. Several give the
        images of all. Default: mapillary.
    endpoint
        Address of the server to ask, such as https://panoramax.ign.fr/api; for providers that have several.
    """

    token: str | None
    token_file: PathLike | None
    service: Service | None
    provider: str | Iterable[str] | None
    endpoint: str | None

    def __post_init__(self) -> None:
        """Raise for providers that there are not, and for what has no effect with those that are named."""
        if self.provider is not None and not self._named:
            raise InputError("`provider` names none", hint="leave it out to ask Mapillary")
        if self.service is not None:
            of_no_use(("endpoint",), "beside `service`")
            if odd := [name for name in self._named if name != self.service.provider]:
                raise InputError(f"`service` is of {self.service.provider}, and `provider` asks for {odd[0]}")
        if self.endpoint is not None and not any(who.has_endpoints for who in self.providers):
            shown = " and ".join(who.title for who in self.providers)
            raise InputError(f"`endpoint` is of no use for {shown}, which has one service", hint=_ENDPOINTS)
        has_token = self.token is not None or self.token_file is not None
        if has_token and self._named and not any(who.needs_token for who in self.providers):
            of_no_use(("token", "token_file"), f"to read from {self.providers[0].title}, which needs none")

    @property
    def _named(self) -> list[str]:
        """The names that were given, each once."""
        given = self.provider
        names = [] if given is None else [given] if isinstance(given, str) else list(given)
        return list(dict.fromkeys(name.strip().lower() for name in names))

    @cached_property
    def providers(self) -> list[Provider]:
        """The providers whose services they are, in the order in which they were named."""
        from mlygeo.providers import provider, provider_of

        return [provider(name) for name in self._named] or [provider_of(self.service)]

    def of_each(self) -> list[Access]:
        """Return the way to each provider."""
        if len(self.providers) == 1:
            return [self]
        return [
            Access(
                token=self.token if who.needs_token else None,
                token_file=self.token_file if who.needs_token else None,
                service=None,
                provider=who.name,
                endpoint=self.endpoint if who.has_endpoints else None,
            )
            for who in self.providers
        ]

    def opened(self, config: Config | None = None) -> Service:
        """
        Return the service that was given, else the one of the environment with the token named.

        Raises
        ------
        CredentialsError
            If there is no token.
        """
        if self.service is not None:
            return self.service
        if not self.one.needs_token:
            return self.one.service(endpoint=self.endpoint)
        token_file = self.token_file or (config.token_file if config else None)
        return self.one.service(token=self.token, token_file=token_file, endpoint=self.endpoint)

    @property
    def one(self) -> Provider:
        """
        The one provider.

        Raises
        ------
        InputError
            If several were named.
        """
        if len(self.providers) > 1:
            raise InputError("this takes one `provider` at a time", hint=f"one of {', '.join(self._named)}")
        return self.providers[0]

    @property
    def own(self) -> Own | None:
        """The provider that the caller names, by its service or its name; None where it names none, or several."""
        from mlygeo.readers.id_lists import Own

        is_named = self.service is not None or len(self._named) == 1
        return Own(self.one.name, self.one.keys) if is_named else None

    def to(self, name: str, what: str) -> Access:
        """
        Return the way to a provider; a token that is given goes to nobody else than whom it is given for.

        Parameters
        ----------
        name
            Its name.
        what
            What is of this provider, for messages.

        Raises
        ------
        InputError
            If the caller names others, or there is none of this name.
        """
        from mlygeo.providers import provider

        for each in self.of_each():
            if each.one.name == name:
                return each
        if self.service is not None or self._named:
            asked = " and ".join(who.title for who in self.providers)
            raise InputError(
                f"{asked} {'is' if len(self.providers) == 1 else 'are'} asked, and not {name}, which has {what}",
                hint=f"ask {name} for it in a call of its own, or name no provider",
            )
        return Access(token=None, token_file=None, service=None, provider=provider(name).name, endpoint=None)

    @property
    def records(self) -> Records:
        """What the provider says of images."""
        from mlygeo.providers import needed

        records: Records = needed(self.one.records, self.one, "images by id")
        return records


@dataclass(frozen=True, kw_only=True)
class Asking:
    """
    How images are requested.

    Parameters
    ----------
    workers
        How many requests to make at once.
    """

    workers: int


@dataclass(frozen=True, kw_only=True)
class Plane:
    """
    The CRS in which distances are measured.

    Parameters
    ----------
    srid
        EPSG code of the projected CRS to measure in. Default: the UTM zone of the region.
    force_srid
        Go on although the region lies outside the CRS's area of use.
    """

    srid: int | None
    force_srid: bool

    def check(self) -> None:
        """Raise for what has no effect."""
        if self.srid is None:
            of_no_use(("force_srid",), "without `srid`")


@dataclass(frozen=True, kw_only=True)
class StreetPoints:
    """
    Where points are laid along streets.

    Parameters
    ----------
    interval
        Distance between street points, metres.
    method
        "even": points in the middles of equal parts of every street, so that every place on a
        street is within the interval of a point. "percept": as percept-vsvi-filter makes them,
        which leaves out streets shorter than the interval.
    """

    interval: float
    method: Method

    def __post_init__(self) -> None:
        """Raise for what makes no sense, before anything is asked of the network."""
        if not 0 < self.interval < float("inf"):
            raise InputError(f"`interval` must be a positive number of metres, not {self.interval}")


@dataclass(frozen=True, kw_only=True)
class Matching:
    """
    Which images match a point.

    Parameters
    ----------
    max_distance
        Largest distance from point to image, metres; an image just there counts. None ("inf" on
        the command line) sets no limit.
    k
        How many images for each point.
    unique
        Let each image serve one point only.
    max_heading_difference
        Largest angle between camera and street, degrees, either way along the street;
        panoramas look every way and always pass.
    """

    max_distance: float | None
    k: int
    unique: bool
    max_heading_difference: float | None

    def __post_init__(self) -> None:
        """Raise for what makes no sense."""
        from mlygeo.spatial import nearest

        nearest.check_options(
            max_distance=self.max_distance, k=self.k, max_heading_difference=self.max_heading_difference
        )

    @property
    def limit(self) -> float | None:
        """The largest distance, metres; None where there is none."""
        return None if self.max_distance == float("inf") else self.max_distance


@dataclass(frozen=True, kw_only=True)
class PhotoFolder:
    """
    How a folder of photos is read, and where its frames are stored.

    Parameters
    ----------
    output
        Folder for the frames; `.mlygeo` in the folder of photos unless given.
    rerun
        Read photos again that were read before, but for those that were written into, forget those that are
        gone, and replace the results of uploaded photos too.
    skip_subfolders
        Leave out photos in subfolders.
    dry_run
        Say what would be done; write nothing, neither frames nor tags.
    """

    output: PathLike | None
    rerun: bool
    skip_subfolders: bool
    dry_run: bool
    progress: Progress | None


Size = Literal["256", "1024", "2048", "original", "thumb"]
"""Sizes of downloaded pictures; a provider has some of them."""

Layout = Literal["sequence", "time", "flat"]
"""Layouts of a download: names and folders of its files."""

PictureFormat = Literal["jpg", "webp"]
"""Formats of downloaded pictures."""


@dataclass(frozen=True, kw_only=True)
class PictureForm:
    """
    The form of downloaded pictures.

    Parameters
    ----------
    size
        "256", "1024" or "2048": pixels of the longer side. "original": as large as the service
        has it. Mapillary has all of these; Panoramax has "original", "2048" and "thumb" (500
        pixels wide).
    layout
        "sequence": SEQUENCE/ID.jpg. "time": YYYYMMDD_HHMMSS_SEQUENCE/YYYYMMDD_HHMMSS_mmm.jpg, UTC.
        "flat": images/ID.jpg with jsons/ID.json.
    exif
        Write position, time, heading, camera, creator, licence, and as JSON all else that the
        service says into the files; the image data stay as they are.
    quality
        Encode the pictures anew with this quality, 1 to 100. Default: as they come.
    format
        "jpg": as they come. "webp": encoded anew.
    """

    size: Size
    layout: Layout
    exif: bool
    computed: bool
    quality: int | None
    format: PictureFormat

    def __post_init__(self) -> None:
        """Raise for what makes no sense."""
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise InputError(f"`quality` lies between 1 and 100, not at {self.quality}")
        if self.computed and not self.exif:
            raise InputError("`computed` says which position goes into the files", hint="use it with `exif=True`")

    def requested(self) -> RequestedForm:
        """Return the requested form of each image."""
        from mlygeo.downloads.files import RequestedForm
        from mlygeo.downloads.ledger import Form

        said = {"exif": self.exif, "computed": self.computed, f"quality={self.quality}": self.quality is not None}
        form = Form(self.size, self.format, self.layout, " ".join(name for name, is_so in said.items() if is_so))
        return RequestedForm(form, exif=self.exif, computed=self.computed, quality=self.quality)


@dataclass(frozen=True, kw_only=True)
class Downloading:
    """
    How pictures are downloaded.

    Parameters
    ----------
    num_retries
        How often to try again before an image counts as failed.
    required_disk_space
        Gigabytes that stay free on the disk; below that the download stops. Default: a tenth of
        the disk, and what is missing by an estimate has to fit before it begins.
    """

    overwrite: bool
    workers: int
    num_retries: int
    required_disk_space: float | None

    def __post_init__(self) -> None:
        """Raise for what makes no sense."""
        if self.workers < 1:
            raise InputError(f"`workers` must be 1 or more, not {self.workers}")
        if self.num_retries < 0:
            raise InputError(f"`num_retries` must be 0 or more, not {self.num_retries}")
        if self.required_disk_space is not None and not 0 <= self.required_disk_space < float("inf"):
            raise InputError(f"`required_disk_space` must be 0 or more, not {self.required_disk_space}")


@dataclass(frozen=True, kw_only=True)
class User:
    """
    The owner of the photos.

    Parameters
    ----------
    user_name
        Mapillary user that the photos are uploaded as.
    organization_name
        Name of the organization that they belong to.
    organization_key
        Key of the organization that they belong to.
    private
        Mark them as private imagery of the organization.
    """

    user_name: str | None
    organization_name: str | None
    organization_key: str | None
    private: bool


@dataclass(frozen=True, kw_only=True)
class MetaData:
    """
    Camera and file metadata added to the photos' own.

    Parameters
    ----------
    device_make
        Maker of the camera; wins over what photos say.
    device_model
        Model of the camera; wins over what photos say.
    add_file_name
        Keep the whole path of each photo in its description, not just its name.
    exclude_import_path
        With --add-file-name: leave out the folder of photos.
    exclude_path
        With --add-file-name: leave out this part of the path.
    windows_path
        With --add-file-name: write backslashes for slashes.
    add_import_date
        Add the time of this run to the meta data.
    orientation
        Degrees that pictures are stored turned by, clockwise: 0, 90, 180 or 270 (EXIF's 1, 8, 3 and 6, as
        in the older tools); wins over what photos say.
    gps_accuracy
        Accuracy of the positions, metres.
    camera_uuid
        Name that tells this camera from others; wins over the serial numbers that photos hold.
    custom_meta_data
        More meta data, as "name,type,value;name,type,value"; types are string, double, long, date and
        boolean.
    """

    device_make: str | None
    device_model: str | None
    add_file_name: bool
    exclude_import_path: bool
    exclude_path: str | None
    windows_path: bool
    add_import_date: bool
    orientation: int | None
    gps_accuracy: float | None
    camera_uuid: str | None
    custom_meta_data: str | None

    def __post_init__(self) -> None:
        """Raise for what makes no sense."""
        if self.orientation is not None and self.orientation not in TURNS:
            raise InputError(f"`orientation` is 0, 90, 180 or 270 degrees, not {self.orientation}")
        if self.gps_accuracy is not None and not 0 <= self.gps_accuracy < float("inf"):
            raise InputError(f"`gps_accuracy` must be 0 metres or more, not {self.gps_accuracy}")
        if not self.add_file_name:
            of_no_use(("exclude_import_path", "exclude_path", "windows_path"), "without `add_file_name`")
        if self.exclude_import_path and self.exclude_path:
            raise InputError("`exclude_import_path` and `exclude_path` both say what is cut off", hint="give one")


@dataclass(frozen=True, kw_only=True)
class Geotagging:
    """
    Where times, positions and headings come from.

    Parameters
    ----------
    geotag_source
        Where positions come from. exif: the photos. gpx, nmea, csv: a track. {videos}: the telemetry of videos.
        exiftool_runtime: what ExifTool reads in the files; exiftool_xml: what it read (-X -n -ee). Of several, with
        commas or given several times, a file takes the first that has its time and position; or JSON objects as of
        mapillary_tools.
    geotag_source_path
        The track or video, or a folder of them; the folder of photos is searched unless given. Of exiftool_xml the
        files, or their folder.
    video_geotag_source
        The same for the videos among photos; it comes before `geotag_source`. native: what their cameras recorded. gpx,
        nmea, csv: a log beside the video, of the same name, unless its path is named.
    local_time
        Photos' times that do not tell their offset from UTC are local time of the photo's place (of this machine
        where it has no position), not UTC.
    sub_second_interval
        Seconds from one photo to the next, of a camera that writes whole seconds only; 0 spreads photos
        of one second evenly within it.
    offset_time
        Seconds by which the camera's clock is ahead of the GPS device's; subtracted from capture times.
    offset_angle
        Angle from the direction of travel to that of the camera, degrees clockwise; added to headings.
    interpolation_offset_time
        Seconds that are added to capture times to find the place on the track: offset_time with the
        other sign, as mapillary_tools has it today.
    use_gps_start_time
        The camera's clock is of no use: the first photo is taken to be where the track starts.
    max_gap
        Longest gap of the track that positions are taken from, seconds; all are bridged unless given.
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
                f"`geotag_source_path` {self.geotag_source_path} is of no use to"
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
        Largest gap inside a sequence, metres.
    cutoff_time
        Largest gap inside a sequence, seconds.
    max_images
        Most images in a sequence, duplicates not counted.
    interpolate_directions
        Derive all headings from the way that was travelled; otherwise only the missing ones.
    offset_angle
        Angle from the direction of travel to that of the camera, degrees clockwise; added to derived
        headings.
    keep_duplicates
        Flag no duplicates.
    duplicate_distance
        Largest distance of a duplicate from the last image kept, metres.
    duplicate_angle
        Largest difference of their headings, degrees.
    max_speed
        Apparent speed above which an image is flagged, kilometres an hour.
    preset
        Cut sequences and flag duplicates by the rules of a service that does it itself: panoramax. Its limits count
        where the options do not give others: sequences end at gaps of 100 m or 300 s, whatever the number of
        images and the camera, and a duplicate is within 1 m and 60° of any earlier image kept of its sequence.
        Default: the rules of Mapillary's tools.
    endpoint
        Address of the instance of Panoramax whose limits count for `preset`; it is asked for them.
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
            raise InputError("`endpoint` is of no use without `preset`", hint="give `preset`")
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


@dataclass(frozen=True, kw_only=True)
class Insertion:
    """
    The tags written into photos, and the files written beside them.

    Parameters
    ----------
    skip_exif_insert
        Write nothing into photos; the image description file is enough for an upload.
    keep_original
        Leave photos as they are, and write tags into copies, in `processed_images` beside the frames; the next
        run replaces all of them.
    overwrite_all_exif_tags
        Write time, position, heading and orientation into their own tags too.
    overwrite_exif_time_tag
        Write the capture time into its own tags too: the camera's clock stays, with the offset from
        UTC that makes it right, unless the time was corrected.
    overwrite_exif_gps_tag
        Write position and altitude into their own tags too.
    overwrite_exif_direction_tag
        Write the heading into its own tag too.
    overwrite_exif_orientation_tag
        Write the orientation into its own tag too.
    desc_path
        Where the image description file goes, one for all folders; a dash prints it. Default:
        `mapillary_image_description.json` in each folder of photos.
    """

    skip_exif_insert: bool
    keep_original: bool
    overwrite_all_exif_tags: bool
    overwrite_exif_time_tag: bool
    overwrite_exif_gps_tag: bool
    overwrite_exif_direction_tag: bool
    overwrite_exif_orientation_tag: bool
    desc_path: PathLike | None

    def __post_init__(self) -> None:
        """Raise for what has no effect."""
        if self.skip_exif_insert:
            of_no_use([name for name in INSERTED if name != "skip_exif_insert"], "with `skip_exif_insert`")

    @property
    def overwrite(self) -> tuple[Overwrite, ...]:
        """The tags that are written in addition to the image description."""
        kinds: dict[Overwrite, bool] = {
            "all": self.overwrite_all_exif_tags,
            "time": self.overwrite_exif_time_tag,
            "gps": self.overwrite_exif_gps_tag,
            "direction": self.overwrite_exif_direction_tag,
            "orientation": self.overwrite_exif_orientation_tag,
        }
        return tuple(kind for kind, asked in kinds.items() if asked)


INSERTED = (
    "skip_exif_insert", "keep_original", "overwrite_all_exif_tags", "overwrite_exif_time_tag",
    "overwrite_exif_gps_tag", "overwrite_exif_direction_tag", "overwrite_exif_orientation_tag",
)  # fmt: skip
"""Options on what is written into photos."""


@dataclass(frozen=True, kw_only=True)
class Sorting:
    """
    Sorting and summarising a folder of photos after processing and upload.

    Parameters
    ----------
    summarize
        Sum up what was processed and uploaded.
    list_file_status
        List the photos by status.
    save_as_json
        Write the summary and the list to files in the folder of photos.
    save_local_mapping
        Write a table of the photos' paths and ids, beside the folder of photos.
    move_all_images
        Move photos by status, duplicates and sequences.
    move_duplicates
        Move duplicates to a folder `duplicates`.
    move_uploaded
        Move photos to folders `uploaded`, `failed_upload` and `to_be_uploaded`.
    move_sequences
        Move photos to a numbered folder for each sequence.
    split_import_path
        Folder that photos are moved into; the folder of photos unless given.
    push_images
        Accepted for older scripts: uploads are finished as they are made, and nothing waits to be pushed.
    """

    summarize: bool
    list_file_status: bool
    save_as_json: bool
    save_local_mapping: bool
    move_all_images: bool
    move_duplicates: bool
    move_uploaded: bool
    move_sequences: bool
    split_import_path: PathLike | None
    push_images: bool

    def __post_init__(self) -> None:
        """Raise if moved photos have no target folder, before anything is done."""
        goal = self.split_import_path
        if goal is not None and not Path(goal).expanduser().is_dir():
            raise FileError(f"{goal} is no folder", hint="make it, or leave `split_import_path` out")
        if not (self.summarize or self.list_file_status):
            of_no_use(("save_as_json",), "without `summarize` or `list_file_status`")
        if not self.moves:
            of_no_use(("split_import_path",), "without an option that moves photos, such as `move_all_images`")

    @property
    def moves(self) -> bool:
        """Whether photos are moved."""
        return self.move_all_images or self.move_duplicates or self.move_uploaded or self.move_sequences

    @property
    def asked(self) -> bool:
        """Whether there is anything to do."""
        return self.moves or self.summarize or self.list_file_status or self.save_local_mapping

    def warn(self) -> None:
        """Warn of options that have no effect."""
        if self.push_images:
            log.warning("`push_images` has no effect: uploads are finished as they are made")


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """
    Which of the positions recorded in videos are used.

    Parameters
    ----------
    source
        Where the positions of a video are taken from. "auto": the first that has any of {telemetry}.
    max_dop
        Leave out positions of a video whose dilution of precision is above this.
    keep_outliers
        Keep positions of a video that lie far from the others.
    """

    source: Telemetry
    max_dop: float
    keep_outliers: bool


INTERVAL_S = 2.0
"""Seconds between frames, unless the call says otherwise."""


def start_ms(moment: int | str | None) -> int | None:
    """
    Return the start of a video, milliseconds since 1970.

    Parameters
    ----------
    moment
        Such milliseconds, also as text; YYYY_MM_DD_HH_MM_SS_mmm in UTC, as mapillary_tools takes it; or ISO 8601 with
        an offset from UTC.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if moment is None or isinstance(moment, int):
        return moment
    from mlygeo.formats import times

    text = moment.strip()
    if text.isascii() and text.isdigit():
        return int(text)
    named = times.name_time(text)
    if named is not None and set(text) <= set("0123456789_"):
        return named.us // 1000
    found = times.read(text)
    if found is None or found.offset_s is None:
        why = "has no offset from UTC" if found is not None else "is no time"
        raise InputError(
            f"`video_start_time` {text[:40]!r} {why}",
            hint="milliseconds since 1970, 2021_10_10_10_10_10_123 (UTC), or 2021-10-10T10:10:10.123Z",
        )
    return found.us // 1000


@dataclass(frozen=True, kw_only=True)
class VideoSampling:
    """
    Which frames of videos are sampled, with which times and positions.

    Parameters
    ----------
    video_sample_interval
        Seconds of the video from one frame to the next.
    video_sample_distance
        Metres along the track from one frame to the next, instead of seconds; 0 takes every frame on the track. Below
        zero it is as if not given, as in mapillary_tools.
    video_start_time
        Time of the start of the video, which its further chapters follow: milliseconds since 1970 (UTC),
        YYYY_MM_DD_HH_MM_SS_mmm in UTC, or ISO 8601 with an offset from UTC. Default: the time of the GPS in the video,
        else the creation time in the file.
    video_duration_ratio
        Seconds of time to one second of the video: 0.5 for a video in slow motion at half the pace of life.
    track
        Where the videos went, by the times of their frames: a GPX, NMEA or CSV log, a tracks frame, or
        another video. Default: what the camera recorded in the video.
    """

    video_sample_interval: float
    video_sample_distance: float | None
    video_start_time: int | str | None
    video_duration_ratio: float
    track: FrameLike | None

    def __post_init__(self) -> None:
        """Take values below zero as mapillary_tools does, and the start as milliseconds."""
        if self.video_sample_distance is not None and self.video_sample_distance < 0:
            object.__setattr__(self, "video_sample_distance", None)
        if self.video_sample_distance is not None and self.video_sample_interval > 0:
            of_no_use(("video_sample_interval",), "beside `video_sample_distance`")
        if self.video_sample_distance is not None and self.video_sample_interval <= 0:
            object.__setattr__(self, "video_sample_interval", INTERVAL_S)
        if self.video_sample_distance is None and not self.video_sample_interval > 0:
            raise InputError(
                f"`video_sample_interval={self.video_sample_interval:g}` takes no frame, and no"
                " `video_sample_distance` is given",
                hint="one of them must be above zero",
            )
        object.__setattr__(self, "video_start_time", start_ms(self.video_start_time))

    @property
    def start_ms(self) -> int | None:
        """The start of the video, milliseconds since 1970."""
        return start_ms(self.video_start_time)


@dataclass(frozen=True, kw_only=True)
class VideoFrames:
    """
    Folder and decoder of the frames of videos.

    Parameters
    ----------
    import_path
        Folder for the frames, VIDEO.mp4/VIDEO_000001.jpg and so on. Default:
        mapillary_sampled_video_frames beside the videos.
    decoder
        "pyav" decodes by itself; "ffmpeg", or the path of such a program, has that program decode, for
        hardware and formats that PyAV was not built for.
    hardware
        Hardware that decodes, as the decoder names it: vaapi, cuda, videotoolbox, d3d11va, … Default: none.
    """

    import_path: PathLike | None
    rerun: bool
    decoder: str
    hardware: str | None


@dataclass(frozen=True, kw_only=True)
class Server:
    """
    Where users sign in and upload to.

    Parameters
    ----------
    provider
        The provider: mapillary or panoramax. Default: mapillary.
    endpoint
        Address of the instance of Panoramax, such as https://panoramax.openstreetmap.fr/api. Default:
        MLYGEO_PANORAMAX_URL of the environment.
    """

    provider: str | None
    endpoint: str | None

    def chosen(self, service: Service | None = None) -> Provider:
        """
        Return the one provider that is meant.

        Parameters
        ----------
        service
            Its service, if that was given.

        Raises
        ------
        InputError
            If there is none of this name, or these contradict each other.
        """
        from mlygeo.providers import provider, provider_of

        name = None if self.provider is None else self.provider.strip().lower()
        if service is not None:
            of_no_use(("endpoint",), "beside `service`")
            if name not in (None, service.provider):
                raise InputError(f"`service` is of {service.provider}, and `provider` asks for {self.provider}")
        who = provider_of(service) if name is None else provider(name)
        if self.endpoint is not None and not who.has_endpoints:
            raise InputError(f"`endpoint` is of no use for {who.title}, which has one service", hint=_ENDPOINTS)
        return who


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """
    The signed-in user, and the access to the service.

    Parameters
    ----------
    token
        Access token of the user. Better sign in, or use a file.
    token_file
        File with the access token. Default: of the user that signed in last.
    config_file
        Credentials file; only users in it are meant then. Default: the one that MAPILLARY_CONFIG_PATH
        of the environment names, else credentials.json in the user's configuration folder.
    service
        The service to speak to, with the token of a user; made from the above unless given.
    """

    token: str | None
    token_file: PathLike | None
    config_file: PathLike | None
    service: Service | None


@dataclass(frozen=True, kw_only=True)
class Described:
    """
    Which images of a folder are used: those in a description file.

    Parameters
    ----------
    desc_path
        Description file; on the command line a dash stands for standard input. Default: those of the folder and its
        subfolders.
    skip_subfolders
        Look only at the folder itself.
    """

    desc_path: PathLike | None
    skip_subfolders: bool


@dataclass(frozen=True, kw_only=True)
class Uploading:
    """
    What is uploaded, and how.

    Parameters
    ----------
    reupload
        Upload also what was uploaded before.
    manual_done
        Upload everything, but do not finish the uploads: a terminal asks for that at the end; else
        the same command without this option finishes them.
    file_types
        Only files of these types, with commas between: image, zip, gopro, blackvue, camm, and video for
        all videos. Default: all.
    number_threads
        Threads that prepare and send images; four of them send at once. Default: NUMBER_THREADS of
        the environment, else 5.
    max_attempts
        How often a request is tried until it counts as failed, tries in which bytes got through
        apart. Default: MAX_ATTEMPTS of the environment, else 50.
    """

    reupload: bool
    manual_done: bool
    file_types: str | None
    number_threads: int | None
    max_attempts: int | None


def parameter_texts(docstring: str) -> dict[str, str]:
    """
    Return the text of each parameter in a numpydoc docstring, without empty lines.

    Parameters
    ----------
    docstring
        The docstring; without a Parameters section the result is empty.
    """
    lines = inspect.cleandoc(docstring).splitlines()
    # A section begins with its title, underlined.
    titles = [place for place, below in enumerate(lines[1:]) if below.startswith("---")]
    start = next((place for place in titles if lines[place] == "Parameters"), None)
    if start is None:
        return {}
    end = next((place for place in titles if place > start), len(lines))
    texts: dict[str, list[str]] = {}
    name = ""
    for line in lines[start + 2 : end]:
        if line and not line.startswith(" "):
            name = line.strip()
            texts[name] = []
        elif line and name:
            texts[name].append(line)
    return {name: _filled("\n".join(text)) for name, text in texts.items()}


def _texts() -> dict[str, str]:
    texts: dict[str, str] = {}
    for kind in list(globals().values()):
        if isinstance(kind, type) and kind.__module__ == __name__:
            # The groups are ordered from common to special; functions choose a later text with `public_with`.
            texts = parameter_texts(kind.__doc__ or "") | texts
    return texts


def _filled(text: str) -> str:
    """Return a text with its placeholders replaced by the names of cameras."""
    if "{" not in text:
        return text
    *others, last = [f"{camera.kept_in} ({name})" for name, camera in cameras.CAMERAS.items()]
    videos = [source for source in get_args(GeotagSource) if source in cameras.VIDEO_SOURCES]
    filled = text.replace("{telemetry}", f"{', '.join(others)}, and {last}").replace("{videos}", ", ".join(videos))
    indent = "    "
    return text if filled == text else textwrap.indent(textwrap.fill(" ".join(filled.split()), 96), indent)


TEXTS = _texts()
"""The text of each option, for docstrings and the help of verbs."""
