"""
Searches of the Graph API: in boxes, split until nothing is cut off, or page by page.

A search in a box is not paged, and a full answer is a truncated sample. Boxes therefore begin
small, and one whose answer is full, or that the service refuses, is split into four, down to a
floor; what is still cut off there is reported. A search by creator or organization is paged.
The documented limit of a box, "0.01 degrees square", has been read as an area and as a side; the
boxes that a search begins with satisfy both.
"""

from __future__ import annotations

import logging
import math
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import parse_qs, urlsplit

import numpy as np

from mlygeo.errors import FormatError, InputError, RegionError, ServiceError, TokenRejectedError
from mlygeo.net.answers import QueryTimeoutError, TooMuchDataError
from mlygeo.net.workers import WorkerPool
from mlygeo.progress import counted
from mlygeo.providers.mapillary.answers import Record, data_of, id_of
from mlygeo.regions import Region
from mlygeo.spatial import boxes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mlygeo.arrays import Bounds
    from mlygeo.progress import Bar, Progress


__all__ = [
    "CELL",
    "LEAST_LIMIT",
    "LIMIT",
    "LIMITS_SEEN",
    "MARGIN",
    "MOST_CELLS",
    "REFUSED_IN_A_ROW",
    "SPLITS",
    "STALE_PAGES",
    "Cell",
    "Found",
    "Search",
    "cells",
]

log = logging.getLogger("mlygeo.service")

LIMIT = 1000
"""Images asked for at once. The service allows 2,000, which often time out."""

LEAST_LIMIT = 25
"""Images a page at the fewest, where the service refuses larger pages."""

LIMITS_SEEN = frozenset({100, 1000, 2000})
"""Limits of the service's own that have been observed: an answer of just so many may be cut off."""

REFUSED_IN_A_ROW = 16
"""Smallest boxes refused one after another, until the search ends: the service refuses any."""

STALE_PAGES = 3
"""Pages one after another without a new image, after which a search's end is given up."""

MOST_PAGES = 5_000
"""Pages of a search beyond four a box, after which it is cut off: five million images."""

PAGES_AT_LEAST, IMAGES_A_PAGE = 1_000, 25
"""
Pages that any search may ask for beyond four a box, and new images for each further one: a service that
always names one more page, or says of every box that it holds too much, would be asked for ever.
"""

PAGES_A_BOX = 10
"""Pages of one box, which is split into four then."""

CELL = 0.01
"""Longest side of a box that is asked for, degrees."""

SPLITS = 10
"""How often a cell is split at most: the smallest has a side of about a metre."""

MARGIN = 1e-7
"""
Degrees, a centimetre, that each box reaches over its cell, so that an image just on the edge of two
is found whether the service counts edges as inside or not.
"""

MOST_CELLS = 100_000
"""Most cells of one search; for larger areas use vector tiles."""


class Found(NamedTuple):
    """The answer to a request: records, whether there would be more, and the cursor of the next page."""

    records: list[Record]
    full: bool = False
    after: str | None = None
    refused: bool = False


class Get(Protocol):
    """Asks for a page of a search."""

    def __call__(
        self, query: dict[str, str], asked: Sequence[str], *, what: str, read: Callable[[Record], Found]
    ) -> Found:
        """
        Return what is read from the answer to a query.

        Parameters
        ----------
        query
            Its parameters; what stands in `fields` is replaced.
        asked
            The fields wanted.
        what
            What is asked for, for messages.
        read
            Reads the JSON object that came.
        """


