"""
The values that a parameter takes, by its annotation: checked, and brought to one form.

A number may be text that is one, an EPSG code may be a CRS, a frame may be anything that holds one. What
cannot be understood wholly is an error that names the parameter.
"""

from __future__ import annotations

import ast
import datetime as dt
import difflib
import importlib
import math
import numbers
import os
import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import periods, places
from mlygeo.errors import FileError, InputError, RegionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlygeo.schemas import Schema

NAMED_IN = (
    "mlygeo.pipelines.options",
    "mlygeo.readers.cameras",
    "mlygeo.readers.tracks",
    "mlygeo.spatial.coverage",
    "mlygeo.spatial.designs",
    "mlygeo.spatial.duplicates",
)
"""Modules whose names of choices stand in annotations that only a type checker imports."""

KINDS = {
    "None": "none",
    "bool": "bool",
    "int": "int",
    "float": "float",
    "str": "text",
    "bytes": "bytes",
    "PathLike": "path",
    "Path": "path",
    "os.PathLike": "path",
    "FrameLike": "frame",
    "store.FrameLike": "frame",
    "gpd.GeoDataFrame": "geodataframe",
    "pd.DataFrame": "table",
    "Mapping": "mapping",
    "RegionLike": "region like",
    "Region": "region",
    "datetime": "time",
    "date": "date",
    "Sources": "sources",
    "Service": "service",
    "Progress": "progress",
    "Callable": "function",
}
"""The kind of values that each name in an annotation stands for."""

SEVERAL = frozenset({"Iterable", "Sequence", "Collection", "list"})

WORDS = {
    "bool": "True or False",
    "int": "a whole number",
    "float": "a number",
    "text": "text",
    "bytes": "bytes",
    "path": "a path",
    "frame": "a frame or the path of one",
    "geodataframe": "a frame",
    "table": "a table",
    "mapping": "a dict",
    "region like": "a region",
    "region": "a region",
    "time": "a time",
    "date": "a date",
    "sources": "the name of a source",
    "service": "a Service",
    "progress": "a Progress",
    "function": "a function",
    "box": "four numbers",
}

CODES = frozenset({"srid"})
"""Parameters of EPSG codes."""

ENDLESS = ("max_", "cutoff_")
"""How the names of parameters begin for which infinity means "no limit"."""

OPENED = frozenset({"images", "points"})
"""Parameters of frames that are opened as they are needed, so that several files stay files."""

PIPED = "_file"
"""How the names of parameters end whose files are read once, so that a pipe will do; see `places.opened`."""

ADDRESSED = frozenset({"sequence_file", "basemap"})
"""Parameters of paths that may be addresses: files of text, of frames, and of map tiles."""

WRITTEN = frozenset({"output", "import_path", "failed_imgid_file", "split_import_path", "store"})
"""Parameters of paths that results are written to."""

LONGEST_OFFSET_S = 1e10
"""Seconds by which no clock is wrong."""

