"""The programs of the older tools, by their old names: each does what its README says, with its defaults."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import geopandas as gpd
import pyogrio
import pytest
import shapely
from conftest import DATA, STUTTGART
from helpers.command_line import run
from helpers.tokens import TOKEN
from helpers.unix import needs_unix

import mlygeo
from mlygeo import cli
from mlygeo.cli import old_tools, verbs
from mlygeo.cli import options as verb_options
from mlygeo.errors import FileError, InputError, RegionError
from mlygeo.providers.mapillary import layers
from mlygeo.standin import serve

BOX = "9.1616,48.7624,9.1759,48.7660"
HALVES = {"1": "9.1616,48.7624,9.1687,48.7660", "4b": "9.1687,48.7624,9.1759,48.7660"}


@pytest.fixture(scope="module")
def standin(images):
    west, south, east, north = map(float, BOX.split(","))
    some = images.cx[west:east, south:north].iloc[::12]
    with serve(some, token=TOKEN) as server:
        yield server


@pytest.fixture
def project(tmp_path, monkeypatch, standin):
    """A folder of the older programs: a configuration, a token in config.py, and a service that answers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")
    monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", standin.endpoints.graph)
    monkeypatch.setenv("MAPILLARY_TILES_ENDPOINT", standin.endpoints.tiles)
    Path("config.py").write_text(f"access_token = '{TOKEN}'\n")
    sides = dict(zip(("west", "south", "east", "north"), map(float, BOX.split(",")), strict=True))
    settings = {"bounding_box": sides, "tile_cache_dir": "tiles", "seqdir": "seqs"}
    Path("myconfig.json").write_text(json.dumps(settings))
    return tmp_path


@pytest.mark.parametrize("name", ["make_street_points.py", "make_street_points", "make-street-points"])
@pytest.mark.parametrize(("interval", "points"), [(50, 94), (20, 304)])
def test_street_points_are_those_of_the_program(capsys, project, name, interval, points):
    words = ["-S", 25832, "-I", interval, "-o", "mygrid.geojson", "--streets", STUTTGART / "stuttgart_osm_edges.gpkg"]
    status, _, err = run(capsys, name, "-c", STUTTGART / "stuttgart_config.json", *words)
    assert status == 0, err
    assert len(json.loads(Path("mygrid.geojson").read_text())["features"]) == points
    status, _, err = run(capsys, name, "-c", STUTTGART / "stuttgart_config.json", *words, "--method", "even")
    assert status == 0, err
    assert len(json.loads(Path("mygrid.geojson").read_text())["features"]) != points


def test_the_tiles_are_what_the_tutorial_imports(capsys, project, images):
    """Its loop gives every file in the folder to ogr2ogr, which is what pyogrio calls."""
    status, _, err = run(capsys, "mapillary_jpg_download.py", "-c", "myconfig.json", "--tiles-only")
    assert status == 0, err
    files = sorted(Path("tiles").iterdir())
    assert len(files) == 4
    assert all(re.fullmatch(r"mly1_public_\d+_\d+_14(\.geojson|\.mvt)?", path.name) for path in files)
    found = [pyogrio.read_dataframe(path) for path in files]
    ids = [number for frame in found if len(frame) for number in frame["id"]]
    kept = mlygeo.tiles("myconfig.json", service=None)
    assert sorted(ids) == sorted(kept["id"])
    # Nothing is asked for a second time, and the frame is that of vector tiles.
    assert "4 tiles" in run(capsys, "mapillary_jpg_download.py", "-c", "myconfig.json", "--tiles-only")[2]
    assert run(capsys, "tiles", "-c", "myconfig.json", "--tile-cache", "mvt", "-o", "mvt.parquet")[0] == 0
    assert all(path.suffix == ".mvt" for path in Path("mvt").iterdir())
    mvt = mlygeo.read_frame("mvt.parquet")
    assert mvt.sort_values("id", ignore_index=True).equals(kept.sort_values("id", ignore_index=True)[mvt.columns])


