"""The images of a download: from a frame, from lists, from sequences, from a search, from a region."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import keys, places
from mlygeo.errors import InputError, RegionError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.inputs import Fetching, SeveralFetching, fetching, region_summary, warn_of_nothing
from mlygeo.pipelines.options import Access, TileOptions
from mlygeo.pipelines.provenance import shown
from mlygeo.progress import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mlygeo.arrays import Flags, Floats
    from mlygeo.config import Config
    from mlygeo.downloads.ledger import Ledger
    from mlygeo.keys import Ids, Key
    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.providers import Provider, Record, Records, Session
    from mlygeo.readers.id_lists import Identified, Own
    from mlygeo.regions import Region
    from mlygeo.store.point_sources import Points

log = logging.getLogger("mlygeo.pipelines")

REPEATED, ELSEWHERE, FILTERED, UNPLACED, NOT_IN_TILES = (
    "listed more than once", "outside the region", "by the filters", "since their positions are unknown",
    "not in the region's tiles",
)  # fmt: skip
"""Reasons why images that were asked for are left out."""

TILE_OPTIONS = ("tile_list_file", "tile_cache", "max_age")

MOST_NAMED, MOST_SHOWN = 1000, 5
"""Ids named for each reason in a summary, and in its headline."""

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
    left_out
        Those that were asked for and are not among `ids`, by reason. An id that stands in lists several times
        stands here as often, but for once.
    """

    ids: Ids
    source: str
    warnings: list[str] = field(default_factory=list)
    left_out: dict[str, Ids] = field(default_factory=dict)

    def only(self, kept: Flags, reason: str, source: str | None = None) -> Wanted:
        """Return those that are kept; the others are left out for a reason."""
        if kept.all():
            return self if source is None else replace(self, source=source)
        left_out = self.left_out | {reason: keys.joined([*self._left(reason), self.ids[~kept]])}
        return replace(self, ids=self.ids[kept], source=source or self.source, left_out=left_out)

    def _left(self, reason: str) -> list[Ids]:
        return [self.left_out[reason]] if reason in self.left_out else []

    @property
    def facts(self) -> dict[str, Any]:
        """How many were asked for, and which of them were left out, for summaries."""
        left_out = {reason: ids for reason, ids in self.left_out.items() if len(ids)}
        return {
            "asked": len(self.ids) + sum(map(len, left_out.values())),
            "images": len(self.ids),
            "left_out": {reason: len(ids) for reason, ids in left_out.items()},
            "left_out_ids": {reason: list(map(str, ids[:MOST_NAMED].tolist())) for reason, ids in left_out.items()},
        }

    @property
    def remark(self) -> str:
        """What was left out, for headlines."""
        parts = []
        for reason, ids in self.left_out.items():
            if len(ids):
                named = f": {', '.join(map(str, ids.tolist()))}" if len(ids) <= MOST_SHOWN else ""
                parts.append(f"{len(ids):,} left out, {reason}{named}")
        return "".join(f"; {part}" for part in parts)


class Listed(NamedTuple):
    """Images of a list or a frame: ids, each once or several times, and where they are, degrees; NaN is unknown."""

    ids: Ids
    name: str
    lon: Floats
    lat: Floats

    @classmethod
    def unplaced(cls, ids: Ids, name: str) -> Listed:
        """Return images of unknown position."""
        nowhere = np.full(len(ids), np.nan)
        return cls(ids, name, nowhere, nowhere)


