"""A selection of images for points: its frame, its summary, and its files."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import arrays, frames, keys, store
from mlygeo.arrays import distinct
from mlygeo.parts import facts
from mlygeo.parts.matching import Matched, frame_of, ids_of_points

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd
    import pyarrow as pa

    from mlygeo.keys import Key, Keyed
    from mlygeo.pipelines.options import Matching
    from mlygeo.pipelines.selection_lock import Lock
    from mlygeo.spatial.best import Preference
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.towards import Looking
    from mlygeo.spatial.zones import Zones
    from mlygeo.store.point_sources import Points


class Selection(Matched):
    """The selected images for points, with what is said and written of them."""

    @classmethod
    def match(
        cls,
        points: Points,
        images: Points,
        *,
        keyed: Keyed,
        projection: Projection | Zones,
        matching: Matching,
        preference: Preference | None,
    ) -> Selection:
        """
        Match images to points; see `mlygeo.parts.matching.Matched.of`.

        Parameters
        ----------
        points, images, keyed, projection
            As there.
        matching
            Which images are near enough.
        preference
            What is preferred to the nearest image; None for nothing.

        Raises
        ------
        FrameError
            As there.
        """
        return cls.of(
            points, images, keyed=keyed, projection=projection, max_distance=matching.limit, k=matching.k,
            unique=matching.unique, max_heading_difference=matching.max_heading_difference, preference=preference,
        )  # fmt: skip

    def frame(self, run: str) -> gpd.GeoDataFrame:
        """Return the selection frame of a run."""
        attrs = {**self.images.attrs, "attribution": self.attribution(), "run": run}
        return frame_of(self.table, self.lonlat, attrs=attrs)

    def ids(self) -> list[Key]:
        """Return the id of every selected image once, in the order of the points."""
        return list(self.table["id"].unique().to_pylist())

    def words(self) -> list[str]:
        """Return `ids` as words of a list, which tell the provider, or that the rows do not."""
        names = [name for name in ("id", "provider") if name in self.table.column_names]
        return words_of(self.table.select(names), self._ranked)

    @cached_property
    def _ranked(self) -> pa.Table:
        """The selection with ranks for ids."""
        import pyarrow as pa

        names = [name for name in self.table.column_names if name != "id"]
        return pa.table({"id": self.keyed.ranks[self.matches.image_row], **{name: self.table[name] for name in names}})

    def attribution(self) -> list[str]:
        """Return the attribution of the data."""
        from mlygeo.attribution import sources
        from mlygeo.providers import attribution_of

        chosen = sources(self.table.column_names, self.table.column, self.images.attrs, attribution_of)
        return list(dict.fromkeys([*chosen, *frames.credited(self.points.attrs)]))

    @property
    def results(self) -> tuple[Any, ...]:
        """What the selection has found out, as arrays."""
        matches = self.matches
        ids = keys.as_bytes(self.chosen_ids)
        return self.point_ids, *ids, matches.point_row, matches.distance_m, *self.lonlat

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The facts of the selection: counts, distances, years, panoramas."""
        nearest = self.matches.distance_m[self.matches.rank == 1]
        return facts.facts_of(
            facts.sums_of(self.table, len(self.points)),
            images=distinct(self.keyed.ranks[self.matches.image_row]),
            distance_m=facts.quartiles(len(nearest), lambda places: np.partition(nearest, places)[places]),
            providers=facts.shares(self._ranked) if "provider" in self.table.column_names else None,
        )

    def told(self) -> dict[str, Any]:
        """Return what was selected, for its lock."""
        from mlygeo.pipelines import selection_lock

        placed = points_table(self.points), *self.points.lonlat
        return selection_lock.result_of([(self.table, *self.lonlat)], [placed])

    def write(self, folder: Path, summary: dict[str, Any], lock: Lock) -> list[Path]:
        """
        Write the files of the selection.

        Parameters
        ----------
        folder
            The folder; it is made if it is missing. Or a file of frames: its layers are the selection and the
            street points; where the format has no layers it is the selection alone.
        summary
            The content of summary.json, which comes last; its `run` is in `attrs` of the frames too.
        lock
            What the selection is made of.

        Returns
        -------
        files
            selection.parquet, image_ids.txt (one id a line, each once), street_points.parquet, selection.lock.json
            and summary.json, which replace those of an earlier run together. Or the one file.
        """
        from mlygeo.pipelines import provenance, selection_lock
        from mlygeo.pipelines.own_files import IMAGE_IDS, SUMMARY
        from mlygeo.store import parquet

        run = {"run": summary["run"]}
        attrs = {**self.images.attrs, "attribution": self.attribution(), **run}
        if store.names_file(folder):
            selected, placed = self.frame(summary["run"]), frames.placed(points_table(self.points), *self.points.lonlat)
            placed.attrs = self.points.attrs | run
            layers = {"selection": selected, "street_points": placed}
            noted = {name: provenance.noted(each, lock.call, summary) for name, each in layers.items()}
            return [store.write_layers(noted, folder), *store.files_beside(folder)]
        arrays.give_back()
        selection, points = folder / "selection.parquet", folder / "street_points.parquet"
        # Both are begun here: what is written together is of one thread.
        with (
            store.atomic(selection) as first,
            store.atomic(points) as second,
            ThreadPoolExecutor(1) as pool,
        ):
            placed = points_table(self.points), *self.points.lonlat
            written = pool.submit(parquet.write_points, *placed, second, attrs=self.points.attrs | run)
            parquet.write_points(self.table, *self.lonlat, first, attrs=attrs)
            written.result()
            files = {
                path.name: selection_lock.file_facts(made) for path, made in ((selection, first), (points, second))
            }
        listed = "\n".join([*self.words(), ""])
        ids = store.write_text(listed, folder / IMAGE_IDS)
        files[IMAGE_IDS] = selection_lock.text_facts(listed)
        locked = lock.write(folder, summary, self.told(), files)
        text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
        return [selection, ids, points, locked, store.write_text(text, folder / SUMMARY)]


