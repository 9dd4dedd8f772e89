"""What the Graph API said of images, joined to a frame of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import dtypes, frames
from mlygeo.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import geopandas as gpd
    import numpy.typing as npt
    import pandas as pd


def ids_in(images: pd.DataFrame, where: str) -> npt.NDArray[np.int64]:
    """
    Return the ids of images, 0 where a row has none.

    Parameters
    ----------
    images
        Any frame with a column `id`.
    where
        What messages call it.

    Raises
    ------
    FrameError
        If there is no such column, or it holds other things than ids.
    """
    if "id" not in images.columns:
        raise FrameError(f"{where} has no column 'id', so its images cannot be named")
    try:
        ids = dtypes.cast(images["id"], "Int64")
    except (ValueError, TypeError, OverflowError) as error:
        raise FrameError(f"{where}: column 'id' holds no ids ({error})") from error
    numbers: npt.NDArray[np.int64] = ids.fillna(0).to_numpy(dtype=np.int64)
    return np.where(numbers > 0, numbers, 0)


def add_fields(
    images: gpd.GeoDataFrame, found: gpd.GeoDataFrame, *, columns: Iterable[str], errors: Mapping[int, str]
) -> gpd.GeoDataFrame:
    """
    Add columns to images, from records of the same images.

    Parameters
    ----------
    images
        Frame with `id`; an id may stand in several rows, or be null.
    found
        Images frame of the records, each id once, in any order.
    columns
        The columns to take from it. Where it knows a value that one wins, elsewhere the frame's own
        stays.
    errors
        Why there is no record of an image, or what is wrong with it, by id.

    Returns
    -------
    images
        The same rows and index, with the columns and with `error` (str, null when fine).

    Raises
    ------
    FrameError
        If a column stands in the frame already, in a dtype that does not fit.
    """
    import pandas as pd

    numbers = ids_in(images, "the frame")
    by_id = found.set_index("id")
    added: dict[str, Any] = {}
    for name in columns:
        dtype = str(found[name].dtype)
        values = by_id[name].reindex(numbers).set_axis(images.index)
        if name in images.columns:
            own = images[name]
            try:
                own = own if dtype in {"geometry", "object"} else dtypes.cast(own, dtype)
            except (ValueError, TypeError, OverflowError) as error:
                raise FrameError(f"column '{name}' of the frame does not fit {dtype} ({error})") from error
            values = values.where(values.notna(), own)
        added[name] = values if dtype in {"geometry", "object"} else dtypes.cast(values, dtype)
    reasons = [errors.get(number) if number else "it has no id" for number in numbers.tolist()]
    added["error"] = pd.Series(reasons, index=images.index, dtype="str")
    result = images.assign(**added)
    if "geometry" in result.columns:  # it stands last, as in every frame
        result = result[[name for name in result.columns if name != "geometry"] + ["geometry"]]
    result.attrs = dict(images.attrs)
    return frames.attribute(result, *found.attrs.get("attribution", ()))
