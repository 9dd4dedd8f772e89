"""
Lenses: from directions to places in a picture, and between focal lengths and fields of view.

Focal lengths are fractions of the larger side of a picture, as OpenSfM and Mapillary's `camera_parameters` have them.
Places in a picture are in the same unit, from its centre, x to the right and y down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import frames
from mlygeo.spatial import rotations

if TYPE_CHECKING:
    import pandas as pd

    from mlygeo.arrays import Flags, Floats, Objects

FULL_FRAME_MM = 36.0
"""Larger side of the frame of 35 mm film."""

PERSPECTIVE, FISHEYE, SPHERICAL = "perspective", "fisheye", "equirectangular"

_NAMES = {"spherical": SPHERICAL, "equirectangular": SPHERICAL, "perspective": PERSPECTIVE, "fisheye": FISHEYE}

SHORTEST, LONGEST = 0.05, 50.0
"""Focal lengths of lenses that are in use for photos, as fractions of the larger side: 2 mm and 1.8 m on film."""

HALVINGS = 90
"""In search of the edge of a picture; it is exact then."""

MOST_TANGENT = 1e6
"""Tangent of an angle so near to 90 degrees that no picture reaches it."""

_PARAMETERS = 3
"""Focal length and two coefficients; other models of lenses have more."""


class Lenses(NamedTuple):
    """
    The lenses of pictures, column by column; each of shape (n,).

    `kind` is "equirectangular", "perspective" or "fisheye", and None where the lens is not known. `focal` is
    a fraction of the larger side of the picture, `k1` and `k2` are the coefficients of distortion; they are NaN for
    panoramas, and where the lens is not known.
    """

    kind: Objects
    focal: Floats
    k1: Floats
    k2: Floats


def focal_length(field_of_view: Any) -> Any:
    """
    Return the focal lengths of pictures without distortion, as fractions of the side.

    Parameters
    ----------
    field_of_view
        Degrees along that side, between 0 and 180.

    Examples
    --------
    >>> round(focal_length(90.0), 6)
    0.5
    """
    return 0.5 / np.tan(np.radians(field_of_view) / 2)


def field_of_view(focal: Any) -> Any:
    """
    Return the fields of view of pictures without distortion, degrees along the side that `focal` is a fraction of.

    Parameters
    ----------
    focal
        Focal length, as a fraction of that side.

    Examples
    --------
    >>> round(field_of_view(0.5), 6)
    90.0
    """
    return 2 * np.degrees(np.arctan(0.5 / np.asarray(focal)))


def lenses_of(images: pd.DataFrame) -> Lenses:
    """
    Return the lenses of images, as far as they are known.

    A panorama is what `is_pano` says, or `camera_type` where that is null. Of a flat picture, `camera_parameters` is
    the focal length and two coefficients of distortion, of a perspective lens unless `camera_type` is "fisheye"
    (OpenSfM's models of these names); without them `field_of_view` gives the focal length of one without distortion.
    Other models have other parameters, and are not known here.

    Parameters
    ----------
    images
        Images frame; of these columns those that it has.

    Returns
    -------
    lenses
        See `Lenses`.

    Examples
    --------
    >>> lenses_of(images).kind
    array(['perspective'], dtype=object)
    """
    rows = len(images)
    kind = np.full(rows, None, dtype=object)
    if "camera_type" in images.columns:
        kind[:] = [_NAMES.get(value) if isinstance(value, str) else None for value in images["camera_type"]]
        named = images["camera_type"].notna().to_numpy()
    else:
        named = np.zeros(rows, dtype=bool)
    flag = images["is_pano"].astype("boolean") if "is_pano" in images.columns else None
    is_pano = kind == SPHERICAL
    if flag is not None:
        is_pano = np.where(flag.isna(), is_pano, flag.fillna(value=False).to_numpy(dtype=bool)).astype(bool)
    is_flat = ~is_pano & (np.isin(kind, (PERSPECTIVE, FISHEYE)) | (_is_false(flag, rows) & ~named))
    parameters = np.full((rows, _PARAMETERS + 1), np.nan)
    if "camera_parameters" in images.columns:
        parameters = rotations.vectors(images["camera_parameters"], _PARAMETERS + 1)
    focal, k1, k2 = parameters[:, 0].copy(), np.nan_to_num(parameters[:, 1]), np.nan_to_num(parameters[:, 2])
    focal[~np.isnan(parameters[:, _PARAMETERS])] = np.nan  # of another model
    if "field_of_view" in images.columns:
        degrees = frames.reals(images, "field_of_view")
        plain = np.isnan(parameters[:, 0]) & (kind != FISHEYE) & (degrees > 0) & (degrees < 180)
        focal = np.where(plain, focal_length(np.where(plain, degrees, 90.0)) * _wide_share(images), focal)
    with np.errstate(invalid="ignore"):
        is_known = is_flat & (focal >= SHORTEST) & (focal <= LONGEST)
    kind = np.where(is_pano, SPHERICAL, np.where(is_known & (kind != FISHEYE), PERSPECTIVE, kind))
    kind[~(is_pano | is_known)] = None
    return Lenses(kind, *(np.where(is_known, values, np.nan) for values in (focal, k1, k2)))


def _is_false(flag: Any, rows: int) -> Flags:
    if flag is None:
        return np.zeros(rows, dtype=bool)
    return np.asarray(~flag.fillna(value=True).to_numpy(dtype=bool))


def _wide_share(images: pd.DataFrame) -> Floats:
    """Return the width as a share of the larger side, by which a horizontal field of view gives a focal length."""
    width, height = (frames.reals(images, name) for name in ("width", "height"))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(width / np.maximum(width, height))


def sizes_of(images: pd.DataFrame) -> Floats:
    """
    Return the sizes of pictures that are shown upright, as far as they are known.

    Parameters
    ----------
    images
        Images frame with `width` and `height`, pixels as stored, and `exif_orientation` where it has it.

    Returns
    -------
    sizes
        Width and height, float64 of shape (n, 2); NaN where one of them is unknown.
    """
    size = np.stack([frames.reals(images, "width"), frames.reals(images, "height")], axis=1)
    turned = frames.reals(images, "exif_orientation") >= 5
    size[turned] = size[turned, ::-1]
    size[~(size > 0).all(axis=1)] = np.nan
    return size


def fields_of_view(images: pd.DataFrame) -> Floats:
    """
    Return the horizontal fields of view of flat pictures that are shown upright, by their lenses.

    Where distortion is so strong that nothing is seen at the edge, it is not considered.

    Parameters
    ----------
    images
        Images frame; of the columns of `lenses_of` and `sizes_of` those that it has. Where the size is unknown, the
        picture is taken to be wider than high.

    Returns
    -------
    angle
        Degrees, up to 360, float64 of shape (n,); NaN for panoramas, and where the lens is not known.

    Examples
    --------
    >>> fields_of_view(images).round(1).tolist()
    [61.9]
    """
    found, size = lenses_of(images), sizes_of(images)
    share = np.where(np.isnan(size[:, 0]), 1.0, size[:, 0] / size.max(axis=1))
    known = np.flatnonzero(np.isfinite(found.focal))
    columns = [found.kind == FISHEYE, found.focal, found.k1, found.k2, share / 2]
    # Many pictures are of few cameras.
    cameras, camera = np.unique(np.stack(columns, axis=1)[known].astype(np.float64), axis=0, return_inverse=True)
    angle = np.full(len(images), np.nan)
    angle[known] = _fields_of_view(cameras[:, 0] > 0, *cameras[:, 1:].T)[camera.reshape(-1)]
    return angle


def _fields_of_view(fisheye: Flags, focal: Floats, k1: Floats, k2: Floats, edge: Floats) -> Floats:
    """Return by how many degrees lenses see as far as an edge on both sides; lenses and edges as `project` has them."""
    edge = edge / focal
    # Beyond the radius where it turns back, or the largest there is, no place is seen.
    farthest = np.minimum(_turning(k1, k2), np.where(fisheye, np.pi, MOST_TANGENT))

    def place(radius: Floats) -> Floats:
        square = radius * radius
        found: Floats = radius * (1 + k1 * square + k2 * square * square)
        return found

    low, high = np.zeros(len(focal)), farthest
    reaches = place(farthest) >= edge
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        inside = place(middle) < edge
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    radius = np.where(reaches, low, edge)
    half = np.where(fisheye, np.minimum(radius, np.pi), np.arctan(radius))
    return np.asarray(np.degrees(2 * half))


def _turning(first: Floats, second: Floats) -> Floats:
    """Return the radius r beyond which r (1 + k1 r² + k2 r⁴) no longer grows; infinity where there is none."""
    # The smaller positive root of 1 + 3 k1 s + 5 k2 s² for s = r², in the form that does not cancel.
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        half = 3 * first
        root = np.sqrt(half * half - 20 * second)
        q = -(half + np.where(half < 0, -root, root)) / 2
        roots = np.array([q / (5 * second), 1 / q])
        found: Floats = np.sqrt(np.where(roots > 0, roots, np.inf).min(axis=0))
    return found


def project(directions: Floats, fisheye: Flags, focal: Floats, k1: Floats, k2: Floats) -> tuple[Floats, Floats]:
    """
    Return where directions are seen in flat pictures.

    Parameters
    ----------
    directions
        In the axes of the camera (x right, y down, z ahead), of any length; shape (..., 3).
    fisheye
        Whether the lens is of OpenSfM's model "fisheye", else of "perspective"; broadcasts against the directions.
    focal, k1, k2
        The lenses; they broadcast, too.

    Returns
    -------
    x, y
        Fractions of the larger side from the picture's centre; shape (...). NaN where the lens does not see the
        direction: behind it, and where the model of its distortion folds back.

    Examples
    --------
    >>> project(np.array([1.0, 0.0, 1.0]), False, 0.5, 0.0, 0.0)
    (array(0.5), array(0.))
    """
    x, y, z = np.moveaxis(np.asarray(directions, dtype=np.float64), -1, 0)
    aside = np.hypot(x, y)
    with np.errstate(divide="ignore", invalid="ignore"):
        radius = np.where(fisheye, np.arctan2(aside, z), np.where(z > 0, aside / z, np.nan))
        square = radius * radius
        bent = radius * (1 + square * (k1 + square * k2))
        rises = 1 + square * (3 * k1 + 5 * square * k2) > 0
        scale = focal * np.where(rises, bent, np.nan) / np.where(aside > 0, aside, 1.0)
        return np.asarray(x * scale), np.asarray(y * scale)
