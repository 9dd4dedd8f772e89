"""
Frames as tables of a PostGIS database: written in one transaction, read back with their dtypes.

A URL names a table: `postgresql://user@host:5432/database?table=schema.table`. The URL may have all other
parts that libpq understands, and libpq's environment variables and password file are used; the URL and the
password appear in no message and no log. Rows are sent and read as the text of COPY.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import numpy as np

from mlygeo import dtypes, frames
from mlygeo.errors import DependencyError, FileError, FormatError, FrameError, InputError, install_hint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import geopandas as gpd
    import pandas as pd
    import psycopg
    import pyarrow as pa
    from psycopg import sql

__all__ = ["KEY", "LONGEST_NAME", "PREFIXES", "ROWS_AT_ONCE", "Table", "is_url", "read", "table_of", "write"]

log = logging.getLogger("mlygeo.store.postgis")

PREFIXES = ("postgresql://", "postgres://")

KEY = "fid"
"""Primary key of every table: QGIS needs one, and it preserves the order of the rows."""

LONGEST_NAME = 63
"""Most bytes of an identifier in PostgreSQL (NAMEDATALEN)."""

ROWS_AT_ONCE = 50_000
"""Rows that are converted to text at a time; some 10 MB."""

READ_AS = {
    "timestamptz": "(extract(epoch FROM {}) * 1000000)::bigint",
    "timestamp": "(extract(epoch FROM {}) * 1000000)::bigint",
    "date": "(extract(epoch FROM {}) * 1000000)::bigint",
    "bool": "({})::int",
}
"""Expression that reads a type exactly: times as microseconds since 1970."""

_FORM = "postgresql://user@host/database?table=schema.table"


@dataclass(frozen=True)
class Table:
    """
    A table of a database.

    Parameters
    ----------
    database
        The address that libpq connects to; it may contain a password, so it is never shown.
    schema
        Schema of the table; None takes the first of the search path.
    name
        The table.
    """

    database: str
    schema: str | None
    name: str

    def __repr__(self) -> str:
        """Leave out the address, which may contain a password."""
        return f"Table({self!s})"

    def __str__(self) -> str:
        """Name the table alone."""
        return self.name if self.schema is None else f"{self.schema}.{self.name}"


def is_url(path: object) -> bool:
    """Return whether this names a table of a database, rather than a file."""
    return isinstance(path, str) and path.lower().startswith(PREFIXES)


def table_of(url: str) -> Table:
    """
    Return the table that a URL names.

    Parameters
    ----------
    url
        `postgresql://…/database?table=schema.table`; without a schema the search path decides.

    Raises
    ------
    InputError
        If it names no table, or is invalid.
    """
    try:
        parts = urlsplit(url)
        words = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        # The error quotes the URL, which may contain a password.
        raise InputError("the URL of the database cannot be understood", hint=_FORM) from None
    named = [value for word, value in words if word == "table"]
    if len(named) != 1 or not named[0].strip("."):
        raise InputError("the URL of the database names no table", hint=_FORM)
    schema, _, name = named[0].rpartition(".")
    for identifier in (schema, name):
        if len(identifier.encode()) > LONGEST_NAME or "\0" in identifier:
            raise InputError(f"{identifier[:80]!r} is too long for the name of a table ({LONGEST_NAME} bytes)")
    rest = urlencode([(word, value) for word, value in words if word != "table"])
    return Table(urlunsplit(("postgresql", parts.netloc, parts.path, rest, "")), schema or None, name)


def write(frame: gpd.GeoDataFrame, url: str) -> None:
    """
    Write a frame as a table, in one transaction.

    The table gets a primary key, a spatial index, and a comment with the frame's dtypes and `attrs`.
    A table that mlygeo wrote before is replaced; any other table is left unchanged.

    Parameters
    ----------
    frame
        Any GeoDataFrame with plain columns.
    url
        The table, see `table_of`.

    Raises
    ------
    InputError
        If the URL names no table.
    FrameError
        If PostGIS has no number for the frame's CRS, or the names of two columns conflict.
    FileError
        If the database cannot be reached, refuses, or has a table of that name that mlygeo did not write.
    """
    table = table_of(url)
    srid = _srid(frame)
    _check_names(frame)
    with _connection(table) as connection:
        from psycopg import sql

        whole = _identifier(table)
        _check_ours(connection, table)
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(whole))
        columns = [
            sql.SQL("{} {}").format(sql.Identifier(str(name)), sql.SQL(_type_of(frame, str(name), srid)))
            for name in frame.columns
        ]
        key = sql.SQL("{} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY").format(sql.Identifier(KEY))
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(whole, sql.SQL(", ").join([key, *columns])))
        _copy_in(connection, frame, whole, srid)
        geometry = sql.Identifier(str(frame.geometry.name))
        connection.execute(sql.SQL("CREATE INDEX ON {} USING gist ({})").format(whole, geometry))
        comment = sql.Literal(json.dumps(_description(frame), ensure_ascii=False, default=str))
        connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(whole, comment))
        connection.execute(sql.SQL("ANALYZE {}").format(whole))
    log.info("wrote %s rows to the table %s", f"{len(frame):,}", table)


def read(
    url: str, *, bbox: tuple[float, float, float, float] | None = None, columns: Sequence[str] | None = None
) -> gpd.GeoDataFrame:
    """
    Read a table or view as a frame.

    Parameters
    ----------
    url
        The table, see `table_of`.
    bbox
        West, south, east, north in degrees: only rows whose bounding box intersects it are
        returned; the query uses the spatial index.
    columns
        Only these columns, and the geometry. None reads all.

    Returns
    -------
    frame
        If mlygeo wrote the table, in the same order and with the same dtypes and `attrs`. From other
        tables, whole numbers with gaps are Int64 and times are UTC.

    Raises
    ------
    InputError
        If the URL names no table.
    FileError
        If the database cannot be reached, or has no such table.
    FormatError
        If the table has no geometry.
    FrameError
        If a requested column is missing.
    """
    table = table_of(url)
    with _connection(table) as connection:
        from psycopg import sql

        whole = _identifier(table)
        types = _columns_of(connection, table)
        geometry = next((name for name, kind in types.items() if kind == "geometry"), None)
        if geometry is None:
            raise FormatError(f"the table {table} has no geometry")
        description = _comment_of(connection, table)
        wanted = [name for name in types if name != geometry and not (description and name == KEY)]
        if columns is not None:
            if missing := [name for name in columns if name not in wanted]:
                raise FrameError(f"the table {table} has no column {', '.join(missing)} (it has {', '.join(wanted)})")
            wanted = list(columns)
        place = sql.Identifier(geometry)
        srid = _srid_of(connection, whole, place)
        parts = [sql.SQL("encode(ST_AsBinary({}), 'hex')").format(place)]
        parts += [sql.SQL(READ_AS.get(types[name], "{}::text")).format(sql.Identifier(name)) for name in wanted]
        query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(parts), whole)
        if bbox is not None:
            box = sql.SQL("ST_Transform(ST_MakeEnvelope({}, {}, {}, {}, 4326), {})").format(
                *(sql.Literal(float(side)) for side in bbox), sql.Literal(srid or 4326)
            )
            query = sql.SQL("{} WHERE {} && {}").format(query, place, box)
        if description and KEY in types:
            query = sql.SQL("{} ORDER BY {}").format(query, sql.Identifier(KEY))
        arrow = _copy_out(connection, query, [geometry, *wanted], types)
    frame = _frame_of(arrow, geometry, srid, types, description or {})
    log.info("read %s rows from the table %s", f"{len(frame):,}", table)
    return frame


@contextlib.contextmanager
def _connection(table: Table) -> Iterator[psycopg.Connection]:
    """Yield a connection whose block is one transaction; the database's errors become ours."""
    try:
        import psycopg
    except ImportError as error:
        raise DependencyError("PostGIS needs psycopg", hint=install_hint("postgis")) from error
    # Errors are raised without their cause: a traceback of psycopg may show the address.
    try:
        with psycopg.connect(table.database, application_name="mlygeo") as connection:
            connection.execute("SET TIME ZONE 'UTC'")
            # Fractions to the last digit, independent of the database's default.
            connection.execute("SET extra_float_digits = 1")
            yield connection
    except psycopg.errors.UndefinedObject as error:
        reason = _harmless(error, table)
        hint = "CREATE EXTENSION postgis;" if "geometry" in reason else None
        raise FileError(f"the table {table}: {reason}", hint=hint) from None
    except psycopg.OperationalError as error:
        hint = "PGHOST, PGUSER, PGPASSWORD and the file ~/.pgpass are used as by psql"
        raise FileError(f"the database could not be reached: {_harmless(error, table)}", hint=hint) from None
    except psycopg.Error as error:
        raise FileError(f"the table {table}: {_harmless(error, table)}") from None


