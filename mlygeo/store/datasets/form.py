"""The form of a dataset: the columns and types that all its parts have, whatever those of the inputs are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mlygeo import frames, keys
from mlygeo.errors import FrameError
from mlygeo.schemas import DEFAULT_PROVIDER, IDS, KEYS
from mlygeo.store.datasets import layout
from mlygeo.store.parquet import attributes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlygeo.store.datasets.source import Source

LON, LAT = "/lon", "/lat"
"""Names of the columns of positions on the way from the inputs to the parts; no attribute may be called so."""

POINT_ID = "point_id"
"""Column of street points and selections, which images do not have."""

_US_UTC = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Form:
    """
    Columns and types of all parts.

    Parameters
    ----------
    schema
        The attributes, and further geometry as WKB, in the order of the parts.
    geometry
        Name of the geometry.
    further
        The CRS of further geometry columns, by name, as GeoParquet's metadata have it.
    provider
        Provider of the images whose rows do not name one; None where such rows stay without.
    attrs
        The `attrs` of the frame.
    notes
        What pandas noted of columns in all inputs alike, by name.
    """

    schema: pa.Schema
    geometry: str
    further: dict[str, Any] = field(default_factory=dict)
    provider: str | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def ordered(self, names: Iterable[str]) -> Form:
        """Return the form with columns in the order of these names; others come last."""
        listed = list(dict.fromkeys([*names, *self.schema.names]))
        return replace(
            self, schema=pa.schema([self.schema.field(each) for each in listed if each in self.schema.names])
        )

    @property
    def has_ids(self) -> bool:
        """Whether rows have an id, by which repeated ones are found."""
        return "id" in self.schema.names

    @property
    def id_columns(self) -> list[str]:
        """The columns that tell images apart."""
        return [name for name in ("id", "provider") if name in self.schema.names] if self.has_ids else []

    @property
    def spilled(self) -> pa.Schema:
        """The schema of rows on their way to the parts: attributes and positions."""
        return self.schema.append(pa.field(LON, pa.float64())).append(pa.field(LAT, pa.float64()))

    def conformed(self, given: Mapping[str, pa.ChunkedArray], names: Sequence[str], rows: int, source: str) -> pa.Table:
        """
        Return attributes of an input in these types; what it does not have is null.

        Parameters
        ----------
        given
            Some of its columns, by name.
        names
            The columns that are wanted.
        rows
            How many rows they have.
        source
            What messages call it.

        Raises
        ------
        FrameError
            If a value does not fit.
        """
        columns = [self._conformed(given, name, rows, source) for name in names]
        return pa.table(columns, schema=pa.schema([self.schema.field(name) for name in names]))

    def _conformed(self, given: Mapping[str, pa.ChunkedArray], name: str, rows: int, source: str) -> pa.ChunkedArray:
        kind = self.schema.field(name).type
        if name in given:
            values = given[name]
            try:
                values = values if values.type == kind else values.cast(kind)
            except pa.ArrowException as error:
                reason = " ".join(str(error).split())[:120]
                raise FrameError(f"{source}: column {name!r} does not fit {kind} ({reason})") from error
        else:
            values = pa.chunked_array([pa.nulls(rows, kind)])
        if name == "provider":
            values = keys.provider_names(values)
        elif name in (*KEYS, "sequence_id") and _is_text(kind) and len(values):
            values = pa.chunked_array([keys.in_lower_case(chunk) for chunk in values.chunks])
        if name == "provider" and self.provider is not None and "id" in given and values.null_count:
            values = pc.if_else(pc.and_(pc.is_null(values), pc.is_valid(given["id"])), self.provider, values)
        return values


def united(sources: Sequence[Source]) -> Form:
    """
    Return the form that holds what all inputs have.

    A column has the type that holds those of all: whole numbers the wider one, times the finer unit, and keys are
    text where those of one input are. It does not depend on the order of the inputs.

    Parameters
    ----------
    sources
        The inputs, at least one.

    Raises
    ------
    FrameError
        If a column is of one kind in one input and of another in the next, or has a name that a part cannot have;
        or if some have street points or selections, and others have none.
    """
    _check_kinds(sources)
    orders = sorted({tuple(source.schema.names) for source in sources})
    names = list(dict.fromkeys(name for order in orders for name in order))
    _check_names(names)
    kinds: dict[str, set[pa.DataType]] = {name: set() for name in names}
    # What has no rows has no say in the types of columns that others have.
    for source in sorted(sources, key=lambda source: not source.rows):
        for each in source.schema:
            if source.rows or not kinds[each.name]:
                kinds[each.name].add(plain(each.type))
    mixed = "id" in kinds and len({_is_text(kind) for kind in kinds["id"] if not pa.types.is_null(kind)}) > 1
    found = {name: _common(name, sorted(kinds[name], key=str)) for name in names}
    if mixed:
        found = {name: _of_any_provider(name, kind) for name, kind in found.items()}
    provider = None
    if all("id" in source.schema.names for source in sources) and (
        mixed or len({"provider" in source.schema.names for source in sources}) > 1
    ):
        provider = DEFAULT_PROVIDER
        found.setdefault("provider", pa.string())
    if "id" in found and not (_is_text(found["id"]) or pa.types.is_int64(found["id"])):
        raise FrameError(f"the column 'id' has {found['id']}, and ids are text or whole numbers")
    geometries = {source.geometry for source in sources}
    geometry = geometries.pop() if len(geometries) == 1 else "geometry"
    if geometry in found:
        raise FrameError(f"{geometry!r} is the geometry of one input and another column of the next")
    further: dict[str, Any] = {}
    for source in sources:
        for name, crs in source.further.items():
            if further.setdefault(name, crs) != crs:
                raise FrameError(f"the inputs have the geometry {name!r} in several CRS", hint="bring them into one")
    notes = {
        name: _common_note(
            name,
            kind,
            [
                source.notes.get(name)
                if name in source.schema.names and source.schema.field(name).type == kind
                else None
                for source in sources
            ],
        )
        for name, kind in found.items()
    }
    return Form(
        pa.schema([pa.field(name, kind) for name, kind in found.items()]),
        geometry,
        further,
        provider,
        _joined_attrs([source.attrs for source in sources]),
        {name: note for name, note in notes.items() if note is not None},
    )


def plain(kind: pa.DataType) -> pa.DataType:
    """Return the type in which values of a type are written: neither a dictionary, nor views or wide offsets."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_timestamp(kind) and kind.tz in {"UTC", "Etc/UTC", "+00:00", "Z"}:
        return pa.timestamp(kind.unit, tz="UTC")
    return kind


