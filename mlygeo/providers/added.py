"""Columns from records of a service, added to a frame of the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlygeo import dtypes, frames
from mlygeo.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import geopandas as gpd

    from mlygeo.keys import Key


def with_records(
    images: gpd.GeoDataFrame,
    ids: Sequence[Key | None],
    found: gpd.GeoDataFrame,
    *,
    columns: Iterable[str],
    errors: Mapping[Key, str],
) -> gpd.GeoDataFrame:
    """
    Return images with columns from records of the same images, and with `error` (str, null when fine).

    Parameters
    ----------
    images
        Any frame.
    ids
        The id of each row; None where it has none. An id may stand in several rows.
    found
        Images frame of the records, each id once, in any order.
    columns
        The columns to take from it. Its values win; where it has none, the frame's own stay.
    errors
        Why there is no record of an image, or what is wrong with it, by id.

    Raises
    ------
    FrameError
        If a column stands in the frame already, in a dtype that does not fit.
    """
    import pandas as pd

    by_id = found.set_index("id")
    # Beside None, pandas would make floats of whole numbers.
    listed: Any = list(ids)
    wanted: pd.Index[Any] = pd.Index(listed, dtype=object if None in ids else None)
    added: dict[str, Any] = {}
    for name in columns:
        if name not in by_id.columns:
            continue
        dtype = str(found[name].dtype)
        values = by_id[name].reindex(wanted).set_axis(images.index)
        if name in images.columns:
            own = images[name]
            try:
                own = own if dtype in {"geometry", "object", "bool", "boolean"} else dtypes.cast(own, dtype)
            except (ValueError, TypeError, OverflowError) as error:
                raise FrameError(f"column '{name}' of the frame does not fit {dtype} ({error})") from error
            values = values.where(values.notna(), own)
        if dtype in {"bool", "boolean"}:
            values = pd.Series(values.to_list(), index=images.index, dtype="boolean")
            added[name] = values if values.isna().any() else values.astype(bool)
        else:
            added[name] = values if dtype in {"geometry", "object"} else dtypes.cast(values, dtype)
    reasons = [errors.get(id_) if id_ else "it has no id" for id_ in ids]
    added["error"] = pd.Series(reasons, index=images.index, dtype="str")
    result = images.assign(**added)
    if "geometry" in result.columns:  # it is last, as in every frame
        result = result[[name for name in result.columns if name != "geometry"] + ["geometry"]]
    result.attrs = dict(images.attrs)
    return frames.attribute(result, *(found.attrs.get("attribution", ()) if len(found) else ()))