class Read(NamedTuple):
    """Images of one provider in a list or a frame, and the ids of those that its filters leave out."""

    provider: str
    listed: Listed
    filtered: Ids | None = None

    @property
    def left_out(self) -> Ids:
        """Ids of those that the filters leave out."""
        return self.listed.ids[:0] if self.filtered is None else self.filtered


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
    read, along
        Once they are parted by provider: the images of this one in the lists and frames, and its sequences.
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
    read: tuple[Read, ...] | None = None
    along: tuple[str, ...] | None = None

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
            access=Access(token=None, token_file=None, service=service, provider=None, endpoint=None),
            progress=progress,
        )

    def parted(self, ledger: Ledger | None) -> list[Sources]:
        """
        Return these sources for each provider of the images that they name; these, where they name none.

        Whose an image is says its row, else the form of its id in a list, else the caller, who names a service.

        Parameters
        ----------
        ledger
            The ledger with the images that failed before, for `retry_failed`; None before the first download.

        Raises
        ------
        InputError
            If images are of another provider than the one that the caller names, of one that does not exist, or it
            is unknown of which.
        """
        read, sequences = self._read(), self._sequences()
        there = [each.provider for each in read or () if len(each.listed.ids) or len(each.left_out)]
        there = there or [each.provider for each in read or ()]
        names = list(dict.fromkeys([*there, *(sequences or ())]))
        is_bare = read is None and sequences is None and self.place is None and self.user is None
        if self.retry_failed and ledger is not None and is_bare and self.access.own is None:
            names = ledger.providers()
        several = [who.name for who in self.access.providers]
        self.access.check_use(names or several)
        parts = []
        for name in names or several:
            own = None if read is None else tuple(each for each in read if each.provider == name)
            what = next((f"images of {each.listed.name}" for each in own or ()), "a sequence")
            along = None if sequences is None else tuple(sequences.get(name, ()))
            parts.append(replace(self, access=self.access.to(name, what), read=own, along=along))
        return parts

    def find(self, session: Callable[[], Session], ledger: Ledger | None, *, before: int = 0) -> Wanted:
        """
        Return the selected images.

        If both lists of images and lists of sequences are given, images must be in both; and in the region, if
        there is one. Where a list does not tell where its images are, the service does, or the region's tiles
        if an option of tiles is given.

        Parameters
        ----------
        session
            Function that returns a session with the service, called if it is needed.
        ledger
            The ledger with the images that failed before, for `retry_failed`; None before the first download.
        before
            How many images other sources of the call have selected, which count for `max_images`.

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
            wanted = self._failed(self._said(session), ledger.failed_ids(self._provider.name))
        if wanted is None:
            raise RegionError("no images to download are given", hint=NOTHING_SAID)
        for warning in wanted.warnings:
            log.warning("%s", warning)
        if self.max_images is None:
            return wanted
        return wanted.only(
            np.arange(len(wanted.ids)) < self.max_images - before, f"after the first {self.max_images:,}"
        )

    def _failed(self, said: Wanted | None, failed: Ids) -> Wanted:
        if said is None:
            return Wanted(failed, "those that failed")
        return said.only(
            keys.is_in(said.ids, failed), "as they did not fail before", source=f"those of {said.source} that failed"
        )

    def _said(self, session: Callable[[], Session]) -> Wanted | None:
        """Return the images that the call names; None if it names none."""
        if self.place is None or self.user is not None:
            of_no_use(TILE_OPTIONS, "without a region" if self.user is None else "with `user`")
        listed, sequences = self._listed(), self.along
        if self.user is not None and (listed is not None or sequences is not None):
            raise InputError("`user` and a list both say which images", hint="give one of them")
        if self.conditions and not self._is_searched and (sequences is not None or not self._is_filtered):
            names = ", ".join(f"`{name}`" for name in self.conditions)
            hint = "filter the images frame, with 'select'"
            raise InputError(f"{names}: lists of ids are not filtered", hint=hint)
        if self._is_searched:
            return self._searched(session())
        if sequences is None and listed is None:
            return None if self.place is None else self._in_region(self.place, self.conditions)
        wanted, parts = listed or (None, [])
        if sequences is not None:
            along = self._along(sequences, session())
            parts = [*parts, Listed.unplaced(along.ids, along.source)]
            if wanted is None:
                wanted = along
            else:
                reason = f"not in {'the sequence' if len(sequences) == 1 else 'the sequences'}"
                both = wanted.only(keys.is_in(wanted.ids, along.ids), reason, f"{wanted.source} in {along.source}")
                wanted = replace(both, warnings=along.warnings)
        if wanted is None or self.place is None:
            return wanted
        if self.asks_tiles:
            there = self._in_region(self.place, {})
            kept = wanted.only(keys.is_in(wanted.ids, there.ids), NOT_IN_TILES, f"{wanted.source} in {there.source}")
            return replace(kept, warnings=[*wanted.warnings, *there.warnings])
        return self._narrowed(wanted, parts, self.place, session)

    @property
    def facts(self) -> dict[str, Any]:
        """What is given beside ids, for summaries: the region and the filters."""
        return {
            "region": None if self.place is None else region_summary(self.place),
            "filters": shown(self.conditions),
        }

    @property
    def asks_tiles(self) -> bool:
        """Whether the tiles of the region tell which images are in it: without a list, or with an option of tiles."""
        lists = (self.images, self.imgid_file, self.sequence, self.sequence_file)
        options = (self.tiles.tile_list_file, self.tiles.tile_cache, self.tiles.max_age)
        asked = all(each is None for each in lists) or any(each is not None for each in options)
        return self.place is not None and self.user is None and asked

    @property
    def _is_searched(self) -> bool:
        """Whether a search selects the images: of a user, or of an organization anywhere."""
        lists = (self.images, self.imgid_file, self.sequence, self.sequence_file)
        anywhere = self.place is None and all(each is None for each in lists) and not self.retry_failed
        return self.user is not None or (anywhere and "organization" in self.conditions)

    @property
    def _is_filtered(self) -> bool:
        """Whether all images come from frames or tiles, which tell what the filters ask for."""
        if self.images is None and self.imgid_file is None:
            return self.place is not None
        return self.imgid_file is None and not any(self._is_id_list(word) for word in self._words)

    @property
    def _words(self) -> list[Any]:
        given = self.images
        if given is None:
            return []
        return list(given) if isinstance(given, list | tuple | set | np.ndarray) else [given]

    def _is_id_list(self, word: Any) -> bool:
        from mlygeo.readers.id_lists import is_meant

        return is_meant(word, self.access.own) or (_is_path(word) and _is_id_file(Path(word)))

    def _listed(self) -> tuple[Wanted, list[Listed]] | None:
        """Return the images of the given frames, ids and lists, and these one by one; None if there are none."""
        from mlygeo.readers import id_lists

        if self.read is None:
            return None
        own = self._provider.keys
        parts = [each.listed for each in self.read]
        filtered = [each.filtered for each in self.read if each.filtered is not None]
        everything = keys.joined([part.ids for part in parts]) if parts else own.array(())
        ids = id_lists.distinct(everything)
        left_out: dict[str, Ids] = {}
        if filtered:  # one frame may have what another leaves out
            others = keys.joined(filtered)
            others = id_lists.distinct(others[~keys.is_in(others, ids)])
            left_out[FILTERED] = others[keys.in_order(others)]
        name = " and ".join(part.name for part in parts) or "an empty list"
        return Wanted(ids, name, left_out=left_out | {REPEATED: id_lists.repeated(everything)}), parts

    def _read(self) -> list[Read] | None:
        """Return the images of the given frames, ids and lists, a part for each and its provider; None for none."""
        from mlygeo.readers import id_lists

        if self.images is None and self.imgid_file is None:
            return None
        own = self.access.own
        words = self._words
        named = [_identified(word, own) for word in words if id_lists.is_meant(word, own)]
        parts = [
            Read(who, Listed.unplaced(ids, counted(len(ids), "id"))) for who, ids in id_lists.by_provider(named).items()
        ]
        for word in (word for word in words if not id_lists.is_meant(word, own)):
            if self._is_id_list(word):
                parts += _of_list(word, self.access)
            else:
                parts += _of_frame(word, self.conditions, self.access, placed=self.place is not None)
        for file in places.several(self.imgid_file):
            parts += _of_list(file, self.access)
        return [each._replace(listed=_in_form(each)) for each in parts]

    def _narrowed(self, wanted: Wanted, parts: list[Listed], place: Region, session: Callable[[], Session]) -> Wanted:
        """
        Return the images that lie in a region.

        Images that are gone stay among them: that is said of each once it is downloaded.
        """
        inside, known = self._placed(wanted.ids, parts, place)
        if not known.all():
            asked = wanted.ids[~known]
            found, gone, failed = self._asked_where(asked, session())
            again, placed = self._placed(asked, [found], place)
            inside[~known] = again | keys.is_in(asked, gone)
            known[~known] = placed | keys.is_in(asked, gone)
            warnings = [f"where image {key} lies is unknown: {reason}" for key, reason in failed.items()]
            wanted = replace(wanted, warnings=[*wanted.warnings, *warnings])
        source = f"{wanted.source} in {place.name}"
        return wanted.only(known, UNPLACED, source).only(inside[known], ELSEWHERE, source)

    @staticmethod
    def _placed(ids: Ids, parts: list[Listed], place: Region) -> tuple[Flags, Flags]:
        """Return which images lie in a region at one of their positions, and of which a position is known."""
        listed = keys.joined([part.ids for part in parts])
        lon, lat = (np.concatenate([getattr(part, name) for part in parts]) for name in ("lon", "lat"))
        finite = np.isfinite(lon) & np.isfinite(lat)
        inside = np.zeros(len(listed), dtype=bool)
        inside[finite] = place.contains(lon[finite], lat[finite])
        return keys.is_in(ids, listed[inside]), keys.is_in(ids, listed[finite])

    def _asked_where(self, ids: Ids, session: Session) -> tuple[Listed, Ids, dict[Key, str]]:
        """Return where images are by the service, those that are gone, and why others are not known."""
        from mlygeo import frames
        from mlygeo.progress import Progress

        reader = self.access.records
        fields = reader.fields_for("geometry")
        records: list[dict[str, Any]] = []
        gone: list[Key] = []
        failed: dict[Key, str] = {}
        problems: dict[Key, str] = {}
        with (self.progress or Progress()).bar("positions", total=len(ids), unit="images") as bar:
            for batch in session.images(ids, fields=fields):
                records += batch.found.values()
                gone += [key for key, reason in batch.missing.items() if reason == reader.gone]
                failed |= {key: reason for key, reason in batch.missing.items() if reason != reader.gone}
                bar.advance(len(batch.found) + len(batch.missing))
        frame = reader.frame(records, fields=fields, problems=problems)
        lon, lat = frames.lonlat(frame)
        found = Listed(self._provider.keys.column(frame["id"]), "the service", lon, lat)
        nowhere = found.ids[~(np.isfinite(lon) & np.isfinite(lat))].tolist()
        failed |= {key: problems.get(key, "the service gives no position") for key in nowhere}
        return found, self._provider.keys.array(gone), failed

    def _sequences(self) -> dict[str, list[str]] | None:
        """Return the given sequences by provider; None if none are given."""
        from mlygeo.readers import id_lists

        if self.sequence is None and self.sequence_file is None:
            return None
        given = [self.sequence] if isinstance(self.sequence, str) else list(self.sequence or ())
        found = id_lists.checked_sequences(map(str, given), where="`sequence`")
        for file in places.several(self.sequence_file):
            found += id_lists.read_sequences(file)
        # Images of one provider tell whose the sequences are that they have to be in.
        whose = {each.provider for each in self._read() or ()}
        own = self.access.own
        if own is None and len(whose) == 1 and self.images is not None:
            from mlygeo.providers import provider

            own = id_lists.Own(name := whose.pop(), provider(name).keys)
        return id_lists.sequences_by_provider(dict.fromkeys(found), own)

    def _along(self, sequences: Sequence[str], session: Session) -> Wanted:
        from mlygeo.net.workers import WorkerPool
        from mlygeo.progress import Progress
        from mlygeo.readers import id_lists

        pool = WorkerPool[str, "list[Key]"](session.image_ids, workers=min(session.workers, 8), name="sequences")
        found: dict[str, list[Key]] = {}
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
        from mlygeo.pipelines.whose import searching
        from mlygeo.readers import id_lists

        reader = self.access.records
        others = set(self.conditions) - {"pano", "since", "until", "organization"}
        if others:
            names = ", ".join(f"`{name}`" for name in sorted(others))
            raise InputError(f"{names}: a search cannot filter by that")
        organizations: list[int | None] = list(self.conditions.get("organization", [None]))
        # The service's own notion of time is a second, and how it takes "no panoramas" is not documented.
        again = {name: value for name, value in self.conditions.items() if name != "organization"}
        columns = ["captured_at"] * bool(again.keys() & {"since", "until"}) + ["is_pano"] * ("pano" in again)
        fields = reader.fields_for("id", *columns)
        ids: list[Key] = []
        warnings = []
        unnamed = 0
        for organization in organizations:
            search = searching(session, self._provider)(
                fields=fields,
                bbox=self.place,
                creator_username=self.user,
                organization_id=organization,
                is_pano=self.conditions.get("pano"),
                since=self.conditions.get("since"),
                until=self.conditions.get("until"),
                progress=self.progress,
            )
            for records in search:
                known = {key: record for record in records if (key := reader.key_of(record)) is not None}
                unnamed += len(records) - len(known)
                ids.extend(_meeting(list(known.values()), again, fields, reader) if again else known)
            warnings += [f"the search is not complete: {text}" for text in search.shortcomings()]
        if unnamed:
            warnings.append(f"{counted(unnamed, 'image')} of the search without an id")
        who = [] if self.user is None else [f"user {self.user}"]
        who += [f"organization {number}" for number in organizations if number is not None]
        return Wanted(id_lists.distinct(self._provider.keys.array(ids)), " and ".join(who), warnings)

    def _in_region(self, place: Region, conditions: dict[str, Any]) -> Wanted:
        from mlygeo.readers import id_lists
        from mlygeo.store.point_sources import TablePoints
        from mlygeo.store.points import ids_of, keep

        fetching = self.fetching(place)
        everything = TablePoints(fetching.images(), "the images", fetching.attrs)
        kept = keep(everything, region=place, conditions=conditions)
        if not len(kept):
            warn_of_nothing(everything, None, around=place)
        warnings = [f"tile {name} could not be fetched, so what lies there is unknown" for name in fetching.failed]
        ids = (
            ids_of(kept, "id")
            if self._provider.keys is keys.WHOLE_NUMBERS
            else self._provider.keys.column(kept.arrow("id").to_pandas())
        )
        return Wanted(id_lists.distinct(ids), place.name, warnings)

    @property
    def _provider(self) -> Provider:
        return self.access.one

    def fetching(self, place: Region) -> Fetching | SeveralFetching:
        """Return the `Fetching` of the region's tiles."""
        return fetching(place, self.config, tiles=self.tiles, access=self.access, progress=self.progress)