LONGEST_PATH, LONGEST_NAME = 4096, 255
"""Bytes of a path, and of a name in it, that file systems take (PATH_MAX and NAME_MAX of Linux)."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_CODE = re.compile(r"\s*(?:EPSG:+)?(\d+)\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Takes:
    """
    What a parameter takes.

    Parameters
    ----------
    kinds
        Kinds of values, of `KINDS`.
    choices
        The words it takes, where these are all.
    items
        What each takes where several may be given.
    """

    kinds: frozenset[str]
    choices: tuple[str, ...] = ()
    items: Takes | None = None
    unknown: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        """Return in words what it takes."""
        words = [WORDS[kind] for kind in WORDS if kind in self.kinds]
        if self.choices:
            words.append(", ".join(self.choices))
        if self.items is not None and str(self.items) not in words:
            words.append(f"several of {self.items}")
        return " or ".join(dict.fromkeys(words)) or "nothing else than its default"


PATH = Takes(frozenset({"path"}))
"""What a parameter of a path takes."""


def taken_by(annotation: Any, names: Mapping[str, Any]) -> Takes:
    """
    Return what an annotation takes.

    Parameters
    ----------
    annotation
        The annotation, as text or as an object.
    names
        The names in the module of the function.
    """
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return _taken(ast.parse(text, mode="eval").body, names)


def _taken(tree: ast.expr, names: Mapping[str, Any]) -> Takes:
    if isinstance(tree, ast.BinOp):
        one, other = _taken(tree.left, names), _taken(tree.right, names)
        return Takes(
            one.kinds | other.kinds,
            one.choices + other.choices,
            one.items or other.items,
            one.unknown + other.unknown,
        )
    if isinstance(tree, ast.Constant):
        return Takes(frozenset({"none"})) if tree.value is None else taken_by(str(tree.value), names)
    if isinstance(tree, ast.Subscript):
        outer = ast.unparse(tree.value)
        if outer in SEVERAL:
            return Takes(frozenset(), items=_taken(tree.slice, names))
        if outer == "Literal":
            parts = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
            return Takes(frozenset(), choices=tuple(ast.literal_eval(part) for part in parts))
        if outer == "tuple":
            return Takes(frozenset({"box"}))
        return _taken(tree.value, names)
    name = ast.unparse(tree)
    if name in KINDS:
        return Takes(frozenset({KINDS[name]}))
    return _of_alias(name, names)


def _of_alias(name: str, names: Mapping[str, Any]) -> Takes:
    found = names.get(name)
    for module in NAMED_IN:
        found = found if found is not None else getattr(importlib.import_module(module), name, None)
    if found is None:
        return Takes(frozenset(), unknown=(name,))
    if isinstance(found, str):
        return taken_by(found, names)
    return (
        Takes(frozenset(), choices=typing.get_args(found))
        if typing.get_args(found)
        else Takes(frozenset(), unknown=(name,))
    )


def converted(value: Any, takes: Takes, name: str) -> Any:
    """
    Return a value in the form that the function expects.

    Parameters
    ----------
    value
        As the caller gave it.
    takes
        What the parameter takes.
    name
        The parameter.

    Raises
    ------
    InputError
        If it is none of what the parameter takes; a `FrameError` or `RegionError` where that is a frame or region.
    """
    if takes.unknown:
        return value
    if value is None:
        if "none" in takes.kinds:
            return None
        raise InputError(f"`{name}` is None, and takes {takes}")
    if takes.kinds & {"frame", "geodataframe"}:
        found = _frame(value, takes, name)
        return _in_dtypes(found, name) if "geodataframe" in takes.kinds else found
    for kind, convert in _BY_KIND.items():
        if kind in takes.kinds and (found := convert(value, name, takes)) is not _NOT_SO:
            return found
    if takes.choices and (found := _choice(value, takes.choices)) is not _NOT_SO:
        return found
    if takes.items is not None:
        return _items(value, takes.items, name, takes)
    if "path" in takes.kinds and isinstance(value, list | tuple):
        return _one(value, takes, name)
    raise _refused(value, takes, name)


def _one(value: list[Any] | tuple[Any, ...], takes: Takes, name: str) -> Any:
    """Return the only one of several, as the words of a command line come."""
    if len(value) == 1:
        return converted(value[0], takes, name)
    if not value and "none" in takes.kinds:
        return None
    raise InputError(f"`{name}` takes {takes}, not {len(value)} of them", hint="name one")


_NOT_SO: Any = object()
"""Result of a conversion for values of another kind."""


def _refused(value: Any, takes: Takes, name: str) -> InputError:
    from mlygeo.store.held import described

    kind = RegionError if takes.kinds & {"region", "region like"} else InputError
    hint = None
    if takes.choices and isinstance(value, str):
        near = difflib.get_close_matches(value.lower(), takes.choices, 1)
        hint = f"did you mean `{name}={near[0]}`?" if near else None
    return kind(f"`{name}` takes {takes}, not {described(value)}", hint=hint)


# Numbers and truth


def _truth(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    return bool(value) if type(value).__name__ in {"bool", "bool_"} and hasattr(value, "dtype") else _NOT_SO


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ in {"bool", "bool_"}


def _scalar(value: Any) -> Any:
    """Return the number in an array without dimensions, or the value."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def _number(value: Any, name: str, takes: Takes) -> Any:
    value = _scalar(value)
    if _is_truth(value) or not _is_number(value, _NUMBER):
        return _NOT_SO
    try:
        number = float(value)
    except (OverflowError, ValueError) as error:
        raise InputError(f"`{name}` is too large a number") from error
    if math.isnan(number):
        raise InputError(f"`{name}` is NaN, and takes {takes}")
    if math.isinf(number) and not (number > 0 and name.startswith(ENDLESS)):
        raise InputError(f"`{name}` takes a finite number, not {number:g}")
    if name.endswith("offset_time") and abs(number) > LONGEST_OFFSET_S:
        raise InputError(f"`{name}` is longer than three hundred years", hint="it is in seconds")
    return number


