"""
Frames as tables of a PostGIS database: written in one transaction, read back as they were or refused.

A URL names a table: `postgresql://user@host:5432/database?table=schema.table`. The URL may have all other
parts that libpq understands, and libpq's environment variables and password file are used; the URL and the
password appear in no message and no log. Rows are sent and read as the text of COPY.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import numpy as np

from mlygeo import frames
from mlygeo.errors import FileError, FormatError, FrameError, InputError
from mlygeo.extras import missing
from mlygeo.store import columns as described
from mlygeo.store import extents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import geopandas as gpd
    import pandas as pd
    import psycopg
    import pyarrow as pa
    from psycopg import sql

    from mlygeo.arrays import Bounds

__all__ = [
    "KEY",
    "LONGEST_NAME",
    "PREFIXES",
    "ROWS_AT_ONCE",
    "Table",
    "is_url",
    "read",
    "table_of",
    "write",
]

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

FORM = described.Form(
    name="a table of PostGIS",
    reserved=frozenset({KEY, "tableoid", "ctid", "xmin", "cmin", "xmax", "cmax"}),
    milliseconds=False,
)
"""What columns of PostgreSQL can hold; these names are its own, or our key. Times are dealt with here."""

MARGIN = 0.01
"""Share by which a box in the table's CRS is widened, since the sides of one in degrees are curves there."""

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

    The table gets a primary key, a spatial index, and a comment with a description of the frame. A table that
    mlygeo wrote before is replaced; any other table is left unchanged. Times are timestamps, to the microsecond;
    what PostgreSQL has no type for (unsigned numbers past 2^63, durations, nested values, further geometry, finer
    times) is text there, and comes back as it was. Names that PostgreSQL keeps for itself get another one there.

    Parameters
    ----------
    frame
        Any GeoDataFrame.
    url
        The table, see `table_of`.

    Raises
    ------
    InputError
        If the URL names no table.
    FrameError
        If PostGIS has no number for the frame's CRS, or a column cannot be held or would not come back as it was.
    FileError
        If the database cannot be reached, refuses, or has a table of that name that mlygeo did not write.
    """
    table = table_of(url)
    described.check_names(frame, str(table))
    frame = frames.index_as_columns(frame)
    srid = _srid(frame)
    plain, about = _encoded(frame, str(table))
    geometry = _geometry_name(frame, plain)
    if long := [name for name in [*plain, geometry] if len(name.encode()) > LONGEST_NAME]:
        raise FrameError(f"PostgreSQL cuts names at {LONGEST_NAME} bytes, and these are longer: {', '.join(long)}")
    with _connection(table) as connection:
        from psycopg import sql

        whole = _identifier(table)
        _check_ours(connection, table)
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(whole))
        types = {**{name: _type_of(values) for name, values in plain.items()}, geometry: _geometry_type(frame, srid)}
        parts = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in types.items()]
        key = sql.SQL("{} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY").format(sql.Identifier(KEY))
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(whole, sql.SQL(", ").join([key, *parts])))
        _copy_in(connection, whole, plain, frame.geometry.rename(geometry), srid)
        connection.execute(sql.SQL("CREATE INDEX ON {} USING gist ({})").format(whole, sql.Identifier(geometry)))
        comment = sql.Literal(json.dumps({"mlygeo": about}, ensure_ascii=False))
        connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(whole, comment))
        connection.execute(sql.SQL("ANALYZE {}").format(whole))
        # Still in the transaction: what differs leaves the table as it was.
        described.must_be_same(frame, _read(connection, table, None, None), str(table))
    if renamed := described.renamed(about):
        log.warning(
            "%s: other programs see %s, since PostgreSQL keeps these names for itself", table,
            ", ".join(f"column {one!r} as {other!r}" for one, other in renamed.items()),
        )  # fmt: skip
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
        West, south, east, north in degrees (west > east crosses the antimeridian): only rows whose own box, in
        longitude and latitude, meets it are returned. The query uses the spatial index where the table is in
        EPSG:4326 or has points.
    columns
        Only these columns, and the geometry, in the order of the table. None reads all.

    Returns
    -------
    frame
        If mlygeo wrote the table, in the same order and with the same names, dtypes and `attrs`. From other
        tables, whole numbers with gaps are Int64 and times are UTC; geography is read as geometry.

    Raises
    ------
    InputError
        If the URL names no table.
    FileError
        If the database cannot be reached, or has no such table.
    FormatError
        If the table has no geometry, or geometry in several CRS, or in one that is not known.
    FrameError
        If a requested column is missing.
    """
    table = table_of(url)
    with _connection(table) as connection:
        frame = _read(connection, table, bbox, columns)
    log.info("read %s rows from the table %s", f"{len(frame):,}", table)
    return frame


