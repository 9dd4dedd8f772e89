"""Conditions on any columns wherever images are filtered: the same rows of a frame, of a file and of a dataset."""

import numpy as np
import pandas as pd
import pytest
from conftest import STUTTGART
from helpers.tokens import TOKEN
from pandas.testing import assert_frame_equal

import mlygeo
from mlygeo.cli import main
from mlygeo.errors import FrameError, InputError
from mlygeo.standin import serve

EDGES = STUTTGART / "stuttgart_osm_edges.gpkg"
CONDITION = "blur >= 400 and (sun_phase = 'day' or not is_pano) or make in ('A', 'B')"


@pytest.fixture(scope="module")
def folder(images, tmp_path_factory):
    """Images with columns of somebody's own, some values of which are unknown, as a file and as a dataset."""
    folder = tmp_path_factory.mktemp("where")
    rng = np.random.default_rng(5)
    measured = mlygeo.sun_position(images).assign(
        blur=np.where(rng.random(len(images)) < 0.2, np.nan, rng.uniform(0, 1000, len(images))),
        make=pd.Series(rng.choice(["A", "B", "C", "D", "E", "F"], len(images)), dtype="str").where(
            rng.random(len(images)) < 0.7
        ),
    )
    mlygeo.write_frame(measured, folder / "images.parquet")
    mlygeo.partition(folder / "images.parquet", folder / "dataset", rows_per_part=200)
    return folder


@pytest.fixture(scope="module")
def measured(folder):
    return mlygeo.read_frame(folder / "images.parquet", frame="images")


def by_loop(images):
    """The ids that the condition takes, by plain reading: what is unknown decides nothing, and is not taken."""
    chosen = []
    for row in images.itertuples():
        sharp = None if pd.isna(row.blur) else row.blur >= 400
        lit = row.sun_phase == "day" or not row.is_pano
        made = None if pd.isna(row.make) else row.make in {"A", "B"}
        if (sharp and lit) or made:
            chosen.append(row.id)
    return sorted(chosen)


def undecided(images, column):
    """How many images are left out since the column is unknown."""
    sharp = images["blur"].ge(400).astype("boolean").mask(images["blur"].isna())
    lit = ((images["sun_phase"] == "day") | ~images["is_pano"]).astype("boolean")
    made = images["make"].isin(["A", "B"]).astype("boolean").mask(images["make"].isna())
    return int((((sharp & lit) | made).isna() & images[column].isna()).sum())


def test_frames_and_datasets_give_the_rows_of_a_loop(folder, measured, tmp_path):
    expected = by_loop(measured)
    assert 200 < len(expected) < 1000
    assert sorted(mlygeo.filter_images(measured, where=CONDITION)["id"]) == expected
    mlygeo.partition(folder / "dataset", tmp_path / "some", where=CONDITION)
    assert sorted(mlygeo.read_frame(tmp_path / "some", frame="images")["id"]) == expected


def test_a_selection_over_parts_is_that_of_the_frame(folder, measured):
    given = {"streets": EDGES, "interval": 100, "srid": 25832, "where": CONDITION}
    single = mlygeo.select(images=folder / "images.parquet", **given)
    parted = mlygeo.select(images=folder / "dataset", **given)
    assert_frame_equal(single, parted)
    assert set(single["id"]) <= set(by_loop(measured))
    assert single.attrs["summary"]["filters"] == {"where": CONDITION}
    without = mlygeo.select(images=folder / "images.parquet", **{**given, "where": None})
    assert not single["id"].equals(without["id"])


def test_a_coverage_over_parts_is_that_of_the_frame(folder):
    given = {"streets": EDGES, "srid": 25832, "distance": 20, "where": CONDITION}
    single, parted = (mlygeo.coverage(images=folder / name, **given) for name in ("images.parquet", "dataset"))
    assert_frame_equal(single, parted)
    assert (
        single["covered_m"].sum()
        < mlygeo.coverage(images=folder / "dataset", **{**given, "where": None})["covered_m"].sum()
    )


def test_images_that_are_left_out_since_a_value_is_unknown_are_counted(folder, measured, tmp_path, caplog):
    mlygeo.filter_images(measured, where=CONDITION)
    for column in ("blur", "make"):
        count = undecided(measured, column)
        assert f"{count} of {len(measured)} images have no {column}, and the filters leave them out" in caplog.messages
    made = mlygeo.partition(folder / "images.parquet", tmp_path / "some", where=CONDITION)
    left_out = made.attrs["summary"]["left_out"]
    assert sum(left_out.values()) == len(measured) - len(by_loop(measured))
    assert any("blur" in reason for reason in left_out)


def test_tiles_are_filtered(images, tmp_path):
    whole = mlygeo.tiles(STUTTGART / "stuttgart_config.json")
    found = mlygeo.tiles(STUTTGART / "stuttgart_config.json", where="compass_angle > 180 and not is_pano")
    assert sorted(found["id"]) == sorted(whole["id"][(whole["compass_angle"] > 180) & ~whole["is_pano"]])


def test_a_download_takes_the_images_of_a_frame_that_meet_it(folder, measured, tmp_path):
    with serve(measured, token=TOKEN):
        found = mlygeo.download(
            folder / "images.parquet", output=tmp_path / "pictures", where=CONDITION, dry_run=True, token=TOKEN
        )
    assert found.attrs["summary"]["images"] == len(by_loop(measured))


@pytest.mark.parametrize(
    "call",
    [
        lambda folder: mlygeo.select(streets=EDGES, images=folder / "images.parquet", where="glare > 1"),
        lambda folder: mlygeo.select(streets=EDGES, images=folder / "dataset", where="glare > 1"),
        lambda folder: mlygeo.coverage(streets=EDGES, images=folder / "dataset", where="glare > 1"),
        lambda folder: mlygeo.partition(folder / "dataset", folder / "other", where="glare > 1"),
        lambda folder: mlygeo.tiles(STUTTGART / "stuttgart_config.json", where="glare > 1"),
    ],
)
def test_a_column_that_images_do_not_have_is_named(folder, call):
    with pytest.raises(FrameError, match="have no column 'glare', which the filters ask for"):
        call(folder)


def test_lists_of_ids_are_not_filtered():
    with pytest.raises(InputError, match="`where`"):
        mlygeo.download([5, 6], where="is_pano", token="x")
    with pytest.raises(InputError, match="`where`: a search cannot filter by that"):
        mlygeo.download(user="someone", where="is_pano", token="x")


def test_the_command_names_the_flag_and_the_place(folder, capsys):
    words = ["select", "--streets", str(EDGES), "--images", str(folder / "images.parquet"), "--where", "blur >="]
    assert main(words) == 2
    assert "--where cannot be understood at its end: expected a column or a value" in capsys.readouterr().err
