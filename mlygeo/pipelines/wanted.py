"""The images of a download: from a frame, from lists, from sequences, from a search, from a region."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import InputError, RegionError
from mlygeo.pipelines.inputs import Fetching
from mlygeo.pipelines.job import counted
from mlygeo.pipelines.options import Access, TileOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlygeo.config import Config
    from mlygeo.downloads.ledger import Ledger
    from mlygeo.keys import Ids, Key, Keys
    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.providers import Provider, Session
    from mlygeo.regions import Region

log = logging.getLogger("mlygeo.pipelines")

TILE_WORKERS = 4
"""Vector tiles fetched at once; the service's limit for one address allows no more."""

NOTHING_SAID = (
    "give a selection or images file, ids, `imgid_file=FILE`, `sequence=ID`, `sequence_file=FILE`, `user=NAME`, "
    "`organization=ID`, a region, or `retry_failed=True`"
)


@dataclass
class Wanted:
    """
    The images of a download.

    Parameters
    ----------
    ids
        Each once, in the order of download.
    source
        Their source, in words.
    warnings
        Missing parts, in words: parts of a search that were cut off, tiles that failed.
    """

    ids: Ids
    source: str
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """
    The arguments of a call that select images; see `mlygeo.download`.

    Parameters
    ----------
    images, imgid_file, sequence, sequence_file, user, retry_failed, max_images
        As given.
    conditions
        The filters given, from `Filters.conditions`.
    place, config
        The region and the configuration file, if given.
    tiles, access
        How the tiles of the region are fetched, and the service is reached.
    progress
        Where progress is shown.
    """

    images: Any
    imgid_file: Any
    sequence: Iterable[str] | None
    sequence_file: Any
    user: str | None
    retry_failed: bool
    max_images: int | None
    conditions: dict[str, Any]
    place: Region | None
    config: Config | None
    tiles: TileOptions
    access: Access
    progress: Progress | None

    def __post_init__(self) -> None:
        """Raise for what makes no sense."""
        if self.max_images is not None and self.max_images < 0:
            raise InputError(f"`max_images` must be 0 or more, not {self.max_images}")

    @classmethod
    def of_ids(cls, ids: Ids, *, service: Service, progress: Progress | None) -> Sources:
        """
        Return sources that select images only by ids.

        Parameters
        ----------
        ids
            Shape (n,).
        service
            The service to ask.
        progress
            Where progress is shown.
        """
        tiles = TileOptions(
            tile_list_file=None,
            tile_cache=None,
            computed=False,
            overwrite=False,
            max_age=None,
            workers=TILE_WORKERS,
            geojson=False,
        )
        return cls(
            images=ids,
            imgid_file=None,
            sequence=None,
            sequence_file=None,
            user=None,
            retry_failed=False,
            max_images=None,
            conditions={},
            place=None,
            config=None,
            tiles=tiles,
            access=Access(token=None, token_file=None, service=service),
            progress=progress,
        )

    def find(self, session: Callable[[], Session], ledger: Ledger | None) -> Wanted:
        """
        Return the selected images.

        If both lists of images and lists of sequences are given, images must be in both. A region is
        ignored if a list is given.

        Parameters
        ----------
        session
            Function that returns a session with the service, called if it is needed.
        ledger
            The ledger with the images that failed before, for `retry_failed`; None before the first download.

        Raises
        ------
        RegionError
            If no images are selected.
        """
        if not self.retry_failed:
            wanted = self._said(session)
        elif ledger is None:
            wanted = Wanted(self._provider.keys.array(()), "the ledger")
        else:
            wanted = self._failed(self._said(session), ledger.failed_ids())
        if wanted is None:
            raise RegionError("nothing says which images to download", hint=NOTHING_SAID)
        for warning in wanted.warnings:
            log.warning("%s", warning)
        return wanted if self.max_images is None else replace(wanted, ids=wanted.ids[: self.max_images])

    def _failed(self, said: Wanted | None, failed: Ids) -> Wanted:
        if said is None:
            return Wanted(failed, "those that failed")
        kept = said.ids[np.isin(said.ids, failed)]
        return replace(said, ids=kept, source=f"those of {said.source} that failed")

    def _said(self, session: Callable[[], Session]) -> Wanted | None:
        """Return the images that the call names; None if it names none."""
        listed, sequences = self._listed(), self._sequences()
        organization = self.conditions.get("organization")
        searched = self.user is not None or (organization is not None and self.place is None and not self._has_frame)
        if self.user is not None and (listed is not None or sequences is not None):
            raise InputError("`user` and a list both say which images", hint="give one of them")
        if self.conditions and not searched and (sequences is not None or (listed is not None and not self._has_frame)):
            names = ", ".join(f"`{name}`" for name in self.conditions)
            raise InputError(f"{names}: lists of ids are not filtered", hint="filter the images frame, with 'select'")
        if sequences is not None:
            along = self._along(sequences, session())
            if listed is None:
                return along
            kept = listed.ids[np.isin(listed.ids, along.ids)]
            return Wanted(kept, f"{listed.source} in {along.source}", along.warnings)
        if listed is not None:
            return listed
        if searched:
            return self._searched(session())
        return None if self.place is None else self._in_region(self.place)

    @property
    def is_region_alone(self) -> bool:
        """Whether only the tiles of the region select the images."""
        lists = (self.images, self.imgid_file, self.sequence, self.sequence_file, self.user)
        return self.place is not None and all(each is None for each in lists)

    @property
    def _has_frame(self) -> bool:
        words = self.images if isinstance(self.images, list | tuple) else [self.images]
        return any(hasattr(word, "columns") or (_is_path(word) and not _is_id_file(Path(word))) for word in words)

    def _listed(self) -> Wanted | None:
        """Return the images of the given frames, ids and lists; None if there are none."""
        from mlygeo.readers import id_lists

        given = self.images
        if given is None and self.imgid_file is None:
            return None
        keys = self._provider.keys
        words = list(given) if isinstance(given, list | tuple | set | np.ndarray) else [] if given is None else [given]
        parts, names = [], []
        named = [word for word in words if keys.is_meant(word)]
        if named:
            parts.append(keys.array(_key(word, keys) for word in named))
            names.append(counted(len(named), "id"))
        for word in (word for word in words if not keys.is_meant(word)):
            if _is_path(word) and _is_id_file(Path(word)):
                parts.append(id_lists.read_ids(word, keys=keys))
                names.append(Path(word).name)
            else:
                ids, name = _ids_of_frame(word, self.conditions, keys)
                parts.append(ids)
                names.append(name)
        if self.imgid_file is not None:
            parts.append(id_lists.read_ids(self.imgid_file, keys=keys))
            names.append(Path(self.imgid_file).name)
        ids = np.concatenate(parts) if parts else keys.array(())
        return Wanted(id_lists.distinct(ids), " and ".join(names) or "an empty list")

    def _sequences(self) -> list[str] | None:
        from mlygeo.readers import id_lists

        if self.sequence is None and self.sequence_file is None:
            return None
        given = [self.sequence] if isinstance(self.sequence, str) else list(self.sequence or ())
        found = id_lists.checked_sequences(given, where="`sequence`")
        if self.sequence_file is not None:
            found += id_lists.read_sequences(self.sequence_file)
        return list(dict.fromkeys(found))

    def _along(self, sequences: list[str], session: Session) -> Wanted:
        from mlygeo.net.workers import WorkerPool
        from mlygeo.progress import Progress
        from mlygeo.readers import id_lists

        pool = WorkerPool[str, "list[int]"](session.image_ids, workers=min(session.workers, 8), name="sequences")
        found: dict[str, list[int]] = {}
        warnings = []
        with (self.progress or Progress()).bar("sequences", total=len(sequences), unit="sequences") as bar:
            for sequence, result in pool.results(iter(sequences)):
                bar.advance()
                if isinstance(result, Exception):
                    if session.ended is not None or not isinstance(result, OSError):
                        raise session.ended or result
                    warnings.append(f"sequence {sequence} is unknown: {result}")
                else:
                    found[sequence] = result
                    if not result:
                        warnings.append(f"sequence {sequence} has no images")
        ids = self._provider.keys.array(key for each in sequences for key in found.get(each, ()))
        return Wanted(id_lists.distinct(ids), counted(len(sequences), "sequence"), warnings)

    def _searched(self, session: Session) -> Wanted:
        """Return the images of a user or an organization, in the region if there is one."""
        from mlygeo.readers import id_lists

        reader = self.access.records
        others = set(self.conditions) - {"pano", "since", "until", "organization"}
        if others:
            names = ", ".join(f"`{name}`" for name in sorted(others))
            raise InputError(f"{names}: a search cannot filter by that")
        organizations: list[int | None] = list(self.conditions.get("organization", [None]))
        ids: list[int] = []
        warnings = []
        for organization in organizations:
            search = session.search(
                fields=reader.fields_for("id"),
                bbox=self.place,
                creator_username=self.user,
                organization_id=organization,
                is_pano=self.conditions.get("pano"),
                since=self.conditions.get("since"),
                until=self.conditions.get("until"),
                progress=self.progress,
            )
            for records in search:
                ids.extend(key for record in records if (key := reader.key_of(record)) is not None)
            warnings += [f"the search is not complete: {text}" for text in search.shortcomings()]
        who = [] if self.user is None else [f"user {self.user}"]
        who += [f"organization {number}" for number in organizations if number is not None]
        return Wanted(id_lists.distinct(self._provider.keys.array(ids)), " and ".join(who), warnings)

    def _in_region(self, place: Region) -> Wanted:
        from mlygeo.readers import id_lists
        from mlygeo.store.points import TablePoints, ids_of, keep

        fetching = self.fetching(place)
        everything = TablePoints(fetching.images(), "the images", fetching.attrs)
        kept = keep(everything, region=place, conditions=self.conditions)
        warnings = [f"tile {name} could not be fetched, so what lies there is unknown" for name in fetching.failed]
        return Wanted(id_lists.distinct(ids_of(kept, "id")), place.name, warnings)

    @property
    def _provider(self) -> Provider:
        return self.access.provider

    def fetching(self, place: Region) -> Fetching:
        """Return the `Fetching` of the region's tiles."""
        return Fetching(place, self.config, tiles=self.tiles, access=self.access, progress=self.progress)


