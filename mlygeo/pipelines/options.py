"""
The options that several functions take, in typed groups; the text of each stands here once.

A function names its options in its signature, makes the groups from them by name, and hands the groups on.
Every field of a group is required, so that the type checker sees an option that is left out, and the linter
one that nobody takes. Where a text does not suit a function, its own docstring has another.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from mlygeo.errors import FileError, InputError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from datetime import datetime

    from mlygeo.net.http import Service

    PathLike = str | os.PathLike[str]

    from mlygeo.photos.tags import Overwrite


Method = Literal["even", "percept"]
"""How points are laid along streets."""

Source = Literal["exif", "gpx", "nmea", "csv", "gopro_videos", "blackvue_videos", "camm_videos"]
"""Where times and positions come from."""

OTHER_SOURCES: dict[str, Source] = {
    "native": "exif",
    "exiftool": "exif",
    "exiftool_runtime": "exif",
    "gopro": "gopro_videos",
    "blackvue": "blackvue_videos",
    "camm": "camm_videos",
}
"""What mapillary_tools calls them today -> ours, which are those of 2019; what exiftool finds in photos is read."""

TURNS = {0: 1, 90: 8, 180: 3, 270: 6}
"""EXIF's orientation for degrees that a picture is stored turned by, clockwise, as the older tools have it."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shared:
    """
    Options that belong to no group.

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
    progress
        Where progress is shown; None shows none.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """
    Which images are taken.

    Parameters
    ----------
    pano
        Take only panoramas, or only flat pictures.
    since
        Take images captured at or after this time (ISO 8601, UTC).
    until
        Take images captured before this time; a date without a time includes that day.
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
        """Return those that were given, checked; see `mlygeo.filters.conditions_of`."""
        from mlygeo import filters

        return filters.conditions_of(
            pano=self.pano,
            since=self.since,
            until=self.until,
            creator=self.creator,
            organization=self.organization,
            min_quality=self.min_quality,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TileOptions:
    """
    How the vector tiles of a region are fetched.

    Parameters
    ----------
    tile_list_file
        Work only on the tiles named in this file, a cache file name a line.
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
    """

    tile_list_file: PathLike | None
    tile_cache: PathLike | None
    computed: bool
    overwrite: bool
    max_age: float | None
    workers: int


@dataclass(frozen=True, kw_only=True, slots=True)
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
        The service to speak to; made from the above unless given.
    """

    token: str | None
    token_file: PathLike | None
    service: Service | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plane:
    """
    The plane that distances are measured in.

    Parameters
    ----------
    srid
        EPSG code of the projected CRS to measure in. Default: the UTM zone of the region.
    force_srid
        Go on although the region lies outside the CRS's area of use.
    """

    srid: int | None
    force_srid: bool


@dataclass(frozen=True, kw_only=True, slots=True)
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Matching:
    """
    Which images are near enough to a point.

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


@dataclass(frozen=True)
class User:
    """Whose photos they are."""

    user_name: str | None = None
    organization_name: str | None = None
    organization_key: str | None = None
    private: bool = False


@dataclass(frozen=True)
class MetaData:
    """What is told of camera and files beside what they say."""

    device_make: str | None = None
    device_model: str | None = None
    add_file_name: bool = False
    exclude_import_path: bool = False
    exclude_path: str | None = None
    windows_path: bool = False
    add_import_date: bool = False
    orientation: int | None = None
    gps_accuracy: float | None = None
    camera_uuid: str | None = None
    custom_meta_data: str | None = None

    def __post_init__(self) -> None:
        """Raise for what makes no sense."""
        if self.orientation is not None and self.orientation not in TURNS:
            raise InputError(f"--orientation is 0, 90, 180 or 270 degrees, not {self.orientation}")
        if self.gps_accuracy is not None and not 0 <= self.gps_accuracy < float("inf"):
            raise InputError(f"--gps-accuracy must be 0 metres or more, not {self.gps_accuracy}")
        if self.exclude_import_path and self.exclude_path:
            raise InputError("--exclude-import-path and --exclude-path both say what is cut off", hint="give one")


@dataclass(frozen=True)
class Geotagging:
    """Where times, positions and headings come from."""

    geotag_source: Source = "exif"
    geotag_source_path: Any = None
    local_time: bool = False
    sub_second_interval: float = 0.0
    offset_time: float = 0.0
    offset_angle: float = 0.0
    interpolation_offset_time: float = 0.0
    use_gps_start_time: bool = False
    max_gap: float | None = None

    def __post_init__(self) -> None:
        """Raise for what makes no sense."""
        object.__setattr__(self, "geotag_source", source_named(self.geotag_source))
        for name, value in (
            ("offset-time", self.offset_time),
            ("offset-angle", self.offset_angle),
            ("interpolation-offset-time", self.interpolation_offset_time),
        ):
            if not abs(value) < float("inf"):
                raise InputError(f"--{name} must be a number, not {value}")
        if not 0 <= self.sub_second_interval < float("inf"):
            raise InputError(f"--sub-second-interval must be 0 seconds or more, not {self.sub_second_interval}")
        if self.geotag_source == "exif" and self.use_gps_start_time:
            raise InputError("--use-gps-start-time needs a track to start from", hint="name its --geotag-source")
        if self.geotag_source == "exif" and self.interpolation_offset_time:
            raise InputError("--interpolation-offset-time needs a track", hint="name its --geotag-source")
        if self.geotag_source == "exif" and self.geotag_source_path is not None:
            raise InputError(
                f"--geotag-source-path {self.geotag_source_path} is of no use to --geotag-source exif",
                hint="name what it is: --geotag-source gpx, nmea, csv, …",
            )


@dataclass(frozen=True)
class Cutting:
    """How sequences are made."""

    cutoff_distance: float = 600.0
    cutoff_time: float = 60.0
    max_images: int = 500
    interpolate_directions: bool = False
    offset_angle: float = 0.0
    keep_duplicates: bool = False
    duplicate_distance: float = 0.1
    duplicate_angle: float = 5.0
    max_speed: float = 400.0

    def __post_init__(self) -> None:
        """Raise for what makes no sense, before any photo is read."""
        for name in ("cutoff_distance", "cutoff_time", "duplicate_distance", "duplicate_angle"):
            if not (value := getattr(self, name)) >= 0:
                raise InputError(f"--{name.replace('_', '-')} must be 0 or more, not {value}")
        if self.max_images < 1:
            raise InputError(f"--max-images must be 1 or more, not {self.max_images}")
        if not self.max_speed > 0:
            raise InputError(f"--max-speed must be above 0 km/h, not {self.max_speed}")


@dataclass(frozen=True)
class Insertion:
    """What is written into the photos, and where."""

    skip_exif_insert: bool = False
    keep_original: bool = False
    overwrite_all_exif_tags: bool = False
    overwrite_exif_time_tag: bool = False
    overwrite_exif_gps_tag: bool = False
    overwrite_exif_direction_tag: bool = False
    overwrite_exif_orientation_tag: bool = False

    @property
    def overwrite(self) -> tuple[Overwrite, ...]:
        """The tags that are written beside the image description."""
        kinds: dict[Overwrite, bool] = {
            "all": self.overwrite_all_exif_tags,
            "time": self.overwrite_exif_time_tag,
            "gps": self.overwrite_exif_gps_tag,
            "direction": self.overwrite_exif_direction_tag,
            "orientation": self.overwrite_exif_orientation_tag,
        }
        return tuple(kind for kind, asked in kinds.items() if asked)


@dataclass(frozen=True)
class Sorting:
    """What is done with a folder of photos after all else."""

    summarize: bool = False
    list_file_status: bool = False
    save_as_json: bool = False
    save_local_mapping: bool = False
    move_all_images: bool = False
    move_duplicates: bool = False
    move_uploaded: bool = False
    move_sequences: bool = False
    split_import_path: Any = None
    push_images: bool = False

    def __post_init__(self) -> None:
        """Raise where photos would be moved to nowhere, before anything is done."""
        goal = self.split_import_path
        if goal is not None and not Path(goal).expanduser().is_dir():
            raise FileError(f"{goal} is no folder", hint="make it, or leave --split-import-path out")

    @property
    def moves(self) -> bool:
        """Whether photos are moved."""
        return self.move_all_images or self.move_duplicates or self.move_uploaded or self.move_sequences

    @property
    def asked(self) -> bool:
        """Whether there is anything to do."""
        return self.moves or self.summarize or self.list_file_status or self.save_local_mapping


def source_named(name: str) -> Source:
    """Return our name of a source; of several with commas between, as mapillary_tools takes them, that of them all."""
    found = {OTHER_SOURCES.get(part.strip(), part.strip()) for part in str(name).split(",")}
    return found.pop() if len(found) == 1 else name  # type: ignore[return-value]


def taken(kind: type[T], options: dict[str, Any]) -> T:
    """
    Return the settings of a kind, from the options of a call; those that it lacks have their defaults.

    Parameters
    ----------
    kind
        One of the classes here.
    options
        The options of a call. Settings that several kinds share stay in it.
    """
    return kind(**{field.name: options[field.name] for field in fields(kind) if field.name in options})  # type: ignore[arg-type]


def parameter_texts(docstring: str) -> dict[str, str]:
    """
    Return what a numpydoc docstring says of each parameter, as it stands there, without empty lines.

    Parameters
    ----------
    docstring
        Without a Parameters section there is nothing to return.
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
    return {name: "\n".join(text) for name, text in texts.items()}


def _texts() -> dict[str, str]:
    texts: dict[str, str] = {}
    for kind in list(globals().values()):
        if isinstance(kind, type) and kind.__module__ == __name__:
            texts |= parameter_texts(kind.__doc__ or "")
    return texts


TEXTS = _texts()
"""What is said of each option, in docstrings and in the help of verbs."""
