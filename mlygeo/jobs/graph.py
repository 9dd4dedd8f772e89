"""The jobs that ask the Graph API: fields of images, the sequences of a person or region, single images."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlygeo.errors import FrameError, InputError
from mlygeo.fetching import counted
from mlygeo.jobs._job import Job, version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import geopandas as gpd
    import numpy as np
    import numpy.typing as npt

    from mlygeo.progress import Progress
    from mlygeo.service.graph import Graph, Record
    from mlygeo.service.http import Service

log = logging.getLogger("mlygeo.jobs")

MISSING_IMAGES = "missing_images.txt"
"""Names the images without a record, and why."""

RECORDS_AT_ONCE = 20_000
"""Records made a frame together: as JSON objects they need ten times the memory."""


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
) -> Job:
    """Do what `metadata` says."""
    from mlygeo import frames, store
    from mlygeo.readers import _graph_join as join
    from mlygeo.service import graph as protocol
    from mlygeo.service.graph import Graph

    base, name = _images_named(images)
    ids = join.ids_in(base, name)
    if not (ids > 0).any():
        raise FrameError(f"{name}: no image has an id")
    wanted = _fields(fields, base)
    distinct = len(set(ids[ids > 0].tolist()))
    calls = protocol.calls_for(distinct)
    facts = {"images": distinct, "fields": wanted, "requests_at_least": calls}
    if dry_run:
        seconds = _seconds(calls, service)
        headline = (
            f"{counted(distinct, 'image')} and {counted(len(wanted), 'field')} take {counted(calls, 'request')} or "
            f"more, {seconds:,.0f} s at the service's limit; nothing was asked"
        )
        return Job(lambda: base, {**facts, "version": version()}, headline, lambda _: [])
    with Graph(_service(service, token, token_file), workers=workers) as graph:
        try:
            found, errors, missing = _ask(graph, ids[ids > 0], wanted, progress=progress, strict=fields is not None)
        except protocol.UnknownFieldError as error:
            raise _no_such_field(error.field) from error
    columns = [column for column in found.columns if column in _columns(wanted)]
    result = join.add_fields(base, found, columns=columns, errors=errors)
    if len(base.columns) == 2:  # ids alone: all else comes from the records
        result = frames.conform(result, frames.IMAGES)
    result.attrs.setdefault("positions", "original")
    gone = sum(reason == protocol.GONE for reason in missing.values())
    summary = {
        **facts,
        "found": len(found),
        "gone": gone,
        "missing": {str(number): reason for number, reason in missing.items()},
        "wrong_values": {str(number): problem for number, problem in errors.items() if number not in missing},
        "attribution": result.attrs.get("attribution", [frames.MAPILLARY]),
        "version": version(),
    }
    headline = f"{counted(len(found), 'image')} with {counted(len(wanted), 'field')} from the service"
    if missing:
        headline += f"; {len(missing):,} without ({gone:,} gone)"

    def write(path: Path) -> list[Path]:
        return [store.write_frame(result, path), *_write_missing(missing, path.parent)]

    return Job(lambda: result, summary, headline, write, [str(number) for number in errors])


def find_sequences(
    user: str | Sequence[str] | None,
    *,
    region: Any,
    organization: int | str | None,
    filter: Literal["all", "360", "regular"],  # noqa: A002 - the option's name
    since: str | datetime | None,
    until: str | datetime | None,
    max_pages: int | None,
    workers: int,
    token: str | None,
    token_file: Any,
    service: Service | None,
    progress: Progress | None,
) -> Job:
    """Do what `find_sequences` says."""
    from mlygeo import frames, regions
    from mlygeo.actors import sequence_list
    from mlygeo.service.graph import Graph
    from mlygeo.spatial import sequences as step

    user = _one_user(user)
    place, _ = regions.settle(region)
    if user is None and place is None and organization is None:
        raise InputError("nobody and nowhere to look for", hint="name a user, --organization ID or a region")
    if max_pages is not None and place is not None:
        raise InputError("--max-pages goes with a user or an organization; a region is searched box by box")
    times = frames.conditions_of(
        pano=None, since=since, until=until, creator=None, organization=organization, min_quality=None
    )
    if organization is not None and len(times["organization"]) != 1:
        raise InputError("one organization at a time")
    with Graph(_service(service, token, token_file), workers=workers) as graph:
        search = graph.search(
            fields=("sequence", "captured_at", "geometry", "is_pano", "camera_type", "creator", "organization", "make",
                    "model"),
            bbox=place,
            creator_username=user,
            organization_id=None if organization is None else times["organization"][0],
            # Only the answer "yes" is asked for: what a service makes of "false" is known only to itself.
            is_pano=True if filter == "360" else None,
            since=times.get("since"),
            until=times.get("until"),
            max_pages=max_pages,
            progress=progress,
        )  # fmt: skip
        images, problems = _searched(search, times, filter)
    sequences = step.summarise(images)
    shortcomings = search.shortcomings()
    whose = sequence_list.whose(user, organization, None if place is None else place.name)
    summary = {
        "of": whose,
        "filter": filter,
        "sequences": len(sequences),
        "images": len(images),
        "length_km": round(float(sequences["length_m"].sum()) / 1000, 3),
        "requests": search.requests,
        "incomplete": shortcomings,
        "wrong_values": {str(number): problem for number, problem in problems.items()},
        "attribution": [frames.MAPILLARY],
        "version": version(),
    }
    headline = f"{counted(len(sequences), 'sequence')} of {whose}, {counted(len(images), 'image')}"
    if not len(images) and not shortcomings:
        headline += "; the service knows none, or nobody of that name"
    if shortcomings:
        headline += f"; incomplete: {shortcomings[0]}"
    stem = sequence_list.file_stem(user, organization)

    def write(folder: Path) -> list[Path]:
        return sequence_list.write(sequences, folder / stem, whose=whose, shortcomings=shortcomings)

    return Job(
        lambda: sequences,
        summary,
        headline,
        write,
        [*shortcomings, *map(str, problems)],
        text=lambda: sequence_list.table(sequences),
    )


def inspect(
    ids: Iterable[int | str],
    *,
    workers: int,
    token: str | None,
    token_file: Any,
    service: Service | None,
    progress: Progress | None,  # noqa: ARG001 - a few images are there at once; kept for the twin
) -> Job:
    """Do what `inspect` says."""
    from mlygeo.jobs import _inspection
    from mlygeo.readers import _graph_join as join
    from mlygeo.readers import graph as reader
    from mlygeo.service.graph import Graph

    numbers = _ids([ids] if isinstance(ids, str | int) else list(ids))
    records: dict[int, Record] = {}
    missing: dict[int, str] = {}
    with Graph(_service(service, token, token_file), workers=workers) as graph:
        for batch in graph.images(numbers, fields=reader.FIELDS):
            records |= batch.found
            missing |= batch.missing
    problems: dict[int, str] = {}
    found = reader.images_frame(list(records.values()), fields=reader.FIELDS, problems=problems)
    facts = [
        _inspection.facts(number, records.get(number), missing.get(number) or problems.get(number))
        for number in numbers
    ]

    def make_frame() -> gpd.GeoDataFrame:
        from mlygeo import frames

        columns = [column for column in found.columns if column != "id"]
        result = join.add_fields(_ids_frame(numbers), found, columns=columns, errors={**problems, **missing})
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
    graph: Graph,
    ids: npt.NDArray[np.int64],
    wanted: Sequence[str],
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
    from mlygeo.readers import graph as reader

    parts: list[gpd.GeoDataFrame] = []
    records: list[Record] = []
    problems: dict[int, str] = {}
    missing: dict[int, str] = {}

    def make() -> None:
        parts.append(reader.images_frame(records, fields=wanted, problems=problems))
        records.clear()

    with (progress or Progress()).bar("metadata", total=len(np.unique(ids)), unit="images") as bar:
        for batch in graph.images(ids, fields=wanted):
            if strict and (unknown := graph.unknown_fields & {*wanted}):
                raise _no_such_field(min(unknown))
            records.extend(batch.found.values())
            missing |= batch.missing
            bar.advance(len(batch.found) + len(batch.missing))
            if len(records) >= RECORDS_AT_ONCE:
                make()
    make()
    log.info("%d images asked for, %d without a record", len(np.unique(ids)), len(missing))
    return _joined(parts), {**problems, **missing}, missing


def _searched(
    search: Any, conditions: dict[str, Any], kind: Literal["all", "360", "regular"]
) -> tuple[gpd.GeoDataFrame, dict[int, str]]:
    """Return the images that a search finds, and what is wrong with some of them."""
    from mlygeo import frames
    from mlygeo.readers import graph as reader

    fields = (*reader.BASE_FIELDS, "camera_type", "make", "model")
    conditions = {name: value for name, value in conditions.items() if name in {"since", "until"}}
    parts: list[gpd.GeoDataFrame] = []
    records: list[Record] = []
    problems: dict[int, str] = {}

    def make() -> None:
        images = reader.images_frame(records, fields=fields, problems=problems)
        records.clear()
        if conditions:
            images = images[frames.conditions_mask({name: images[name] for name in images.columns}, conditions)]
        if kind != "all":
            panoramic = images["is_pano"] | images["camera_type"].isin(reader.PANORAMAS)
            images = images[panoramic if kind == "360" else ~panoramic]
        parts.append(images)

    for batch in search:
        records.extend(batch)
        if len(records) >= RECORDS_AT_ONCE:
            make()
    make()
    return _joined(parts), problems


def _joined(parts: list[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    import pandas as pd

    if len(parts) == 1:
        return parts[0]
    # An empty part would only make the others' dtypes doubtful.
    joined: gpd.GeoDataFrame = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    joined.attrs = dict(parts[0].attrs)
    return joined


def _images_named(images: Any) -> tuple[gpd.GeoDataFrame, str]:
    """Return the frame that a caller means: a frame, its file, or ids."""
    from mlygeo import store
    from mlygeo.readers import id_lists

    if hasattr(images, "geometry"):
        return images, "the frame"
    if isinstance(images, str | os.PathLike | int):
        images = [images]
    words = list(images)
    if len(words) == 1 and isinstance(words[0], str | os.PathLike) and not str(words[0]).strip().isdigit():
        path = Path(words[0]).expanduser()
        if not path.suffix and not path.exists():
            raise InputError(f"{str(words[0])[:60]!r} is neither a file nor an id")
        if path.suffix.lower() in {"", ".txt", ".lst", ".list"} or _is_list(path):
            return _ids_frame(id_lists.read_ids(path).tolist()), path.name
        return store.read_frame(path), path.name
    if not words:
        raise InputError("no images", hint="give an images frame or its file, or ids")
    return _ids_frame(_ids(words)), "the list of ids"


def _is_list(path: Path) -> bool:
    """Return whether a file of JSON is a list, as percept-vsvi-filter writes ids, and no GeoJSON."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _ids(words: Sequence[int | str]) -> list[int]:
    if not words:
        raise InputError("no ids", hint="ids are whole numbers, such as 498763468214164")
    from mlygeo.service.graph import checked_id

    return list(dict.fromkeys(checked_id(word.strip() if isinstance(word, str) else word) for word in words))


