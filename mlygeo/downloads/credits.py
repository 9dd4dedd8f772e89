"""
Owner and licence of each downloaded picture, beside the ledger of its folder.

They are noted for providers whose pictures have each its own licence, before the ledger says that a picture is
there: of every picture that is there, also of an earlier run, they are known without another request.
"""

from __future__ import annotations

import json
from dataclasses import astuple, fields
from sqlite3 import OperationalError
from typing import TYPE_CHECKING, Any

from mlygeo import attribution
from mlygeo.attribution import Rights

if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Connection

    import pandas as pd
    import pyarrow as pa

    from mlygeo.keys import Key

NAMES = tuple(field.name for field in fields(Rights))
"""The columns, in the order of `Rights`."""

TABLE = f"""
CREATE TABLE IF NOT EXISTS rights (
    provider TEXT NOT NULL, id TEXT NOT NULL, {", ".join(f"{name} TEXT" for name in NAMES if name != "provider")},
    PRIMARY KEY (provider, id)
) WITHOUT ROWID
"""

_KEYS = ("provider", "id", *(name for name in NAMES if name != "provider"))


def note(db: Connection, provider: str, key: Key, rights: Rights) -> None:
    """Note whose a picture is; the table is made with the first one."""
    values = dict(zip(NAMES, astuple(rights), strict=True)) | {"provider": provider, "id": str(key)}
    statement = f"INSERT OR REPLACE INTO rights VALUES ({', '.join('?' * len(_KEYS))})"  # noqa: S608 - question marks
    row = [values[name] for name in _KEYS]
    try:
        db.execute(statement, row)
    except OperationalError:  # there is no such table yet; any other error comes again
        db.execute(TABLE)
        db.execute(statement, row)


def read(db: Connection, provider: str | None = None, ids: Iterable[Key] | None = None) -> pa.Table:
    """
    Return what is noted in a ledger: `id` and the columns of `Rights`, as text.

    Parameters
    ----------
    db
        The ledger, open.
    provider, ids
        Return only what is noted of these images of a provider.
    """
    import pyarrow as pa

    names = ", ".join(_KEYS)
    query = f"SELECT {names} FROM rights"  # noqa: S608 - our own names
    values: tuple[str, ...] = ()
    if ids is not None:
        query += " WHERE provider = ? AND id IN (SELECT value FROM json_each(?))"
        values = (provider or "", json.dumps([str(key) for key in ids]))
    there = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'rights'").fetchone()
    rows = db.execute(query, values).fetchall() if there else []
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_KEYS)
    return pa.table(
        {
            name: pa.array([value if isinstance(value, str) else None for value in column], pa.string())
            for name, column in zip(_KEYS, columns, strict=True)
        }
    )


def add(transfers: pd.DataFrame, noted: pa.Table) -> pd.DataFrame:
    """Return rows of a ledger with the columns of `Rights` for their pictures, where any are noted."""
    import pandas as pd

    if not len(noted):
        return transfers
    rights = noted.to_pandas().astype("str")
    keys = transfers["id"].astype("str")
    if "provider" not in transfers.columns and rights["id"].is_unique:
        found = rights.set_index("id").reindex(keys)
    elif "provider" in transfers.columns:
        found = rights.set_index(["provider", "id"], drop=False).reindex(
            pd.MultiIndex.from_arrays([transfers["provider"], keys])
        )
    else:
        return transfers
    names = [name for name in NAMES if name not in transfers.columns]
    return transfers.assign(**{name: found[name].astype("str").to_numpy() for name in names}).astype(
        dict.fromkeys(names, "str")
    )


def facts(noted: pa.Table, ids: Iterable[Key]) -> dict[str, Any]:
    """
    Return for a summary whose pictures are.

    Parameters
    ----------
    noted
        What is noted of them.
    ids
        All of them.

    Returns
    -------
    facts
        `attribution`: a line for each instance and licence; `licences`: number of pictures by licence, "unknown"
        for those of which it is not known. Both are of pictures that are there.
    """
    counts: dict[str, int] = {}
    for licence in noted["licence"].to_pylist():
        counts[licence or "unknown"] = counts.get(licence or "unknown", 0) + 1
    if unknown := len(set(ids)) - len(noted):
        counts["unknown"] = counts.get("unknown", 0) + unknown
    return {
        "attribution": [credit.line for credit in attribution.credits_of(noted)],
        "licences": dict(sorted(counts.items(), key=lambda each: (-each[1], each[0]))),
    }