def _harmless(error: Exception, table: Table) -> str:
    """Return the message of a database, in one line and without the password."""
    from urllib.parse import unquote

    text = " ".join(str(error).split())
    password = urlsplit(table.database).password
    for secret in filter(None, (table.database, password, unquote(password or ""))):
        text = text.replace(secret, "…")
    return text


def _identifier(table: Table) -> sql.Composable:
    from psycopg import sql

    return sql.Identifier(table.name) if table.schema is None else sql.Identifier(table.schema, table.name)


def _check_ours(connection: psycopg.Connection, table: Table) -> None:
    if _exists(connection, table) and _comment_of(connection, table) is None:
        raise FileError(
            f"the database has a table {table} that mlygeo did not write",
            hint="name another table, or drop that one yourself",
        )


def _exists(connection: psycopg.Connection, table: Table) -> bool:
    text = _identifier(table).as_string(connection)
    found = connection.execute("SELECT to_regclass(%s)", [text]).fetchone()
    return found is not None and found[0] is not None


def _comment_of(connection: psycopg.Connection, table: Table) -> dict[str, Any] | None:
    """Return mlygeo's description of a table that it wrote; None for any other."""
    text = _identifier(table).as_string(connection)
    found = connection.execute("SELECT obj_description(to_regclass(%s), 'pg_class')", [text]).fetchone()
    if found is None or not (found[0] or "").startswith('{"mlygeo"'):
        return None
    try:
        noted: dict[str, Any] = json.loads(found[0])["mlygeo"]
    except (ValueError, KeyError):
        return None
    return noted if isinstance(noted, dict) else None


