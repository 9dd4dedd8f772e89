"""The jobs of single steps on frames of photos, where nothing is kept and no photo is written into."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import InputError
from mlygeo.jobs import _geotag_source
from mlygeo.pipelines import steps
from mlygeo.pipelines.job import Job, counted, version
from mlygeo.pipelines.options import Cutting, Geotagging, taken

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.progress import Progress


def geotag_photos(images: Any, **options: Any) -> Job[Any]:
    """Do what `mlygeo.geotag_photos` says."""
    from mlygeo import store

    how, progress = taken(Geotagging, options), options.get("progress")
    found, base = _images(images, skip_subfolders=bool(options.get("skip_subfolders")), progress=progress)
    track = _geotag_source.track_of(how, base, progress=progress)
    found = found.assign(failed_in=_nothing(found))
    tagged = steps.with_places(found, how, track, by_folder=_geotag_source.is_video(how))
    tagged = tagged.drop(columns=["geotag_angle", "failed_in"])
    failed = steps.failures(tagged)
    kinds = tagged["error"].dropna().map(steps.kind_of).value_counts()
    summary: dict[str, Any] = {
        "photos": len(tagged),
        "placed": len(tagged) - len(failed),
        "failed": len(failed),
        "reasons": {str(kind): int(count) for kind, count in kinds.items()},
        "failed_files": failed,
        "version": version(),
    }
    headline = f"{summary['placed']:,} of {counted(len(tagged), 'photo')} have a time and a position"
    if failed:
        headline += "; " + ", ".join(f"{count:,} {kind}" for kind, count in summary["reasons"].items())
    return Job(lambda: tagged, summary, headline, lambda path: [store.write_frame(tagged, path)], list(failed))


def cut(images: Any, **options: Any) -> Job[Any]:
    """Do what `mlygeo.cut` says."""
    from mlygeo import store
    from mlygeo.spatial.sequences import summarise

    cutting = taken(Cutting, options)
    found, _ = _images(
        images, skip_subfolders=bool(options.get("skip_subfolders")), progress=options.get("progress"), local=False
    )
    made = steps.cut_and_flagged(found, cutting)
    sequences = summarise(made)
    summary: dict[str, Any] = {
        "images": len(made),
        "sequences": len(sequences),
        "length_m": round(float(sequences["length_m"].fillna(0).sum()), 1),
        "duplicates": int(made["is_duplicate"].sum()),
        "without_sequence": int(made["sequence_id"].isna().sum()),
        "problems": int(made["problem"].notna().sum()),
        "version": version(),
    }
    headline = (
        f"{counted(len(made), 'image')} in {counted(len(sequences), 'sequence')}"
        f" ({summary['length_m'] / 1000:,.1f} km), {counted(summary['duplicates'], 'duplicate')}"
    )
    if summary["without_sequence"]:
        headline += f"; {counted(summary['without_sequence'], 'image')} without time or position in none"
    return Job(lambda: made, summary, headline, lambda path: [store.write_frame(made, path)])


def _images(
    images: Any, *, skip_subfolders: bool, progress: Progress | None, local: bool = True
) -> tuple[gpd.GeoDataFrame, Path]:
    """Return what a call names as an images frame, and the folder that tracks are looked for in."""
    import geopandas as gpd

    from mlygeo import frames, store
    from mlygeo.readers import photos

    words = images if isinstance(images, list | tuple) else [images]
    one = words[0] if len(words) == 1 else None
    if isinstance(one, gpd.GeoDataFrame):
        found = one
    elif isinstance(one, str | os.PathLike) and Path(one).suffix.lower() in store.FORMATS:
        found = store.read_frame(one)
    else:
        if not words or not all(isinstance(word, str | os.PathLike) for word in words):
            raise InputError("no photos", hint="name a folder of photos, photos, or an images frame")
        found = photos.read_photos(words, skip_subfolders=skip_subfolders, progress=progress)
        first = Path(words[0]).expanduser()
        return found, first if first.is_dir() else first.parent
    if local or "path" in found.columns:
        return frames.conform(found, frames.LOCAL_IMAGES), Path.cwd()
    return frames.conform(found, frames.IMAGES), Path.cwd()


def _nothing(images: gpd.GeoDataFrame) -> Any:
    from mlygeo import dtypes

    return dtypes.nulls("str", len(images), images.index)
