"""
Every command and code block of the README, the site and the examples is run.

Blocks of a page run one after another in a folder of their own with the bundled data, against the
stand-in where a service is needed. A line below a command must be among what it prints. Where a
block cannot be run (it needs the internet, a database, or a second terminal), the comment
`<!-- parse -->` stands above it; then its verbs, options and values are checked, no more. Commands in
running text and in tables are checked in the same way.
"""

from __future__ import annotations

import ast
import doctest
import functools
import inspect
import os
import re
import shlex
import shutil
import subprocess
import textwrap
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import DATA, ROOT, STUTTGART
from helpers import postgis_server
from helpers.command_line import PROGRAMS
from helpers.page_commands import FENCE, check_options, inline_commands
from helpers.tokens import TOKEN
from helpers.unix import needs_unix

import mlygeo
from mlygeo import standin
from mlygeo.cli.verbs import VERBS
from mlygeo.pipelines.job import body_of

database = postgis_server.database
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("README.md"))
)
NOT_RUN = ("make", "pip", "uv", "conda", "git")
"""Programs that set up or test the project itself, which other tests and CI do."""


def blocks(text):
    """Yield kind, lines and whether they are only to be checked, of the blocks of a page."""
    for match in FENCE.finditer(text):
        marked = text[: match.start()].rstrip().endswith("<!-- parse -->")
        yield match["kind"], textwrap.dedent(match["text"]), marked