def _ids_frame(ids: Sequence[int]) -> gpd.GeoDataFrame:
    import geopandas as gpd
    import numpy as np

    from mlygeo import frames

    geometry = gpd.GeoSeries([None] * len(ids), crs=frames.CRS)
    return gpd.GeoDataFrame({"id": np.array(ids, dtype=np.int64)}, geometry=geometry)


def _fields(named: str | Sequence[str] | None, base: gpd.GeoDataFrame) -> list[str]:
    """Return the fields to ask for: those named, or those that most work needs and the frame does not have."""
    from mlygeo.readers import graph as reader

    if named is None:
        lacking = {"sequence": "sequence_id", "creator": "creator_id", "organization": "organization_id"}
        ids_only = len(base.columns) == 2
        own = [name for name in reader.BASE_FIELDS if ids_only or lacking.get(name, name) not in base.columns]
        return [*own, *({"creator"} - {*own}), *reader.MORE_FIELDS]
    words = named.split(",") if isinstance(named, str) else [part for word in named for part in word.split(",")]
    words = [word.strip() for word in words if word.strip()]
    fields = list(dict.fromkeys(reader.field_of(word) for word in words if word not in {"id", "all"}))
    if "all" in words:
        fields = list(dict.fromkeys([*reader.FIELDS, *fields]))
    if not fields:
        raise InputError("--fields names no field", hint=f"such as --fields {','.join(reader.MORE_FIELDS[:3])}")
    if len(base.columns) == 2:  # ids alone: the rest of an images frame comes along
        fields = list(dict.fromkeys([*reader.BASE_FIELDS, *fields]))
    return fields


