"""Where images look, from their columns: headings, fields of view, and what is unknown of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.parts import preferred
from mlygeo.parts.matching import ids_of_points
from mlygeo.progress import counted
from mlygeo.spatial import lenses, towards
from mlygeo.spatial.towards import Cameras, Looking
from mlygeo.store.points import keep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlygeo.arrays import Floats, Objects, Whole
    from mlygeo.keys import Keyed
    from mlygeo.parts.images import Images
    from mlygeo.regions import Region
    from mlygeo.spatial.best import Best, Preference
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.zones import Zones
    from mlygeo.store.point_sources import Points

PANORAMA = 360.0

UNSEEING = "unseeing"
"""Where a task counts the images that look nowhere that is known, by reason."""

_LENS = ("camera_type", "camera_parameters")


@dataclass(frozen=True)
class Looks:
    """
    Which images look at the things of a selection over parts, JSON.

    Parameters
    ----------
    min_distance, apart
        As of `mlygeo.spatial.towards.Looking`.
    field_of_view
        Field of view of flat images whose own is unknown, degrees; None leaves it unknown.
    """

    min_distance: float | None
    apart: float | None
    field_of_view: float | None


def counted_in(
    dataset: Images, numbers: Iterable[int], region: Region | None, conditions: dict[str, Any], looks: Looks
) -> dict[str, Any]:
    """
    Return what `mlygeo.parts.images.counted` does, and which of the images look nowhere that is known, by reason.

    Parameters
    ----------
    dataset, numbers, region, conditions
        As there.
    looks
        Which images look at things.
    """
    total: dict[str, Any] = {"kept": 0, "unplaced": 0, UNSEEING: {}}
    for number in numbers:
        kept = keep(dataset.part(number), region=region, conditions=conditions)
        lon, lat = kept.lonlat
        total["kept"] += len(kept)
        total["unplaced"] += int(np.count_nonzero(~(np.isfinite(lon) & np.isfinite(lat))))
        _, unseeing = cameras_of(kept, usual_angle=looks.field_of_view)
        total[UNSEEING] = preferred.found_by(iter([total[UNSEEING], unseeing]))
    return total


def unseeing_of(counts: Iterable[dict[str, Any]], again: Points, looks: Looks) -> dict[str, int]:
    """
    Return how many images look nowhere that is known, by reason.

    Parameters
    ----------
    counts
        What `counted_in` returned of all images.
    again
        Those of them that say the same as another one, which do not count.
    looks
        Which images look at things.
    """
    found = preferred.found_by(each[UNSEEING] for each in counts)
    _, twice = cameras_of(again, usual_angle=looks.field_of_view)
    return {reason: left for reason, count in found.items() if (left := count - twice.get(reason, 0))}


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
    angle = np.where(angle > 0, angle, np.nan)
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
