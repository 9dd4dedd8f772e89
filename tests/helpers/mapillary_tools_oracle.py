"""The official client as an oracle: mapillary_tools from the package index, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import filelock
import pytest
from conftest import ROOT

VERSION = "0.14.7"


def program() -> Path:
    """Return the program; it is installed once, where the package index can be reached, else skipped (in CI: fails)."""
    folder = Path(os.environ.get("MLYGEO_ORACLES") or ROOT / "tests" / ".artifacts")
    name = f"mapillary_tools-{VERSION}-py{sys.version_info.major}{sys.version_info.minor}"
    place = folder / name
    scripts = place / ("Scripts" if os.name == "nt" else "bin")
    found = scripts / ("mapillary_tools.exe" if os.name == "nt" else "mapillary_tools")
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / f"{name}.lock", timeout=600):
        if not (place / "whole").exists():
            made = subprocess.run([sys.executable, "-m", "venv", place], capture_output=True, text=True)
            pip = [scripts / "python", "-m", "pip", "install", "-q", f"mapillary_tools=={VERSION}"]
            made = made if made.returncode else subprocess.run(pip, capture_output=True, text=True)
            if made.returncode:
                reason = f"mapillary_tools {VERSION} could not be installed: {made.stderr[-300:]}"
                (pytest.fail if os.environ.get("MLYGEO_NO_SKIP") else pytest.skip)(reason)
            (place / "whole").touch()
    return found


class Official:
    """Runs the official client against a stand-in, with files of its own in a folder."""

    def __init__(self, folder: Path, server) -> None:
        self._program = program()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("MAPILLARY", "PYTHON"))},
            "MAPILLARY_GRAPH_API_ENDPOINT": server.url,
            "MAPILLARY_UPLOAD_ENDPOINT": server.endpoints.upload,
            "MAPILLARY_CONFIG_PATH": str(folder / "official" / "config"),
            "MAPILLARY_UPLOAD_HISTORY_PATH": str(folder / "official" / "history"),
            "MAPILLARY_TOOLS_UPLOAD_CACHE_DIR": str(folder / "official" / "cache"),
        }

    def run(self, *words: object) -> str:
        """Run it, and return what it says; it must not fail, nor speak of errors."""
        done = subprocess.run(
            [str(self._program), *map(str, words)], env=self.environment, capture_output=True, text=True, timeout=120
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert "ERROR" not in said, said
        return said

    def sign_in(self) -> None:
        """Sign in, with a password."""
        self.run("authenticate", "--user_name", "jane", "--user_email", "jane@example.org", "--user_password", "secret")