def _ids_of_frame(value: Any, conditions: dict[str, Any], keys: Keys) -> tuple[Ids, str]:
    """Return the ids of a frame or its file, for rows that meet the conditions, and its name."""
    from mlygeo.store.points import ids_of, keep, open_points

    if hasattr(value, "columns") and "id" in value.columns and not hasattr(value, "active_geometry_name"):
        if conditions:
            raise InputError("a frame without geometry is not filtered", hint="filter it before")
        return keys.column(value["id"]), "the frame"
    if hasattr(value, "to_numpy") and not hasattr(value, "columns"):
        return keys.column(value), "the ids"
    points = keep(open_points(value, name="the frame"), region=None, conditions=conditions)
    if "id" not in points.columns:
        raise InputError(f"{points.name} has no column 'id', so its images cannot be named")
    return ids_of(points, "id"), points.name


def _key(word: Any, keys: Keys) -> Key:
    found = keys.find(word.strip() if isinstance(word, str) else word)
    if found is None:
        raise InputError(f"{str(word)[:40]!r} is no image id", hint="ids are whole numbers")
    return found


def _is_path(word: Any) -> bool:
    return isinstance(word, str | os.PathLike)


def _is_id_file(path: Path) -> bool:
    """Return whether a file lists ids; others hold frames."""
    ending = path.suffix.lower()
    if ending == ".json":
        try:
            with path.expanduser().open("rb") as file:
                return file.read(200).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["
        except OSError:
            return False
    return ending in {"", ".txt", ".lst", ".list"}
