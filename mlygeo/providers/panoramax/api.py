"""
Panoramax's STAC API: items by their ids, of sequences, of people and of places.

Answers are the server's own items; `mlygeo.providers.panoramax.items` makes frames of them. Reading needs no token,
and none is sent.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from mlygeo.errors import FormatError, InputError, NetworkError, ServiceError
from mlygeo.keys import UUIDS
from mlygeo.net.answers import GoneError, QueryTimeoutError, RefusedError, UnknownUserError
from mlygeo.net.sessions import JsonSession
from mlygeo.providers import Batch
from mlygeo.providers.batches import batches
from mlygeo.providers.foreign import foreign_record
from mlygeo.providers.panoramax.answers import GONE
from mlygeo.providers.panoramax.items import item_id
from mlygeo.providers.panoramax.search import LIMIT, Page, Search

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mlygeo.arrays import Bounds
    from mlygeo.keys import Ids, Key
    from mlygeo.progress import Progress
    from mlygeo.providers.panoramax.service import Service
    from mlygeo.regions import Region

log = logging.getLogger("mlygeo.service")

Answer = TypeVar("Answer")
Item = dict[str, Any]

LONGEST_JSON = 64 << 20
"""Bytes of an answer. A thousand items with all their EXIF have some 10 MB."""

IDS_A_CALL = 100
"""Ids in one request, 3.7 kB of its address."""

MOST_PAGES = 10_000
"""Pages of one list: ten million items, more than any sequence or user has."""


class Api(JsonSession):
    """
    The STAC API of a server of Panoramax; thread-safe.

    Parameters
    ----------
    service
        Where it answers; and how failed requests are tried again.
    workers
        Requests made at once, where there are several to make.
    stop
        Ends every wait at once when set.

    Examples
    --------
    >>> with Api(Service.from_environment()) as api:
    ...     for batch in api.images(["fc4bd9cd-e3d5-4218-81b3-0ae99d92635a"], fields=()):
    ...         print(batch.found, batch.missing)
    """

    def __init__(self, service: Service, *, workers: int = 16, stop: threading.Event | None = None) -> None:
        super().__init__(service, workers=workers, stop=stop)
        self.unknown_fields: set[str] = set()
        """Always empty: items have all their fields, and those that are unknown are absent."""
        self._service = service

    def entity(self, id: Key, *, fields: Sequence[str] = ()) -> Item:  # noqa: A002, ARG002 - the Protocol's words
        """
        Return the item of one picture.

        Parameters
        ----------
        id
            Its id.
        fields
            Not needed: an item has all its fields.

        Raises
        ------
        GoneError
            If there is no such picture, not any more, or not for everybody.
        PendingError
            If the server still works on it.
        ServiceError
            As `mlygeo.net.http.Client.get` raises them.
        """
        wanted = UUIDS.parse(id)

        def right(record: Item) -> Item:
            if item_id(record) != wanted:
                raise FormatError("the item that came is of another picture")
            return record

        return self.ask(f"/pictures/{wanted}", {}, what=f"picture {wanted}", read=right)

    def images(self, ids: Iterable[Key] | Ids, *, fields: Sequence[str] = ()) -> Iterator[Batch]:
        """
        Return the items of pictures, many ids a request, several requests at once.

        Every id stands in one batch, as found or as missing; one asked for twice counts once. A picture that an
        answer leaves out is asked for alone, so that its reason is known: gone, in the works, or nothing for everybody.

        Parameters
        ----------
        ids
            Ids of pictures.
        fields
            Not needed: an item has all its fields.

        Returns
        -------
        batches
            As they come, in any order.

        Raises
        ------
        NetworkError, ServiceError
            If the server is down: many requests failed one after another.
        """
        distinct = list(dict.fromkeys(UUIDS.parse(id_) for id_ in ids))
        parts = [distinct[start : start + IDS_A_CALL] for start in range(0, len(distinct), IDS_A_CALL)]
        return batches(self, parts, lambda some: self._batch(some, fields), name="items")

    def _batch(self, ids: list[str], fields: Sequence[str]) -> Batch:
        batch = Batch()
        try:
            if len(ids) > 1:
                batch.found.update(self._ask_for_many(ids))
        except ServiceError as error:
            if self.ended is not None:
                raise
            log.debug("%d ids at once: %s", len(ids), error)
            if not isinstance(error, RefusedError | QueryTimeoutError | NetworkError):
                raise
        for id_ in ids:
            if id_ in batch.found:
                continue
            try:
                batch.found[id_] = self.entity(id_, fields=fields)
            except GoneError:
                batch.missing[id_] = GONE
            except ServiceError as error:
                if self.ended is not None:
                    raise
                batch.missing[id_] = str(error)
        return batch

    def _ask_for_many(self, ids: list[str]) -> dict[Key, Item]:
        wanted = set(ids)

        def read(record: Item) -> dict[Key, Item]:
            found: dict[Key, Item] = {}
            doubtful = set()
            for item in features(record):
                id_ = item_id(item)
                if id_ in wanted and found.setdefault(id_, item) != item:
                    doubtful.add(id_)  # two items of one picture, which say different things: it is asked for alone
            return {id_: item for id_, item in found.items() if id_ not in doubtful}

        query = {"ids": ",".join(ids), "limit": str(len(ids))}
        return self.ask("/search", query, what=f"{len(ids)} pictures from {ids[0]} on", read=read, pace="search")

    def image_ids(self, sequence_id: str) -> list[Key]:
        """
        Return the ids of the pictures of a sequence, in order along it.

        Parameters
        ----------
        sequence_id
            Its id. An unknown one has no pictures.

        Raises
        ------
        ServiceError
            As `mlygeo.net.http.Client.get` raises them.
        """
        return [item_id(item) for page in self.sequence_items(sequence_id) for item in page]

    def sequence_items(self, sequence_id: str) -> Iterator[list[Item]]:
        """
        Yield the items of a sequence, page by page, in order along it.

        Parameters
        ----------
        sequence_id
            Its id. An unknown one has no items.

        Raises
        ------
        ServiceError
            As `mlygeo.net.http.Client.get` raises them; also if the list of pages has no end.
        """
        sequence = UUIDS.find(sequence_id)
        if sequence is None:
            return
        path, what = f"/collections/{sequence}/items", f"sequence {sequence}"
        seen: set[str] = set()
        for found in self._pages(path, {"limit": str(LIMIT)}, what=what, read=features):
            new = [item for item in found if item_id(item) not in seen]
            seen.update(item_id(item) for item in new)
            if found and not new:
                raise ServiceError(f"{what}: the server's pages repeat themselves and have no end")
            yield new

    def sequences_of(self, user_id: str) -> list[str]:
        """
        Return the ids of the sequences of a user.

        Parameters
        ----------
        user_id
            Id of the user. An unknown one has none.

        Raises
        ------
        ServiceError
            As `mlygeo.net.http.Client.get` raises them.
        """

        def read(record: Item) -> list[str]:
            links = record.get("links")
            if not isinstance(links, list):
                raise FormatError("the list of sequences that came has no links")
            children = [link for link in links if isinstance(link, dict) and link.get("rel") == "child"]
            ids = [
                UUIDS.find(link.get("id")) or UUIDS.find(str(link.get("href")).rpartition("/")[2]) for link in children
            ]
            if None in ids:
                raise FormatError("the list of sequences that came has one without an id")
            return [id_ for id_ in ids if id_ is not None]

        path, what = f"/users/{UUIDS.parse(user_id)}/collection", f"sequences of user {user_id}"
        found = [id_ for page in self._pages(path, {"limit": "1000"}, what=what, read=read) for id_ in page]
        return list(dict.fromkeys(found))

    def user_ids(self, name: str) -> list[str]:
        """
        Return the ids of the users of a name: in the catalogue, one person may have one on each instance.

        Parameters
        ----------
        name
            The whole name; or an id, which is returned.

        Raises
        ------
        UnknownUserError
            If there is no user of this name.
        ServiceError
            As `mlygeo.net.http.Client.get` raises them.
        """
        wanted = name.strip()
        if (own := UUIDS.find(wanted)) is not None:
            return [own]
        if not wanted:
            raise InputError("a user needs a name")

        def read(record: Item) -> dict[str, str]:
            said = record.get("features", record.get("users"))
            if not isinstance(said, list):
                raise FormatError("the response is not a list of users")
            people = [each for each in said if isinstance(each, dict)]
            named = {UUIDS.find(each.get("id")): each.get("label", each.get("name")) for each in people}
            return {id_: label for id_, label in named.items() if id_ is not None and isinstance(label, str)}

        found = self.ask("/users/search", {"q": wanted}, what=f"user {wanted[:40]!r}", read=read, pace="search")
        exact = [id_ for id_, label in found.items() if label == wanted]
        if not exact:
            near = ", ".join(sorted(set(found.values()))[:5])
            raise UnknownUserError(
                f"{self._service.endpoints.host} has no user {wanted[:40]!r}",
                hint=f"did you mean one of {near}?" if near else "names are case-sensitive; an id serves, too",
            )
        return sorted(exact)

    def search(
        self,
        *,
        fields: Sequence[str] = (),  # noqa: ARG002 - the Protocol's
        bbox: Bounds | Region | None = None,
        creator_username: str | None = None,
        organization_id: int | str | None = None,
        is_pano: bool | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = LIMIT,
        max_pages: int | None = None,
        progress: Progress | None = None,
    ) -> Search:
        """
        Return a search for pictures; it runs as it is read.

        Parameters
        ----------
        fields
            Not needed: an item has all its fields.
        bbox
            Where: a box (west > east where it crosses the antimeridian) or a region.
        creator_username
            Of the user of this name, or this id.
        organization_id
            Panoramax has no organizations: an error.
        is_pano, since, until, limit, max_pages, progress
            As for `mlygeo.providers.panoramax.search.Search`.

        Raises
        ------
        InputError
            If nothing says where or whose, or the box is too large.
        """
        if organization_id is not None:
            raise InputError("Panoramax has no organizations", hint="give a user or a region")
        return Search(
            self, bbox=bbox, creator_username=creator_username, is_pano=is_pano, since=since, until=until, limit=limit,
            max_pages=max_pages, progress=progress,
        )  # fmt: skip

    def found(self, query: Mapping[str, str], *, what: str) -> Page:
        """
        Return the answer to a search: its items, and whether there would be more.

        Parameters
        ----------
        query
            The conditions.
        what
            What is asked for, for messages.

        Raises
        ------
        ServiceError
            As `mlygeo.net.http.Client.get` raises them.
        """

        def read(record: Item) -> Page:
            items = features(record)
            for item in items:
                item_id(item)
            return Page(items, more=_next(record) is not None)

        return self.ask("/search", query, what=what, read=read, pace="search")

    def _pages(
        self, path: str, query: Mapping[str, str], *, what: str, read: Callable[[Item], list[Any]]
    ) -> Iterator[list[Any]]:
        """Yield what is read from the pages of a list; none if there is no such thing."""
        url: str | None = self._url(path, query)
        seen: set[str] = set()
        while url is not None:
            if url in seen or len(seen) >= MOST_PAGES:
                raise ServiceError(f"{what}: the server's pages repeat themselves and have no end")
            seen.add(url)
            try:
                found, following = self.ask_url(
                    url, what=what if len(seen) == 1 else f"{what}, page {len(seen)}",
                    read=lambda record: (read(record), _next(record)), pace=self._service.search_pace,
                    longest_body=LONGEST_JSON,
                )  # fmt: skip
            except GoneError:  # a page beyond the end is answered so, too
                return
            yield found
            url = None if following is None else self._own(urljoin(url, following), what)

    def _own(self, url: str, what: str) -> str:
        """Return the address of a further page, which has to be on the server itself."""
        own, other = urlsplit(self._service.endpoints.api), urlsplit(url)
        # Behind a proxy, a server may name itself with http.
        if (
            other.hostname == own.hostname
            and own.scheme == "https"
            and other.scheme == "http"
            and other.port in {None, 80}
        ):
            url = other._replace(scheme="https", netloc=own.netloc).geturl()
            other = urlsplit(url)
        if (other.scheme, other.netloc.lower()) != (own.scheme, own.netloc.lower()):
            raise ServiceError(f"{what}: its next page is on another server, {other.hostname}")
        return url

    def _url(self, path: str, query: Mapping[str, str]) -> str:
        asked = urlencode(query, safe=",:/")
        return f"{self._service.endpoints.api}{path}{f'?{asked}' if asked else ''}"

    def ask(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        what: str,
        read: Callable[[Item], Answer],
        pace: str = "entity",
    ) -> Answer:
        """
        Make one request, and return what is read from its answer.

        Parameters
        ----------
        path
            Path below the API.
        query
            Its parameters.
        what
            What is asked for, for messages.
        read
            Reads the JSON object that came; raises FormatError where it is not what was asked for, and then the
            request is tried again.
        pace
            The pace it keeps: "entity" or "search".

        Raises
        ------
        ServiceError
            As `mlygeo.net.http.Client.get` raises them.
        """
        steady = self._service.entity_pace if pace == "entity" else self._service.search_pace
        return self.ask_url(self._url(path, query), what=what, read=read, pace=steady, longest_body=LONGEST_JSON)


def features(record: Item) -> list[Item]:
    """Return the items of an answer; raise FormatError where it is not a list of items."""
    found = record.get("features")
    foreign = foreign_record("the answer", record, wanted="Panoramax")
    if foreign is not None:
        raise foreign
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise FormatError("the response is not a list of items")
    return found


def _next(record: Item) -> str | None:
    """Return the address of the next page of a list; None at its end."""
    links = record.get("links")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") == "next" and isinstance(link.get("href"), str):
            return str(link["href"])
    return None


def calls_for(images: int) -> int:
    """Return the number of requests for a number of images, if none is deleted."""
    return -(-images // IDS_A_CALL)
