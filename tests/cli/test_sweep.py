"""
Every verb, every option, wrong values of every kind: an error of one line, and nothing is written.

A sample of the calls runs with the tests; all of them (some thousands) with MLYGEO_WHOLE_SWEEP=1.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import zlib
from pathlib import Path

import click
import pytest
from conftest import STUTTGART
from helpers.small_frames import drawn_frame
from helpers.tokens import TOKEN

import mlygeo
from mlygeo import cli
from mlygeo.cli import old_tools, verbs
from mlygeo.standin import serve

WHOLE = "MLYGEO_WHOLE_SWEEP" in os.environ

SAMPLED = 25
"""One call of so many runs with the tests."""

HUGE = "1" + "0" * 400

NEVER_NUMBERS = ("abc", "nan", "-inf", "1e999x", "0x10", "日本", "\udcff", "missing.file")
"""Values that no option with a number takes."""

NUMBERS = ("-1", "0", "inf", "1e999", HUGE, "-1e-9", "1.5", "1_000")

TEXTS = ("abc", "-1", "nan", HUGE, "日本", "\udcff\udcfe", "a,b", "2024-13-45", "'", "x" * 5000)

FILES = (
    "missing.file",
    "missing.gpkg",
    "a_folder",
    "binary.gpkg",
    "damaged.json",
    "damaged.parquet",
    "empty.csv",
    "\udcff",
)

EDGES = STUTTGART / "stuttgart_osm_edges.gpkg"
CONFIG = STUTTGART / "stuttgart_config.json"
IMAGES = STUTTGART / "stuttgart_images.parquet"

BASES: dict[str, list[list[object]]] = {
    "init": [["--place", "Ulm"]],
    "convert": [["small.gpkg"], ["out.parquet"]],
    "partition": [["small.gpkg"], ["--dry-run"]],
    "tiles": [["-c", CONFIG], ["--dry-run"]],
    "streets": [["--streets", EDGES], ["--interval", 200], ["--srid", 25832]],
    "select": [["--streets", EDGES], ["--images", IMAGES], ["--interval", 500], ["--srid", 25832]],
    "estimate": [["drawn.csv"], ["--column", "highway"]],
    "metadata": [["1"]],
    "publish": [["a_folder"], ["--dry-run"]],
    "verify": [["nothing.lock.json"], ["--offline"]],
    "find-sequences": [["nobody"]],
    "download": [["1"], ["--required-disk-space", 0], ["--size", "256"], ["--dry-run"]],
    "views": [[IMAGES], ["--pictures", "a_folder"], ["--relative-to", "north"], ["--dry-run"]],
    "inspect": [["1"]],
    "coverage": [["--streets", "small.gpkg"], ["--images", IMAGES], ["--srid", 25832]],
    "quality": [["small.gpkg"]],
    "tracks": [["track.gpx"]],
    "sample-video": [["a_folder"]],
    "map": [["small.gpkg"]],
    "upload": [["a_folder"], ["--dry-run"]],
    "zip": [["a_folder"]],
    "authenticate": [["--user-name", "jane"]],
    "config": [["list"]],
    "download-originals": [["a_folder"], ["--dry-run"]],
    "geotag": [["a_folder"]],
    "cut": [["a_folder"]],
    "interpolate": [["a_folder"], ["--data", "missing_gps"]],
    "process-csv": [["a_folder"], ["--csv-path", "empty.csv"]],
    "post-process": [["a_folder"], ["--summarize"]],
    "standin": [["--images", "missing.parquet"]],
    "doctor": [["--offline"]],
    "demo": [],
    "info": [],
}
"""Verb -> options with which it ends soon; those of the rest are the last."""

REST: list[list[object]] = [["a_folder"], ["--dry-run"]]

OLDER: dict[str, tuple[list[list[object]], list[str]]] = {
    "make_street_points.py": ([["-c", CONFIG], ["-S", 25832], ["-I", 500]], ["-S", "-I", "-c"]),
    "mapillary_jpg_download.py": (
        [["-c", CONFIG], ["--dry-run"]],
        ["--required-disk-space", "--num-retries", "--imgid-file"],
    ),
    "sequence_downloader.py": ([["S"], ["--dry-run"]], ["-q", "--image-file"]),
    "batch_downloader.py": ([["damaged.json"]], ["-q"]),
    "mapillary-download": ([["--bbox", "9,48,10,49"], ["--dry-run"]], ["--limit", "--bbox"]),
    "run_downloads.py": ([["empty.csv"], ["--dry-run"]], ["--limit"]),
    "find_sequences_of_user.py": ([["nobody"]], ["-p", "-f"]),
    "download_images.py": ([["1"], ["2"], ["3"], ["x"]], ["--max_results", "--image_size"]),
}


def options_of(verb):
    for option in cli._command(verb).params:
        # Any text may be the name of a place, which OpenStreetMap is asked for.
        is_asked_for = option.name == "place" and verb.takes_region
        if isinstance(option, click.Option) and not (option.is_flag or option.count or is_asked_for):
            yield option


def values_for(option):
    """Yield values, and whether none of the option's kind is such a value."""
    kind = option.type
    if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
        yield from ((value, True) for value in NEVER_NUMBERS)
        yield from ((value, False) for value in NUMBERS)
    elif isinstance(kind, click.Choice):
        yield from ((value, True) for value in TEXTS)
    else:
        yield from ((value, False) for value in (*TEXTS, *FILES))


