"""What the service knows of images: fields of many of them, and all of single ones."""

from __future__ import annotations

import logging
import os
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mlygeo.errors import FrameError, InputError
from mlygeo.pipelines.job import RECORDS_AT_ONCE, Job, joined, public_with, tally, version
from mlygeo.pipelines.options import Access, Asking
from mlygeo.pipelines.own_files import METADATA, MISSING_IMAGES
from mlygeo.progress import about, counted
from mlygeo.schemas import DEFAULT_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import geopandas as gpd
    import pandas as pd

    from mlygeo.keys import Ids, Key, Keys
    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.providers import Provider, Record, Records, Session
    from mlygeo.readers.id_lists import Identified
    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LABEL_WIDTH = 24
"""Letters of the longest field's name, and a space or two."""

PATH_SHOWN = 24
"""Letters of an address's path; it is an opaque word of some two hundred."""


@public_with(Asking)
def metadata(
    images: FrameLike | Iterable[int | str],
    *,
    fields: str | Sequence[str] | None = None,
    workers: int = 16,
    dry_run: bool = False,
    token: str | None = None,
    token_file: PathLike | None = None,
    service: Service | None = None,
    provider: str | Iterable[str] | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Add metadata from the service to images: altitude, camera, size, computed position and more.

    Requests the fields of 200 images at a time. An image that is gone keeps its row, with the reason in the column
    `error`. If a value makes no sense, it is set to unknown, and the reason is there, too.

    Parameters
    ----------
    images
        File with image ids: images, a table or a text file of ids (in Python also a frame); or ids.
    fields
        Fields of the Graph API, separated by commas, or "all". Default: sequence, capture time, heading, position
        and creator if the images lack them; and altitude, camera_type, camera_parameters, make, model, width,
        height, quality_score, exif_orientation and the computed position, altitude and heading.
    dry_run
        Request nothing; report the number of requests needed.

    Returns
    -------
    images
        The same rows in the same order, or a row for each id, with the fields as columns (see
        `mlygeo.providers.mapillary.records.images_frame`) and `error` (str, null when fine). A value of the service
        replaces the value in the frame; if the service has none, the frame's value stays.

    Raises
    ------
    FrameError
        If the frame has no ids.
    InputError
        If a field does not exist, or a word is not an id.
    CredentialsError
        If there is no token.
    ServiceError
        If the service refuses the token, or is down.

    Examples
    --------
    >>> metadata("selection.parquet", fields="altitude,camera_type,computed_geometry")
    """
    from mlygeo import frames, plausible
    from mlygeo.net.answers import UnknownFieldError
    from mlygeo.pipelines.whose import rows_by_provider
    from mlygeo.providers import attribution_of

    access = Access(token=token, token_file=token_file, service=service, provider=provider, endpoint=endpoint)
    asking = Asking(workers=workers)
    base, name, repeated = _images_named(images, access)
    whose = rows_by_provider(base, access, name)
    access.check_use(whose)
    parts = [
        _Asked(
            access.to(who, f"images of {name}"),
            base.iloc[rows].set_axis(rows) if len(rows) < len(base) else base,
            name,
            fields,
        )
        for who, rows in whose.items()
    ]
    if not any(len(part.ids) for part in parts):
        raise FrameError(f"{name}: no image has an id")
    distinct, calls = sum(part.distinct for part in parts), sum(part.calls for part in parts)
    wanted = list(dict.fromkeys(field for part in parts for field in part.wanted))
    left_out = {"listed more than once": repeated, "without an id": len(base) - sum(len(part.ids) for part in parts)}
    left_out = {reason: count for reason, count in left_out.items() if count}
    facts = {
        "asked": distinct + sum(left_out.values()),
        "images": distinct,
        "left_out": left_out,
        "fields": wanted,
        "requests_at_least": calls,
    }
    if dry_run:
        seconds = sum(part.reader.seconds_for(part.calls, service) for part in parts)
        headline = (
            f"{counted(distinct, 'image')} and {counted(len(wanted), 'field')} take {counted(calls, 'request')} or "
            f"more, {about(seconds)} at the service's limit; nothing was asked"
        )
        return Job(lambda: base, {**facts, "version": version()}, headline)
    for part in parts:
        with part.reader.open(part.access.opened(), workers=asking.workers) as session:
            try:
                part.ask(session, progress=progress, strict=fields is not None)
            except UnknownFieldError as error:
                raise _no_such_field(error.field, part.reader) from error
    result = _in_order([part.result for part in parts], base, name)
    if _ids_alone(base):  # all else comes from the records
        result = frames.conform(result, frames.IMAGES)
    result.attrs.setdefault("positions", "original")
    found, gone = sum(len(part.found) for part in parts), sum(part.gone for part in parts)
    missing = {part.word(key, parts): reason for part in parts for key, reason in part.missing.items()}
    errors = {part.word(key, parts): problem for part in parts for key, problem in part.errors.items()}
    summary = {
        **facts,
        "found": found,
        "gone": gone,
        "missing": missing,
        "wrong_values": {word: problem for word, problem in errors.items() if word not in missing},
        **_providers(parts),
        "problems": (doubts := plausible.of_frame(result)),
        "attribution": frames.credited_of(result, bare=attribution_of),
        "version": version(),
    }
    headline = f"{counted(found, 'image')} with {counted(len(wanted), 'field')} from the service"
    if missing:
        headline += f"; {len(missing):,} without ({gone:,} gone)"
    if left_out:
        headline += f"; not asked for: {tally(left_out)}"
    if doubts:
        headline += f"; in doubt: {tally(doubts)}"

    def write(path: Path) -> list[Path]:
        return _write_missing(missing, path.parent)

    return Job(lambda: result, summary, headline, write, list(errors), as_file=True)


class _Asked:
    """The images of one provider among those whose fields are asked for, and what came."""

    def __init__(self, access: Access, base: gpd.GeoDataFrame, name: str, fields: str | Sequence[str] | None) -> None:
        self.access, self.base, self.reader = access, base, access.records
        self.ids = self.reader.named(base, name)
        self.wanted = _fields(fields, base, self.reader)
        self.distinct = len(set(self.ids.tolist()))
        self.calls = self.reader.calls_for(self.distinct)

    def ask(self, session: Session, *, progress: Progress | None, strict: bool) -> None:
        """Ask for the fields."""
        self.found, self.errors, self.missing = _ask(
            session, self.ids, self.wanted, self.reader, progress=progress, strict=strict
        )

    @property
    def result(self) -> gpd.GeoDataFrame:
        """The images with the fields as columns."""
        columns = [column for column in self.found.columns if column in _columns(self.wanted, self.reader)]
        return self.reader.add(self.base, self.found, columns=columns, errors=self.errors)

    @property
    def gone(self) -> int:
        """Number of images that are gone."""
        return sum(reason == self.reader.gone for reason in self.missing.values())

    def word(self, key: Key, parts: list[_Asked]) -> str:
        """Return an id as text, with its provider where there are several."""
        from mlygeo.readers.id_lists import word_of

        return str(key) if len(parts) == 1 else word_of(key, self.access.one.name)


def _providers(parts: list[_Asked]) -> dict[str, Any]:
    """Return facts about each provider, for summaries; none for Mapillary alone."""
    names = [part.access.one.name for part in parts]
    if names == [DEFAULT_PROVIDER]:
        return {}
    counts = [{"images": part.distinct, "found": len(part.found), "gone": part.gone} for part in parts]
    return {"providers": dict(zip(names, counts, strict=True))}


def _in_order(parts: list[gpd.GeoDataFrame], base: gpd.GeoDataFrame, name: str) -> gpd.GeoDataFrame:
    """Return parts of a frame, whose labels are the numbers of its rows, as one in the order of the rows."""
    if len(parts) == 1:
        return parts[0]
    import numpy as np

    from mlygeo.store import held

    order = np.argsort(np.concatenate([part.index.to_numpy() for part in parts]), kind="stable")
    return held.joined(parts, name).iloc[order].set_axis(base.index)


@public_with(Asking)
def inspect(
    ids: Iterable[int | str],
    *,
    workers: int = 16,
    token: str | None = None,
    token_file: PathLike | None = None,
    service: Service | None = None,
    provider: str | Iterable[str] | None = None,
    endpoint: str | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Show all metadata of single images from the service.

    Use it if something about an image looks odd. Addresses of pictures are shown without their signatures.

    Parameters
    ----------
    ids
        Ids of images.

    Returns
    -------
    images
        Images frame with all fields, a row for each id, and `error` (str): why an image is missing, or what is wrong
        with its record. `attrs["summary"]["images"]` holds the records themselves.

    Raises
    ------
    InputError
        If a word is not an id.
    CredentialsError
        If there is no token.
    ServiceError
        If the service refuses the token, or is down.

    Examples
    --------
    >>> inspect([498763468214164])["error"]
    """
    from mlygeo import frames
    from mlygeo.readers.id_lists import Identified

    access = Access(token=token, token_file=token_file, service=service, provider=provider, endpoint=endpoint)
    asking = Asking(workers=workers)
    words = [ids] if isinstance(ids, str | int) else list(ids)
    images = _identified(words, access)
    left_out = {"listed more than once": len(words) - len(images)} if len(words) > len(images) else {}
    whose = {name: access.to(name, "an id") for name in dict.fromkeys(image.provider for image in images)}
    access.check_use(whose)
    records: dict[Identified, Record] = {}
    missing: dict[Identified, str] = {}
    problems: dict[Identified, str] = {}
    parts: list[gpd.GeoDataFrame] = []
    for name, its in whose.items():
        reader, keys_ = its.records, [image.key for image in images if image.provider == name]
        some: dict[Key, Record] = {}
        lost: dict[Key, str] = {}
        wrong: dict[Key, str] = {}
        with reader.open(its.opened(), workers=asking.workers) as session:
            for batch in session.images(its.one.keys.array(keys_), fields=reader.fields):
                some |= batch.found
                lost |= batch.missing
        found = reader.frame(list(some.values()), fields=reader.fields, problems=wrong)
        columns = [column for column in found.columns if column != "id"]
        rows = _ids_frame([Identified(name, key) for key in keys_])
        parts.append(reader.add(rows, found, columns=columns, errors={**wrong, **lost}))
        records |= {Identified(name, key): record for key, record in some.items()}
        missing |= {Identified(name, key): reason for key, reason in lost.items()}
        problems |= {Identified(name, key): problem for key, problem in wrong.items()}
    facts = [
        _facts(image.key, records.get(image), missing.get(image) or problems.get(image), whose[image.provider].one)
        for image in images
    ]
    if len(whose) > 1:
        facts = [
            {"id": fact["id"], "provider": image.provider} | fact for image, fact in zip(images, facts, strict=True)
        ]

    def make_frame() -> gpd.GeoDataFrame:
        from mlygeo.store import held

        whole = held.joined(parts, "the images")
        if len(parts) > 1:  # in the order of the ids
            order = sorted(range(len(images)), key=lambda row: [*whose].index(images[row].provider))
            whole = whole.set_axis(order).sort_index()
        return frames.conform(whole, frames.IMAGES)

    headline = f"{len(records):,} of {counted(len(images), 'image')} there"
    if left_out:
        headline += f"; left out: {tally(left_out)}"
    return Job(
        make_frame,
        {
            "asked": len(words),
            "there": len(records),
            "missing": len(missing),
            "left_out": left_out,
            "images": facts,
            "version": version(),
        },
        headline,
        failed=[str(image.key) for image in {**missing, **problems}],
        text=lambda: "\n\n".join(_text(fact) for fact in facts),
    )


def _ask(
    session: Session,
    ids: Ids,
    wanted: Sequence[str],
    reader: Records,
    *,
    progress: Progress | None,
    strict: bool,
) -> tuple[gpd.GeoDataFrame, dict[Key, str], dict[Key, str]]:
    """
    Return the frame of the records, what is wrong with each image, and the images without a record.

    Where it is `strict`, a field that does not exist is an error; else it is left out.
    """
    import numpy as np

    from mlygeo.progress import Progress

    parts: list[gpd.GeoDataFrame] = []
    records: list[dict[str, Any]] = []
    problems: dict[Key, str] = {}
    missing: dict[Key, str] = {}

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


def _images_named(images: Any, access: Access) -> tuple[gpd.GeoDataFrame, str, int]:
    """Return the frame that a caller means (a frame, its file, or ids), its name, and the number of repeated ids."""
    from mlygeo import store
    from mlygeo.readers import id_lists
    from mlygeo.store.datasets.files import are_several

    if hasattr(images, "columns"):
        return _placed(images), "the frame", 0
    if isinstance(images, str | os.PathLike | int):
        images = [images]
    words = list(images)
    only = words[0] if len(words) == 1 else None
    if isinstance(only, str | os.PathLike) and not id_lists.is_meant(str(only), access.own):
        if are_several(only):
            return store.read_frame(only), store.shown(only), 0
        path = Path(only).expanduser()
        if not path.suffix and not path.exists():
            raise InputError(f"{str(only)[:60]!r} is neither a file nor an id")
        if path.suffix.lower() in {"", ".txt", ".lst", ".list"} or _is_list(path):
            listed = list(id_lists.identified_in(path, own=access.own))
            distinct = _parsed(listed, access)
            return _ids_frame(distinct), path.name, len(listed) - len(distinct)
        return store.read_frame(path), path.name, 0
    if not words:
        raise InputError("no images", hint="give an images frame or its file, or ids")
    found = _identified(words, access)
    return _ids_frame(found), "the list of ids", len(words) - len(found)


def _is_list(path: Path) -> bool:
    """Return whether a file of JSON is a list, as percept-vsvi-filter writes ids, and no GeoJSON."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _identified(words: Sequence[int | str], access: Access) -> list[Identified]:
    """Return the images that ids stand for, each once."""
    from mlygeo.readers import id_lists

    own = access.own
    hint = id_lists.HINT if own is None else own.keys.hint
    if not words:
        raise InputError("no ids", hint=hint)
    found = [id_lists.identified(word.strip() if isinstance(word, str) else word, own) for word in words]
    for word, image in zip(words, found, strict=True):
        if image is None:
            raise id_lists.refused(word, own)
    return _parsed([image for image in found if image is not None], access)


def _parsed(images: Iterable[Identified], access: Access) -> list[Identified]:
    """Return images, each once, whose ids are in the form of their providers; raise where they are not."""
    from mlygeo.readers.id_lists import Identified

    whose: dict[str, Keys] = {}
    found: dict[Identified, None] = {}
    for name, key in images:
        if name not in whose:
            whose[name] = access.to(name, f"the id {str(key)[:40]!r}").one.keys
        found[Identified(name, whose[name].parse(key))] = None
    return list(found)


def _ids_frame(images: Sequence[Identified]) -> gpd.GeoDataFrame:
    """Return a frame of ids; with their providers, unless all are Mapillary's."""
    import geopandas as gpd

    from mlygeo import frames
    from mlygeo.readers.id_lists import array_of

    geometry = gpd.GeoSeries([None] * len(images), crs=frames.CRS)
    names = [image.provider for image in images]
    ids = array_of([image.key for image in images])
    if {*names} <= {DEFAULT_PROVIDER}:
        return gpd.GeoDataFrame({"id": ids}, geometry=geometry)
    columns = {"id": list(map(str, ids.tolist())), "provider": names}
    return gpd.GeoDataFrame(columns, geometry=geometry).astype(dict.fromkeys(columns, "str"))


def _placed(images: pd.DataFrame) -> gpd.GeoDataFrame:
    """Return a table with geometry, which is unknown where it has none."""
    import geopandas as gpd

    from mlygeo import frames

    if isinstance(images, gpd.GeoDataFrame):
        return images
    frame = gpd.GeoDataFrame(images, geometry=[None] * len(images), crs=frames.CRS)
    frame.attrs = dict(images.attrs)
    return frame


def _ids_alone(base: gpd.GeoDataFrame) -> bool:
    """Return whether a frame has nothing but ids, and whose they are."""
    return set(base.columns) - {"provider"} == {"id", "geometry"}


def _is_known(base: gpd.GeoDataFrame, column: str) -> bool:
    """
    Return whether a frame has a column, so that it is not asked for.

    In a frame of several providers a column may be there for the images of another one: it counts if each row has a
    value. The position counts if a row has one.
    """
    if column == "geometry":
        return bool(base.geometry.notna().any())
    if column not in base.columns:
        return False
    return "provider" not in base.columns or bool(base[column].notna().all())


def _fields(named: str | Sequence[str] | None, base: gpd.GeoDataFrame, reader: Records) -> list[str]:
    """Return the fields to ask for: those named, or those that most work needs and the frame does not have."""
    if named is None:
        ids_only = _ids_alone(base)
        own = [name for name in reader.base_fields if ids_only or not _is_known(base, reader.columns_of(name)[0])]
        # Names of people change, and no frame of tiles has them.
        people = [name for name in reader.fields_for("creator_username") if name not in own]
        return [*own, *people, *reader.more_fields]
    words = named.split(",") if isinstance(named, str) else [part for word in named for part in word.split(",")]
    words = [word.strip() for word in words if word.strip()]
    fields = reader.fields_for(*(word for word in words if word not in {"id", "all"}))
    if "all" in words:
        fields = list(dict.fromkeys([*reader.fields, *fields]))
    if not fields:
        raise InputError("`fields` names no field", hint=f"such as `fields='{','.join(reader.more_fields[:3])}'`")
    if _ids_alone(base):  # the rest of an images frame comes along
        fields = list(dict.fromkeys([*reader.base_fields, *fields]))
    return fields


def _columns(fields: Sequence[str], reader: Records) -> set[str]:
    return {column for field in fields for column in reader.columns_of(field)}


def _no_such_field(name: str, reader: Records) -> InputError:
    import difflib

    near = difflib.get_close_matches(name, reader.fields, n=1)
    hint = f"did you mean {near[0]}" if near else f"fields are {', '.join(reader.fields)}"
    return InputError(f"the service's images have no field {name[:60]!r}", hint=hint)


def _write_missing(missing: dict[str, str], folder: Path) -> list[Path]:
    from mlygeo import own, store

    lines = [f"{word}  # {' '.join(reason.split())}\n" for word, reason in missing.items()]
    if missing:
        own.refuse_others(folder, METADATA)
    return [store.write_text("".join(lines), folder / MISSING_IMAGES)] if missing else []


def _facts(key: Key, record: Record | None, problem: str | None, who: Provider) -> dict[str, Any]:
    """
    Return what is known of an image, as JSON: its id, `problem`, `record` without signatures, and `without_value`.

    The record is None where there is none; the problem says why, or what is wrong with it.
    """
    facts: dict[str, Any] = {"id": str(key)}
    if problem is not None:
        facts["problem"] = problem
    if record is not None:
        fields = () if who.records is None else who.records.fields
        if who.records is not None and not any(name in record for name in fields if name != "geometry"):
            record = _by_columns(record, who.records)  # its fields stand deeper
        shown = ((name, value) for name, value in sorted(record.items()) if name != "id")
        facts["record"] = {name: _without_signatures(value, who) for name, value in shown}
        facts["without_value"] = [name for name in fields if name not in record and name != "detections"]
    return facts


def _by_columns(record: Record, reader: Records) -> Record:
    """Return what a record says by the names of columns, as JSON has it."""
    row = reader.row_of(record)
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _text(facts: dict[str, Any]) -> str:
    """Return the facts of an image in lines, a field a line."""
    lines = [f"image {facts['id']}"]
    if "problem" in facts:
        lines.append(f"  {'problem':<{LABEL_WIDTH}}{_printable(facts['problem'])}")
    for name, value in facts.get("record", {}).items():
        lines.append(f"  {_printable(name):<{LABEL_WIDTH}}{_printable(_shown(name, value))}")
    if facts.get("without_value"):
        indent = " " * (LABEL_WIDTH + 2)
        first = f"  {'without a value':<{LABEL_WIDTH}}"
        lines += textwrap.wrap(", ".join(facts["without_value"]), 79, initial_indent=first, subsequent_indent=indent)
    return "\n".join(lines)


def _shown(name: str, value: Any) -> str:
    from mlygeo.formats.exif import signed_altitude

    match value:
        case int() if name == "captured_at" and not isinstance(value, bool):
            return _time(value)
        case {"type": "Point", "coordinates": [lon, lat, *_]}:
            return f"longitude {lon}, latitude {lat}"
        case {"data": list() as items}:
            return f"{len(items)}"
        case dict():
            return ", ".join(f"{key} {part}" for key, part in value.items())
        case list():
            return ", ".join(map(str, value))
        case int() | float() if name.endswith("altitude"):
            return f"{signed_altitude(value)} m"
        case int() | float() if name.endswith("angle"):
            return f"{value}°"
    return str(value)


def _time(milliseconds: int) -> str:
    try:
        moment = EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return f"{milliseconds} ms, which is not a date"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} UTC"


def _without_signatures(value: Any, who: Provider) -> Any:
    """Return a value in which each address is short, and signed no more."""
    if isinstance(value, dict):
        return {key: _without_signatures(part, who) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_signatures(part, who) for part in value]
    if isinstance(value, str) and "://" in value[:12]:
        return _short(value, who)
    return value


def _short(url: str, who: Provider) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is none"
    path = parts.path if len(parts.path) <= PATH_SHOWN else f"{parts.path[:PATH_SHOWN]}…"
    short = f"{parts.scheme}://{parts.netloc.rsplit('@', 1)[-1]}{path}"
    seconds = None if who.pictures is None else who.pictures.expires(url)
    if seconds is None:
        return short
    try:
        until = EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return short
    return f"{short} (until {until:%Y-%m-%d %H:%M} UTC)"


def _printable(text: str) -> str:
    """Return a text from outside without control characters, which a terminal would obey."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
