"""A selection of images for points: its frame, its summary, and its files."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import dtypes, frames, keys, store
from mlygeo.arrays import distinct
from mlygeo.errors import FrameError
from mlygeo.progress import counted, working
from mlygeo.spatial.nearest import OWN_COLUMNS

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd
    import pyarrow as pa

    from mlygeo.arrays import Flags, Floats, Whole
    from mlygeo.keys import Key, Keyed
    from mlygeo.pipelines.options import Matching
    from mlygeo.spatial.nearest import Matches
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.zones import Zones
    from mlygeo.store.points import Points

log = logging.getLogger("mlygeo.pipelines")


@dataclass(frozen=True)
class Selection:
    """
    The selected images for points.

    Parameters
    ----------
    points
        The points, street points or others.
    point_ids
        Their ids, int64.
    images
        The images that could be chosen.
    keyed
        Their ids, and the ranks of these, by which ties are settled.
    matches
        Which image for which point, by row number.
    heading_difference
        Angle between camera and street of each match, degrees; NaN when unknown.
    """

    points: Points
    point_ids: Whole
    images: Points
    keyed: Keyed
    matches: Matches
    heading_difference: Floats

    @classmethod
    @working("searching the nearest images")
    def match(
        cls, points: Points, images: Points, *, keyed: Keyed, projection: Projection | Zones, matching: Matching
    ) -> Selection:
        """
        Match images to points.

        Parameters
        ----------
        points
            Points; without a `point_id` they are numbered from 0.
        images
            Images with an `id`.
        keyed
            Their ids, and the ranks of these, by which ties are settled; see `mlygeo.store.points.keyed`.
        projection
            The plane that distances are measured in.
        matching
            Which images are near enough.

        Raises
        ------
        FrameError
            If ids are missing or no numbers, or `point_id` is not unique.
        """
        from mlygeo.spatial import grid, nearest
        from mlygeo.store.points import floats_of, ids_of

        point_ids = ids_of(points, "point_id") if "point_id" in points.columns else np.arange(len(points))
        if distinct(point_ids) < len(point_ids):
            raise FrameError(f"{points.name}: column 'point_id' holds some ids twice")
        bearing = floats_of(points, "bearing") if "bearing" in points.columns else None
        heading = (
            floats_of(images, "compass_angle") if bearing is not None and "compass_angle" in images.columns else None
        )
        pano = None
        if matching.max_heading_difference is not None:
            for known, column in ((points, "bearing"), (images, "compass_angle")):
                if column not in known.columns:
                    raise FrameError(f"{known.name} has no column '{column}', which `max_heading_difference` compares")
            pano = _panoramas(images) if "is_pano" in images.columns else None
        matches = nearest.match(
            *points.lonlat, *images.lonlat, keyed.ranks, projection=projection,
            max_distance=matching.limit,
            k=matching.k, unique=matching.unique, max_heading_difference=matching.max_heading_difference,
            point_id=point_ids, point_bearing=bearing, image_heading=heading, image_is_pano=pano,
            point_xy=_planar(points, projection), image_xy=_planar(images, projection),
        )  # fmt: skip
        unknown = np.full(len(matches.point_row), np.nan)
        difference = unknown
        if bearing is not None and heading is not None:
            difference = grid.heading_difference(heading[matches.image_row], bearing[matches.point_row])
        return cls(points, point_ids, images, keyed, matches, difference)

    @cached_property
    def chosen_ids(self) -> Whole | pa.StringArray | pa.LargeStringArray:
        """The id of the image of each match."""
        return self.keyed.ids(self.matches.image_row)

    @cached_property
    def table(self) -> pa.Table:
        """The selection, sorted by point and rank: the columns of the frame, without geometry."""
        import pyarrow as pa

        leading = {
            "point_id": self.point_ids[self.matches.point_row],
            "id": self.chosen_ids,
            "distance_m": self.matches.distance_m,
            "rank": self.matches.rank,
            "heading_difference": self.heading_difference,
        }
        own = self.images.take(
            self.matches.image_row, [name for name in self.images.columns if name not in OWN_COLUMNS]
        )
        return pa.table({**leading, **{name: own[name] for name in own.column_names}})

    @cached_property
    def lonlat(self) -> tuple[Floats, Floats]:
        """Positions of the selected images, degrees."""
        lon, lat = self.images.lonlat
        return lon[self.matches.image_row], lat[self.matches.image_row]

    def frame(self, run: str) -> gpd.GeoDataFrame:
        """Return the selection frame of a run."""
        selection = frames.placed(self.table, *self.lonlat, frames.SELECTION)
        schema = frames.IMAGES if self.keyed.are_numbers else frames.IMAGES.of_any_provider
        known = {
            name: dtypes.cast(selection[name], dtype)
            for name in selection.columns
            if name not in OWN_COLUMNS and (dtype := schema.dtype(str(name)))
        }
        selection = selection.assign(**known)
        selection.attrs = {**self.images.attrs, "attribution": self.attribution(), "run": run}
        return selection

    def ids(self) -> list[Key]:
        """Return the id of every selected image once, in the order of the points."""
        return list(self.table["id"].unique().to_pylist())

    def words(self) -> list[str]:
        """Return `ids` as words of a list, which tell the provider, or that the rows do not."""
        import pyarrow as pa

        from mlygeo.readers.id_lists import words_of

        if "provider" not in self.table.column_names and self.keyed.are_numbers:
            return list(map(str, self.ids()))
        by = [name for name in ("id", "provider") if name in self._ranked.column_names]
        rows = self._ranked.append_column("row", pa.array(np.arange(len(self.table))))
        once = rows.group_by(by, use_threads=False).aggregate([("row", "min")])["row_min"]
        own = self.table.select(by).take(once)
        return words_of(own["id"], own["provider"] if "provider" in by else pa.nulls(len(own), pa.string()))

    @cached_property
    def _ranked(self) -> pa.Table:
        """The selection with ranks for ids: to compare texts takes ten times as long."""
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
        first = self.matches.rank == 1
        covered = int(first.sum())
        years, (pano_share, unknown) = self._years(), self._panos()
        return {
            "points": len(self.points),
            "points_covered": covered,
            "share_covered": round(covered / len(self.points), 4) if len(self.points) else None,
            "pairs": len(first),
            "images": distinct(self.keyed.ranks[self.matches.image_row]),
            "distance_m": _quartiles(self.matches.distance_m[first]),
            "captured": years,
            "pano_share": pano_share,
            **({"pano_unknown": unknown} if unknown else {}),
            **({"providers": shares(self._ranked)} if "provider" in self.table.column_names else {}),
        }

    def _years(self) -> dict[str, int]:
        if "captured_at" not in self.table.column_names or not len(self.table):
            return {}
        import pyarrow as pa
        import pyarrow.compute as pc

        times = self.table["captured_at"]
        if not pa.types.is_timestamp(times.type):
            return {}
        years = pc.year(times.drop_null()).to_numpy()
        return {str(year): int(count) for year, count in zip(*np.unique(years, return_counts=True), strict=True)}

    def _panos(self) -> tuple[float | None, int]:
        """Return the share of panoramas among the pairs whose image's kind is known, and how many others there are."""
        import pyarrow as pa

        if "is_pano" not in self.table.column_names or not pa.types.is_boolean(self.table["is_pano"].type):
            return None, 0
        share = self.table["is_pano"].drop_null().to_numpy().astype(float)
        return (round(float(share.mean()), 4) if len(share) else None), self.table["is_pano"].null_count

    def headline(self, max_distance: float | None, *, of_streets: bool) -> str:
        """Return the facts in a sentence."""
        facts = self.facts
        noun = "street point" if of_streets else "point"
        reach = "" if max_distance is None else f" within {max_distance:g} m"
        median = "" if facts["distance_m"] is None else f" (median {facts['distance_m']['median']:.1f} m)"
        text = f"{facts['points']:,} {noun}{'' if facts['points'] == 1 else 's'}, "
        text += f"{facts['points_covered']:,} with an image{reach}{median}"
        years = sorted(facts["captured"])
        if years:
            text += f", all from {years[0]}" if len(years) == 1 else f", from {years[0]} to {years[-1]}"
        if facts["pano_share"] is not None:
            text += f", {facts['pano_share']:.0%} panoramas"
        if unknown := facts.get("pano_unknown"):
            text += f" ({unknown:,} of unknown kind)"
        return text

    def _points_table(self) -> pa.Table:
        """Return the points with their ids, without geometry."""
        import pyarrow as pa

        own = self.points.take(np.arange(len(self.points)), [n for n in self.points.columns if n != "point_id"])
        return pa.table({"point_id": self.point_ids, **{name: own[name] for name in own.column_names}})

    def write(self, folder: Path, summary: dict[str, Any]) -> list[Path]:
        """
        Write the files of the selection.

        Parameters
        ----------
        folder
            The folder; it is made if it is missing. Or a file of frames: its layers are the selection and the
            street points; where the format has no layers it is the selection alone.
        summary
            The content of summary.json, which comes last; its `run` is in `attrs` of the frames too.

        Returns
        -------
        files
            selection.parquet, image_ids.txt (one id a line, each once), street_points.parquet
            and summary.json, which replace those of an earlier run together. Or the one file.
        """
        from mlygeo.pipelines.own_files import IMAGE_IDS, SUMMARY
        from mlygeo.store import parquet

        run = {"run": summary["run"]}
        attrs = {**self.images.attrs, "attribution": self.attribution(), **run}
        if store.names_file(folder):
            selected, placed = self.frame(summary["run"]), frames.placed(self._points_table(), *self.points.lonlat)
            placed.attrs = self.points.attrs | run
            return [store.write_layers({"selection": selected, "street_points": placed}, folder)]
        selection, points = folder / "selection.parquet", folder / "street_points.parquet"
        with store.atomic(selection) as temporary:
            parquet.write_points(self.table, *self.lonlat, temporary, attrs=attrs)
        with store.atomic(points) as temporary:
            parquet.write_points(self._points_table(), *self.points.lonlat, temporary, attrs=self.points.attrs | run)
        listed = "\n".join([*self.words(), ""])
        ids = store.write_text(listed, folder / IMAGE_IDS)
        text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
        return [selection, ids, points, store.write_text(text, folder / SUMMARY)]


