"""
The Graph API: images by their ids, the images of a sequence, searches, users and organizations.

Answers are the service's own JSON records; `mlygeo.providers.mapillary.records` makes frames of them. Images
are asked for many at a time, and the result says what was found, and why the others are missing. The token
goes into the header, to the endpoint's host alone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlencode

import numpy as np

from mlygeo.errors import FormatError, InputError, NetworkError, ServiceError
from mlygeo.keys import WHOLE_NUMBERS
from mlygeo.net.answers import (
    GoneError,
    NotFoundError,
    QueryTimeoutError,
    RefusedError,
    TooMuchDataError,
    UnknownFieldError,
)
from mlygeo.net.sessions import JsonSession
from mlygeo.providers import Batch
from mlygeo.providers.batches import batches
from mlygeo.providers.mapillary.answers import Record, data_of, id_of
from mlygeo.providers.mapillary.search import LIMIT, Found, Search

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mlygeo.arrays import Bounds
    from mlygeo.keys import Ids, Key
    from mlygeo.progress import Progress
    from mlygeo.providers.mapillary.service import Service
    from mlygeo.regions import Region


__all__ = [
    "GONE",
    "IDS_A_CALL",
    "Graph",
    "calls_for",
]

log = logging.getLogger("mlygeo.service")

Answer = TypeVar("Answer")

LONGEST_JSON = 32 << 20
"""Bytes of an answer. The largest real ones, 2,000 images with all fields, have some 6 MB."""


Way = Literal["images", "ids"]

IDS_A_CALL: dict[Way, int] = {"images": 200, "ids": 50}
"""
Ids in one request: `/images?image_ids=` takes 200, as mapillary-js asks for them; `/?ids=` 50, the
limit of Meta's Graph API.
"""

GONE = "gone (code 100/33)"
"""The reason of an image that was removed, or never existed."""


class Graph(JsonSession):
    """
    The Graph API of the Mapillary service; thread-safe.

    A refused token, or a throttled address, ends all requests at once: no further request is sent.

    Parameters
    ----------
    service
        Where it answers, with the token; and how failed requests are tried again.
    workers
        Requests made at once, where there are several to make.
    stop
        Ends every wait at once when set.

    Examples
    --------
    >>> with Graph(Service.from_environment()) as graph:
    ...     for batch in graph.images([498763468214164], fields=["captured_at", "thumb_1024_url"]):
    ...         print(batch.found, batch.missing)
    """

    def __init__(self, service: Service, *, workers: int = 16, stop: threading.Event | None = None) -> None:
        super().__init__(service, workers=workers, stop=stop)
        self.unknown_fields: set[str] = set()
        """Fields that were asked for and that images do not have; they are not asked for again."""
        self._service = service
        self._batches = Batches(self)

    def entity(self, id: int | str, *, fields: Sequence[str]) -> Record:  # noqa: A002 - the service's word
        """
        Return the record of one image, user or organization.

        Parameters
        ----------
        id
            Its id.
        fields
            The fields wanted. One without a value is absent from the record, which always has `id`.

        Raises
        ------
        GoneError
            If there is no such thing, not any more, or not for this token.
        ServiceError
            As `mlygeo.net.http.Client.get` raises them.
        """
        number = WHOLE_NUMBERS.parse(id)

        def right(record: Record) -> Record:
            if id_of(record) != number:
                raise FormatError("the record that came is of another id")
            return record

        return self.ask_with_fields(
            fields,
            lambda asked: self.ask(f"/{number}", {"fields": asked}, what=f"id {number}", read=right),
        )

    def images(self, ids: Iterable[Key] | Ids, *, fields: Sequence[str]) -> Iterator[Batch]:
        """
        Return the records of images, many ids a request, several requests at once.

        Every id stands in one batch, as found or as missing; one asked for twice counts once. An
        image that a request for many leaves out is asked for alone, so that its reason is known.
        Where the service refuses a request for many, it is asked in another way, and then for
        fewer at a time.

        Parameters
        ----------
        ids
            Ids of images.
        fields
            The fields wanted.

        Returns
        -------
        batches
            As they come, in any order.

        Raises
        ------
        TokenRejectedError, ThrottledError
            If the service refuses the token or the address.
        NetworkError, ServiceError
            If it is down: many requests failed one after another.
        UnknownFieldError
            If images have none of the fields.
        """
        parts = _in_parts(_distinct_ids(ids), IDS_A_CALL["images"])
        return batches(
            self, parts, lambda some: self._batches.batch(some, fields), name="graph", final=(UnknownFieldError,)
        )

    def image_ids(self, sequence_id: str) -> list[Key]:
        """
        Return the ids of the images of a sequence, in order along it.

        Parameters
        ----------
        sequence_id
            Its id. An unknown one has no images.

        Raises
        ------
        ServiceError
            As `mlygeo.net.http.Client.get` raises them.
        """

        def read(record: Record) -> list[Key]:
            ids = [id_of(image) for image in data_of(record)]
            if None in ids:
                raise FormatError("the list that came holds an image without an id")
            return [number for number in ids if number is not None]

        query = {"sequence_id": sequence_id}
        return self.ask("/image_ids", query, what=f"sequence {sequence_id[:40]}", read=read, pace="search")

    def user(self, id: int | str = "me") -> Record:  # noqa: A002 - the service's word
        """Return `id` and `username` of a user, or of the token's own; raises as `entity` does."""
        if id != "me":
            return self.entity(id, fields=("id", "username"))
        return self.ask("/me", {"fields": "id,username"}, what="the token's user", read=_with_id)

    def organization(self, id: int | str) -> Record:  # noqa: A002 - the service's word
        """Return `id`, `slug`, `name` and `description` of an organization; raises as `entity` does."""
        return self.entity(id, fields=("id", "slug", "name", "description"))

    def search(
        self,
        *,
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
    ) -> Search:
        """
        Return a search for images; it runs as it is read.

        Parameters
        ----------
        fields
            The fields wanted.
        bbox
            Where: a box (west > east where it crosses the antimeridian) or a region.
        creator_username, organization_id, sequence_ids, is_pano, make, model, since, until, limit, max_pages, progress
            As for `mlygeo.providers.mapillary.search.Search`.

        Raises
        ------
        InputError
            If nothing says where or whose, or the box is too large.
        """

        def get(query: dict[str, str], asked: Sequence[str], *, what: str, read: Callable[[Record], Found]) -> Found:
            return self.ask_with_fields(
                asked,
                lambda names: self.ask("/images", {**query, "fields": names}, what=what, read=read, pace="search"),
            )

        return Search(
            get, ended=lambda: self.ended, workers=self.workers, fields=fields, bbox=bbox,
            creator_username=creator_username, organization_id=organization_id, sequence_ids=sequence_ids,
            is_pano=is_pano, make=make, model=model, since=since, until=until, limit=limit, max_pages=max_pages,
            progress=progress,
        )  # fmt: skip

    def ask(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        what: str,
        read: Callable[[Record], Answer],
        pace: Literal["entity", "search"] = "entity",
        cost: int = 1,
    ) -> Answer:
        """
        Make one request, and return what is read from its answer.

        Parameters
        ----------
        path
            Path on the Graph API's host.
        query
            Its parameters.
        what
            What is asked for, for messages.
        read
            Reads the JSON object that came; raises FormatError where it is not what was asked
            for, and then the request is tried again.
        pace
            The pace it keeps.
        cost
            How many requests it counts as.

        Raises
        ------
        ServiceError
            As `mlygeo.net.http.Client.get` raises them.
        """
        steady = self._service.entity_pace if pace == "entity" else self._service.search_pace
        url = f"{self._service.endpoints.graph}{path}?{urlencode(query, safe=',')}"
        return self.ask_url(
            url, what=what, read=read, pace=steady, cost=cost, token_in_header=True, longest_body=LONGEST_JSON
        )

    def ask_with_fields(self, fields: Sequence[str], ask: Callable[[str], Answer]) -> Answer:
        """
        Make a request that names fields, again without a field that images turn out not to have.

        Parameters
        ----------
        fields
            The fields wanted.
        ask
            Makes the request with a list of fields, separated by commas.

        Raises
        ------
        UnknownFieldError
            If no field is left, or it is not an image that lacks the field.
        """
        while True:
            asked = [name for name in fields if name not in self.unknown_fields]
            try:
                return ask(",".join(asked))
            except UnknownFieldError as error:
                if error.field not in asked or not error.of_image or len(asked) == 1:
                    raise
                with self._lock:
                    if error.field not in self.unknown_fields:
                        log.warning("the service's images have no field %r; going on without it", error.field[:60])
                    self.unknown_fields.add(error.field)