def _whole(value: Any, name: str, takes: Takes) -> Any:
    if name in CODES:
        return _code(value, name)
    value = _scalar(value)
    if isinstance(value, str) and "text" in takes.kinds:  # of ids, which are text to some services
        return _NOT_SO
    if _is_truth(value) or not _is_number(value, _WHOLE):
        return _NOT_SO
    try:
        number = int(value)
        exact = isinstance(value, str) or number == value
    except (OverflowError, ValueError) as error:
        raise InputError(
            f"`{name}` takes a whole number, not {value if len(str(value)) < 40 else 'such a long one'}"
        ) from error
    if not exact:
        raise InputError(f"`{name}` takes a whole number, not {value}")
    if isinstance(value, float) and abs(value) > 2**53:
        raise InputError(f"`{name}` is the float {value!r}, whose last digits are lost", hint="give it as an int")
    if abs(number) >= 2**63:
        raise InputError(f"`{name}` is too large a number")
    return number


def _is_number(value: Any, form: re.Pattern[str]) -> bool:
    from decimal import Decimal

    if isinstance(value, str):
        return len(value) <= 400 and form.fullmatch(value.strip()) is not None
    return isinstance(value, numbers.Real | Decimal)


def _code(value: Any, name: str) -> int:
    """Return an EPSG code that is given as a number, as text such as "EPSG:25832", or as a CRS."""
    from mlygeo.store.held import described

    value = _scalar(value)
    if isinstance(value, str) and (found := _CODE.fullmatch(value)) and len(found[1]) < 10:
        return int(found[1])
    if isinstance(value, numbers.Integral) and not _is_truth(value) and abs(int(value)) < 10**9:
        return int(value)
    if hasattr(value, "to_epsg"):
        code = value.to_epsg()
        if code is not None:
            return int(code)
        raise InputError(f"`{name}` is a CRS without an EPSG code", hint="give a code, such as 25832")
    raise InputError(f"`{name}` takes an EPSG code, not {described(value)}", hint="write 25832 or EPSG:25832")


# Text, choices and paths


def _text(value: Any, name: str, takes: Takes) -> Any:
    if not isinstance(value, str):
        return _NOT_SO
    if takes.choices:
        return _choice(value, takes.choices)
    if not takes.kinds & {"int", "time", "date"}:
        _check_text(value, name, takes)
    elif not _is_unicode(value):
        raise InputError(f"`{name}` has characters that no text has: {value!a:.60}")
    return str(value)


def _check_text(value: str, name: str, takes: Takes) -> None:
    if value == "":
        raise InputError(f"`{name}` is empty", hint="leave it out, or is a variable of the shell not set?")
    if "\0" in value:
        raise InputError(f"`{name}` has a character NUL in it")
    if "path" not in takes.kinds and not _is_unicode(value):
        raise InputError(f"`{name}` has characters that no text has: {value!a:.60}")


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _choice(value: Any, choices: tuple[str, ...]) -> Any:
    """Return the word that is meant; with a dash or an underscore, as the older tools took both."""
    text = str(value) if isinstance(value, int) and not _is_truth(value) else value
    if not isinstance(text, str):
        return _NOT_SO
    return next((each for each in choices if text in {each, each.replace("_", "-"), each.replace("-", "_")}), _NOT_SO)


def _path(value: Any, name: str, takes: Takes = PATH) -> Any:
    from mlygeo.store.paths import address_of

    if not isinstance(value, str | os.PathLike):
        return _NOT_SO
    try:
        text = os.fspath(value)
    except Exception as error:  # whatever the object raises
        raise InputError(f"`{name}` takes a path, and {type(value).__name__} makes none: {error!s:.80}") from error
    if not isinstance(text, str):
        raise InputError(f"`{name}` takes a path of text, not of bytes", hint="use os.fsdecode")
    _check_text(text, name, PATH)
    _must_be_here(text, name, takes)
    if address_of(text) is not None:
        return value
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError as error:
        raise InputError(f"`{name}` has characters that no path has: {text!a:.60}") from error
    if len(encoded) > LONGEST_PATH or max(map(len, encoded.split(b"/"))) > LONGEST_NAME:
        raise InputError(f"`{name}` is too long for a path: {text:.40}…")
    if places.is_device(os.path.expanduser(text), or_pipe=not name.endswith(PIPED)):  # noqa: PTH111 - as above
        raise FileError(
            f"`{name}`: {text} is a pipe or a device, not a file", hint="name a file; write what comes from it to one"
        )
    return value


