"""The jobs that ask the Graph API: fields of many images, all of single ones."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FrameError, InputError
from mlygeo.pipelines import inputs
from mlygeo.pipelines.job import RECORDS_AT_ONCE, Job, counted, joined, version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import geopandas as gpd

    from mlygeo.keys import Ids, Key, Keys
    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.providers import Records, Session

log = logging.getLogger("mlygeo.jobs")

MISSING_IMAGES = "missing_images.txt"
"""Names the images without a record, and why."""


def metadata(
    images: Any,
    *,
    fields: str | Sequence[str] | None,
    workers: int,
    dry_run: bool,
    token: str | None,
    token_file: Any,
    service: Service | None,
    progress: Progress | None,
) -> Job[Any]:
    """Do what `metadata` says."""
    from mlygeo import frames, store
    from mlygeo.net.answers import UnknownFieldError
    from mlygeo.providers import needed, provider_of

    who = provider_of(service)
    reader = needed(who.records, who, "images by id")
    base, name = _images_named(images, who.keys)
    ids = reader.named(base, name)
    if not len(ids):
        raise FrameError(f"{name}: no image has an id")
    wanted = _fields(fields, base, reader)
    distinct = len(set(ids.tolist()))
    calls = reader.calls_for(distinct)
    facts = {"images": distinct, "fields": wanted, "requests_at_least": calls}
    if dry_run:
        seconds = reader.seconds_for(calls, service)
        headline = (
            f"{counted(distinct, 'image')} and {counted(len(wanted), 'field')} take {counted(calls, 'request')} or "
            f"more, {seconds:,.0f} s at the service's limit; nothing was asked"
        )
        return Job(lambda: base, {**facts, "version": version()}, headline, lambda _: [])
    with reader.open(inputs.service_for(service, token, token_file), workers=workers) as session:
        try:
            found, errors, missing = _ask(session, ids, wanted, reader, progress=progress, strict=fields is not None)
        except UnknownFieldError as error:
            raise _no_such_field(error.field, reader) from error
    columns = [column for column in found.columns if column in _columns(wanted, reader)]
    result = reader.add(base, found, columns=columns, errors=errors)
    if len(base.columns) == 2:  # ids alone: all else comes from the records
        result = frames.conform(result, frames.IMAGES)
    result.attrs.setdefault("positions", "original")
    gone = sum(reason == reader.gone for reason in missing.values())
    summary = {
        **facts,
        "found": len(found),
        "gone": gone,
        "missing": {str(number): reason for number, reason in missing.items()},
        "wrong_values": {str(number): problem for number, problem in errors.items() if number not in missing},
        "attribution": result.attrs.get("attribution", [who.attribution]),
        "version": version(),
    }
    headline = f"{counted(len(found), 'image')} with {counted(len(wanted), 'field')} from the service"
    if missing:
        headline += f"; {len(missing):,} without ({gone:,} gone)"

    def write(path: Path) -> list[Path]:
        return [store.write_frame(result, path), *_write_missing(missing, path.parent)]

    return Job(lambda: result, summary, headline, write, [str(number) for number in errors])


def inspect(
    ids: Iterable[int | str],
    *,
    workers: int,
    token: str | None,
    token_file: Any,
    service: Service | None,
    progress: Progress | None,  # noqa: ARG001 - a few images are there at once; kept for the twin
) -> Job[Any]:
    """Do what `inspect` says."""
    from mlygeo.jobs import _inspection
    from mlygeo.providers import needed, provider_of

    who = provider_of(service)
    reader = needed(who.records, who, "images by id")
    numbers = _ids([ids] if isinstance(ids, str | int) else list(ids), who.keys)
    records: dict[Key, dict[str, Any]] = {}
    missing: dict[Key, str] = {}
    with reader.open(inputs.service_for(service, token, token_file), workers=workers) as session:
        for batch in session.images(numbers, fields=reader.fields):
            records |= batch.found
            missing |= batch.missing
    problems: dict[int, str] = {}
    found = reader.frame(list(records.values()), fields=reader.fields, problems=problems)
    facts = [
        _inspection.facts(number, records.get(number), missing.get(number) or problems.get(number), who)
        for number in numbers
    ]

    def make_frame() -> gpd.GeoDataFrame:
        from mlygeo import frames

        columns = [column for column in found.columns if column != "id"]
        result = reader.add(_ids_frame(numbers, who.keys), found, columns=columns, errors={**problems, **missing})
        return frames.conform(result, frames.IMAGES)

    headline = f"{len(records):,} of {counted(len(numbers), 'image')} there"
    return Job(
        make_frame,
        {"images": facts, "version": version()},
        headline,
        lambda _: [],
        [str(number) for number in {**missing, **problems}],
        text=lambda: "\n\n".join(_inspection.text(fact) for fact in facts),
    )


def _ask(
    session: Session,
    ids: Ids,
    wanted: Sequence[str],
    reader: Records,
    *,
    progress: Progress | None,
    strict: bool,
) -> tuple[gpd.GeoDataFrame, dict[int, str], dict[int, str]]:
    """
    Return the frame of the records, what is wrong with each image, and the images without a record.

    Where it is `strict`, a field that does not exist is an error; else it is left out.
    """
    import numpy as np

    from mlygeo.progress import Progress

    parts: list[gpd.GeoDataFrame] = []
    records: list[dict[str, Any]] = []
    problems: dict[int, str] = {}
    missing: dict[int, str] = {}

    def make() -> None:
        parts.append(reader.frame(records, fields=wanted, problems=problems))
        records.clear()

    with (progress or Progress()).bar("metadata", total=len(np.unique(ids)), unit="images") as bar:
        for batch in session.images(ids, fields=wanted):
            if strict and (unknown := session.unknown_fields & {*wanted}):
                raise _no_such_field(min(unknown), reader)
            records.extend(batch.found.values())
            missing |= batch.missing
            bar.advance(len(batch.found) + len(batch.missing))
            if len(records) >= RECORDS_AT_ONCE:
                make()
    make()
    log.info("%d images asked for, %d without a record", len(np.unique(ids)), len(missing))
    return joined(parts), {**problems, **missing}, missing


def _images_named(images: Any, keys: Keys) -> tuple[gpd.GeoDataFrame, str]:
    """Return the frame that a caller means: a frame, its file, or ids."""
    from mlygeo import store
    from mlygeo.readers import id_lists

    if hasattr(images, "geometry"):
        return images, "the frame"
    if isinstance(images, str | os.PathLike | int):
        images = [images]
    words = list(images)
    if len(words) == 1 and isinstance(words[0], str | os.PathLike) and not keys.is_meant(str(words[0])):
        path = Path(words[0]).expanduser()
        if not path.suffix and not path.exists():
            raise InputError(f"{str(words[0])[:60]!r} is neither a file nor an id")
        if path.suffix.lower() in {"", ".txt", ".lst", ".list"} or _is_list(path):
            return _ids_frame(id_lists.read_ids(path, keys=keys).tolist(), keys), path.name
        return store.read_frame(path), path.name
    if not words:
        raise InputError("no images", hint="give an images frame or its file, or ids")
    return _ids_frame(_ids(words, keys), keys), "the list of ids"


def _is_list(path: Path) -> bool:
    """Return whether a file of JSON is a list, as percept-vsvi-filter writes ids, and no GeoJSON."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _ids(words: Sequence[int | str], keys: Keys) -> list[Key]:
    if not words:
        raise InputError("no ids", hint=keys.hint)
    return list(dict.fromkeys(keys.parse(word.strip() if isinstance(word, str) else word) for word in words))