def _check_kinds(sources: Sequence[Source]) -> None:
    """Raise where some inputs have rows for street points, whose ids are not those of images alone."""
    some = sorted((source for source in sources if source.rows), key=lambda source: source.name)
    having = [source.name for source in some if POINT_ID in source.schema.names]
    others = [source.name for source in some if POINT_ID not in source.schema.names]
    if having and others:
        raise FrameError(
            f"the inputs are of different kinds: {having[0]} has a column {POINT_ID!r}, and {others[0]} has none",
            hint="name those of one kind",
        )


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if name.casefold() == layout.KEY or name in {LON, LAT}:
            raise FrameError(
                f"the inputs have a column {name!r}, and a dataset has one of its own that is called so",
                hint="rename it",
            )


def _common(name: str, kinds: list[pa.DataType]) -> pa.DataType:
    known = [kind for kind in kinds if not pa.types.is_null(kind)]
    if len(known) <= 1:
        found = known[0] if known else pa.string() if name in {"id", "provider"} else pa.null()
        whole = name in KEYS and pa.types.is_integer(found)
        return pa.int64() if whole else found
    if all(map(pa.types.is_integer, known)):
        return pa.int64()
    numbers = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in known)
    if numbers and name not in IDS:
        return pa.float64()
    if name in KEYS and all(pa.types.is_integer(kind) or _is_text(kind) for kind in known):
        return pa.string()
    if all(map(pa.types.is_timestamp, known)) and len({kind.tz for kind in known}) == 1:
        return pa.timestamp(max((kind.unit for kind in known), key=["s", "ms", "us", "ns"].index), tz=known[0].tz)
    raise FrameError(
        f"the column {name!r} is {known[0]} in one input and {known[1]} in another",
        hint="bring it to one type",
    )


def _of_any_provider(name: str, kind: pa.DataType) -> pa.DataType:
    """Return the type of a column where images of several providers stand together."""
    if name in KEYS and pa.types.is_integer(kind):
        return pa.string()
    return _US_UTC if kind == pa.timestamp("ms", tz="UTC") else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind))


def noted(each: pa.Field, *, gaps: bool) -> dict[str, Any]:
    """Return what is noted for pandas of a column, as its type and whether it has gaps tell."""
    sample = pa.table({each.name: pa.nulls(1 if gaps else 0, each.type)})
    note: dict[str, Any] = attributes.plain_pandas_metadata(sample, ())["columns"][0]
    return note


def _common_note(name: str, kind: pa.DataType, notes: Sequence[Any]) -> Any:
    """Return what pandas noted of a column in all inputs alike, where its type does not tell; else None."""
    first = notes[0]
    if first is None or any(note != first for note in notes):
        return None
    told = {noted(pa.field(name, kind), gaps=gaps)["numpy_type"] for gaps in (False, True)}
    dtype = str(first.get("numpy_type")).replace(", UTC]", "]")
    plain_text = _is_text(kind) and dtype == "object" and not first.get("metadata")
    return None if dtype in told or plain_text else first


def _joined_attrs(several: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """
    Return the facts that all inputs state alike, and the attributions of all.

    A dataset's attribution credits every source that an input credits. The inputs of an addition include the parts
    that are there, whose images it may replace or remove: it can name a source too many, never one too few. For the
    images that a frame has, `frames.credited_of` has the sources by their rows.
    """
    first = several[0]
    shared = {key: value for key, value in first.items() if all(each.get(key) == value for each in several)}
    whole = {key: value for key, value in shared.items() if key not in {"summary", "left_out", "attribution"}}
    if attribution := frames.credited(*several):
        whole["attribution"] = shared.get("attribution") or sorted(attribution)
    return {key: value for key, value in sorted(whole.items()) if attributes.is_json({key: value})}
