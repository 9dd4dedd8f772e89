"""The configuration of a project: written by `init`, found by verbs, and named by them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
from conftest import STUTTGART
from helpers.command_line import run
from helpers.tokens import TOKEN
from helpers.unix import needs_unix

import mlygeo
from mlygeo.errors import FileError, InputError, RegionError

EDGES = STUTTGART / "stuttgart_osm_edges.gpkg"
CONFIG = STUTTGART / "stuttgart_config.json"
BOX = "9.1616,48.7624,9.1759,48.7789"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project's folder with a configuration, and the working folder below it."""
    folder = tmp_path / "project"
    (folder / "below").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")
    monkeypatch.chdir(folder / "below")
    settings = {**json.loads(CONFIG.read_text()), "tile_cache_dir": str(STUTTGART / "stuttgart_tile_cache")}
    settings.pop("seqdir", None)
    (folder / "mlygeo.json").write_text(json.dumps(settings))
    return folder


def test_a_verb_finds_it_uses_it_and_names_it_first(capsys, project):
    status, _, err = run(capsys, "select", "--streets", EDGES, "--interval", 50, "--srid", 25832)
    assert status == 0, err
    first, result, _ = err.splitlines()
    assert first == f"configuration: {project / 'mlygeo.json'}"
    os.chdir(project)
    named = run(capsys, "select", "-c", CONFIG, "--streets", EDGES, "--interval", 50, "--srid", 25832, "-o", "named")
    assert named[2].splitlines()[0] == result
    found = run(capsys, "tiles", "--tiles-only", "--json", "-q")
    assert (found[0], found[2], json.loads(found[1])["tiles"]) == (0, "", 6)


def test_the_command_line_wins(capsys, project):
    for words, tiles in (
        ([], 6),
        (["--bbox", "9.17,48.77,9.171,48.771"], 1),
        (["--east", "9.162", "--north", "48.763"], 1),
    ):
        status, out, err = run(capsys, "tiles", *words, "--tiles-only", "--dry-run", "--json")
        assert status == 0, err
        assert err.startswith("configuration: ")
        assert json.loads(out)["tiles"] == tiles
    status, _, err = run(capsys, "tiles", "-c", CONFIG, "--tiles-only")
    assert (status, "configuration:" in err) == (0, False)


def test_it_can_be_ignored(capsys, project):
    status, _, err = run(capsys, "tiles", "--no-config", "--tiles-only")
    assert (status, err.splitlines()[0]) == (2, "error: no region")
    assert "mlygeo init" in err
    status, _, err = run(capsys, "tiles", "--no-config", "-c", CONFIG)
    assert (status, err.splitlines()[0]) == (2, "error: -c and --no-config contradict each other")
    (project / "mlygeo.json").write_text("{")
    assert run(capsys, "tiles", "--no-config", "-c", CONFIG)[0] == 2
    assert run(capsys, "tiles", "-c", CONFIG, "--tiles-only")[0] == 0
    status, _, err = run(capsys, "tiles")
    assert (status, "mlygeo.json is broken JSON" in err) == (2, True)
    assert run(capsys, "info")[0] == 0  # which has no use for it


def test_only_the_command_line_looks_for_it(project):
    with pytest.raises(RegionError, match="no region"):
        mlygeo.streets()
    with pytest.raises(InputError, match="no user, organization or region is given"):
        mlygeo.find_sequences()


def test_beside_ids_its_region_is_not_used_and_the_rest_is(capsys, project):
    settings = json.loads((project / "mlygeo.json").read_text())
    (project / "mlygeo.json").write_text(json.dumps({**settings, "seqdir": "pictures", "token_file": "t.txt"}))
    Path("ids.txt").write_text("2762100457273030\n")
    status, out, err = run(capsys, "download", "ids.txt", "--dry-run", "--required-disk-space", 0, "--json")
    assert status == 0, err
    assert err.splitlines()[0].endswith("mlygeo.json; its region is not used with images")
    assert json.loads(out)["images"] == 1
    (project / "pictures").touch()
    assert f"{project / 'pictures'} is a file" in run(capsys, "download", "ids.txt")[2]
    for words in (["inspect", 1], ["metadata", 1], ["find-sequences", "irvinfly"]):
        status, _, err = run(capsys, *words)
        assert status == 1, err
        assert f"token file {project / 't.txt'}" in err


def test_a_configuration_without_a_region(capsys, project):
    (project / "mlygeo.json").write_text("{}")
    status, _, err = run(capsys, "tiles")
    assert (status, "error: no region" in err) == (2, True)
    status, _, err = run(capsys, "streets", "--streets", EDGES, "--srid", 25832)
    assert status == 0, err


