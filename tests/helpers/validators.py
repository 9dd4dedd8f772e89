"""
The validators of others for what is published: roc-validator (RO-Crate) and mlcroissant (Croissant).

They need other versions of libraries than mlygeo, and have an environment of their own: the first use on a machine
makes it, in a minute, in the user's cache folder (MLYGEO_VALIDATORS_FOLDER names another folder).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import filelock
import platformdirs

PACKAGES = ("roc-validator==0.13.0", "rocrate==0.13.0", "mlcroissant[parquet]==1.1.1")

FOLDER = Path(os.environ.get("MLYGEO_VALIDATORS_FOLDER") or platformdirs.user_cache_path("mlygeo-validators", False))


@cache
def environment() -> Path:
    """The folder of the programs."""
    place = FOLDER / hashlib.sha256(f"{sys.version_info[:2]} {PACKAGES}".encode()).hexdigest()[:16]
    programs = place / ("Scripts" if os.name == "nt" else "bin")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(FOLDER / "lock"):
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, capture_output=True)
            pip = [str(programs / "python"), "-m", "pip", "install", "-q", *PACKAGES]
            subprocess.run(pip, check=True, capture_output=True)
            (place / "complete").touch()
    return programs