def _read(
    connection: psycopg.Connection, table: Table, bbox: Bounds | None, columns: Sequence[str] | None
) -> gpd.GeoDataFrame:
    from psycopg import sql

    whole = _identifier(table)
    types = _columns_of(connection, table)
    spatial = [name for name, kind in types.items() if kind in {"geometry", "geography"}]
    if not spatial:
        raise FormatError(f"the table {table} has no geometry")
    comment = _comment_of(connection, table)
    about = None if comment is None else described.parse(json.dumps(comment))
    if about is not None and not set(described.written_names(about).values()) <= types.keys():
        about = None  # somebody changed the table
    geometry = spatial[0]
    shown = [name for name in types if name != geometry and not (comment is not None and name == KEY)]
    wanted = shown if columns is None else _wanted(columns, shown, geometry, about, table)
    parts = [_expression(name, types[name]) for name in [geometry, *wanted]]
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(parts), whole)
    if bbox is not None and (condition := _condition(connection, table, geometry, bbox)) is not None:
        query = sql.SQL("{} WHERE {}").format(query, condition)
    if comment is not None and KEY in types:
        query = sql.SQL("{} ORDER BY {}").format(query, sql.Identifier(KEY))
    arrow = _copy_out(connection, query, [geometry, *wanted], types)
    srids = {name: _srid_of(connection, table, name) for name in spatial if name in {geometry, *wanted}}
    frame = _frame_of(arrow, srids, types, table)
    if about is not None:
        frame = described.decode(frame, about, columns)
    return frame if bbox is None else extents.meeting(frame, bbox, str(table))


def _wanted(
    columns: Sequence[str], shown: list[str], geometry: str, about: dict[str, Any] | None, table: Table
) -> list[str]:
    """Return the columns of the table that hold those that were asked for, in its order."""
    names = {name: name for name in shown} if about is None else described.written_names(about)
    active = geometry
    if about is not None:
        active = next((facts["name"] for facts in about["columns"] if facts["kind"] == "active"), geometry)
    if missing := [str(name) for name in columns if name not in names and name != active]:
        raise FrameError(f"the table {table} has no column {', '.join(missing)} (it has {', '.join(names)})")
    asked = {names[name] for name in columns if name != active}
    return [name for name in shown if name in asked]


def _expression(name: str, kind: str) -> sql.Composable:
    """Return what reads a column exactly."""
    from psycopg import sql

    if kind in {"geometry", "geography"}:
        return sql.SQL("encode(ST_AsEWKB({}::geometry), 'hex')").format(sql.Identifier(name))
    return sql.SQL(READ_AS.get(kind, "{}::text")).format(sql.Identifier(name))


def _condition(connection: psycopg.Connection, table: Table, geometry: str, bbox: Bounds) -> sql.Composable | None:
    """
    Return a condition that every row in the box meets, and few others; None where there is none.

    In another CRS there is one for points only: a line may lie outside of the box that its own box meets.
    """
    from psycopg import sql
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    place = sql.SQL("{}::geometry").format(sql.Identifier(geometry))
    srid = _srid_of(connection, table, geometry)
    west, south, east, north = bbox
    boxes = [bbox] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]
    if srid == 4326:  # longitudes beyond ±180 are the same places within
        boxes += [(side + turn, low, end + turn, high) for side, low, end, high in boxes for turn in (-360.0, 360.0)]
    else:
        query = sql.SQL("SELECT 1 FROM {} WHERE GeometryType({}) NOT LIKE 'POINT%' LIMIT 1").format(
            _identifier(table), place
        )
        if not srid or connection.execute(query).fetchone() is not None:
            return None
        try:
            turned = Transformer.from_crs(4326, srid, always_xy=True)
            boxes = [turned.transform_bounds(*box, densify_pts=101) for box in boxes]
        except ProjError:
            return None
        if not np.isfinite(boxes).all():
            return None
        margins = [MARGIN * max(box[2] - box[0], box[3] - box[1]) + 1e-9 for box in boxes]
        boxes = [
            (box[0] - more, box[1] - more, box[2] + more, box[3] + more)
            for box, more in zip(boxes, margins, strict=True)
        ]
    conditions = [
        sql.SQL("{} && ST_MakeEnvelope({}, {}, {}, {}, {})").format(
            place, *(sql.Literal(float(side)) for side in box), sql.Literal(srid)
        )
        for box in boxes
    ]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(conditions))