def _columns(fields: Sequence[str]) -> set[str]:
    from mlygeo.readers import graph as reader

    return {column for field in fields for column in reader.columns_of(field)}


def _no_such_field(name: str) -> InputError:
    import difflib

    from mlygeo.readers import graph as reader

    near = difflib.get_close_matches(name, reader.FIELDS, n=1)
    hint = f"did you mean {near[0]}" if near else f"fields are {', '.join(reader.FIELDS)}"
    return InputError(f"the service's images have no field {name[:60]!r}", hint=hint)


def _one_user(user: str | Sequence[str] | None) -> str | None:
    names = [user] if isinstance(user, str) else list(user or ())
    if len(names) > 1:
        raise InputError(f"{len(names)} users", hint="one at a time; put a name with spaces into quotes")
    if names and not names[0].strip():
        raise InputError("the user's name is empty")
    return names[0].strip() if names else None


def _service(service: Service | None, token: str | None, token_file: Any) -> Service:
    from mlygeo import config
    from mlygeo.service.http import Service

    if service is not None:
        return service
    return Service(endpoints=config.Endpoints.from_environment(), token=config.require_token(token, token_file))


def _seconds(calls: int, service: Service | None) -> float:
    from mlygeo.service import quota

    pace = quota.search_pace() if service is None else service.search_pace
    return pace.seconds_for(calls)


def _write_missing(missing: dict[int, str], folder: Path) -> list[Path]:
    from mlygeo import store

    lines = [f"{number}  # {' '.join(reason.split())}\n" for number, reason in missing.items()]
    return [store.write_text("".join(lines), folder / MISSING_IMAGES)] if missing else []
