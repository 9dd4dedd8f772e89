"""Images asked for many at a time: what was found, and why the others are missing."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from mlygeo.errors import ServiceError
from mlygeo.net.answers import GoneError, NotFoundError, RefusedError, TooMuchDataError, UnknownFieldError
from mlygeo.service._records import data_of, id_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from mlygeo.providers.mapillary.graph import Graph
    from mlygeo.service._records import Record

log = logging.getLogger("mlygeo.service")

Way = Literal["images", "ids"]

IDS_A_CALL: dict[Way, int] = {"images": 200, "ids": 50}
"""
Ids in one request: `/images?image_ids=` takes 200, as mapillary-js asks for them; `/?ids=` 50, the
limit of Meta's Graph API.
"""

GONE = "gone (code 100/33)"
"""The reason of an image that was removed, or never existed."""


@dataclass
class Batch:
    """
    What came of asking for some images.

    Parameters
    ----------
    found
        Their records, by id.
    missing
        Those without a record, and why: "gone (code 100/33)", or what went wrong.
    """

    found: dict[int, Record] = field(default_factory=dict)
    missing: dict[int, str] = field(default_factory=dict)


class Batches:
    """
    Makes batches of a Graph API's images; threads may share it.

    Parameters
    ----------
    graph
        The Graph API.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._way: Way = "images"

    def batch(self, ids: list[int], fields: Sequence[str]) -> Batch:
        """Ask for images, in the way that last worked; each is in the batch, as found or as missing."""
        batch = Batch()
        self._collect(ids, fields, batch, self._way)
        return batch

    def _collect(self, ids: list[int], fields: Sequence[str], batch: Batch, way: Way) -> None:
        """Put each id into a batch, as found or as missing."""
        if len(ids) == 1:
            self._collect_one(ids[0], fields, batch)
            return
        if len(ids) > IDS_A_CALL[way]:
            for part in in_parts(np.array(ids), IDS_A_CALL[way]):
                self._collect(part, fields, batch, way)
            return
        try:
            found = self._graph.ask_with_fields(fields, lambda asked: self._ask_for_many(ids, asked, way))
        except ServiceError as error:
            if self._graph.ended is not None or (isinstance(error, UnknownFieldError) and error.of_image):
                raise
            log.debug("%d ids at once: %s", len(ids), error)
            other = isinstance(error, RefusedError | NotFoundError) and not isinstance(
                error, GoneError | TooMuchDataError | UnknownFieldError
            )
            if way == "images" and other:
                self._collect(ids, fields, batch, "ids")
                # It stays with the other way where that one brought something.
                self._way = "ids" if batch.found else self._way
                return
            # One of them may spoil the request for all: halves find out which.
            middle = len(ids) // 2
            self._collect(ids[:middle], fields, batch, way)
            self._collect(ids[middle:], fields, batch, way)
            return
        batch.found.update(found)
        left_out = [number for number in ids if number not in found]
        if way == "images" and len(left_out) == len(ids):
            self._collect(left_out, fields, batch, "ids")
            return
        for number in left_out:
            self._collect_one(number, fields, batch)

    def _collect_one(self, number: int, fields: Sequence[str], batch: Batch) -> None:
        try:
            batch.found[number] = self._graph.entity(number, fields=fields)
        except GoneError:
            batch.missing[number] = GONE
        except UnknownFieldError as error:
            if error.of_image:
                raise
            batch.missing[number] = f"no image, but a {error.node[:40]}" if error.node else str(error)
        except ServiceError as error:
            if self._graph.ended is not None:
                raise
            batch.missing[number] = str(error)

    def _ask_for_many(self, ids: list[int], fields: str, way: Way) -> dict[int, Record]:
        wanted = set(ids)
        listed = ",".join(map(str, ids))

        def read(record: Record) -> dict[int, Record]:
            values = data_of(record) if way == "images" else record.values()
            found = {number: value for value in values if (number := id_of(value)) is not None}
            return {number: value for number, value in found.items() if number in wanted}

        what = f"{len(ids)} images from id {ids[0]} on"
        if way == "images":
            return self._graph.ask(
                "/images", {"image_ids": listed, "fields": fields}, what=what, read=read, pace="search"
            )
        return self._graph.ask("/", {"ids": listed, "fields": fields}, what=what, read=read, cost=len(ids))


def calls_for(images: int) -> int:
    """Return how many requests it takes to ask for so many images, if none is gone."""
    return -(-images // IDS_A_CALL["images"])


def in_parts(ids: npt.NDArray[np.int64], size: int) -> Iterator[list[int]]:
    """Yield so many ids at a time."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size].tolist()