def _description(frame: gpd.GeoDataFrame) -> dict[str, Any]:
    kinds = {str(name): str(dtype) for name, dtype in frame.dtypes.items() if str(dtype) != "geometry"}
    return {"mlygeo": {"dtypes": kinds, "attrs": frame.attrs}}


def _srid(frame: gpd.GeoDataFrame) -> int:
    if frame.active_geometry_name is None:
        raise FrameError("a frame without geometry cannot be a PostGIS table")
    if frame.crs is None:
        raise FrameError("the geometry has no CRS", hint="frame.set_crs(4326), if it is longitude and latitude")
    srid = 4326 if frame.crs.equals("OGC:CRS84") else frame.crs.to_epsg()
    if srid is None:
        raise FrameError(f"{frame.crs.name} has no EPSG number", hint="frame.to_crs(4326)")
    return int(srid)


def _check_names(frame: gpd.GeoDataFrame) -> None:
    names = [str(name) for name in frame.columns]
    if KEY in names:
        raise FrameError(f"the table's primary key is called {KEY!r}, and so is a column", hint="rename the column")
    if long := [name for name in names if len(name.encode()) > LONGEST_NAME]:
        raise FrameError(f"PostgreSQL cuts names at {LONGEST_NAME} bytes, and these are longer: {', '.join(long)}")


def _columns_of(connection: psycopg.Connection, table: Table) -> dict[str, str]:
    """Return the columns of a table or view and their types, in order."""
    if not _exists(connection, table):
        raise FileError(f"the database has no table {table}")
    rows = connection.execute(
        "SELECT attname, typname FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid "
        "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [_identifier(table).as_string(connection)],
    ).fetchall()
    return dict(rows)


def _srid_of(connection: psycopg.Connection, whole: sql.Composable, place: sql.Composable) -> int:
    from psycopg import sql

    query = sql.SQL("SELECT ST_SRID({}) FROM {} WHERE {} IS NOT NULL LIMIT 1").format(place, whole, place)
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 4326


def _type_of(frame: gpd.GeoDataFrame, name: str, srid: int) -> str:
    """Return the database's type for a column of a frame."""
    import pandas as pd

    dtype = frame[name].dtype
    if name == frame.geometry.name:
        kinds = set(frame.geom_type.dropna().unique())
        kind = kinds.pop() if len(kinds) == 1 else "Geometry"
        return f"geometry({kind}{'Z' if frame.has_z.any() else ''}, {srid})"
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_unsigned_integer_dtype(dtype) and dtype.itemsize == 8:
        return "numeric(20)"
    if pd.api.types.is_integer_dtype(dtype):
        return "bigint"
    if pd.api.types.is_float_dtype(dtype):
        return "double precision"
    if isinstance(dtype, pd.DatetimeTZDtype):
        return "timestamptz"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "timestamp"
    return "text"