def _meeting(records: list[Record], conditions: dict[str, Any], fields: list[str], reader: Records) -> list[Key]:
    """Return the ids of records that meet the conditions."""
    from mlygeo import frames

    frame = reader.frame(records, fields=fields)
    kept = frames.conditions_mask({str(name): frame[name] for name in frame.columns}, conditions)
    found: list[Key] = frame["id"][kept].tolist()
    return found


def _identified(word: Any, own: Own | None) -> Identified:
    from mlygeo.readers import id_lists

    found = id_lists.identified(word.strip() if isinstance(word, str) else word, own)
    if found is None:
        raise id_lists.refused(word, own)
    return found


def _of_list(file: Any, access: Access) -> list[Read]:
    from mlygeo.readers import id_lists

    who = access.providers[0]
    found = id_lists.listed_ids(file, own=access.own) or {who.name: who.keys.array(())}
    return [Read(who, Listed.unplaced(ids, Path(file).name)) for who, ids in found.items()]


def _in_form(read: Read) -> Listed:
    """Return images whose ids are in the form of their provider's; raise where they are not, or nobody has it."""
    from mlygeo.providers import provider
    from mlygeo.readers.id_lists import BARE

    form = provider(read.provider).keys
    ids = read.listed.ids
    if form is BARE.get(read.provider) or (form is keys.WHOLE_NUMBERS and ids.dtype != object):
        return read.listed
    return read.listed._replace(ids=form.array(form.parse(id_) for id_ in ids.tolist()))


