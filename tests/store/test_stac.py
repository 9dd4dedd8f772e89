"""Items that are written are items for others: stac-geoparquet reads them, and they pass the schema of STAC."""

import json
import subprocess

import pandas as pd
import pytest
from conftest import DATA, ROOT
from helpers.validators import stac_environment

from mlygeo import frames, store
from mlygeo.providers.panoramax import items


def validated(path):
    words = [str(stac_environment() / "python"), str(ROOT / "tests" / "helpers" / "validate_stac.py"), str(path)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def of_panoramax():
    page = json.loads((DATA / "panoramax" / "search_page.json").read_text())
    return items.images_frame(page["features"])


@pytest.mark.parametrize("kind", ["mapillary", "panoramax", "bare"])
def test_what_is_written_is_read_by_stac_geoparquet_and_valid(images, tmp_path, kind):
    images = images.head(40).reset_index(drop=True)
    frame = {
        "mapillary": images,
        "panoramax": of_panoramax(),
        "bare": images[[column.name for column in frames.IMAGES.required] + ["geometry"]],
    }[kind]
    path = store.write_frame(frame, tmp_path / "images.stac.parquet")
    found = validated(path)
    assert found == {"rows": len(frame), "valid": len(frame), "ids": sorted(frame["id"].astype("str"))}
    back = store.read_frame(path, frame="images").set_index("id").loc[frame["id"]].reset_index()
    for name in frame.columns:
        assert back[name].astype("str").tolist() == frame[name].astype("str").tolist(), name


def test_the_validator_finds_what_is_wrong(images, tmp_path):
    frame = images.head(3).reset_index(drop=True)
    path = store.write_frame(frame.assign(captured_at=pd.NaT), tmp_path / "images.stac.parquet")
    assert validated(path)["rows"] == 3
    assert "valid" not in validated(path)
