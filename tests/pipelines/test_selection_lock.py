"""The lock of a selection: equal for equal runs, made of what went in and came out, and good to make it again."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, STUTTGART
from geopandas.testing import assert_geodataframe_equal
from helpers.command_line import run
from helpers.locks import told
from helpers.other_python import other_python
from helpers.tokens import TOKEN

import mlygeo
from mlygeo import places
from mlygeo.errors import FileError, FormatError, InputError, MlygeoError
from mlygeo.pipelines import selection_lock
from mlygeo.pipelines.job import body_of

EDGES, CACHE = "stuttgart_osm_edges.gpkg", "stuttgart_tile_cache"
HOME = "/users/jane"
BBOX = "9.1616,48.7624,9.1759,48.7789"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with streets and tiles, in which commands are typed."""
    shutil.copy(STUTTGART / EDGES, tmp_path / "edges.gpkg")
    shutil.copytree(STUTTGART / CACHE, tmp_path / "tiles")
    monkeypatch.chdir(tmp_path)
    return tmp_path


WORDS = ["select", "--bbox", BBOX, "--streets", "edges.gpkg", "--tile-cache", "tiles", "--srid", "25832"]


def lock_of(folder):
    return json.loads((folder / "selection.lock.json").read_text())


def test_two_pythons_write_the_same_bytes(project):
    for program, name in ((sys.executable, "one"), (other_python(), "other")):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        version = "import sys; print(sys.version_info[:2])"
        words = [program, "-m", "mlygeo", *WORDS, "--k", "2", "-o", name]
        done = subprocess.run(words, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        print(subprocess.run([program, "-c", version], capture_output=True, text=True).stdout)
    summaries = [json.loads((project / name / "summary.json").read_text()) for name in ("one", "other")]
    assert summaries[0]["software"]["Python"] != summaries[1]["software"]["Python"]
    for name in ("selection.lock.json", "selection.parquet", "street_points.parquet", "image_ids.txt"):
        assert (project / "one" / name).read_bytes() == (project / "other" / name).read_bytes(), name


def test_a_lock_has_no_clock_and_no_place_of_the_machine(project, capsys, monkeypatch):
    assert run(capsys, *WORDS, "-o", "out")[0] == 0
    first = (project / "out" / "selection.lock.json").read_bytes()
    os.utime(project / "edges.gpkg", (1_500_000_000, 1_500_000_000))
    assert run(capsys, *WORDS, "-o", "out", "--workers", "2")[0] == 0
    assert (project / "out" / "selection.lock.json").read_bytes() == first
    text = first.decode()
    assert str(project) not in text
    assert len(re.findall(r"20\d\d-\d\d-\d\d", text)) == 2  # the age of the tiles
    content = json.loads(text)
    assert content["inputs"]["streets"]["path"] == "../edges.gpkg"
    assert content["tiles"]["mapillary"]["folder"] == "../tiles"
    assert sorted(content["tiles"]["mapillary"]["files"]) == sorted(path.name for path in (project / "tiles").iterdir())
    assert content["options"]["interval"] == 50
    assert content["options"]["unique"] is False
    assert content["software"].keys() == {"mlygeo", "numpy", "pyarrow", "geopandas", "PROJ", "GEOS"}


def test_a_lock_says_how_old_its_tiles_are(project, capsys):
    days = {"oldest": "2017-07-14T02:40:00Z", "newest": "2023-11-14T22:13:20Z"}
    oldest, *others = (project / "tiles").iterdir()
    os.utime(oldest, (1_500_000_000, 1_500_000_000))
    for path in others:
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert run(capsys, *WORDS, "-o", "out")[0] == 0
    assert lock_of(project / "out")["tiles"]["mapillary"]["written"] == days
    for path in (project / "tiles").iterdir():
        os.utime(path, (1_600_000_000, 1_600_000_000))  # as a copy has it
    assert len(mlygeo.verify("out", offline=True)) == 0
    status, out, err = run(capsys, "verify", "out", "--offline", "--json", "-q")
    assert (status, json.loads(out)["tiles"]["mapillary"]) == (0, days), err
    assert run(capsys, "select", "--lock", "out", "-o", "again")[0] == 0
    assert lock_of(project / "again")["tiles"] == lock_of(project / "out")["tiles"]


def test_hashes_are_those_of_sha256sum(project, capsys):
    assert run(capsys, *WORDS, "-o", "out")[0] == 0
    content = lock_of(project / "out")
    files = {project / "edges.gpkg": content["inputs"]["streets"]["sha256"]}
    files |= {project / "tiles" / name: said["sha256"] for name, said in content["tiles"]["mapillary"]["files"].items()}
    files |= {project / "out" / name: said["sha256"] for name, said in content["outputs"].items() if "sha256" in said}
    listed = subprocess.run(["sha256sum", *map(str, files)], capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(files.values())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/a/x.gpkg", "../a/x.gpkg"),
        ("/data/out/x.gpkg", "x.gpkg"),
        ("/elsewhere/x.gpkg", "/elsewhere/x.gpkg"),
        (f"{HOME}/x.gpkg", "~/x.gpkg"),
    ],
)
def test_paths_are_relative_and_do_not_name_the_user(monkeypatch, path, expected):
    monkeypatch.setenv("HOME", HOME)
    said = selection_lock.relative(Path(path), Path("/data/out"))
    assert said == expected
    assert os.path.normpath(places.located(said, Path("/data/out"))) == path
    inside = selection_lock.relative(Path(HOME, "maps", "x.gpkg"), Path(HOME, "out"))
    assert inside == "../maps/x.gpkg"


