"""A selection compared with its lock: what vanished, moved or changed since it was made."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlygeo.errors import CredentialsError, InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.graph import metadata
from mlygeo.pipelines.job import Job, public_with
from mlygeo.pipelines.options import Asking
from mlygeo.pipelines.selecting import select
from mlygeo.schemas import DEFAULT_PROVIDER

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import geopandas as gpd
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from mlygeo.net.http import Service
    from mlygeo.pipelines.lock_checks import Difference
    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]

FACTS = ("sequence_id", "captured_at", "is_pano", "compass_angle", "creator_id")
"""Columns of images that are compared with what the service says."""

TURNED, LATER_S = 1.0, 1.0
"""Degrees and seconds by which tiles and records may differ of the same image."""

ASKING = ("max_move", "workers", "token", "token_file", "service", "endpoint")
"""Options on asking the service."""


@public_with(Asking)
def verify(
    lock: PathLike,
    *,
    offline: bool = False,
    max_move: float = 1.0,
    workers: int = 16,
    token: str | None = None,
    token_file: PathLike | None = None,
    service: Service | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Job[pd.DataFrame]:
    """
    Report what disappeared, moved or changed since a selection was made.

    `select` writes selection.lock.json beside its results. `verify` compares this lock with the input files, tiles
    and results (every byte), the options of this version of mlygeo, the versions of libraries, and the images at the
    service, which may be gone, moved, or have another capture time, heading, sequence, type or creator. Things that
    cannot be compared, such as streets from OpenStreetMap, are listed. Nothing is written.

    Parameters
    ----------
    lock
        The lock, or its folder.
    offline
        Compare only what is on this computer, without asking the service. No token is needed.
    max_move
        Largest distance between the position in the selection and the present position at the service, metres;
        beyond it, an image counts as moved. Positions in tiles are rounded to some decimetres.
    endpoint
        Address of the server. Default: the server of the selection.

    Returns
    -------
    differences
        A row for each difference: kind (lock, option, software, input, tile, output, image), name, change (gone,
        moved, changed, new) and detail; no row where nothing differs.

    Raises
    ------
    FileError
        If the lock cannot be read, or there is no selection to ask the service for.
    FormatError
        If it is not a lock.
    CredentialsError
        If the service is to be asked, and there is no token.
    ServiceError
        If the service refuses the token, or is down.

    Examples
    --------
    >>> verify("out/selection.lock.json", offline=True)
    """
    import pandas as pd

    from mlygeo.pipelines import lock_checks, selection_lock
    from mlygeo.progress import running

    if offline:
        of_no_use(ASKING, "with `offline`")
    if not 0 <= max_move < float("inf"):
        raise InputError(f"`max_move` is a number of metres, 0 or more, not {max_move}")
    file, content = selection_lock.read(lock)
    with running(progress):
        found = lock_checks.compared(file, content)
    found = replace(found, differences=[*_options(content), *found.differences])
    chosen = None if offline else _chosen(file.parent)
    if chosen is not None and len(chosen):
        try:
            now = metadata(
                _keys(chosen), fields=_fields(content), workers=workers, token=token, token_file=token_file,
                service=service, endpoint=endpoint or content["options"].get("endpoint"), progress=progress,
            )  # fmt: skip
        except CredentialsError as error:
            error.hint = f"{error.hint}; or compare only what is on this machine with `offline=True`"
            raise
        images = [*_images(chosen, now, max_move, computed=bool(content["options"].get("computed")))]
        counts = {**found.counts, "images": len(chosen)}
        found = replace(found, differences=[*found.differences, *images], counts=counts)
    rows = [vars(each) for each in found.differences]
    columns = ["kind", "name", "change", "detail"]

    def frame() -> pd.DataFrame:
        return pd.DataFrame(rows, columns=columns).astype("str")

    return Job(
        frame,
        {"lock": file.name, "offline": offline, **lock_checks.summed(found), "tiles": _ages(content)},
        lock_checks.headline(found),
        failed=[each.name for each in found.differences],
        text=(lambda: "\n".join(map(str, found.differences))) if rows else None,
    )


def _ages(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return when the oldest and the newest tile of each provider were written; nothing in locks that do not say it."""
    return {who: facts["written"] for who, facts in content["tiles"].items() if "written" in facts}


