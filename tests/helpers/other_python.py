"""
Another Python than that of the tests, with the same versions of the libraries.

The first use on a machine makes an environment for it, in a minute or two: a virtual environment in the user's cache
folder (MLYGEO_OTHER_PYTHON_FOLDER names another folder) with mlygeo and what it depends on, at the versions of
constraints.txt; callers put the code of the tests before that copy of it (PYTHONPATH). A Python is looked for on the PATH and among those of pyenv.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import platformdirs
import pytest
from conftest import ROOT
from helpers.environments import programs_of

VERSIONS = (11, 12, 13, 14)

FOLDER = Path(
    os.environ.get("MLYGEO_OTHER_PYTHON_FOLDER") or platformdirs.user_cache_path("mlygeo-other-python", False)
)


def found() -> list[str]:
    """The other Pythons that there are, the newest first."""
    names = [f"python3.{minor}" for minor in VERSIONS if minor != sys.version_info.minor]
    pyenv = sorted(Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv").glob("versions/3.*/bin/python"))
    listed = [path for name in names if (path := shutil.which(name))] + [str(path) for path in pyenv]
    usable = {}
    for path in listed:
        code = "import sys, venv, ensurepip; print(sys.version_info.minor)"
        done = subprocess.run([path, "-c", code], capture_output=True, text=True)
        minor = int(done.stdout) if done.returncode == 0 else 0
        if minor in VERSIONS and minor != sys.version_info.minor:
            usable.setdefault(minor, path)
    return [usable[minor] for minor in sorted(usable, reverse=True)]


@cache
def other_python() -> str:
    """The program of another Python that can run mlygeo; the test is skipped where there is none."""
    pythons = found()
    if not pythons:
        pytest.skip("there is no other Python, 3.11 to 3.14, on the PATH or in pyenv")
    constraints = ROOT / "constraints.txt"
    content = "\n".join([pythons[0], (ROOT / "pyproject.toml").read_text(), constraints.read_text()])
    programs = programs_of(FOLDER, content, pythons[0], ["-c", str(constraints), str(ROOT)])
    return str(programs / ("python.exe" if os.name == "nt" else "python"))