def test_a_dataset_has_the_lock_of_one_file(project, capsys, images):
    mlygeo.write_frame(images, project / "images.parquet")
    mlygeo.partition("images.parquet", "images", rows_per_part=200)
    words = ["select", "--streets", "edges.gpkg", "--srid", "25832", "--k", "2", "--since", "2024-01-01"]
    assert run(capsys, *words, "--images", "images.parquet", "-o", "whole")[0] == 0
    assert run(capsys, *words, "--images", "images", "--workers", "2", "-o", "parts")[0] == 0
    whole, parts = (told((project / name / "selection.lock.json").read_text()) for name in ("whole", "parts"))
    assert whole["inputs"]["streets"] == parts["inputs"]["streets"]
    assert whole["inputs"]["images"].keys() == {"bytes", "sha256", "rows"}
    assert parts["inputs"]["images"]["rows"] == whole["inputs"]["images"]["rows"] == len(images)
    differing = {name for name in whole if whole[name] != parts[name]}
    assert differing == {"inputs", "outputs", "run"}
    assert parts["outputs"]["selection"]["number_of_files"] == len([*(project / "parts").glob("selection/*/*.parquet")])


# Made again --------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", ["tiles", "one file", "dataset", "own points", "polygon", "rule", "rule of a dataset", "things"]
)
def test_a_selection_is_made_again_bit_for_bit(project, capsys, images, form):
    mlygeo.write_frame(images, project / "images.parquet")
    region = images.to_crs(25832).union_all().convex_hull.buffer(-200)
    polygons = images.iloc[:1].to_crs(25832).set_geometry([region])[["geometry"]].to_crs(4326)
    mlygeo.write_frame(polygons, project / "region.geojson")
    write_rule(project)
    if "dataset" in form:
        mlygeo.partition("images.parquet", "images", rows_per_part=200)
    if form == "own points":
        mlygeo.write_frame(mlygeo.streets(streets="edges.gpkg", interval=70), project / "points.gpkg")
    words = {
        "tiles": WORDS,
        "one file": ["select", "--streets", "edges.gpkg", "--images", "images.parquet", "--method", "percept"],
        "dataset": ["select", "--streets", "edges.gpkg", "--images", "images", "--unique"],
        "own points": ["select", "--points", "points.gpkg", "--images", "images.parquet", "--creator", "5"],
        "polygon": ["select", "--streets", "edges.gpkg", "--images", "images.parquet", "--region", "region.geojson"],
        "rule": [*WORDS, "--prefer", "rule.json", "--as-of", "2025", "--max-across", "12", "--per", "creator"],
        "rule of a dataset": ["select", "--streets", "edges.gpkg", "--images", "images", "--prefer", "rule.json"],
        "things": [
            "select",
            "--towards",
            "edges.gpkg",
            "--images",
            "images.parquet",
            "--prefer",
            "rule.json",
            "--apart",
            "30",
            "--k",
            "2",
            "--field-of-view",
            "60",
            "--where",
            "is_pano or id > 1",
        ],
    }[form]
    status, _, err = run(capsys, *words, "--max-distance", "40", "-o", "out")
    assert status == 0, err
    (project / "region.geojson").unlink()  # the lock has the region itself
    status, _, err = run(capsys, "select", "--lock", "out", "-o", "again")
    assert status == 0, err
    kept = ["image_ids.txt", "street_points.parquet", "selection.lock.json"]
    kept += ["selection.parquet"] if "dataset" not in form else []
    for name in kept:
        assert (project / "out" / name).read_bytes() == (project / "again" / name).read_bytes(), name
    again = mlygeo.select(lock="out/selection.lock.json")
    written = mlygeo.read_frame(project / "out" / ("selection" if "dataset" in form else "selection.parquet"))
    by = ["point_id", "rank"]
    assert_geodataframe_equal(
        again.sort_values(by)[written.columns].reset_index(drop=True), written.sort_values(by).reset_index(drop=True)
    )
    assert again.attrs["run"] == lock_of(project / "out")["run"]


