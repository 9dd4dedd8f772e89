"""Two periods, two providers, or two files of images, compared street by street."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import STUTTGART
from helpers.command_line import run

import mlygeo
from mlygeo.errors import FrameError, InputError, MlygeoError
from mlygeo.pipelines import sides

SRID = 25832
BORDER = "2024-07-03"
EDGES, IMAGES = STUTTGART / "stuttgart_osm_edges.gpkg", STUTTGART / "stuttgart_images.parquet"


def milliseconds(*day):
    return round(dt.datetime(*day, tzinfo=dt.UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2021", (2021, 1, 1), (2022, 1, 1)),
        ("2021-06", (2021, 6, 1), (2021, 7, 1)),
        ("../2021", None, (2022, 1, 1)),
        ("2022-03/..", (2022, 3, 1), None),
        (" 2019/2021-06 ", (2019, 1, 1), (2021, 7, 1)),
        ("../2022-06-30T12:00:00Z", None, (2022, 6, 30, 12)),
    ],
)
def test_periods(text, start, end):
    side, other = sides.read([text, "1990"])
    assert (side.start_ms, side.end_ms) == tuple(None if day is None else milliseconds(*day) for day in (start, end))
    assert (side.text, side.provider, other.text) == (text.strip(), None, "1990")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["2021"], "takes two, not 1"),
        ("2021", "takes two, not 1"),
        (["2021", "2022", "2023"], "takes two, not 3"),
        (["2021", "2021-01/2021-12"], "has 2021 twice"),
        (["Mapillary", "mapillary"], "twice"),
        (["mapillary", "2021"], "a provider and a period"),
        (["../..", "2021"], "neither start nor end"),
        (["2022/2021", "2021"], "ends before it starts"),
        (["2021-01-01T12:00:00Z", "2021"], "is a moment"),
        (["2021-13", "2021"], "2021-13"),
        (["20/21", "2021"], "is not a date or time"),
        (["", "2021"], "is empty"),
        (["2021/", "2021"], "nothing on one side of the slash"),
        (["/2021", "2021"], "neither a period nor the name of a provider"),
        (["a b", "2021"], "neither a period nor the name of a provider"),
    ],
)
def test_what_names_no_sides_is_refused(given, said):
    with pytest.raises(InputError, match=said):
        sides.read(given)


def test_each_side_is_the_coverage_of_its_images(edges, images, tmp_path):
    job = mlygeo.coverage.body(streets=edges, images=images, srid=SRID, compare=[f"../{BORDER}", "2024-07-04/.."])
    job.write(tmp_path / "out")
    found = mlygeo.read_frame(tmp_path / "out" / "compared.parquet")
    is_first = images["captured_at"] < pd.Timestamp("2024-07-04", tz="UTC")
    alone = [mlygeo.street_coverage(edges, images[own], srid=SRID) for own in (is_first, ~is_first)]
    together = mlygeo.street_coverage(edges, images, srid=SRID)
    for name, expected in zip(("first_m", "second_m"), alone, strict=True):
        np.testing.assert_allclose(found[name], expected["covered_m"], atol=1e-5)
    np.testing.assert_allclose(found["first_m"] + found["gained_m"], together["covered_m"], atol=1e-4)
    np.testing.assert_allclose(found["second_m"] + found["lost_m"], together["covered_m"], atol=1e-4)
    told = job.summary["compared"]
    for name in ("first_m", "second_m", "both_m", "gained_m", "lost_m"):
        assert told[name] == pytest.approx(found[name].sum(), abs=1e-5)
        assert sum(row[name] for row in told["by"]["highway"]) == pytest.approx(told[name], abs=1e-5)
    assert told["first"]["images_near"] + told["second"]["images_near"] == job.summary["images_near"]
    assert told["first"]["share_covered"] == pytest.approx(told["first_m"] / job.summary["length_m"], abs=1e-6)


def test_providers_side_by_side(edges, images):
    both = images.assign(provider=pd.Series(np.where(images["is_pano"], "mapillary", "panoramax"), dtype="str"))
    job = mlygeo.coverage.body(streets=edges, images=both, srid=SRID, compare=["Mapillary", "panoramax"])
    told = job.summary["compared"]
    by_provider = {row["value"]: row for row in job.summary["by"]["provider"]}
    for side, name in (("first", "mapillary"), ("second", "panoramax")):
        assert told[f"{side}_m"] == pytest.approx(by_provider[name]["covered_m"], abs=1e-4)
        assert told[side]["images_near"] == by_provider[name]["images"]


def test_the_verb_prints_both_sides_and_a_run_without_them_leaves_no_file(tmp_path, capsys):
    words = ["coverage", "--streets", EDGES, "--images", IMAGES, "--srid", SRID, "--by", "pano", "-o", tmp_path / "out"]
    status, printed, said = run(capsys, *words, "--compare", f"../{BORDER}", "--compare", "2024")
    assert status == 0, said
    assert f"first: ../{BORDER}, second: 2024" in printed
    assert "gained" in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["compared"]["second"]["of"] == "2024"
    assert run(capsys, *words)[0] == 0
    assert not (tmp_path / "out" / "compared.parquet").exists()


def test_a_side_without_images_is_told_and_a_missing_column_is_an_error(edges, images, caplog):
    summary = mlygeo.coverage(streets=edges, images=images, srid=SRID, compare=["1990", "2024"]).attrs["summary"]
    assert summary["compared"]["first"]["images_near"] == 0
    assert summary["compared"]["gained_m"] == pytest.approx(summary["covered_m"], abs=1e-5)
    assert "no image near a street is of 1990" in caplog.text
    with pytest.raises(FrameError, match="no column 'provider', which `compare='mapillary'` asks for"):
        mlygeo.coverage(streets=edges, images=images, compare=["mapillary", "panoramax"])
    with pytest.raises(FrameError, match="no column 'captured_at'"):
        mlygeo.coverage(streets=edges, images=images.drop(columns="captured_at"), compare=["1990", "2024"])


# Two files -----------------------------------------------------------------------


@pytest.fixture
def downloads(images, tmp_path, monkeypatch):
    """Two downloads: of the second a third of the images is gone, some are new, and one has moved by 300 m."""
    monkeypatch.chdir(tmp_path)
    moved = images.index == 500
    geometry = images.geometry.where(~moved, images.geometry.translate(xoff=0.004))
    first, second = images.iloc[:900], images.set_geometry(geometry).iloc[400:]
    (tmp_path / "old").mkdir()
    mlygeo.write_frame(first, "old/images.parquet")
    mlygeo.write_frame(second, "images.gpkg")
    return first, second


def test_each_file_is_a_side_with_its_own_images(edges, downloads, capsys):
    words = ["--streets", EDGES, "--srid", str(SRID), "-o", "out"]
    words += ["--compare", "old/images.parquet", "--compare", "images.gpkg"]
    status, out, err = run(capsys, "coverage", *words)
    assert status == 0, err
    found = mlygeo.read_frame("out/compared.parquet")
    for name, side in zip(("first_m", "second_m"), downloads, strict=True):
        alone = mlygeo.street_coverage(edges, side, srid=SRID)
        np.testing.assert_allclose(found[name], alone["covered_m"], atol=1e-5)
    together = mlygeo.street_coverage(edges, pd.concat(downloads), srid=SRID)
    np.testing.assert_allclose(found["first_m"] + found["gained_m"], together["covered_m"], atol=1e-4)
    told = json.loads(Path("out/summary.json").read_text())
    first, second = told["compared"]["first"], told["compared"]["second"]
    assert (first["of"], second["of"]) == ("images.parquet", "images.gpkg")
    by_hand = [mlygeo.street_coverage(edges, side, srid=SRID).attrs["coverage"] for side in downloads]
    assert [first["images_near"], second["images_near"]] == [each["images_near"] for each in by_hand]
    assert "images.gpkg" in out + err
    record = mlygeo.read_frame("out/coverage.parquet").attrs["record"]
    assert record["options"]["compare"] == ["images.parquet", "images.gpkg"]  # of files only the names are told
    assert [each["source"] for each in record["inputs"]["images"]["files"]] == ["images.parquet", "images.gpkg"]


def test_filters_hold_for_both_files(edges, downloads):
    compare = ["old/images.parquet", "images.gpkg"]
    told = mlygeo.coverage(streets=edges, srid=SRID, compare=compare, pano=True).attrs["summary"]["compared"]
    for name, side in zip(("first", "second"), downloads, strict=True):
        alone = mlygeo.street_coverage(edges, side[side["is_pano"]], srid=SRID)
        assert told[f"{name}_m"] == pytest.approx(alone["covered_m"].sum(), abs=1e-3)


def test_folders_of_files_are_sides_and_a_year_is_a_year(edges, downloads, tmp_path):
    (tmp_path / "2024").mkdir()
    mlygeo.write_frame(downloads[1], "2024/images.parquet")
    told = mlygeo.coverage(streets=edges, srid=SRID, compare=["old", "./2024"]).attrs["summary"]["compared"]
    assert (told["first"]["of"], told["second"]["of"]) == ("old", "2024")
    told = mlygeo.coverage(streets=edges, images=downloads[1], srid=SRID, compare=["2024", "2023"]).attrs["summary"]
    assert told["compared"]["first"]["of"] == "2024"


def test_files_of_the_same_name_are_told_by_their_folders(tmp_path):
    found = sides.names_of((str(tmp_path / "a" / "x.parquet"), str(tmp_path / "b" / "x.parquet")))
    assert found == ("a/x.parquet", "b/x.parquet")


@pytest.mark.parametrize(
    ("compare", "more", "said"),
    [
        (["images.gpkg", "old/../images.gpkg"], {}, "has images.gpkg twice"),
        (["images.gpkg", "images.gpkg"], {}, "has images.gpkg twice"),
        (["images.gpkg", "2024"], {}, "has a file, images.gpkg, and '2024', which is none"),
        (["images.gpkg"], {}, "takes two, not 1"),
        (["images.gpkg", "nothing.parquet"], {}, "nothing.parquet does not exist"),
        (["images.gpkg", "old"], {"images": IMAGES}, "`images` has no effect with two files in `compare`"),
        (["images.gpkg", "old"], {"max_age": 3.0}, "`max_age` has no effect with two files in `compare`"),
    ],
)
def test_what_are_no_two_files_is_refused(edges, downloads, compare, more, said):
    with pytest.raises(MlygeoError, match=said):
        mlygeo.coverage(streets=edges, srid=SRID, compare=compare, **more)
