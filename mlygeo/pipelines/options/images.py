"""Options on images of a region and on points along its streets; and those without a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mlygeo.errors import InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.options.groups import dataclass

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from concurrent.futures import Executor
    from datetime import datetime

    from distributed import Client

    from mlygeo.spatial.best import Preference
    from mlygeo.spatial.towards import Looking

    PathLike = str | os.PathLike[str]

Method = Literal["even", "percept"]
"""Methods of laying points along streets."""

Per = Literal["year", "month", "sequence", "creator"]
"""What images are counted by."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """
    Options without a group.

    Parameters
    ----------
    region
        A bounding box (west, south, east, north), a `Region`, a configuration file, a file of polygons or a shapely
        polygon. Default: the area of the streets or points.
    streets
        File of streets (in Python also a frame): .osm.pbf, .osm, .osm.gz, .osm.bz2, .graphml or any vector file of
        lines. Default: streets are requested from OpenStreetMap.
    images
        File of images with a column id (in Python also a frame), used instead of the region's vector tiles. A
        dataset made by `partition` is read part by part: memory does not grow with its size, and the result is the
        same.
    retain_all
        Keep streets that are not connected to the largest street network.
    config_file
        Credentials file; a file of mapillary_tools keeps its form. Default: the file named by the environment
        variable MAPILLARY_CONFIG_PATH, else credentials.json in the user configuration folder.
    progress
        Where progress is shown; None shows none.
    import_path
        Folder of photos, including its subfolders; or one photo.
    header
        The first row contains the column names.
    """


@dataclass(frozen=True, kw_only=True)
class Filters:
    """
    Filters of images.

    Parameters
    ----------
    pano
        Keep only panoramas, or only flat images.
    since
        Keep images captured at or after this time (ISO 8601), such as 2024-06-30T12:00:00Z. A year, month, week or
        day (2024, 2024-06, 2024-W26, 2024-06-30) means its beginning. UTC, unless another zone is given.
    until
        Keep images captured before this time (ISO 8601). A year, month, week or day is included as a whole.
    creator
        Keep images by this creator (id). Can be given several times.
    organization
        Keep images of this organization (id). Can be given several times.
    min_quality
        Keep images with at least this quality score, 0 to 1.
    where
        Keep images that meet this condition on any of their columns, such as "blur >= 100 and sun_altitude > 0". It
        may contain comparisons (=, !=, <, <=, >, >=), "in ('a', 'b')", "is null" and "is not null", joined by and,
        or, not and parentheses. Put text and times in quotes. Images that lack a value the condition needs are left
        out and counted.
    """

    pano: bool | None
    since: str | datetime | None
    until: str | datetime | None
    creator: int | str | Iterable[int | str] | None
    organization: int | str | Iterable[int | str] | None
    min_quality: float | None
    where: str | None

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
            where=self.where,
        )


@dataclass(frozen=True, kw_only=True)
class TileOptions:
    """
    How the vector tiles of a region are fetched.

    Parameters
    ----------
    tile_list_file
        Use only the tiles listed in this file, one cache file name per line. Can be given several times.
    tile_cache
        Folder for vector tiles, or with the GeoJSON files of percept-vsvi-filter. Tiles in it are not fetched
        again. Default: the folder in the configuration file, else the user cache folder.
    computed
        Use the positions that the provider computed by 3D reconstruction, instead of the original ones.
    overwrite
        Fetch all tiles again.
    max_age
        Fetch tiles that are older than this many days again.
    workers
        Number of tiles to fetch at once. For a dataset of images, the number of processes; there the default is one
        process.
    geojson
        Store tiles as GeoJSON files without an ending instead of vector tiles, as percept-vsvi-filter does.
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
class Plane:
    """
    The CRS in which distances are measured.

    Parameters
    ----------
    srid
        EPSG code of the projected coordinate reference system (CRS) for measuring distances, such as 25832.
        Default: the UTM zone of the streets, and for distances the UTM zone of each point.
    force_srid
        Continue even if the region lies outside the area of use of the CRS.
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
        "even" cuts each street into equal parts and puts a point in the middle of each, so that every place on a
        street is within the interval of a point. "percept" lays the points of percept-vsvi-filter, which skips
        streets shorter than the interval.
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
        Largest distance from point to image, metres, inclusive. "inf" (in Python also None) means no limit.
    k
        Number of images for each point.
    unique
        Use each image for one point only.
    max_heading_difference
        Largest angle between the viewing direction of the camera and the street (in either direction), degrees.
        Panoramas always pass.
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
class Preferring:
    """
    What is preferred to the nearest image.

    Parameters
    ----------
    prefer
        Select the images with the highest score instead of the nearest. Scores come from a rule, "project-sidewalk"
        (distance, resolution, age, and the sequence of the image at the neighbouring point) or "newest", or from a
        file of weights (JSON or TOML).
    as_of
        Date from which the age of images is counted (ISO 8601). A year, month, week or day means its end. Default:
        the capture time of the newest image, before any filter.
    max_along
        Largest distance from point to image along the street, forwards or backwards, metres.
    max_across
        Largest distance from point to image across the street, to either side, metres.
    per
        Select `k` images separately for each "year" or "month" of capture (UTC), "sequence" or "creator".
    """

    prefer: PathLike | None
    as_of: str | datetime | None
    max_along: float | None
    max_across: float | None
    per: Per | None

    def preference(self, matching: Matching) -> Preference | None:
        """
        Return what is preferred, without a date where none was given; None for nothing but the nearest.

        Parameters
        ----------
        matching
            Which images match a point.

        Raises
        ------
        InputError
            If an option makes no sense, or has no effect.
        """
        along, across = (None if most == float("inf") else most for most in (self.max_along, self.max_across))
        wanted = {"prefer": self.prefer, "max_along": along, "max_across": across, "per": self.per}
        given = [name for name, value in wanted.items() if value is not None]
        if not given:
            of_no_use(("as_of",), "without `prefer`")
            return None
        from mlygeo.readers import rules
        from mlygeo.spatial.best import Preference

        named = " and ".join(f"`{name}`" for name in given)
        if matching.unique:
            raise InputError(
                f"`unique` is not possible with {named}: it takes the shortest of all pairs first",
                hint="leave out one of them",
            )
        if matching.limit is None:
            raise InputError(
                f"{named} {'needs' if len(given) == 1 else 'need'} a largest distance, and `max_distance` sets none",
                hint="name the largest distance, such as `max_distance=100`",
            )
        rule = None if self.prefer is None else rules.rule_of(self.prefer)
        as_of_us = None
        if rule is None or "age" not in rule.weights:
            of_no_use(("as_of",), "without a rule that weighs 'age'")
        elif self.as_of is not None:
            as_of_us = _microseconds(self.as_of)
        return Preference(rule, as_of_us, along, across, self.per)


@dataclass(frozen=True, kw_only=True)
class Towards:
    """
    Which images look at things.

    Parameters
    ----------
    towards
        Select images that look at these things, instead of images near street points: a vector file (in Python also
        a frame) of points, lines or building footprints. For a footprint, the nearest place on its outline counts.
    min_distance
        Smallest distance from image to thing, metres, inclusive. Default: none.
    apart
        Smallest angle between the directions from which two images look at the same thing, degrees.
    field_of_view
        Horizontal field of view of flat images, degrees, used if neither image nor camera provides it. Without this
        option, such images are left out.
    """

    towards: Any
    min_distance: float | None
    apart: float | None
    field_of_view: float | None

    def check(self) -> None:
        """
        Raise for what makes no sense, or has no effect.

        Raises
        ------
        InputError
            Naming the option.
        """
        if self.towards is None:
            of_no_use(("min_distance", "apart", "field_of_view"), "without `towards`")
            return
        of_no_use(NOT_TOWARDS, "with `towards`")
        if self.field_of_view is not None and not 0 < self.field_of_view <= 360:
            raise InputError(f"`field_of_view` must lie above 0 and up to 360 degrees, not {self.field_of_view}")

    def looking(self, matching: Matching) -> Looking:
        """Return which images look at a thing; raise InputError for what makes no sense."""
        from mlygeo.spatial.towards import Looking

        if matching.limit is None:
            raise InputError(
                "`towards` needs a largest distance, and `max_distance` sets none",
                hint="name the largest distance, such as `max_distance=50`",
            )
        return Looking(self.min_distance, matching.limit, self.apart)


NOT_TOWARDS = (
    "streets", "points", "interval", "method", "retain_all", "unique", "max_heading_difference", "max_along",
    "max_across", "per",
)  # fmt: skip
"""Options on points along streets, which things are not."""


def _microseconds(moment: str | datetime) -> int:
    """Return the end of a date that was given, microseconds since 1970."""
    from mlygeo import periods

    since = periods.period(moment, "as_of").end - periods.EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


@dataclass(frozen=True, kw_only=True)
class Spread:
    """
    Who works on the parts of a dataset.

    Parameters
    ----------
    scheduler
        Address of a running Dask scheduler, such as tcp://10.0.0.1:8786, whose workers process the parts. The
        workers need mlygeo and access to the same folders under the same paths.
    executor
        An executor of `concurrent.futures` that processes the parts. It is not shut down.
    client
        A Dask client whose workers process the parts. It is not closed.
    part
        Process only a share of the parts, such as 3/8 for the third of eight; for job arrays on a cluster. When all
        shares are done, run the same command without this option to combine the results.
    """

    scheduler: str | None
    executor: Executor | None
    client: Client | None
    part: str | None

    def check(self, workers: int | None) -> None:
        """
        Raise for what makes no sense together.

        Parameters
        ----------
        workers
            Number of processes, where it was given.
        """
        named = {"workers": workers, "scheduler": self.scheduler, "executor": self.executor, "client": self.client}
        several = [f"`{name}`" for name, value in named.items() if value is not None]
        if len(several) > 1:
            raise InputError(f"{' and '.join(several)} all say who works on the parts", hint="give one of them")
        if self.executor is not None and not callable(getattr(self.executor, "submit", None)):
            raise InputError(f"`executor` takes an executor of concurrent.futures, not {type(self.executor).__name__}")
        if self.client is not None and not callable(getattr(self.client, "get_executor", None)):
            raise InputError(f"`client` takes a Dask client, not {type(self.client).__name__}")
        self.share  # noqa: B018 - raises

    @property
    def share(self) -> tuple[int, int] | None:
        """The number of a share, from 0, and how many there are; None for all."""
        if self.part is None:
            return None
        one, slash, of = self.part.partition("/")
        if slash and one.strip().isdecimal() and of.strip().isdecimal() and 1 <= int(one) <= int(of):
            return int(one) - 1, int(of)
        raise InputError(f"`part` is a share such as 3/8, the third of eight, not {self.part!r}")