def write_rule(project, weights=(0.5, 0.3, 0.2)):
    rule = {"weights": dict(zip(("distance", "age", "heading"), weights, strict=True))}
    (project / "rule.json").write_text(json.dumps(rule))


def change_a_tile(project):
    path = project / "tiles" / "mly1_public_8609_5642_14"
    path.write_bytes(path.read_bytes().replace(b"2024", b"2023", 1) + b" ")


def change_an_option(project):
    path = project / "out" / "selection.lock.json"
    path.write_text(path.read_text().replace('"interval": 50', '"interval": 40'))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_a_tile, "mly1_public_8609_5642_14: changed"),
        (change_an_option, "options: changed"),
        (lambda project: (project / "edges.gpkg").unlink(), "edges.gpkg): gone"),
        (lambda project: (project / "edges.gpkg").rename(project / "out" / "edges.gpkg"), "edges.gpkg): moved"),
        (lambda project: shutil.rmtree(project / "tiles"), "and 1 other"),
        (lambda project: write_rule(project, (0.5, 0.2, 0.3)), "prefer (rule.json): changed, other bytes"),
        (lambda project: (project / "rule.json").unlink(), "rule.json): gone"),
    ],
)
def test_what_stands_against_a_lock_is_said_before_anything_is_written(project, capsys, change, said):
    write_rule(project)
    assert run(capsys, *WORDS, "--prefer", "rule.json", "-o", "out")[0] == 0
    change(project)
    status, _, err = run(capsys, "select", "--lock", "out", "-o", "again")
    assert status == 1
    assert "the selection of selection.lock.json cannot be made again" in err
    assert said in err
    assert not (project / "again").exists()


def test_another_selection_is_not_written(project, capsys, monkeypatch):
    """As a library of another version would make it: the lock says of one point another image."""
    assert run(capsys, *WORDS, "-o", "out")[0] == 0
    content = lock_of(project / "out")
    content["result"]["selected"]["digest"] = "0" * 32
    content["software"]["PROJ"] = "9.0.0"
    (project / "out" / "selection.lock.json").write_text(selection_lock.text_of(content))
    with pytest.raises(FormatError, match=r"another selection than that of the lock; other versions: PROJ 9.0.0 then"):
        mlygeo.select(lock="out")
    assert run(capsys, "select", "--lock", "out", "-o", "again")[0] == 1
    assert not (project / "again").exists()


def test_the_name_of_a_rule_is_an_option_and_its_file_an_input(project, capsys, monkeypatch):
    write_rule(project)
    (project / "newest").write_text("no rule")
    for rule, name in (("newest", "named"), ("rule.json", "filed")):
        assert run(capsys, *WORDS, "--prefer", rule, "-o", name)[0] == 0
    named, filed = (lock_of(project / name) for name in ("named", "filed"))
    assert named["options"]["prefer"] == "newest"
    assert "prefer" not in named["inputs"]
    assert "prefer" not in filed["options"]
    assert filed["inputs"]["prefer"]["path"] == "../rule.json"
    summary = json.loads((project / "filed" / "summary.json").read_text())
    assert summary["inputs"]["prefer"]["sha256"] == filed["inputs"]["prefer"]["sha256"]
    monkeypatch.chdir(project.parent)
    assert run(capsys, "select", "--lock", project / "filed", "-o", project / "again")[0] == 0
    assert lock_of(project / "again") == filed