def commands(block):
    """Return the commands of a console block, each with the lines shown below it."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip():
            assert found, f"output without a command: {line}"
            found[-1][1].append(line)
    return found


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A stand-in that serves the images of Stuttgart, of a user called someone."""
    images = mlygeo.read_frame(STUTTGART / "stuttgart_images.parquet", frame="images")
    images = images.assign(creator_username="someone")
    with standin.serve(images, photos=STUTTGART / "pictures", store=tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """All the files that pages and docstrings name, made once and copied for each of them."""
    folder = tmp_path_factory.mktemp("prepared")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(STUTTGART, folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "pictures")
    ride = ROOT / "examples" / "gpx_import"
    for name in ("photos", "DCIM/100GOPRO"):
        shutil.copytree(ride / "photos", folder / name)
    for name in ("ride.gpx", "walk.gpx", "track.gpx"):
        shutil.copy(ride / "ride.gpx", folder / name)
    for name in ("ride.mp4", "GH010042.MP4", "GH020042.MP4"):
        shutil.copy(DATA / "video" / "blackvue_form_leeds.mp4", folder / name)
    districts = gpd.GeoDataFrame(
        {"name": ["West", "East"]}, geometry=[shapely.box(9.16, 48.76, 9.17, 48.78), shapely.box(9.17, 48.76, 9.18, 48.78)],
        crs=4326,
    )  # fmt: skip
    mlygeo.write_frame(districts, folder / "districts.geojson")
    for name in ("edges.gpkg", "streets.gpkg"):
        shutil.copy(STUTTGART / "stuttgart_osm_edges.gpkg", folder / name)
    for name in ("myconfig.json", "stuttgart.json"):
        shutil.copy(STUTTGART / "stuttgart_config.json", folder / name)
    shutil.copytree(STUTTGART / "stuttgart_tile_cache", folder / "ams-tiles")
    shutil.copy(STUTTGART / "stuttgart_images.parquet", folder / "images.parquet")
    shutil.copy(DATA / "osm" / "helsinki_centre.osm.pbf", folder)
    shutil.copy(DATA / "tiles" / "dietikon" / "mly1_public_8574_5735_14.mvt", folder)
    table = pd.read_csv(ROOT / "examples" / "csv_import" / "positions.csv")
    table[["file", "latitude", "longitude"]].to_csv(folder / "log.csv", index=False, header=False)
    job = body_of(mlygeo.select)(folder / "stuttgart.json", streets=folder / "edges.gpkg", interval=50, srid=25832)
    job.write(folder / "out")
    selection = job.result
    mlygeo.write_frame(selection, folder / "selection.parquet")
    drawn = mlygeo.streets(
        streets=STUTTGART / "stuttgart_osm_edges.gpkg", method="stratified", by="highway", n=150, seed=7, srid=25832
    )
    mlygeo.write_frame(drawn, folder / "drawn.parquet")
    drawn[["point_id"]].assign(green=drawn["bearing"] / 360).to_csv(folder / "labels.csv", index=False)
    (folder / "demo").mkdir()
    return folder


@pytest.fixture
def folder(tmp_path, prepared, service, monkeypatch):
    """A copy of the prepared folder as the working folder, and an environment that names the stand-in."""
    folder = tmp_path / "work"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    for name, value in (
        ("MAPILLARY_GRAPH_API_ENDPOINT", service.url),
        ("MAPILLARY_TILES_ENDPOINT", service.url),
        ("MAPILLARY_UPLOAD_ENDPOINT", service.endpoints.upload),
        ("MAPILLARY_ACCESS_TOKEN", TOKEN),
        ("MAPILLARY_CLIENT_TOKEN", TOKEN),
        ("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history")),
        ("MLYGEO_NO_PROGRESS", "1"),
        ("PATH", f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"),
        ("HOME", str(tmp_path / "home")),
    ):
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture
def database_if_named(request, monkeypatch):
    """Start a database for pages that speak to one."""

    def start(text):
        if 'os.environ["DATABASE"]' in text:
            monkeypatch.setenv("DATABASE", request.getfixturevalue("database"))

    return start


@needs_unix("Unix shell")
@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs(page, folder, database_if_named):
    pytest.importorskip("matplotlib", reason="pictures need mlygeo[plot]")
    text = (ROOT / page).read_text(encoding="utf-8")
    database_if_named(text)
    names = {"__name__": "page"}
    for kind, block, only_checked in blocks(text):
        if kind == "python" and not only_checked:
            exec(compile(block, page, "exec"), names)
        elif kind == "console":
            for command, shown in commands(block):
                run_or_check(command, shown, only_checked=only_checked)
        elif kind not in {"python", "console"}:
            assert kind in {"json", "bash", "text", "toml"}, f"a block of {kind} is run by nothing"
    for command in inline_commands(text):
        check_options(command)


def run_or_check(command, shown, *, only_checked):
    first = shlex.split(command, comments=True)[0]
    if first in NOT_RUN:
        check_setup(command)
    elif only_checked:
        if first == "mlygeo":
            check_options(command)
        else:
            assert first in {"export", "ogr2ogr", "pmtiles-convert", "python", "tilemaker"}, command
    else:
        # Whoever reads has more room on the disk than a machine for tests.
        command = re.sub(
            r"(mlygeo (?:download|views) (?!.*--(?:required-disk-space|dry-run)))",
            r"\1--required-disk-space 0 ",
            command,
        )
        found = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=200)
        assert found.returncode == 0, f"{command}\n{found.stderr}"
        printed = plain(found.stdout + "\n" + found.stderr)
        for line in shown:
            assert plain(line) in printed, f"{command}\nshould print: {line}\nprints: {printed[-2000:]}"


def plain(text):
    """Words without the space between them; and pictures of the stand-in have another size than the real ones."""
    return re.sub(r"[0-9.]+ [kMG]B", "N MB", " ".join(text.split()))