def preference_facts(preference: Preference | None) -> dict[str, Any]:
    """Return what is preferred to the nearest image, for summaries; a date as text in ISO 8601."""
    if preference is None:
        return {"prefer": None, "as_of": None, "max_along_m": None, "max_across_m": None, "per": None}
    as_of = None
    if preference.as_of_us is not None:
        as_of = str(np.datetime64(preference.as_of_us, "us")) + "Z"
    return {
        "prefer": None if preference.rule is None else preference.rule.as_json(),
        "as_of": as_of,
        "max_along_m": preference.max_along,
        "max_across_m": preference.max_across,
        "per": preference.per,
    }


def looking_facts(looking: Looking | None, field_of_view: float | None) -> dict[str, Any]:
    """Return which images look at things, for summaries; nothing where there are none."""
    if looking is None:
        return {}
    return {
        "towards": {
            "min_distance_m": looking.min_distance,
            "apart": looking.apart,
            "field_of_view": field_of_view,
        }
    }


def points_table(points: Points) -> pa.Table:
    """Return points with their ids, without geometry."""
    import pyarrow as pa

    own = points.take(np.arange(len(points)), [name for name in points.columns if name != "point_id"])
    return pa.table({"point_id": ids_of_points(points), **{name: own[name] for name in own.column_names}})


def words_of(table: pa.Table, ranked: pa.Table | None = None) -> list[str]:
    """
    Return the images of a selection, each once, as words of a list, which tell the provider, or that none is named.

    Parameters
    ----------
    table
        Columns `id` and, where there is one, `provider`.
    ranked
        The same with numbers for ids: to compare texts takes ten times as long.
    """
    import pyarrow as pa

    from mlygeo.readers import id_lists

    if "provider" not in table.column_names and pa.types.is_integer(table["id"].type):
        return list(table["id"].unique().cast(pa.string()).to_pylist())
    by = [name for name in ("id", "provider") if name in table.column_names]
    rows = (table if ranked is None else ranked).select(by).append_column("row", pa.array(np.arange(len(table))))
    own = table.take(rows.group_by(by, use_threads=False).aggregate([("row", "min")])["row_min"])
    return id_lists.words_of(own["id"], own["provider"] if "provider" in by else pa.nulls(len(own), pa.string()))


def headline(
    facts: dict[str, Any], max_distance: float | None, *, of_streets: bool, preference: Preference | None = None
) -> str:
    """
    Return the facts of a selection in a sentence.

    Parameters
    ----------
    facts
        See `mlygeo.parts.facts.facts_of`.
    max_distance
        The largest distance, metres.
    of_streets
        Whether points are those of streets.
    preference
        What is preferred to the nearest image.
    """
    noun = "street point" if of_streets else "point"
    reach = "" if max_distance is None else f" within {max_distance:g} m"
    median = "" if facts["distance_m"] is None else f" (median {facts['distance_m']['median']:.1f} m)"
    text = f"{facts['points']:,} {noun}{'' if facts['points'] == 1 else 's'}, "
    text += f"{facts['points_covered']:,} with an image{reach}{median}"
    if preference is not None:
        if preference.rule is not None:
            text += f", the best by {', '.join(preference.rule.weights)}"
        if preference.per is not None:
            text += f", {facts['pairs']:,} images in all, counted per {preference.per}"
    years = sorted(facts["captured"])
    if years:
        text += f", all from {years[0]}" if len(years) == 1 else f", from {years[0]} to {years[-1]}"
    if facts["pano_share"] is not None:
        text += f", {facts['pano_share']:.0%} panoramas"
    if unknown := facts.get("pano_unknown"):
        text += f" ({unknown:,} of unknown kind)"
    return text
