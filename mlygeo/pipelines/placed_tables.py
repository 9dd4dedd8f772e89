"""What a coverage tells by place: street classes with the images that were expected, districts, cells, and two
sides street by street.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Whole
    from mlygeo.pipelines.coverage_asked import Asked
    from mlygeo.spatial.cell_areas import Hexagons, Quadkeys
    from mlygeo.spatial.comparison import Side
    from mlygeo.spatial.coverage import Coverage
    from mlygeo.spatial.expected import Observed, Places

log = logging.getLogger("mlygeo.pipelines")


COMPARED = ("first_m", "second_m", "both_m", "gained_m", "lost_m")

CELL_COLUMNS = ("streets", "length_m", "covered_m", "share_covered", "images")


class Placed:
    """
    Tables of a coverage by place.

    Parameters
    ----------
    coverage
        The coverage.
    asked
        What it is to tell.
    """

    def __init__(self, coverage: Coverage, asked: Asked) -> None:
        from mlygeo.spatial import cell_areas, coverage_tables

        self._coverage, self._asked = coverage, asked
        self.tables: dict[str, pd.DataFrame] = {}
        self.frames: dict[str, gpd.GeoDataFrame] = {}
        self.facts: dict[str, Any] = {}
        self.compared: pd.DataFrame | None = None
        of: dict[str, Callable[[Places], Whole]] = {}
        by_class = asked.expected and "highway" in asked.names
        classes, key_of = coverage_tables.classes(coverage) if by_class else (None, None)
        if key_of is not None:
            of["highway"] = lambda places: key_of[places.street]
        if asked.districts is not None:
            districts = asked.districts.districts
            of["district"] = lambda places: districts.of(places.lon, places.lat)[0]
        cells = None if asked.cells is None else cell_areas.of(asked.cells)
        if cells is not None:
            of["cell"] = lambda places: cells.of(places.lon, places.lat)[0]
        found = coverage_tables.observed(coverage, of) if of else {}
        if classes is not None:
            table = self._with_images(classes, found["highway"], against=True)
            self.tables["highway"] = _by_length(table.drop(columns="key"))
        if asked.districts is not None:
            self._add_districts(found["district"])
        if cells is not None:
            self._add_cells(cells, found["cell"])
        if asked.sides is not None:
            self._compare(asked.sides)
        if asked.expected:
            sequences = next(iter(found.values())).all_sequences if asked.in_sequences else None
            self.facts["expected"] = {"confidence": 0.95, "unit": "sequence", "sequences": sequences}
            if not asked.in_sequences:
                log.warning("the images have no column 'sequence_id', without which ratios have no interval")

    def _with_images(self, table: pd.DataFrame, found: Observed, *, against: bool) -> pd.DataFrame:
        from mlygeo.spatial import coverage_tables

        told = coverage_tables.in_metres(coverage_tables.with_images(table, found, against=against))
        return told.drop(columns=[] if self._asked.in_sequences else ["sequences"], errors="ignore")

    def _add_districts(self, found: Observed) -> None:
        from mlygeo.spatial import coverage_tables

        read = self._asked.districts
        assert read is not None  # noqa: S101 - asked before
        names = read.districts.names
        lengths, several_m = coverage_tables.areas(self._coverage, read.districts)
        told = self._with_images(lengths, found, against=self._asked.expected)
        told.insert(0, "value", [None if key < 0 else names[key] for key in told["key"]])
        self.tables["district"] = _by_length(told.drop(columns="key"))
        of_all = told[told["key"] >= 0].set_index("key").reindex(range(len(names)))[self.tables["district"].columns]
        whole = [name for name in ("streets", "images", "sequences") if name in of_all]
        of_all = of_all.fillna(dict.fromkeys([*whole, "length_m", "covered_m"], 0)).astype(
            dict.fromkeys(whole, "int64")
        )
        columns = {name: of_all[name].to_numpy() for name in of_all.columns if name != "value"}
        self.frames["districts"] = read.frame({"name": list(names), **columns})
        self.facts["districts"] = {"districts": len(names), "in_several_m": several_m}
        if several_m:
            log.warning("%.1f m of streets lie in several districts, and count in the first of them", several_m)

    def _add_cells(self, cells: Quadkeys | Hexagons, found: Observed) -> None:
        import geopandas as gpd

        from mlygeo import frames
        from mlygeo.spatial import coverage_tables

        told = self._with_images(coverage_tables.areas(self._coverage, cells)[0], found, against=False)
        key = told["key"].to_numpy()
        columns = {"cell": cells.labels(key), **{name: told[name].to_numpy() for name in CELL_COLUMNS}}
        self.frames["cells"] = gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(cells.shapes(key), crs=frames.CRS))
        covered = int((told["covered_m"] > 0).sum())
        self.facts["cells"] = {"of": self._asked.cells, "cells": len(told), "cells_with_coverage": covered}

    def _compare(self, sides: tuple[Side, Side]) -> None:
        from mlygeo.spatial.pieces import MICROMETRES, micrometres

        self.frames["compared"] = found = self._coverage.compared()
        metres = ["length_m", *(name for name in found.columns if name in COMPARED)]
        whole = found[metres].apply(lambda column: micrometres(column.to_numpy()))
        by_class = whole.groupby(found["highway"], dropna=False).sum().reset_index()
        by_class = by_class.sort_values(["length_m", "highway"], ascending=[False, True], kind="stable")
        by_class[metres] /= MICROMETRES
        self.compared = by_class.rename(columns={"highway": "value"}).reset_index(drop=True)
        counts = [int(self._coverage.images[f"side.{number}"][0]) for number in range(len(sides))]
        for side, count in zip(sides, counts, strict=True):
            if not count:
                log.warning("no image near a street is of %s", side.text)
        total = {name: int(whole[name].sum()) / MICROMETRES for name in metres}
        length = total["length_m"]
        told: dict[str, Any] = {}
        for name, side, count in zip(("first", "second"), sides, counts, strict=True):
            share = round(total[f"{name}_m"] / length, 6) if length else None
            told[name] = {"of": side.text, "images_near": count, "share_covered": share}
        self.facts["compared"] = {**told, **total}


def _by_length(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table in the order of the one of street classes, its value first."""
    found = table.sort_values(["length_m", "value"], ascending=[False, True], kind="stable").reset_index(drop=True)
    first = ["value", "streets", "length_m", "covered_m", "share_covered"]
    return found[[*first, *(name for name in found.columns if name not in first)]]
