"""Which steps have a lazy twin, for frames of Dask, and the answer of each; see `mlygeo.parts.lazy`."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from mlygeo.errors import InputError
from mlygeo.parts import lazy, lazy_streets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlygeo.schemas import Schema

GROUPS = {
    "check_images": "folder",
    "cut_sequences": "folder",
    "estimate_subseconds": "folder",
    "flag_duplicates": "sequence_id",
    "interpolate_directions": "sequence_id",
    "interpolate_positions": "folder",
    "interpolate_times": "folder",
    "split_sequences": "sequence_id",
    "spread_subseconds": "folder",
    "summarise": "sequence_id",
}
"""The steps on images in time order, and the column whose values they treat each for itself."""

EACH = {"filter_images", "sun_position"}
"""The steps that look at one row after another."""


def has_twin(name: str, given: Mapping[str, Any]) -> bool:
    """
    Return whether a step has a lazy twin; another computes frames of Dask.

    Parameters
    ----------
    name
        The step.
    given
        Its arguments.

    Raises
    ------
    InputError
        If the step needs all rows at once.
    """
    if name == "street_points" and given.get("method") == "percept":
        raise InputError(
            "`method=percept` is not possible with a frame of Dask: its squares begin at the corner of all points",
            hint="take `method=even`, or give the streets as a frame: .compute()",
        )
    return name in {"select_nearest", "street_coverage", "street_points", *EACH, *GROUPS}


def called(
    step: Callable[..., Any],
    held: Mapping[str, Any],
    options: dict[str, Any],
    kinds: Mapping[str, tuple[Schema, ...]],
) -> Any:
    """
    Return the answer of a step to frames of Dask, as one.

    Parameters
    ----------
    step
        The step; see `has_twin`.
    held
        The frames, by their parameters, such as `images` and `points`.
    options
        The other arguments, checked.
    kinds
        The schemas that name the columns of each frame.

    Raises
    ------
    InputError
        If the step needs all rows at once.
    FrameError
        If a frame lacks a column.
    """
    name, own = step.__name__, partial(step, **options)
    if name == "street_points":
        return lazy_streets.street_points(step, held["streets"], options, kinds["streets"])
    if name == "street_coverage":
        return lazy_streets.street_coverage(step, held["streets"], held["images"], options, kinds)
    if name == "select_nearest":
        return lazy.nearest_images(own, held["points"], held["images"], options, kinds)
    images = lazy.as_lazy(held["images"], "images")
    form = lazy.Form.of(images, "images", kinds["images"])
    if name == "check_images":
        own = partial(own, **_settled_track(held), now=options.get("now") or datetime.now(UTC))
    if name in EACH:
        return lazy.partition_by_partition(own, form, images)
    return lazy.by_group(own, form, GROUPS[name], images)


def _settled_track(held: Mapping[str, Any]) -> dict[str, Any]:
    """Return the track that images are compared with, as a frame in memory; nothing without one."""
    from mlygeo import store

    return {name: store.as_frame(value, name=f"`{name}`") for name, value in held.items() if name != "images"}