def _ids_frame(ids: Sequence[Key], keys: Keys) -> gpd.GeoDataFrame:
    import geopandas as gpd

    from mlygeo import frames

    geometry = gpd.GeoSeries([None] * len(ids), crs=frames.CRS)
    return gpd.GeoDataFrame({"id": keys.array(ids)}, geometry=geometry)


def _fields(named: str | Sequence[str] | None, base: gpd.GeoDataFrame, reader: Records) -> list[str]:
    """Return the fields to ask for: those named, or those that most work needs and the frame does not have."""
    if named is None:
        ids_only = len(base.columns) == 2
        own = [name for name in reader.base_fields if ids_only or reader.columns_of(name)[0] not in base.columns]
        # Names of people change, and no frame of tiles has them.
        people = [name for name in reader.fields_for("creator_username") if name not in own]
        return [*own, *people, *reader.more_fields]
    words = named.split(",") if isinstance(named, str) else [part for word in named for part in word.split(",")]
    words = [word.strip() for word in words if word.strip()]
    fields = reader.fields_for(*(word for word in words if word not in {"id", "all"}))
    if "all" in words:
        fields = list(dict.fromkeys([*reader.fields, *fields]))
    if not fields:
        raise InputError("--fields names no field", hint=f"such as --fields {','.join(reader.more_fields[:3])}")
    if len(base.columns) == 2:  # ids alone: the rest of an images frame comes along
        fields = list(dict.fromkeys([*reader.base_fields, *fields]))
    return fields


def _columns(fields: Sequence[str], reader: Records) -> set[str]:
    return {column for field in fields for column in reader.columns_of(field)}


def _no_such_field(name: str, reader: Records) -> InputError:
    import difflib

    near = difflib.get_close_matches(name, reader.fields, n=1)
    hint = f"did you mean {near[0]}" if near else f"fields are {', '.join(reader.fields)}"
    return InputError(f"the service's images have no field {name[:60]!r}", hint=hint)


def _write_missing(missing: dict[int, str], folder: Path) -> list[Path]:
    from mlygeo import store

    lines = [f"{number}  # {' '.join(reason.split())}\n" for number, reason in missing.items()]
    return [store.write_text("".join(lines), folder / MISSING_IMAGES)] if missing else []
