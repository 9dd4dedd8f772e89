"""Tests that need what only Unix has are skipped on Windows, and all others can be collected there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from helpers.unix import TESTS, needs


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """All tests, collected with the modules of Windows: for each function of a file whether all its tests skip."""
    found = tmp_path_factory.mktemp("collected") / "tests.jsonl"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "helpers.simulated_windows", "-p", "no:xdist",
         "-p", "no:cacheprovider", "--rootdir", ROOT, "-c", ROOT / "pyproject.toml", TESTS],
        env=environment | {"MLYGEO_COLLECTED": str(found)}, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-5_000:] + ran.stderr[-2_000:]
    skipped = {}
    for line in found.read_text(encoding="utf-8").splitlines():
        test = json.loads(line)
        at = Path(test["file"]), test["name"]
        skipped[at] = skipped.get(at, True) and test["is_skipped"]
    return skipped


def test_all_tests_can_be_collected_on_windows(collected):
    assert len(collected) > 2_000
    assert sum(collected.values()) > 100  # most by their own marks, some by those of their file


def test_what_windows_lacks_is_not_asked_for_there(collected):
    wrong = {
        f"{path.relative_to(TESTS)}::{name}": sorted(found)
        for (path, name), is_skipped in collected.items()
        if not is_skipped and (found := needs(path, name))
    }
    assert not wrong, "mark these with `needs_unix` or `needs_symlinks` of tests/helpers/unix.py"