class Batches:
    """
    Makes batches of a Graph API's images; thread-safe.

    Parameters
    ----------
    graph
        The Graph API.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._way: Way = "images"

    def batch(self, ids: list[int], fields: Sequence[str]) -> Batch:
        """Request images, in the way that last worked; each is in the batch, as found or as missing."""
        batch = Batch()
        self._collect(ids, fields, batch, self._way)
        return batch

    def _collect(self, ids: list[int], fields: Sequence[str], batch: Batch, way: Way) -> None:
        """Put each id into a batch, as found or as missing."""
        if len(ids) <= 1:
            for number in ids:
                self._collect_one(number, fields, batch)
            return
        if len(ids) > IDS_A_CALL[way]:
            for part in _in_parts(np.array(ids), IDS_A_CALL[way]):
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
                # Continue with the other way if it returned records.
                self._way = "ids" if batch.found else self._way
                return
            if not isinstance(error, RefusedError | NotFoundError | QueryTimeoutError):
                ids = self._tried_alone(ids, fields, batch, error)
            # One of them may make the whole request fail: halves find out which.
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

    def _tried_alone(self, ids: list[int], fields: Sequence[str], batch: Batch, error: ServiceError) -> list[int]:
        """
        Ask for the first image alone, and for the last if a damaged answer came; return those that are left.

        Where neither is answered, it is not the images that make the request fail, and halves of it would fail for as
        long as the patience of each lasts: all are missing then, none is left, and it counts as if halves had failed.
        """
        places = (0,) if isinstance(error, NetworkError) else (0, -1)
        for place in places:
            self._collect_one(ids[place], fields, batch)
            if batch.missing.get(ids[place], GONE) == GONE or ids[place] in batch.final:
                return [number for number in ids if number not in batch.found and number not in batch.missing]
        for _ in range(len(ids).bit_length() - 1 - len(places)):
            self._graph.note(error)
        if self._graph.ended is not None:
            raise error
        batch.missing.update(dict.fromkeys([number for number in ids if number not in batch.missing], str(error)))
        return []

    def _collect_one(self, number: int, fields: Sequence[str], batch: Batch) -> None:
        try:
            batch.found[number] = self._graph.entity(number, fields=fields)
        except GoneError:
            batch.missing[number] = GONE
        except UnknownFieldError as error:
            if error.of_image:
                raise
            batch.missing[number] = f"no image, but a {error.node[:40]}" if error.node else str(error)
            batch.final |= {number} if error.node else set()
        except ServiceError as error:
            if self._graph.ended is not None:
                raise
            batch.missing[number] = str(error)

    def _ask_for_many(self, ids: list[int], fields: str, way: Way) -> dict[Key, Record]:
        wanted = set(ids)
        listed = ",".join(map(str, ids))

        def read(record: Record) -> dict[Key, Record]:
            values = data_of(record) if way == "images" else record.values()
            found: dict[Key, Record] = {}
            doubtful = set()
            for value in values:
                if (number := id_of(value)) in wanted and found.setdefault(number, value) != value:
                    doubtful.add(number)  # two records of one image, which say different things: it is asked for alone
            return {number: value for number, value in found.items() if number not in doubtful}

        what = f"{len(ids)} images (the first is {ids[0]})" if len(ids) > 1 else f"image {ids[0]}"
        if way == "images":
            return self._graph.ask(
                "/images", {"image_ids": listed, "fields": fields}, what=what, read=read, pace="search"
            )
        return self._graph.ask("/", {"ids": listed, "fields": fields}, what=what, read=read, cost=len(ids))


def calls_for(images: int) -> int:
    """Return the number of requests for a number of images, if none is deleted."""
    return -(-images // IDS_A_CALL["images"])


def _in_parts(ids: Ids, size: int) -> Iterator[list[int]]:
    """Yield ids in parts of a given size."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size].tolist()


def _with_id(record: Record) -> Record:
    """Return a record, if it has an id."""
    if id_of(record) is None:
        raise FormatError("the record that came has no id")
    return record


def _distinct_ids(ids: Iterable[Key] | Ids) -> Ids:
    """Return each id once, in the order of first appearance."""
    if isinstance(ids, np.ndarray) and np.issubdtype(ids.dtype, np.signedinteger):
        numbers = ids.astype(np.int64)
        if len(numbers) and numbers.min() <= 0:
            raise InputError(f"{numbers.min()} is not an id", hint=WHOLE_NUMBERS.hint)
    else:
        numbers = np.fromiter((WHOLE_NUMBERS.parse(number) for number in ids), dtype=np.int64)
    _, first = np.unique(numbers, return_index=True)
    return numbers[np.sort(first)]