def shares(images: pa.Table) -> dict[str, dict[str, Any]]:
    """
    Return what each provider has given: its distinct images, and how many of them are under each licence.

    Parameters
    ----------
    images
        Columns `id`, or its rank, and `provider`, and `licence` where there is one; an image may stand in several rows.

    Returns
    -------
    shares
        By the provider's name: "images", and "licences", licence -> images; "unknown" where it is not known.
    """
    import pyarrow as pa

    columns = {name: images[name] for name in ("provider", "id", "licence") if name in images.column_names}
    columns.setdefault("licence", pa.nulls(len(images), pa.string()))
    once = pa.table(columns).group_by(["provider", "id"], use_threads=False).aggregate([("licence", "first")])
    counts = once.group_by(["provider", "licence_first"], use_threads=False).aggregate([([], "count_all")])
    found: dict[str, dict[str, Any]] = {}
    for row in counts.to_pylist():
        part = found.setdefault(row["provider"] or "unknown", {"images": 0, "licences": {}})
        part["images"] += row["count_all"]
        part["licences"][row["licence_first"] or "unknown"] = row["count_all"]
    return found


def _planar(points: Points, projection: Projection | Zones) -> tuple[Floats, Floats] | None:
    """Return the coordinates of points that came in the CRS to measure in; None where they came in another."""
    from mlygeo.store.points import SomeOf

    whole = points
    while isinstance(whole, SomeOf):  # of coordinates in degrees, none needs to be picked
        whole = whole.points
    return points.native[:2] if projection.is_of(whole.native[2]) else None


def _panoramas(images: Points) -> Flags:
    """Return which images are panoramas; of others, and of those of unknown kind, the headings count."""
    from mlygeo.store.points import truths_of

    pano, known = truths_of(images, "is_pano")
    if unknown := int((~known).sum()):
        log.warning("%s: %s, whose headings count", images.name, f"{counted(unknown, 'image')} of unknown kind")
    return pano


def _quartiles(distance_m: Floats) -> dict[str, float] | None:
    if not len(distance_m):
        return None
    names = ("min", "q1", "median", "q3", "max")
    return {
        name: round(float(value), 4)
        for name, value in zip(names, np.quantile(distance_m, [0, 0.25, 0.5, 0.75, 1]), strict=True)
    }