CONNECT_S = 10
"""Seconds for a connection to each address of a database; psycopg's own limit is 130."""

KEPT_ALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
"""A machine that is gone ends the connection after a minute, and not after two hours; a long query does not."""


@contextlib.contextmanager
def _connection(table: Table) -> Iterator[psycopg.Connection]:
    """Yield a connection whose block is one transaction; the database's errors become ours."""
    try:
        import psycopg
    except ImportError as error:
        raise missing("PostGIS needs psycopg", "postgis") from error
    # Errors are raised without their cause: a traceback of psycopg may show the address.
    try:
        with psycopg.connect(table.database, **_patience(table), application_name="mlygeo") as connection:
            connection.execute("SET TIME ZONE 'UTC'")
            # Fractions to the last digit, independent of the database's default.
            connection.execute("SET extra_float_digits = 1")
            yield connection
    except psycopg.errors.UndefinedObject as error:
        reason = _harmless(error, table)
        hint = "CREATE EXTENSION postgis;" if "geometry" in reason else None
        raise FileError(f"the table {table}: {reason}", hint=hint) from None
    except psycopg.errors.ConnectionTimeout:
        where = urlsplit(table.database).hostname or "its address"
        raise FileError(
            f"the database did not answer at {where}",
            hint="is the address right, and open to you? `&connect_timeout=60` at its end waits for 60 s",
        ) from None
    except psycopg.OperationalError as error:
        hint = "PGHOST, PGUSER, PGPASSWORD and the file ~/.pgpass are used as by psql"
        raise FileError(f"the database could not be reached: {_harmless(error, table)}", hint=hint) from None
    except psycopg.Error as error:
        raise FileError(f"the table {table}: {_harmless(error, table)}") from None


def _patience(table: Table) -> dict[str, Any]:
    """Return how long a connection may stay silent, where neither the address nor the environment says it."""
    said = {word for word, _ in parse_qsl(urlsplit(table.database).query)}
    options: dict[str, Any] = {word: value for word, value in KEPT_ALIVE.items() if word not in said}
    if "connect_timeout" not in said and not os.environ.get("PGCONNECT_TIMEOUT"):
        options["connect_timeout"] = CONNECT_S
    return options


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


def _encoded(frame: gpd.GeoDataFrame, name: str) -> tuple[dict[str, pd.Series], dict[str, Any]]:
    """Return the columns as PostgreSQL can hold them, and the description from which they come back."""
    times = {column: utc for column in frame.columns if (utc := _microseconds(frame[column])) is not None}
    plain, about = described.encode(frame.assign(**dict.fromkeys(times, 0)), FORM, name)
    for facts in about["columns"]:
        if facts["name"] in times:
            facts.update(kind="moment", dtype=str(frame[facts["name"]].dtype))
            plain[facts.get("as", facts["name"])] = times[facts["name"]]
    return plain, about


def _microseconds(values: pd.Series) -> pd.Series | None:
    """Return times as PostgreSQL holds them, to the microsecond; None for what it does not hold exactly."""
    import pandas as pd

    if not isinstance(values.dtype, pd.DatetimeTZDtype) and not pd.api.types.is_datetime64_dtype(values.dtype):
        return None
    known = values.dropna()
    try:
        exact = known.dt.as_unit("us")
        if (exact != known).any() or not known.dt.year.between(1, 9999).all():
            return None
        times: pd.Series = values.dt.as_unit("us")
        return times if times.dt.tz is None else times.dt.tz_convert("UTC")
    except (ValueError, OverflowError):
        return None


def _geometry_name(frame: gpd.GeoDataFrame, plain: dict[str, pd.Series]) -> str:
    """Return a name for the geometry: its own, if PostgreSQL does not keep that for itself."""
    name = str(frame.active_geometry_name)
    names = [name, *(f"geometry_{number}" for number in range(1, len(plain) + 3))]
    return next(each for each in names if each and each.lower() not in FORM.reserved and each not in plain)


def _srid(frame: gpd.GeoDataFrame) -> int:
    if frame.active_geometry_name is None:
        raise FrameError("a frame without geometry cannot be a PostGIS table")
    if frame.crs is None:
        raise FrameError("the geometry has no CRS", hint="frame.set_crs(4326), if it is longitude and latitude")
    srid = 4326 if frame.crs.equals("OGC:CRS84") else frame.crs.to_epsg()
    if srid is None:
        raise FrameError(f"{frame.crs.name} has no EPSG number", hint="frame.to_crs(4326)")
    return int(srid)


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


