"""Packages of npm for tests in the browser, fetched once on a machine into the user's cache folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import filelock
import platformdirs
import pytest

FOLDER = Path(os.environ.get("MLYGEO_NPM_FOLDER") or platformdirs.user_cache_path("mlygeo-npm", False))


@cache
def package(name: str, version: str) -> Path:
    """The folder of a package; the test is skipped where npm is missing."""
    if (npm := shutil.which("npm")) is None:
        pytest.skip("needs npm")
    place = FOLDER / f"{name}-{version}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(FOLDER / "lock"):
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
                words = [npm, "pack", "--silent", f"{name}@{version}"]
                subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=600)
                with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
                    archive.extractall(folder, filter="data")
                (Path(folder) / "package").rename(place)
    return place