def test_a_lock_leaves_no_say_to_other_options(project, capsys):
    assert run(capsys, *WORDS, "-o", "out")[0] == 0
    for words in (["--k", "2"], ["--streets", "edges.gpkg"], ["--bbox", BBOX], ["--since", "2024"], ["--token", TOKEN]):
        status, _, err = run(capsys, "select", "--lock", "out", *words, "-o", "again")
        assert status == 2, words
        assert "no effect with --lock" in err
    with pytest.raises(InputError, match="`region` has no effect with `lock`"):
        mlygeo.select((9.16, 48.76, 9.18, 48.78), lock="out")
    for name, content in (("x.json", "{}"), ("y.json", "["), ("z.json", '{"lock": 2, "command": 1, "options": 1}')):
        (project / name).write_text(content)
        with pytest.raises(FormatError, match="lock"):
            mlygeo.select(lock=name)
    with pytest.raises(FileError, match=r"nothing\.json does not exist"):
        mlygeo.select(lock="nothing.json")


MEMBERS = ("command", "options", "region", "inputs", "tiles", "software", "facts", "attribution", "outputs", "run")


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    options = {"streets": STUTTGART / EDGES, "images": STUTTGART / "stuttgart_images.parquet", "interval": 200}
    body_of(mlygeo.select)(**options).write(folder)
    return folder


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("value", ["missing", None, [], {}, "x", 5, {"x": 1}, [5], {"x": {"y": []}}])
def test_a_damaged_lock_is_an_error_in_one_line(locked, tmp_path, member, value):
    shutil.copytree(locked, tmp_path / "out")
    content = lock_of(tmp_path / "out")
    content[member] = value
    if value == "missing":
        del content[member]
    content["sha256_of_members"] = selection_lock._own_hashes(content)
    (tmp_path / "out" / "selection.lock.json").write_text(json.dumps(content))
    for read in (
        lambda: mlygeo.select(lock=tmp_path / "out"),
        lambda: mlygeo.verify(tmp_path / "out", offline=True),
        lambda: mlygeo.publish(tmp_path / "out", dry_run=True),
    ):
        with contextlib.suppress(MlygeoError):  # some values are sound, and others would be tracebacks
            read()


def test_a_lock_with_unknown_options_names_the_version_that_knows_them(locked, tmp_path):
    content = lock_of(locked)
    content["options"]["prefer_dusk"] = True
    content["software"]["mlygeo"] = "99.0"
    for facts in content["inputs"].values():
        facts["path"] = str((locked / facts["path"]).resolve())
    (tmp_path / "selection.lock.json").write_text(selection_lock.text_of(content))
    with pytest.raises(FormatError, match="the option prefer_dusk") as caught:
        mlygeo.select(lock=tmp_path)
    assert "mlygeo 99.0" in caught.value.hint


def test_a_file_of_weights_is_an_input(project, capsys, monkeypatch):
    (project / "weights.toml").write_text("[weights]\ndistance = 1\nage = 2\n")
    assert run(capsys, *WORDS, "--prefer", "weights.toml", "-o", "out")[0] == 0
    assert lock_of(project / "out")["inputs"]["prefer"]["path"] == "../weights.toml"
    (project / "elsewhere").mkdir()
    monkeypatch.chdir(project / "elsewhere")
    assert run(capsys, "select", "--lock", "../out", "-o", "../again")[0] == 0
    for name in ("selection.parquet", "selection.lock.json"):
        assert (project / "again" / name).read_bytes() == (project / "out" / name).read_bytes()
    (project / "weights.toml").write_text("[weights]\ndistance = 1\nage = 3\n")
    assert mlygeo.verify("../out", offline=True)["name"].tolist() == ["prefer (weights.toml)"]
    with pytest.raises(FileError, match=r"prefer \(weights.toml\): changed"):
        mlygeo.select(lock="../out")
    monkeypatch.chdir(project)
    assert run(capsys, *WORDS, "--prefer", "newest", "-o", "newest")[0] == 0
    assert "prefer" not in lock_of(project / "newest")["inputs"]


def test_frames_in_memory_cannot_be_compared(project, images):
    job = body_of(mlygeo.select)(streets="edges.gpkg", images=images)
    job.write(project / "out")
    assert lock_of(project / "out")["inputs"]["images"] == {"frame": "in memory", "rows": len(images)}
    with pytest.raises(FileError, match="images: it was a frame in memory"):
        mlygeo.select(lock="out")
    pd.testing.assert_frame_equal(
        mlygeo.verify("out", offline=True), pd.DataFrame(columns=["kind", "name", "change", "detail"], dtype="str")
    )