def test_init_writes_what_verbs_find(capsys, project):
    os.chdir(project)
    (project / "mlygeo.json").unlink()
    words = ["--bbox", BOX, "--tile-cache", STUTTGART / "stuttgart_tile_cache", "--seqdir", 'a "b" é']
    status, _, err = run(capsys, "init", *words)
    assert status == 0, err
    assert "mlygeo.toml holds bounding_box, tile_cache_dir, seqdir" in err
    assert mlygeo.config.load("mlygeo.toml").seqdir == Path('a "b" é')
    assert run(capsys, "tiles", "--tiles-only")[2].startswith("configuration: mlygeo.toml\n6 tiles")
    before = Path("mlygeo.toml").read_bytes()
    status, _, err = run(capsys, "init", "--place", "Ulm")
    assert (status, Path("mlygeo.toml").read_bytes()) == (2, before)
    assert "mlygeo.toml exists" in err
    assert "--force" in err
    assert run(capsys, "init", "--place", "Ulm", "--force")[0] == 0
    assert mlygeo.config.load("mlygeo.toml").place == "Ulm"
    status, _, err = run(capsys, "init", "mlygeo.json", "--place", "Ulm", "--force")
    assert (status, "mlygeo.toml is there already" in err) == (2, True)


def test_init_is_the_twin_of_a_function(project):
    box = (9.1616, 48.7624, 9.1759, 48.7789)
    area = gpd.GeoDataFrame(geometry=[shapely.box(*box)], crs=4326)
    mlygeo.write_frame(area, "area.gpkg")
    for ending in ("toml", "json"):
        path = project / f"own.{ending}"
        made = mlygeo.init(path, bbox=box, tile_cache="tiles", token_file=None)
        assert made == mlygeo.config.load(path)
        assert made.bounding_box == dict(zip(("west", "south", "east", "north"), box, strict=True))
        # What is relative to the working folder is the same file when it is read.
        assert made.tile_cache_dir.resolve() == Path("tiles").resolve()
        assert mlygeo.init(path, region_file="area.gpkg", force=True).region.resolve() == Path("area.gpkg").resolve()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, InputError),
        ({"bbox": "1,2,3"}, RegionError),
        ({"bbox": (1, 2, 3)}, RegionError),
        ({"bbox": (9, 49, 10, 48)}, RegionError),
        ({"bbox": "1,2,3,4", "place": "Ulm"}, RegionError),
        ({"region_file": "missing.gpkg"}, FileError),
        ({"region_file": EDGES}, RegionError),
        ({"place": "Ulm", "token_file": "missing.txt"}, FileError),
        ({"place": "U\nlm"}, InputError),
        ({"place": "Ulm", "seqdir": "a\tb"}, InputError),
        ({"path": "mine.txt", "place": "Ulm"}, InputError),
        ({"path": "pyproject.toml", "place": "Ulm"}, InputError),
        ({"path": ["a.toml", "b.toml"], "place": "Ulm"}, InputError),
    ],
)
def test_init_writes_nothing_that_makes_no_sense(project, options, error):
    before = sorted(project.rglob("*"))
    with pytest.raises(error):
        mlygeo.init(**options)
    assert sorted(project.rglob("*")) == before


@needs_unix("terminals of Unix")
def test_init_asks_at_a_terminal(project):
    """It asks again until an answer makes sense."""
    (project / "mlygeo.json").unlink()
    import pty

    ours, theirs = pty.openpty()
    os.write(ours, f"1,2,3\n{BOX}\ntiles\n\n".encode())
    command = [sys.executable, "-m", "mlygeo", "init"]
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, cwd=project, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "region (W,S,E,N" in done.stderr
    assert "'1,2,3' is not a bounding box" in done.stderr
    made = mlygeo.config.load(project / "mlygeo.toml")
    assert (made.bounding_box["west"], made.tile_cache_dir, made.seqdir) == (9.1616, project / "tiles", None)
    os.write(ours, b"n\n")
    done = subprocess.run([*command, "--place", "Ulm"], stdin=theirs, capture_output=True, text=True, cwd=project)
    assert done.returncode == 2
    assert mlygeo.config.load(project / "mlygeo.toml") == made
    os.close(ours)
    os.close(theirs)


def test_the_token_is_not_written(project):
    (project / "token.txt").write_text(TOKEN)
    mlygeo.init(project / "own.toml", place="Ulm", token_file=project / "token.txt")
    assert TOKEN not in (project / "own.toml").read_text()