def _options(content: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield the options that `select` has no more, or new."""
    from mlygeo.pipelines.lock_checks import Difference
    from mlygeo.pipelines.selection_lock import BESIDE

    parameters = inspect.signature(select).parameters
    then = {*content["options"], *content["inputs"]}
    for name in sorted(then - parameters.keys()):
        yield Difference("option", name, "gone", "this version of mlygeo has no such option")
    for name in sorted(parameters.keys() - then - BESIDE - {"streets", "points", "images"}):
        yield Difference("option", name, "new", f"its default is {parameters[name].default}")


def _chosen(folder: Path) -> gpd.GeoDataFrame:
    """Return the images of a selection, each once."""
    from mlygeo import store
    from mlygeo.errors import FileError
    from mlygeo.pipelines.own_files import SELECTION

    parts, whole = folder / SELECTION, folder / "selection.parquet"
    if not whole.is_file() and not parts.is_dir():
        raise FileError(
            f"{folder} has no selection, of whose images the service could be asked",
            hint="restore it, or compare the rest with `offline=True`",
        )
    frame = store.read_frame(whole if whole.is_file() else parts)
    by = [name for name in ("id", "provider") if name in frame.columns]
    return frame.drop_duplicates(by, ignore_index=True)


def _keys(chosen: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    kept = [name for name in ("id", "provider") if name in chosen.columns]
    return chosen[[*kept, chosen.active_geometry_name]].assign(**{chosen.active_geometry_name: None})


def _fields(content: Mapping[str, Any]) -> list[str]:
    return ["captured_at", *["computed_geometry"] * bool(content["options"].get("computed"))]


def _images(then: gpd.GeoDataFrame, now: gpd.GeoDataFrame, max_move: float, *, computed: bool) -> Iterator[Difference]:
    """Yield what differs of images at the service; the same rows in both frames."""
    import numpy as np
    import shapely

    from mlygeo.pipelines.lock_checks import Difference
    from mlygeo.readers.id_lists import word_of
    from mlygeo.spatial import geodesy

    whose = then["provider"] if "provider" in then else [DEFAULT_PROVIDER] * len(then)
    is_one = len(set(whose)) == 1
    words = [str(key) if is_one else word_of(key, who) for key, who in zip(then["id"], whose, strict=True)]
    missing: dict[str, str] = now.attrs["summary"]["missing"]
    gone = np.array([word in missing for word in words], dtype=bool)
    place = np.asarray(now["computed_geometry"] if computed else now.geometry)
    known = ~(shapely.is_missing(place) | shapely.is_empty(place)) & ~gone
    moved_m = np.zeros(len(then))
    before, after = (shapely.get_coordinates(each[known]).T for each in (np.asarray(then.geometry), place))
    moved_m[known] = geodesy.distance(*before, *after)
    changes = {name: _differs(then, now, name) & ~gone for name in FACTS if name in then and name in now}
    some = np.any([gone, moved_m > max_move, *changes.values()], axis=0)
    for row in np.flatnonzero(some).tolist():
        word = words[row]
        if gone[row]:
            yield Difference("image", word, "gone", missing[word])
        if moved_m[row] > max_move:
            yield Difference("image", word, "moved", f"by {moved_m[row]:,.1f} m")
        said = [
            f"{name} {then[name].iloc[row]} then, {now[name].iloc[row]} now" for name in changes if changes[name][row]
        ]
        if said:
            yield Difference("image", word, "changed", "; ".join(said))


def _differs(then: gpd.GeoDataFrame, now: gpd.GeoDataFrame, name: str) -> npt.NDArray[np.bool_]:
    """Return which rows have another value than then, where one was known."""
    import numpy as np

    from mlygeo.degrees import turn

    before, after = then[name], now[name]
    known = before.notna().to_numpy()
    if name == "captured_at":
        unlike = ((before - after).abs().dt.total_seconds() > LATER_S).to_numpy() | after.isna().to_numpy()
    elif name == "compass_angle":
        turned = turn(before, after).to_numpy(dtype=np.float64, na_value=np.nan)
        unlike = ~(turned <= TURNED)
    else:
        unlike = (before.astype("str") != after.astype("str")).fillna(value=True).to_numpy(dtype=bool)
    found: npt.NDArray[np.bool_] = known & unlike
    return found
