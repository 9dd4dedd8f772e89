"""
What CONTRIBUTING.md says of adding something is done to a copy of the package, and used.

A section "Add …" has blocks of code: a whole new file, or the lines that change in one (`diff`), below a line
that names the file; and commands and Python, which run with the changed copy in a folder of data.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import threading
import tomllib
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from conftest import ROOT, STUTTGART
from helpers.command_line import PROGRAMS, installed
from helpers.unix import needs_unix
from helpers.video_files import movie

import mlygeo

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RIDE = ROOT / "examples" / "gpx_import"
FENCE = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)

FLIGHT = """\
AXXX001
HFDTE120624
HFPLTPILOTINCHARGE:Jane
B0830004845000N00911000EA0012000300
B0830304845100N00911000EA0012000310
B0831004845200N00911100EA0012000320
B0900004845300N00911200EA0012000330
LXXXtheend
"""


class Edit(NamedTuple):
    """A new file (python), or the lines that change in one (diff)."""

    path: str
    kind: str
    text: str


class Recipe(NamedTuple):
    """A section: what is edited, and what is run then."""

    edits: list[Edit]
    runs: list[tuple[str, str]]

    def source_files(self):
        return {edit.path for edit in self.edits}


def recipe(title):
    """Return the section with this heading."""
    section = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert section is not None, f"there is no section {title!r}"
    edits, runs = [], []
    for block in FENCE.finditer(section[1]):
        above = section[1][: block.start()].rstrip().splitlines()[-1]
        named = re.findall(r"`((?:mlygeo|tests)/[\w/]+\.pyi?)`", above)
        if block["kind"] == "diff" or named:
            edits.append(Edit(named[-1], block["kind"], block["text"]))
        else:
            runs.append((block["kind"], block["text"]))
    return Recipe(edits, runs)


RECIPES = {title: recipe(title) for title in re.findall(r"^## (Add an? .+)$", TEXT, re.MULTILINE)}


def apply(edit, folder):
    """Write a new file, or change the lines of one; each hunk must fit in exactly one place."""
    path = folder / edit.path
    if edit.kind == "python":
        assert not path.exists(), f"{edit.path} is there already"
        path.parent.mkdir(exist_ok=True)
        path.write_text(edit.text, encoding="utf-8")
        return
    content = path.read_text(encoding="utf-8")
    for hunk in re.split(r"^@@\n", edit.text, flags=re.MULTILINE):
        lines = [(line[:1] or " ", line[1:]) for line in hunk.splitlines()]
        before, after = ("".join(f"{text}\n" for sign, text in lines if sign in {" ", kept}) for kept in ("-", "+"))
        assert content.count(before) == 1, f"{edit.path} has these lines {content.count(before)} times:\n{before}"
        content = content.replace(before, after)
    path.write_text(content, encoding="utf-8")


def fill(folder):
    """Put the files into a folder that the commands of the sections name."""
    shutil.copytree(RIDE / "photos", folder / "DCIM")
    shutil.copy(STUTTGART / "stuttgart_images.parquet", folder / "images.parquet")
    shutil.copy(STUTTGART / "stuttgart_osm_edges.gpkg", folder / "edges.gpkg")
    (folder / "flight.igc").write_text(FLIGHT)
    # A sample a second, where the ride's track is at that time.
    ride = mlygeo.read_track(RIDE / "ride.gpx")
    start, seconds = ride["time"].min().timestamp(), np.arange(len(ride))
    at = ride["time"].astype("int64") / 1e6 - start
    rows = np.stack(
        [np.interp(seconds, at, values) for values in (ride.geometry.y, ride.geometry.x, ride["altitude"])], 1
    )
    samples = [row.astype("<f8").tobytes() for row in rows]
    (folder / "ride.mp4").write_bytes(movie(b"acme", b"meta", samples, [1000] * len(rows), created_s=int(start)))


ASK = """
from mlygeo import tiles
found = tiles((9, 48, 10, 49), tile_cache="acme-tiles", provider="acme")
print(found["id"].tolist())
"""


class Copy(NamedTuple):
    """A changed copy of the package, and a folder of data to work in."""

    folder: Path | str
    work: Path

    def run(self, command, *, may_fail=False):
        """Run a command with the copy; return what it prints."""
        found = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], cwd=self.work, capture_output=True, text=True, timeout=200,
            env={**os.environ, "PYTHONPATH": str(self.folder), "MLYGEO_NO_PROGRESS": "1", "COLUMNS": "100",
                 "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"},
        )  # fmt: skip
        assert may_fail or found.returncode == 0, f"{command}\n{found.stdout}{found.stderr}"
        return found.stdout + found.stderr

    def python(self, code):
        """Run code with the copy; return what it prints."""
        return self.run(f"python -c {shlex.quote(code)}")

    def use(self, title):
        """Run the commands and the Python of a section; the lines below a command must be among what it prints."""
        for kind, block in RECIPES[title].runs:
            if kind == "python":
                self.python(block)
                continue
            if kind == "toml":  # of a package, see `test_a_provider_in_a_package_of_its_own`
                continue
            assert kind == "console", f"a block of {kind} is run by nothing"
            printed = ""
            for line in block.splitlines():
                if line.startswith("$ "):
                    printed = self.run(line[2:])
                else:
                    assert line in printed, f"should print: {line}\nprints: {printed}"


@pytest.fixture
def changed(tmp_path):
    """Return the function that makes a copy of the package with the edits of sections."""

    def make(*titles):
        made = Copy(tmp_path / "copy", tmp_path / "work")
        shutil.copytree(ROOT / "mlygeo", made.folder / "mlygeo", ignore=shutil.ignore_patterns("__pycache__"))
        for title in titles:
            for edit in RECIPES[title].edits:
                apply(edit, made.folder)
        fill(made.work)
        where = made.python("import mlygeo; print(mlygeo.__file__)")
        assert Path(where.strip()).is_relative_to(made.folder), "another mlygeo is used"
        return made

    return make


@needs_unix("Unix shell")
class TestRecipes:
    def test_a_verb(self, changed):
        assert len(RECIPES["Add a verb"].source_files()) <= 3
        copy = changed("Add a verb")
        assert re.search(r"^  check +Flag images", copy.run("mlygeo --help"), re.MULTILINE)
        assert "--max-speed" in copy.run("mlygeo check --help")
        copy.use("Add a verb")
        made = mlygeo.read_frame(copy.work / "checked.parquet")
        expected = mlygeo.check_images(mlygeo.read_frame(copy.work / "images.parquet", frame="images"), max_speed=30)
        assert made["problem"].tolist() == expected["problem"].tolist()

    def test_a_reader(self, changed):
        assert len(RECIPES["Add a reader of a file format"].source_files()) <= 2
        copy = changed("Add a reader of a file format")
        copy.use("Add a reader of a file format")
        track = mlygeo.read_track(copy.work / "flight.gpx")
        assert track.geometry.x.tolist() == pytest.approx([9.18333333, 9.18333333, 9.185, 9.18666667])
        assert track.geometry.y.tolist() == pytest.approx([48.75, 48.75166667, 48.75333333, 48.755])
        assert track["altitude"].tolist() == [300, 310, 320, 330]
        assert str(track["time"].iloc[-1]) == "2024-06-12 09:00:00+00:00"
        photos = mlygeo.read_frame(copy.work / "images.parquet")
        assert photos.geometry.notna().any()

    def test_a_camera(self, changed):
        assert len(RECIPES["Add a camera"].source_files()) <= 2
        copy = changed("Add a camera")
        assert "acme" in copy.run("mlygeo tracks --help")
        assert "acme_videos" in copy.run("mlygeo process --help")
        copy.use("Add a camera")
        assert len(mlygeo.read_track(copy.work / "ride.gpx")) == 430
        photos = mlygeo.read_frame(copy.work / "images.parquet")
        ride = mlygeo.geotag(mlygeo.read_photos(copy.work / "DCIM"), mlygeo.read_track(RIDE / "ride.gpx"))
        found, expected = (np.stack([frame.geometry.x, frame.geometry.y]) for frame in (photos, ride))
        assert found == pytest.approx(expected, abs=1e-6, nan_ok=True)

    @pytest.fixture
    def acme(self, tmp_path, monkeypatch):
        """Acme answers, as the environment says."""
        images = mlygeo.read_frame(STUTTGART / "stuttgart_images.parquet").iloc[:20]
        features = [
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [place.x, place.y]},
             "properties": {"name": f"acme-{number}", "ride": "r", "us": 1_700_000_000_000_001, "towards": 90.0}}
            for number, place in enumerate(images.geometry, 1)
        ]  # fmt: skip
        served = tmp_path / "served"
        served.mkdir()
        (served / "images.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        handler = functools.partial(SimpleHTTPRequestHandler, directory=served)
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            monkeypatch.setenv("ACME_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
            yield
            server.shutdown()

    def test_a_provider(self, changed, acme):
        """Its folder and one line."""
        folder = "mlygeo/providers/acme/"
        outside = {path for path in RECIPES["Add a provider"].source_files() if not path.startswith(folder)}
        assert outside == {"mlygeo/providers/__init__.py"}
        copy = changed("Add a provider")
        copy.use("Add a provider")
        assert copy.python(ASK).strip() == str([f"acme-{number}" for number in range(1, 21)])

    def test_a_provider_in_a_package_of_its_own(self, tmp_path, acme):
        """The module of the recipe in a wheel, which pip installs."""
        made = RECIPES["Add a provider"]
        [project] = [tomllib.loads(text) for kind, text in made.runs if kind == "toml"]
        [module] = [edit.text for edit in made.edits if edit.path.endswith("provider.py")]
        name, version = project["project"]["name"], project["project"]["version"]
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        points = [
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
            for group, entries in project["project"]["entry-points"].items()
        ]
        files = {
            "mlygeo_acme.py": module,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": "\n".join(points),
        }
        files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
        wheel = tmp_path / f"{info.removesuffix('.dist-info')}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
        (tmp_path / "work").mkdir()
        copy = Copy(ROOT, tmp_path / "work")
        copy.run(f"python -m pip install --quiet --no-index --no-deps --target ../installed {wheel}")
        found = Copy(f"{ROOT}{os.pathsep}{tmp_path / 'installed'}", copy.work)
        assert found.python(ASK).strip() == str([f"acme-{number}" for number in range(1, 21)])
        assert "one of mapillary" in copy.run("mlygeo tiles --bbox 9,48,10,49 --provider acme", may_fail=True)
        assert "20 images" in found.run("mlygeo tiles --bbox 9,48,10,49 --provider acme --tile-cache acme-tiles 2>&1")

    def test_an_export_format(self, changed):
        assert len(RECIPES["Add an export format"].source_files()) <= 2
        copy = changed("Add an export format")
        copy.use("Add an export format")
        selection = mlygeo.read_frame(copy.work / "out" / "selection.parquet")
        assert len(selection) > 100
        assert (copy.work / "some_points.feather").exists()


def test_all_of_them_pass_lint(changed):
    """Together, as a contributor's own files must."""
    copy = changed(*RECIPES)
    shutil.copy(ROOT / "pyproject.toml", copy.folder)
    shutil.copytree(ROOT / "tests" / "helpers", copy.folder / "tests" / "helpers")
    for name in ("conftest.py", "test_house.py"):
        shutil.copy(ROOT / "tests" / name, copy.folder / "tests")
    edits = [edit for made in RECIPES.values() for edit in made.edits]
    new = sorted(edit.path for edit in edits if edit.kind == "python" and edit.path.startswith("mlygeo/"))
    for program, *words in (
        ("ruff", "check", "--no-cache", "mlygeo"),
        ("ruff", "format", "--no-cache", "--check", "mlygeo"),
        ("lint-imports", "--no-cache"),
        ("numpydoc", "lint", *new),
    ):
        if not installed(program).exists():
            pytest.skip(f"{program} is not installed")
        copy.run(f"cd {copy.folder} && {shlex.join([program, *words])}")
    rules = copy.run(f"cd {copy.folder} && pytest -q -p no:cacheprovider tests/test_house.py", may_fail=True)
    assert re.search(r"^\d+ (passed|failed)", rules, re.MULTILINE), rules
    assert not [line for line in rules.splitlines() if any(path in line for path in new)], rules


def test_what_the_text_names_is_there():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for target in re.findall(
        r"\bmake (?:\w+=\S+ )?([a-z]+)", " ".join(re.findall(r"`[^`\n]+`|^\$ .+$", TEXT, re.MULTILINE))
    ):
        assert target in targets, f"make {target}"
    for path in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", FENCE.sub("", TEXT)):
        assert (ROOT / path).exists(), path
    new = {edit.path for made in RECIPES.values() for edit in made.edits if edit.kind == "python"}
    for path in re.findall(r"(?:`|pytest )((?:docs|tests|mlygeo)/[\w/.]*)", TEXT):
        assert path in new or (ROOT / path).exists(), path