def _srid_of(connection: psycopg.Connection, table: Table, name: str) -> int:
    """Return the SRID that the type of a geometry column states, or that of a row; 0 where there is none."""
    from psycopg import sql

    whole, place = _identifier(table), sql.Identifier(name)
    stated = connection.execute(
        "SELECT postgis_typmod_srid(atttypmod) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s",
        [whole.as_string(connection), name],
    ).fetchone()
    if stated and stated[0]:
        return int(stated[0])
    query = sql.SQL("SELECT ST_SRID({}::geometry) FROM {} WHERE {} IS NOT NULL LIMIT 1").format(place, whole, place)
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _geometry_type(frame: gpd.GeoDataFrame, srid: int) -> str:
    """Return the database's type for the active geometry; rows with and without heights only fit the widest."""
    import shapely

    shapes = np.asarray(frame.geometry.values)
    there = ~shapely.is_missing(shapes)
    high, measured = shapely.has_z(shapes[there]), shapely.has_m(shapes[there])
    if measured.any() or (high.any() and not high.all()):
        return "geometry"
    kinds = {"LineString" if kind == "LinearRing" else kind for kind in frame.geom_type.dropna().unique()}
    kind = kinds.pop() if len(kinds) == 1 else "Geometry"
    return f"geometry({kind}{'Z' if high.any() else ''}, {srid})"


def _type_of(values: pd.Series) -> str:
    """Return the database's type for a column."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(values.dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(values.dtype):
        return "bigint"
    if pd.api.types.is_float_dtype(values.dtype):
        return "double precision"
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return "timestamptz"
    return "timestamp" if pd.api.types.is_datetime64_any_dtype(values.dtype) else "text"


def _copy_in(
    connection: psycopg.Connection,
    whole: sql.Composable,
    plain: dict[str, pd.Series],
    shapes: gpd.GeoSeries,
    srid: int,
) -> None:
    """Send the columns and the geometry of a frame to the table `whole`, some rows at a time."""
    import pandas as pd
    import pyarrow as pa
    import shapely
    from psycopg import sql
    from pyarrow import csv

    names = [sql.Identifier(name) for name in [*plain, str(shapes.name)]]
    command = sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT csv)").format(whole, sql.SQL(", ").join(names))
    options = csv.WriteOptions(include_header=False)
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for start in range(0, len(shapes), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            places = shapely.set_srid(np.asarray(shapes.iloc[part].values), srid)
            rows = {name: values.iloc[part].reset_index(drop=True) for name, values in plain.items()}
            rows[str(shapes.name)] = pd.Series(shapely.to_wkb(places, hex=True, include_srid=True), dtype="str")
            text = io.BytesIO()
            # For COPY, an empty field is NULL, and text in quotes is not.
            csv.write_csv(pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False), text, options)
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


def _frame_of(table: pa.Table, srids: dict[str, int], types: dict[str, str], name: Table) -> gpd.GeoDataFrame:
    """Return rows as a frame; `srids` are those of its geometry columns, the active one first."""
    import geopandas as gpd

    columns: dict[str, Any] = {}
    spatial = list(srids)
    for each in table.column_names:
        if each not in srids:
            columns[each] = _typed(frames.to_pandas(table.select([each]))[each], types[each])
    for each in [*spatial[1:], spatial[0]]:
        columns[each] = _geometry_of(table[each].to_numpy(zero_copy_only=False), srids[each], each, name)
    return gpd.GeoDataFrame(columns, geometry=spatial[0])


def _geometry_of(wkb: Any, stated: int, column: str, table: Table) -> gpd.GeoSeries:
    import geopandas as gpd
    import shapely
    from pyproj.exceptions import CRSError

    places = np.asarray(shapely.from_wkb(wkb), dtype=object)
    known = np.unique(shapely.get_srid(places[~shapely.is_missing(places)])).tolist()
    if len(known) > 1:
        raise FormatError(
            f"the geometry {column!r} of the table {table} has several SRIDs: {', '.join(map(str, known))}"
        )
    srid = known[0] if known else stated
    try:
        return gpd.GeoSeries(shapely.set_srid(places, 0), crs=srid or None)
    except CRSError as error:
        raise FormatError(f"the geometry {column!r} of the table {table} has the unknown SRID {srid}") from error


def _typed(values: pd.Series, kind: str) -> pd.Series:
    """Return a column in the dtype for its type in the database."""
    import pandas as pd

    if kind in {"timestamptz", "timestamp", "date"}:
        times = pd.to_datetime(values, unit="us", utc=True).dt.as_unit("us")
        return times if kind == "timestamptz" else times.dt.tz_localize(None)
    if kind == "bool":
        return values.astype("boolean") if values.isna().any() else values.astype("bool")
    return values
