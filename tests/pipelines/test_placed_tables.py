"""Coverage by cells of the world, as a file beside the others."""

import json
import sys

import numpy as np
import pytest
from conftest import STUTTGART
from helpers.command_line import run

import mlygeo
from mlygeo.errors import DependencyError
from mlygeo.extras import install_hint
from mlygeo.spatial import cells

SRID = 25832
EDGES, IMAGES = STUTTGART / "stuttgart_osm_edges.gpkg", STUTTGART / "stuttgart_images.parquet"


@pytest.mark.parametrize("text", ["quadkey17", "h3:9"])
def test_cells_add_up_to_the_whole(text, tmp_path, capsys):
    out = tmp_path / "out"
    status, _, said = run(
        capsys, "coverage", "--streets", EDGES, "--images", IMAGES, "--srid", SRID, "--cells", text, "-o", out
    )
    assert status == 0, said
    found, summary = mlygeo.read_frame(out / "cells.parquet"), json.loads((out / "summary.json").read_text())
    assert found["length_m"].sum() == pytest.approx(summary["length_m"], abs=1e-3)
    assert found["covered_m"].sum() == pytest.approx(summary["covered_m"], abs=1e-3)
    assert found["images"].sum() == summary["images_near"]
    assert (found["share_covered"].dropna().between(0, 1)).all()
    covered = int((found["covered_m"] > 0).sum())
    assert summary["cells"] == {"of": text, "cells": len(found), "cells_with_coverage": covered}
    assert found["cell"].is_unique
    assert (found["cell"] == found["cell"].sort_values(ignore_index=True)).all()


def test_images_are_in_the_tile_where_they_stand(images, edges, tmp_path):
    job = mlygeo.coverage.body(streets=edges, images=images, srid=SRID, cells="quadkey16", distance=500)
    job.write(tmp_path / "out")
    found = mlygeo.read_frame(tmp_path / "out" / "cells.parquet")
    tile = cells.codes(images.geometry.x.to_numpy(), images.geometry.y.to_numpy(), 16)
    code, count = np.unique(tile, return_counts=True)
    expected = dict(zip((cells.quadkey(int(each), 16) for each in code), count.tolist(), strict=True))
    assert {row.cell: row.images for row in found.itertuples() if row.images} == expected


def test_without_h3_hexagons_are_refused_and_the_extra_is_named(images, edges, monkeypatch):
    monkeypatch.setitem(sys.modules, "h3.api.basic_int", None)
    with pytest.raises(DependencyError, match="hexagons need h3") as caught:
        mlygeo.coverage(streets=edges, images=images, cells="h3:9")
    assert caught.value.hint == install_hint("cells")
