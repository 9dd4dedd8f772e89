"""Where images look, from their columns: headings, fields of view, and what is unknown of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.parts import preferred
from mlygeo.parts.matching import ids_of_points
from mlygeo.progress import counted
from mlygeo.spatial import lenses, towards
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

_LENS = ("camera_type", "camera_parameters")


def cameras_of(images: Points, *, usual_angle: float | None) -> tuple[Cameras, dict[str, int]]:
    """
    Return where images look, without scores, and how many look nowhere that is known, by reason.

    The field of view is that of the column `field_of_view`, else that of the lens; see `lenses.fields_of_view`.

    Parameters
    ----------
    images
        The images.
    usual_angle
        Field of view of flat images whose own is unknown, degrees; None leaves it unknown.
    """
    import pandas as pd

    from mlygeo.store.points import floats_of, truths_of

    def numbers(name: str) -> Floats:
        return floats_of(images, name) if name in images.columns else np.full(len(images), np.nan)

    pano, said = np.zeros((2, len(images)), dtype=bool)
    if "is_pano" in images.columns:
        pano, said = truths_of(images, "is_pano")
    heading, angle = numbers("compass_angle"), numbers("field_of_view")
    angle[~(angle > 0)] = np.nan
    if "camera_parameters" in images.columns:
        columns = {name: images.arrow(name).to_pandas() for name in _LENS if name in images.columns}
        columns |= {name: numbers(name) for name in ("width", "height", "exif_orientation")}
        is_pano = pd.Series(pano, dtype="boolean").mask(~said)
        by_camera = lenses.fields_of_view(pd.DataFrame({"is_pano": is_pano, **columns}))
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