def calls():
    """Yield the words of each call, the flag in question, and whether the value is wrong for sure."""
    for verb in verbs.VERBS:
        base = BASES.get(verb.name, REST)
        for option in options_of(verb):
            others = [part for part in base if str(part[0]) not in {*option.opts}]
            words = [verb.name, *(word for part in others for word in part)]
            for value, is_wrong in values_for(option):
                yield [*words, option.opts[-1], value], option.opts[0], is_wrong
            yield [*words, option.opts[0]], option.opts[0], True
            yield [*words, option.opts[-1], "1", option.opts[-1], "2"], option.opts[0], not option.multiple
        yield [verb.name, "--no-such-option"], "--no-such-option", True
    for name, (base, flags) in OLDER.items():
        for flag in flags:
            words = [name, *(word for part in base if part[0] != flag for word in part)]
            for value in (*NEVER_NUMBERS, *NUMBERS, *FILES):
                yield [*words, flag, value], flag, False


CALLS = [(list(map(str, words)), flag, is_wrong) for words, flag, is_wrong in calls()]


@pytest.fixture(scope="module")
def standin(images):
    with serve(images.iloc[:5], token=TOKEN) as server:
        yield server


@pytest.fixture
def folder(tmp_path, monkeypatch, standin, edges):
    """A folder with files that nobody can use, and a service that answers."""
    import mlygeo

    (tmp_path / "work" / "a_folder").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", standin.endpoints.graph)
    monkeypatch.setenv("MAPILLARY_TILES_ENDPOINT", standin.endpoints.tiles)
    monkeypatch.setenv("MAPILLARY_UPLOAD_ENDPOINT", "http://127.0.0.1:9")
    mlygeo.write_frame(edges.head(3), "small.gpkg")
    return Path.cwd()


GPX = "<gpx><trk><trkseg><trkpt lat='48' lon='9'><time>2024-01-01T00:00:00Z</time></trkpt></trkseg></trk></gpx>"


def spoil_files():
    """Write the files that nobody can use; a call before may have replaced one of them by its result."""
    Path("a_folder").mkdir(exist_ok=True)
    Path("binary.gpkg").write_bytes(bytes(range(7, 250)) * 8)
    Path("damaged.json").write_text('{"type": "FeatureCollection", "features": [{"ty')
    Path("damaged.parquet").write_bytes(IMAGES.read_bytes()[:3000])
    Path("empty.csv").write_text("")
    mlygeo.write_frame(drawn_frame(), "drawn.csv")
    Path("track.gpx").write_text(GPX)


def run(words):
    """Return the exit status of the command line in this process, and what it says."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr("sys.stdin", io.StringIO(""))
        status = cli.main(words)
    return status, out.getvalue(), err.getvalue()


def listing(folder):
    """Return what is in a folder; a lock, in a folder of its own, is state and no result."""
    found = {path.relative_to(folder) for path in folder.rglob("*")}
    state = {parent for path in found if path.parts[-2:] == (".mlygeo", "lock") for parent in (path, *path.parents)}
    return {str(path) for path in found - state}


def test_wrong_values_are_errors_of_one_line(folder):
    asked = [
        call for call in CALLS if WHOLE or zlib.crc32("\0".join(call[0]).encode(errors="surrogatepass")) % SAMPLED == 0
    ]
    assert len(CALLS) > 4000
    spoil_files()
    before, wrong = listing(folder), []
    for words, flag, is_wrong in asked:
        spoil_files()
        try:
            status, out, err = run(words)
        except BaseException as error:  # noqa: BLE001 - whatever gets out would be a traceback
            wrong.append((words, f"raised {type(error).__name__}: {error}"))
            continue
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        said = errors[0] if errors else ""
        if status not in {0, 1, 2, 3}:
            wrong.append((words, f"status {status}"))
        if "Traceback" in err or (status in {1, 2} and (len(errors) != 1 or out)):
            wrong.append((words, f"status {status}: {out[:100]!r} {err[:300]!r}"))
        if is_wrong and not (status == 2 and flag.lstrip("-") in said):
            wrong.append((words, f"status {status}: {err[:300]!r}"))
        if (new := listing(folder) - before) and status in {1, 2}:
            wrong.append((words, f"status {status}, and wrote {sorted(new)[:5]}: {err[:200]!r}"))
        for name in listing(folder) - before:
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).unlink(missing_ok=True)
    shown = "\n".join(f"{[word[:60] for word in words]}: {text}" for words, text in wrong)
    assert not wrong, f"{len(wrong)} of {len(asked)} calls:\n{shown}"


def test_every_verb_is_swept():
    assert {words[0] for words, *_ in CALLS} >= {verb.name for verb in verbs.VERBS} | OLDER.keys()
    assert {old_tools.VERBS.get(name.replace("_", "-"), name) for name in OLDER}