class Search:
    """
    A search for images. It runs while it is read, once; afterwards it has the reasons of missing images.

    Parameters
    ----------
    get
        Asks for a page: returns what is read from the answer to a query, for images with some fields.
    ended
        Returns the error that ended everything; None while requests may go out.
    workers
        Requests made at once.
    fields
        The fields wanted.
    bbox
        Where: a box (west > east where it crosses the antimeridian) or a region, edges included.
    creator_username
        Images of this person.
    organization_id
        Images of this organization.
    sequence_ids
        Images of these sequences.
    is_pano
        Panoramas only, or flat pictures only.
    make, model
        Of the camera.
    since, until
        Images captured from the one to the other time; asked for in whole seconds, so that a few
        more may come.
    limit
        Images asked for at once.
    max_pages
        Pages at most; of searches without a box.
    progress
        Shows how far it is.

    Attributes
    ----------
    requests
        Answers read so far.
    truncated
        Boxes of which images are missing, because even the smallest held too many.
    failed
        Boxes that the service did not answer for, and why.
    cut_off
        Why further pages are missing; None where none are.

    Raises
    ------
    InputError
        If nothing says where or whose, or an option makes no sense.
    RegionError
        If the box is too large.

    Examples
    --------
    >>> search = graph.search(fields=["geometry"], bbox=(9.17, 48.77, 9.18, 48.78))
    >>> records = [record for batch in search for record in batch]
    >>> search.complete
    True
    """

    def __init__(
        self,
        get: Get,
        *,
        ended: Callable[[], ServiceError | None],
        workers: int,
        fields: Sequence[str],
        bbox: Bounds | Region | None = None,
        creator_username: str | None = None,
        organization_id: int | str | None = None,
        sequence_ids: Iterable[str] | None = None,
        is_pano: bool | None = None,
        make: str | None = None,
        model: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = LIMIT,
        max_pages: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._get, self._ended, self._workers, self._progress = get, ended, workers, progress
        self._conditions = _conditions(
            {
                "creator_username": creator_username,
                "organization_id": organization_id,
                "sequence_ids": None if sequence_ids is None else ",".join(sequence_ids),
                "is_pano": None if is_pano is None else str(is_pano).lower(),
                "make": make,
                "model": model,
                "start_captured_at": None if since is None else _in_seconds(since),
                "end_captured_at": None if until is None else _in_seconds(until, up=True),
            }
        )
        self._region = bbox if isinstance(bbox, Region) or bbox is None else Region.from_bbox(*bbox)
        if self._region is None and not {"creator_username", "organization_id", "sequence_ids"} & {*self._conditions}:
            raise InputError(
                "a search needs to know where or whose", hint="give a box, a creator, an organization or a sequence"
            )
        if limit < 1 or (max_pages is not None and max_pages < 1):
            raise InputError("a search of no pages, or pages of no images, finds nothing")
        self._limit, self._max_pages = limit, max_pages
        self._fields = list(dict.fromkeys(["id", "geometry", *fields]))
        self._cells = [] if self._region is None else cells(self._region)
        self._ids: set[int] = set()
        self._refused = 0
        self._pages = 0
        self.requests = 0
        self.truncated: list[Bounds] = []
        self.failed: dict[Bounds, str] = {}
        self.cut_off: str | None = None

    @property
    def least_requests(self) -> int | None:
        """How many requests it takes at least; None where only the pages will tell."""
        return None if self._region is None else len(self._cells)

    @property
    def complete(self) -> bool:
        """Whether all images were found, once it has been read."""
        return not self.truncated and not self.failed and self.cut_off is None

    def shortcomings(self) -> list[str]:
        """Return why images may be missing, in words, a box or a page a line."""
        lines = [f"{_text(bounds)}: too many images for one answer" for bounds in self.truncated]
        lines += [f"{_text(bounds)}: {reason}" for bounds, reason in self.failed.items()]
        return lines if self.cut_off is None else [*lines, self.cut_off]

    def __iter__(self) -> Iterator[list[Record]]:
        """
        Yield records as they come, each image once.

        Raises
        ------
        ServiceError
            As `mlygeo.net.http.Client.get` raises them, if no records at all were received; or if
            the list of pages is circular.
        """
        return self._in_boxes() if self._region is not None else self._in_pages()

    def _in_boxes(self) -> Iterator[list[Record]]:
        from mlygeo.progress import Progress

        pool = WorkerPool[Cell, Found](self._ask_box, workers=self._workers, name="search")
        with (self._progress or Progress()).bar("searching", total=len(self._cells), unit="cells") as bar:
            for cell, answer in pool.results(iter(self._cells)):
                if isinstance(answer, Found):
                    self._take_in(cell, answer, pool, bar)
                    yield self._new(answer.records)
                elif isinstance(answer, ServiceError) and not self._ended():
                    log.warning("%s", answer)
                    self.failed[cell.bounds] = str(answer)
                    bar.advance(0.25**cell.depth)
                else:
                    raise self._ended() or answer
        if len(self.failed) == len(self._cells):
            raise ServiceError(f"no box could be searched; {next(iter(self.failed.values()))}", hint="try again later")
        log.info(
            "%d images in %d boxes; %d boxes cut off, %d not answered",
            len(self._ids), self.requests, len(self.truncated), len(self.failed),
        )  # fmt: skip

    def _take_in(self, cell: Cell, answer: Found, pool: WorkerPool[Cell, Found], bar: Bar) -> None:
        self.requests += 1
        quarters = cell.quarters() if answer.full and self._may_go_on() else []
        self._refused = 0 if not answer.refused else self._refused + (not quarters)
        if self._refused >= REFUSED_IN_A_ROW:
            raise ServiceError(
                f"search in {_text(cell.bounds)}: the service refuses even the smallest boxes", hint="try again later"
            )
        if answer.full and not quarters:
            log.warning("%s holds more images than the service tells of", _text(cell.bounds))
            self.truncated.append(cell.bounds)
        pool.add(quarters)
        if not quarters:
            bar.advance(0.25**cell.depth)

    def _ask_box(self, cell: Cell) -> Found:
        """Ask for a cell, following pages where there are any."""
        west, south, east, north = cell.bounds
        box = (
            max(west - MARGIN, -180.0), max(south - MARGIN, -90.0), min(east + MARGIN, 180.0), min(north + MARGIN, 90.0)
        )  # fmt: skip
        where = {"bbox": ",".join(f"{side:.8f}" for side in box)}
        records: list[Record] = []
        after, cursors, ids = None, set[str](), set[int | str | None]()
        while True:
            try:
                page = self._ask({**where, **self._conditions}, after, self._limit, what=f"search in {_text(box)}")
            except (TooMuchDataError, QueryTimeoutError) as error:
                log.debug("%s", error)
                return Found(records, full=True, refused=True)
            records += [record for record in page.records if id_of(record) not in ids]
            is_stale, ids = len(records) == len(ids), {id_of(record) for record in records}
            if page.after is None:
                # A last page may be full; an only one that is has been cut off.
                return Found(records, full=after is None and page.full)
            if page.after in cursors or is_stale or len(cursors) >= PAGES_A_BOX:
                return Found(records, full=bool(page.records))
            after = page.after
            cursors.add(after)

    def _in_pages(self) -> Iterator[list[Record]]:
        from mlygeo.progress import Progress

        after, limit, stale, cursors = None, self._limit, 0, set[str]()
        with (self._progress or Progress()).bar("searching", unit="images") as bar:
            while True:
                try:
                    page = self._ask(self._conditions, after, limit, what=f"search, page {self.requests + 1}")
                except (TooMuchDataError, QueryTimeoutError) as error:
                    if limit <= LEAST_LIMIT:
                        self._break_off(error)
                        return
                    limit = max(limit // 2, LEAST_LIMIT)
                    continue
                except ServiceError as error:
                    self._break_off(error)
                    return
                self.requests += 1
                new = self._new(page.records)
                bar.advance(len(new))
                yield new
                stale = 0 if new else stale + 1
                after = page.after
                if after is None:
                    break
                if after in cursors or stale >= STALE_PAGES:
                    raise ServiceError(
                        f"search, page {self.requests}: the service's pages repeat themselves and have no end",
                        hint="try again later",
                    )
                cursors.add(after)
                if self._max_pages is not None and self.requests >= self._max_pages:
                    self.cut_off = f"stopped after {self.requests} pages, as asked; there are more"
                    break
                if not self._may_go_on():
                    self.cut_off = (
                        f"stopped after {counted(self.requests, 'page')} with {counted(len(self._ids), 'image')}, since"
                        " the service names ever more; search by box or time"
                    )
                    log.warning("the search is %s", self.cut_off)
                    break
        log.info("%d images on %d pages%s", len(self._ids), self.requests, "" if self.cut_off is None else "; cut off")

    def _may_go_on(self) -> bool:
        """Return whether the images found so far are worth the requests made for them."""
        most = min(MOST_PAGES, PAGES_AT_LEAST + len(self._ids) // IMAGES_A_PAGE)
        return self._pages < most + 4 * len(self._cells)

    def _break_off(self, error: ServiceError) -> None:
        """End a search of pages at an error; earlier pages stay, and the search is marked as cut off."""
        if not self.requests or isinstance(error, TokenRejectedError):
            raise error
        log.warning("the search breaks off: %s", error)
        self.cut_off = f"broke off: {error}"

    def _ask(self, query: dict[str, str], after: str | None, limit: int, *, what: str) -> Found:
        def read(record: Record) -> Found:
            records = data_of(record)
            if any(id_of(value) is None for value in records):
                raise FormatError("the list that came holds an image without an id")
            full = len(records) >= limit or len(records) in LIMITS_SEEN
            return Found(records, full, _cursor(record))

        self._pages += 1
        page = {"limit": str(limit), **({} if after is None else {"after": after})}
        return self._get({**query, "fields": "", **page}, self._fields, what=what, read=read)

    def _new(self, records: list[Record]) -> list[Record]:
        """Return the records that lie in the region and are new."""
        if self._region is not None and records:
            lon, lat = np.array([_position(record) for record in records]).T
            # A record without a position may lie in the region.
            inside = self._region.contains(lon, lat) | np.isnan(lon)
            records = [record for record, kept in zip(records, inside, strict=True) if kept]
        new = []
        for record in records:
            number = id_of(record)
            if number is not None and number not in self._ids:
                self._ids.add(number)
                new.append(record)
        return new


def _conditions(given: Mapping[str, str | int | None]) -> dict[str, str]:
    conditions = {name: str(value) for name, value in given.items() if value is not None}
    # For the service, an empty value would mean no condition.
    if empty := sorted(name for name, value in conditions.items() if not value.strip()):
        raise InputError(f"the search's {', '.join(empty)} is empty")
    return conditions


def _in_seconds(moment: datetime, *, up: bool = False) -> str:
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    whole = moment.replace(microsecond=0)
    if up and whole != moment:
        whole += timedelta(seconds=1)
    return whole.strftime("%Y-%m-%dT%H:%M:%SZ")


def _cursor(record: Record) -> str | None:
    """Return the cursor of the page after this one; None where this is the last."""
    paging = record.get("paging")
    if paging is not None and not isinstance(paging, dict | list):
        raise FormatError("what is said of further pages is not an object")
    following = paging.get("next") if isinstance(paging, dict) else None
    if not following:
        return None
    # Only the cursor is used of the address: its host may be wrong, and its token may be missing.
    try:
        found = parse_qs(urlsplit(str(following)).query).get("after", [""])[0]
    except ValueError:
        found = ""
    cursors = paging.get("cursors") if isinstance(paging, dict) else None
    after = found or (cursors.get("after") if isinstance(cursors, dict) else None)
    if not isinstance(after, str) or not after:
        raise FormatError("a next page is named, and no cursor for it")
    return after


def _position(record: Record) -> tuple[float, float]:
    geometry = record.get("geometry")
    coordinates = geometry.get("coordinates") if isinstance(geometry, dict) else None
    match coordinates:
        case [int() | float() as lon, int() | float() as lat, *_] if abs(lon) <= 360 and abs(lat) <= 90:
            return float(lon), float(lat)
    return math.nan, math.nan


def _text(bounds: Bounds) -> str:
    return ",".join(f"{side:.6f}".rstrip("0").rstrip(".") for side in bounds)


class Cell(NamedTuple):
    """A part of a search's box: its bounds, degrees, and how often it was split off."""

    bounds: Bounds
    depth: int = 0

    def quarters(self) -> list[Cell]:
        """Return its four quarters; none below the floor."""
        if self.depth >= SPLITS:
            return []
        west, south, east, north = self.bounds
        x, y = (west + east) / 2, (south + north) / 2
        parts = [(west, south, x, y), (x, south, east, y), (west, y, x, north), (x, y, east, north)]
        return [Cell(part, self.depth + 1) for part in parts]


def cells(region: Region) -> list[Cell]:
    """
    Return the cells that a search in a region begins with, each at most `CELL` wide and high.

    Parameters
    ----------
    region
        The region; cells that only its bounding box meets are left out.

    Raises
    ------
    RegionError
        If there would be too many.
    """
    import shapely

    parts = []
    for west, south, east, north in boxes.split(region.bounds):
        # Room for the margin: with it, too, no side is longer than the limit.
        columns, rows = (math.ceil((high - low) / (CELL - 3 * MARGIN)) for low, high in ((west, east), (south, north)))
        if columns * rows > 4 * MOST_CELLS:
            raise _too_large(columns * rows, region)
        x, y = np.linspace(west, east, columns + 1), np.linspace(south, north, rows + 1)
        column, row = (grid.ravel() for grid in np.meshgrid(np.arange(columns), np.arange(rows)))
        parts.append(np.column_stack([x[column], y[row], x[column + 1], y[row + 1]]))
    bounds = np.concatenate(parts)
    if not region.is_box:
        shapely.prepare(region.geometry)
        bounds = bounds[shapely.intersects(region.geometry, shapely.box(*bounds.T))]
    if len(bounds) > MOST_CELLS:
        raise _too_large(len(bounds), region)
    return [Cell((west, south, east, north)) for west, south, east, north in bounds.tolist()]


def _too_large(count: int, region: Region) -> RegionError:
    return RegionError(
        f"{region.name} has {count:,} boxes to search, and more than {MOST_CELLS:,} are too many",
        hint="take a smaller region, or its vector tiles: 'mlygeo tiles' asks far fewer times",
    )