def _must_be_here(text: str, name: str, takes: Takes) -> None:
    """Raise where a parameter that takes a path of this machine alone is given an address: of frames they are taken."""
    from mlygeo.store import is_table, paths

    kinds = takes.kinds | (takes.items.kinds if takes.items is not None else frozenset())
    if not paths.is_url(text) or kinds & {"frame", "geodataframe", "table"} or name in ADDRESSED:
        return
    if name in {"output", "path"} and is_table(text):  # of PostGIS, which `write_frame` takes as a path
        return
    raise FileError(
        f"{paths.shown(text)} is an address, and `{name}` takes a path on this machine",
        hint=paths.copying_to(text) if name in WRITTEN else "download it before, and name the file",
    )


def _time(value: Any, name: str, takes: Takes) -> Any:
    """Return a date or time, and text as it is where the function reads it."""
    if isinstance(value, str) and "text" in takes.kinds:
        return _NOT_SO
    known = isinstance(value, str | dt.date) or type(value).__name__ in {"datetime64", "Period"}
    if known and takes.kinds & {"time"} and "text" not in takes.kinds and not isinstance(value, dt.datetime):
        return periods.moment(value, name)
    return value if known else _NOT_SO


def _bytes(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else _NOT_SO


# Several


def _items(value: Any, items: Takes, name: str, takes: Takes) -> list[Any]:
    holds_frames = bool(items.kinds & {"frame", "geodataframe"})
    if isinstance(value, bytes | bytearray | memoryview) or (isinstance(value, Mapping) and not holds_frames):
        raise _refused(value, takes, name)
    value = _scalar(value)
    if isinstance(value, str | os.PathLike) or (holds_frames and _is_table(value)) or not isinstance(value, Iterable):
        return [converted(value, items, name)]
    if type(value).__name__ in {"ndarray", "Series", "Index"} and getattr(value, "ndim", 1) != 1:
        raise _refused(value, takes, name)
    return [converted(item, items, name) for item in _listed(value)]


def _listed(value: Any) -> list[Any]:
    for method in ("tolist", "to_pylist", "to_list"):  # of NumPy and pandas, Arrow, polars: values of Python
        if hasattr(value, method):
            found = getattr(value, method)()
            return list(found) if isinstance(found, Iterable) else [found]  # an array without dimensions
    return list(value)


# Frames and regions


def _is_table(value: Any) -> bool:
    """Return whether a value is a table or shapes itself, and not several of something."""
    from mlygeo.store.held import is_dask

    if is_dask(value):
        return True
    kind = type(value).__name__
    if kind in {"Array", "ChunkedArray"} or (hasattr(value, "to_pylist") and hasattr(value, "type")):
        return False
    if kind in {"Series", "Index", "ndarray"}:
        return str(getattr(value, "dtype", "")) == "geometry"
    return any(hasattr(value, name) for name in ("__arrow_c_stream__", "__arrow_c_array__", "__geo_interface__")) or (
        isinstance(value, Mapping)
    )


def _frame(value: Any, takes: Takes, name: str) -> Any:
    """Return a path as it is where paths are read as needed, and anything else that holds a frame as one."""
    from mlygeo import store

    items = takes.items
    takes_ids = bool((takes.kinds | (items.kinds if items else frozenset())) & {"int"})
    if isinstance(value, str | os.PathLike):
        path = _path(value, name, takes)
        return path if _stays_path(path, takes) else store.as_frame(path, name=f"`{name}`")
    from mlygeo.store.datasets.files import are_several

    if name in OPENED and "frame" in takes.kinds and items is None and are_several(value):
        return value
    if _is_table(value):
        from mlygeo.store import held

        table = held.as_table(value, name=f"`{name}`")
        if takes_ids and table is not None and "id" in table.columns and not held.has_geometry(table):
            return table
        return store.as_frame(value if table is None else table, name=f"`{name}`")
    is_listed = isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | memoryview)
    if takes_ids and not is_listed:
        return _id(value, name, takes)
    if items is None or not is_listed:
        return store.as_frame(value, name=f"`{name}`")
    if isinstance(value, tuple) and not value:  # no words on the command line
        return value
    several = _listed(value)
    if items.kinds & {"frame", "geodataframe"}:
        return [converted(item, items, name) for item in several]
    if several and not takes_ids and not all(isinstance(item, str | os.PathLike) for item in several):
        return store.as_frame(several, name=f"`{name}`")
    if any(_is_table(item) or isinstance(item, os.PathLike) for item in several) and "path" not in items.kinds:
        return store.as_frame(several, name=f"`{name}`")
    if several and all(isinstance(item, str | os.PathLike) and not _stays_path(item, takes) for item in several):
        return store.as_frame(several, name=f"`{name}`")
    return [converted(item, items, name) for item in several]