def _copy_in(connection: psycopg.Connection, frame: gpd.GeoDataFrame, whole: sql.Composable, srid: int) -> None:
    """Send a frame to the table `whole`, some rows at a time."""
    import pandas as pd
    import pyarrow as pa
    import shapely
    from psycopg import sql
    from pyarrow import csv

    names = [sql.Identifier(str(name)) for name in frame.columns]
    command = sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT csv)").format(whole, sql.SQL(", ").join(names))
    options = csv.WriteOptions(include_header=False)
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for start in range(0, len(frame), ROWS_AT_ONCE):
            rows = frame.iloc[start : start + ROWS_AT_ONCE]
            places = shapely.set_srid(np.asarray(rows.geometry.values), srid)
            plain = pd.DataFrame(rows.drop(columns=rows.geometry.name))
            plain[rows.geometry.name] = pd.Series(
                shapely.to_wkb(places, hex=True, include_srid=True), index=rows.index, dtype="str"
            )
            plain = plain[list(frame.columns)].assign(
                **{name: plain[name].astype("str") for name in plain.columns if plain[name].dtype == object}
            )
            text = io.BytesIO()
            # For COPY, an empty field is NULL, and text in quotes is not.
            csv.write_csv(pa.Table.from_pandas(plain, preserve_index=False), text, options)
            copy.write(text.getvalue())


def _copy_out(
    connection: psycopg.Connection, query: sql.Composable, names: list[str], types: dict[str, str]
) -> pa.Table:
    """Return the rows of a query: columns `names`, with the database's types `types`."""
    import pyarrow as pa
    from psycopg import sql
    from pyarrow import csv

    kinds = {"int8": pa.int64(), "int4": pa.int64(), "int2": pa.int64(), "float8": pa.float64(), "float4": pa.float64(),
             "bool": pa.int64(), "timestamptz": pa.int64(), "timestamp": pa.int64(), "date": pa.int64()}  # fmt: skip
    command = sql.SQL("COPY ({}) TO STDOUT WITH (FORMAT csv)").format(query)
    text = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for part in copy:
            text.write(part)
    wanted = {name: kinds.get(types[name], pa.string()) for name in names}
    if not text.tell():
        return pa.table({name: pa.array([], kind) for name, kind in wanted.items()})
    text.seek(0)
    return csv.read_csv(
        text,
        read_options=csv.ReadOptions(column_names=names),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=wanted, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
        ),
    )


def _frame_of(
    table: pa.Table, geometry: str, srid: int, types: dict[str, str], description: dict[str, Any]
) -> gpd.GeoDataFrame:
    """Return rows as a frame, with the dtypes and `attrs` in the table's description."""
    import geopandas as gpd
    import shapely

    places = shapely.from_wkb(table[geometry].to_numpy(zero_copy_only=False))
    plain = frames.to_pandas(table.drop_columns([geometry]))
    known = description.get("dtypes", {})
    restored = {name: _restored(plain[name], types[name], known.get(name)) for name in plain.columns}
    frame = gpd.GeoDataFrame(restored, geometry=gpd.GeoSeries(places, crs=srid or None, index=plain.index))
    if geometry != "geometry":
        frame = frame.rename_geometry(geometry)
    frame.attrs.update(description.get("attrs", {}))
    return frame


def _restored(values: pd.Series, kind: str, dtype: str | None) -> pd.Series:
    """Return a column in its original dtype, or in the one for its type in the database."""
    import pandas as pd

    if kind in {"timestamptz", "timestamp", "date"}:
        times = pd.to_datetime(values, unit="us", utc=True)
        unit: Any = "ms" if dtype is not None and "[ms" in dtype else "us"
        return times.dt.as_unit(unit) if kind == "timestamptz" else times.dt.as_unit(unit).dt.tz_localize(None)
    if kind == "bool":
        return values.astype("boolean") if values.isna().any() or dtype == "boolean" else values.astype("bool")
    if kind in {"int8", "int4", "int2"} and dtype is not None:
        return values if values.isna().any() else values.astype(dtype)  # type: ignore[call-overload]
    if kind in {"text", "varchar"} and dtype is not None:
        return dtypes.cast(values, "str")
    return values
