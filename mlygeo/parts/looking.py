"""Where images look, from their columns: headings, fields of view, and what is unknown of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.parts import preferred
from mlygeo.parts.matching import ids_of_points
from mlygeo.progress import counted
from mlygeo.spatial import towards
from mlygeo.spatial.towards import Cameras

if TYPE_CHECKING:
    from mlygeo.arrays import Floats, Objects, Whole
    from mlygeo.keys import Keyed
    from mlygeo.spatial.best import Best, Preference
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.towards import Looking
    from mlygeo.spatial.zones import Zones
    from mlygeo.store.point_sources import Points

PANORAMA = 360.0


def cameras_of(images: Points, *, usual_angle: float | None) -> tuple[Cameras, dict[str, int]]:
    """
    Return where images look, without scores, and how many look nowhere that is known, by reason.

    The field of view is that of the column `field_of_view`, else that of `camera_type` and `camera_parameters`.

    Parameters
    ----------
    images
        The images.
    usual_angle
        Field of view of flat images whose own is unknown, degrees; None leaves it unknown.
    """
    from mlygeo.store.points import floats_of, truths_of

    def numbers(name: str) -> Floats:
        return floats_of(images, name) if name in images.columns else np.full(len(images), np.nan)

    pano = truths_of(images, "is_pano")[0] if "is_pano" in images.columns else np.zeros(len(images), dtype=bool)
    heading, angle = numbers("compass_angle"), numbers("field_of_view")
    angle[~(angle > 0)] = np.nan
    if {"camera_type", "camera_parameters"} <= {*images.columns}:
        by_camera = towards.fields_of_view(
            images.arrow("camera_type").to_pandas().to_numpy(dtype=object), _parameters(images), numbers("width"),
            numbers("height"), turned=numbers("exif_orientation") >= 5,
        )  # fmt: skip
        angle = np.where(np.isnan(angle), by_camera, angle)
    unknown = np.isnan(angle) & ~pano
    if usual_angle is not None:
        angle[unknown] = usual_angle
        unknown[:] = False
    angle[pano] = PANORAMA
    blind = np.isnan(heading) & ~(angle >= PANORAMA) & ~unknown
    gone = {
        "flat images whose field of view is unknown": int(np.count_nonzero(unknown)),
        "flat images without a heading": int(np.count_nonzero(blind)),
    }
    left_out = {reason: count for reason, count in gone.items() if count}
    return Cameras(heading, angle, np.zeros(len(images))), left_out


def match(
    things: Objects,
    points: Points,
    images: Points,
    *,
    keyed: Keyed,
    projection: Projection | Zones,
    looking: Looking,
    cameras: Cameras,
    k: int,
    preference: Preference | None,
) -> tuple[Whole, Best]:
    """
    Match things with the images that look at them; see `mlygeo.spatial.towards.match`.

    Parameters
    ----------
    things
        Their geometries, degrees.
    points
        Their middles, and their columns.
    images, keyed, projection, looking, cameras, k
        As there.
    preference
        What is preferred to the nearest image; its rule counts.

    Returns
    -------
    point_ids
        The ids of things.
    best
        The pairs.
    """
    rule = None
    if preference is not None:
        rule = preference.rule
        cameras = Cameras(cameras.heading, cameras.angle, preferred.own_scores(images, preference))
    best = towards.match(
        things, *images.lonlat, keyed.ranks, projection=projection, looking=looking, cameras=cameras, rule=rule, k=k
    )
    return ids_of_points(points), best


def headline(facts: dict[str, Any], max_distance: float, preference: Preference | None = None) -> str:
    """Return the facts of a selection of images that look at things, in a sentence; of what is preferred the rule."""
    text = f"{counted(facts['points'], 'thing')}, {facts['points_covered']:,} with an image within {max_distance:g} m"
    text += f" that looks at {'it' if facts['points_covered'] == 1 else 'them'}"
    if facts["distance_m"] is not None:
        text += f" (median {facts['distance_m']['median']:.1f} m)"
    if preference is not None and preference.rule is not None:
        text += f", the best by {', '.join(preference.rule.weights)}"
    return text + f", {counted(facts['pairs'], 'view')} in all"


def _parameters(images: Points) -> Floats:
    """Return focal length and distortions, shape (n, 3), of lists of numbers or their JSON; NaN where unknown."""
    found = np.full((len(images), 3), np.nan)
    for row, value in enumerate(images.arrow("camera_parameters").to_pylist()):
        numbers: Any = value
        if isinstance(value, str):
            try:
                numbers = json.loads(value)
            except ValueError:
                numbers = None
        if isinstance(numbers, list) and all(isinstance(each, int | float) for each in numbers):
            found[row, : min(len(numbers), 3)] = numbers[:3]
    return found
