"""Virtual environments beside that of the tests, made once on a machine, in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import filelock

if TYPE_CHECKING:
    from pathlib import Path


def programs_of(folder: Path, content: str, python: str, packages: list[str]) -> Path:
    """The folder of an environment's programs; `content` tells it from others, `packages` are words for pip install."""
    place = folder / hashlib.sha256(content.encode()).hexdigest()[:16]
    programs = place / ("Scripts" if os.name == "nt" else "bin")
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / "lock"):
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run([python, "-m", "venv", str(place)], check=True, capture_output=True)
            pip = [str(programs / "python"), "-m", "pip", "install", "-q", *packages]
            subprocess.run(pip, check=True, capture_output=True)
            (place / "complete").touch()
    return programs