def test_vector_tiles_of_a_cache_become_geojson(capsys, project):
    assert run(capsys, "tiles", "-c", "myconfig.json", "--tiles-only")[0] == 0
    before = mlygeo.tiles("myconfig.json")
    assert run(capsys, "tiles", "-c", "myconfig.json", "--tiles-only", "--geojson")[0] == 0
    assert not list(Path("tiles").glob("*.mvt"))
    assert mlygeo.tiles("myconfig.json").equals(before)
    Path("tiles/mly1_public_8609_5642_14").unlink()
    Path("tiles/mly1_public_8609_5642_14.mvt").write_bytes(b"damaged")
    assert mlygeo.tiles("myconfig.json", geojson=True).equals(before)
    assert not list(Path("tiles").glob("*.mvt"))


@pytest.mark.parametrize("path", sorted((DATA / "tiles").glob("*/mly*.mvt")), ids=lambda path: path.name)
def test_geojson_says_what_the_tile_says(path):
    address = layers.NAME.fullmatch(path.name)
    table = layers.decode(path.read_bytes(), int(address["x"]), int(address["y"]))
    again = layers.read_geojson_tile(layers.as_geojson_tile(table))
    for name in again.column_names:
        one, two = (each.column(name).to_pandas() for each in (table, again))
        assert one.equals(two), name


def test_pictures_go_where_the_program_put_them(capsys, project):
    words = ["mapillary_jpg_download.py", "-c", "myconfig.json", "--required-disk-space", 0, "--size", 256]
    status, out, err = run(capsys, *words, "--json")
    assert status == 0, err
    assert json.loads(out)["fetched"] > 0
    assert all(path.suffix == "" for path in Path("tiles").iterdir())
    some = sorted(Path("seqs").rglob("*.jpg"))
    assert {len(path.parent.name) for path in some} == {22}
    Path("my_imgid_list.txt").write_text("".join(f"{path.stem}\n" for path in some[:3]))
    status, out, err = run(capsys, *words, "--imgid-file", "my_imgid_list.txt", "--json")
    assert (status, json.loads(out)["images"]) == (0, 3), err


def test_a_sequence_and_some_of_its_images(capsys, project, images):
    there = mlygeo.tiles("myconfig.json")
    sequence = there["sequence_id"].value_counts().index[0]
    some = sorted(there.loc[there["sequence_id"] == sequence, "id"])[:2]
    status, out, err = run(
        capsys, "sequence_downloader.py", sequence, "-i", *some, "--required-disk-space", 0, "--size", 256, "--json"
    )
    assert (status, json.loads(out)["fetched"]) == (0, 2), err
    files = sorted(Path("downloads").rglob("*.jpg"))
    assert all(path.parent.name.endswith(f"_{sequence[:8]}") for path in files)
    Path("failed.txt").write_text(f"# again\n{some[0]}\n")
    words = [
        "sequence_downloader.py",
        sequence,
        "--image-file",
        "failed.txt",
        "-q",
        95,
        "--required-disk-space",
        0,
        "--size",
        256,
    ]
    status, out, err = run(capsys, *words, "--json")
    assert (status, json.loads(out)["images"]) == (0, 1), err
    Path("list.txt").write_text(f"# {sequence}\n{sequence}\n")
    status, out, err = run(capsys, "batch_downloader.py", "--required-disk-space", 0, "list.txt", "--dry-run")
    assert status == 0, err
    assert "of list.txt" in err or "1 sequence" in err


