"""Tables of values by point -> DataFrames; positions are not needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import frames, store
from mlygeo.errors import FileError, FormatError, FrameError, unreadable
from mlygeo.store import held

if TYPE_CHECKING:
    import pandas as pd


def read(values: Any) -> pd.DataFrame:
    """
    Return values by `point_id`.

    Parameters
    ----------
    values
        A frame or table; a file of a table (.csv, .parquet), or any file of a frame.

    Returns
    -------
    values
        Columns without geometry; `point_id` int64.

    Raises
    ------
    FileError
        If a file cannot be read.
    FrameError
        If there is no `point_id`, or some ids are missing or no whole numbers.
    """
    import pandas as pd

    name = "`values`"
    if isinstance(values, str | os.PathLike):
        path = Path(values)
        name, ending = path.name, path.suffix.lower()
        if ending == ".csv":
            table = _of_csv(path.expanduser())
        elif ending == ".parquet" and path.expanduser().is_file():
            table = _of_parquet(path.expanduser())
        else:
            table = pd.DataFrame(store.as_frame(values))
    else:
        found = values if isinstance(values, pd.DataFrame) else held.as_table(values, name=name)
        table = pd.DataFrame(store.as_frame(values, name=name) if found is None else found)
    if (twice := table.columns[table.columns.duplicated()]).size:
        raise FrameError(f"{name} has the column {twice[0]!r} twice", hint="give one of them another name")
    if "point_id" not in table.columns:
        raise FrameError(
            f"{name} has no column 'point_id', so its rows cannot be assigned to points"
            f" (it has {', '.join(map(str, table.columns)) or 'none'})"
        )
    shapes = [column for column in table.columns if str(table[column].dtype) == "geometry" or column == "geometry"]
    table = table.drop(columns=shapes)
    return table.assign(point_id=_ids(table["point_id"], name))


def _of_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(path, encoding="utf-8-sig", dtype={"point_id": "str"})
    except OSError as error:
        raise FileError(unreadable(path, error)) from error
    except (ValueError, pd.errors.ParserError) as error:
        raise FormatError(f"{path.name} is not a table: {error}") from error


def _of_parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return frames.to_pandas(pq.read_table(path, partitioning=None))
    except (OSError, pa.ArrowException) as error:
        raise FormatError(f"{path.name} is not Parquet: {error}") from error


def _ids(ids: pd.Series, name: str) -> pd.Series:
    """Return ids as int64; a float has lost digits of those of places."""
    import pandas as pd

    texts = ids.astype("str").str.strip()
    fine = texts.str.fullmatch(r"-?\d{1,18}|-?[0-8]\d{18}|-?9[01]\d{17}").fillna(value=False)
    if not fine.all():
        first = texts[~fine].iloc[0]
        raise FrameError(
            f"{name}: {int((~fine).sum()):,} of {len(ids):,} values of 'point_id' are not whole numbers ({first!r})",
            hint="as floating-point numbers ids lose their last digits; keep them as whole numbers or text",
        )
    return pd.Series(texts.astype("int64"), index=ids.index)
