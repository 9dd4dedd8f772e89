"""What the files of flat pictures say of their size and lens, where their images do not."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from mlygeo import frames
from mlygeo.errors import FormatError
from mlygeo.formats import jpeg, tiff
from mlygeo.formats.exif import TABLE
from mlygeo.spatial import lenses

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Objects


def with_lenses(images: gpd.GeoDataFrame, paths: Objects) -> gpd.GeoDataFrame:
    """
    Return images with size and focal length of flat pictures, from their files where the images lack them.

    The focal length is that of a frame 36 mm long (`FocalLengthIn35mmFormat`), by the larger side, as OpenSfM takes it.

    Parameters
    ----------
    images
        Images frame.
    paths
        The file of each, None where there is none; shape (n,).

    Returns
    -------
    images
        The same rows; `width` and `height` (Int64, pixels as stored before the image was turned upright by
        `exif_orientation`) and `camera_parameters` are filled where they can be.

    Examples
    --------
    >>> with_lenses(images, paths)["camera_parameters"].iloc[0]
    [0.72]
    """
    known = lenses.lenses_of(images).kind != None  # noqa: E711 - an array of objects
    sizes = [_column(images, name) for name in ("width", "height")]
    flat = ~images["is_pano"].astype("boolean").fillna(value=True).to_numpy(dtype=bool)
    named = _column(images, "camera_type").isin(["fisheye", "brown"]).to_numpy()
    sized = np.logical_and(*(size.notna().to_numpy() for size in sizes))
    stored = _column(images, "camera_parameters")
    lensless = ~known & ~named & stored.isna().to_numpy()
    asked = flat & ~(known & sized) & np.array([path is not None for path in paths], dtype=bool)
    if not asked.any():
        return images
    turned = frames.reals(images, "exif_orientation") >= 5
    width, height = (size.astype("Float64").astype("Int64").array.copy() for size in sizes)
    parameters = np.empty(len(images), dtype=object)
    parameters[:] = stored.to_list()
    for row in np.flatnonzero(asked).tolist():  # a file each
        found, focal = _said(paths[row])
        if found is not None and not sized[row]:
            width[row], height[row] = found[::-1] if turned[row] else found
        if focal is not None and lensless[row]:
            parameters[row] = [focal]
    return images.assign(width=width, height=height, camera_parameters=parameters)


def _column(images: pd.DataFrame, name: str) -> pd.Series:
    import pandas as pd

    return images[name] if name in images.columns else pd.Series([None] * len(images), index=images.index, dtype=object)


def _said(path: str) -> tuple[tuple[int, int] | None, float | None]:
    """Return width and height of a picture that is shown upright, and its focal length; None where it does not say."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - unbuffered, as the reader of heads wants it
            head = jpeg.read_head(file)
    except OSError:
        return None, None
    size = None if head.width is None or head.height is None else (head.width, head.height)
    if head.exif is None:
        return size, None
    try:
        block = tiff.Block(head.exif)
        turned, focal = (_short(block, name) for name in ("Orientation", "FocalLengthIn35mmFormat"))
    except FormatError:
        return size, None
    upright = size[::-1] if size is not None and turned is not None and 5 <= turned <= 8 else size
    return upright, focal / lenses.FULL_FRAME_MM if focal else None


def _short(block: tiff.Block, name: str) -> int | None:
    tag = TABLE[name]
    raw = block.value(tag.directory, tag.number)
    return None if raw is None or len(raw) != 2 else int(struct.unpack(f"{block.order}H", raw)[0])