def test_a_grid_has_a_folder_for_each_of_its_cells(capsys, project):
    Path("downloads").mkdir()
    lines = "".join(f"{name},{box}\n" for name, box in HALVES.items())
    Path("downloads/study_area_segments.txt").write_text(f"# the study area\n\n{lines}")
    status, out, err = run(
        capsys, "run_downloads.py", "--required-disk-space", 0, "--size", 256, "--limit", 2, "--json"
    )
    assert status == 0, err
    facts = json.loads(out)
    assert (facts["images"], facts["fetched"], list(facts["regions"])) == (4, 4, ["1", "4b"])
    for name in HALVES:
        assert len(list(Path("downloads", name, "images").glob("*.jpg"))) == 2
        assert len(list(Path("downloads", name, "jsons").glob("*.json"))) == 2
    assert err.splitlines()[-1] == "2 regions, each in a folder of its name in downloads"
    status, out, err = run(capsys, "run_downloads", "--required-disk-space", 0, "--size", 256, "--limit", 2, "--json")
    assert (json.loads(out)["fetched"], json.loads(out)["there"]) == (0, 4)
    assert parsed(["run_downloads.py"])["max_images"] == 1000


def test_polygons_have_folders_too(project):
    shapes = [shapely.box(*map(float, box.split(","))) for box in HALVES.values()]
    frame = gpd.GeoDataFrame({"name": ["west", "east"]}, geometry=shapes, crs=4326).to_crs(25832)
    mlygeo.write_frame(frame, "grid.gpkg")
    found = mlygeo.download(regions_file="grid.gpkg", output="out", max_images=2, required_disk_space=0, size="256")
    assert sorted(found["region"]) == ["east", "east", "west", "west"]
    assert {path.parts[1] for path in Path("out").rglob("*.jpg")} == {"west", "east"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no region"),
        ("1,9,48,10\n", "line 1"),
        ("1,9,48,10,49\n2,x,48,10,49\n", "line 2"),
        ("1,9,48,10,49\n1,9,48,10,49\n", "names a second region"),
        ("a,9,48,10,49\nA,9,48,10,49\n", "names a second region"),
        ("../up,9,48,10,49\n", "not a name for a folder"),
        ("..,9,48,10,49\n", "not a name for a folder"),
        (",9,48,10,49\n", "not a name for a folder"),
        ("1,48,9,49,99\n", "line 1"),
        ("1,nan,9,49,99\n", "line 1"),
        ("1," + "9" * 400 + ",9,49,99\n", "line 1"),
    ],
)
def test_a_grid_that_makes_no_sense_is_an_error_before_anything_starts(project, text, says):
    Path("grid.txt").write_text(text)
    with pytest.raises(InputError, match=says):
        mlygeo.download(regions_file="grid.txt", output="out", required_disk_space=0)
    assert not Path("out").exists()


def test_a_grid_and_another_source_contradict_each_other(project):
    Path("grid.csv").write_text(f"ID,min_lon,min_lat,max_lon,max_lat\n1,{BOX}\n")
    with pytest.raises(InputError, match="`images` has no effect with `regions_file`"):
        mlygeo.download([1], regions_file="grid.csv")
    with pytest.raises(InputError, match="both name regions"):
        mlygeo.download(region=tuple(map(float, BOX.split(","))), regions_file="grid.csv")
    with pytest.raises(FileError):
        mlygeo.download(regions_file="missing.txt")
    gpd.GeoDataFrame({"id": [1]}, geometry=[shapely.Point(9, 48)], crs=4326).to_file("points.gpkg")
    with pytest.raises(RegionError, match="row 1"):
        mlygeo.download(regions_file="points.gpkg")


def test_the_class_of_the_bbox_downloader(project, images):
    """The lines of its README."""
    downloader = mlygeo.MapillaryDownloader(TOKEN)
    image_ids = downloader.get_images_in_bbox("9.1616,48.7624,9.1759,48.7660")
    assert sorted(image_ids) == sorted(mlygeo.tiles("myconfig.json")["id"].astype(str))
    for img_id in image_ids[:2]:
        path = downloader.download_image(img_id, output_dir="./downloads/1")
        assert path.read_bytes()[:2] == b"\xff\xd8"
        assert json.loads(Path(f"downloads/1/jsons/{img_id}.json").read_text())
    with pytest.raises(FileError, match="image 12"):
        downloader.download_image("12", output_dir="./downloads/1")
    with pytest.raises(RegionError):
        downloader.get_images_in_bbox("1,2,3")


