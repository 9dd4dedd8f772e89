"""
Views: which perspective pictures are to be cut out of panoramas and flat pictures, a row for each.

A view looks in a direction that is given by a bearing, such as that of the street, and an angle from there. What is
planned here is made into files by `mlygeo.perspective`.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import numpy as np

from mlygeo import frames
from mlygeo.degrees import turn
from mlygeo.errors import FrameError, InputError
from mlygeo.progress import working
from mlygeo.schemas import DEFAULT_PROVIDER
from mlygeo.spatial import lenses, rotations
from mlygeo.spatial.lenses import FISHEYE, SPHERICAL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import geopandas as gpd

    from mlygeo.arrays import Flags, Floats, Objects, Rows
    from mlygeo.spatial.lenses import Lenses

LOG = logging.getLogger("mlygeo.spatial.views")

NAMED = {"ahead": 0.0, "right": 90.0, "back": 180.0, "left": 270.0}
"""Directions by name: degrees clockwise from the base."""

NORTH, CAMERA, STREET = "north", "camera", "street"
"""Bases of directions that are no columns: north, the heading of the image itself, and the bearing of the street."""

OF_STREETS = ("point_bearing", "bearing")
"""Columns of the bearing of the street, the first that there is: of a selection, and of other frames."""

WIDEST = 150.0
"""Degrees: a perspective picture of a wider angle is mostly its own edges, drawn out seven times and more."""

LARGEST = 8192
"""Pixels of a side of a view."""

UPRIGHT = 45.0
"""Degrees: a picture of a street that is said to lean by more is rather one whose rotation is wrong."""

SAME_HEADING = 1.0
"""Degrees by which two statements of one computed heading may differ."""

MOST_AROUND = 720
"""Views all around: one each half degree."""

EDGE = 16
"""Places on each edge of a view that a flat picture must show for the view to lie within it."""

AT_ONCE = 1 << 15
"""Views that are compared with flat pictures at a time."""

STALE = (
    "computed_rotation", "computed_compass_angle", "exif_orientation", "heading_difference", "pixel_density",
    "filesize", "filename", "yaw", "folder", "error",
)  # fmt: skip
"""Columns of the picture that a view is cut from, which would say something wrong of the view."""

NO_BASE = "images without a bearing"
NO_HEADING = "images without a heading"
NO_KIND = "images that may be panoramas or not"
NO_ID = "images without an id"
NO_LENS = "flat pictures whose focal length is unknown"
NO_SIZE = "flat pictures whose size is unknown"
ELSEWHERE = "views that a flat picture does not show, since it looks elsewhere"
IN_PART = "views that a flat picture shows only in part"
"""What is left out, in words."""

NOT_LEVELLED = "the tilt of the camera is unknown, so the horizon may lean"
TOO_STEEP = "the tilt of the camera is given as more than 45° and was not used"
TWO_HEADINGS = "the computed rotation contradicts the computed heading and was used"
FAR_HEADING = "the measured heading is more than 45° from the computed one, which was used"
"""What is in doubt, in words."""


@working("planning views")
def plan_views(
    images: gpd.GeoDataFrame,
    *,
    directions: str | float | Iterable[str | float] = ("left", "right"),
    relative_to: str = STREET,
    fov: float = 90.0,
    width: int = 640,
    height: int = 640,
    pitch: float = 0.0,
    overlap: float | None = None,
) -> gpd.GeoDataFrame:
    """
    Plan the perspective views that are cut out of images.

    A panorama has views in all directions. A flat picture has those that lie wholly within it. Where
    `computed_rotation` is known, or both `pitch` and `roll`, views are level whatever the tilt of the camera was; a
    rotation gives the heading, too. Otherwise the heading is `computed_compass_angle`, or `compass_angle` where that
    is unknown, and the camera is assumed to be level, with a warning.

    Parameters
    ----------
    images
        Images or selection frame, with `id`, `compass_angle` and `is_pano`. `camera_type`, `camera_parameters`,
        `field_of_view`, `width` and `height` tell what a flat picture shows.
    directions
        Where views look from the base: "ahead", "right", "back", "left", or degrees clockwise; several, or a text with
        commas between them.
    relative_to
        The base: "street" (column `point_bearing`, or `bearing`), "camera" (the heading of the image), "north", or
        another column of bearings in degrees.
    fov
        Horizontal field of view, degrees; above 0, at most 150.
    width, height
        Pixels.
    pitch
        Degrees by which views look up; -90 to 90.
    overlap
        Views all around from the base instead of `directions`, as few as it takes for each to share at least this
        part of its field of view with the next: 0 to below 1.

    Returns
    -------
    views
        A row for each view, by image and then by direction, with the columns of the image. Columns about the picture
        now describe the view: `compass_angle` (its heading), `pitch`, `roll` (0), `field_of_view` (horizontal),
        `width`, `height`, `is_pano` (false), `camera_type`, `camera_parameters`. New are `view` (the direction),
        `path` (the file to be, relative to the folder of views), and of the picture that it is cut from:
        `source_type` ("equirectangular", "perspective" or "fisheye"), `source_heading`, `source_pitch` and
        `source_roll` (degrees; NaN where the tilt is unknown), `source_focal`, `source_k1`, `source_k2` (see
        `camera_parameters`; NaN for panoramas), `tilt_source` ("computed_rotation", "pitch and roll", or null), and
        `warning` (str, null if there is none). `attrs["left_out"]` and `attrs["problems"]` count images without views
        and doubtful images, by reason.

    Raises
    ------
    FrameError
        If a column is missing or has another dtype, or two rows are the same image.
    InputError
        If an option makes no sense.

    Examples
    --------
    >>> plan_views(images, directions=["ahead", 45], relative_to="north")["view"].unique().tolist()
    ['ahead', '45']
    """
    images = frames.check(images, frames.IMAGES.only("id", "compass_angle", "is_pano"))
    offsets = offsets_of(directions, fov=fov, width=width, height=height, pitch=pitch, overlap=overlap)
    base = _base(images, relative_to)
    found = lenses.lenses_of(images)
    facing = Facing.of(images)
    size = lenses.sizes_of(images)
    reasons = np.select(
        [
            images["id"].isna().to_numpy(),
            _unknown_kind(images, found),
            found.kind == None,  # noqa: E711 - an array of objects
            (found.kind != SPHERICAL) & np.isnan(size).any(axis=1),
            np.isnan(base),
            np.isnan(facing.heading),
        ],
        [NO_ID, NO_KIND, NO_LENS, NO_SIZE, NO_BASE, NO_HEADING],
        default="",
    )
    usable = np.flatnonzero(reasons == "")
    left_out = Counter(reasons[reasons != ""].tolist())
    row = np.repeat(usable, len(offsets))
    number = np.tile(np.arange(len(offsets)), len(usable))
    heading = (base[row] + np.array(list(offsets.values()))[number]) % 360.0
    focal = float(lenses.focal_length(fov)) * width / max(width, height)
    shape = _Shape(width, height, focal, float(fov), float(pitch))
    lost = _not_shown(row, heading, shape, size=size, found=found, facing=facing)
    left_out.update(lost[lost != ""].tolist())
    stays = np.flatnonzero(lost == "")
    row, number, heading = row[stays], number[stays], heading[stays]
    names = np.array(list(offsets), dtype=object)[number]
    views = _carried(images, row).assign(
        **_of_views(heading, shape),
        **_of_sources(row, found, facing),
        **_texts({"view": names, "path": _paths(images, row, names)}),
    )
    views.attrs = {**images.attrs, "left_out": dict(left_out), "problems": _problems(views["warning"])}
    LOG.info("%d views of %d images, %d left out", len(views), len(images), sum(left_out.values()))
    return views


def offsets_of(
    directions: str | float | Iterable[str | float],
    *,
    fov: float,
    width: int,
    height: int,
    pitch: float,
    overlap: float | None,
) -> dict[str, float]:
    """
    Return the angles of views from the base, degrees, by the names of their directions.

    Parameters
    ----------
    directions, fov, width, height, pitch, overlap
        As `plan_views` takes them.

    Raises
    ------
    InputError
        If one of them makes no sense.
    """
    if not 0 < fov <= WIDEST:
        raise InputError(
            f"`fov={fov:g}` is not a field of view of a perspective picture", hint=f"above 0, to {WIDEST:g}"
        )
    if not (1 <= width <= LARGEST and 1 <= height <= LARGEST):
        raise InputError(f"a view has 1 to {LARGEST:,} pixels a side, not {width:,} x {height:,}")
    if not -90 <= pitch <= 90:
        raise InputError(f"`pitch={pitch:g}` does not lie between -90 and 90 degrees")
    if overlap is not None:
        if not 0 <= overlap < 1:
            raise InputError(f"`overlap={overlap:g}` is not a part of a view", hint="0 to below 1, such as 0.2")
        around = int(np.ceil(360.0 / (fov * (1 - overlap)) - 1e-9))
        if around > MOST_AROUND:
            raise InputError(
                f"`overlap={overlap:g}` with `fov={fov:g}` makes {around:,} views of each image, and the most are "
                f"{MOST_AROUND}",
                hint="use a smaller `overlap`, or a larger `fov`",
            )
        return {f"{angle:.6g}": angle for angle in (np.arange(around) * 360.0 / around).tolist()}
    if isinstance(directions, str):
        directions = directions.split(",")
    several = [directions] if isinstance(directions, int | float) else list(directions)
    found: dict[str, float] = {}
    for each in several:
        name = each.strip() if isinstance(each, str) else each
        try:
            angle = NAMED[name] if isinstance(name, str) and name in NAMED else float(name)
        except (TypeError, ValueError):
            angle = np.nan
        if not np.isfinite(angle):
            raise InputError(f"there is no direction {each!r}", hint=f"{', '.join(NAMED)}, or degrees")
        angle %= 360.0
        called = str(name) if name in NAMED else f"{angle:.6g}"
        if angle in found.values() or called in found:
            raise InputError(f"the direction {each!r} is given twice")
        found[called] = angle
    if not found:
        raise InputError("no direction", hint=f"{', '.join(NAMED)}, or degrees")
    return found


def _base(images: gpd.GeoDataFrame, relative_to: str) -> Floats:
    """Return the bearing that directions are relative to."""
    if relative_to == NORTH:
        return np.zeros(len(images))
    if relative_to == CAMERA:
        return Facing.of(images).heading
    column = base_column(images.columns, relative_to)
    if column is None:
        named = " or ".join(map(repr, OF_STREETS if relative_to == STREET else [relative_to]))
        raise FrameError(
            f"there is no column {named} with the bearing that directions are relative to",
            hint="add it, or use `relative_to=camera` or `relative_to=north`",
        )
    return frames.reals(images, column) % 360.0


def base_column(columns: Collection[str], relative_to: str) -> str | None:
    """Return the column of the bearing that directions are relative to, None where there is none."""
    names = OF_STREETS if relative_to == STREET else (relative_to,)
    return next((name for name in names if name in columns), None)


def _unknown_kind(images: gpd.GeoDataFrame, found: Lenses) -> Flags:
    """Return which images may be panoramas or not."""
    unknown = images["is_pano"].isna().to_numpy() & (found.kind != SPHERICAL)
    if "camera_type" in images.columns:
        unknown &= ~images["camera_type"].isin(["perspective", "fisheye"]).to_numpy()
    return np.asarray(unknown)


class Facing:
    """How cameras stood: angles, where these come from, and what is in doubt of them; each of shape (n,)."""

    def __init__(self, heading: Floats, pitch: Floats, roll: Floats, tilt_source: Objects, warning: Objects) -> None:
        self.heading, self.pitch, self.roll = heading, pitch, roll
        self.tilt_source, self.warning = tilt_source, warning

    @classmethod
    def of(cls, images: gpd.GeoDataFrame) -> Facing:
        """Return how the cameras of images stood."""
        computed, measured = frames.reals(images, "computed_compass_angle"), frames.reals(images, "compass_angle")
        heading = np.where(np.isnan(computed), measured, computed)
        pitch, roll = frames.reals(images, "pitch"), frames.reals(images, "roll")
        both = ~np.isnan(pitch + roll)
        leans = both & (rotations.tilts(rotations.of_angles(np.zeros(len(images)), pitch, roll)) > UPRIGHT)
        told = both & ~leans
        source: Objects = np.full(len(images), None, dtype=object)
        source[told] = "pitch and roll"
        doubts = {TOO_STEEP: leans, TWO_HEADINGS: np.zeros(len(images), dtype=bool)}
        if "computed_rotation" in images.columns:
            matrices = rotations.of_vectors(rotations.vectors(images["computed_rotation"]))
            matrices = rotations.upright(matrices, frames.reals(images, "exif_orientation"))
            theirs = rotations.angles(matrices)
            known = ~np.isnan(theirs[0])
            with np.errstate(invalid="ignore"):
                steep = known & (rotations.tilts(matrices) > UPRIGHT)
            used = known & ~steep
            doubts[TOO_STEEP] = np.where(used, False, doubts[TOO_STEEP] | steep)
            doubts[TWO_HEADINGS] = used & (_apart(theirs[0], computed) > SAME_HEADING)
            heading, pitch, roll = (
                np.where(used, mine, other) for mine, other in zip(theirs, (heading, pitch, roll), strict=True)
            )
            told |= used
            source[used] = "computed_rotation"
        pitch, roll = (np.where(told, angle, np.nan) for angle in (pitch, roll))
        doubts[FAR_HEADING] = _apart(heading, measured) > UPRIGHT
        doubts[NOT_LEVELLED] = ~told
        return cls(heading % 360.0, pitch, roll, source, _joined(doubts, len(images)))

    def matrices(self, row: Rows) -> Floats:
        """Return the matrices of some rows; cameras whose tilt is unknown count as level."""
        pitch, roll = np.nan_to_num(self.pitch[row]), np.nan_to_num(self.roll[row])
        return rotations.of_angles(self.heading[row], pitch, roll)


def _apart(one: Floats, other: Floats) -> Floats:
    """Return the angle between headings, 0 where one is unknown."""
    apart: Floats = np.nan_to_num(turn(one, other))
    return apart


def _joined(doubts: dict[str, Flags], rows: int) -> Objects:
    """Return for each row its doubts, separated by "; ", None where it has none."""
    found = np.full(rows, "", dtype=object)
    for text, flags in doubts.items():
        found[flags] = np.where(found[flags] == "", text, found[flags] + "; " + text)
    found[found == ""] = None
    return found


def _problems(warnings: Iterable[str | None]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for texts, count in Counter(text for text in warnings if isinstance(text, str)).items():
        found.update(dict.fromkeys(texts.split("; "), count))
    return dict(found)


class _Shape(NamedTuple):
    """The form of views: pixels, focal length as a fraction of the larger side, and degrees."""

    width: int
    height: int
    focal: float
    fov: float
    pitch: float

    def outline(self) -> Floats:
        """Return directions in the axes of the view: its centre, and places along its edges, shape (m, 3)."""
        along = np.linspace(-1.0, 1.0, EDGE + 1)
        one = np.ones_like(along)
        x = np.concatenate([[0.0], along, along, one, -one]) * self.width / max(self.width, self.height) / 2
        y = np.concatenate([[0.0], one, -one, along, along]) * self.height / max(self.width, self.height) / 2
        return np.stack([x, y, np.full_like(x, self.focal)], axis=1)


def _not_shown(row: Rows, heading: Floats, shape: _Shape, *, size: Floats, found: Lenses, facing: Facing) -> Objects:
    """Return why views of flat pictures are left out; "" for those that stay, and for views of panoramas."""
    lost = np.full(len(row), "", dtype=object)
    flat = np.flatnonzero(found.kind[row] != SPHERICAL)
    outline = shape.outline()
    for start in range(0, len(flat), AT_ONCE):
        at = flat[start : start + AT_ONCE]
        image = row[at]
        looking = rotations.of_angles(heading[at], np.full(len(at), shape.pitch), np.zeros(len(at)))
        # Of a view's directions to the world's, and from there to those of the camera.
        seen = np.einsum("nij,nkj,mk->nmi", facing.matrices(image), looking, outline)
        focal, k1, k2 = (values[image][:, None] for values in (found.focal, found.k1, found.k2))
        x, y = lenses.project(seen, (found.kind[image] == FISHEYE)[:, None], focal, k1, k2)
        with np.errstate(invalid="ignore"):
            half = size[image] / size[image].max(axis=1, keepdims=True) / 2
            inside = (np.abs(x) <= half[:, :1]) & (np.abs(y) <= half[:, 1:])
        lost[at] = np.select([~inside[:, 0], ~inside.all(axis=1)], [ELSEWHERE, IN_PART], default="")
    return lost


def _carried(images: gpd.GeoDataFrame, row: Rows) -> gpd.GeoDataFrame:
    """Return the columns of the images that hold for their views, too."""
    carried = images.drop(columns=[name for name in STALE if name in images.columns]).iloc[row]
    return carried.reset_index(drop=True).rename(columns={"path": "source_path"})


def _of_views(heading: Floats, shape: _Shape) -> dict[str, Any]:
    """Return the columns that say what the views are as pictures."""
    import pandas as pd

    count = len(heading)
    parameters = np.empty(count, dtype=object)
    parameters[:] = [[shape.focal, 0.0, 0.0]] * count
    return {
        "compass_angle": heading,
        "pitch": np.full(count, shape.pitch),
        "roll": np.zeros(count),
        "field_of_view": np.full(count, shape.fov),
        "width": pd.array(np.full(count, shape.width), dtype="Int64"),
        "height": pd.array(np.full(count, shape.height), dtype="Int64"),
        "is_pano": np.zeros(count, dtype=bool),
        "camera_parameters": parameters,
        **_texts({"camera_type": ["perspective"] * count}),
    }


def _of_sources(row: Rows, found: Lenses, facing: Facing) -> dict[str, Any]:
    """Return the columns that say how the pictures were taken that views are cut from."""
    return {
        "source_heading": facing.heading[row],
        "source_pitch": facing.pitch[row],
        "source_roll": facing.roll[row],
        "source_focal": found.focal[row],
        "source_k1": found.k1[row],
        "source_k2": found.k2[row],
        **_texts(
            {
                "source_type": found.kind[row],
                "tilt_source": facing.tilt_source[row],
                "warning": facing.warning[row],
            }
        ),
    }


def _texts(columns: dict[str, Any]) -> dict[str, Any]:
    import pandas as pd

    return {name: pd.Series(values, dtype="str") for name, values in columns.items()}


_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def _paths(images: gpd.GeoDataFrame, row: Rows, names: Objects) -> Sequence[str]:
    """Return the files of views: POINT_ID_VIEW.jpg of a selection, else ID_VIEW.jpg; raise where two are the same."""
    ids = images["id"].astype("str").to_numpy(dtype=object, na_value="")
    parts = [[quote(each, safe="") if _UNSAFE.search(each) else each for each in ids.tolist()]]
    if "point_id" in images.columns:
        points = images["point_id"].astype("str").to_numpy(dtype=object, na_value="")
        parts.insert(0, [quote(each, safe="") if _UNSAFE.search(each) else each for each in points.tolist()])
    stems = np.array(["_".join(filter(None, each)) for each in zip(*parts, strict=True)], dtype=object)
    if "provider" in images.columns:
        owner = images["provider"].fillna(DEFAULT_PROVIDER).to_numpy(dtype=object)
        stems = np.array(
            [stem if whose == DEFAULT_PROVIDER else f"{quote(str(whose), safe='').replace('.', '%2E')}/{stem}"
             for stem, whose in zip(stems.tolist(), owner.tolist(), strict=True)],
            dtype=object,
        )  # fmt: skip
    paths = [f"{stem}_{name}.jpg" for stem, name in zip(stems[row].tolist(), names.tolist(), strict=True)]
    if len(set(paths)) < len(paths):
        twice = next(path for path, count in Counter(paths).items() if count > 1)
        raise FrameError(
            f"two rows would have the same view, {twice}", hint="each image may be there once, or once for each point"
        )
    return paths
