"""
Searches of Panoramax: in boxes, split until no answer is full, or through the sequences of a user.

A search is never paged: a full answer has the pictures nearest to the middle of the box, and says nothing of the
others. Such a box is split into four, and where many pictures stand at one place, by time: at the median of the
times in the answer, so that each part has less. What still fills an answer, at one instant, is reported.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from mlygeo.errors import InputError, RegionError, ServiceError
from mlygeo.net.answers import QueryTimeoutError, RefusedError, TooMuchDataError
from mlygeo.net.workers import WorkerPool
from mlygeo.progress import counted
from mlygeo.providers.panoramax.items import Reading, item_id, read_time
from mlygeo.regions import Region
from mlygeo.spatial import boxes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlygeo.arrays import Bounds
    from mlygeo.progress import Bar, Progress

log = logging.getLogger("mlygeo.service")

Item = dict[str, Any]

LIMIT = 1000
"""Pictures asked for at once: some 10 MB, and 0.7 s of the server. It allows 10,000, which take ten times that."""

LIMITS_SEEN = frozenset({1_000, 10_000})
"""Limits that servers have of themselves: an answer of just so many may be cut off, whatever was asked for."""

CELL = 0.25
"""Longest side of a box that a search begins with, degrees: the server sorts all pictures of a box by distance."""

SPLITS = 18
"""How often a box is split at most: the smallest has a side of some 10 cm."""

MARGIN = 1e-8
"""Degrees, a millimetre, that each box reaches over its cell, so that no rounding of its bounds loses an edge."""

MOST_CELLS = 100_000
"""Most boxes that a search begins with; for larger areas use vector tiles or the export."""

ONE_PLACE = 1e-6
"""Degrees, ten centimetres: pictures within it are split by time, since further boxes would not tell them apart."""

REQUESTS_AT_LEAST, IMAGES_A_REQUEST = 1_000, 25
"""
Requests beyond five a box that any search may make, and new pictures for each further one: a server that says of
every box that it holds too much would be asked for ever.
"""

ROUNDS = 3
"""Times that a part or a sequence is asked for, each in all the tries of a request, until it counts as failed."""

REFUSED_IN_A_ROW = 16
"""Boxes that cannot be split further and are refused one after another, until the search ends."""


class Page(NamedTuple):
    """The answer to a search: its items, and whether it says that there are more."""

    items: list[Item]
    more: bool = False
    refused: bool = False


class Asks(Protocol):
    """What a search asks: see `mlygeo.providers.panoramax.api.Api`."""

    workers: int
    ended: ServiceError | None

    def found(self, query: Mapping[str, str], *, what: str) -> Page:
        """Return the answer to a search."""

    def user_ids(self, name: str) -> list[str]:
        """Return the ids of the users of a name."""

    def sequences_of(self, user_id: str) -> list[str]:
        """Return the ids of the sequences of a user."""

    def sequence_items(self, sequence_id: str) -> Iterator[list[Item]]:
        """Yield the items of a sequence, page by page."""


class Part(NamedTuple):
    """
    A part of a search: a box, how often it was split off, and from when to when; both ends belong to it.

    Its share is that of the box that the search began with; its round counts from 1.
    """

    bounds: Bounds
    depth: int = 0
    since: datetime | None = None
    until: datetime | None = None
    share: float = 1.0
    round: int = 1


class Search:
    """
    A search for pictures. It runs while it is read, once; afterwards it has the reasons of missing pictures.

    Parameters
    ----------
    asks
        The API.
    bbox
        Where: a box (west > east where it crosses the antimeridian) or a region, edges included.
    creator_username
        Pictures of the user of this name or id: those of all of the user's sequences are read.
    is_pano
        Panoramas only, or flat pictures only. Items do not answer to that, so it is looked at here.
    since, until
        Pictures captured from the one to the other time, both included; without a zone UTC.
    limit
        Pictures asked for at once.
    max_pages
        Pages at most, of a search without a box.
    progress
        Shows how far it is.

    Attributes
    ----------
    requests
        Answers read so far.
    truncated
        Parts of which pictures are missing, because even the smallest held too many.
    failed
        Parts, or sequences, that the server did not answer for, and why.
    cut_off
        Why further pages are missing; None where none are.
    of_unknown_kind
        Pictures left out since they may be panoramas or not.

    Raises
    ------
    InputError
        If nothing says where or whose, or an option makes no sense.
    RegionError
        If the box is too large.
    """

    def __init__(
        self,
        asks: Asks,
        *,
        bbox: Bounds | Region | None = None,
        creator_username: str | None = None,
        is_pano: bool | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = LIMIT,
        max_pages: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        if limit < 1 or (max_pages is not None and max_pages < 1):
            raise InputError("a search of no pages, or pages of no images, finds nothing")
        self._asks, self._limit, self._max_pages, self._progress = asks, limit, max_pages, progress
        self._region = bbox if isinstance(bbox, Region) or bbox is None else Region.from_bbox(*bbox)
        self._user, self._is_pano = creator_username, is_pano
        if self._region is None and creator_username is None:
            raise InputError("a search needs to know where or whose", hint="give a box or a user")
        self._since, self._until = _in_utc(since), _in_utc(until)
        if self._since is not None and self._until is not None and self._since > self._until:
            raise InputError("`since` is later than `until`", hint="exchange them")
        self._parts = []
        if self._region is not None and creator_username is None:
            self._parts = [Part(bounds, 0, self._since, self._until) for bounds in cells(self._region)]
        self._ids: set[str] = set()
        self._refused = 0
        self.requests = 0
        self.truncated: list[Part] = []
        self.failed: dict[str, str] = {}
        self.cut_off: str | None = None
        self.of_unknown_kind = 0

    @property
    def least_requests(self) -> int | None:
        """How many requests it takes at least; None where only the pages will tell."""
        return len(self._parts) or None

    @property
    def complete(self) -> bool:
        """Whether all pictures were found, once it has been read."""
        return not self.shortcomings()

    def shortcomings(self) -> list[str]:
        """Return why pictures may be missing, in words, a reason a line."""
        lines = [f"{_text(part)}: too many images for one answer" for part in self.truncated]
        lines += [f"{what}: {reason}" for what, reason in self.failed.items()]
        if self.of_unknown_kind:
            lines.append(f"{counted(self.of_unknown_kind, 'image')} may be panoramas or not, and were left out")
        return lines if self.cut_off is None else [*lines, self.cut_off]

    def __iter__(self) -> Iterator[list[Item]]:
        """
        Yield items as they come, each picture once.

        Raises
        ------
        UnknownUserError
            If there is no user of the name.
        ServiceError
            As `mlygeo.net.http.Client.get` raises them, if no items at all were received.
        """
        return self._in_boxes() if self._user is None else self._of_user(self._user)

    def _in_boxes(self) -> Iterator[list[Item]]:
        from mlygeo.progress import Progress

        pool = WorkerPool[Part, Page](self._ask, workers=self._asks.workers, name="search")
        with (self._progress or Progress()).bar("searching", total=len(self._parts), unit="cells") as bar:
            for part, answer in pool.results(iter(self._parts)):
                if isinstance(answer, Page):
                    self._take_in(part, answer, pool, bar)
                    yield self._new(answer.items)
                elif self._may_be_asked_again(answer, part.round):
                    pool.add([part._replace(round=part.round + 1)])
                elif isinstance(answer, ServiceError) and not self._asks.ended:
                    log.warning("%s", answer)
                    self.failed[_text(part)] = str(answer)
                    bar.advance(part.share)
                else:
                    raise self._asks.ended or answer
        if self.failed and not self.requests:
            raise ServiceError(f"no box could be searched; {next(iter(self.failed.values()))}", hint="try again later")
        log.info(
            "%d images in %d requests; %d parts cut off, %d not answered",
            len(self._ids), self.requests, len(self.truncated), len(self.failed),
        )  # fmt: skip

    def _ask(self, part: Part) -> Page:
        west, south, east, north = part.bounds
        box = (
            max(west - MARGIN, -180.0), max(south - MARGIN, -90.0), min(east + MARGIN, 180.0), min(north + MARGIN, 90.0)
        )  # fmt: skip
        query = {"bbox": ",".join(f"{side:.10f}" for side in box), "limit": str(self._limit)}
        if part.since is not None or part.until is not None:
            query["datetime"] = f"{_moment(part.since)}/{_moment(part.until)}"
        try:
            return self._asks.found(query, what=f"search in {_text(part)}")
        except (TooMuchDataError, QueryTimeoutError) as error:
            log.debug("%s", error)
            return Page([], more=True, refused=True)

    def _take_in(self, part: Part, answer: Page, pool: WorkerPool[Part, Page], bar: Bar) -> None:
        self.requests += 1
        count = len(answer.items)
        is_full = answer.more or count >= self._limit or count in LIMITS_SEEN
        parts = split(part, answer.items) if is_full and self._may_go_on() else []
        self._refused = 0 if not answer.refused else self._refused + (not parts)
        if self._refused >= REFUSED_IN_A_ROW:
            raise ServiceError(
                f"search in {_text(part)}: the server refuses even the smallest boxes", hint="try again later"
            )
        # An answer of a size that is a limit elsewhere, below the one asked for, may be whole.
        if is_full and not parts:
            log.warning("%s holds more images than the service tells of", _text(part))
            self.truncated.append(part)
        pool.add(parts)
        if not parts:
            bar.advance(part.share)

    def _of_user(self, name: str) -> Iterator[list[Item]]:
        from mlygeo.progress import Progress

        sequences = [each for user in self._asks.user_ids(name) for each in self._asks.sequences_of(user)]
        pages, rounds = 0, Counter[str]()
        with (self._progress or Progress()).bar("searching", total=len(sequences), unit="sequences") as bar:
            pool = WorkerPool[str, "list[list[Item]]"](
                lambda sequence: list(self._asks.sequence_items(sequence)),
                workers=min(self._asks.workers, 8),
                name="search",
            )
            for sequence, answer in pool.results(iter(dict.fromkeys(sequences))):
                rounds[sequence] += 1
                if self._may_be_asked_again(answer, rounds[sequence]):
                    pool.add([sequence])
                    continue
                bar.advance()
                if isinstance(answer, ServiceError) and not self._asks.ended:
                    log.warning("%s", answer)
                    self.failed[f"sequence {sequence}"] = str(answer)
                    continue
                if not isinstance(answer, list):
                    raise self._asks.ended or answer
                for page in answer:
                    self.requests += 1
                    pages += 1
                    yield self._new(page)
                if self._max_pages is not None and pages >= self._max_pages and sequence != sequences[-1]:
                    self.cut_off = f"stopped after {counted(pages, 'page')}, as asked; there are more"
                    break
        if self.failed and not self.requests:
            raise ServiceError(f"no sequence was answered; {next(iter(self.failed.values()))}", hint="try again later")
        log.info("%d images of %d sequences", len(self._ids), len(sequences))

    def _may_be_asked_again(self, answer: Page | list[list[Item]] | Exception, round_: int) -> bool:
        """Return whether an error may pass, and has not come too often."""
        may_pass = isinstance(answer, ServiceError) and not isinstance(answer, RefusedError)
        return may_pass and self._asks.ended is None and round_ < ROUNDS

    def _may_go_on(self) -> bool:
        """Return whether the pictures found so far are worth the requests made for them."""
        most = REQUESTS_AT_LEAST + 5 * len(self._parts) + len(self._ids) // IMAGES_A_REQUEST
        return self.requests < most

    def _new(self, items: list[Item]) -> list[Item]:
        """Return the items that meet all conditions and are new."""
        new = []
        for item in items:
            id_ = item_id(item)
            if id_ in self._ids:
                continue
            self._ids.add(id_)
            row = Reading(item).row if self._is_pano is not None or self._user is not None else None
            if row is not None and not self._is_wanted(row):
                continue
            new.append(item)
        if self._region is not None and new:
            lonlat = np.array([_position(item) for item in new])
            # An item without a position may lie in the region.
            inside = self._region.contains(*lonlat.T) | np.isnan(lonlat[:, 0])
            new = [item for item, kept in zip(new, inside, strict=True) if kept]
        return new

    def _is_wanted(self, row: Mapping[str, Any]) -> bool:
        captured = row.get("captured_at")
        if self._since is not None and (captured is None or captured < self._since):
            return False
        if self._until is not None and (captured is None or captured > self._until):
            return False
        if self._is_pano is None:
            return True
        self.of_unknown_kind += row.get("is_pano") is None
        return row.get("is_pano") is self._is_pano


def split(part: Part, items: list[Item]) -> list[Part]:
    """
    Return the parts of a part whose answer was full: four boxes, or two spans of time; none below the floor.

    Parameters
    ----------
    part
        The part.
    items
        The answer.
    """
    west, south, east, north = part.bounds
    lonlat = np.array([_position(item) for item in items], dtype=np.float64).reshape(-1, 2)
    known = lonlat[~np.isnan(lonlat[:, 0])]
    at_one_place = len(known) > 0 and bool((np.ptp(known, axis=0) < ONE_PLACE).all())
    if part.depth < SPLITS and not at_one_place and max(east - west, north - south) > ONE_PLACE:
        x, y = (west + east) / 2, (south + north) / 2
        quarters = [(west, south, x, y), (x, south, east, y), (west, y, x, north), (x, y, east, north)]
        return [part._replace(bounds=bounds, depth=part.depth + 1, share=part.share / 4) for bounds in quarters]
    times = sorted(
        time for item in items if (time := read_time((item.get("properties") or {}).get("datetime"))) is not None
    )
    if not times:
        return []
    middle = times[(len(times) - 1) // 2]
    if times[0] == times[-1]:  # one instant: what is before it is parted off, then what is after it
        middle = times[0] - _TICK if part.since is None or part.since < times[0] else times[0]
    elif middle == times[-1]:
        middle = next(time for time in reversed(times) if time < times[-1])
    if (part.since is not None and middle < part.since) or (part.until is not None and middle >= part.until):
        return []
    half = part._replace(share=part.share / 2)
    return [half._replace(until=middle), half._replace(since=middle + _TICK)]


_TICK = timedelta(microseconds=1)


def cells(region: Region) -> list[Bounds]:
    """
    Return the boxes that a search in a region begins with, each at most `CELL` wide and high.

    Parameters
    ----------
    region
        The region; boxes that only its bounding box meets are left out. None crosses the antimeridian.

    Raises
    ------
    RegionError
        If there would be too many.
    """
    import shapely

    parts = []
    for west, south, east, north in boxes.split(region.bounds):
        columns, rows = (max(1, math.ceil((high - low) / CELL)) for low, high in ((west, east), (south, north)))
        if columns * rows > MOST_CELLS:
            raise _too_large(columns * rows, region)
        x, y = np.linspace(west, east, columns + 1), np.linspace(south, north, rows + 1)
        column, row = (grid.ravel() for grid in np.meshgrid(np.arange(columns), np.arange(rows)))
        parts.append(np.column_stack([x[column], y[row], x[column + 1], y[row + 1]]))
    bounds = np.concatenate(parts)
    if not region.is_box:
        shapely.prepare(region.geometry)
        bounds = bounds[shapely.intersects(region.geometry, shapely.box(*bounds.T))]
    return [(west, south, east, north) for west, south, east, north in bounds.tolist()]


def _too_large(count: int, region: Region) -> RegionError:
    return RegionError(
        f"{region.name} has {count:,} boxes to search, and more than {MOST_CELLS:,} are too many",
        hint="take a smaller region, its vector tiles, or the weekly export",
    )


def _position(item: Item) -> tuple[float, float]:
    geometry = item.get("geometry")
    found = geometry.get("coordinates") if isinstance(geometry, dict) else None
    if isinstance(found, list) and len(found) >= 2 and all(type(each) in {int, float} for each in found[:2]):
        return float(found[0]), float(found[1])
    return math.nan, math.nan


def _in_utc(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _moment(time: datetime | None) -> str:
    """Return a time for an interval; one without an end is written with two dots."""
    return ".." if time is None else time.isoformat().replace("+00:00", "Z")


def _text(part: Part) -> str:
    where = ",".join(f"{side:.7g}" for side in part.bounds)
    if part.since is None and part.until is None:
        return where
    return f"{where} from {_moment(part.since)} to {_moment(part.until)}"