def parsed(words):
    """Return the values of the options of a command line."""
    context = click.Context(cli.program, info_name="mlygeo", token_normalize_func=verb_options.dashed)
    name, command, rest = cli.program.resolve_command(context, old_tools.translated(words))
    with command.make_context(name, rest, parent=context) as made:
        return made.params


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("mapillary_jpg_download.py -c c.json", {"required_disk_space": 100, "num_retries": 8, "geojson": True, "layout": "sequence"}),
        ("mapillary_jpg_download.py -c c.json --required-disk-space 50", {"required_disk_space": 50}),
        ("mapillary_jpg_download -c c.json --required_disk_space=50 --num_retries 5", {"required_disk_space": 50, "num_retries": 5}),
        ("sequence_downloader.py S", {"layout": "time", "exif": True, "computed": True, "output": "downloads", "quality": None}),
        ("sequence_downloader.py S -q 90 -i 1 2", {"quality": 90, "images": ("1", "2"), "sequence": ["S"]}),
        ("sequence_downloader.py S --seqdir x --layout=flat", {"output": "x", "layout": "flat"}),
        ("batch_downloader.py --exif list.txt -q 95", {"sequence_file": ["list.txt"], "quality": 95, "exif": True}),
        ("mapillary-download --bbox 1,2,3,4", {"layout": "flat", "max_images": 10000, "output": "downloads"}),
        ("mapillary-download --bbox 1,2,3,4 --limit 5 --output o", {"max_images": 5, "output": "o"}),
        ("download_bbox.py --bbox 1,2,3,4", {"max_images": 10000, "layout": "flat"}),
        ("run_downloads.py grid.txt", {"regions_file": "grid.txt", "max_images": 1000, "layout": "flat", "output": "downloads"}),
        ("download_images.py 1 2 3 4 --max_results=7 --image_size=640", {"bbox": "3,1,4,2", "max_images": 7, "size": "1024"}),
        ("find_sequences_of_user.py irvinfly -f 360 -p 5", {"user": ("irvinfly",), "filter": "360", "max_pages": 5}),
        ("make_street_points.py -c c.json -S 28992 -I 50 -o g.geojson", {"method": "percept", "interval": 50, "srid": 28992}),
        ("debug_mapillary_images.py 1 2", {"ids": ("1", "2")}),
    ],
)  # fmt: skip
def test_defaults_are_those_of_the_program(words, values):
    found = parsed(words.split())
    assert {name: found[name] for name in values} == values


def test_flags_of_ours_are_known_as_such():
    """The word after a flag is a word of its own, in the commands of older tools too."""
    for name in ("download", "find-sequences"):
        command = cli._command(next(verb for verb in verbs.VERBS if verb.name == name))
        for option in command.params:
            if isinstance(option, click.Option) and (option.is_flag or option.count):
                assert {*option.opts, *option.secondary_opts} <= old_tools.FLAGS, option


def test_a_size_that_is_no_more_is_said(capsys, project):
    words = ["download_images.py", "48.7624", "48.7660", "9.1616", "9.1759", "--image_size=320", "--dry-run"]
    _, _, err = run(capsys, *words)
    assert err.startswith("warning: the service has no pictures of 320 pixels; those of 1024\n")


@needs_unix("terminals of Unix")
def test_a_user_is_asked_for_at_a_terminal(project, images):
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mlygeo", "find_sequences_of_user.py"]
    os.write(ours, b"nobody\n2\n2\n")
    environment = {**os.environ, "MAPILLARY_ACCESS_TOKEN": TOKEN}
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Mapillary user" in done.stderr
    assert "0 sequences of nobody" in done.stderr
    assert done.stdout.strip() == "" or "nobody" not in done.stdout
    os.write(ours, b"\n")
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=120, env=environment)
    assert (done.returncode, "the user's name is empty" in done.stderr) == (2, True)
    os.close(ours)
    os.close(theirs)
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, env=environment
    )
    assert (done.returncode, "no user, organization or region" in done.stderr) == (2, True)
