"""What is drawn of a folder of results."""

import json
import re
import shutil

import pytest
from conftest import STUTTGART

import mlygeo
from mlygeo import cli, plotting, store
from mlygeo.plotting import folders

EDGES = "stuttgart_osm_edges.gpkg"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("made")
    shutil.copy(STUTTGART / EDGES, place)
    for verb in ("select", "coverage"):
        words = [verb, "-c", STUTTGART / "stuttgart_config.json", "--streets", place / EDGES, "--srid", "25832"]
        words += ["--interval", "50"] if verb == "select" else ["--cells", "quadkey17"]
        assert cli.main([*map(str, words), "-q", "-o", str(place / verb)]) == 0
    return place


def names(layers):
    return [layer.name for layer in plotting.layers_of(layers)]


def test_a_selection_is_drawn_with_its_streets_in_order(made):
    assert names(made / "select") == ["stuttgart osm edges", "street points", "selection"]
    assert names(str(made / "coverage")) == ["cells", "coverage", "gaps"]


def test_a_layer_of_a_file_has_its_own_name(tmp_path):
    edges = mlygeo.read_frame(STUTTGART / EDGES)
    path = store.write_layers({"main_roads": edges, "paths": edges}, tmp_path / "all.gpkg")
    assert names([f"{path}:main_roads", f"{path}:paths"]) == ["main roads", "paths"]


def test_a_selection_made_over_parts_is_drawn_too(made, tmp_path):
    images, out = tmp_path / "images", tmp_path / "out"
    words = ["--streets", made / EDGES, "--interval", "50", "--srid", "25832", "--workers", "1", "-q", "-o", out]
    assert cli.main(["partition", str(STUTTGART / "stuttgart_images.parquet"), "-q", "-o", str(images)]) == 0
    assert cli.main(["select", "--images", str(images), *map(str, words)]) == 0
    assert (out / "selection").is_dir()
    assert names(out)[-2:] == ["street points", "selection"]


def test_other_streets_of_that_name_are_not_taken_for_those_of_the_selection(made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "select", "out")
    assert names("out") == ["street points", "selection"]
    assert cli.main(["map", "out", "-o", "map.html"]) == 0
    assert f"({EDGES}) are not drawn" in capsys.readouterr().err
    shutil.copy(made / "coverage" / "coverage.parquet", EDGES)
    assert folders.files_of("out")[0].name == "street_points.parquet"
    shutil.copy(made / EDGES, EDGES)
    assert folders.files_of("out")[0].name == EDGES, "that of the working folder is"


def test_a_folder_of_anything_else_stays_what_it_was(made, tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps({"inputs": {"streets": 1}}))
    assert folders.files_of(tmp_path) == [tmp_path]
    frame = mlygeo.read_frame(made / EDGES)
    assert folders.files_of(frame) == [frame]
    assert folders.files_of("https://example.org/out") == ["https://example.org/out"]


def test_the_last_line_has_file_size_and_counts(made, capsys, tmp_path):
    target = tmp_path / "map.html"
    assert cli.main(["map", str(made / "select"), "-o", str(target)]) == 0
    said = capsys.readouterr().err.strip().splitlines()
    size = f"{target.stat().st_size / 1e6:.1f} MB|{target.stat().st_size / 1e3:.0f} kB"
    assert re.fullmatch(
        rf"{re.escape(str(target))}, ({size}): stuttgart osm edges \(190\), street points \(150\), selection \(146\)",
        said[-1],
    )
