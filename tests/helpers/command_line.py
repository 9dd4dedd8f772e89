"""Verbs run inside the test's own process, and the program as a user calls it."""

import os
import subprocess
import sys
from pathlib import Path

from mlygeo import cli

PROGRAM = Path(sys.executable).parent / "mlygeo"


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def program(*words, **environment):
    return subprocess.run(
        [str(PROGRAM), *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "MAPILLARY_ACCESS_TOKEN": "secret-word", **environment},
    )
