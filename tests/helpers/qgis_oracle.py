"""QGIS as an oracle: one process without a window that opens many files, since its start takes longer than they do."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import pytest
import shapely
from helpers.unix import skip_without_unix

PACKAGE = "python3-qgis"

READER = Path(__file__).with_name("qgis_reader.py")

ELSEWHERE = "Pacific/Auckland"
"""The zone of the process, so that a time that QGIS moves into it is seen."""


@functools.cache
def python() -> str:
    """Return the Python that has QGIS, which MLYGEO_QGIS_PYTHON may name; installed in CI, else the test is skipped."""
    program = os.environ.get("MLYGEO_QGIS_PYTHON", "/usr/bin/python3")
    if _has_qgis(program):
        return program
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") and os.environ.get("MLYGEO_NO_SKIP"):
        with filelock.FileLock(Path(tempfile.gettempdir()) / "mlygeo-apt.lock"):
            if not _has_qgis(program):
                quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL}
                subprocess.run(["apt-get", "-qq", "update"], **quiet, timeout=300)
                command = ["apt-get", "-qq", "install", "-y", "--no-install-recommends", PACKAGE]
                subprocess.run(command, **quiet, timeout=900)
        if _has_qgis(program):
            return program
    pytest.skip(f"needs QGIS for Python (Debian package {PACKAGE})")


def _has_qgis(program: str) -> bool:
    if shutil.which(program) is None:
        return False
    return subprocess.run([program, "-I", "-c", "import qgis.core"], capture_output=True).returncode == 0


def ask(tasks: list[dict], folder: Path) -> dict:
    """
    Return what QGIS finds; see `qgis_reader.py`.

    A task is a file to open (`path`, or `uri` and `provider`, or `photos` for a folder of them; `layer`, `style`,
    `rows`), or a picture to draw (`picture`, `layers`, `extent` in degrees, `size` in pixels, `crs`, `dpi`).
    """
    skip_without_unix("Debian's QGIS")
    home = folder / "qgis"
    home.mkdir()
    home.chmod(0o700)
    (home / "tasks.json").write_text(json.dumps(tasks, default=str), encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "LANG": "C.UTF-8", "TZ": ELSEWHERE,
        "QT_QPA_PLATFORM": "offscreen",
    }  # fmt: skip
    words = [python(), "-I", str(READER), str(home / "tasks.json"), str(home / "answers.json")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads((home / "answers.json").read_text(encoding="utf-8"))


EARLIER = pd.Timedelta(2, "ms")
"""By less than this QGIS 3.22 shows times earlier: seconds are 32-bit numbers there, and cut to milliseconds."""

ROW_NUMBERS = {"fid", "OGC_FID", "row"}
"""Fields that formats add."""


def differences(frame, layer: dict, *, more_fields: bool = False, is_text: bool = False) -> list[str]:
    """
    Return in what a layer, as QGIS shows it, is not the frame that was written.

    It may have more fields, as GPX has. Of a table of text QGIS guesses the types: truth values are words for QGIS 3.22,
    and numbers 0 and 1 truth values for QGIS 3.40.
    """
    if not layer["valid"]:
        return [f"QGIS cannot open it: {layer['error']}"]
    found = []
    shapes = np.asarray(frame.geometry.values)
    kinds = {shape.geom_type for shape in shapes if shape is not None and not shape.is_empty}
    geometry = layer["geometry"].removesuffix("Z")
    if len(kinds) == 1 and geometry not in kinds:
        found.append(f"geometry is {geometry}, not {kinds}")
    elif len(kinds) > 1 and geometry not in {"Unknown", "GeometryCollection"}:
        found.append(f"geometry is {geometry}, of {kinds}")
    columns = {*frame.columns} - {frame.active_geometry_name}
    fields = {*layer["fields"]} - ROW_NUMBERS
    for name, seen, written in (
        ("CRS", layer["crs"], frame.crs.to_string() if len(frame) else layer["crs"]),  # without rows QGIS sees a table
        ("rows", layer["count"], len(frame)),
        ("fields", fields & columns if more_fields else fields, columns),
    ):
        if seen != written:
            found.append(f"{name}: {seen} instead of {written}")
    if kinds and not np.allclose(layer["extent"], shapely.total_bounds(shapes), rtol=0, atol=1e-9):
        found.append(f"extent: {layer['extent']} instead of {shapely.total_bounds(shapes)}")
    for row, (values, place) in enumerate(zip(layer["rows"], layer["places"], strict=True)):
        seen = dict(zip(layer["fields"], values, strict=True))
        found += [
            f"row {row}, {name}: {seen[name]!r} instead of {frame[name].iloc[row]!r}"
            for name in seen.keys() & columns
            if not _is_same(seen[name], frame[name].iloc[row], frame[name].dtype, is_text=is_text)
        ]
        if not _is_same_place(place, shapes[row]):
            found.append(f"row {row}: at {place} instead of {shapes[row]}")
    return found


def _is_same(seen, written, dtype, *, is_text: bool) -> bool:
    """Return whether a value is the one in the frame; numbers of ids may be text, lists are JSON."""
    if is_text and (isinstance(seen, bool) or isinstance(written, bool | np.bool_)):
        return seen == (written if isinstance(seen, bool) else str(written))
    if isinstance(written, list | dict | np.ndarray):
        found = json.loads(seen) if isinstance(seen, str) else seen  # GeoParquet alone has lists
        return found == json.loads(json.dumps(written, default=np.ndarray.tolist))
    if pd.isna(written):
        return seen is None
    if pd.api.types.is_datetime64_any_dtype(dtype):
        early = None if seen is None else written - pd.Timestamp(seen.removesuffix("Z"), tz="UTC")
        return early is not None and pd.Timedelta(0) <= early < EARLIER
    if pd.api.types.is_bool_dtype(dtype):
        return isinstance(seen, bool) and seen == written
    if pd.api.types.is_integer_dtype(dtype):
        return type(seen) in {int, str} and str(seen) == str(written)
    if pd.api.types.is_float_dtype(dtype):
        return isinstance(seen, int | float) and seen == pytest.approx(written, rel=1e-14, abs=1e-300)
    if str(dtype) == "geometry":
        return _is_same_place(seen, written)
    return isinstance(seen, str) and seen == str(written)


def _is_same_place(seen: str | None, written) -> bool:
    if seen is None or written is None:
        return (seen is None) == (written is None)
    return bool(shapely.equals_exact(shapely.from_wkt(seen), written, tolerance=1e-11))
