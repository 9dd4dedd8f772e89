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
        A `Region`, a bounding box (west, south, east, north), a configuration file, a polygon file or a shapely
        polygon. Without one, the region is where the streets or points are.
    streets
        Streets frame, or a file of streets: .osm.pbf, .osm, .osm.gz, .osm.bz2, .graphml or any
        vector file of lines. Default: OpenStreetMap, asked over the network.
    images
        Images frame, or a file of images with an `id`, instead of the region's vector tiles. Of a dataset, as
        `partition` makes one, images are read part by part: memory does not grow with the dataset, and the
        result is the same.
    retain_all
        Keep streets that are not connected to the largest street network.
    config_file
        Credentials file; a file of mapillary_tools keeps its form. Default: the file that the environment
        variable MAPILLARY_CONFIG_PATH names, else credentials.json in the user's configuration folder.
    progress
        Where progress is shown; None shows none.
    import_path
        The folder of photos, with its subfolders; or one photo.
    header
        The first row has the names of the columns.
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
    where
        Take images that meet this condition on any of their columns, such as "blur >= 100 and sun_altitude >
        0": comparisons (=, !=, <, <=, >, >=), "in ('a', 'b')", "is null" and "is not null", joined by and, or,
        not and parentheses. Put text and times in quotes. Images for which a value is missing, so that the
        condition is unknown, are left out and counted.
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
        Use only the tiles that this file names, one cache file name per line; may be given several times.
    tile_cache
        Folder for vector tiles, or with the GeoJSON files of percept-vsvi-filter; tiles in it are not fetched
        again. Default: the folder in the configuration file, else the user's cache folder.
    computed
        Use the positions that the provider computed by 3D reconstruction, instead of the original ones.
    overwrite
        Fetch every tile again.
    max_age
        Fetch tiles again that are older than this many days.
    workers
        How many tiles to fetch at once. With a dataset of images that is processed part by part: the number of
        processes. Default there: this process alone.
    geojson
        Store the tiles as GeoJSON files instead of vector tiles, without an ending, as percept-vsvi-filter
        names them and its tutorial reads them.
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
        EPSG code of the projected coordinate reference system (CRS) in which distances are measured, such as
        25832. Default: the UTM zone of the streets, and for distances that of each point.
    force_srid
        Go on although the region lies outside the area for which the CRS is made.
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
        "even": each street is cut into equal parts with a point in the middle of each, so that every place on a
        street is within the interval of a point. "percept": the points of percept-vsvi-filter, which has none
        on streets shorter than the interval.
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
        Largest distance from point to image, metres; the limit itself is included. None ("inf" on the command
        line): no limit.
    k
        How many images for each point.
    unique
        Use each image for one point only.
    max_heading_difference
        Largest angle between the direction of the camera and that of the street (either way), degrees.
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
        Take the images with the highest score instead of the nearest: by a rule, "project-sidewalk" (distance,
        resolution, age, and the sequence of the neighbouring point's image) or "newest", or by a file of
        weights (JSON or TOML).
    as_of
        Date from which the age of images is counted (ISO 8601; a year, month, week or day counts to its end).
        Default: the capture time of the newest image, before any filter.
    max_along
        Largest distance from point to image along the street, metres, ahead or back.
    max_across
        Largest distance from point to image across the street, metres, to either side.
    per
        Choose `k` images for each "year" or "month" of capture (UTC), "sequence" or "creator" separately.
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
        given = [name for name, value in vars(self).items() if value is not None and name != "as_of"]
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
        return Preference(rule, as_of_us, self.max_along, self.max_across, self.per)


@dataclass(frozen=True, kw_only=True)
class Towards:
    """
    Which images look at things.

    Parameters
    ----------
    towards
        Choose images that look at these things, instead of images near street points: a frame or vector file of
        points, lines or building footprints. Of a footprint, the nearest place on its outline counts.
    min_distance
        Smallest distance from image to thing, metres; the limit itself is included. Default: none.
    apart
        Smallest angle between the directions from which the images of one thing look at it, degrees; with `k`
        above 1.
    field_of_view
        Horizontal field of view of flat images, degrees, used where neither image nor camera gives it. Without
        this option, such images are left out.
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
        if matching.k == 1:
            of_no_use(("apart",), "with `k=1`, where one image looks at a thing")
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
        Address of a running Dask scheduler, such as tcp://10.0.0.1:8786, whose workers process the parts. They
        need mlygeo, and the same folders under the same paths.
    executor
        An executor of `concurrent.futures` that processes the parts. It is not shut down.
    client
        A Dask client whose workers process the parts. It is not closed.
    part
        Process only a share of the parts, such as 3/8 for the third of eight; for job arrays on a cluster. When
        all shares are done, the same command without this option brings the results together.
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