def check_setup(command):
    """Raise unless a command that is not run names what the project has."""
    words = shlex.split(command, comments=True)
    if words[0] == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        named = [word for word in words[1:] if "=" not in word]
        assert set(named) <= set(targets), command
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extras in re.findall(r"\[([\w,]+)\]", command):
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = \[", project, re.MULTILINE), f"{command}: there is no extra {extra}"


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_the_example_of_a_verb_is_sound(verb):
    check_options(verb.example)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", FENCE.sub("", text)):
        place = (ROOT / page).parent / target
        assert place.exists() or "docs" in place.parts, f"{page}: {target}"  # the test of the site looks at those
    for name in re.findall(r"`((?:examples|notebooks|tests|docs|mlygeo)/[\w/.-]*)", text):
        assert (ROOT / name).exists() or list(ROOT.glob(f"{name.rstrip('_…')}*")), f"{page}: {name}"


# Docstrings ------------------------------------------------------------------


def examples():
    """The examples of every public function and of its methods."""
    finder = doctest.DocTestFinder(recurse=True)
    for name in mlygeo.__all__:
        value = getattr(mlygeo, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            for found in finder.find(value, name, globs={}):
                if found.examples:
                    yield pytest.param(found, id=found.name)


@pytest.fixture(scope="module")
def things(every_frame, ride):
    """What the examples of docstrings speak of: frames by their names."""
    return {
        **every_frame,
        "edges": every_frame["streets"],
        "street_points": every_frame["points"],
        "track": ride["track"],
        "Path": Path,
        "getpass": lambda: "a pass phrase 4711",
    }


@pytest.fixture(scope="module")
def ride():
    """Photos of a ride, and its track."""
    folder = ROOT / "examples" / "gpx_import"
    photos, track = mlygeo.read_photos(folder / "photos"), mlygeo.read_track(folder / "ride.gpx")
    tagged = mlygeo.geotag(photos, track, offset_time=3)
    # A camera that takes two pictures a second and writes whole seconds.
    half = pd.Timestamp("2024-06-12T08:30:00Z") + pd.to_timedelta(np.arange(len(photos)) * 500, unit="ms")
    whole = photos.assign(captured_at=pd.Series(half).dt.floor("s").dt.as_unit("ms"))
    return {"track": track, "tagged": tagged, "photos": photos, "whole": whole}


IMAGES_OF = {
    "check_images": "tagged",
    "estimate_subseconds": "whole",
    "geotag": "photos",
    "interpolate_positions": "tagged",
    "interpolate_times": "whole",
    "spread_subseconds": "whole",
    "write_descriptions": "tagged",
}
"""Functions whose `images` are photos of the ride, rather than those of Stuttgart."""

PROCESSED = {"exif_insert", "extract_upload_params", "post_process", "extract_sequence_data"}
SIGNED_IN = {"download_originals", "edit_config", "upload", "upload_history"}
NEED_THE_INTERNET = {"streets"}
"""Functions that ask OpenStreetMap: their calls are compared with the signature."""


@pytest.fixture
def before(folder):
    """What has been done before the call that a docstring shows."""

    def prepare(name):
        if name in PROCESSED:
            mlygeo.process("DCIM", geotag_source="gpx", geotag_source_path="ride.gpx", skip_exif_insert=True)
        if name in SIGNED_IN or name in {"zip_sequences", "read_descriptions"}:
            mlygeo.process("photos", geotag_source="gpx", geotag_source_path="ride.gpx", skip_exif_insert=True)
        if name in SIGNED_IN:
            mlygeo.authenticate(user_name="jane", jwt="MLYA-rehearsal")
        if name in {"upload_history", "download_originals"}:
            mlygeo.upload("photos", user_name="jane")
        if name in {"transfers", "run_standin"}:
            mlygeo.download("selection.parquet", output="pictures", size="256", max_images=3, required_disk_space=0)

    return prepare


@pytest.mark.parametrize("example", list(examples()))
def test_the_examples_of_a_docstring_run(example, things, ride, before, folder):
    pytest.importorskip("matplotlib", reason="pictures need mlygeo[plot]")
    before(example.name)
    # Some functions are called like the frames that they make.
    called = {name for name in mlygeo.__all__ if re.search(rf"\b{name}\(", "".join(e.source for e in example.examples))}
    names = {**{name: getattr(mlygeo, name) for name in mlygeo.__all__}, **things}
    names.update({name: getattr(mlygeo, name) for name in called})
    if example.name in IMAGES_OF:
        names["images"] = ride[IMAGES_OF[example.name]]
    if example.name == "download":
        names["download"] = functools.partial(mlygeo.download, required_disk_space=0)
    for step in example.examples:
        if step.options.get(doctest.SKIP):
            continue
        last = ast.parse(step.source).body[-1]
        if example.name in NEED_THE_INTERNET:
            inspect.signature(getattr(mlygeo, example.name)).bind(
                *(ast.literal_eval(value) for value in last.value.args),
                **{word.arg: ast.literal_eval(word.value) for word in last.value.keywords},
            )
        elif step.want.strip():
            found = eval(step.source, names)
            shown = repr(found.item() if isinstance(found, np.generic) else found)
            assert doctest.OutputChecker().check_output(step.want, f"{shown}\n", doctest.ELLIPSIS), shown
        else:
            exec(compile(step.source, example.name, "exec"), names)