def _stays_path(path: str | os.PathLike[str], takes: Takes) -> bool:
    """Return whether a path is left to the function: it reads files itself, but for frames where it takes others."""
    from mlygeo import store

    is_table = Path(path).suffix.lower() in store.FORMATS.keys() - {".json"}
    return "frame" in takes.kinds or ("path" in takes.kinds and not is_table)


def kinds_of(name: str) -> tuple[Schema, ...]:
    """Return the schemas that name the columns of the frame that a parameter takes."""
    from mlygeo import frames

    schemas = {
        "images": (frames.IMAGES, frames.LOCAL_IMAGES),
        "points": (frames.STREET_POINTS,),
        "streets": (frames.STREETS,),
        "track": (frames.TRACKS,),
        "tracks": (frames.TRACKS,),
    }
    return schemas.get(name, ())


def _in_dtypes(value: Any, name: str) -> Any:
    """Return a frame whose columns are in their dtypes, which a file of text or another program's table has not."""
    from mlygeo import frames

    kinds = kinds_of(name)
    return frames.in_dtypes(value, *kinds, name=f"`{name}`") if kinds and hasattr(value, "columns") else value


def _id(value: Any, name: str, takes: Takes) -> int:
    found = _whole(value, name, takes)
    if found is _NOT_SO:
        raise _refused(value, takes, name)
    number: int = found
    return number


def _region(value: Any, name: str, takes: Takes) -> Any:
    """Return the region that a caller means; functions that take one in any form settle it themselves."""
    from mlygeo import regions

    if isinstance(value, str | os.PathLike):
        _path(value, name, takes)
    return value if "region like" in takes.kinds else regions.as_region(value)


# Objects of ours


def _service(value: Any) -> Any:
    from mlygeo.net.http import Service

    return value if isinstance(value, Service) else _NOT_SO


def _progress(value: Any) -> Any:
    from mlygeo.progress import Progress

    return value if isinstance(value, Progress) else _NOT_SO


def _function(value: Any) -> Any:
    return value if callable(value) else _NOT_SO


def _sources(value: Any) -> Any:
    known = isinstance(value, str | Iterable) and not isinstance(value, bytes | bytearray | memoryview)
    return value if (known and getattr(value, "ndim", 1) == 1) or type(value).__name__ == "Source" else _NOT_SO


def _box(value: Any, name: str, takes: Takes) -> Any:
    from mlygeo.spatial import boxes

    if isinstance(value, str):
        return boxes.parse(value)
    if isinstance(value, Mapping | bytes) or not isinstance(value, Iterable):
        return _NOT_SO
    sides = _listed(value)
    if len(sides) != 4:
        return _NOT_SO
    several = [_number(side, name, takes) for side in sides]
    return _NOT_SO if any(side is _NOT_SO for side in several) else tuple(several)


_BY_KIND: dict[str, Callable[[Any, str, Takes], Any]] = {
    "bool": lambda value, *_: _truth(value),
    "int": _whole,
    "float": _number,
    "time": _time,
    "date": _time,
    "path": _path,
    "text": _text,
    "bytes": lambda value, *_: _bytes(value),
    "region": _region,
    "region like": _region,
    "sources": lambda value, *_: _sources(value),
    "service": lambda value, *_: _service(value),
    "progress": lambda value, *_: _progress(value),
    "function": lambda value, *_: _function(value),
    "box": _box,
    "table": lambda value, *_: value if _is_table(value) else _NOT_SO,
    "mapping": lambda value, *_: value if isinstance(value, Mapping) else _NOT_SO,
}
"""The conversion of each kind, in the order in which they are tried."""
