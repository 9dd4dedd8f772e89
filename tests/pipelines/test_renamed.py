"""Options by an old name: understood, and told by the new one, in Python and on the command line."""

import re
import tomllib
import warnings

import pytest
from conftest import ROOT, STUTTGART
from helpers.command_line import run

import mlygeo
from mlygeo.pipelines.renamed import RENAMED

CACHE = STUTTGART / "stuttgart_tile_cache"
BOX = (9.165, 48.77, 9.17, 48.775)


@pytest.mark.parametrize("old", RENAMED)
def test_a_name_goes_before_its_version_comes(old):
    """In the version that a rename names, its line goes from the table."""
    until = [int(part) for part in RENAMED[old].until.split(".")]
    now = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert [int(part) for part in now.split(".")] < until
    assert RENAMED[old].now != old


def test_a_verb_in_python():
    expected = mlygeo.tiles(BOX, tile_cache=CACHE)
    with pytest.warns(DeprecationWarning, match=r"`tile_cache_dir` is now `tile_cache`; .* until version 1\.0") as seen:
        found = mlygeo.tiles(BOX, tile_cache_dir=CACHE)
    assert seen[0].filename == __file__
    assert found["id"].tolist() == expected["id"].tolist()


def test_a_function_that_is_no_verb():
    path = STUTTGART / "stuttgart_images.parquet"
    with pytest.warns(DeprecationWarning, match="`bounding_box` is now `bbox`") as seen:
        found = mlygeo.read_frame(path, bounding_box=BOX)
    assert seen[0].filename == __file__
    assert len(found) == len(mlygeo.read_frame(path, bbox=BOX)) > 0


def test_the_new_name_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mlygeo.tiles(BOX, tile_cache=CACHE)


def test_both_names_are_an_error():
    with pytest.raises(TypeError, match="tile_cache_dir"):
        mlygeo.tiles(BOX, tile_cache=CACHE, tile_cache_dir=CACHE)


def test_where_there_is_no_such_option_an_old_name_is_unknown():
    with pytest.raises(TypeError, match="bounding_box"):
        mlygeo.doctor(offline=True, bounding_box=BOX)


@pytest.mark.parametrize("flag", ["--bounding-box", "--bounding_box"])
@pytest.mark.parametrize("joined", [True, False])
def test_a_flag(capsys, tmp_path, flag, joined):
    box = ",".join(map(str, BOX))
    words = [f"{flag}={box}"] if joined else [flag, box]
    status, _, err = run(capsys, "tiles", *words, "--tile-cache", CACHE, "-o", tmp_path / "images.parquet")
    assert status == 0, err
    assert len(re.findall(r"^--bounding-box is now --bbox; .* until version 1\.0$", err, re.MULTILINE)) == 1
    assert len(mlygeo.read_frame(tmp_path / "images.parquet")) == len(mlygeo.tiles(BOX, tile_cache=CACHE))


def test_a_flag_of_a_verb_without_it(capsys):
    status, _, err = run(capsys, "info", "--bounding-box", "1,2,3,4")
    assert status == 2
    assert "is now" not in err


def test_help_has_new_names_only(capsys):
    _, out, _ = run(capsys, "tiles", "--help")
    assert "--bbox" in out
    assert "--bounding-box" not in out
