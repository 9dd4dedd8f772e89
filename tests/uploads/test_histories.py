"""Whatever happens to photos, in whatever order, each picture is at the service exactly once."""

import os

import pytest
from helpers import histories

pytestmark = pytest.mark.usefixtures("history")


@pytest.mark.parametrize("seed", range(int(os.environ.get("MLYGEO_HISTORIES", "4"))))
def test_each_picture_goes_up_once(tmp_path, monkeypatch, seed):
    monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", "")  # restored afterwards
    histories.run(tmp_path, seed, photos=7, steps=7)