def _of_frame(value: Any, conditions: dict[str, Any], access: Access, *, placed: bool) -> list[Read]:
    """
    Return the images of a frame or its file that meet the conditions, each once, and the ids of the others.

    Their positions stay unknown unless they are asked for (`placed`).
    """
    from mlygeo.pipelines.whose import parted_ids
    from mlygeo.readers import id_lists
    from mlygeo.store.points import keep, open_points
    from mlygeo.store.repeats import places_of

    if hasattr(value, "columns") and "id" in value.columns and not hasattr(value, "active_geometry_name"):
        if conditions:
            raise InputError("a frame without geometry is not filtered", hint="filter it before")
        found = parted_ids(value["id"], value.get("provider"), access, "the frame")
        return [Read(who, Listed.unplaced(id_lists.distinct(ids), "the frame")) for who, (ids, _) in found.items()]
    if hasattr(value, "to_numpy") and not hasattr(value, "columns"):
        if conditions:
            raise InputError("a list of ids is not filtered", hint="filter the images frame, with 'select'")
        found = parted_ids(value, None, access, "the ids")
        return [Read(who, Listed.unplaced(ids, "the ids")) for who, (ids, _) in found.items()]
    everything = open_points(value, name="the frame", placed=placed)
    if "id" not in everything.columns:
        raise InputError(f"{everything.name} has no column 'id', so its images cannot be identified")
    points = keep(everything, region=None, conditions=conditions)
    others = {} if points is everything else _parted(everything, access)
    parts = []
    for who, (ids, rows) in _parted(points, access).items():
        filtered = None
        if points is not everything:
            filtered = others.pop(who)[0]
            filtered = filtered[~keys.is_in(filtered, ids)]
        if not placed:
            parts.append(Read(who, Listed.unplaced(id_lists.distinct(ids), points.name), filtered))
            continue
        # An image of a selection has a row for each of its points, and only one position. One at several places,
        # which is said and counted, is in a region if any of them is.
        lon, lat = (values[rows] for values in points.lonlat)
        first = places_of(ids, lon, lat, points.name)
        parts.append(Read(who, Listed(ids[first], points.name, lon[first], lat[first]), filtered))
    for who, (filtered, _) in others.items():
        parts.append(Read(who, Listed.unplaced(filtered[:0], points.name), filtered))
    return parts


def _parted(points: Points, access: Access) -> dict[str, tuple[Ids, Any]]:
    """Return the ids of images by provider, and their rows."""
    from mlygeo.pipelines.whose import parted_ids
    from mlygeo.store.points import keys_of

    provider = points.arrow("provider").to_pandas() if "provider" in points.columns else None
    return parted_ids(keys_of(points), provider, access, points.name)


def _is_path(word: Any) -> bool:
    return isinstance(word, str | os.PathLike)


def _is_id_file(path: Path) -> bool:
    """Return whether a file lists ids; others hold frames."""
    from mlygeo.store.datasets.files import are_several

    if are_several(path):
        return False
    ending = path.suffix.lower()
    if ending == ".json":
        if path.expanduser().is_fifo():  # it is read once
            return True
        try:
            with path.expanduser().open("rb") as file:
                return file.read(200).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["
        except OSError:
            return False
    return ending in {"", ".txt", ".lst", ".list"}
